"""Places are found by HU alone, inside the body, the same each time; re-scans are those of the simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scoreboard_patients import DOSE, patient

from ctinv.denoiser import load_denoiser
from ctinv.sampler import InvarianceSampler
from ctinv.scoreboard.patients import FIRST_SEED, Patient, rescans_at_dose
from ctinv.scoreboard.places import KINDS, find_places
from ctinv.simulate import simulate_low_dose
from ctinv.statistics.ranks import coverage, rank_distance, ranks
from ctinv.volume import Box

SIZE = 24


@pytest.fixture
def chest() -> np.ndarray:
    """Three slices of an elliptic body; the middle one has a lung, a bone and bowel gas."""
    rows, columns = np.mgrid[:128, :128] - 64.0
    body = (rows / 50) ** 2 + (columns / 60) ** 2 < 1
    hu = np.where(body, 50.0, -1000.0) + np.zeros((3, 1, 1))
    hu[1, 40:80, 20:50] = -850.0
    hu[1, 80:100, 60:80] = 700.0
    hu[1, 50:60, 90:100] = -1000.0
    return hu + np.random.default_rng(0).normal(0.0, 10.0, hu.shape)


def test_places_hold_what_their_kind_says(chest: np.ndarray) -> None:
    places = find_places(chest, list(KINDS), size=SIZE)
    assert places == find_places(chest, list(KINDS), size=SIZE)
    assert places["bone"].z == places["lung edge"].z == 1

    def share(kind: str, low: float, high: float) -> float:
        box = places[kind]
        part = chest[box.z][box.slices]
        return float(((part > low) & (part < high)).mean())

    assert share("soft tissue", -20, 180) > 0.99
    assert 0.35 < share("lung edge", -930, -500) < 0.65
    assert share("bone", 250, np.inf) > 0.6
    assert all(share(kind, -np.inf, -950) == 0 for kind in KINDS)  # neither air outside nor gas


def test_a_kind_that_is_not_there_is_left_out_and_gas_is_no_lung(chest: np.ndarray) -> None:
    chest[1, 40:80, 20:50] = 50.0
    assert set(find_places(chest, list(KINDS), size=SIZE)) == {"soft tissue", "bone"}
    assert find_places(np.full((2, 64, 64), -1000.0), list(KINDS), size=SIZE) == {}
    assert find_places(chest, list(KINDS), size=200) == {}


def test_re_scans_are_the_simulated_ones_with_other_seeds() -> None:
    one, box = patient(), Box(1, 36, 52, 36, 52)
    assert one.full is not None
    found = rescans_at_dose(one.full, box, dose=DOSE, count=3)
    for index, rescan in enumerate(found):
        whole = simulate_low_dose(one.full, dose=DOSE, seed=FIRST_SEED + index)
        np.testing.assert_allclose(rescan, whole[box].hu[0], atol=0.01)
        assert np.abs(rescan - one.scan[box].hu[0]).mean() > 1.0


def test_without_a_full_dose_re_scans_come_from_c() -> None:
    alone, box = Patient("alone", patient().scan), Box(1, 30, 46, 50, 66)
    found = InvarianceSampler(load_denoiser("cnn10"), device="cpu", photons=1500.0).survey(alone.scan, box)
    images = alone.rescans(box, found, count=64)
    sigma = found.covariance.part(found.covariance.total_sigma, box)
    assert np.sqrt(images.var(0, ddof=1).mean()) == pytest.approx(np.sqrt((sigma**2).mean()), rel=0.1)
    np.testing.assert_allclose(images.mean(), float(found.clean[box.slices].mean()), atol=0.2 * sigma.mean())


def test_the_scan_is_one_of_its_own_re_scans_and_another_dose_is_noticed() -> None:
    one, box = patient(), Box(0, 24, 72, 24, 72)
    assert one.full is not None
    scan = one.scan[box].hu[0]
    same, other = (rescans_at_dose(one.full, box, dose=dose, count=40) for dose in (DOSE, DOSE / 2))
    assert rank_distance(ranks(same, scan), 40) < 0.02
    assert coverage(ranks(same, scan), 40) == pytest.approx(0.9, abs=0.04)
    assert rank_distance(ranks(other, scan), 40) > 0.05
