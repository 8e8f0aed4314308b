"""From what is drawn to voxels: shapes and labels in the viewer's world, asked on the voxel grid of any image.

All places are (S, P, L) in millimetres, the viewer's last three axes. A region lies in one plane, across one of the axes.
Plain functions on arrays and on the few attributes of a layer; no viewer and no Qt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ctinv.quality.roi import Mask, ellipse_mask, polygon_mask

AREAS = ("rectangle", "ellipse", "polygon")
"""Kinds of shapes that hold voxels; a line or a path holds none."""

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Grid:
    """Where the voxels of an image lie.

    Attributes:
        shape: Voxels along the viewer's last three axes.
        scale: mm per voxel along them, negative where the array runs against the axis.
        translate: Position of the first voxel in mm.
    """

    shape: tuple[int, int, int]
    scale: Triple
    translate: Triple

    @classmethod
    def of(cls, layer: Any) -> Grid:
        """The grid of an image or labels layer of two, three or four axes; a flat one lies in every slice."""
        last = slice(-3, None)
        shape, scale, translate = layer.data.shape[last], layer.scale[last], layer.translate[last]
        if layer.ndim == 2:
            shape, scale, translate = (1, *shape), (np.inf, *scale), (0.0, *translate)
        return cls(tuple(int(n) for n in shape), _triple(scale), _triple(translate))  # type: ignore[arg-type]

    def index(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 3) positions in mm as voxel indices."""
        found: NDArray[np.float64] = (points - np.array(self.translate)) / np.array(self.scale)
        return found

    def centres(self, axis: int) -> NDArray[np.float64]:
        """(n,) positions of the voxels along an axis in mm."""
        if not np.isfinite(self.scale[axis]):
            return np.array([np.nan])
        return self.translate[axis] + self.scale[axis] * np.arange(self.shape[axis], dtype=np.float64)

    def plane(self, axis: int) -> tuple[tuple[int, int], tuple[float, float]]:
        """Shape of a plane across an axis, and the distance of its rows and columns in mm."""
        one, other = (n for n in range(3) if n != axis)
        return (self.shape[one], self.shape[other]), (abs(self.scale[one]), abs(self.scale[other]))


@dataclass(frozen=True, eq=False)
class Cut:
    """A region on the voxels of one image.

    Attributes:
        axis: The axis it lies across, 0 for an axial plane.
        index: Index of the plane; −1 where the image has none there.
        mask: (H, W) its voxels in the plane.
        missing: Voxels of the region beyond the image.
    """

    axis: int
    index: int
    mask: Mask
    missing: int

    def of(self, values: Any) -> NDArray[np.generic]:
        """(H, W) values of a (Z, Y, X) image in the plane."""
        place: list[Any] = [slice(None)] * 3
        place[self.axis] = max(self.index, 0)
        return np.asarray(values[tuple(place)])


class Region(Protocol):
    """One region: a name, and its voxels on any grid."""

    name: str

    def on(self, grid: Grid) -> Cut:
        """The region on a grid."""


@dataclass(frozen=True, eq=False)
class ShapeRegion:
    """A drawn shape.

    Attributes:
        name: What it is called in the table.
        kind: One of `AREAS`.
        corners: (N, 3) in mm; those around it for an ellipse.
    """

    name: str
    kind: str
    corners: NDArray[np.float64]

    @property
    def axis(self) -> int:
        """The axis it lies across: the one along which it has no extent."""
        return int(np.argmin(np.round(np.ptp(self.corners, axis=0), 6)))

    def on(self, grid: Grid) -> Cut:
        """Its voxels by their centres."""
        axis = self.axis
        index = grid.index(self.corners)
        shape, _ = grid.plane(axis)
        rasterise = ellipse_mask if self.kind == "ellipse" else polygon_mask
        mask, missing = rasterise(np.delete(index, axis, axis=1), shape)
        return _in_plane(axis, float(index[:, axis].mean()), grid, mask, missing)


