"""A network shares all its invariances with itself and none with its complement; entry (i, i) is the certificate."""

from __future__ import annotations

import numpy as np
import pytest
from comparison_networks import BOX, complement, low_pass, scan, smoothing

from ctinv.comparison.compare import Comparison, compare
from ctinv.comparison.cross import as_large, feed, scan_of
from ctinv.errors import InputError
from ctinv.sampler import InvarianceSampler

N = 30


@pytest.fixture(scope="module")
def twins() -> Comparison:
    """The same network twice."""
    return compare({"one": smoothing(), "two": smoothing()}, scan(), BOX, n=N, tier="T3", device="cpu")


@pytest.fixture(scope="module")
def opposites() -> Comparison:
    return compare({"low": low_pass(), "rest": complement()}, scan(), BOX, n=N, tier="T2", device="cpu")


def test_a_network_agrees_with_itself_everywhere(twins: Comparison) -> None:
    for j in twins.names:
        for i in twins.names:
            entry = twins.entry(j, i)
            assert entry.n == entry.met == N
            assert entry.share is not None
            assert entry.share["value"] == 1.0
            assert entry.share["low"] > 0.85
            assert entry.overlap == pytest.approx(1.0, rel=1e-6)
            assert entry.seen_by_theory == pytest.approx(0.0, abs=1e-6)
            assert entry.rmse_hu == pytest.approx(twins.entry(i, i).rmse_hu, rel=1e-6)
    assert np.array_equal(twins.looks["one"].x_tilde, twins.looks["two"].x_tilde)


def test_a_filter_and_its_complement_share_nothing(opposites: Comparison) -> None:
    for j, i in (("low", "rest"), ("rest", "low")):
        own, other = opposites.entry(j, j), opposites.entry(j, i)
        assert own.met == own.n == other.n > 0
        assert other.met == 0
        assert other.seen_by_theory > 0.95
        assert own.rmse_hu is not None
        assert other.rmse_hu is not None
        assert other.rmse_hu["mean"] > 4 * own.rmse_hu["mean"]
        assert other.q is not None
        assert other.q > 0.99  # the complement sees them no worse than noise of that size
    assert opposites.looks["low"].figures["spread_hu"] > 1.0


def test_the_diagonal_is_the_certificate_and_feeding_back_again_gives_it(opposites: Comparison) -> None:
    for name, one in opposites.looks.items():
        entry = opposites.entry(name, name)
        rmse, met = feed(one, one.x_tilde[one.holding])
        stored = [one.certificates[k].rmse_hu for k in one.holding]
        np.testing.assert_allclose(rmse, stored, rtol=1e-4)
        assert met == entry.met
        assert entry.rmse_hu == pytest.approx({"mean": np.mean(stored), "max": np.max(stored)})
        assert entry.nfe == pytest.approx(np.mean([one.certificates[k].nfe for k in one.holding]))
        assert (entry.null_rmse_hu, entry.p, entry.q) == (None, None, None)


def test_the_null_is_noise_as_large_as_the_samples(opposites: Comparison) -> None:
    one = opposites.looks["low"]
    x, null = scan_of(one.region), as_large(one, one.holding)
    size = np.sqrt(((one.x_tilde[one.holding] - x) ** 2).mean(axis=(1, 2)))
    np.testing.assert_allclose(np.sqrt(((null - x) ** 2).mean(axis=(1, 2))), size, rtol=1e-4)
    assert np.array_equal(one.null, opposites.looks["rest"].null)
    rmse, _ = feed(one, null)
    entry = opposites.entry("low", "low")
    assert entry.rmse_hu is not None
    assert np.mean(rmse) > 4 * entry.rmse_hu["mean"]  # noise of that size is no invariance


def test_what_one_network_passes_and_another_removes_is_told_in_words(opposites: Comparison) -> None:
    first, *pairs = opposites.sentences()
    assert first.startswith("By linear theory")
    assert len(pairs) == 2
    said = next(one for one in pairs if "of what low ignores is seen by rest" in one)
    assert f"0 of {N} certified samples of low meet T2 at rest" in said
    assert "HU" in said
    assert "q = 1" in said


def test_one_network_alone_and_foreign_units_are_refused() -> None:
    with pytest.raises(InputError, match="at least two"):
        compare({"one": smoothing()}, scan(), BOX)
    other = smoothing()
    other.unit = "a.u."
    with pytest.raises(InputError, match=r"a\.u\."):
        compare({"one": smoothing(), "two": other}, scan(), BOX)


def test_samples_are_those_of_the_sampler_where_all_networks_are_one(twins: Comparison) -> None:
    sampler = InvarianceSampler(smoothing(), tier="T3", device="cpu")
    alone = sampler.sample(scan(), BOX, n=N)
    np.testing.assert_allclose(twins.looks["one"].x_tilde, alone.x_tilde[:, 0], atol=0.126)
    for mine, its in zip(twins.looks["one"].certificates, alone.certificates, strict=True):
        assert mine.rmse_hu == pytest.approx(its.rmse_hu, rel=1e-2)
