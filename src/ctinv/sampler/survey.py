"""What a request means on a scan: f(x), C and ε.

It takes seconds, and is enough to know whether a stored study already answers the request. C, the tiers and the step of
the samples are in the unit of the volume, HU for a CT.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctinv.denoiser import OUTPUT, Denoiser, slice_stack
from ctinv.errors import InputError
from ctinv.fibre.correct import QUANTUM_HU
from ctinv.fibre.covariance import RING, Covariance, Known, SurroundedNoise
from ctinv.fibre.iterative import MARGIN
from ctinv.fibre.memory import check_memory, is_dense
from ctinv.fibre.noise import noise_covariance
from ctinv.fibre.region import MOST, Region, grow
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import TierRule, step_of, window_of
from ctinv.generators.contract import Proposer, Scene
from ctinv.progress import Progress
from ctinv.representation import Representation
from ctinv.sampler.batch import MOST_VOXELS
from ctinv.volume import Box, Volume

RESCANS = 32
SMALLEST_REGION = 8


@dataclass(frozen=True)
class Wish:
    """What is asked of a region, apart from how many samples: the arguments of `InvarianceSampler`."""

    tap: str
    proposer: Proposer
    tier: str = "T2"
    window_hu: float | None = None
    photons: float | None = None
    noise_sigma: float | None = None
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
        quantum: Step to which samples are rounded, in the unit of the volume; 0 keeps float32.
        window_source: Where the window of T2 comes from (`ctinv.fibre.tiers.window_of`).
        seconds: Time by stage.
    """

    volume: Volume
    region: Region
    clean: Tensor
    covariance: Covariance
    noise_source: dict[str, Any]
    rule: TierRule
    noise_rms: float
    quantum: float
    window_source: str
    seconds: dict[str, float] = field(default_factory=dict)

    def scene(self, noise: SurroundedNoise) -> Scene:
        """What a generator is given."""
        scan = torch.from_numpy(slice_stack(self.volume.hu, self.region.box.z, self.denoiser.slices))
        return Scene(self.region, noise, scan.to(self.clean.device), self.clean, self.rule.sigma_out_hu)

    @property
    def denoiser(self) -> Denoiser:
        """f."""
        return self.region.representation.denoiser


def survey(
    denoiser: Denoiser,
    volume: Volume,
    box: Box,
    wish: Wish,
    *,
    device: torch.device,
    progress: Progress | None = None,
    most: int = MOST,
) -> Survey:
    """Look at a region: f(x), C and ε.

    Args:
        denoiser: f, already on the device.
        volume: The scan.
        box: The region, in the voxels of the volume.
        wish: Tap, generator, tier.
        device: Where to compute.
        progress: Called with a phrase and a finished share.
        most: Images that may go through f at once, where memory is short.

    Raises:
        InputError: The box lies outside, is too small or too large, or the scan cannot be re-noised.
        ResourceError: The region does not fit into memory.
    """
    box.check_inside(volume.shape)
    if min(box.shape) < SMALLEST_REGION:
        raise InputError(
            f"expected a region of at least {SMALLEST_REGION} x {SMALLEST_REGION} voxels, "
            f"got {box.shape[0]} x {box.shape[1]}."
        )
    denoiser.check_unit(volume.unit)
    window, window_source = window_of(volume, wish.window_hu)
    if volume.modality != "CT":  # a slice alone would tell another step than the volume
        volume = replace(volume, acquisition=replace(volume.acquisition, step=step_of(volume)))
    clock = Clock(progress)
    clock.stage("denoise", "denoising the slice")
    scan = torch.from_numpy(slice_stack(volume.hu, box.z, denoiser.slices)).to(device)
    region = Region.in_slice(Representation(denoiser, wish.tap), scan, box).within(most)
    if math.prod(region.output_box.shape) > MOST_VOXELS:
        raise InputError(
            f"a region of {box.shape[0]} x {box.shape[1]} voxels changes f on {region.output_box.shape[0]} x "
            f"{region.output_box.shape[1]}, more than the {MOST_VOXELS} that a study holds; choose a smaller box."
        )
    check_memory(region, wish.memory_budget)
    with torch.inference_mode():
        clean = denoiser(scan[None])[0, 0]
    clock.stage("noise", "re-noising the slice for C")
    area = grow(
        box,
        max(2 * region.radius, RING, 0 if is_dense(region) else MARGIN),
        (volume.shape[1], volume.shape[2]),
    )
    known = Known(photons=wish.photons, sigma=wish.noise_sigma)
    covariance, source = noise_covariance(volume[box.z], clean.cpu().numpy(), area, known=known)
    sigma_out, noise_rms = responses(region, covariance, clean)
    relative = region.representation.unit == "relative"
    rule = TierRule(
        wish.tier, relative=relative, window_hu=window, sigma_out_hu=sigma_out, step=step_of(volume)
    )
    quantum = 0.0 if wish.tier == "T0" else _quantum(volume, covariance)
    clock.stage("")
    return Survey(
        volume, region, clean, covariance, source, rule, noise_rms, quantum, window_source, clock.seconds
    )


def _quantum(volume: Volume, covariance: Covariance) -> float:
    """1/8 HU for CT; else a power of two that is at most 1/8 of the stored step, so that rounding stays far below T1, and
    at most 1/64 of the noise, so that nothing of it is lost."""
    if volume.modality == "CT":
        return QUANTUM_HU
    finest = min(step_of(volume) / 8.0, float(np.median(covariance.total_sigma)) / 64.0)
    return float(2.0 ** np.floor(np.log2(finest)))


def responses(region: Region, covariance: Covariance, clean: Tensor) -> tuple[float, float]:
    """σ_out in HU and the RMS of Φ's response to noise, over re-scans of the same anatomy f(x).

    The re-scans are noisy inside and outside the region: it is the patient who is scanned again, not the region. The
    neighbours that a 2.5-D network sees stay as scanned: C is the noise of the middle slice.
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
            scans = region.between_neighbours((anatomy + noise)[:, None])
            outputs.append(region.look(scans, OUTPUT)[..., rows, columns])
            if region.representation.unit == "relative":
                inner.append(region.look(scans)[..., rows, columns])
    sigma_out = _rms_deviation(outputs)
    return sigma_out, _rms_deviation(inner) if inner else 1.0


def _rms_deviation(parts: list[Tensor]) -> float:
    return float(torch.cat(parts).var(dim=0).mean().sqrt())
