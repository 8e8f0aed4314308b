"""Several denoisers on one region of one scan, from the request to the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.comparison.cross import LEVEL, Entry, Q, cross, scan_of
from ctinv.comparison.ground import common_ground
from ctinv.comparison.look import Images, Look, look
from ctinv.comparison.words import sentences
from ctinv.denoiser import Denoiser
from ctinv.errors import InputError
from ctinv.progress import Progress, named
from ctinv.sampler import InvarianceSampler
from ctinv.sampler.provenance import hash_series
from ctinv.sampler.sampler import METHOD_VERSION, check_request
from ctinv.volume import Box, Volume


@dataclass(frozen=True, eq=False)
class Comparison:
    """What several networks show on one region.

    Attributes:
        request: Scan, region, tier, n, seed and networks as JSON values; the scan as a hash.
        noise: Source of the common C, and under ``own`` how each network's own C differs from it.
        looks: Name to what one network shows.
        entries: The matrix, rows of j (whose samples) by columns of i (who sees them).
        scan_slice: (H, W) HU, the slice, for the picture.
        anatomy: (h, w) HU, ŷ on the region.
    """

    request: dict[str, Any]
    noise: dict[str, Any]
    looks: Mapping[str, Look]
    entries: list[Entry]
    scan_slice: NDArray[np.float32]
    anatomy: Images

    @property
    def names(self) -> list[str]:
        """Names of the networks in order."""
        return list(self.looks)

    @property
    def scan(self) -> Images:
        """(h, w) HU, x on the region."""
        return scan_of(next(iter(self.looks.values())).region)

    def entry(self, samples_of: str, seen_by: str) -> Entry:
        """One entry of the matrix."""
        return next(one for one in self.entries if (one.samples_of, one.seen_by) == (samples_of, seen_by))

    def sentences(self) -> list[str]:
        """The matrix in words."""
        return sentences(self.entries, tier=self.request["tier"], unit=self.request["unit"])

    def to_json(self) -> dict[str, Any]:
        """All figures; no image and nothing that names the patient."""
        return {
            **self.request,
            "noise": self.noise,
            "networks": {
                name: {**one.figures, "dimension": one.dimension, "lesions": _lesions_json(one)}
                for name, one in self.looks.items()
            },
            "matrix": [one.to_json() for one in self.entries],
            "null": {
                "law": "x plus noise of C given the surroundings, as large as each sample's difference from x",
                "test": "one-sided Mann-Whitney on the RMSE at the seeing network",
                "threshold": f"q < {Q}",
                "false_discoveries": "Benjamini-Hochberg over all ordered pairs of networks",
                "interval_level": LEVEL,
            },
            "sentences": self.sentences(),
        }


def compare(
    denoisers: Mapping[str, Denoiser],
    volume: Volume,
    box: Box,
    *,
    tier: str = "T2",
    n: int = 100,
    seed: int = 0,
    window_hu: float | None = None,
    device: str = "auto",
    photons: float | None = None,
    noise_sigma: float | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare networks on one region: what each leaves free, and what of it the others see.

    All share ŷ, C and the seed, hence the candidates (`ctinv.comparison.ground`).

    Args:
        denoisers: Name to network, at least two.
        volume: The scan.
        box: The region.
        tier: Exactness of the samples; T3 is relative to each network's own σ_out, the others are the same HU for all.
        n: Samples of each network.
        seed: Seed of the rows.
        window_hu: Display window of T2 in the scan's unit, as in `InvarianceSampler`; so are the next three.
        device: Where to compute.
        photons: Photons per ray of a CT.
        noise_sigma: Noise of an MR image.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: Fewer than two networks, one of another unit, or a request that cannot be met.
    """
    if len(denoisers) < 2:
        raise InputError(
            f"a comparison needs at least two denoisers, got {len(denoisers)}; name another one."
        )
    check_request(n, seed)
    box.check_inside(volume.shape)
    for denoiser in denoisers.values():
        denoiser.check_unit(volume.unit)
    settings: dict[str, Any] = {"tier": tier, "window_hu": window_hu, "device": device}
    settings |= {"photons": photons, "noise_sigma": noise_sigma}
    samplers = {name: InvarianceSampler(denoiser, **settings) for name, denoiser in denoisers.items()}
    ground = common_ground(samplers, volume, box, progress=progress)
    looks = {
        name: look(sampler, ground.surveys[name], n=n, seed=seed, progress=named(progress, name))
        for name, sampler in samplers.items()
    }
    if progress is not None:
        progress("feeding samples through the other networks", float("nan"))
    return Comparison(
        request=_request(denoisers, volume, box, tier, n, seed, next(iter(looks.values())).rule.window_hu),
        noise={**ground.source, "own": ground.own},
        looks=looks,
        entries=cross(looks),
        scan_slice=volume.hu[box.z],
        anatomy=np.ascontiguousarray(ground.anatomy[box.slices].cpu().numpy(), dtype=np.float32),
    )


def _request(
    denoisers: Mapping[str, Denoiser], volume: Volume, box: Box, tier: str, n: int, seed: int, window: float
) -> dict[str, Any]:
    return {
        "series": hash_series(volume.uid),
        "box": str(box),
        "spacing_mm": volume.spacing,
        "unit": volume.unit,
        "tier": tier,
        "window_hu": window,
        "n": n,
        "seed": seed,
        "method": METHOD_VERSION,
        "weights": {name: one.weights_sha256 for name, one in denoisers.items()},
    }


def _lesions_json(look: Look) -> dict[str, Any] | None:
    """What the network does to lesions; without its maps."""
    found = look.lesions
    return (
        None if found is None else {"sentence": found.sentence, **found.figures, "curves": dict(found.curves)}
    )
