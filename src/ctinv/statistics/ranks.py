"""Whether the scan could be one of the samples: rank statistics, pixel by pixel.

If the scan and n samples come from one law, the rank of the scan among them is uniform on 0 … n in every pixel. Too narrow
samples leave the scan at both ends, shifted ones at one. Pixels are correlated, so no p-value is given.

References:
    T. Hamill, Interpretation of rank histograms for verifying ensemble forecasts, Mon Weather Rev 129, 2001.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError

BINS = 10
FEWEST = 2 * BINS
"""Samples below which a histogram of ten bins says nothing."""
CENTRAL = 0.9

Images = NDArray[np.floating]


def ranks(samples: Images, scan: Images) -> NDArray[np.float64]:
    """Relative rank of the scan in each pixel, (rank + ½)/(n + 1) in (0, 1); ties count half.

    Args:
        samples: (n, h, w) HU.
        scan: (h, w) HU.

    Raises:
        InputError: Fewer than `FEWEST` samples.
    """
    if len(samples) < FEWEST:
        raise InputError(f"ranks need at least {FEWEST} samples, got {len(samples)}.")
    below = (samples < scan).sum(0) + 0.5 * (samples == scan).sum(0)
    found: NDArray[np.float64] = (below + 0.5) / (len(samples) + 1)
    return found


def rank_distance(relative: NDArray[np.float64], n: int) -> float:
    """Σ (p - e)²/e over ten bins, p the share of pixels in a bin and e that of the n + 1 equally likely ranks.

    0 for uniform ranks, up to 9 where all ranks are in one bin. With independent pixels it would be 9/pixels by chance.
    """
    expected = _histogram((np.arange(n + 1) + 0.5) / (n + 1))
    return float(((_histogram(relative) - expected) ** 2 / expected).sum())


def coverage(relative: NDArray[np.float64], n: int) -> float:
    """Share of pixels whose scan lies in the central 90 % of the n samples; 0.9 is right whatever n is.

    A rank stands for 1/(n + 1) of the probability, and counts with the part of it that lies in the interval.
    """
    tail, half = (1.0 - CENTRAL) / 2.0, 0.5 / (n + 1)
    inside = np.minimum(relative + half, 1.0 - tail) - np.maximum(relative - half, tail)
    return float((inside / (2.0 * half)).clip(0.0, 1.0).mean())


def _histogram(relative: NDArray[np.float64]) -> NDArray[np.float64]:
    bins = np.minimum((relative.ravel() * BINS).astype(int), BINS - 1)
    return np.bincount(bins, minlength=BINS) / bins.size
