"""The channelised Hotelling observer: its channels, d' without the bias of few samples, and its interval.

References:
    B. D. Gallas and H. H. Barrett, Validating the use of channels to estimate the ideal linear observer, J Opt Soc Am
    A 20, 2003, https://doi.org/10.1364/JOSAA.20.001725 (Laguerre-Gauss channels). C. K. Abbey and H. H. Barrett,
    Human- and model-observer performance in ramp-spectrum noise, J Opt Soc Am A 18, 2001. A. Wunderlich and F. Noo,
    Confidence intervals for performance assessment of linear observers, Med Phys 38, 2011,
    https://doi.org/10.1118/1.3577764 (the exact interval).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import eval_laguerre
from scipy.stats import f, ncf, norm, rankdata

from ctinv.errors import InputError
from ctinv.progress import Progress, each

Array = NDArray[np.float64]


def laguerre_gauss(
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
    place: tuple[float, float],
    width_mm: float,
    count: int,
) -> Array:
    """Laguerre-Gauss channels u_p(r) = exp(-πr²/a²)·L_p(2πr²/a²), each of unit length.

    Args:
        shape: (h, w) of the region.
        spacing_mm: Distance of rows and of columns.
        place: Row and column of the centre in the region.
        width_mm: a.
        count: Number of channels.

    Returns:
        (n, count), one channel per column.
    """
    down = (np.arange(shape[0]) - place[0]) * spacing_mm[0]
    right = (np.arange(shape[1]) - place[1]) * spacing_mm[1]
    square = 2.0 * np.pi * (down[:, None] ** 2 + right[None, :] ** 2).ravel() / width_mm**2
    channels = np.stack([np.exp(-square / 2.0) * eval_laguerre(p, square) for p in range(count)], axis=1)
    return np.asarray(channels / np.linalg.norm(channels, axis=0))


@dataclass(frozen=True)
class Hotelling:
    """What a Hotelling observer makes of two classes of channel outputs.

    Attributes:
        d_prime: d', from the estimate of d'² that has no bias for Gaussian outputs; 0 where that is negative.
        d_prime_squared: That estimate.
        interval: Bootstrap interval of d'.
        interval_gaussian: The exact one for Gaussian outputs of equal covariance.
        p: Probability of so large a distance of the classes where they are one.
        auc: Φ(d'/√2), the area under the ROC curve.
        auc_held_out: The area measured on members that the observer was not trained on.
        members: Members of the two classes.
    """

    d_prime: float
    d_prime_squared: float
    interval: tuple[float, float]
    interval_gaussian: tuple[float, float]
    p: float
    auc: float
    auc_held_out: float
    members: tuple[int, int]


def observe(
    absent: Array,
    present: Array,
    *,
    rng: np.random.Generator,
    bootstrap: int = 2000,
    level: float = 0.95,
    progress: Progress | None = None,
) -> Hotelling:
    """Train a Hotelling observer and judge it.

    With D² the squared Mahalanobis distance of the class means in the pooled covariance of ν degrees of freedom, T²
    has a non-central F distribution, and d'² = D²·(ν - p - 1)/ν - p·(1/n₀ + 1/n₁) is without bias. Resampled members
    lie further apart once more, so the mean of the resampled d'² is shifted to the estimate. Without that the
    interval misses d' too often (measured with 100 members and six channels: percentiles cover it in 88 to 95 %, BCa
    in 80 to 92 %, shifted percentiles in 93 to 99 % where 95 % are asked).

    Args:
        absent: (n₀, p) channel outputs without the lesion.
        present: (n₁, p) with it.
        rng: For the bootstrap and the folds.
        bootstrap: Resamples.
        level: Level of the intervals.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: Too few members for so many channels.
    """
    counts, channels = (len(absent), len(present)), absent.shape[1]
    if min(counts) < channels + 2:
        raise InputError(
            f"{channels} channels need at least {channels + 2} members per class, got {counts[0]} and {counts[1]}."
        )
    square = float(unbiased_square(absent, present))
    resampled = np.sqrt(_bootstrap(absent, present, square, rng, bootstrap, progress).clip(min=0.0))
    low, high = np.quantile(resampled, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    d_prime = float(np.sqrt(max(square, 0.0)))
    statistic, degrees, scale = _f_statistic(square, counts, channels)
    return Hotelling(
        d_prime,
        square,
        (float(low), float(high)),
        _exact_interval(statistic, degrees, scale, level),
        float(f.sf(statistic, *degrees)),
        float(norm.cdf(d_prime / np.sqrt(2.0))),
        held_out_auc(absent, present, rng=rng),
        counts,
    )


def unbiased_square(absent: Array, present: Array) -> Array:
    """d'² without bias for Gaussian outputs, of (…, n, p) outputs."""
    n0, n1, p = absent.shape[-2], present.shape[-2], absent.shape[-1]
    nu = n0 + n1 - 2
    return np.asarray((nu - p - 1) / nu * _plain_square(absent, present) - p * (1.0 / n0 + 1.0 / n1))


