"""What a request will take before it is begun: memory, seconds, and what of it is there already.

Memory follows from the sizes alone (`ctinv.fibre.memory`). Time is the work of each stage, counted in passes through f,
products with J, and operations of dense linear algebra, times what one of each takes here and now: a few of them are timed
each time, as another program may be using the processor. Within about a factor of two; a region that is solved by conjugate
gradients, whose iterations nobody knows beforehand, within more.
"""

from __future__ import annotations

import math

from ctinv.denoiser import OUTPUT
from ctinv.fibre.covariance import RING
from ctinv.fibre.lesions import DIAMETER_MM, MOST_DISCS, STRIDE
from ctinv.fibre.memory import estimate_bytes, free_bytes, is_dense
from ctinv.fibre.probing import narrowed
from ctinv.fibre.reach import expected_radius
from ctinv.fibre.region import Region
from ctinv.generators.metamer import STEPS
from ctinv.progress import Progress
from ctinv.sampler.batch import BLOCK
from ctinv.sampler.cost import ABSENT, KEPT, READY, Cost
from ctinv.sampler.prepare import gain_request
from ctinv.sampler.sampler import InvarianceSampler, check_request
from ctinv.sampler.speed import Speed, jacobian_pass_s, pass_s
from ctinv.sampler.survey import Survey
from ctinv.volume import Box, Volume

_STEPS = {"T0": 6.0, "T1": 2.0, "T2": 1.3, "T3": 1.0}
"""Steps of a sample until it arrives, the swap included; between one and a dozen, more where f is strongly curved."""
_ITERATIONS = 40
"""Of conjugate gradients for one column, where a region has no dense factor."""
_COLUMNS = 48 + 64
"""Draws and lesions that linear theory solves for there."""
_BAND_ROWS = 80
_METAMER_PASSES = 3 * STEPS
"""A step of feature matching goes forwards and backwards."""


