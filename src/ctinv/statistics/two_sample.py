"""Do two sets of samples come from one law, and does one set come from a known Gaussian one?

Sets are (n, d) arrays, one sample per row, in any unit. The energy distance and the squared maximum mean discrepancy are
quadratic forms of one matrix over the pooled samples,

    T = qᵀ M q,   q = 1/n on the first set, -1/m on the second,   M = -‖a - b‖ or exp(-‖a - b‖²/2h²),

so that all permutations of a test are one product with M. Such a test is exact: its p-value is at most α with
probability α under the null hypothesis.

References:
    C2ST: D. Lopez-Paz and M. Oquab, Revisiting classifier two-sample tests, ICLR 2017, https://arxiv.org/abs/1610.06545.
    Energy: G. Székely and M. Rizzo, Energy statistics, J Stat Plan Inference 143, 2013,
    https://doi.org/10.1016/j.jspi.2013.03.018. MMD: A. Gretton et al., A kernel two-sample test, JMLR 13, 2012,
    https://jmlr.org/papers/v13/gretton12a.html. Sliced distance: N. Bonneel et al., Sliced and Radon Wasserstein barycenters
    of measures, J Math Imaging Vis 51, 2015, https://doi.org/10.1007/s10851-014-0506-3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, kstest

from ctinv.errors import InputError

WIDEST_LAYER = 64
"""Units of a hidden layer of the classifier; ten per dimension up to this."""

Array = NDArray[np.float64]


def c2st(x: NDArray[np.floating], y: NDArray[np.floating], *, seed: int = 0, folds: int = 5) -> float:
    """Accuracy at which a classifier tells two sets apart: 0.5 for one law, 1 for sets that do not overlap.

    A perceptron with two hidden layers, cross-validated, on coordinates centred and scaled by the mean and standard
    deviation of x. Where standard deviations differ by decades between directions, whiten both sets first.

    Args:
        x: (n, d) samples.
        y: (m, d) samples; n = m, or the accuracy under one law is that of naming the larger set.
        seed: Seed of the folds and of the classifier.
        folds: Parts that take turns as test set.

    Raises:
        InputError: Sets that do not fit each other, or scikit-learn is not installed.
    """
    try:
        from sklearn.model_selection import KFold, cross_val_score
        from sklearn.neural_network import MLPClassifier
    except ImportError as error:
        raise InputError("C2ST needs scikit-learn; install napari-ctinv[validate].") from error
    one, other = _pair(x, y)
    centre, scale = one.mean(0), one.std(0, ddof=1)
    scale[scale == 0] = 1.0
    pooled = (np.concatenate([one, other]) - centre) / scale
    labels = np.repeat([0, 1], [len(one), len(other)])
    width = min(10 * one.shape[1], WIDEST_LAYER)
    classifier = MLPClassifier(
        hidden_layer_sizes=(width, width), early_stopping=True, max_iter=1000, random_state=seed
    )
    parts = KFold(n_splits=folds, shuffle=True, random_state=seed)
    return float(cross_val_score(classifier, pooled, labels, cv=parts, scoring="accuracy").mean())


def mahalanobis(samples: NDArray[np.floating], mean: Array, covariance: Array) -> Array:
    """(n,) squared Mahalanobis distances (x - μ)ᵀ Σ⁻¹ (x - μ) of (n, d) samples.

    Raises:
        InputError: Shapes that do not fit, or a covariance without full rank, for which there is no such distance.
    """
    x = _set(samples)
    if mean.shape != x.shape[1:] or covariance.shape != 2 * x.shape[1:]:
        raise InputError(
            f"{x.shape[1]} coordinates need a mean ({x.shape[1]},) and a covariance of that many rows and columns, "
            f"got {mean.shape} and {covariance.shape}."
        )
    return (whiten(x, mean, covariance) ** 2).sum(1)


def whiten(samples: NDArray[np.floating], mean: Array, covariance: Array) -> Array:
    """(n, d) samples in coordinates in which the law of this mean and covariance has uncorrelated ones of variance 1.

    Raises:
        InputError: A covariance without full rank.
    """
    scale = np.sqrt(np.diag(covariance))
    if not (scale > 0).all():
        raise InputError(
            "the covariance has a coordinate without variance; leave it out or test what varies."
        )
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    if values[0] <= len(values) * np.finfo(np.float64).eps * values[-1]:
        raise InputError(
            f"the covariance has rank {int((values > 1e-12 * values[-1]).sum())} of {len(values)}; project the samples on "
            "the directions that vary."
        )
    return ((_set(samples) - mean) / scale) @ vectors / np.sqrt(values)


def mahalanobis_ks(samples: NDArray[np.floating], mean: Array, covariance: Array) -> float:
    """p of the Kolmogorov-Smirnov test of squared Mahalanobis distances against χ² with d degrees of freedom.

    It weighs all directions alike, so a wrong mean, a wrong spread and a wrong direction all show, however small the
    variance there.

    Args:
        samples: (n, d), to be tested against N(mean, covariance).
        mean: (d,).
        covariance: (d, d), of full rank.

    Raises:
        InputError: As in `mahalanobis`.
    """
    squared = mahalanobis(samples, mean, covariance)
    return float(kstest(squared, chi2(len(mean)).cdf).pvalue)


def energy_distance(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """2·E‖X - Y‖ - E‖X - X'‖ - E‖Y - Y'‖ over all pairs, in the samples' unit; 0 only for one law."""
    one, other = _pair(x, y)
    return float(_forms(_energy_matrix(one, other), _signs(len(one), len(other))[:, None])[0])


