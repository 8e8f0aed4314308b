"""Samples in memory: order, maps and the summary, which must not differ from that of a store."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sampler_studies import fill, make_batch, make_provenance, make_setting

from ctinv.errors import InputError
from ctinv.sampler import Batch, Samples, Store
from ctinv.sampler.maps import RunningMaps

KEYS = {"n", "passed", "tier", "rmse_hu", "nfe_raw", "nfe", "chi2_per_n", "chi2_per_n_scan", "spread_hu"}
KEYS |= {"spread_theory_hu", "seconds", "key"}


def collected(rows: tuple[tuple[int, ...], ...] = ((5, 3, 4), (0, 1, 2), (7, 8, 9), (6,))) -> Samples:
    setting = make_setting()
    return Samples.collect((make_batch(part, setting) for part in rows), setting, make_provenance())


def test_collect_orders_by_row() -> None:
    samples = collected()
    assert samples.rows == tuple(range(10))
    for k in samples.rows:
        batch = make_batch([k], samples.setting)
        np.testing.assert_array_equal(samples.read(k), batch.x_tilde[0])
        np.testing.assert_array_equal(samples.read_error(k), batch.feedback_error[0])
        assert samples.certificates[k] == batch.certificates[0]


def test_summary_has_the_keys_of_the_shell_and_the_figures_of_the_certificates() -> None:
    samples = collected()
    summary = json.loads(json.dumps(samples.summary(), allow_nan=False))
    assert set(summary) >= KEYS
    rmse = [certificate.rmse_hu for certificate in samples.certificates]
    assert summary["rmse_hu"] == pytest.approx({"mean": np.mean(rmse), "max": np.max(rmse)})
    assert (summary["n"], summary["passed"], summary["tiers"]["T1"], summary["tiers"]["none"]) == (
        10,
        9,
        9,
        1,
    )
    assert summary["steps"] == 1.5
    assert summary["sigma_out_hu"] is None  # not among the scalars: unknown is null, not NaN
    expected = np.sqrt(samples.x_tilde.astype(np.float64).var(axis=0, ddof=1).mean())
    assert summary["spread_hu"] == pytest.approx(expected, rel=1e-6)


def test_memory_and_store_say_the_same(tmp_path: Path) -> None:
    samples = collected()
    store = Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=10)
    fill(store, size=4)
    store.finish()
    again = Store.open(tmp_path / "s.zarr")
    assert again.summary() == samples.summary()
    assert tuple(again.certificates) == samples.certificates
    for mine, theirs in ((samples.mean(), again.mean()), (samples.spread(), again.spread())):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_allclose(again.worst(), samples.worst(), rtol=5e-4)  # errors are kept as float16
    np.testing.assert_array_equal(again.probe(3, 4), samples.probe(3, 4))
    np.testing.assert_array_equal(np.asarray(again.lazy()), samples.lazy())
    assert [batch.rows for batch in samples.batches(size=4)] == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9)]


def test_no_and_one_sample_have_no_spread() -> None:
    none, one = collected(rows=()), collected(rows=((0,),))
    assert none.summary()["n"] == 0
    assert none.summary()["rmse_hu"] == {"mean": None, "max": None}
    assert np.isnan(none.mean()).all()
    assert np.isnan(one.spread()).all()
    assert one.summary()["spread_hu"] is None
    np.testing.assert_array_equal(one.mean(), one.read(0))


def test_unknown_rows_and_pixels_are_refused() -> None:
    samples = collected()
    with pytest.raises(InputError, match="10 samples at hand"):
        samples.read(10)
    with pytest.raises(InputError, match="32 x 24"):
        samples.probe(32, 0)


@pytest.mark.parametrize("quantum", [0.125, 0.0])
def test_running_maps_equal_numpy_in_float64(quantum: float) -> None:
    setting = make_setting(quantum=quantum, scan_hu=3000.0)
    batch = make_batch(range(60), setting)
    maps = RunningMaps(setting.volume.hu[0], setting.output_box.shape, quantum=quantum)
    maps.add(batch.x_tilde, batch.feedback_error)
    exact = batch.x_tilde.astype(np.float64)
    np.testing.assert_array_equal(maps.mean(), exact.mean(axis=0).astype(np.float32))
    np.testing.assert_allclose(maps.spread(), exact.std(axis=0, ddof=1), rtol=1e-7)
    np.testing.assert_array_equal(maps.worst(), np.abs(batch.feedback_error).max(axis=0))


def test_maps_do_not_depend_on_order_or_batches() -> None:
    setting = make_setting()
    maps = []
    for order in (range(40), np.random.default_rng(1).permutation(40)):
        maps.append(RunningMaps(setting.volume.hu[0], setting.output_box.shape, quantum=0.125))
        for part in np.array_split(np.asarray(order), 7):
            batch = make_batch([int(k) for k in part], setting)
            maps[-1].add(batch.x_tilde, batch.feedback_error)
    for name in ("mean", "spread", "worst"):
        np.testing.assert_array_equal(getattr(maps[0], name)(), getattr(maps[1], name)())


def test_inconsistent_batches_and_settings_are_refused() -> None:
    setting = make_setting()
    batch = make_batch([0, 1], setting)
    with pytest.raises(InputError, match="distinct"):
        Batch((0, 0), batch.x_tilde, batch.feedback_error, batch.certificates)
    with pytest.raises(InputError, match="one certificate per row"):
        Batch((1, 0), batch.x_tilde, batch.feedback_error, batch.certificates)
    with pytest.raises(InputError, match="float32"):
        Batch((0, 1), batch.x_tilde.astype(np.float64), batch.feedback_error, batch.certificates)
    with pytest.raises(InputError, match="power of two"):
        make_setting(quantum=0.1)