@dataclass(frozen=True, eq=False)
class LabelRegion:
    """One label of a Labels layer, in the plane that is seen.

    Attributes:
        name: What it is called in the table.
        value: The label.
        labels: (Z, Y, X) the labels.
        grid: Where they lie.
        axis: The axis across which the plane lies.
        height: Position of the plane in mm.
    """

    name: str
    value: int
    labels: NDArray[np.integer]
    grid: Grid
    axis: int
    height: float

    def on(self, grid: Grid) -> Cut:
        """The voxels of the grid whose centres lie in voxels with this label."""
        axis, point = self.axis, np.zeros((1, 3))
        point[0, self.axis] = self.height
        shape, _ = grid.plane(axis)
        own = _index_or_none(float(self.grid.index(point)[0, axis]), self.grid.shape[axis])
        mask, missing = np.zeros(shape, dtype=bool), 0
        if own is not None:
            plane = np.take(self.labels, own, axis=axis) == self.value
            axes = [n for n in range(3) if n != axis]
            within = [_nearest(grid.centres(n), self.grid, n) for n in axes]
            known = [np.flatnonzero(one >= 0) for one in within]
            picked = plane[np.ix_(within[0][known[0]], within[1][known[1]])]
            mask[np.ix_(*known)] = picked
            covered = [_nearest(self.grid.centres(n), grid, n) >= 0 for n in axes]
            missing = int(plane.sum() - plane[np.ix_(*covered)].sum())
        return _in_plane(axis, float(grid.index(point)[0, axis]), grid, mask, missing)


def regions_of_shapes(layer: Any, height: float) -> list[ShapeRegion]:
    """The shapes of a Shapes layer that hold voxels.

    Args:
        layer: The layer; shapes of a flat one lie at `height`.
        height: Position of the visible slice in mm.
    """
    found = []
    for number, (kind, data) in enumerate(zip(layer.shape_type, layer.data, strict=True), start=1):
        if kind in AREAS:
            world = np.array([layer.data_to_world(corner) for corner in data])[:, -3:]
            if world.shape[1] == 2:
                world = np.column_stack([np.full(len(world), height), world])
            found.append(ShapeRegion(f"{kind} {number}", kind, world))
    return found


def regions_of_labels(layer: Any, axis: int, height: float) -> list[LabelRegion]:
    """The labels of a Labels layer that are seen in a plane.

    Args:
        layer: The layer.
        axis: The axis across which the plane lies.
        height: Its position in mm.
    """
    grid, labels = Grid.of(layer), np.asarray(layer.data)
    labels = labels.reshape(-1, *grid.shape)[0]
    point = np.zeros((1, 3))
    point[0, axis] = height
    index = _index_or_none(float(grid.index(point)[0, axis]), grid.shape[axis])
    if index is None:
        return []
    seen = np.unique(np.take(labels, index, axis=axis))
    return [
        LabelRegion(f"label {value}", int(value), labels, grid, axis, height) for value in seen if value != 0
    ]


def _in_plane(axis: int, place: float, grid: Grid, mask: Mask, missing: int) -> Cut:
    index = _index_or_none(place, grid.shape[axis])
    if index is None:
        return Cut(axis, -1, np.zeros_like(mask), missing + int(mask.sum()))
    return Cut(axis, index, mask, missing)


def _index_or_none(place: float, size: int) -> int | None:
    index = round(place)
    return index if 0 <= index < size else None


def _nearest(places: NDArray[np.float64], grid: Grid, axis: int) -> NDArray[np.int_]:
    """Index along an axis of the voxel that holds each position; −1 beyond the grid."""
    if not np.isfinite(grid.scale[axis]):
        return np.zeros(len(places), dtype=int)
    index = np.floor((places - grid.translate[axis]) / grid.scale[axis] + 0.5).astype(int)
    return np.where((index >= 0) & (index < grid.shape[axis]), index, -1)


def _triple(values: Sequence[float]) -> Triple:
    z, y, x = (float(value) for value in values)
    return z, y, x
