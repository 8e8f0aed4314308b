"""Calibrated samplers stay inside the bands at the promised rate, wrong ones leave them, and the curves are those of sbi."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from ctinv.errors import InputError
from ctinv.statistics.calibration import ecdf, inside_bands, rank_bands, rank_p, sbc_ranks, tarp

SIMULATIONS, DRAWS, QUANTITIES = 1000, 100, 6
Array = NDArray[np.float64]


def conjugate(seed: int, *, scale: float = 1.0, shift: float = 0.0) -> tuple[Array, Array]:
    """Truths and draws of a normal mean with a normal prior, seen once in unit noise; the posterior is N(y/2, 1/2)."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((SIMULATIONS, QUANTITIES))
    seen = truth + rng.standard_normal(truth.shape)
    normal = rng.standard_normal((SIMULATIONS, DRAWS, QUANTITIES))
    return seen[:, None] / 2 + np.sqrt(0.5) * (shift + scale * normal), truth


def test_ranks_are_those_of_sbi() -> None:
    from sbi.diagnostics.sbc import _run_sbc

    draws, truth = conjugate(0)
    theirs = _run_sbc(
        torch.from_numpy(truth), torch.zeros(SIMULATIONS, 1), torch.from_numpy(draws).transpose(0, 1),
        "marginals", show_progress_bar=False,
    )  # fmt: skip
    np.testing.assert_array_equal(np.floor(sbc_ranks(draws, truth) * (DRAWS + 1)), theirs.numpy())


def test_coverage_is_that_of_sbi() -> None:
    from sbi.diagnostics.tarp import _run_tarp

    draws, truth = conjugate(1, scale=0.7)
    references = np.random.default_rng(2).standard_normal(truth.shape)
    theirs, levels = _run_tarp(
        torch.from_numpy(draws).transpose(0, 1), torch.from_numpy(truth), torch.from_numpy(references), z_score_theta=True
    )  # fmt: skip
    ours = tarp(draws, truth, references=references)
    at = np.interp(ours.levels, levels.numpy(), theirs.numpy())
    inner = (
        ours.levels < 0.95
    )  # theirs puts truths beyond all draws at 1, ours between there and the last draw
    np.testing.assert_allclose(ours.coverage[inner], at[inner], atol=2.0 / DRAWS)
    assert np.abs(ours.coverage - ours.levels).max() > 0.05


@pytest.mark.parametrize(("simulations", "level"), [(150, 0.95), (1000, 0.99)])
def test_bands_hold_everywhere_at_their_level(simulations: int, level: float) -> None:
    bands = rank_bands(simulations, level=level)
    ranks = np.random.default_rng(3).random((simulations, 4000))
    outside = 1.0 - inside_bands(ranks, bands).mean()
    assert outside == pytest.approx(1.0 - level, abs=4 * np.sqrt(level * (1 - level) / 4000) + 0.002)
    p = rank_p(ranks)
    assert (p < 1.0 - level).mean() == pytest.approx(outside, abs=0.003)
    assert (p < 0.5).mean() == pytest.approx(0.5, abs=0.04)
    pointwise = stats.binom(simulations, bands.places)
    inner = pointwise.cdf(bands.upper * simulations) - pointwise.cdf(bands.lower * simulations - 1)
    assert inner.min() > level  # everywhere at once asks for more at each place


def test_a_calibrated_sampler_passes() -> None:
    draws, truth = conjugate(4)
    ranks = sbc_ranks(draws, truth)
    assert inside_bands(ranks, rank_bands(SIMULATIONS)).all()
    assert rank_p(ranks).min() > 0.01
    assert tarp(draws, truth).p > 0.01


@pytest.mark.parametrize("wrong", [{"scale": 0.8}, {"scale": 1.25}, {"shift": 0.25}])
def test_wrong_samplers_leave_the_bands(wrong: dict[str, float]) -> None:
    draws, truth = conjugate(5, **wrong)
    assert not inside_bands(sbc_ranks(draws, truth), rank_bands(SIMULATIONS)).any()
    if "scale" in wrong:
        assert tarp(draws, truth).p < 0.01


def test_importance_weights_repair_a_wrong_proposal() -> None:
    draws, truth = conjugate(6, scale=1.3)
    assert not inside_bands(sbc_ranks(draws, truth), rank_bands(SIMULATIONS)).any()
    rng = np.random.default_rng(7)
    truth = rng.standard_normal((SIMULATIONS, 1))
    centre = (truth + rng.standard_normal(truth.shape)) / 2
    away = 1.3 * np.sqrt(0.5) * rng.standard_normal((SIMULATIONS, 400))
    weights = np.exp(-(away**2) * (1.0 - 1.0 / 1.3**2))  # N(0, 1/2) over N(0, 1.3²/2)
    wide = (centre + away)[..., None]
    bands = rank_bands(SIMULATIONS)
    assert not inside_bands(sbc_ranks(wide, truth), bands).any()
    assert inside_bands(sbc_ranks(wide, truth, weights=5.0 * weights), bands).all()
    assert tarp(wide, truth).p < 0.01
    assert tarp(wide, truth, weights=weights).p > 0.01


def test_ranks_of_equal_values_are_uniform() -> None:
    ranks = sbc_ranks(np.zeros((2000, 5, 1)), np.zeros((2000, 1)))
    assert stats.kstest(ranks[:, 0], "uniform").pvalue > 0.01
    few = sbc_ranks(*(one[:, :3] if one.ndim == 3 else one for one in conjugate(8)))
    assert stats.kstest(few[:, 0], "uniform").pvalue > 0.01  # three draws are enough to be uniform


def test_distribution_function_counts_what_lies_below() -> None:
    found = ecdf(np.array([[0.1, 0.9], [0.4, 0.9], [0.4, 0.2]]), np.array([0.05, 0.4, 0.95]))
    np.testing.assert_allclose(found, [[0, 0], [1, 1 / 3], [1, 1]])


def test_what_cannot_be_ranked_is_refused() -> None:
    draws, truth = conjugate(9)
    with pytest.raises(InputError, match="draws \\(S, n, q\\)"):
        sbc_ranks(draws, truth[:, :2])
    with pytest.raises(InputError, match="NaN"):
        tarp(draws * np.nan, truth)
    with pytest.raises(InputError, match="expected weights"):
        sbc_ranks(draws, truth, weights=-np.ones((SIMULATIONS, DRAWS)))
    with pytest.raises(InputError, match="one reference point"):
        tarp(draws, truth, references=truth[:5])
    with pytest.raises(InputError, match="at least 20"):
        rank_bands(10)
