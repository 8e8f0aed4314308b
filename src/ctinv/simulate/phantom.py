"""Phantoms with a known truth, and their scans at a chosen dose."""

from __future__ import annotations

from dataclasses import replace
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.simulate.dose import DEFAULT_PHOTONS, counts, line_integrals
from ctinv.simulate.geometry import ParallelGeometry
from ctinv.simulate.low_dose import noise_image, scan_variance, slice_generator
from ctinv.volume import Acquisition, Volume

CONTRASTS_HU = (30.0, 15.0, 8.0)
"""Contrast of each group of discs to the water around them."""

DIAMETERS_MM = (15.0, 9.0, 7.0, 5.0, 3.0)
"""Discs of each group, the largest first."""

RODS_HU = (-1000.0, -200.0, 120.0, 990.0)
"""Rods of air, and about of polymethylpentene, acrylic and Teflon, which show that HU are right."""

ROD_MM = 12.0


def water_phantom(
    *,
    size: int = 512,
    pixel_mm: float = 0.7,
    diameter_mm: float = 300.0,
    slices: int = 1,
    slice_mm: float = 1.0,
) -> Volume:
    """A water cylinder (0 HU) in air (−1000 HU), its axis on the axis of rotation, free of noise.

    Args:
        size: Rows and columns.
        pixel_mm: Pixel spacing in mm.
        diameter_mm: Diameter of the cylinder; it must fit into the slice.
        slices: Number of equal slices.
        slice_mm: Distance between them in mm.

    Raises:
        InputError: The cylinder does not fit.
    """
    if not 0 < diameter_mm < (size - 2) * pixel_mm:
        raise InputError(
            f"a cylinder of {diameter_mm} mm does not fit into a slice of {size * pixel_mm:.4g} mm."
        )
    # A rim of one pixel goes linearly from water to air, as in a voxel that holds both.
    share = _share(size, 0.0, 0.0, diameter_mm / (2 * pixel_mm))
    hu = np.broadcast_to((1000 * (share - 1)).astype(np.float32), (slices, size, size)).copy()
    affine = np.array(
        [[0, 0, pixel_mm, 0], [0, pixel_mm, 0, 0], [slice_mm, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64
    )
    return Volume(
        hu=hu, affine=affine, uid=f"phantom:water:{size}:{pixel_mm}:{diameter_mm}:{slices}:{slice_mm}"
    )


def contrast_phantom(
    *,
    size: int = 512,
    pixel_mm: float = 0.5,
    diameter_mm: float = 200.0,
    slices: int = 1,
    slice_mm: float = 2.5,
) -> Volume:
    """A water cylinder with discs of low contrast and small size, and rods of known HU, free of noise.

    Three groups of discs, one for each of `CONTRASTS_HU`, stand around the centre, each with one disc of each of
    `DIAMETERS_MM`; the rods of `RODS_HU` stand nearer to the rim. Patterned after the modules that are used for tests of
    CT scanners; no copy of one.

    Args:
        size: Rows and columns.
        pixel_mm: Pixel spacing in mm.
        diameter_mm: Diameter of the cylinder, at least 160 mm.
        slices: Number of equal slices.
        slice_mm: Distance between them in mm.

    Raises:
        InputError: The cylinder does not fit, or the discs do not fit into it.
    """
    if diameter_mm < 160:
        raise InputError(f"the discs need a cylinder of at least 160 mm, got {diameter_mm} mm.")
    water = water_phantom(
        size=size, pixel_mm=pixel_mm, diameter_mm=diameter_mm, slices=slices, slice_mm=slice_mm
    )
    image = water.hu[0].copy()
    for y_mm, x_mm, disc_mm, contrast in _discs():
        share = _share(size, y_mm / pixel_mm, x_mm / pixel_mm, disc_mm / (2 * pixel_mm))
        image += share * np.float32(contrast)
    hu = np.broadcast_to(image, water.hu.shape).copy()
    return replace(water, hu=hu, uid=water.uid.replace("water", "contrast"))


def phantom_scan(truth: Volume, *, dose: float = 1.0, seed: int = 0) -> Volume:
    """A scan of a phantom whose slices are all equal and free of noise.

    Args:
        truth: The phantom, in HU.
        dose: Fraction of the photons of a usual chest CT, `ctinv.simulate.DEFAULT_PHOTONS`.
        seed: Seed of the noise, which is another one in each slice.

    Raises:
        InputError: The dose is not above 0, or the slices differ.
    """
    if not 0 < dose <= 1:
        raise InputError(f"the dose is a fraction above 0, up to 1, got {dose}; write 0.25 for a quarter.")
    if (truth.hu != truth.hu[0]).any():
        raise InputError("the slices of the phantom differ; give one whose slices are all equal.")
    geometry, photons = ParallelGeometry.of(truth), DEFAULT_PHOTONS * dose
    variance = scan_variance(counts(line_integrals(truth.hu[0], geometry), geometry, photons=photons))
    noise = [
        noise_image(variance, geometry, slice_generator(seed, truth.offset[0] + z))
        for z in range(truth.shape[0])
    ]
    hu = truth.hu + np.stack(noise)
    acquisition = Acquisition(photons=photons, dose_fraction=dose if dose < 1 else None)
    note = f"simulated with {photons:.4g} photons, seed {seed}"
    return replace(truth.with_hu(hu), acquisition=acquisition, notes=(note,))


def _discs() -> list[tuple[float, float, float, float]]:
    """Centre y and x in mm from the axis, diameter in mm, and HU above water, of each disc and rod."""
    discs = []
    for group, hu in enumerate(CONTRASTS_HU):
        for place, disc_mm in enumerate(DIAMETERS_MM):
            angle = 2 * pi * (group + (place + 0.5) / len(DIAMETERS_MM)) / len(CONTRASTS_HU)
            discs.append((42 * sin(angle), 42 * cos(angle), disc_mm, hu))
    for place, hu in enumerate(RODS_HU):
        angle = pi * (0.5 + place) / 2
        discs.append((68 * sin(angle), 68 * cos(angle), ROD_MM, hu))
    return discs


def _share(size: int, y: float, x: float, radius: float) -> NDArray[np.float32]:
    """(size, size) share of each pixel inside a disc, with a rim of one pixel; lengths in pixels from the centre."""
    rows, columns = np.mgrid[-(size // 2) : size - size // 2, -(size // 2) : size - size // 2]
    return np.clip(radius - np.hypot(rows - y, columns - x) + 0.5, 0, 1).astype(np.float32)
