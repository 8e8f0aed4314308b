"""Intervals are over patients: they hold the mean as often as they should, which counting regions as patients does not."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest

from ctinv.errors import InputError
from ctinv.population.summary import ALL, over_patients, summarise

TRUE = 3.0


def _study(rng: np.random.Generator, *, patients: int, regions: int) -> dict[str, list[float]]:
    """Regions of one patient share most of their deviation."""
    shared = TRUE + rng.standard_normal(patients)
    return {f"patient{k}": list(value + 0.3 * rng.standard_normal(regions)) for k, value in enumerate(shared)}


def _holds(interval: dict[str, Any]) -> bool:
    return bool(interval["low"] <= TRUE <= interval["high"])


def test_the_interval_over_patients_covers_and_that_over_regions_does_not() -> None:
    rng = np.random.default_rng(1)
    right = wrong = 0
    trials = 300
    for _ in range(trials):
        study = _study(rng, patients=20, regions=6)
        right += _holds(over_patients(study, draws=2000))
        regions = {f"{k}": [value] for k, value in enumerate(chain.from_iterable(study.values()))}
        wrong += _holds(over_patients(regions, draws=2000))
    assert 0.89 <= right / trials <= 0.98
    assert wrong / trials < 0.7


def test_a_patient_counts_once_however_many_regions_it_has() -> None:
    values = {"a": [1.0] * 50, "b": [3.0], "c": [5.0]}
    assert over_patients(values)["mean"] == pytest.approx(3.0)
    assert over_patients(values) == over_patients(values)


def test_fewer_than_three_patients_have_no_interval() -> None:
    two = over_patients({"a": [1.0, 2.0], "b": [3.0]})
    assert (two["low"], two["high"], two["patients"]) == (None, None, 2)
    assert two["mean"] == pytest.approx(2.25)
    assert over_patients({})["mean"] is None
    three = over_patients({"a": [1.0], "b": [2.0], "c": [3.0]})
    assert three["low"] is not None
    assert 1.0 <= three["low"] < 2.0 < three["high"] <= 3.0
    with pytest.raises(InputError, match="2000"):
        over_patients({"a": [1.0]}, draws=500)


def _row(patient: str, kind: str, value: float, blind: int | None) -> dict[str, Any]:
    figures = ("d_eff", "free_share", "spread_hu", "certified_share", "worst_rmse_hu", "nfe", "eta_min")
    return {
        "network": "one",
        "patient": patient,
        "case": {"kind": kind},
        **dict.fromkeys(figures, value),
        "eta_median": None,
        "blind": blind,
    }


def test_kinds_are_summarised_apart_and_together_and_blindness_counts_patients() -> None:
    rows = [_row(f"patient{k}", "bone", float(k), 2 if k == 1 else 0) for k in range(1, 5)]
    rows += [_row("patient1", "lung edge", 7.0, 1), _row("patient2", "lung edge", 9.0, None)]
    found = summarise(rows)["one"]
    assert list(found) == ["bone", "lung edge", ALL]
    assert found["bone"]["d_eff"]["mean"] == pytest.approx(2.5)
    assert found["lung edge"]["d_eff"]["low"] is None
    assert found[ALL]["d_eff"]["mean"] == pytest.approx(np.mean([4.0, 5.5, 3.0, 4.0]))
    assert found["bone"]["eta_median"]["mean"] is None
    blind = found[ALL]["blind"]
    assert (blind["discs"], blind["patients_with"], blind["patients"]) == (3, 1, 4)
    assert 0.0 < blind["low"] < 0.25 < blind["high"] < 1.0
