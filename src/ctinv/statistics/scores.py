"""Proper scores of a set of samples against re-scans, in HU: lower is better, and nothing beats the law of the re-scans.

With samples x_1 … x_n and an observation y, the energy score and, pixel by pixel, the CRPS are

    ES = mean_i ‖x_i - y‖ - ½ mean_{i≠j} ‖x_i - x_j‖,

in the form whose expectation does not depend on n. Norms are RMS over the pixels, so both scores are in HU. Observations
that come from the samples' own law leave half of their mean distance on average: the *floor*, here that of the re-scans
among each other.

References:
    T. Gneiting and A. E. Raftery, Strictly proper scoring rules, prediction, and estimation, J Am Stat Assoc 102, 2007,
    https://doi.org/10.1198/016214506000001437; the form that does not depend on n: C. Ferro, Fair scores for ensemble
    forecasts, Q J R Meteorol Soc 140, 2014, https://doi.org/10.1002/qj.2270.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist

from ctinv.errors import InputError

Images = NDArray[np.floating]


def energy_score(samples: Images, observed: Images) -> float:
    """Mean energy score in HU.

    Args:
        samples: (n, h, w) HU, at least two.
        observed: (m, h, w) HU, at least one.

    Raises:
        InputError: Too few images, or images of different shapes.
    """
    x, y = _flat(samples, 2), _flat(observed, 1)
    _check_same(x, y)
    return float((cdist(x, y).mean() - pdist(x).mean() / 2.0) / np.sqrt(x.shape[1]))


def energy_floor(observed: Images) -> float:
    """Energy score in HU of (m, h, w) re-scans, each against all others: half of their mean distance."""
    y = _flat(observed, 2)
    return float(pdist(y).mean() / 2.0 / np.sqrt(y.shape[1]))


def crps(samples: Images, observed: Images) -> float:
    """Mean continuous ranked probability score over pixels and observations in HU; arguments as for `energy_score`."""
    x, y = _flat(samples, 2), _flat(observed, 1)
    _check_same(x, y)
    distance = np.mean([np.abs(x - one).mean() for one in y])
    return float(distance - _mean_difference(x) / 2.0)


def crps_floor(observed: Images) -> float:
    """CRPS in HU of (m, h, w) re-scans, each against all others."""
    return _mean_difference(_flat(observed, 2)) / 2.0


def _mean_difference(x: NDArray[np.float64]) -> float:
    """Mean over pixels and over pairs i ≠ j of |x_i - x_j|, from the order statistics of each pixel."""
    n = len(x)
    weight = 2.0 * np.arange(1, n + 1) - n - 1.0
    return float(2.0 * (weight @ np.sort(x, axis=0)).mean() / (n * (n - 1)))


def _flat(images: Images, fewest: int) -> NDArray[np.float64]:
    if images.ndim != 3 or len(images) < fewest:
        raise InputError(f"a score needs at least {fewest} images as (n, h, w), got shape {images.shape}.")
    return images.reshape(len(images), -1).astype(np.float64)


def _check_same(x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    if x.shape[1] != y.shape[1]:
        raise InputError(
            f"samples and re-scans must show the same region, got {x.shape[1]} and {y.shape[1]} pixels."
        )
