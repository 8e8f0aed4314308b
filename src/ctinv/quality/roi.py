"""Statistics of regions of interest, and the voxels that belong to a drawn shape; pure functions with units.

A voxel belongs to a shape where its centre lies inside or on the edge. Shapes are given in voxel indices of one slice,
(row, column), where voxel (i, j) has its centre at exactly (i, j); they may be anywhere, also between voxels and in part
outside the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ctinv.errors import InputError

Mask = NDArray[np.bool_]
Indices = NDArray[np.int_]
Inside = Callable[[Indices, Indices], Mask]
_EDGE = 1e-9  # of an index or a radius: rounding never decides over a centre on the edge


@dataclass(frozen=True)
class RoiStatistics:
    """What the voxels of one region show in one image.

    Attributes:
        voxels: Number of voxels with a finite value.
        missing: Voxels of the region that the image does not cover or does not know.
        area_mm2: Area of the counted voxels in mm².
        mean: Mean, in the unit of the image; NaN without voxels.
        std: Standard deviation over the voxels (n − 1); NaN for fewer than two.
        minimum: Smallest value.
        maximum: Largest value.
        median: Median.
        unit: Unit of the image.
    """

    voxels: int
    missing: int
    area_mm2: float
    mean: float
    std: float
    minimum: float
    maximum: float
    median: float
    unit: str = "HU"

    def row(self) -> dict[str, Any]:
        """Name to value, as a line of a table."""
        return asdict(self)


def roi_statistics(
    values: NDArray[np.generic],
    mask: Mask,
    *,
    spacing_mm: tuple[float, float],
    missing: int = 0,
    unit: str = "HU",
) -> RoiStatistics:
    """Statistics of the voxels of an image that belong to a region.

    Args:
        values: (..., H, W) in `unit`; NaN and infinite values are counted as missing.
        mask: The region, of the same shape.
        spacing_mm: Distance of rows and of columns in mm.
        missing: Voxels of the region that lie outside the image.
        unit: Unit of the values.

    Raises:
        InputError: Image and mask differ in shape.
    """
    if values.shape != mask.shape:
        raise InputError(f"expected a mask of the image's shape {values.shape}, got {mask.shape}.")
    chosen = values[mask].astype(np.float64)
    known = chosen[np.isfinite(chosen)]
    nan = float("nan")
    low, middle, high = np.quantile(known, [0.0, 0.5, 1.0]).tolist() if known.size else (nan, nan, nan)
    return RoiStatistics(
        voxels=int(known.size),
        missing=missing + int(chosen.size - known.size),
        area_mm2=float(known.size * spacing_mm[0] * spacing_mm[1]),
        mean=float(known.mean()) if known.size else nan,
        std=float(known.std(ddof=1)) if known.size > 1 else nan,
        minimum=low,
        maximum=high,
        median=middle,
        unit=unit,
    )


def polygon_mask(corners: ArrayLike, shape: tuple[int, int]) -> tuple[Mask, int]:
    """The voxels of a polygon, a rectangle included.

    Args:
        corners: (N, 2) row and column of the corners in voxel indices, N ≥ 3.
        shape: (H, W) of the image.

    Returns:
        (H, W) mask, and the number of voxel centres of the polygon that lie outside the image.
    """
    points = _points(corners, at_least=3)

    def inside(rows: Indices, columns: Indices) -> Mask:
        return _even_odd(rows, columns, points) | _on_edge(rows, columns, points)

    return _rasterise(inside, points, shape)


def ellipse_mask(corners: ArrayLike, shape: tuple[int, int]) -> tuple[Mask, int]:
    """The voxels of the ellipse that touches the sides of a parallelogram in their middles.

    Args:
        corners: (4, 2) row and column of the corners in turn, in voxel indices.
        shape: (H, W) of the image.

    Returns:
        (H, W) mask, and the number of voxel centres of the ellipse that lie outside the image.
    """
    points = _points(corners, at_least=4)
    if len(points) != 4:
        raise InputError(f"expected the 4 corners around an ellipse, got {len(points)}.")
    centre, axes = points.mean(axis=0), np.stack([points[1] - points[0], points[3] - points[0]], axis=1) / 2
    if abs(np.linalg.det(axes)) < 1e-12:
        return np.zeros(shape, dtype=bool), 0
    across = np.linalg.inv(axes)

    def inside(rows: Indices, columns: Indices) -> Mask:
        away = (_centres(rows, columns) - centre) @ across.T
        return np.asarray((away**2).sum(axis=-1) <= 1.0 + _EDGE)

    return _rasterise(inside, points, shape)


def _rasterise(inside: Inside, points: NDArray[np.float64], shape: tuple[int, int]) -> tuple[Mask, int]:
    """Ask for every voxel centre of the bounding rectangle, also for those outside the image."""
    rows, columns = (_between(values) for values in points.T)
    mask = np.zeros(shape, dtype=bool)
    if not len(rows) or not len(columns):
        return mask, 0
    hits = np.argwhere(inside(rows, columns)) + np.array([rows[0], columns[0]])
    within = ((hits >= 0) & (hits < shape)).all(axis=1)
    mask[tuple(hits[within].T)] = True
    return mask, int((~within).sum())


def _between(values: NDArray[np.float64]) -> Indices:
    """The integers from the smallest to the largest value."""
    return np.arange(int(np.ceil(values.min() - _EDGE)), int(np.floor(values.max() + _EDGE)) + 1)


def _centres(rows: Indices, columns: Indices) -> NDArray[np.float64]:
    """(R, C, 2) positions of voxel centres."""
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).astype(np.float64)


def _even_odd(rows: Indices, columns: Indices, points: NDArray[np.float64]) -> Mask:
    """(R, C) whether a ray to the left crosses an odd number of sides: row by row, all sides that cross it."""
    crossed = np.zeros((len(rows), len(columns) + 1), dtype=np.int64)
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        hit = np.flatnonzero((start[0] <= rows) != (end[0] <= rows))
        if len(hit):
            place = start[1] + (rows[hit] - start[0]) * ((end[1] - start[1]) / (end[0] - start[0]))
            crossed[hit, np.clip(np.ceil(place) - columns[0], 0, len(columns)).astype(int)] += 1
    return np.asarray(np.cumsum(crossed[:, :-1], axis=1) % 2 == 1)


def _on_edge(rows: Indices, columns: Indices, points: NDArray[np.float64]) -> Mask:
    """(R, C) whether a voxel centre lies on a side of the polygon; each side asks only around itself."""
    found = np.zeros((len(rows), len(columns)), dtype=bool)
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        side, near = end - start, [_between(values) for values in np.stack([start, end]).T]
        if not side.any() or not len(near[0]) or not len(near[1]):
            continue
        from_start = _centres(near[0], near[1]) - start
        along = np.clip(from_start @ side / (side @ side), 0.0, 1.0)
        away = from_start - along[..., None] * side
        first = (near[0][0] - rows[0], near[1][0] - columns[0])
        part = found[first[0] : first[0] + len(near[0]), first[1] : first[1] + len(near[1])]
        part |= (away**2).sum(axis=-1) <= _EDGE**2
    return found


def _points(corners: ArrayLike, *, at_least: int) -> NDArray[np.float64]:
    points = np.asarray(corners, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < at_least or not np.isfinite(points).all():
        raise InputError(
            f"expected at least {at_least} corners as rows and columns in voxels, got an array of shape {points.shape}."
        )
    return points
