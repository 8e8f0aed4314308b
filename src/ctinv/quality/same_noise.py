"""Noise of several images of one patient in the very same squares, which are chosen once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.quality.fidelity import HOUNSFIELD, Scale
from ctinv.quality.measure import MOST_SQUARES
from ctinv.quality.noise import NoisePower, Square, flat_squares, noise_power
from ctinv.quality.squares import SIZES, Squares

FEWEST = 3
"""A smaller square is taken where fewer of a larger one fit."""


def homogeneous(
    scan: NDArray[np.float32],
    *,
    spacing_mm: float,
    scale: Scale = HOUNSFIELD,
    progress: Callable[[int], None] | None = None,
) -> Squares:
    """The flattest squares of soft tissue in a scan, at most 40.

    Args:
        scan: (Z, Y, X) in HU.
        spacing_mm: Size of the square pixels.
        scale: What the values mean.
        progress: Called with the number of each slice before it is searched.

    Raises:
        InputError: The unit has no soft tissue, or there is no homogeneous square.
    """
    if scale.tissue is None:
        raise InputError("homogeneous tissue is known for a CT in HU only; draw a region instead.")
    best = Squares(SIZES[0], ())
    for size in SIZES:
        found: list[Square] = []
        for z, image in enumerate(scan):
            if progress is not None:
                progress(z)
            found += flat_squares(image, size, spacing_mm=spacing_mm, tissue=scale.tissue, z=z)
        flattest = sorted(found, key=lambda square: square.roughness_hu)[:MOST_SQUARES]
        best = Squares(size, tuple((one.z, one.y, one.x) for one in flattest)) if flattest else best
        if len(flattest) >= FEWEST:
            return best
    if not best.places:
        raise InputError("the scan has no homogeneous square of soft tissue here; draw a region instead.")
    return best


def read(squares: Squares, image: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, n, n) values of a (Z, Y, X) image in the squares."""
    n = squares.size
    parts = [image[z, y : y + n, x : x + n] for z, y, x in squares.places]
    return np.array(parts, dtype=np.float64).reshape(-1, n, n)


def same_noise(
    images: Iterable[NDArray[np.float32]],
    squares: Squares,
    *,
    spacing_mm: float,
) -> list[NoisePower]:
    """Noise of each (Z, Y, X) image in the same squares.

    Args:
        images: Images on one grid.
        squares: Where to read.
        spacing_mm: Size of the square pixels.
    """
    return [noise_power(read(squares, image), spacing_mm=spacing_mm) for image in images]
