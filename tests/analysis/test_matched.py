"""I2: the filter bank against closed forms, its false alarms on re-scans, and what it finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis_subjects import ct_subject, linear_subject, with_samples
from scipy.stats import binom, norm

from ctinv.analysis.filters import FilterBank
from ctinv.analysis.matched import matched_filter, null_peaks, peak_p_values, peak_threshold
from ctinv.analysis.null import null_noise, unexplained
from ctinv.analysis.registry import analyse
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.discs import Disc
from ctinv.volume import Box

SIZES_MM = (3.0, 5.0, 7.0, 9.0)
BOX = Box(8, 180, 204, 156, 180)
PLACE = (11, 14)  # row and column in the region


@pytest.fixture(scope="module")
def ct() -> Subject:
    return ct_subject(box=BOX, n=25)


@pytest.fixture(scope="module")
def bank(ct: Subject) -> FilterBank:
    return FilterBank.of(ct, SIZES_MM)


def lesion(subject: Subject, contrast_hu: float, diameter_mm: float = 5.0) -> np.ndarray:
    return contrast_hu * Disc(*PLACE, diameter_mm).image(subject.shape, subject.spacing_mm)


def test_scores_are_the_closed_form() -> None:
    subject, problem = linear_subject()
    bank = FilterBank.of(subject, (2.0, 4.0))
    rng = np.random.default_rng(0)
    images = rng.standard_normal((3, *subject.shape))
    scores = bank.scores(images)
    for place in (0, len(bank.grids[0]) - 1, len(bank.grids[0]) + 3, bank.places - 1):
        s = bank.disc(place).image(subject.shape, subject.spacing_mm).ravel().astype(float)
        weighted = np.linalg.solve(problem.prior, s)
        expected = images.reshape(3, -1) @ weighted / np.sqrt(s @ weighted)
        np.testing.assert_allclose(scores[:, place], expected, rtol=2e-3, atol=2e-3)
        assert bank.norms[place] == pytest.approx(np.sqrt(s @ weighted), rel=1e-3)


def test_scores_of_rescans_are_standard_normal(ct: Subject, bank: FilterBank) -> None:
    scores = bank.scores(null_noise(ct, 2000, seed=4))
    assert np.abs(scores.mean(0)).max() < 5 / np.sqrt(2000)
    np.testing.assert_allclose(scores.std(0), 1.0, atol=0.1)
    assert scores.std() == pytest.approx(1.0, abs=0.01)


def test_false_alarms_on_rescans(ct: Subject, bank: FilterBank) -> None:
    """Each re-scan with a null of its own: the rate is 5 % within the binomial bounds; 1.2 times the noise is no null."""
    scans = 150
    noise = unexplained(ct, ct.renoised(range(scans), seed=99))
    rejected, louder = 0, 0
    for index in range(scans):
        null = null_peaks(ct, bank, 200, seed=index)
        peak = np.abs(bank.strongest(noise[index : index + 1])[0])
        rejected += int(peak_p_values(peak, null, bank.places)[0] <= 0.05)
        louder += int(peak_p_values(1.2 * peak, null, bank.places)[0] <= 0.05)
    low, high = binom.ppf([0.0005, 0.9995], scans, 0.05)
    assert low <= rejected <= high
    assert louder > high


def test_false_discoveries_in_studies_of_rescans() -> None:
    subject, _ = linear_subject()
    studies, size = 150, 5
    found = 0
    for k in range(studies):
        rescans = subject.renoised(range(k * size, (k + 1) * size), seed=98)
        found += matched_filter(with_samples(subject, rescans), seed=k, draws=300).interesting
    low, high = binom.ppf([0.0005, 0.9995], studies, 0.05)
    assert low <= found <= high


def test_a_planted_lesion_is_found_at_its_place(ct: Subject) -> None:
    """20 HU and 5 mm: d' = 4.5 to 5 in one re-scan."""
    rescans = ct.renoised(range(25), seed=7) + lesion(ct, 20.0)
    found = matched_filter(with_samples(ct, rescans))
    assert found.interesting
    assert found.figures["found"] >= 8
    row, column = PLACE[0] + ct.box.y0, PLACE[1] + ct.box.x0
    for name in ("strongest", "mean"):
        spot = found.figures[name]
        assert np.hypot(spot["y"] - row, spot["x"] - column) <= 2.0
        assert 3.0 <= spot["diameter_mm"] <= 7.0
    mean = found.figures["mean"]
    assert (mean["y"], mean["x"], mean["diameter_mm"]) == (row, column, 5.0)
    assert mean["contrast_hu"] == pytest.approx(20.0, abs=4.0)
    assert mean["sigma"] > found.figures["threshold_mean_if_independent_sigma"]
    place = np.unravel_index(np.nanargmax(found.maps["mean"].values), ct.shape)
    assert place == PLACE
    assert f"row {found.figures['strongest']['y']}" in found.sentence


