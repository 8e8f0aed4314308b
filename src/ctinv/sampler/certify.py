"""Certify a stored study again, trusting only its images.

f and Φ are computed anew on every stored sample. The unit of NFE (σ_out), χ²/n and the raw errors belong to the noise
model and to candidates that are not stored; they are carried over and named here for what they are.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import torch

from ctinv.denoiser import Denoiser
from ctinv.errors import InputError
from ctinv.fibre.measure import measure
from ctinv.fibre.tiers import Certificate, TierRule
from ctinv.sampler.reopen import region_of, rule_of
from ctinv.sampler.samples import Samples
from ctinv.sampler.store import Store

ABSOLUTE = 2e-3  # of the stored step (1 HU for CT): twice the float32 repeatability of f between machines
_REPEATABLE = 5e-7  # of the largest value, for units in which that is more
RELATIVE = 2e-3
_FIGURES = ("error", "rmse_hu", "max_hu", "p99_hu")


def recertify(study: Store | Samples, denoiser: Denoiser) -> tuple[list[Certificate], bool]:
    """Feed every sample of a study back.

    Args:
        study: The study.
        denoiser: Its denoiser, on the device to compute on.

    Returns:
        New certificates in the order of the rows, and whether the stored ones agree with them: errors within 0.002 HU (of
        another unit: stored steps) or 0.2 %, and the verdict that follows from the errors.

    Raises:
        InputError: Its samples are of the target domain: there is nothing to feed back.
        StoreError: The stored surroundings do not fit the denoiser or the stored scan.
    """
    if study.provenance.domain == "target":
        raise InputError(
            f"the samples of {study.provenance.generator} are images as f should make them, not scans, so there is nothing "
            "to feed back; certify a study of an input-domain generator."
        )
    setting = study.setting
    region = region_of(study, denoiser)
    rule = rule_of(study)
    unit = 2.0**0.5 * rule.sigma_out_hu
    absolute = max(ABSOLUTE * rule.step, _REPEATABLE * float(np.abs(setting.context).max()))
    found, agree = [], True
    for batch in study.batches():
        patches = torch.from_numpy(np.ascontiguousarray(batch.x_tilde))[:, None].to(region.context.device)
        output, inner = region.errors(patches)
        for index, stored in enumerate(batch.certificates):
            figures = measure(region, output[index], inner[index], setting.scalars["noise_rms"])
            verdict = {"tier": rule.best(**figures), "passed": rule.met(rule.asked, **figures)}
            new = Certificate(**{**asdict(stored), **figures, "nfe": figures["rmse_hu"] / unit, **verdict})
            agree = agree and _same(stored, new, rule, absolute)
            found.append(new)
    return found, agree


def _same(stored: Certificate, new: Certificate, rule: TierRule, absolute: float) -> bool:
    """Whether the stored figures are the new ones, and the stored verdict follows from them."""
    close = all(
        abs(getattr(stored, name) - getattr(new, name)) <= absolute + RELATIVE * abs(getattr(new, name))
        for name in (*_FIGURES, "nfe")
    )
    figures = {name: getattr(stored, name) for name in _FIGURES}
    return close and stored.tier == rule.best(**figures) and stored.passed == rule.met(rule.asked, **figures)
