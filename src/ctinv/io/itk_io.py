"""Other orders of the axes, and orthogonal grids for tilted or oblique scans.

ITK interpolates; it takes some seconds to load and is loaded on first use only. It reads no file.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.io import check_budget
from ctinv.io._quiet import quiet
from ctinv.volume import Volume

AIR = -1024.0


def _itk(*parts: str) -> Any:
    """ITK with these parts loaded; its wrappers warn while they load, which must not become errors."""
    with quiet():
        import itk

        for part in parts:
            getattr(itk, part)
    return itk


def reorient(volume: Volume) -> Volume:
    """Permute and flip the axes so that z, y, x run as near as possible to superior, posterior, left.

    No voxel value changes and every voxel stays at its place; nothing is interpolated.
    """
    unit = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    wanted = (2, 1, 0)  # rows of the affine: z to S, y to P, x to L
    order = max(
        permutations(range(3)), key=lambda p: sum(abs(unit[w, a]) for w, a in zip(wanted, p, strict=True))
    )
    flips = [bool(unit[w, a] < 0) for w, a in zip(wanted, order, strict=True)]
    if order == (0, 1, 2) and not any(flips):
        return volume
    hu = volume.hu.transpose(order)
    affine = volume.affine.copy()
    affine[:, :3] = volume.affine[:, list(order)]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
            affine[:3, axis] *= -1
            hu = np.flip(hu, axis)
    return replace(
        volume,
        hu=np.ascontiguousarray(hu),
        affine=affine,
        offset=(0, 0, 0),
        notes=(*volume.notes, "axes were reordered towards superior, posterior, left"),
    )


def resample(
    volume: Volume,
    *,
    spacing: tuple[float, float, float] | None = None,
    aligned: bool = False,
    fill: float | None = None,
) -> Volume:
    """Interpolate a tilted or oblique volume onto an orthogonal grid that holds all of it.

    Linear interpolation smooths noise, so what is measured on the result is not what the scanner measured;
    the notes of the result say so.

    Args:
        volume: Any volume.
        spacing: New distances along z, y, x in mm; those of the volume (z along the slice normal) by default.
        aligned: Align the grid with the patient's axes; by default rows and columns keep their directions and
            only the shear of a tilted gantry goes, which interpolates within slices alone.
        fill: Value where the old grid has nothing, by default air (-1024 HU) for a CT and 0 for others.

    Returns:
        The volume on the new grid.

    Raises:
        SeriesError: The new grid does not fit into memory.
    """
    if fill is None:
        fill = AIR if volume.modality == "CT" else 0.0
    axes = _new_axes(volume.affine, aligned)
    if spacing is None:
        spacing = volume.spacing if aligned else _projected(volume.affine, axes)
    if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(f"the spacing needs three positive numbers in mm along z, y, x, got {spacing}.")
    corners = np.array([[z, y, x, 1] for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=np.float64)
    corners[:, :3] *= np.array(volume.shape) - 1
    along = (corners @ volume.affine.T)[:, :3] @ axes
    low, high = along.min(axis=0), along.max(axis=0)
    counts = np.ceil((high - low) / np.array(spacing) - 1e-6).astype(int) + 1
    check_budget(int(np.prod(counts, dtype=object)), None)
    affine = np.eye(4)
    affine[:3, :3] = axes * np.array(spacing)
    affine[:3, 3] = axes @ low
    hu = _interpolate(volume, affine, (int(counts[0]), int(counts[1]), int(counts[2])), fill)
    note = f"resampled to an orthogonal grid by linear interpolation, which smooths noise; {fill:g} {volume.unit} outside"
    return replace(volume, hu=hu, affine=affine, offset=(0, 0, 0), notes=(*volume.notes, note))


def _new_axes(affine: NDArray[np.float64], aligned: bool) -> NDArray[np.float64]:
    """Orthonormal directions of the new z, y, x as columns."""
    if aligned:
        return np.eye(3)[:, ::-1].copy()
    row = affine[:3, 2] / np.linalg.norm(affine[:3, 2])
    column = affine[:3, 1] - (affine[:3, 1] @ row) * row
    column /= np.linalg.norm(column)
    normal = np.cross(row, column)
    if normal @ affine[:3, 0] < 0:
        normal = -normal
    return np.stack([normal, column, row], axis=1)


def _projected(affine: NDArray[np.float64], axes: NDArray[np.float64]) -> tuple[float, float, float]:
    z, y, x = np.abs(np.einsum("ij,ij->j", affine[:3, :3], axes))
    return float(z), float(y), float(x)


def _interpolate(
    volume: Volume, affine: NDArray[np.float64], shape: tuple[int, int, int], fill: float
) -> NDArray[np.float32]:
    itk = _itk("ResampleImageFilter")
    with quiet():
        image = itk.image_from_array(np.ascontiguousarray(volume.hu))
        _place(itk, image, volume.affine)
        kind = type(image)
        resampler = itk.ResampleImageFilter[kind, kind].New(image)
        size, step, origin, direction = _frame(itk, affine, shape)
        resampler.SetSize(size)
        resampler.SetOutputSpacing(step)
        resampler.SetOutputOrigin(origin)
        resampler.SetOutputDirection(direction)
        resampler.SetDefaultPixelValue(fill)
        resampler.Update()
        return np.array(itk.array_view_from_image(resampler.GetOutput()), dtype=np.float32, order="C")


def _frame(
    itk: Any, affine: NDArray[np.float64], shape: tuple[int, int, int]
) -> tuple[Any, list[float], list[float], Any]:
    """Size, spacing, origin and direction in ITK's order (x, y, z); a sheared direction is allowed there."""
    step = np.linalg.norm(affine[:3, :3], axis=0)
    matrix = itk.matrix_from_array(np.ascontiguousarray((affine[:3, :3] / step)[:, ::-1]))
    return (
        [shape[2], shape[1], shape[0]],
        [float(s) for s in step[::-1]],
        [float(v) for v in affine[:3, 3]],
        matrix,
    )


def _place(itk: Any, image: Any, affine: NDArray[np.float64]) -> None:
    _, step, origin, direction = _frame(itk, affine, (1, 1, 1))
    image.SetSpacing(step)
    image.SetOrigin(origin)
    image.SetDirection(direction)
