"""Squares in which noise is read: where they are, and those that fill a drawn region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ctinv.errors import InputError
from ctinv.quality.roi import Mask

SIZES = (32, 24, 16, 12)
"""Edges that are tried in pixels, the largest first: fewer pixels tell frequencies less well apart."""


@dataclass(frozen=True)
class Squares:
    """Where noise is read: n x n squares, by slice, first row and first column."""

    size: int
    places: tuple[tuple[int, int, int], ...]


def filling(masks: Mapping[int, Mask]) -> Squares:
    """Squares that fill a drawn region, as large as fit.

    Args:
        masks: Slice to (H, W) region.

    Raises:
        InputError: Not even the smallest square fits.
    """
    for size in SIZES:
        found = tuple((z, y, x) for z, mask in masks.items() for y, x in squares_inside(mask, size))
        if found:
            return Squares(size, found)
    raise InputError(
        f"the region holds no square of {SIZES[-1]} x {SIZES[-1]} pixels, which the noise power spectrum needs; "
        "draw it larger."
    )


def squares_inside(mask: Mask, size: int) -> list[tuple[int, int]]:
    """First row and column of n x n squares that lie inside a region and do not overlap, in reading order."""
    free = mask.copy()
    found: list[tuple[int, int]] = []
    for y in range(mask.shape[0] - size + 1):
        for x in range(mask.shape[1] - size + 1):
            part = free[y : y + size, x : x + size]
            if part.all():
                found.append((y, x))
                part[:] = False
    return found
