"""Everything about one region that all its samples share: set up once, then 250 samples cost seconds.

A `Survey` is what a request means on this scan: f(x), C, ε. It is cheap, and enough to know whether a stored study
already answers the request. `Prepared` adds the expensive part: J, the factor and the maps of linear theory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.denoiser import OUTPUT, Denoiser
from ctinv.errors import InputError
from ctinv.fibre.cache import factor_key, read_factor, write_factor
from ctinv.fibre.correct import QUANTUM_HU, Corrector
from ctinv.fibre.covariance import RING, Covariance, DenseNoise, SurroundedNoise
from ctinv.fibre.dimension import dimension
from ctinv.fibre.factor import Factor, Gain
from ctinv.fibre.iterative import MARGIN, IterativeGain, TorusNoise
from ctinv.fibre.jacobian import LocalJacobian, probe
from ctinv.fibre.lesions import lesion_map
from ctinv.fibre.memory import check_memory, is_dense, is_sparse
from ctinv.fibre.noise import noise_covariance
from ctinv.fibre.region import Region, grow
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import TierRule
from ctinv.generators import GENERATORS, Generator
from ctinv.representation import Representation
from ctinv.sampler.batch import Setting
from ctinv.volume import Box, Volume

Progress = Callable[[str, float], None]
RESCANS = 32
SMALLEST_REGION = 8


@dataclass(frozen=True)
class Wish:
    """What is asked of a region, apart from how many samples: the arguments of `InvarianceSampler`."""

    tap: str = OUTPUT
    generator: str = "renoise"
    tier: str = "T2"
    window_hu: float = 400.0
    photons: float | None = None
    memory_budget: int | None = None
    cache: bool = True


class Clock:
    """Measures stages and passes the news on."""

    def __init__(self, progress: Progress | None, seconds: dict[str, float] | None = None) -> None:
        self.seconds = dict(seconds or {})
        self._progress = progress
        self._stage, self._since = "", time.perf_counter()

    def stage(self, name: str, phrase: str = "") -> None:
        """End the running stage and begin one; an empty name only ends."""
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = name, now
        if phrase and self._progress is not None:
            self._progress(phrase, float("nan"))


@dataclass(frozen=True, eq=False)
class Survey:
    """What a request means on this scan.

    Attributes:
        volume: The scan.
        region: The region and the network.
        clean: (H, W) f(x) of the whole slice in HU.
        covariance: C around the region.
        noise_source: Where C comes from, for the provenance.
        rule: The tiers, with σ_out.
        noise_rms: RMS of Φ's response to noise, the unit of relative errors; 1 at the input and output.
        seconds: Time by stage.
    """

    volume: Volume
    region: Region
    clean: Tensor
    covariance: Covariance
    noise_source: dict[str, Any]
    rule: TierRule
    noise_rms: float
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Prepared:
    """One region, ready to sample.

    Attributes:
        setting: What all samples share, with the maps of linear theory.
        corrector: Moves candidates onto the fibre and certifies them.
        generator: Proposes candidates.
        noise_source: Where C comes from.
        seconds: Time by stage.
    """

    setting: Setting
    corrector: Corrector
    generator: Generator
    noise_source: dict[str, Any]
    seconds: dict[str, float]

    def dimension(self, tolerances: Sequence[float]) -> list[dict[str, Any]]:
        """d_eff(ε) and the free shares; see `ctinv.fibre.dimension.dimension`."""
        return dimension(self.corrector, tolerances)


def survey(
    denoiser: Denoiser,
    volume: Volume,
    box: Box,
    wish: Wish,
    *,
    device: torch.device,
    progress: Progress | None = None,
) -> Survey:
    """Look at a region: f(x), C and ε.

    Args:
        denoiser: f, already on the device.
        volume: The scan.
        box: The region, in the voxels of the volume.
        wish: Tap, generator, tier.
        device: Where to compute.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: The box lies outside, is too small, or the scan cannot be re-noised.
        ResourceError: The region does not fit into memory.
    """
    box.check_inside(volume.shape)
    if min(box.shape) < SMALLEST_REGION:
        raise InputError(
            f"expected a region of at least {SMALLEST_REGION} x {SMALLEST_REGION} voxels, "
            f"got {box.shape[0]} x {box.shape[1]}."
        )
    clock = Clock(progress)
    clock.stage("denoise", "denoising the slice")
    scan = torch.from_numpy(np.ascontiguousarray(volume.hu[box.z])).to(device)
    region = Region.in_slice(Representation(denoiser, wish.tap), scan, box)
    check_memory(region, wish.memory_budget)
    with torch.inference_mode():
        clean = denoiser(scan[None, None])[0, 0]
    clock.stage("noise", "re-noising the slice for C")
    area = grow(
        box,
        max(2 * region.radius, RING, 0 if is_dense(region) else MARGIN),
        (volume.shape[1], volume.shape[2]),
    )
    covariance, source = noise_covariance(volume[box.z], clean.cpu().numpy(), area, photons=wish.photons)
    sigma_out, noise_rms = _responses(region, covariance, clean)
    relative = region.representation.unit == "relative"
    rule = TierRule(wish.tier, relative=relative, window_hu=wish.window_hu, sigma_out_hu=sigma_out)
    clock.stage("")
    return Survey(volume, region, clean, covariance, source, rule, noise_rms, clock.seconds)


def prepare(found: Survey, wish: Wish, *, progress: Progress | None = None) -> Prepared:
    """Set a region up: what the surroundings say, J, the factor, the maps of linear theory."""
    region, rule = found.region, found.rule
    clock = Clock(progress, found.seconds)
    tolerance = rule.tolerance * found.noise_rms
    residual = _residual(found)
    noise: SurroundedNoise
    factor: Gain
    if is_dense(region):
        dense = _dense_factor(found, residual, tolerance, clock, progress, cache=wish.cache)
        noise, factor = dense.noise, dense
    else:
        clock.stage("surroundings", "conditioning the noise on the surroundings")
        torus = TorusNoise.given(found.covariance, region.box, residual, region.context.device)
        clock.stage("jacobian", "taking the Jacobian")
        local = probe(region, progress=progress) if is_sparse(region) else LocalJacobian(region, region.scan)
        clock.stage("factor", "solving for the spread of linear theory")
        noise, factor = torus, IterativeGain.build(local, torus, tolerance)
    patch = found.clean[region.box.slices][None, None].contiguous()
    corrector = Corrector(
        region, factor, noise, patch, rule, found.noise_rms, 0.0 if wish.tier == "T0" else QUANTUM_HU
    )
    clock.stage("maps", "mapping lesions")
    setting = _setting(found, corrector)
    clock.stage("")
    return Prepared(
        setting,
        corrector,
        GENERATORS[wish.generator](region, noise, patch),
        found.noise_source,
        clock.seconds,
    )


def _residual(found: Survey) -> NDArray[np.float64]:
    """x - ŷ around the region in HU."""
    scan, clean = found.volume.hu[found.region.box.z], found.clean.cpu().numpy()
    return np.asarray((scan - clean)[found.covariance.area.slices], dtype=np.float64)


def _dense_factor(
    found: Survey,
    residual: NDArray[np.float64],
    tolerance: float,
    clock: Clock,
    progress: Progress | None,
    *,
    cache: bool,
) -> Factor:
    """The factor of a region, from the cache if it was built before."""
    region, device = found.region, found.region.context.device
    key = ""
    if cache:
        clock.stage("cache")
        denoiser = region.representation.denoiser
        facts = {"tap": region.representation.tap, "boxes": [str(region.box), str(region.context_box)]}
        numbers = {"tolerance": tolerance, "mean": denoiser.mean, "std": denoiser.std, "device": device.type}
        model = [denoiser.network.state_dict()[name] for name in sorted(denoiser.network.state_dict())]
        surroundings = [
            torch.from_numpy(part) for part in (residual, found.covariance.sigma, found.covariance.spectrum)
        ]
        key = factor_key({**facts, **numbers}, region.context, *surroundings, *model)
        kept = read_factor(key, device)
        if kept is not None:
            return kept
    clock.stage("surroundings", "conditioning the noise on the surroundings")
    noise = DenseNoise.given(found.covariance, region.box, residual).to(device)
    clock.stage("jacobian", "taking the Jacobian")
    jacobian = probe(region, progress=progress)
    clock.stage("factor", "factorising")
    factor = Factor.build(jacobian, noise, tolerance)
    if cache:
        clock.stage("cache")
        write_factor(key, factor)
    return factor


def _responses(region: Region, covariance: Covariance, clean: Tensor) -> tuple[float, float]:
    """σ_out in HU and the RMS of Φ's response to noise, over re-scans of the same anatomy f(x).

    The re-scans are noisy inside and outside the region: it is the patient who is scanned again, not the region.
    """
    seeds = RowSeeds(
        0, "re-scan", str(region.box)
    )  # a family of their own: σ_out does not depend on the user's seed
    top, left = region.context_box.y0 - covariance.area.y0, region.context_box.x0 - covariance.area.x0
    height, width = region.context_box.shape
    anatomy = clean[region.context_box.slices]
    rows, columns = region.halo
    outputs, inner = [], []
    with torch.inference_mode():
        for start in range(0, RESCANS, region.images_per_pass):
            drawn = covariance.draw(range(start, min(start + region.images_per_pass, RESCANS)), seeds)
            noise = torch.from_numpy(
                np.ascontiguousarray(drawn[:, top : top + height, left : left + width])
            ).to(anatomy.device)
            scans = (anatomy + noise)[:, None]
            outputs.append(region.look(scans, OUTPUT)[..., rows, columns])
            if region.representation.unit == "relative":
                inner.append(region.look(scans)[..., rows, columns])
    sigma_out = _rms_deviation(outputs)
    return sigma_out, _rms_deviation(inner) if inner else 1.0


def _rms_deviation(parts: list[Tensor]) -> float:
    return float(torch.cat(parts).var(dim=0).mean().sqrt())


def _setting(found: Survey, corrector: Corrector) -> Setting:
    region, factor = corrector.region, corrector.factor
    spread = _array(factor.spread.reshape(region.shape))
    eta, lesion = lesion_map(corrector, spacing_mm=found.volume.spacing[1])
    scalars = {
        "sigma_out_hu": corrector.rule.sigma_out_hu,
        "sigma_noise_hu": float(
            np.sqrt(np.mean(found.covariance.part(found.covariance.total_sigma, region.box) ** 2))
        ),
        "chi2_per_n_scan": float(corrector.chi2_per_n(region.scan)[0]),
        "d_eff": factor.d_eff,
        "free_share": 1.0 - factor.d_eff / factor.pixels,
        "spread_theory_hu": float(np.sqrt(np.mean(spread**2))),
        "noise_rms": corrector.noise_rms,
        **lesion,
    }
    return Setting(
        volume=found.volume[region.box],
        fx=_array(corrector.clean[0, 0]),
        fx_output=_array(region.reference_output[0, 0]),
        output_box=region.output_box,
        theory_spread=spread,
        eta=eta,
        scalars=scalars,
        quantum=corrector.quantum,
        context=_array(region.context[0, 0]),
        context_box=region.context_box,
    )


def _array(values: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.cpu().numpy(), dtype=np.float32)
