"""Parallel-beam geometry of one CT slice.

Rays are ``t = (x − cx)·cos θ − (y − cy)·sin θ`` in pixels, with the centre of rotation on the pixel ``(H //
2, W // 2)`` and detector elements one pixel apart, so detector and image share their Nyquist frequency.
Views cover half a turn; the detector covers the diagonal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.volume import Volume

MU_WATER_PER_MM = 0.0192
"""Linear attenuation of water in 1/mm at the effective energy of a 120 kVp beam, about 70 keV."""

DEFAULT_VIEWS = 720


@dataclass(frozen=True)
class ParallelGeometry:
    """Views and rays of one square-pixel slice.

    Attributes:
        shape: Rows and columns of the slice.
        pixel_mm: Pixel spacing, also the spacing of the detector elements, in mm.
        views: Number of views over 180 degrees.
    """

    shape: tuple[int, int]
    pixel_mm: float
    views: int = DEFAULT_VIEWS

    def __post_init__(self) -> None:
        if min(self.shape) < 2 or self.views < 2 or self.views % 2:
            raise InputError(
                f"expected at least 2 x 2 pixels and an even number of views, got {self.shape}, {self.views}."
            )
        if not self.pixel_mm > 0:
            raise InputError(f"a positive pixel spacing in mm is needed, got {self.pixel_mm}.")

    @classmethod
    def of(cls, volume: Volume, *, views: int = DEFAULT_VIEWS) -> ParallelGeometry:
        """The geometry of a volume's slices.

        Raises:
            InputError: The pixels are not square.
        """
        _, row_mm, column_mm = volume.spacing
        if abs(row_mm - column_mm) > 0.01 * row_mm:
            raise InputError(
                f"dose simulation needs square pixels, got {row_mm:.4g} x {column_mm:.4g} mm; "
                "resample the scan first."
            )
        return cls(shape=volume.shape[1:], pixel_mm=row_mm, views=views)

    @property
    def centre(self) -> tuple[int, int]:
        """Row and column of the pixel on the axis of rotation."""
        return self.shape[0] // 2, self.shape[1] // 2

    @property
    def rays(self) -> int:
        """Number of detector elements, odd, enough for the corners of the slice."""
        return 2 * math.ceil(math.hypot(*self.centre)) + 3

    @property
    def angles(self) -> NDArray[np.float64]:
        """(views,) angles θ in radian."""
        return np.arange(self.views, dtype=np.float64) * (np.pi / self.views)

    @property
    def ray_mm(self) -> NDArray[np.float64]:
        """(rays,) distance t of each ray from the axis in mm."""
        return (np.arange(self.rays, dtype=np.float64) - self.rays // 2) * self.pixel_mm