def _plain_square(absent: Array, present: Array) -> Array:
    """D² of (…, n, p) outputs."""
    shift = present.mean(-2) - absent.mean(-2)
    centred = [part - part.mean(-2, keepdims=True) for part in (absent, present)]
    pooled = sum(np.swapaxes(part, -1, -2) @ part for part in centred)
    pooled = pooled / (absent.shape[-2] + present.shape[-2] - 2)
    return np.asarray((shift * np.linalg.solve(pooled, shift[..., None])[..., 0]).sum(-1))


def _bootstrap(
    absent: Array,
    present: Array,
    square: float,
    rng: np.random.Generator,
    count: int,
    progress: Progress | None,
) -> Array:
    """(count,) d'² of resampled members, less what resampling adds on average."""
    found = np.empty(count)
    for _, start in each(progress, "training the observer", range(0, count, 250)):
        size = min(250, count - start)
        left = rng.integers(len(absent), size=(size, len(absent)))
        right = rng.integers(len(present), size=(size, len(present)))
        found[start : start + size] = unbiased_square(absent[left], present[right])
    return found - (found.mean() - square)


def _f_statistic(
    square: float, counts: tuple[int, int], channels: int
) -> tuple[float, tuple[int, int], float]:
    """T² as F, its degrees of freedom, and what d'² is multiplied by to be its non-centrality."""
    nu, inverse = sum(counts) - 2, 1.0 / counts[0] + 1.0 / counts[1]
    plain = (square + channels * inverse) * nu / (nu - channels - 1)
    last = nu - channels + 1
    return last / (nu * channels) / inverse * plain, (channels, last), 1.0 / inverse


def _exact_interval(
    statistic: float, degrees: tuple[int, int], scale: float, level: float
) -> tuple[float, float]:
    """Interval of d' for Gaussian outputs, by inverting the non-central F distribution."""

    def end(share: float) -> float:
        def excess(noncentrality: float) -> float:
            # SciPy answers NaN for some values far out, where nothing is left.
            return float(np.nan_to_num(ncf.cdf(statistic, *degrees, noncentrality))) - share

        if excess(1e-9) <= 0:
            return 0.0
        high = 1.0
        while excess(high) > 0:
            high *= 2.0
        return float(np.sqrt(brentq(excess, 1e-9, high) / scale))

    return end((1.0 + level) / 2.0), end((1.0 - level) / 2.0)


def held_out_auc(absent: Array, present: Array, *, rng: np.random.Generator, folds: int = 5) -> float:
    """Area under the ROC curve on members the observer has not seen, mean over the folds; ties count half."""
    parts = [np.array_split(rng.permutation(len(one)), folds) for one in (absent, present)]
    areas = []
    for left, right in zip(*parts, strict=True):
        train = np.delete(absent, left, axis=0), np.delete(present, right, axis=0)
        pooled = sum(np.cov(part.T) * (len(part) - 1) for part in train)
        template = np.linalg.solve(np.atleast_2d(pooled), train[1].mean(0) - train[0].mean(0))
        areas.append(_area(absent[left] @ template, present[right] @ template))
    return float(np.mean(areas))


def _area(absent: Array, present: Array) -> float:
    ranks = rankdata(np.concatenate([absent, present]))[len(absent) :]
    return float((ranks.sum() / len(present) - (len(present) + 1) / 2.0) / len(absent))
