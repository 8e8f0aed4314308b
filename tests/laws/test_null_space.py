"""G4: what f cannot see keeps the prior's spread exactly, what it sees is pinned to ε, and its rank is the known one."""

from __future__ import annotations

import numpy as np
import pytest
from law_checks import N
from scipy import stats

from ctinv.fibre.dimension import dimension
from ctinv.fibre.factor import Factor
from ctinv.validation.problems.nullspace import NullSpaceProblem, alive, null_space_problem


@pytest.fixture(scope="module")
def problem() -> NullSpaceProblem:
    return null_space_problem()


def test_the_rank_is_the_known_one(problem: NullSpaceProblem) -> None:
    values = np.linalg.svd(problem.matrix, compute_uv=False)
    assert problem.rank == 36  # 18 blocks of tissue, two directions each
    assert values[problem.rank - 1] > 0.1
    assert values[problem.rank] < 1e-12
    jacobian = problem.setup.factor.jacobian.matrix.to_dense().double().numpy()
    assert np.linalg.matrix_rank(jacobian, tol=1e-5) == problem.rank


def test_d_eff_is_the_rank_as_the_tolerance_falls(problem: NullSpaceProblem) -> None:
    factor = problem.setup.factor
    found = [Factor.build(factor.jacobian, factor.noise, epsilon).d_eff for epsilon in (30.0, 0.3, 0.01)]
    assert found[0] < 0.8 * problem.rank
    assert found[1:] == pytest.approx([35.98, 36.0], abs=0.01)
    (row,) = dimension(problem.setup.corrector, [0.3])
    assert row["d_eff"] == pytest.approx(found[1], abs=0.05)


def test_null_directions_keep_the_prior_and_the_others_are_pinned(problem: NullSpaceProblem) -> None:
    x = problem.draw(N, seed=3).x
    kept = problem.kept_exactly()
    prior = kept.T @ problem.prior @ kept
    root = np.linalg.cholesky(prior)
    white = np.linalg.solve(root, kept.T @ (x - problem.prior_mean).T)
    free = problem.dimension - problem.rank
    assert stats.kstest((white**2).sum(0), stats.chi2(free).cdf).pvalue > 0.01
    ratio = white.std(1)
    assert np.sqrt(np.mean(ratio**2)) == pytest.approx(1.0, abs=0.01)
    # What f says of a sample differs from z0 by ε in each seen direction, as the prior is far wider.
    scan = problem.setup.region.scan.reshape(-1).double().numpy()
    left, _, _ = np.linalg.svd(problem.matrix)
    said = (x - scan) @ problem.matrix.T
    seen = said @ left[:, : problem.rank]
    assert np.sqrt(np.mean(seen**2)) == pytest.approx(problem.tolerance, rel=0.02)
    assert np.abs(said @ left[:, problem.rank :]).max() < 1e-9


def test_the_relus_are_where_they_should_be(problem: NullSpaceProblem) -> None:
    """The closed form holds for a piece of f only; no sample may leave it."""
    share = alive(problem.setup, np.vstack([problem.draw(500, seed=0).x, problem.exact(500, seed=0)]))
    assert np.array_equal(np.unique(share), [0.0, 1.0])
    assert (share == share[0]).all()
    assert share[0].sum() * 2 == problem.rank
