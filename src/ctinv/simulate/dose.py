"""How many photons a scan used: from its dose tags, or fitted to its own noise.

``photons`` always means the effective number N0 of photons per detector element and view on the central ray
without an object, for 720 views over half a turn and detector elements one pixel wide. Effective: it is the
number that reproduces a scan's noise in HU through our reconstruction, so it absorbs detector efficiency,
scatter, and the vendor's kernel and iterative denoising.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctinv.errors import InputError
from ctinv.simulate.geometry import DEFAULT_VIEWS, MU_WATER_PER_MM, ParallelGeometry
from ctinv.simulate.projector import Array, fbp_variance, forward_project
from ctinv.volume import Acquisition, Volume

PHOTONS_PER_MAS_MM2 = 850.0
"""Effective photons per mAs and mm² of slice thickness x pixel at 120 kVp: the fit to the filtered
back-projection scan LIDC-IDRI-0001 (228 mAs, 2.5 mm, 0.703 mm, STANDARD) gives 850. Scans with iterative
denoising reach several times as much."""

DEFAULT_PHOTONS = 350_000.0
"""Assumed when a scan has no dose tags: that of a chest CT of 228 mAs, 2.5 mm slices and 0.7 mm pixels."""

BOWTIE_DIAMETER_MM = 360.0
BOWTIE_STRENGTH = 0.5

_FIT_VIEWS = 180
_WINDOW = 21  # pixels
_SOFT_TISSUE_HU = (-20.0, 180.0)
# The 90th percentile over windows lies above the truth by the windows' own scatter: measured on water.
_FIT_BIAS = 1.16


def photons_from_tags(acquisition: Acquisition, pixel_mm: float) -> float | None:
    """N0 of a scan by the calibration `PHOTONS_PER_MAS_MM2`, or None where a dose tag is missing.

    N0 = 850 · mAs · thickness · pixel · (kVp / 120)², the kVp law being the usual one for tube output.

    Args:
        acquisition: Dose tags of the scan; a `photons` entry in it is returned as it is.
        pixel_mm: Pixel spacing in mm.
    """
    if acquisition.photons is not None:
        return acquisition.photons
    tags = (acquisition.kvp, acquisition.exposure_mas, acquisition.slice_thickness_mm)
    if any(tag is None or not tag > 0 for tag in tags):
        return None
    kvp, mas, thickness = (float(tag) for tag in tags if tag is not None)
    return PHOTONS_PER_MAS_MM2 * mas * thickness * pixel_mm * (kvp / 120.0) ** 2


def bowtie(geometry: ParallelGeometry) -> NDArray[np.float64]:
    """(rays,) share of N0 that reaches each detector element without an object, 1 in the middle.

    A body filter that makes up for half of what a water cylinder of 360 mm lacks beside its central ray.
    """
    radius = BOWTIE_DIAMETER_MM / 2
    chord = 2 * np.sqrt(np.maximum(radius**2 - geometry.ray_mm**2, 0.0))
    return np.exp(-BOWTIE_STRENGTH * MU_WATER_PER_MM * (BOWTIE_DIAMETER_MM - chord))


def line_integrals(hu: Array, geometry: ParallelGeometry, *, projector: str = "scikit-image") -> Array:
    """(views, rays) P = ∫ μ of a slice (H, W) in HU; values below air, such as padding, count as air."""
    mu = np.maximum(MU_WATER_PER_MM * (1 + hu.astype(np.float32) / 1000), 0).astype(np.float32)
    return np.maximum(forward_project(mu, geometry, projector=projector), 0)


def counts(integrals: Array, geometry: ParallelGeometry, *, photons: float) -> Array:
    """(views, rays) expected photons N = N0 · bowtie · e^(−P), at least one, for the geometry's views."""
    if not (np.isfinite(photons) and photons > 0):
        raise InputError(
            f"the number of photons must be positive, got {photons}; typical values are 1e5 to 3e6."
        )
    entrance = photons * (DEFAULT_VIEWS / geometry.views) * bowtie(geometry)
    return np.maximum(entrance * np.exp(-integrals), 1).astype(np.float32)


def fit_photons(volume: Volume, *, slices: int = 8, projector: str = "scikit-image") -> float:
    """N0 that reproduces the noise a scan shows in homogeneous soft tissue.

    The local variance in windows of 21 pixels is compared with the variance that one photon would give
    there. Anatomy can only add to the variance, so the 90th percentile of the quotient over all windows is
    taken.

    Args:
        volume: Whole slices of a scan.
        slices: How many slices, evenly spread, are looked at.
        projector: As in `forward_project`.

    Raises:
        InputError: No homogeneous soft tissue was found.
    """
    geometry = ParallelGeometry.of(volume, views=_FIT_VIEWS)
    chosen = np.unique(np.linspace(0, volume.shape[0] - 1, slices + 2).round().astype(int)[1:-1])
    found = []
    for z in chosen:
        hu = volume.hu[z]
        inside = _soft_tissue(hu)
        if not inside.any():
            continue
        integrals = line_integrals(hu, geometry, projector=projector)
        per_photon = np.float32(1e9) / counts(integrals, geometry, photons=1e9)
        expected = fbp_variance(per_photon, geometry) * (1000 / MU_WATER_PER_MM) ** 2
        found.append((expected / np.maximum(_local_variance(hu), 1e-3))[inside])
    if not found:
        raise InputError("no homogeneous soft tissue to fit the dose to; give the number of photons instead.")
    return float(np.percentile(np.concatenate(found), 90) / _FIT_BIAS)


def _soft_tissue(hu: Array) -> NDArray[np.bool_]:
    """(H, W) whether the whole window around a pixel is soft tissue."""
    smooth = ndimage.gaussian_filter(hu, 2.0)
    low, high = _SOFT_TISSUE_HU
    return ndimage.minimum_filter((smooth > low) & (smooth < high), _WINDOW + 4, mode="constant")


def _local_variance(hu: Array) -> Array:
    """(H, W) variance in HU² of each window, after a slow trend is taken off."""
    detail = hu - ndimage.gaussian_filter(hu, 8.0)
    return ndimage.uniform_filter(detail**2, _WINDOW) - ndimage.uniform_filter(detail, _WINDOW) ** 2