def energy_test(
    x: NDArray[np.floating], y: NDArray[np.floating], *, permutations: int = 999, seed: int = 0
) -> float:
    """p of the permutation test of the energy distance between (n, d) and (m, d) samples.

    Takes 8·(n + m)² bytes of memory and, for n = m = 2000, about two seconds.

    Raises:
        InputError: Sets that do not fit each other.
    """
    one, other = _pair(x, y)
    return _permutation_p(_energy_matrix(one, other), len(one), permutations, seed)


def mmd_squared(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Squared maximum mean discrepancy over all pairs; Gaussian kernel as wide as the pooled samples' median distance."""
    one, other = _pair(x, y)
    return float(_forms(_kernel_matrix(one, other), _signs(len(one), len(other))[:, None])[0])


def mmd_test(
    x: NDArray[np.floating], y: NDArray[np.floating], *, permutations: int = 999, seed: int = 0
) -> float:
    """p of the permutation test of the squared MMD; arguments, cost and errors as for `energy_test`."""
    one, other = _pair(x, y)
    return _permutation_p(_kernel_matrix(one, other), len(one), permutations, seed)


def sliced_wasserstein(
    x: NDArray[np.floating], y: NDArray[np.floating], *, projections: int = 128, seed: int = 0
) -> float:
    """Root mean square, over random directions, of the 2-Wasserstein distance between the projected sets, in their unit.

    Raises:
        InputError: Sets that do not fit each other.
    """
    one, other = _pair(x, y)
    directions = _directions(one.shape[1], projections, np.random.default_rng(seed))
    plan = _coupling(len(one), len(other))
    return _transport(np.sort(one @ directions, axis=0), np.sort(other @ directions, axis=0), plan)


def sliced_wasserstein_floor(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    *,
    projections: int = 128,
    permutations: int = 199,
    quantile: float = 0.95,
    seed: int = 0,
) -> float:
    """What `sliced_wasserstein` of sets of these sizes reaches by chance: its quantile over permutations of the pooled sets.

    Raises:
        InputError: Sets that do not fit each other.
    """
    one, other = _pair(x, y)
    rng = np.random.default_rng(seed)
    projected = np.concatenate([one, other]) @ _directions(one.shape[1], projections, rng)
    order = np.argsort(projected, axis=0).T
    ordered = np.take_along_axis(projected.T, order, axis=1)
    plan = _coupling(len(one), len(other))
    first = np.arange(len(projected)) < len(one)
    found = []
    for _ in range(permutations):
        chosen = rng.permutation(first)[order]
        one_part, other_part = (ordered[mask].reshape(projections, -1).T for mask in (chosen, ~chosen))
        found.append(_transport(one_part, other_part, plan))
    return float(np.quantile(found, quantile))


def _pair(x: NDArray[np.floating], y: NDArray[np.floating]) -> tuple[Array, Array]:
    one, other = _set(x), _set(y)
    if one.shape[1] != other.shape[1]:
        raise InputError(
            f"both sets need the same coordinates, got {one.shape[1]} and {other.shape[1]}; compare like with like."
        )
    return one, other


def _set(samples: NDArray[np.floating]) -> Array:
    if samples.ndim != 2 or len(samples) < 2:
        raise InputError(
            f"expected at least 2 samples as (n, d), got shape {samples.shape}; flatten images to rows."
        )
    if not np.isfinite(samples).all():
        raise InputError("expected finite samples, got NaN or infinity; leave those out by name.")
    return samples.astype(np.float64)


def _distances(one: Array, other: Array) -> Array:
    """(n + m, n + m) Euclidean distances of the pooled samples, by one product; centred, so that little cancels."""
    pooled = np.concatenate([one, other])
    pooled -= pooled.mean(0)
    square = (pooled**2).sum(1)
    squared = pooled @ pooled.T
    squared *= -2.0
    squared += square[:, None]
    squared += square
    np.fill_diagonal(squared, 0.0)
    return np.sqrt(squared.clip(0.0, out=squared), out=squared)


def _energy_matrix(one: Array, other: Array) -> Array:
    matrix = _distances(one, other)
    return np.negative(matrix, out=matrix)


def _kernel_matrix(one: Array, other: Array) -> Array:
    matrix = _distances(one, other)
    above = np.triu_indices(len(matrix), 1)
    width = float(np.median(matrix[above]))
    if width == 0:
        raise InputError("more than half of the samples are equal, so the kernel has no width; look at them.")
    matrix /= width
    np.square(matrix, out=matrix)
    matrix *= -0.5
    return np.exp(matrix, out=matrix)


def _signs(n: int, m: int) -> Array:
    return np.concatenate([np.full(n, 1.0 / n), np.full(m, -1.0 / m)])


def _forms(matrix: Array, signs: Array) -> Array:
    """(k,) quadratic forms of the columns of (n + m, k) signs."""
    return np.einsum("ik,ik->k", signs, matrix @ signs)


def _permutation_p(matrix: Array, n: int, permutations: int, seed: int) -> float:
    if permutations < 1:
        raise InputError(
            f"a permutation test needs at least one permutation, got {permutations}; 999 is usual."
        )
    signs = _signs(n, len(matrix) - n)
    rng = np.random.default_rng(seed)
    columns = rng.permuted(np.repeat(signs[:, None], permutations, axis=1), axis=0)
    seen, chance = _forms(matrix, signs[:, None])[0], _forms(matrix, columns)
    return float((1 + np.count_nonzero(chance >= seen)) / (1 + permutations))


def _directions(dimension: int, count: int, rng: np.random.Generator) -> Array:
    """(d, count) unit vectors, uniform on the sphere."""
    drawn = rng.standard_normal((dimension, count))
    return drawn / np.linalg.norm(drawn, axis=0)


def _coupling(n: int, m: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """Ranks that the optimal plan in one dimension joins, and the mass that it moves between them."""
    ends = np.union1d(
        np.arange(1, n + 1) * m, np.arange(1, m + 1) * n
    )  # in units of 1/(n·m), so that they are whole
    mass = np.diff(ends, prepend=0) / (n * m)
    return (ends - 1) // m, (ends - 1) // n, mass


def _transport(one: Array, other: Array, plan: tuple[NDArray[np.intp], NDArray[np.intp], Array]) -> float:
    ranks, other_ranks, mass = plan
    squared = mass @ (one[ranks] - other[other_ranks]) ** 2
    return float(np.sqrt(squared.mean()))
