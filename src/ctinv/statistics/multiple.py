"""Many p-values at once: the family-wise error rate after Holm, the false discovery rate after Benjamini and Hochberg.

References:
    S. Holm, A simple sequentially rejective multiple test procedure, Scand J Stat 6, 1979,
    https://www.jstor.org/stable/4615733. Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, J R Stat Soc B
    57, 1995, https://doi.org/10.1111/j.2517-6161.1995.tb02031.x.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from ctinv.errors import InputError

PValues = NDArray[np.float64] | Sequence[float]


def holm(p: PValues) -> NDArray[np.float64]:
    """Adjusted p-values: rejecting where they are at most α errs anywhere with probability of at most α.

    Args:
        p: (k,) p-values, of tests that may depend on each other in any way.

    Returns:
        (k,) adjusted values in the order of p.

    Raises:
        InputError: No p-values, or some outside 0 to 1.
    """
    values = _checked(p)
    order = np.argsort(values)
    steps = np.arange(len(values), 0, -1) * values[order]
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(steps).clip(max=1.0)
    return adjusted


def benjamini_hochberg(p: PValues) -> NDArray[np.float64]:
    """q-values: of the tests rejected where they are at most q, a share of at most q is expected to be wrong.

    Args:
        p: (k,) p-values of independent or positively dependent tests.

    Returns:
        (k,) q-values in the order of p.

    Raises:
        InputError: No p-values, or some outside 0 to 1.
    """
    adjusted: NDArray[np.float64] = false_discovery_control(_checked(p), method="bh")
    return adjusted


def _checked(p: PValues) -> NDArray[np.float64]:
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not ((values >= 0) & (values <= 1)).all():
        raise InputError(
            f"expected p-values between 0 and 1 in one row, got shape {values.shape}; NaN is none."
        )
    return values
