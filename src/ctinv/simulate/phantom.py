"""Phantoms with a known truth."""

from __future__ import annotations

import numpy as np

from ctinv.errors import InputError
from ctinv.volume import Volume


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
    distance = np.hypot(*np.mgrid[-(size // 2) : size - size // 2, -(size // 2) : size - size // 2])
    # A rim of one pixel goes linearly from water to air, as in a voxel that holds both.
    share = np.clip(diameter_mm / (2 * pixel_mm) - distance + 0.5, 0, 1)
    hu = np.broadcast_to((1000 * (share - 1)).astype(np.float32), (slices, size, size)).copy()
    affine = np.array(
        [[0, 0, pixel_mm, 0], [0, pixel_mm, 0, 0], [slice_mm, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64
    )
    return Volume(
        hu=hu, affine=affine, uid=f"phantom:water:{size}:{pixel_mm}:{diameter_mm}:{slices}:{slice_mm}"
    )
