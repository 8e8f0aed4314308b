"""Everything about one region that all its samples share: set up once, then 250 samples cost seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.denoiser import OUTPUT, Denoiser
from ctinv.errors import InputError
from ctinv.fibre.correct import QUANTUM_HU, Corrector
from ctinv.fibre.covariance import RING, ConditionalNoise, Covariance
from ctinv.fibre.factor import Factor
from ctinv.fibre.jacobian import SparseJacobian, probe
from ctinv.fibre.lesions import lesion_map
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


@dataclass(frozen=True, eq=False)
class Prepared:
    """One region, ready to sample.

    Attributes:
        setting: What all samples share, with the maps of linear theory.
        corrector: Moves candidates onto the fibre and certifies them.
        generator: Proposes candidates.
        noise_source: Where C comes from, for the provenance.
        seconds: Time by stage.
        covariance: C around the region.
    """

    setting: Setting
    corrector: Corrector
    generator: Generator
    noise_source: dict[str, Any]
    seconds: dict[str, float]
    covariance: Covariance

    @property
    def tolerance(self) -> float:
        """ε as it goes into the provenance: HU at the input and output, relative inside."""
        return self.corrector.rule.tolerance


class _Clock:
    """Names the stages, measures them, and passes the news on."""

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._stage, self._since = "", time.perf_counter()

    def stage(self, name: str, phrase: str = "") -> None:
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = name, now
        if phrase and self._progress is not None:
            self._progress(phrase, float("nan"))


def prepare(
    denoiser: Denoiser,
    volume: Volume,
    box: Box,
    wish: Wish,
    *,
    device: torch.device,
    progress: Progress | None = None,
) -> Prepared:
    """Set a region up: f(x), C, the surroundings' say, J and the factor.

    Args:
        denoiser: f, already on the device.
        volume: The scan.
        box: The region, in the voxels of the volume.
        wish: Tap, generator, tier.
        device: Where to compute.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: The box lies outside, is too small, or the scan cannot be re-noised.
    """
    box.check_inside(volume.shape)
    if min(box.shape) < SMALLEST_REGION:
        raise InputError(
            f"expected a region of at least {SMALLEST_REGION} x {SMALLEST_REGION} voxels, got {box.shape[0]} x {box.shape[1]}."
        )
    clock = _Clock(progress)
    clock.stage("denoise", "denoising the slice")
    scan = torch.from_numpy(np.ascontiguousarray(volume.hu[box.z])).to(device)
    region = Region.in_slice(Representation(denoiser, wish.tap), scan, box)
    with torch.inference_mode():
        clean = denoiser(scan[None, None])[0, 0]
    clock.stage("noise", "re-noising the slice for C")
    area = grow(box, max(2 * region.radius, RING), (volume.shape[1], volume.shape[2]))
    clean_cpu = clean.cpu().numpy()
    covariance, source = noise_covariance(volume[box.z], clean_cpu, area, photons=wish.photons)
    residual = (volume.hu[box.z] - clean_cpu)[area.slices].astype(np.float64)
    clock.stage("surroundings", "conditioning the noise on the surroundings")
    noise = ConditionalNoise.given(covariance, box, residual).to(device)
    clock.stage("noise of f")
    sigma_out, noise_rms = _responses(region, covariance, clean)
    rule = TierRule(
        wish.tier,
        relative=Representation(denoiser, wish.tap).unit == "relative",
        window_hu=wish.window_hu,
        sigma_out_hu=sigma_out,
    )
    clock.stage("jacobian", "taking the Jacobian")
    jacobian = probe(region, progress=progress)
    clock.stage("factor", "factorising")
    factor = Factor.build(jacobian, noise.root, rule.tolerance * noise_rms)
    patch = clean[box.slices][None, None].contiguous()
    quantum = 0.0 if wish.tier == "T0" else QUANTUM_HU
    corrector = Corrector(region, factor, noise, patch, rule, noise_rms, quantum)
    clock.stage("maps", "mapping lesions")
    setting = _setting(volume, corrector, covariance)
    clock.stage("")
    generator = GENERATORS[wish.generator](region, noise, patch)
    return Prepared(setting, corrector, generator, source, clock.seconds, covariance)


def _responses(region: Region, covariance: Covariance, clean: Tensor) -> tuple[float, float]:
    """σ_out in HU and the RMS of Φ's response to noise, over re-scans of the same anatomy f(x).

    The re-scans are noisy inside and outside the region: it is the patient who is scanned again, not the region.
    """
    seeds = RowSeeds(
        0, "re-scan", str(region.box)
    )  # their own family: σ_out does not depend on the user's seed
    top, left = region.context_box.y0 - covariance.area.y0, region.context_box.x0 - covariance.area.x0
    height, width = region.context_box.shape
    drawn = covariance.draw(range(RESCANS), seeds)[:, top : top + height, left : left + width]
    anatomy = clean[region.context_box.slices]
    scans = anatomy + torch.from_numpy(np.ascontiguousarray(drawn)).to(anatomy.device)
    rows, columns = region.halo
    with torch.inference_mode():
        output = region.look(scans[:, None], OUTPUT)[..., rows, columns]
        sigma_out = float(output.var(dim=0).mean().sqrt())
        if region.representation.unit == "HU":
            return sigma_out, 1.0
        inner = region.look(scans[:, None])[..., rows, columns]
        return sigma_out, float(inner.var(dim=0).mean().sqrt())


def _setting(volume: Volume, corrector: Corrector, covariance: Covariance) -> Setting:
    region, factor = corrector.region, corrector.factor
    shape = region.shape
    spread = factor.spread.reshape(shape).cpu().numpy()
    cut = volume[region.box]
    eta, lesion = lesion_map(corrector, spacing_mm=volume.spacing[1])
    scalars = {
        "sigma_out_hu": corrector.rule.sigma_out_hu,
        "sigma_noise_hu": float(np.sqrt(np.mean(covariance._part(covariance.total_sigma, region.box) ** 2))),
        "chi2_per_n_scan": float(corrector.chi2_per_n(region.scan)[0]),
        "d_eff": factor.d_eff,
        "free_share": factor.free_share,
        "spread_theory_hu": float(np.sqrt(np.mean(spread**2))),
        "tolerance": corrector.rule.tolerance,
        "noise_rms": corrector.noise_rms,
        **lesion,
    }
    return Setting(
        volume=replace(cut, hu=np.ascontiguousarray(cut.hu)),
        fx=_array(corrector.clean[0, 0]),
        fx_output=_array(region.reference_output[0, 0]),
        output_box=region.output_box,
        theory_spread=np.ascontiguousarray(spread, dtype=np.float32),
        eta=eta,
        scalars=scalars,
        quantum=corrector.quantum,
    )


def _array(values: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.cpu().numpy(), dtype=np.float32)
