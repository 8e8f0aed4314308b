"""Two-sample tests keep their size, see what they should see, and are those of the literature's libraries."""

from __future__ import annotations

import warnings

import numba
import numpy as np
import ot
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from ctinv.errors import InputError
from ctinv.statistics import two_sample
from ctinv.statistics.two_sample import (
    c2st,
    energy_distance,
    energy_test,
    mahalanobis,
    mahalanobis_ks,
    mmd_squared,
    mmd_test,
    sliced_wasserstein,
    sliced_wasserstein_floor,
    whiten,
)

with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
    warnings.simplefilter("ignore", DeprecationWarning)  # hyppo imports names that SciPy 2 will not have
    patch.setattr(numba.config, "DISABLE_JIT", True)  # compiling would take 20 seconds, NumPy takes two
    from hyppo.ksample import MMD, Energy

Array = NDArray[np.float64]


def normal(n: int, d: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> Array:
    return shift + scale * np.random.default_rng(seed).standard_normal((n, d))


@pytest.fixture(scope="module")
def sets() -> tuple[Array, Array]:
    return normal(60, 3, 0), normal(45, 3, 1, scale=1.3, shift=0.15)


def test_c2st_is_that_of_sbi() -> None:
    from sbi.utils.metrics import c2st as theirs

    x, y = normal(400, 3, 0), normal(400, 3, 1, shift=0.7)
    options = {"hidden_layer_sizes": (30, 30), "early_stopping": True, "max_iter": 1000}
    found = theirs(
        torch.from_numpy(x), torch.from_numpy(y), seed=4, classifier="mlp", classifier_kwargs=options
    )
    assert c2st(x, y, seed=4) == pytest.approx(float(found), abs=1e-9)


def test_energy_distance_is_that_of_hyppo_and_scipy(sets: tuple[Array, Array]) -> None:
    x, y = sets
    n, m = len(x), len(y)
    factor = (n + m) ** 4 / (2 * n**2 * m**2)
    root = Energy(bias=True).statistic(x, y) / factor  # hyppo takes the root before its factor
    assert energy_distance(x, y) == pytest.approx(factor * root**2, rel=1e-9)
    line = stats.energy_distance(x[:, 0], y[:, 0]) ** 2
    assert energy_distance(x[:, :1], y[:, :1]) == pytest.approx(line, rel=1e-9)


def test_mmd_is_its_definition_with_the_kernel_of_scikit_learn(sets: tuple[Array, Array]) -> None:
    from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

    x, y = sets
    pooled = np.concatenate([x, y])
    width = np.median(euclidean_distances(pooled)[np.triu_indices(len(pooled), 1)])
    inside, outside, across = (
        rbf_kernel(*pair, gamma=0.5 / width**2).mean() for pair in ((x, x), (y, y), (x, y))
    )
    assert mmd_squared(x, y) == pytest.approx(inside + outside - 2 * across, rel=1e-9)


@pytest.mark.parametrize(("test", "theirs"), [(energy_test, Energy), (mmd_test, MMD)])
@pytest.mark.parametrize("shift", [0.0, 0.35])
def test_permutation_p_is_that_of_hyppo(test, theirs, shift: float) -> None:
    x, y = normal(50, 2, 2), normal(50, 2, 3, shift=shift)
    p = test(x, y, permutations=1999)
    found = theirs(bias=True).test(x, y, reps=1000, auto=False, random_state=0).pvalue
    assert p == pytest.approx(found, abs=4 * np.sqrt(p * (1 - p) / 1000) + 0.002)


def test_sliced_distance_is_that_of_pot(sets: tuple[Array, Array]) -> None:
    for x, y in (sets, (sets[0][:45], sets[1])):
        directions = two_sample._directions(3, 40, np.random.default_rng(5))
        theirs = ot.sliced_wasserstein_distance(x, y, projections=directions, p=2)
        assert sliced_wasserstein(x, y, projections=40, seed=5) == pytest.approx(float(theirs), rel=1e-9)


@pytest.mark.parametrize("test", [energy_test, mmd_test])
def test_permutation_tests_keep_their_size(test) -> None:
    p = np.array(
        [
            test(normal(30, 4, 2 * seed), normal(40, 4, 2 * seed + 1), permutations=99, seed=seed)
            for seed in range(400)
        ]
    )
    assert stats.binomtest(int((p <= 0.05).sum()), len(p), 0.05).pvalue > 1e-3
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_mahalanobis_keeps_its_size_on_coordinates_of_any_scale() -> None:
    rng = np.random.default_rng(6)
    mixing = rng.standard_normal((5, 5)) * np.geomspace(1e-3, 1e3, 5)[:, None]
    mean = rng.standard_normal(5)
    p = np.array(
        [
            mahalanobis_ks(mean + normal(100, 5, seed) @ mixing.T, mean, mixing @ mixing.T)
            for seed in range(400)
        ]
    )
    assert stats.kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(("scale", "shift"), [(0.9, 0.0), (1.1, 0.0), (1.0, 0.1)])
def test_all_see_a_tenth_at_two_thousand_samples(scale: float, shift: float) -> None:
    x, y = normal(2000, 12, 7, scale=scale, shift=shift), normal(2000, 12, 8)
    if scale != 1:  # a shift adds its square only to a squared distance
        assert mahalanobis_ks(x, np.zeros(12), np.eye(12)) < 1e-4
    assert energy_test(x, y) < 0.01
    assert mmd_test(x, y) < 0.01
    assert sliced_wasserstein(x, y) > sliced_wasserstein_floor(x, y)


def test_c2st_is_a_half_for_one_law_and_the_bayes_accuracy_for_two() -> None:
    assert c2st(normal(2000, 6, 9), normal(2000, 6, 10)) == pytest.approx(0.5, abs=0.03)
    best = stats.norm.cdf(1.0 / 2 * np.sqrt(6))
    assert c2st(normal(2000, 6, 9), normal(2000, 6, 10, shift=1.0)) == pytest.approx(best, abs=0.02)
    constant = np.column_stack([normal(200, 2, 0), np.ones(200)])
    assert c2st(constant, constant[::-1]) < 0.6


def test_sliced_distance_of_a_shift_is_its_closed_form() -> None:
    x, shift = normal(500, 3, 11), np.array([3.0, 0.0, 4.0])
    found = sliced_wasserstein(x, x + shift, projections=4000)
    assert found == pytest.approx(5.0 / np.sqrt(3), rel=0.03)
    assert sliced_wasserstein(x, x) == 0.0


def test_sliced_floor_is_passed_by_one_set_in_twenty() -> None:
    above = sum(
        sliced_wasserstein(x, y, projections=32) > sliced_wasserstein_floor(x, y, projections=32)
        for x, y in ((normal(60, 3, 2 * seed), normal(50, 3, 2 * seed + 1)) for seed in range(200))
    )
    assert stats.binomtest(above, 200, 0.05).pvalue > 1e-3


def test_whitening_makes_the_law_white() -> None:
    rng = np.random.default_rng(12)
    mixing = rng.standard_normal((4, 4)) * np.geomspace(1e-2, 1e2, 4)[:, None]
    white = whiten(3.0 + normal(20_000, 4, 13) @ mixing.T, np.full(4, 3.0), mixing @ mixing.T)
    np.testing.assert_allclose(np.cov(white.T), np.eye(4), atol=0.05)
    np.testing.assert_allclose(white.mean(0), 0.0, atol=0.05)


def test_a_test_gives_the_same_p_twice_and_leaves_the_global_generator_alone(
    sets: tuple[Array, Array],
) -> None:
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (it must not be touched)
    assert energy_test(*sets, seed=3) == energy_test(*sets, seed=3)
    assert c2st(*sets, seed=3) == c2st(*sets, seed=3)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_what_cannot_be_tested_is_refused() -> None:
    x = normal(30, 3, 0)
    flat = x * np.array([1.0, 1.0, 0.0])
    with pytest.raises(InputError, match="without variance"):
        mahalanobis_ks(flat, np.zeros(3), np.diag([1.0, 1.0, 0.0]))
    plane = np.array([[1.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 1.0]])
    with pytest.raises(InputError, match="rank 2 of 3"):
        mahalanobis(x, np.zeros(3), plane)
    with pytest.raises(InputError, match="a mean"):
        mahalanobis(x, np.zeros(2), np.eye(2))
    with pytest.raises(InputError, match="same coordinates"):
        energy_test(x, x[:, :2])
    with pytest.raises(InputError, match="at least 2 samples"):
        mmd_test(x[0], x[0])
    with pytest.raises(InputError, match="NaN"):
        sliced_wasserstein(np.full((3, 2), np.nan), x[:, :2])
    with pytest.raises(InputError, match="no width"):
        mmd_test(np.zeros((9, 2)), np.zeros((9, 2)))
    with pytest.raises(InputError, match="at least one permutation"):
        energy_test(x, x, permutations=0)
