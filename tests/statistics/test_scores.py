"""The scores are those of the literature, are least for the true law, and notice a wrong spread or mean."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
from scipy.stats import norm

from ctinv.errors import InputError
from ctinv.statistics.ranks import coverage, rank_distance, ranks
from ctinv.statistics.scores import crps, crps_floor, energy_floor, energy_score

SHAPE = (12, 10)


def draws(count: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    return 5.0 + shift + 10.0 * scale * np.random.default_rng(seed).standard_normal((count, *SHAPE))


def test_scores_equal_those_of_scoringrules() -> None:
    samples, observed = draws(30, 0), draws(7, 1)
    flat, seen = samples.reshape(30, -1), observed.reshape(7, -1)
    theirs = scoringrules.crps_ensemble(seen, np.broadcast_to(flat.T, (7, *flat.T.shape)), estimator="fair")
    assert crps(samples, observed) == pytest.approx(float(np.mean(theirs)), rel=1e-9)
    ensembles = np.broadcast_to(flat, (7, *flat.shape))
    theirs = scoringrules.es_ensemble(seen, ensembles, estimator="fair") / np.sqrt(flat.shape[1])
    assert energy_score(samples, observed) == pytest.approx(float(np.mean(theirs)), rel=1e-9)


def test_crps_of_a_normal_law_is_its_closed_form() -> None:
    observed = draws(1, 2)
    z = (observed - 5.0) / 10.0
    exact = 10.0 * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert crps(draws(4000, 3), observed) == pytest.approx(float(exact.mean()), rel=0.01)


def test_floor_is_the_score_of_re_scans_left_out_one_by_one() -> None:
    scans = draws(6, 4)
    others = [(np.delete(scans, i, axis=0), scans[i : i + 1]) for i in range(len(scans))]
    assert energy_floor(scans) == pytest.approx(np.mean([energy_score(*pair) for pair in others]))
    assert crps_floor(scans) == pytest.approx(np.mean([crps(*pair) for pair in others]))


@pytest.mark.parametrize(("score", "floor"), [(energy_score, energy_floor), (crps, crps_floor)])
def test_the_true_law_scores_at_the_floor_and_wrong_ones_above(score, floor) -> None:
    observed = draws(200, 5)
    true = score(draws(250, 6), observed)
    assert true == pytest.approx(floor(observed), rel=0.004)
    for wrong in ({"scale": 0.8}, {"scale": 1.25}, {"shift": 3.0}):
        assert score(draws(250, 6, **wrong), observed) > 1.008 * true, wrong


def test_scores_do_not_depend_on_the_number_of_samples() -> None:
    observed = draws(50, 7)
    few = np.mean([energy_score(draws(3, seed), observed) for seed in range(100, 180)])
    assert few == pytest.approx(energy_score(draws(250, 8), observed), rel=0.005)


def test_scores_refuse_what_they_cannot_score() -> None:
    with pytest.raises(InputError, match="at least 2"):
        energy_score(draws(1, 0), draws(3, 1))
    with pytest.raises(InputError, match="same region"):
        crps(draws(3, 0), draws(3, 1)[:, :5])
    with pytest.raises(InputError, match="at least 20"):
        ranks(draws(19, 0), draws(1, 1)[0])


def test_ranks_are_uniform_for_the_true_law_and_catch_narrow_and_shifted_samples() -> None:
    shape, n = (64, 64), 250
    rng = np.random.default_rng(9)
    scan, samples = rng.standard_normal(shape), rng.standard_normal((n, *shape))
    right = ranks(samples, scan)
    assert rank_distance(right, n) < 0.01  # 9 / 4096 on average
    assert coverage(right, n) == pytest.approx(0.9, abs=0.02)
    narrow, shifted = ranks(0.8 * samples, scan), ranks(samples + 0.5, scan)
    assert rank_distance(narrow, n) > 0.05
    assert coverage(narrow, n) < 0.85
    assert rank_distance(shifted, n) > 0.1
    assert rank_distance(ranks(samples + 50.0, scan), n) == pytest.approx(9.0, rel=0.05)


@pytest.mark.parametrize("n", [20, 32, 39, 250])
def test_coverage_is_right_for_any_number_of_samples(n: int) -> None:
    assert coverage((np.arange(n + 1) + 0.5) / (n + 1), n) == pytest.approx(0.9, abs=1e-12)
    assert coverage(np.array([0.5 / (n + 1), 1 - 0.5 / (n + 1)]), n) < 0.1
    assert coverage(np.array([0.5]), n) == pytest.approx(1.0)


def test_ranks_of_a_tie_lie_in_the_middle() -> None:
    assert (ranks(np.zeros((21, 2, 2)), np.zeros((2, 2))) == 0.5).all()
