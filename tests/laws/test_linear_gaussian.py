"""The sampler against known Gaussian laws (G1, G1b, G4), and wrong samplers caught by the same test."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from law_checks import CAUGHT, N, check_moments, distance_p

from ctinv.errors import InputError
from ctinv.fibre.factor import normal_matrix
from ctinv.validation.problems.find import make_problem
from ctinv.validation.problems.gaussian import CONTROLS, GaussianProblem

NAMES = ("G1", "G1b", "G4")


@pytest.fixture(scope="module")
def problems() -> dict[str, GaussianProblem]:
    found = {name: make_problem(name) for name in NAMES}
    return {name: one for name, one in found.items() if isinstance(one, GaussianProblem)}


@pytest.fixture(scope="module")
def problem(problems: dict[str, GaussianProblem]) -> GaussianProblem:
    return problems["G1"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_law_of_the_fibre(problems: dict[str, GaussianProblem], name: str, seed: int) -> None:
    samples = problems[name].draw(N, seed=seed).x
    assert distance_p(problems[name], samples) > 0.01 / 9
    check_moments(problems[name], samples)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("control", CONTROLS)
def test_wrong_samplers_are_caught(problems: dict[str, GaussianProblem], name: str, control: str) -> None:
    """No η, the identity metric, a narrow spread, raw candidates, and a C with 20 % more power."""
    assert distance_p(problems[name], problems[name].draw(N, seed=0, control=control).x) < CAUGHT


@pytest.mark.parametrize("name", NAMES)
def test_exact_samples_are_of_the_law_they_are_weighed_with(
    problems: dict[str, GaussianProblem], name: str
) -> None:
    problem = problems[name]
    x = problem.exact(N, seed=4)
    assert distance_p(problem, x) > 0.01
    # The mean log-density of a Gaussian is minus its entropy.
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * problem.moments[1])[1]
    assert problem.log_density(x).mean() == pytest.approx(
        -entropy, abs=5 * np.sqrt(problem.dimension / 2 / N)
    )


@pytest.mark.parametrize("name", NAMES)
def test_theory_of_the_factor_is_the_closed_form(problems: dict[str, GaussianProblem], name: str) -> None:
    problem = problems[name]
    factor, posterior = problem.setup.factor, problem.moments[1]
    np.testing.assert_allclose(factor.spread.numpy(), np.sqrt(np.diag(posterior)), rtol=5e-4)
    shrink = np.linalg.solve(problem.prior, posterior)
    assert factor.d_eff == pytest.approx(len(shrink) - np.trace(shrink), rel=1e-3)


def test_detectability_is_the_closed_form(problem: GaussianProblem) -> None:
    rng = np.random.default_rng(0)
    signals = rng.standard_normal((problem.dimension, 3))
    factor = problem.setup.factor
    # d'_ε² = sᵀ(C⁻¹ - C⁻¹ Σ C⁻¹)s with Σ the posterior covariance, by Woodbury.
    whitened = np.linalg.solve(problem.prior, signals)
    inner = np.sum(signals * whitened, axis=0)
    kept = inner - np.sum(whitened * (problem.moments[1] @ whitened), axis=0)
    found = factor.detectability(torch.from_numpy(signals).float()).numpy()
    np.testing.assert_allclose(found, kept / inner, atol=2e-4)


def test_the_normal_matrix_is_the_product(problem: GaussianProblem) -> None:
    jacobian, noise = problem.setup.factor.jacobian, problem.setup.noise
    product = jacobian.matrix.to_dense().double() @ noise.root
    torch.testing.assert_close(normal_matrix(jacobian, noise), product.T @ product, rtol=1e-10, atol=1e-8)


@pytest.mark.parametrize("name", ["G1", "G1b"])
def test_f_and_c_do_not_commute(problems: dict[str, GaussianProblem], name: str) -> None:
    """Else a wrong metric would be invisible."""
    problem = problems[name]
    shape = problem.setup.region.shape
    rows, columns = problem.setup.region.halo
    outputs = np.zeros(problem.setup.region.reference.shape[-2:], dtype=bool)
    outputs[rows, columns] = True
    square = problem.matrix[outputs.ravel()]
    apart = square @ problem.prior - problem.prior @ square
    assert square.shape == (shape[0] * shape[1],) * 2
    assert np.linalg.norm(apart) > 0.02 * np.linalg.norm(square @ problem.prior)


def test_an_unknown_control_is_one_sentence(problem: GaussianProblem) -> None:
    with pytest.raises(InputError, match=r"G1 has no control 'magic'; choose one of spread 0\.8"):
        problem.draw(10, seed=0, control="magic")
    with pytest.raises(InputError, match="choose one of G1, G1b"):
        make_problem("G9")
