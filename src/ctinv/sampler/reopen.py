"""A stored study ready to be fed back and analysed: region, K and C again, from the study and its denoiser alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ctinv.denoiser import Denoiser
from ctinv.errors import StoreError
from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import Covariance
from ctinv.fibre.region import Region
from ctinv.fibre.tiers import TierRule
from ctinv.progress import Progress
from ctinv.representation import Representation
from ctinv.sampler.batch import NoiseModel, Setting
from ctinv.sampler.gain import GainRequest
from ctinv.sampler.samples import Samples
from ctinv.sampler.store import Store
from ctinv.sampler.survey import Clock
from ctinv.volume import Box


def reopen(
    study: Store | Samples,
    denoiser: Denoiser,
    *,
    memory_budget: int | None = None,
    cache: bool = True,
    progress: Progress | None = None,
) -> tuple[Corrector, Covariance]:
    """The corrector and C of a study; its factor comes from the cache where it is still there.

    Args:
        study: The study.
        denoiser: Its denoiser, on the device to compute on.
        memory_budget: Bytes that may be used; 80 % of what is free by default.
        cache: Whether the factor is looked up and kept on disk.
        progress: Called with a phrase and a finished share.

    Raises:
        StoreError: The study does not fit the denoiser, or was made before studies kept C.
    """
    request = gain_request(study, denoiser, memory_budget=memory_budget, cache=cache)
    setting, region = study.setting, request.region
    clock = Clock(progress)
    factor = request.build(clock, progress)
    clock.stage("")
    clean = torch.from_numpy(setting.fx)[None, None].to(region.context.device)
    noise_rms = setting.scalars["noise_rms"]
    corrector = Corrector(region, factor, factor.noise, clean, rule_of(study), noise_rms, setting.quantum)
    return corrector, request.covariance


def gain_request(
    study: Store | Samples, denoiser: Denoiser, *, memory_budget: int | None = None, cache: bool = True
) -> GainRequest:
    """What decides the gain of a study; arguments and errors as for `reopen`."""
    known = known_noise(study.setting)
    return GainRequest(
        region_of(study, denoiser),
        Covariance(known.area, known.sigma, known.spectrum, known.white),
        known.residual,
        study.provenance.tolerance * study.setting.scalars["noise_rms"],
        memory_budget=memory_budget,
        cache=cache,
    )


def known_noise(setting: Setting) -> NoiseModel:
    """C around the region of a study.

    Raises:
        StoreError: The study is older than studies that keep C.
    """
    if setting.noise is None:
        raise StoreError(
            "this study was made before studies kept the noise covariance C, so it cannot be analysed; sample it anew."
        )
    return setting.noise


def rule_of(study: Store | Samples) -> TierRule:
    """The tiers of a study."""
    provenance = study.provenance
    return TierRule(
        provenance.tier,
        relative=provenance.tolerance_unit == "relative",
        window_hu=provenance.window_hu,
        sigma_out_hu=study.setting.scalars["sigma_out_hu"],
        step=provenance.step,
    )


def region_of(study: Store | Samples, denoiser: Denoiser) -> Region:
    """The region of a study, from its stored surroundings, in the voxels of its scan.

    Raises:
        StoreError: The stored surroundings do not fit the denoiser or the stored scan.
    """
    setting = study.setting
    box, around = Box.parse(study.provenance.box), setting.context_box
    local = Box(0, box.y0 - around.y0, box.y1 - around.y0, box.x0 - around.x0, box.x1 - around.x0)
    if len(setting.context) != denoiser.slices:
        raise StoreError(
            f"the study was made with a network of {len(setting.context)} slices and {denoiser.name} sees "
            f"{denoiser.slices}; name the denoiser it was made with."
        )
    middle = setting.context[denoiser.slices // 2]
    if not np.array_equal(middle[local.slices], setting.volume.hu[0]):
        raise StoreError(
            "the scan stored in this study differs from its surroundings; the study was changed."
        )
    device = next(denoiser.parameters()).device
    context = torch.from_numpy(np.ascontiguousarray(setting.context)).to(device)
    region = Region.in_slice(Representation(denoiser, study.provenance.tap), context, local)
    if region.output_box.shape != setting.output_box.shape:
        raise StoreError(
            f"the study was made with another receptive field than that of {denoiser.name}; "
            "name the denoiser it was made with."
        )
    return replace(region, box=box, output_box=setting.output_box, context_box=around)
