"""Slices to one regular stack: order along the normal, duplicates, gaps, tilt, and the LPS affine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import SeriesError
from ctinv.io._files import bare, chunks, unreadable
from ctinv.io._headers import Header
from ctinv.io._passes import SAME_PLACE_MM, refuse_days, refuse_interleaved

MAX_MM = 0.01
"""No voxel may lie farther from where its own slice puts it."""

_TILT, _ROUNDING_MM = 0.01, 1e-6


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in order along the normal.

    Attributes:
        headers: One per slice; index z grows along row direction x column direction.
        affine: (4, 4) index (z, y, x) to mm (LPS), with the shear of a tilted gantry.
        tilt_deg: Angle between the stacking direction and the slice normal; 0 within tolerance.
        notes: What was dropped or assumed.
    """

    headers: list[Header]
    affine: NDArray[np.float64]
    tilt_deg: float
    notes: list[str]


def stack(headers: list[Header]) -> Stack:
    """Order slices and check that they form a regular grid.

    Raises:
        SeriesError: Duplicate, missing or unevenly spaced slices, or one slice of unknown thickness.
    """
    orientation = np.mean([h.orientation for h in headers], axis=0)
    row, column = orientation[:3], orientation[3:]
    normal = np.cross(row, column)
    ordered = sorted(headers, key=lambda h: float(h.position @ normal))
    ordered, notes = _drop_copies(ordered, normal)
    affine = np.eye(4)
    # PixelSpacing is (between rows, between columns): the row index moves along the column direction.
    rows_mm, columns_mm = np.mean([h.pixel_spacing for h in ordered], axis=0)
    affine[:3, 1], affine[:3, 2] = column * rows_mm, row * columns_mm
    if len(ordered) == 1:
        affine[:3, 0], affine[:3, 3] = _single_step(ordered[0], normal, notes), ordered[0].position
        return Stack(ordered, affine, 0.0, notes)
    affine[:3, 3], affine[:3, 0] = _regular_grid(np.array([h.position for h in ordered]), normal)
    refuse_days(ordered)
    refuse_interleaved(ordered)
    _check_corners(ordered, affine, notes)
    numbers = [h.instance_number for h in ordered if h.instance_number is not None]
    # Python's own integers: a header can hold any number of digits.
    if len(numbers) == len(ordered) and {abs(b - a) for a, b in pairwise(numbers)} - {1}:
        notes.append("instance numbers do not follow the slice order; positions were used")
    return Stack(ordered, affine, _tilt(affine[:3, 0], normal), notes)


def median_step(headers: list[Header]) -> float:
    """Median distance of neighbouring slices along the normal in mm, NaN where it is unknown."""
    orientation = headers[0].orientation
    along = np.sort(np.array([h.position for h in headers]) @ np.cross(orientation[:3], orientation[3:]))
    if len(headers) > 1:
        return float(np.median(np.diff(along)))
    return headers[0].slice_step or headers[0].acquisition.slice_thickness_mm or float("nan")


def _drop_copies(ordered: list[Header], normal: NDArray[np.float64]) -> tuple[list[Header], list[str]]:
    """Leave out byte-identical copies of a slice; any other two slices at one place are refused."""
    kept: list[Header] = []
    dropped = 0
    same_bytes = cache(_file_hash)
    for header in ordered:
        if kept and abs((header.position - kept[-1].position) @ normal) < SAME_PLACE_MM:
            if header.frame != kept[-1].frame or same_bytes(header.path) != same_bytes(kept[-1].path):
                raise SeriesError(
                    f"duplicate slices: {bare(kept[-1].path)} and {bare(header.path)} lie at the same place "
                    "but differ; keep one of them."
                )
            dropped += 1
        else:
            kept.append(header)
    return kept, [f"{dropped} identical copies of slices were left out"] if dropped else []


def _file_hash(path: Path) -> bytes:
    digest = hashlib.sha256()
    try:
        for piece in chunks(path):
            digest.update(piece)
    except OSError as error:
        raise unreadable(path, error) from None
    return digest.digest()


