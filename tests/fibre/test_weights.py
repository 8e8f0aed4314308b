"""Importance weights and the settling that they need: their derivation is held against laws that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from ctinv.denoiser import Denoiser
from ctinv.errors import InputError
from ctinv.fibre import weights
from ctinv.fibre.approach import columns
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.settle import SHARE, settle
from ctinv.fibre.weights import effective_size, log_weights
from ctinv.sampler.prepare import Prepared
from ctinv.sampler.sampler import InvarianceSampler
from ctinv.validation.problems.contract import Drawn
from ctinv.validation.problems.linear import linear_problem
from ctinv.validation.problems.sphere import SphereProblem, sphere_problem
from ctinv.volume import Box, Volume

SEEDS = RowSeeds(0, "s", "b")
ROWS = range(40)


@pytest.fixture(scope="module", params=[2, 3])
def sphere(request: pytest.FixtureRequest) -> SphereProblem:
    return sphere_problem(request.param)


@pytest.fixture(scope="module")
def drawn(sphere: SphereProblem) -> Drawn:
    return sphere.draw(10_000, seed=0)


@pytest.fixture(scope="module")
def prepared(small_denoiser: Denoiser, phantom_scan: Volume) -> Prepared:
    """A ReLU network at the edge of an insert: a real nonlinear Φ."""
    return InvarianceSampler(small_denoiser, tier="T3", device="cpu").prepare(
        phantom_scan, Box(1, 52, 60, 46, 54)
    )


def test_a_linear_f_weighs_all_alike() -> None:
    corrector = linear_problem(size=8).setup.corrector
    generator = linear_problem(size=8).setup.generator
    settled = settle(corrector, generator.candidates(ROWS, SEEDS), ROWS, SEEDS)
    assert settled.steps <= 1
    found = log_weights(corrector, settled.x_tilde)
    assert found.max() == 0.0
    assert np.abs(found).max() < 0.02
    assert effective_size(found) == pytest.approx(len(ROWS), rel=1e-3)


def test_a_linear_f_settles_where_the_product_stops() -> None:
    setup = linear_problem(size=8).setup
    candidates = setup.generator.candidates(ROWS, SEEDS)
    settled = settle(setup.corrector, candidates, ROWS, SEEDS)
    x_tilde, _, _ = setup.corrector.correct(candidates, ROWS, SEEDS)
    torch.testing.assert_close(settled.x_tilde, x_tilde, rtol=0, atol=2e-3)


def test_settled_samples_solve_the_equation(prepared: Prepared) -> None:
    """C⁻¹(x̃ - x_c) + Jᵀ(e - ε·η)/ε² = 0 in float64, in the law's own metric; the swap alone does not solve it."""
    corrector = prepared.corrector
    candidates = prepared.generator.candidates(ROWS, SEEDS)
    lengths = []
    for steps in (0, 60):
        settled = settle(corrector, candidates, ROWS, SEEDS, steps=steps)
        metric = weights._Metric(corrector, corrector.noise)
        _, error = corrector.region.errors(settled.x_tilde)
        missed = columns(error).double() - corrector.targets(ROWS, SEEDS).double()
        pull = metric.precision @ columns(settled.x_tilde - candidates).double()
        rest = pull + metric.jacobian.T @ missed / metric.variance
        length = torch.linalg.solve_triangular(metric.root, rest, upper=False).square().mean(0).sqrt()
        assert torch.allclose(length, settled.change.double(), rtol=0.05, atol=1e-3)
        lengths.append(length)
    assert settled.arrived.all()
    assert (lengths[1] <= 1.1 * SHARE).all()
    assert lengths[0].max() > 3 * SHARE


def test_weighted_samples_have_the_quantiles_of_the_law(sphere: SphereProblem, drawn: Drawn) -> None:
    kept, exact = drawn.thinned(seed=0), sphere.exact(20_000, seed=2)
    assert len(kept) > 0.25 * len(drawn.x)
    assert stats.ks_2samp(sphere.angles(kept), sphere.angles(exact)).pvalue > 0.01
    # Along the turn from μ to the scan, whose J all share, samples without weights are off.
    assert stats.ks_2samp(kept[:, 1], exact[:, 1]).pvalue > 0.01
    assert stats.ks_2samp(drawn.x[:2000, 1], exact[:, 1]).pvalue < 1e-6


