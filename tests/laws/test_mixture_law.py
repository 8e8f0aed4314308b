"""G2: the modes of a mixture are drawn with their posterior weights; prior weights and other wrong samplers are caught."""

from __future__ import annotations

import numpy as np
import pytest
from law_checks import CAUGHT, N, check_moments, distances
from scipy import stats

from ctinv.validation.problems.contract import Array
from ctinv.validation.problems.mixture import PRIOR_WEIGHTS, MixtureProblem, mixture_problem


@pytest.fixture(scope="module")
def problem() -> MixtureProblem:
    return mixture_problem()


def total_variation(problem: MixtureProblem, x: Array) -> float:
    found = np.bincount(problem.modes(x), minlength=len(problem.weights)) / len(x)
    return float(np.abs(found - problem.mode_weights).sum() / 2)


def own_distance_p(problem: MixtureProblem, x: Array) -> float:
    """KS p of the squared distance from the mean of each sample's own mode, which is χ²."""
    apart = x - problem.means[problem.modes(x)]
    white = np.linalg.solve(np.linalg.cholesky(problem.posterior), apart.T)
    return float(stats.kstest((white**2).sum(0), stats.chi2(problem.dimension).cdf).pvalue)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_law_and_its_weights(problem: MixtureProblem, seed: int) -> None:
    x = problem.draw(N, seed=seed).x
    assert total_variation(problem, x) <= 0.05
    assert own_distance_p(problem, x) > 0.01 / 3
    check_moments(problem, x)


def test_the_generator_weighs_as_the_closed_form(problem: MixtureProblem) -> None:
    """Linear theory is exact for a linear f; two of the modes remain possible, with other weights than before."""
    np.testing.assert_allclose(problem.mixture(problem.setup).shares, problem.mode_weights, atol=1e-4)
    assert (problem.mode_weights > 0.1).sum() >= 2
    assert np.abs(problem.mode_weights - problem.weights).max() > 0.2


def test_prior_weights_are_caught(problem: MixtureProblem) -> None:
    assert total_variation(problem, problem.draw(N, seed=0, control=PRIOR_WEIGHTS).x) > 0.2


@pytest.mark.parametrize(
    "control", ["spread 0.8", "identity metric", "no η", "raw candidates", "NPS +20 %", "NPS +20 % in a band"]
)
def test_wrong_samplers_are_caught(problem: MixtureProblem, control: str) -> None:
    exact = distances(problem, problem.exact(20 * N, seed=1))
    found = distances(problem, problem.draw(N, seed=0, control=control).x)
    assert stats.ks_2samp(found, exact).pvalue < CAUGHT


def test_exact_samples_are_of_the_law(problem: MixtureProblem) -> None:
    x = problem.exact(N, seed=2)
    assert total_variation(problem, x) < 0.05
    check_moments(problem, x)
    # Modes hardly overlap: the density at a sample is that of its own mode.
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * problem.posterior)[1]
    entropy -= problem.mode_weights @ np.log(problem.mode_weights)
    assert problem.log_density(x).mean() == pytest.approx(
        -entropy, abs=5 * np.sqrt(problem.dimension / 2 / N)
    )


def test_calibration_by_simulation_is_set_up_right(problem: MixtureProblem) -> None:
    """Ranks of 60 truths among 40 samples: no quantity sits at an end, and each simulation has its own z0."""
    ranks = []
    for index in range(60):
        truth, draws, weights = problem.simulate(index, 40, seed=3)
        assert weights is None
        assert truth.shape == (len(problem.quantities),)
        ranks.append((draws < truth).mean(0))
    mean = np.mean(ranks, axis=0)
    assert np.abs(mean - 0.5).max() < 4.0 * np.sqrt(1 / 12 / 60)
    assert np.std(ranks, axis=0).min() > 0.2