def _single_step(header: Header, normal: NDArray[np.float64], notes: list[str]) -> NDArray[np.float64]:
    size, source = header.slice_step, "spacing between slices"
    if size is None:
        size, source = header.acquisition.slice_thickness_mm, "slice thickness"
    if size is None or size > 1000:
        raise SeriesError(
            "the series is one slice without thickness or spacing, so its size along z is unknown; give "
            "the whole series."
        )
    notes.append(f"one slice: its extent along z is the {source} of {size:g} mm")
    return normal * size


def _regular_grid(
    positions: NDArray[np.float64], normal: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First position and step of the regular grid through slices in order; a least-squares one where texts were rounded.

    Raises:
        SeriesError: The slices lie on no grid.
    """
    index = np.arange(len(positions), dtype=np.float64)[:, None]
    first, step = positions[0], (positions[-1] - positions[0]) / (len(positions) - 1)
    off = positions - (first + index * step)
    if np.abs(off).max() > _ROUNDING_MM:
        centred = index - index.mean()
        slope = (centred * off).sum(axis=0) / (centred**2).sum()
        first, step = first + off.mean(axis=0) - index.mean() * slope, step + slope
        off = positions - (first + index * step)
    if np.linalg.norm(off, axis=1).max() <= MAX_MM + _ROUNDING_MM:
        return first, step
    if np.abs(off @ normal).max() > MAX_MM:
        _refuse_steps(np.diff(positions @ normal))
    raise SeriesError(
        f"slices are displaced sideways by up to {np.linalg.norm(off, axis=1).max():.2f} mm from a regular stack (limit "
        f"{MAX_MM} mm), so no single grid fits; export the series again."
    )


def _check_corners(ordered: list[Header], affine: NDArray[np.float64], notes: list[str]) -> None:
    """Compare the corners of each slice by its own header with the grid of all.

    Raises:
        SeriesError: They lie more than `MAX_MM` apart, since orientation or pixel spacing change from slice to slice.
    """
    first = ordered[0]
    outermost = np.array([[y, x] for y in (-0.5, first.rows - 0.5) for x in (-0.5, first.columns - 0.5)])
    farthest = 0.0
    for z, header in enumerate(ordered):
        row, column = header.orientation[:3], header.orientation[3:]
        own = np.stack([column * header.pixel_spacing[0], row * header.pixel_spacing[1]])
        there = affine[:3, 3] + z * affine[:3, 0] + outermost @ affine[:3, 1:3].T
        away = np.linalg.norm(header.position + outermost @ own - there, axis=1).max()
        farthest = max(farthest, float(away))
    if farthest > MAX_MM + _ROUNDING_MM:
        raise SeriesError(
            f"the slices are turned or of other pixel spacing against one another: corners lie {farthest:.3f} mm apart "
            f"(limit {MAX_MM} mm); export the series again."
        )
    if farthest > MAX_MM / 10:
        notes.append(f"slices lie up to {farthest:.3f} mm from the regular grid")


def _tilt(step: NDArray[np.float64], normal: NDArray[np.float64]) -> float:
    """Tilt of the gantry in degrees, 0 where the shear is too small to matter for anything but the place."""
    sideways = float(np.linalg.norm(step - (step @ normal) * normal))
    along = float(step @ normal)
    return float(np.degrees(np.arctan2(sideways, along))) if sideways > _TILT * along else 0.0


def _refuse_steps(steps: NDArray[np.float64]) -> None:
    at, smallest = int(np.argmax(steps)), float(steps.min())
    ratio = steps / smallest
    whole = np.abs(ratio - np.round(ratio)) * smallest <= 2 * MAX_MM * np.round(ratio)
    if whole.all() and np.round(ratio).min() == 1 and (np.round(ratio) > 1).sum() <= max(1, len(steps) // 2):
        raise SeriesError(
            f"a slice is missing: slices {at + 1} and {at + 2} are {steps[at]:.2f} mm apart, others "
            f"{smallest:.2f} mm; export the whole series again."
        )
    raise SeriesError(
        f"uneven slice spacing: steps from {smallest:.2f} to {steps[at]:.2f} mm, so slices lie more than {MAX_MM} mm off a "
        "regular grid; give an evenly spaced reconstruction."
    )
