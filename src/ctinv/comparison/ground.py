"""What all networks are compared on: one anatomy, and one C from it.

C is the noise of the scan, a fact of patient and scanner and of no network. But it is found by re-noising an estimate of the
anatomy, and alone each network takes its own, f(x). In a comparison that would be wrong twice: each network would be
judged in a metric of its own, and would draw its candidates around another image than the others. Here the estimate is the
median of all f_i(x), pixel by pixel: no network is the reference, and one odd network does not move it. All then share ŷ, C,
the noise around the region and, row by row, the very candidates; what differs between their samples is f alone. How far each
network's own C lies from the common one is part of the result.

C is taken on the widest of the areas that the networks need: the spectrum lives on a torus of that size, and a larger one
resolves the lowest frequencies better, where a region's own C would depend on how far its network reaches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import fft
from torch import Tensor

from ctinv.fibre.covariance import Covariance, Known
from ctinv.fibre.dimension import BANDS
from ctinv.fibre.noise import noise_covariance
from ctinv.progress import Progress
from ctinv.sampler import InvarianceSampler
from ctinv.sampler.survey import Survey, responses
from ctinv.volume import Box, Volume


@dataclass(frozen=True, eq=False)
class Ground:
    """The common ground of a comparison.

    Attributes:
        surveys: Name of each network to what the request means for it, in the common C.
        anatomy: (H, W) HU, the median of all f_i(x), ŷ.
        covariance: C around the region.
        source: Where C comes from.
        own: Name of each network to how its own C differs: ``sigma_ratio`` (RMS of σ over the region, own over common),
            ``sigma_deviation`` (RMS of σ_own/σ - 1), ``band_ratio`` (share of the noise power in each band, own over common)
            and ``anatomy_hu`` (RMS over the region of f(x) - ŷ).
    """

    surveys: Mapping[str, Survey]
    anatomy: Tensor
    covariance: Covariance
    source: dict[str, Any]
    own: dict[str, dict[str, Any]]


def common_ground(
    samplers: Mapping[str, InvarianceSampler], volume: Volume, box: Box, *, progress: Progress | None = None
) -> Ground:
    """Survey a region with every network, then put all on one anatomy and one C.

    Args:
        samplers: Name to sampler, all of one tier, window and device.
        volume: The scan.
        box: The region.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: The box lies outside, or a network was made for another unit.
    """
    found = {name: sampler.survey(volume, box, progress=progress) for name, sampler in samplers.items()}
    first, wish = next(iter(found.values())), next(iter(samplers.values())).wish
    images = np.stack([one.clean.cpu().numpy() for one in found.values()])
    anatomy = np.median(images, axis=0).astype(np.float32)
    widest = max(
        (one.covariance.area for one in found.values()), key=lambda area: area.shape[0] * area.shape[1]
    )
    known = Known(photons=wish.photons, sigma=wish.noise_sigma)
    covariance, source = noise_covariance(first.volume[box.z], anatomy, widest, known=known)
    source = {**source, "anatomy": "median of f(x) over the compared networks"}
    clean = torch.from_numpy(anatomy).to(first.clean.device)
    quantum = min(one.quantum for one in found.values())
    surveys = {
        name: _on_common(one, covariance, source, clean, quantum=quantum) for name, one in found.items()
    }
    own = {name: _difference(one, covariance, anatomy, box) for name, one in found.items()}
    return Ground(surveys, clean, covariance, source, own)


def _on_common(
    found: Survey, covariance: Covariance, source: dict[str, Any], clean: Tensor, *, quantum: float
) -> Survey:
    """The same request in the common C, with σ_out taken anew in it."""
    sigma_out, noise_rms = responses(found.region, covariance, clean)
    rule = replace(found.rule, sigma_out_hu=sigma_out)
    return replace(
        found,
        clean=clean,
        covariance=covariance,
        noise_source=source,
        rule=rule,
        noise_rms=noise_rms,
        quantum=quantum,
    )


def _difference(found: Survey, common: Covariance, anatomy: np.ndarray, box: Box) -> dict[str, Any]:
    """How a network's own C differs from the common one on the region."""
    own = found.covariance
    mine, shared = own.part(own.total_sigma, box), common.part(common.total_sigma, box)
    bands, reference = band_shares(own), band_shares(common)
    distance = found.clean.cpu().numpy()[box.slices] - anatomy[box.slices]
    return {
        "sigma_ratio": float(np.sqrt(np.mean(mine**2) / np.mean(shared**2))),
        "sigma_deviation": float(np.sqrt(np.mean((mine / shared - 1.0) ** 2))),
        "band_ratio": {name: bands[name] / reference[name] for name in BANDS},
        "anatomy_hu": float(np.sqrt(np.mean(distance.astype(np.float64) ** 2))),
    }


def band_shares(covariance: Covariance) -> dict[str, float]:
    """Share of the coloured noise's power in each band of `BANDS`."""
    size = len(covariance.spectrum)
    radius = np.hypot(fft.fftfreq(size)[:, None], fft.fftfreq(size)[None, :])
    return {
        name: float(covariance.spectrum[(radius >= low) & (radius < high)].sum() / covariance.spectrum.sum())
        for name, (low, high) in BANDS.items()
    }
