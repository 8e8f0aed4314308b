"""Discs as the analyses look for them: of given diameters in mm, wherever all of one fits on the region."""

from __future__ import annotations

from collections.abc import Sequence

from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.discs import DiscGrid

DIAMETERS_MM = (3.0, 5.0, 7.0, 9.0)


def disc_signals(subject: Subject, diameters_mm: Sequence[float], *, stride: int = 1) -> list[DiscGrid]:
    """The grids of those diameters that fit somewhere on the region, smallest first.

    Args:
        subject: The region.
        diameters_mm: Diameters in mm.
        stride: Pixels between neighbouring places.

    Raises:
        InputError: A diameter is not above 0, or no disc fits; the message names the largest that would.
    """
    if not diameters_mm or any(not diameter > 0 for diameter in diameters_mm):
        raise InputError(f"expected diameters above 0 mm, got {list(diameters_mm)}.")
    sizes = sorted({float(diameter) for diameter in diameters_mm})
    grids = [DiscGrid.on(subject.shape, subject.spacing_mm, size, stride=stride) for size in sizes]
    fitting = [grid for grid in grids if len(grid)]
    if not fitting:
        extents = [size * step for size, step in zip(subject.shape, subject.spacing_mm, strict=True)]
        raise InputError(
            f"no disc of {sizes[0]:g} mm or more fits on a region of {extents[0]:.1f} x {extents[1]:.1f} mm; choose a "
            "larger box or smaller discs."
        )
    return fitting