def estimate(
    sampler: InvarianceSampler, volume: Volume, box: Box, *, n: int, progress: Progress | None = None
) -> Cost:
    """What sampling a region will take; the sampler surveys it for that, which the run then need not.

    Args:
        sampler: The sampler.
        volume: The scan.
        box: The region.
        n: Samples that are still to be drawn.
        progress: Called with a phrase and a finished share; raising in it ends the estimate.

    Raises:
        InputError: The request cannot be met.
        ResourceError: The region does not fit into memory.
    """
    check_request(max(n, 1), 0)
    found = sampler.survey(volume, box, progress=progress)
    report = progress or (lambda _text, _share: None)
    report("estimating time and memory", math.nan)
    request = gain_request(found, sampler.wish)
    ready = sampler.is_prepared(volume, box)
    kept = 0 if ready else request.kept_bytes()
    region, tolerance = found.region, request.tolerance
    known = sampler.prepare(volume, box).jacobian.radius if ready else None
    radius = expected_radius(region, found.covariance, tolerance) if known is None else known
    report("estimating time and memory", math.nan)
    speed = Speed.here(sampler.device)
    work = _Work(found, min(radius, region.tap_radius), speed)
    stages: dict[str, float] = {}
    if kept:
        stages = {"cache": work.moving(kept), "maps": work.maps()}
    elif not ready:
        stages = work.preparing()
    report("estimating time and memory", math.nan)
    each = work.block(sampler.wish.tier, sampler.wish.proposer.name)
    stages["samples"] = each * -(-n // BLOCK)
    return Cost(
        shape=region.shape,
        n=n,
        memory_bytes=estimate_bytes(region, work.radius),
        free_bytes=free_bytes(sampler.device),
        factor=READY if ready else KEPT if kept else ABSENT,
        stages=stages,
    )


class _Work:
    """Seconds of each stage of one region.

    Args:
        found: The region, surveyed.
        radius: Pixels on each side up to which J is taken.
        speed: Of this machine now.
    """

    def __init__(self, found: Survey, radius: int, speed: Speed) -> None:
        self.region, self.radius, self.speed = found.region, radius, speed
        self.spacing = found.volume.spacing[1:]
        height, width = self.region.shape
        self.pixels = height * width
        self.outputs = self.region.reference[0].numel()
        self.entries = (
            self.outputs / self.region.reference[0, 0].numel() * self.pixels * (2 * radius + 1) ** 2
        )
        self.dense = is_dense(self.region, radius)

    def preparing(self) -> dict[str, float]:
        """Seconds by stage where nothing is there yet."""
        jacobian = self._jacobian()
        if not self.dense:
            return {"jacobian": jacobian, "factor": self._solutions(), "maps": 0.0}
        frame = math.prod(side + 2 * RING for side in self.region.shape)
        kept = 8 * self.pixels**2 + 16 * self.entries
        return {
            "jacobian": jacobian,
            "surroundings": frame**3 / 3 / self.speed.cholesky + 8 * 6 * frame**2 / self.speed.copy,
            "factor": self._factor(),
            "cache": self.moving(kept),
            "maps": self.maps(),
        }

    def _jacobian(self) -> float:
        """(2r+1)² products in groups, and sorting the entries."""
        whole = self.radius >= self.region.tap_radius
        near: Region = self.region if whole else narrowed(self.region, self.radius)
        period = 2 * near.tap_radius + 1
        colours = math.prod(min(period, side) for side in near.shape)
        seconds, together = jacobian_pass_s(near)
        return -(-colours // together) * seconds + self.entries * self.speed.entry_s

    def _factor(self) -> float:
        n, m = self.pixels, self.outputs
        band = min(n, self.region.shape[1] * (2 * self.radius + 1 + _BAND_ROWS // self.region.shape[1]))
        products = m * band * n + m * n**2  # J L, and half of its square
        return (
            products / self.speed.product
            + n**3 / 3 / self.speed.cholesky
            + n**3 / self.speed.triangular
            + 8 * 6 * n**2 / self.speed.copy
        )

    def _solutions(self) -> float:
        """A rough one: iterations with a product with J and one with Jᵀ for each column."""
        return _COLUMNS * _ITERATIONS * 2 * self._column_s()

    def _column_s(self) -> float:
        """One product of J with a column: with the matrix where there is one, else through f."""
        if self.entries:
            return self.entries * self.speed.sparse_s
        seconds, together = jacobian_pass_s(self.region)
        return seconds / together

    def maps(self) -> float:
        """η of so many discs: three triangular systems and a product for each."""
        height, width = self.region.shape
        stride = max(STRIDE, math.ceil(math.sqrt(self.pixels / MOST_DISCS)))
        rows, columns = self.spacing
        discs = math.prod(
            max(0, side - int(DIAMETER_MM / mm)) // stride for side, mm in ((height, rows), (width, columns))
        )
        return 3.5 * self.pixels**2 * discs / self.speed.triangular

    def moving(self, size: float) -> float:
        """A factor from or to disk: read or written, hashed and copied."""
        return size / self.speed.digest + 4 * size / self.speed.copy

    def block(self, tier: str, generator: str) -> float:
        """One block of samples."""
        region, steps = self.region, _STEPS[tier]
        together = region.images_per_pass
        passes = 1.0 + steps + (_METAMER_PASSES if generator == "metamer" else 0.0)
        both = 1.0 if region.representation.tap == OUTPUT else 2.0
        looks = passes * both * -(-BLOCK // together) * pass_s(region)
        drawn = self.outputs * BLOCK * self.speed.normal_s
        if not self.dense:
            return looks + drawn + BLOCK * (1 + steps) * _ITERATIONS * 2 * self._column_s()
        products = (2 + 2 * steps) * 2 * self.pixels**2 * BLOCK / self.speed.thin
        sparse = 2 * (1 + steps) * BLOCK * self.entries * self.speed.sparse_s
        return looks + drawn + products + sparse
