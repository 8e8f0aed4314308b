"""From what the user sees to what the core takes: a layer to a Volume, a drawn shape or the view to a Box.

Plain functions on arrays and on the few attributes of a layer; no viewer and no Qt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ctinv.errors import InputError
from ctinv.io import check_hu, voxel_uid
from ctinv.volume import Box, Volume
from napari_ctinv.layers import layer_info
from napari_ctinv.placement import affine_of, place

DEFAULT_EDGE = 64
"""Edge of the region that is proposed at the centre of the view, in voxels."""


def volume_of(layer: Any, *, finite: bool = True) -> Volume:
    """The volume behind an image layer: the one that was read, or one made from its values, scale and place.

    Args:
        layer: A napari image layer, or anything with its data, metadata and transforms.
        finite: Refuse values that no CT has; maps may hold NaN.

    Raises:
        InputError: The layer is not a CT image in HU that lies along the patient's axes.
    """
    volume = layer_info(layer.metadata).get("volume")
    if isinstance(volume, Volume) and _unchanged(layer, volume):
        return volume
    data = layer.data
    if getattr(layer, "rgb", False) or data.ndim not in (2, 3):
        raise InputError(
            f"expected a layer with one image or one volume in HU, got an array of shape {tuple(data.shape)}."
        )
    if data.dtype.kind not in "iuf" or data.dtype == np.uint8:
        raise InputError(
            f"expected CT numbers in HU, got a layer of type {data.dtype}; convert it to HU first."
        )
    if np.any(layer.rotate != np.eye(data.ndim)) or np.any(np.asarray(layer.shear) != 0):
        raise InputError("the layer is rotated or sheared; resample it along the axes first.")
    hu = np.ascontiguousarray(np.asarray(data), dtype=np.float32)
    if finite:
        check_hu(hu, "the layer")
    scale, translate = tuple(layer.scale), tuple(layer.translate)
    if data.ndim == 2:
        hu, scale, translate = hu[None], (1.0, *scale), (0.0, *translate)
    affine = affine_of(scale, translate)
    return Volume(hu=hu, affine=affine, uid=voxel_uid(hu, affine))


def _unchanged(layer: Any, volume: Volume) -> bool:
    """Whether a layer still shows this volume at its place, so that the better-known volume may be used."""
    data = layer.data
    if (
        not isinstance(data, np.ndarray)
        or data.shape != volume.shape
        or not np.shares_memory(data, volume.hu)
    ):
        return False
    placed = place(volume.affine, volume.shape)
    return bool(
        np.allclose(layer.scale, placed.scale) and np.allclose(layer.translate, placed.translate, atol=1e-3)
    )


def world_to_index(points: ArrayLike, volume: Volume) -> NDArray[np.float64]:
    """(N, 3) points in the viewer's world, (S, P, L) mm, to voxel indices (z, y, x) of the volume."""
    placed = place(volume.affine, volume.shape)
    return (np.asarray(points, dtype=np.float64) - placed.translate) / np.array(placed.scale)


def slice_index(world_z: float, volume: Volume) -> int:
    """The slice of the volume at this height in mm.

    Raises:
        InputError: No slice of the volume lies there.
    """
    placed = place(volume.affine, volume.shape)
    z = round((world_z - placed.translate[0]) / placed.scale[0])
    if not 0 <= z < volume.shape[0]:
        raise InputError("the visible slice lies outside the chosen scan; move the slice slider into it.")
    return int(z)


def box_from_shape(vertices: ArrayLike, volume: Volume, *, world_z: float) -> Box:
    """The voxels whose centres lie inside the bounding rectangle of a drawn shape.

    Args:
        vertices: (N, D) corners in the viewer's world in mm, D ≥ 2; the last axes are (z,) y and x.
        volume: The scan.
        world_z: Height of the visible slice, used where the shape has no z of its own.

    Raises:
        InputError: The shape lies outside the scan or covers no voxel.
    """
    points = np.asarray(vertices, dtype=np.float64)
    height = float(points[:, -3].mean()) if points.shape[1] >= 3 else world_z
    z = slice_index(height, volume)
    world = np.column_stack([np.full(len(points), height), points[:, -2:]])
    index = world_to_index(world, volume)[:, 1:]
    low, high = np.ceil(index.min(axis=0) - 1e-9), np.floor(index.max(axis=0) + 1e-9)
    y0, x0 = (max(0, int(value)) for value in low)
    y1, x1 = (min(size, int(value) + 1) for value, size in zip(high, volume.shape[1:], strict=True))
    if y0 >= y1 or x0 >= x1:
        raise InputError("the drawn rectangle covers no voxel of the scan; draw it over the chosen layer.")
    return Box(z, y0, y1, x0, x1)


def box_around(centre: Sequence[float], volume: Volume, *, world_z: float, edge: int = DEFAULT_EDGE) -> Box:
    """A box of `edge` x `edge` voxels around a point (y, x) in mm, moved to stay inside the slice."""
    z = slice_index(world_z, volume)
    index = world_to_index([[world_z, *centre[-2:]]], volume)[0, 1:]
    spans = []
    for middle, size in zip(index, volume.shape[1:], strict=True):
        length = min(edge, size)
        start = int(np.clip(round(float(middle) - length / 2 + 0.5), 0, size - length))
        spans.append((start, start + length))
    (y0, y1), (x0, x1) = spans
    return Box(z, y0, y1, x0, x1)


def whole_slice(volume: Volume, *, world_z: float) -> Box:
    """The whole visible slice."""
    return Box(slice_index(world_z, volume), 0, volume.shape[1], 0, volume.shape[2])


def visible_height(point: Sequence[float], displayed: Sequence[int]) -> float:
    """Height in mm of the visible axial slice.

    Args:
        point: Position of the viewer's sliders, one per axis.
        displayed: The axes on the canvas.

    Raises:
        InputError: The view is not one axial slice.
    """
    ndim = len(point)
    if tuple(displayed) != (ndim - 2, ndim - 1) or ndim < 2:
        raise InputError("a region lies in one axial slice; switch the viewer to 2D in its usual axis order.")
    return float(point[-3]) if ndim >= 3 else 0.0
