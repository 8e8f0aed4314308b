"""What the tests of known laws measure."""

from __future__ import annotations

import numpy as np
from scipy import stats

from ctinv.validation.problems.contract import Array, Problem

N = 2000
CAUGHT = 1e-6


def distance_p(problem: Problem, samples: Array) -> float:
    """Kolmogorov-Smirnov p of the squared Mahalanobis distance from a Gaussian law, which is χ² with d degrees of freedom.

    The eigenvalues of the law span four decades; the distance weighs them all alike, so a wrong mean, a wrong spread and a
    wrong direction all show (method §6: the most powerful single test).
    """
    return float(stats.kstest(distances(problem, samples), stats.chi2(problem.dimension).cdf).pvalue)


def distances(problem: Problem, samples: Array) -> Array:
    """(n,) squared Mahalanobis distances in the law's moments."""
    mean, covariance = problem.moments
    whitened = np.linalg.solve(np.linalg.cholesky(covariance), (samples - mean).T)
    return np.asarray((whitened**2).sum(0))


def check_moments(problem: Problem, samples: Array) -> None:
    """Mean, spread and correlations of samples are the law's, as far as their number shows."""
    mean, covariance = problem.moments
    variance = np.diag(covariance)
    error = (samples.mean(0) - mean) / np.sqrt(variance / len(samples))
    assert 0.5 < np.mean(error**2) < 1.6
    ratio = samples.std(0) / np.sqrt(variance)
    assert 0.95 < np.sqrt(np.mean(ratio**2)) < 1.05
    scale = np.sqrt(np.outer(variance, variance))
    assert np.abs((np.cov(samples.T) - covariance) / scale).max() < 5.5 / np.sqrt(len(samples))
