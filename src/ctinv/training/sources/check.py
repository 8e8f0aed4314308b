"""Whether two images show one patient at two doses.

Both doses must be the same slices: the same shape, grids within 0.01 mm, and anatomy that agrees. Anatomy is what a
Gaussian of 3 pixels leaves, where noise is small. On three public chests at 25 % dose its correlation in a slice is above
0.9999, with four times the noise above 0.999; it falls to 0.72 or less in some slice where the low dose is mirrored, to
0.18 where it is another patient's. Neighbouring slices can correlate by 0.99, therefore no shift by one voxel along any
axis may fit clearly better: on the same scans the mean squared difference of right pairs was at most a fifth of the least
shifted one's, at four times the noise.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ctinv.errors import InputError
from ctinv.training.data import Pair

SAME_PLACE_MM = 0.01
LEAST_CORRELATION = 0.95
CLEARLY = 0.8
"""A shift fits clearly better if its mean squared difference is below this share of that without a shift."""
SLICES = 9
_SIGMA = 3.0
_AXES = ("slice", "row", "column")

Image = NDArray[np.float32]
Window = NDArray[np.float64]


def refuse_other_place(
    name: str, low: NDArray[np.float64], full: NDArray[np.float64], shapes: Sequence[tuple[int, ...]]
) -> None:
    """Raise InputError unless two grids, (4, 4) affines and (Z, Y, X) shapes, are the same within 0.01 mm."""
    if shapes[0] != shapes[1]:
        raise InputError(
            f"the doses of {name} have the shapes {shapes[0]} and {shapes[1]}; give the same slices at both doses."
        )
    corners = np.array([[*corner, 1] for corner in itertools.product(*((0, n - 1) for n in shapes[0]))])
    gap = float(np.linalg.norm((corners @ (low - full).T)[:, :3], axis=1).max())
    if gap > SAME_PLACE_MM:
        raise InputError(
            f"the slices of {name} lie up to {gap:.2f} mm apart at the two doses; give the same slices at both."
        )


def refuse_other_image(pair: Pair) -> None:
    """Raise InputError unless the two images of a pair differ by noise alone, more of it in the low dose.

    Up to nine slices are looked at, spread evenly.
    """
    count = len(pair.full)
    chosen = np.unique(np.linspace(0, count - 1, SLICES).round().astype(int))
    _refuse_identical(pair, chosen)
    window = np.percentile(np.stack([side[z] for side in (pair.low, pair.full) for z in chosen]), (1, 99))
    smooth = {int(z): _anatomy(pair.low[z], window) for z in chosen}
    least = min(_correlation(low, _anatomy(pair.full[z], window)) for z, low in smooth.items())
    if not least >= LEAST_CORRELATION:
        raise InputError(
            f"the doses of {pair.name} show different anatomy (correlation {least:.2f} in a slice, at least "
            f"{LEAST_CORRELATION} is expected); give the same slices of one patient."
        )
    _refuse_shift(pair, smooth, window)
    noise = [float(np.median([_noise(side[z]) for z in chosen])) for side in (pair.low, pair.full)]
    if noise[0] < 0.9 * noise[1]:
        raise InputError(
            f"the low dose of {pair.name} has less noise than the full dose ({noise[0]:.1f} against {noise[1]:.1f}); "
            "exchange the two."
        )


def _refuse_identical(pair: Pair, chosen: NDArray[np.int_]) -> None:
    for z in chosen:
        low, full = np.asarray(pair.low[z]), np.asarray(pair.full[z])
        if np.array_equal(low, full) and low.min() < low.max():
            raise InputError(
                f"slice {z} of {pair.name} is identical at both doses; give the image of the low dose itself."
            )


def _refuse_shift(pair: Pair, low: dict[int, Image], window: Window) -> None:
    """Raise InputError if the full dose fits clearly better one voxel further."""
    here = _difference(pair, low, window, 0, 0)
    for axis, step in itertools.product(range(3), (-1, 1)):
        if pair.full.shape[axis] > 2 and _difference(pair, low, window, axis, step) < CLEARLY * here:
            raise InputError(
                f"the doses of {pair.name} are shifted by one {_AXES[axis]}; give the same slices on the same grid."
            )


def _difference(pair: Pair, low: dict[int, Image], window: Window, axis: int, step: int) -> float:
    """Mean squared difference of the anatomy, in HU², of all slices that have a partner `step` further along an axis."""
    squares = []
    for z, image in low.items():
        other = z + step if axis == 0 else z
        if 0 < z < len(pair.full) - 1 or len(pair.full) <= 2:
            full = _anatomy(pair.full[other], window)
            moved = full if axis == 0 else np.roll(full, -step, axis - 1)
            squares.append(float(np.mean((image - moved)[1:-1, 1:-1] ** 2)))
    return float(np.mean(squares))


def _anatomy(image: NDArray[np.generic], window: Window) -> Image:
    """An (H, W) image without its noise; the window cuts off the extremes of metal and padding."""
    smooth: Image = gaussian_filter(np.clip(np.asarray(image, dtype=np.float32), *window), _SIGMA)
    return smooth


def _correlation(a: Image, b: Image) -> float:
    """Pearson's correlation; 1 where neither image shows anything, 0 where only one does."""
    flat = [float(image.std()) < 1e-3 for image in (a, b)]
    if any(flat):
        return float(all(flat))
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def _noise(image: NDArray[np.generic]) -> float:
    """Median absolute detail, in HU, where the image is brighter than its mean: in the body, for CT."""
    values = np.asarray(image, dtype=np.float32)
    smooth = gaussian_filter(values, 1.0)
    return float(np.median(np.abs(values - smooth)[smooth >= smooth.mean()]))
