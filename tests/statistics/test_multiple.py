"""Adjusted p-values are those of their definitions, and keep the error rates that they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ctinv.errors import InputError
from ctinv.statistics.multiple import benjamini_hochberg, holm


def test_holm_is_the_textbook_example_in_any_order() -> None:
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm"), and an unordered one with a tie
    np.testing.assert_allclose(holm([0.01, 0.02, 0.03, 0.04, 0.05]), [0.05, 0.08, 0.09, 0.09, 0.09])
    np.testing.assert_allclose(holm([0.5, 0.01, 0.01, 0.9]), [1.0, 0.04, 0.04, 1.0])
    assert holm([0.3]) == [0.3]


def test_holm_keeps_the_family_wise_error_under_the_null_and_finds_what_is_there() -> None:
    rng = np.random.default_rng(0)
    wrong = sum(holm(rng.random(20)).min() <= 0.05 for _ in range(2000))
    assert stats.binomtest(wrong, 2000, 0.05).pvalue > 1e-3
    found = [(holm([1e-4, *rng.random(19)]) <= 0.05) for _ in range(200)]
    assert np.mean([one[0] for one in found]) == 1.0


def test_benjamini_hochberg_keeps_the_false_discovery_rate() -> None:
    np.testing.assert_allclose(benjamini_hochberg([0.01, 0.02, 0.03, 0.04, 0.05]), 0.05)
    rng = np.random.default_rng(1)
    shares, power = [], []
    for _ in range(1000):
        p = np.concatenate([rng.random(80), stats.norm.sf(rng.standard_normal(20) + 4.0)])
        rejected = benjamini_hochberg(p) <= 0.1
        shares.append(rejected[:80].sum() / max(rejected.sum(), 1))
        power.append(rejected[80:].mean())
    assert np.mean(shares) == pytest.approx(0.08, abs=0.01)  # 0.1 times the share of true nulls
    assert np.mean(power) > 0.9


@pytest.mark.parametrize("p", [[], [0.5, np.nan], [1.2], [[0.1]]])
def test_what_is_no_p_value_is_refused(p) -> None:
    for adjust in (holm, benjamini_hochberg):
        with pytest.raises(InputError, match="p-values between 0 and 1"):
            adjust(p)
