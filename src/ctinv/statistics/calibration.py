"""Is a sampler calibrated over many simulated truths: rank statistics with simultaneous bands, and TARP.

A truth drawn from the prior and draws from the posterior given its data are exchangeable, so the truth's rank among the
draws is uniform (simulation-based calibration). Ranks are handed out as u = (draws below + v)/(n + 1), v ~ U(0, 1), which
is uniform on 0 to 1 without steps, so that bands and tests are exact for any n. Draws with importance weights count
with n·w in place of 1; that is exact in the limit of many effective draws only.

TARP ranks distances to a random reference point in place of a coordinate, and so looks at all coordinates at once.

References:
    SBC: S. Talts et al., Validating Bayesian inference algorithms with simulation-based calibration, 2018,
    https://arxiv.org/abs/1804.06788. Bands: T. Säilynoja, P. Bürkner and A. Vehtari, Graphical test for discrete uniformity
    and its applications in goodness-of-fit evaluation and multiple sample comparison, Stat Comput 32, 2022,
    https://doi.org/10.1007/s11222-022-10090-6. TARP: P. Lemos et al., Sampling-based accuracy testing of posterior
    estimators for general inference, ICML 2023, https://arxiv.org/abs/2302.03026.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, kstest

from ctinv.errors import InputError

POINTS = 100
"""Places at which an empirical distribution function is held against its bands."""
_SIMULATIONS = 20_000  # the coverage of the bands is then known to 0.07 % at 99 %

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bands:
    """Where the empirical distribution function of uniform numbers lies, everywhere at once.

    Attributes:
        places: (k,) in (0, 1), where it is looked at.
        lower, upper: (k,) the bands.
        level: Probability of lying inside everywhere.
    """

    places: Array
    lower: Array
    upper: Array
    level: float


@dataclass(frozen=True, eq=False)
class Coverage:
    """How often credible regions of a given probability hold the truth.

    Attributes:
        levels: (k,) the regions' probability.
        coverage: (k,) the share of truths that they hold; `levels` where all is calibrated.
        p: Kolmogorov-Smirnov p of the truths' ranks, which are uniform where all is calibrated.
    """

    levels: Array
    coverage: Array
    p: float


def sbc_ranks(
    draws: NDArray[np.floating],
    truth: NDArray[np.floating],
    *,
    weights: NDArray[np.floating] | None = None,
    seed: int = 0,
) -> Array:
    """Relative ranks of truths among their draws, uniform on 0 to 1 where the draws are those of the posterior.

    Args:
        draws: (S, n, q): of each of S simulations n posterior draws of q quantities.
        truth: (S, q).
        weights: (S, n) importance weights up to a factor per simulation, none negative; equal ones if None.
        seed: Seed of the place within a rank; ties are placed at random.

    Returns:
        (S, q) in (0, 1).

    Raises:
        InputError: Shapes that do not fit, or weights that are negative or all zero.
    """
    simulations, n, quantities = _checked(draws, truth)
    mass = _masses(weights, simulations, n)
    below = np.einsum("sn,snq->sq", mass, draws < truth[:, None])
    tied = np.einsum("sn,snq->sq", mass, draws == truth[:, None])
    within = np.random.default_rng(seed).random((simulations, quantities))
    found: Array = (below + within * (tied + 1.0)) / (n + 1.0)
    return found


def rank_bands(simulations: int, *, level: float = 0.99, places: int = POINTS, seed: int = 0) -> Bands:
    """Simultaneous bands for the empirical distribution function of that many uniform ranks (Säilynoja et al. 2022, §3).

    At each place z the count of ranks below is binomial; the same pointwise level γ is taken everywhere, chosen by
    simulation such that all places together hold with probability `level`.

    Raises:
        InputError: Fewer than 20 simulations, or a level that is no probability.
    """
    if simulations < 20 or not 0 < level < 1:
        raise InputError(
            f"bands need at least 20 simulations and a level between 0 and 1, got {simulations} and {level}."
        )
    z = _places(places)
    gamma = np.quantile(_simulated_tails(simulations, places, seed), 1.0 - level)
    lower, upper = (binom.ppf(tail, simulations, z) / simulations for tail in (gamma / 2, 1.0 - gamma / 2))
    return Bands(z, lower, upper, level)


def inside_bands(ranks: Array, bands: Bands) -> NDArray[np.bool_]:
    """(q,) whether the ranks of each quantity, (S, q), stay inside the bands at all places."""
    found = ecdf(ranks, bands.places)
    within = (found >= bands.lower[:, None] - 1e-12) & (found <= bands.upper[:, None] + 1e-12)
    return np.asarray(within.all(0))


def rank_p(ranks: Array, *, places: int = POINTS, seed: int = 0) -> Array:
    """(q,) p-values of (S, q) ranks: below 1 - level where they leave the bands of that level somewhere."""
    simulations = len(ranks)
    counts = np.rint(ecdf(ranks, _places(places)) * simulations).astype(np.intp)
    found = _smallest_tail(counts.T, _tail_table(simulations, places))
    chance = np.sort(_simulated_tails(simulations, places, seed))
    p: Array = (1 + np.searchsorted(chance, found * (1 + 1e-12), side="right")) / (1 + len(chance))
    return p


def ecdf(ranks: Array, places: Array) -> Array:
    """(k, q) empirical distribution functions of (S, q) ranks at k places."""
    ordered = np.sort(ranks, axis=0)
    columns = [np.searchsorted(column, places, side="right") for column in ordered.T]
    found: Array = np.stack(columns, axis=1) / len(ranks)
    return found


def tarp(
    draws: NDArray[np.floating],
    truth: NDArray[np.floating],
    *,
    seed: int = 0,
    references: NDArray[np.floating] | None = None,
    weights: NDArray[np.floating] | None = None,
    places: int = POINTS,
) -> Coverage:
    """Coverage of balls around random reference points (Lemos et al. 2023, algorithm 2).

    Coordinates are scaled to the truths' range, and references are drawn uniformly in it. A wrong spread by a quarter
    takes about a thousand simulations to see.

    Args:
        draws: (S, n, d) posterior draws.
        truth: (S, d).
        seed: Seed of the references and of the places within ranks.
        references: (S, d) in place of random ones; they may depend on the data, not on the truth.
        weights: (S, n) as in `sbc_ranks`.
        places: Levels at which the coverage is told.

    Raises:
        InputError: As `sbc_ranks`.
    """
    _checked(draws, truth)
    low, high = truth.min(0), truth.max(0)
    scale = np.where(high > low, high - low, 1.0)
    points = references
    if points is None:
        points = np.random.default_rng([seed, 1]).uniform(low, high, truth.shape)
    if points.shape != truth.shape:
        raise InputError(
            f"expected one reference point per truth, {truth.shape}, got {points.shape}; leave them out for random ones."
        )
    near = np.linalg.norm((truth - points) / scale, axis=-1)[:, None]
    away = np.linalg.norm((draws - points[:, None]) / scale, axis=-1)[..., None]
    ranks = sbc_ranks(away, near, weights=weights, seed=seed)
    levels = _places(places)
    return Coverage(levels, ecdf(ranks, levels)[:, 0], float(kstest(ranks[:, 0], "uniform").pvalue))


def _checked(draws: NDArray[np.floating], truth: NDArray[np.floating]) -> tuple[int, int, int]:
    if draws.ndim != 3 or truth.shape != (draws.shape[0], draws.shape[2]) or not draws.size:
        raise InputError(
            f"expected draws (S, n, q) and truths (S, q), got {draws.shape} and {truth.shape}; stack the simulations first."
        )
    if not (np.isfinite(draws).all() and np.isfinite(truth).all()):
        raise InputError("expected finite draws and truths, got NaN or infinity; look at those simulations.")
    return draws.shape[0], draws.shape[1], draws.shape[2]


def _masses(weights: NDArray[np.floating] | None, simulations: int, n: int) -> Array:
    """(S, n) weights that sum to n in each simulation."""
    if weights is None:
        return np.ones((simulations, n))
    sums = weights.sum(1, keepdims=True) if weights.ndim == 2 else np.zeros(1)
    if weights.shape != (simulations, n) or not (weights >= 0).all() or not (sums > 0).all():
        raise InputError(
            f"expected weights ({simulations}, {n}), none negative and not all zero, got {weights.shape}."
        )
    masses: Array = n * weights / sums
    return masses


def _places(count: int) -> Array:
    """Inner places; at 0 and 1 every distribution function agrees."""
    return np.arange(1, count + 1) / (count + 1.0)


def _simulated_tails(simulations: int, places: int, seed: int) -> Array:
    """The bands' statistic of many sets of uniform ranks."""
    rng = np.random.default_rng(seed)
    steps = rng.multinomial(simulations, np.full(places + 1, 1.0 / (places + 1)), size=_SIMULATIONS)
    return _smallest_tail(np.cumsum(steps, axis=1)[:, :-1], _tail_table(simulations, places))


def _tail_table(simulations: int, places: int) -> Array:
    """(k, S + 1) twice the smaller tail of the binomial law at each place, for each count."""
    z, counts = _places(places)[:, None], np.arange(simulations + 1)
    left = binom.cdf(counts, simulations, z)
    right = binom.sf(counts - 1, simulations, z)
    tails: Array = 2.0 * np.minimum(left, right)
    return tails


def _smallest_tail(counts: NDArray[np.intp], table: Array) -> Array:
    """Over the places, of (m, k) counts: (m,)."""
    smallest: Array = table[np.arange(len(table)), counts].min(-1)
    return smallest
