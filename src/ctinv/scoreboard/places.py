"""Regions to score, chosen by HU alone: the same rule finds them in every patient.

A region lies wholly inside the body. Soft tissue is where most of it is soft tissue, bone where most of it is bone, and the
lung edge where lung and soft tissue share it most evenly. HU cannot tell bone from dense contrast medium. Of equally good
places the first in reading order is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctinv.volume import Box

SLICES = 12  # of a scan, evenly spread; neighbours differ little
STRIDE = 4  # pixels between candidates
_SMOOTHING = 1.5  # pixels, so that noise does not count as another tissue
_BODY_HU = -500.0
_MOST_GAS = 0.001  # of a region at the lung; more is bowel
TISSUES = {
    "soft": (-20.0, 180.0),
    "lung": (-930.0, -500.0),
    "gas": (-np.inf, -930.0),
    "bone": (250.0, np.inf),
}

Shares = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Kind:
    """What makes a region a good one of its kind.

    Attributes:
        quality: From the shares of the tissues, each (…) in [0, 1], to the share that counts.
        least: Quality below which a patient has no such region.
    """

    quality: Callable[[Shares], NDArray[np.float64]]
    least: float


KINDS: dict[str, Kind] = {
    "soft tissue": Kind(lambda share: share["soft"], 0.6),
    "lung edge": Kind(
        lambda share: np.where(share["gas"] <= _MOST_GAS, np.minimum(share["lung"], share["soft"]), 0.0), 0.15
    ),
    "bone": Kind(lambda share: share["bone"], 0.1),
}


def find_places(hu: NDArray[np.floating], kinds: list[str], *, size: int) -> dict[str, Box]:
    """One region of each kind.

    Args:
        hu: (Z, Y, X) HU, the image with the least noise there is.
        kinds: Names of `KINDS`.
        size: Height and width in pixels.

    Returns:
        Kind to box; a kind that the patient lacks is left out.
    """
    best: dict[str, tuple[float, Box]] = {}
    for z in _spread_slices(len(hu)):
        if min(hu.shape[1:]) < size:
            break
        inside, shares = _shares(np.asarray(hu[z], dtype=np.float64), size)
        for name in kinds:
            quality = np.where(inside, KINDS[name].quality(shares), -1.0)
            row, column = (int(i) for i in np.unravel_index(int(quality.argmax()), quality.shape))
            value, (y, x) = float(quality[row, column]), (row * STRIDE, column * STRIDE)
            if value >= KINDS[name].least and value > best.get(name, (0.0,))[0]:
                best[name] = value, Box(z, y, y + size, x, x + size)
    return {name: best[name][1] for name in kinds if name in best}


def _spread_slices(count: int) -> list[int]:
    """Up to `SLICES` slices between the ends."""
    return sorted({round(z) for z in np.linspace(0, count - 1, min(SLICES, count) + 2)[1:-1]})


def _shares(image: NDArray[np.float64], size: int) -> tuple[NDArray[np.bool_], Shares]:
    """Whether each window lies inside the body, and its shares of the tissues."""
    smooth = ndimage.gaussian_filter(image, _SMOOTHING)
    tissues = {
        name: _windows((smooth > low) & (smooth < high), size) for name, (low, high) in TISSUES.items()
    }
    return _windows(_body(smooth), size) > 1.0 - 1e-9, tissues


def _body(smooth: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The largest connected part that is not air, with the lungs inside it."""
    parts, count = ndimage.label(ndimage.binary_opening(smooth > _BODY_HU, iterations=2))
    if count == 0:
        return np.zeros(smooth.shape, dtype=bool)
    largest = 1 + int(np.bincount(parts.ravel())[1:].argmax())
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(parts == largest)
    return filled


def _windows(mask: NDArray[np.bool_], size: int) -> NDArray[np.float64]:
    """Share of the mask in each window of a grid of `STRIDE` pixels, from a table of sums."""
    sums = np.pad(mask.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inner = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    shares: NDArray[np.float64] = inner[::STRIDE, ::STRIDE] / float(size * size)
    return shares