def test_weights_reach_the_variance_of_the_law(sphere: SphereProblem, drawn: Drawn) -> None:
    assert drawn.log_weights is not None
    share = np.exp(drawn.log_weights) / np.exp(drawn.log_weights).sum()
    mean, covariance = sphere.moments
    variance = share @ np.square(drawn.x - share @ drawn.x).sum(1)
    assert variance / np.trace(covariance) == pytest.approx(1.0, abs=0.03)
    std = np.sqrt(np.diag(covariance))
    assert np.abs((share @ drawn.x - mean) / std).max() < 0.05
    assert 0.5 < effective_size(drawn.log_weights) / len(drawn.x) < 0.95
    # Without weights it is far off.
    arrived = drawn.x[np.isfinite(drawn.log_weights)]
    assert np.abs((arrived.mean(0) - mean) / std).max() > 0.3


def test_the_limit_is_von_mises_fisher(sphere: SphereProblem) -> None:
    """The quadrature's law has the variance of the closed form as ε → 0."""
    kappa = sphere.concentration
    tight = sphere_problem(sphere.dimension, tolerance=0.01)
    x = tight.exact(20_000, seed=3)
    law = stats.vonmises_fisher(sphere.centre / np.linalg.norm(sphere.centre), kappa)
    ideal = sphere.length * law.rvs(20_000, random_state=np.random.default_rng(4))
    assert x.var(0).sum() == pytest.approx(ideal.var(0).sum(), rel=0.03)
    mean, covariance = tight.moments
    assert np.trace(covariance) == pytest.approx(ideal.var(0).sum(), rel=0.02)
    np.testing.assert_allclose(x.mean(0), mean, atol=0.4)
    at = np.stack([np.linspace(-80, 80, 8001)] * 2)
    if sphere.dimension == 2:  # the density integrates to 1
        grid = np.stack(np.meshgrid(at[0][::10], at[1][::10]), axis=-1).reshape(-1, 2)
        wide = sphere_problem(2, tolerance=1.0)
        assert np.exp(wide.log_density(grid)).sum() * 0.2**2 == pytest.approx(1.0, rel=1e-3)


def test_weights_of_a_real_network_are_the_same_in_any_company(prepared: Prepared) -> None:
    candidates = prepared.generator.candidates(ROWS, SEEDS)
    settled = settle(prepared.corrector, candidates, ROWS, SEEDS)
    found = log_weights(prepared.corrector, settled.x_tilde)
    part = log_weights(prepared.corrector, settled.x_tilde[10:13])
    np.testing.assert_allclose(np.diff(part), np.diff(found[10:13]), atol=0.02)
    assert np.ptp(found) > 0.1
    assert 1.0 < effective_size(found) < len(ROWS)


def test_effective_size() -> None:
    assert effective_size(np.zeros(7)) == pytest.approx(7)
    assert effective_size(np.array([0.0, -np.inf, 0.0])) == pytest.approx(2)
    assert effective_size(np.array([-np.inf])) == 0.0
    assert effective_size(np.log([1.0, 3.0])) == pytest.approx(16 / 10)


def test_a_large_region_is_refused(prepared: Prepared) -> None:
    patches = prepared.generator.candidates(range(1), SEEDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "MOST_PIXELS", 50)
        with pytest.raises(InputError, match="at most 50 pixels, got 64; choose a smaller region"):
            log_weights(prepared.corrector, patches)


def test_where_g_turns_over_a_sample_has_no_weight(sphere: SphereProblem) -> None:
    """Behind the sphere J points the other way, and the density of the solution found there is another."""
    corrector = replace(sphere.setup.corrector)
    behind = -corrector.region.scan
    found = log_weights(corrector, torch.cat([corrector.region.scan, behind]))
    assert found[0] == 0.0
    assert found[1] == -np.inf
