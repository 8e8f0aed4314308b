"""The sampler against a known law, and wrong samplers caught by the same test."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from problems import LinearGaussian
from scipy import stats

N = 2000


@pytest.fixture(scope="module")
def problem() -> LinearGaussian:
    return LinearGaussian.make()


def p_value(problem: LinearGaussian, samples: NDArray[np.float64]) -> float:
    """Kolmogorov-Smirnov p of the squared Mahalanobis distance from the exact law, which is χ² with n degrees of freedom.

    The eigenvalues of the law span four decades; the distance weighs them all alike, so a wrong mean, a wrong spread and a
    wrong direction all show (method §6: the most powerful single test).
    """
    root = np.linalg.cholesky(problem.posterior)
    whitened = np.linalg.solve(root, (samples - problem.mean).T)
    return float(stats.kstest((whitened**2).sum(0), stats.chi2(len(root)).cdf).pvalue)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_law_of_the_fibre(problem: LinearGaussian, seed: int) -> None:
    samples = problem.sample(N, seed=seed)
    assert p_value(problem, samples) > 0.01 / 3
    error = (samples.mean(0) - problem.mean) / np.sqrt(np.diag(problem.posterior) / N)
    assert np.mean(error**2) == pytest.approx(1.0, abs=0.5)
    ratio = samples.std(0) / np.sqrt(np.diag(problem.posterior))
    assert 0.95 < np.sqrt(np.mean(ratio**2)) < 1.05
    covariance = np.cov(samples.T)
    scale = np.sqrt(np.outer(np.diag(problem.posterior), np.diag(problem.posterior)))
    assert np.abs((covariance - problem.posterior) / scale).max() < 5.5 / np.sqrt(N)


def test_theory_of_the_factor_is_the_closed_form(problem: LinearGaussian) -> None:
    factor = problem.corrector.factor
    np.testing.assert_allclose(factor.spread.numpy(), np.sqrt(np.diag(problem.posterior)), rtol=2e-4)
    shrink = np.linalg.solve(problem.covariance, problem.posterior)
    assert factor.d_eff == pytest.approx(len(shrink) - np.trace(shrink), rel=1e-3)


def test_no_eta_is_caught(problem: LinearGaussian) -> None:
    assert p_value(problem, problem.without_target_noise().sample(N)) < 1e-6


def test_identity_metric_is_caught(problem: LinearGaussian) -> None:
    assert p_value(problem, problem.in_identity_metric().sample(N)) < 1e-6


def test_narrow_spread_is_caught(problem: LinearGaussian) -> None:
    samples = problem.sample(N)
    assert p_value(problem, problem.mean + 0.8 * (samples - problem.mean)) < 1e-6


def test_raw_candidates_are_caught(problem: LinearGaussian) -> None:
    from ctinv.fibre.rows import RowSeeds

    raw = problem.generator.candidates(range(N), RowSeeds(0, "law", "law")).reshape(N, -1).double().numpy()
    assert p_value(problem, raw) < 1e-6


def test_detectability_is_the_closed_form(problem: LinearGaussian) -> None:
    rng = np.random.default_rng(0)
    signals = rng.standard_normal((len(problem.mean), 3))
    factor = problem.corrector.factor
    inner = np.sum(signals * np.linalg.solve(problem.covariance, signals), axis=0)
    # d'_ε² = sᵀ(C⁻¹ - C⁻¹ Σ C⁻¹)s with Σ the posterior covariance, by Woodbury.
    whitened = np.linalg.solve(problem.covariance, signals)
    kept = inner - np.sum(whitened * (problem.posterior @ whitened), axis=0)
    found = factor.detectability(torch.from_numpy(signals).float()).numpy()
    np.testing.assert_allclose(found, kept / inner, atol=2e-4)


def test_the_normal_matrix_is_the_product(problem: LinearGaussian) -> None:
    from ctinv.fibre.factor import normal_matrix

    jacobian, noise = problem.corrector.factor.jacobian, problem.corrector.noise
    product = jacobian.matrix.to_dense().double() @ noise.root
    torch.testing.assert_close(normal_matrix(jacobian, noise), product.T @ product, rtol=1e-10, atol=1e-8)