def test_dark_lesions_are_found_too(ct: Subject) -> None:
    rescan = ct.renoised([3], seed=7) + lesion(ct, -60.0)
    spot = matched_filter(with_samples(ct, rescan)).figures["strongest"]
    assert spot["sigma"] < -8
    assert spot["contrast_hu"] == pytest.approx(-60.0, abs=15.0)


def test_one_lesion_among_many_samples_is_found(ct: Subject) -> None:
    """With few re-scans in the null counting would end at 1/101, far from what 100 samples need."""
    rescans = ct.renoised(range(100), seed=8)
    rescans[40] += lesion(ct, 40.0)
    found = matched_filter(with_samples(ct, rescans), draws=100)
    assert found.figures["strongest"]["row"] == 40
    assert found.figures["strongest"]["q"] <= 0.05
    assert found.figures["found"] <= 3
    assert np.nanmax(found.maps["largest"].values) > found.figures["threshold_all_samples_sigma"]


def test_p_values_and_thresholds_belong_together() -> None:
    null = np.abs(np.random.default_rng(1).standard_normal((500, 40))).max(1)
    threshold = peak_threshold(null, 0.05, 40)
    p = peak_p_values(np.array([threshold - 1e-9, threshold + 1e-9, 9.0]), null, 40)
    assert p[0] > 0.04
    assert p[1] <= 0.05
    assert p[2] == pytest.approx(80 * norm.sf(9.0))
    assert peak_threshold(null, 1e-5, 40) == pytest.approx(norm.isf(1e-5 / 80))
    assert peak_p_values(np.array([0.0]), null, 40)[0] == 1.0


def test_certified_samples_show_nothing_and_say_so(ct: Subject) -> None:
    found = matched_filter(ct)
    assert not found.interesting
    assert "none of 25 samples shows a disc" in found.sentence
    assert abs(found.figures["change_from_scan"]["sigma"]) < 1.0
    assert found.figures["threshold_sigma"] > 3.5
    assert found.figures["threshold_all_samples_sigma"] > found.figures["threshold_sigma"]
    curve = found.curves["samples"]
    assert {len(column) for column in curve.values()} == {25}
    for one in found.maps.values():
        assert one.unit == "σ"
        assert np.isnan(one.values[0, 0])
        assert np.isfinite(one.values[12, 12])


def test_the_largest_map_is_the_largest_over_samples_and_sizes(ct: Subject, bank: FilterBank) -> None:
    found = matched_filter(ct)
    scores = bank.scores(unexplained(ct, ct.x_tilde))
    largest = np.take_along_axis(scores, np.abs(scores).argmax(0)[None], 0)[0]
    np.testing.assert_array_equal(found.maps["largest"].values, bank.image(largest))
    assert np.nanmax(np.abs(found.maps["largest"].values)) == pytest.approx(np.abs(scores).max())


def test_an_image_without_any_contrast_is_no_trouble(ct: Subject) -> None:
    flat = np.full((2, *ct.shape), ct.clean.mean())
    assert np.isfinite(matched_filter(with_samples(ct, flat)).figures["strongest"]["sigma"])


def test_what_makes_no_sense_is_refused(ct: Subject) -> None:
    bare = replace(ct, x_tilde=ct.x_tilde[:0], rows=())
    with pytest.raises(InputError, match="at least 1 certified samples, this study has 0"):
        matched_filter(bare)
    with pytest.raises(InputError, match="at least 1 certified"):
        analyse("matched-filter", bare)
    with pytest.raises(InputError, match="fits on a region of"):
        matched_filter(ct, diameters_mm=(40.0,))
    with pytest.raises(InputError, match="at least 100 re-scans"):
        matched_filter(ct, draws=10)
    # Of the sizes only those that fit are used.
    assert matched_filter(ct, diameters_mm=(5.0, 40.0)).figures["diameters_mm"] == [5.0]
