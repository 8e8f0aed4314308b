"""Small discs on a region, in mm: pixels may be anisotropic, and an edge pixel holds its exact share of the disc.

A pixel (i, j) is the rectangle of one spacing around its centre. The share of it that a disc covers follows from the area
of the disc to the lower left of a corner, taken at the four corners. It is smooth in place and diameter, so both can be
searched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.fibre.jacobian import csr

Spacing = tuple[float, float]


@dataclass(frozen=True)
class Disc:
    """A disc on a region.

    Attributes:
        y: Row of its centre; the centre of the first pixel is 0.
        x: Column of its centre.
        diameter_mm: Diameter in mm.
    """

    y: float
    x: float
    diameter_mm: float

    def fits(self, shape: tuple[int, int], spacing_mm: Spacing) -> bool:
        """Whether all of it lies on a region of this (h, w)."""
        return all(
            abs(centre - (size - 1) / 2) + self.diameter_mm / 2 / step <= size / 2
            for centre, step, size in zip((self.y, self.x), spacing_mm, shape, strict=True)
        )

    def image(self, shape: tuple[int, int], spacing_mm: Spacing) -> NDArray[np.float32]:
        """(h, w) float32, the share of each pixel that it covers: 1 inside, 0 outside.

        Args:
            shape: Height and width of the region in pixels.
            spacing_mm: Distance of rows and of columns in mm.
        """
        (dy, dx), radius = spacing_mm, self.diameter_mm / 2
        down = (np.arange(shape[0] + 1) - 0.5 - self.y) * dy
        right = (np.arange(shape[1] + 1) - 0.5 - self.x) * dx
        corners = _area_below(right[None, :], down[:, None], radius)
        share = np.diff(np.diff(corners, axis=0), axis=1) / (dy * dx)
        return np.clip(share, 0.0, 1.0).astype(np.float32)


def _area_below(a: NDArray[np.floating], b: NDArray[np.floating], radius: float) -> NDArray[np.float64]:
    """Area of a disc around the origin within {x ≤ a, y ≤ b}, for arrays that broadcast."""
    a, b = np.broadcast_arrays(np.clip(a, -radius, radius), np.clip(b, -radius, radius))
    # Between ±edge the line y = b cuts the chord at x. Beyond, the whole chord counts if b is above the centre, else none.
    edge = np.sqrt(np.maximum(radius**2 - b**2, 0.0))  # rounding may go below 0 at the rim
    middle = np.clip(a, -edge, edge)
    cut = b * (middle + edge) + _half_chords(middle, radius) - _half_chords(-edge, radius)
    whole = _half_chords(a, radius) - _half_chords(-radius, radius)
    inner = _half_chords(middle, radius) - _half_chords(-edge, radius)
    return np.where(b >= 0, cut + 2.0 * (whole - inner), cut)


def _half_chords(t: NDArray[np.floating] | float, radius: float) -> NDArray[np.float64]:
    """Antiderivative of √(r² - t²)."""
    t = np.clip(t, -radius, radius)
    area: NDArray[np.float64] = (
        t * np.sqrt(np.maximum(radius**2 - t**2, 0.0)) + radius**2 * np.arcsin(t / radius)
    ) / 2
    return area


@dataclass(frozen=True, eq=False)
class DiscGrid:
    """Discs of one diameter on the pixels of a region, wherever all of one fits.

    Attributes:
        shape: Height and width of the region.
        diameter_mm: Their diameter.
        rows: (k,) rows of the pixels they belong to.
        columns: (l,) columns of these.
        stride: Pixels between neighbours.
        offset: Rows and columns from the pixel's centre to that of its disc.
        signals: (k·l, n) sparse float32, one disc of 1 HU per line, row by row.
    """

    shape: tuple[int, int]
    diameter_mm: float
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    stride: int
    offset: tuple[float, float]
    signals: Tensor

    @classmethod
    def on(
        cls,
        shape: tuple[int, int],
        spacing_mm: Spacing,
        diameter_mm: float,
        *,
        stride: int = 1,
        offset: tuple[float, float] = (0.0, 0.0),
    ) -> DiscGrid:
        """Discs at each `stride`-th pixel; none where none fits.

        Args:
            shape: Height and width of the region in pixels.
            spacing_mm: Distance of rows and of columns in mm.
            diameter_mm: Diameter in mm.
            stride: Pixels between neighbours.
            offset: Rows and columns from a pixel's centre to that of its disc, each up to half a pixel.
        """
        half_y, half_x = (
            max(math.ceil(diameter_mm / 2 / step - 0.5 + abs(away)), 0)
            for step, away in zip(spacing_mm, offset, strict=True)
        )
        rows = np.arange(half_y, shape[0] - half_y, stride)
        columns = np.arange(half_x, shape[1] - half_x, stride)
        middle = Disc(half_y + offset[0], half_x + offset[1], diameter_mm)
        patch = middle.image((2 * half_y + 1, 2 * half_x + 1), spacing_mm)
        down, right = np.nonzero(patch)
        corner = (rows[:, None] - half_y) * shape[1] + columns[None, :] - half_x
        places = corner.reshape(-1, 1) + (down * shape[1] + right)[None, :]
        count, each = places.shape
        signals = csr(
            torch.arange(count + 1) * each,
            torch.from_numpy(places.reshape(-1)),
            torch.from_numpy(np.tile(patch[down, right], count)),
            (count, shape[0] * shape[1]),
        )
        return cls(shape, diameter_mm, rows, columns, stride, offset, signals)

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def disc(self, index: int) -> Disc:
        """The disc of one line of the signals."""
        row, column = divmod(index, len(self.columns))
        (down, right) = self.offset
        return Disc(float(self.rows[row]) + down, float(self.columns[column]) + right, self.diameter_mm)

    def image(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """(h, w) float32 of (k·l,) values: each fills its stride, NaN where no disc fits."""
        image = np.full(self.shape, np.nan, dtype=np.float32)
        if not len(self):
            return image
        table = np.asarray(values, dtype=np.float32).reshape(len(self.rows), len(self.columns))
        wide = np.repeat(np.repeat(table, self.stride, axis=0), self.stride, axis=1)
        top, left = int(self.rows[0]), int(self.columns[0])
        target = image[top : self.shape[0] - top, left : self.shape[1] - left]
        target[...] = wide[: target.shape[0], : target.shape[1]]
        return image
