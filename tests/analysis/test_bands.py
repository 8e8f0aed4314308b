"""I1: the law of the power per band against closed forms and re-scans, and what the test says of samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis_subjects import ct_subject, linear_subject, with_samples
from scipy.stats import binom, kstest

from ctinv.analysis import band_law
from ctinv.analysis.band_law import BandLaw, band_masks, frequencies
from ctinv.analysis.bands import noise_consistency
from ctinv.analysis.null import dense_noise, null_noise
from ctinv.analysis.registry import analyse
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.volume import Box

SCANS = 1000
BOX = Box(8, 180, 204, 156, 180)


@pytest.fixture(scope="module")
def ct() -> Subject:
    return ct_subject(box=BOX, n=25)


@pytest.fixture(scope="module")
def law(ct: Subject) -> BandLaw:
    return BandLaw.of(dense_noise(ct), ct.shape, ct.spacing_mm)


def waves(subject: Subject, frequency_per_mm: float, amplitude: float) -> np.ndarray:
    """(1, h, w) a plane wave along the columns."""
    x_mm = np.arange(subject.shape[1]) * subject.spacing_mm[1]
    wave = amplitude * np.cos(2 * np.pi * frequency_per_mm * x_mm)
    return np.broadcast_to(wave, (1, *subject.shape))


def test_the_law_is_that_of_the_closed_form() -> None:
    subject, problem = linear_subject()
    law = BandLaw.of(dense_noise(subject), subject.shape, subject.spacing_mm)
    size = subject.shape[0]
    fourier = np.fft.fft(np.eye(size), norm="ortho")
    transform = np.kron(fourier, fourier)
    covariance = transform @ problem.prior @ transform.conj().T
    power = np.real(np.diag(covariance))
    np.testing.assert_allclose(law.power.ravel(), power, rtol=1e-3)
    for name, mask in law.masks.items():
        chosen = mask.ravel()
        scale = np.sqrt(power[chosen])
        weights = np.linalg.eigvalsh(covariance[np.ix_(chosen, chosen)] / np.outer(scale, scale))
        expected = (weights.sum(), 2 * (weights**2).sum(), 8 * (weights**3).sum())
        np.testing.assert_allclose(law.cumulants[name], expected, rtol=2e-3)


def test_probing_agrees_with_the_coherence_matrix(
    ct: Subject, law: BandLaw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(band_law, "_EXACT", 0)
    probed = BandLaw.of(dense_noise(ct), ct.shape, ct.spacing_mm)
    for name in ("mid", "high"):
        np.testing.assert_allclose(probed.cumulants[name], law.cumulants[name], rtol=0.05)


def test_rescans_have_uniform_p_values(ct: Subject, law: BandLaw) -> None:
    relative = law.relative_power(null_noise(ct, SCANS, seed=11))
    p = law.p_values(relative)
    for column in p.T:
        assert kstest(column, "uniform").pvalue > 0.001
        for level in (0.05, 0.01):
            low, high = binom.ppf([0.0005, 0.9995], SCANS, level)
            assert low <= (column <= level).sum() <= high
    upper_and_lower = p + law.p_values(relative, upper=False)
    np.testing.assert_allclose(upper_and_lower, 1.0, atol=1e-9)
    limit = np.array([law.limits(0.05)[name] for name in law.masks])
    np.testing.assert_array_equal(relative > limit, p < 0.05)


def test_another_covariance_is_caught(ct: Subject, law: BandLaw) -> None:
    """Negative control: noise with a tenth more power is not the null."""
    p = law.p_values(law.relative_power(np.sqrt(1.1) * null_noise(ct, SCANS, seed=11)))
    assert (p <= 0.05).mean(0)[2] > 0.3


@pytest.mark.parametrize("reference", ["clean", "pairs"])
def test_false_discoveries_over_studies_of_rescans(reference: str) -> None:
    subject, _ = linear_subject()
    studies, size = 200, 4
    rejected = 0
    for index in range(studies):
        rescans = subject.renoised(range(index * size, (index + 1) * size), seed=99)
        found = noise_consistency(with_samples(subject, rescans), reference=reference, draws=1)
        rejected += found.figures["rejected"] > 0
    low, high = binom.ppf([0.0005, 0.9995], studies, 0.05)
    assert low <= rejected <= high


def test_slow_structure_is_interesting_and_fast_structure_is_not(ct: Subject) -> None:
    rescan = ct.renoised([0], seed=3)
    # 1/16.9 mm is one period over the region, 0.36/mm lies in the high band.
    slow = noise_consistency(with_samples(ct, rescan + waves(ct, 1 / 16.9, 40.0)))
    fast = noise_consistency(with_samples(ct, rescan + waves(ct, 0.36, 60.0)))
    bare = noise_consistency(with_samples(ct, rescan))
    assert slow.interesting
    assert slow.figures["bands"]["low"]["rejected"] == 1
    assert not fast.interesting
    assert fast.figures["bands"]["high"]["rejected"] == 1
    assert not bare.interesting
    assert bare.figures["rejected"] == 0


def test_less_than_noise_is_reported_and_not_interesting(ct: Subject) -> None:
    found = noise_consistency(ct)
    assert not found.interesting
    assert found.figures["rejected"] == 0
    for band in found.figures["bands"].values():
        assert band["below"] == 25  # f(x) keeps noise: what is left has less
        assert 0 < band["change_from_scan"] < 0.01
        assert band["scan"] < 1.0
    assert "25 differences of samples from f(x) show no more power" in found.sentence


def test_the_check_on_rescans_stands_beside_the_law(ct: Subject) -> None:
    for band in noise_consistency(ct, draws=2000).figures["bands"].values():
        null = band["null"]
        assert null["rescans_mean"] == pytest.approx(1.0, abs=0.02)
        assert null["rescans_std"] == pytest.approx(null["std"], rel=0.1)
        assert null["rescans_limit"] == pytest.approx(band["limit"], rel=0.03)
        assert 0.03 < null["rescans_beyond_limit"] < 0.07


def test_two_scans_are_the_null_of_the_reference_scan(ct: Subject) -> None:
    """Were the scan a re-scan, other re-scans would differ from it by noise twice."""
    scans = ct.renoised(range(200), seed=5)
    law = BandLaw.of(dense_noise(ct), ct.shape, ct.spacing_mm)
    relative = law.relative_power((scans[0::2] - scans[1::2]) / np.sqrt(2.0))
    np.testing.assert_allclose(relative.mean(0), 1.0, atol=0.1)
    found = noise_consistency(ct, reference="scan")
    assert max(band["samples_largest"] for band in found.figures["bands"].values()) < 0.01
    assert not found.interesting


def test_bands_are_physical() -> None:
    shape, spacing = (16, 32), (1.0, 0.5)
    radius = frequencies(shape, spacing)
    assert radius[1, 0] == pytest.approx(1 / 16)
    assert radius[0, 1] == pytest.approx(1 / 16)
    assert radius.max() == pytest.approx(np.hypot(0.5, 1.0))
    masks = band_masks(shape, spacing)
    assert np.stack(list(masks.values())).sum(0).tolist() == np.ones(shape).tolist()
    pitch = np.sqrt(0.5)
    np.testing.assert_array_equal(masks["low"], radius * pitch < 0.1)


def test_curves_are_columns_of_one_length(ct: Subject) -> None:
    found = noise_consistency(ct)
    for curve in found.curves.values():
        assert len({len(column) for column in curve.values()}) == 1
    spectrum = found.curves["spectrum"]
    assert np.all(np.diff(spectrum["frequency_per_mm"]) > 0)
    assert np.all(np.array(spectrum["scan_hu2_mm2"]) < spectrum["noise_hu2_mm2"])


def test_what_makes_no_sense_is_refused(ct: Subject) -> None:
    bare = replace(ct, x_tilde=ct.x_tilde[:0], rows=())
    with pytest.raises(InputError, match="at least 1 certified samples, this study has 0"):
        noise_consistency(bare)
    with pytest.raises(InputError, match="at least 1 certified"):
        analyse("noise-consistency", bare)
    with pytest.raises(InputError, match="at least 2 certified"):
        noise_consistency(with_samples(ct, ct.x_tilde[:1]), reference="pairs")
    with pytest.raises(InputError, match="clean, scan, pairs"):
        noise_consistency(ct, reference="x")
    with pytest.raises(InputError, match="between 0 and 1"):
        noise_consistency(ct, q=1.5)
