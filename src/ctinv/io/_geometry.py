"""Slices to one regular stack: order along the normal, duplicates, gaps, tilt, and the LPS affine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import SeriesError
from ctinv.io._files import bare, chunks
from ctinv.io._headers import Header

# A step may differ from the others by 1 % or 0.01 mm, whichever is larger.
RELATIVE, ABSOLUTE_MM = 0.01, 0.01


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
    if len(ordered) == 1:
        step, tilt = _single_step(ordered[0], normal, notes), 0.0
    else:
        step, tilt = _regular_step(np.array([h.position for h in ordered]), normal, notes)
    affine = np.eye(4)
    # PixelSpacing is (between rows, between columns): the row index moves along the column direction.
    rows_mm, columns_mm = np.mean([h.pixel_spacing for h in ordered], axis=0)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = step, column * rows_mm, row * columns_mm
    affine[:3, 3] = ordered[0].position
    numbers = [n for h in ordered if (n := h.instance_number) is not None]
    # Python's own integers: a header can hold any number of digits.
    if len(numbers) == len(ordered) and {abs(b - a) for a, b in pairwise(numbers)} - {1}:
        notes.append("instance numbers do not follow the slice order; positions were used")
    return Stack(ordered, affine, tilt, notes)


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
    for header in ordered:
        if kept and abs((header.position - kept[-1].position) @ normal) < 1e-3:
            if header.frame != kept[-1].frame or _file_hash(header) != _file_hash(kept[-1]):
                raise SeriesError(
                    f"duplicate slices: {bare(kept[-1].path)} and {bare(header.path)} lie at the same place "
                    "but differ; keep one of them."
                )
            dropped += 1
        else:
            kept.append(header)
    return kept, [f"{dropped} identical copies of slices were left out"] if dropped else []


def _file_hash(header: Header) -> bytes:
    digest = hashlib.sha256()
    for piece in chunks(header.path):
        digest.update(piece)
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


def _regular_step(
    positions: NDArray[np.float64], normal: NDArray[np.float64], notes: list[str]
) -> tuple[NDArray[np.float64], float]:
    """The vector from slice to slice and the tilt in degrees."""
    along = positions @ normal
    steps = np.diff(along)
    smallest = float(steps.min())
    tolerance = max(RELATIVE * smallest, ABSOLUTE_MM)
    if steps.max() - smallest > 2 * tolerance or np.abs(steps - np.median(steps)).max() > tolerance:
        _refuse_steps(steps, smallest, tolerance)
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    grid = positions[0] + np.arange(len(positions))[:, None] * step
    deviation = float(np.linalg.norm(positions - grid, axis=1).max())
    if deviation > 2 * tolerance:
        raise SeriesError(
            f"slices are displaced by up to {deviation:.2f} mm from a regular stack, so no single grid "
            "fits; export the series again."
        )
    if deviation > ABSOLUTE_MM:
        notes.append(f"slice positions deviate by up to {deviation:.3f} mm from the regular grid")
    sideways = float(np.linalg.norm(step - (step @ normal) * normal))
    tilted = sideways > max(RELATIVE * smallest, ABSOLUTE_MM)
    return step, float(np.degrees(np.arctan2(sideways, step @ normal))) if tilted else 0.0


def _refuse_steps(steps: NDArray[np.float64], smallest: float, tolerance: float) -> None:
    at = int(np.argmax(steps))
    ratio = steps / smallest
    whole = np.abs(ratio - np.round(ratio)) * smallest <= 2 * tolerance * np.round(ratio)
    if whole.all() and np.round(ratio).min() == 1 and (np.round(ratio) > 1).sum() <= max(1, len(steps) // 2):
        raise SeriesError(
            f"a slice is missing: slices {at + 1} and {at + 2} are {steps[at]:.2f} mm apart, others "
            f"{smallest:.2f} mm; export the whole series again."
        )
    raise SeriesError(
        f"uneven slice spacing: steps from {smallest:.2f} to {steps[at]:.2f} mm (limit 1 % or 0.01 mm); "
        "give an evenly spaced reconstruction."
    )
