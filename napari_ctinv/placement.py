"""Where an array lies in the viewer: the affine as a scale and a translation, which napari draws rightly.

The viewer's world axes are (z, y, x) = (S, P, L) in millimetres of DICOM's patient system. napari draws scale
and translation exactly, negative scales included, but breaks on permuted affines and drops small rotations in
silence. So axes are put in order, and an oblique grid is refused instead of being shown in the wrong place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import SeriesError
from ctinv.volume import Volume

LPS_TO_WORLD = (2, 1, 0)
"""Rows of an LPS affine in the order of the viewer's axes."""

DRIFT_VOXELS = 0.1
"""A grid may drift from the viewer's axes by this part of its smallest voxel at its farthest corner."""


@dataclass(frozen=True)
class Placement:
    """Scale and translation of a (z, y, x) array in the viewer.

    Attributes:
        order: Array axes in the order of the viewer's axes; (0, 1, 2) for an axial series.
        scale: mm per voxel along the viewer's axes, negative where the array runs against the axis.
        translate: Position of voxel (0, 0, 0) in mm, as (S, P, L).
    """

    order: tuple[int, int, int]
    scale: tuple[float, float, float]
    translate: tuple[float, float, float]


def place(affine: NDArray[np.float64], shape: tuple[int, int, int]) -> Placement:
    """The placement of an array of this (Z, Y, X) shape with this affine, index (z, y, x, 1) to mm (LPS).

    Raises:
        SeriesError: The grid is oblique to the patient's axes by more than `DRIFT_VOXELS`.
    """
    matrix = np.asarray(affine, dtype=np.float64)[list(LPS_TO_WORLD), :3]
    order = tuple(int(axis) for axis in np.abs(matrix / np.linalg.norm(matrix, axis=0)).argmax(axis=1))
    if sorted(order) != [0, 1, 2]:
        raise _oblique(np.inf)
    ordered = matrix[:, order]
    scale = np.diag(ordered)
    farthest = np.array([shape[axis] - 1 for axis in order])
    drift = float((np.abs(ordered - np.diag(scale)) @ farthest).max() / np.abs(scale).min())
    if drift > DRIFT_VOXELS:
        raise _oblique(drift)
    translate = np.asarray(affine)[list(LPS_TO_WORLD), 3]
    return Placement(order, _three(scale), _three(translate))  # type: ignore[arg-type]


def canonical(volume: Volume) -> Volume:
    """The same voxels with the array axes in the viewer's order (S, P, L); exact, nothing is resampled.

    Raises:
        SeriesError: The volume is oblique.
    """
    if place(volume.affine, volume.shape).order == (0, 1, 2):
        return volume
    from ctinv.io.itk_io import reorient

    return reorient(volume)


def affine_at(affine: NDArray[np.float64], index: tuple[int, int, int]) -> NDArray[np.float64]:
    """The affine of the part of a volume that begins at this (z, y, x) index."""
    moved = np.array(affine, dtype=np.float64)
    moved[:3, 3] += moved[:3, :3] @ np.array(index, dtype=np.float64)
    return moved


def affine_of(scale: tuple[float, ...], translate: tuple[float, ...]) -> NDArray[np.float64]:
    """The LPS affine of a layer with this scale and translation along the viewer's (z, y, x)."""
    affine = np.eye(4)
    affine[list(LPS_TO_WORLD), [0, 1, 2]] = scale
    affine[list(LPS_TO_WORLD), [3, 3, 3]] = translate
    affine[[0, 2], [0, 2]] = 0.0
    return affine


def _oblique(drift: float) -> SeriesError:
    measure = "strongly" if not np.isfinite(drift) else f"by {drift:.1f} voxels over its extent"
    return SeriesError(
        f"the series lies oblique to the patient's axes ({measure}), so the viewer would show it in a wrong "
        "place; resample it first with ctinv.io.itk_io.resample."
    )


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    z, y, x = (float(value) for value in values)
    return z, y, x
