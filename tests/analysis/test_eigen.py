"""I5: the leading directions against a dense decomposition, their scale, and how far they are certified."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from analysis_subjects import ct_subject, linear_subject
from scipy.stats import chi2

from ctinv.analysis.anatomy import CUTOFF, Anatomy, Lesions, LowPass
from ctinv.analysis.eigen import KINDS, LESION, LOW_PASS, directions, eigen_invariances
from ctinv.analysis.ideal_observer import DenseObserver, observer_of
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.discs import DiscGrid
from ctinv.volume import Box

SIZES = (2.0, 3.0, 4.0)


def dense_observer(subject: Subject) -> DenseObserver:
    observer = observer_of(subject.corrector)
    assert isinstance(observer, DenseObserver)
    return observer


def anatomy_of(subject: Subject, kind: str) -> Anatomy:
    if kind == LOW_PASS:
        return LowPass(subject.shape)
    grids = [DiscGrid.on(subject.shape, subject.spacing_mm, size, stride=3) for size in SIZES]
    return Lesions(torch.cat([grid.signals.to_dense() for grid in grids]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_directions_are_those_of_the_dense_problem(kind: str) -> None:
    """max vᵀHv / vᵀΣ⁻¹v, solved on its own feet: Σ from the closed form, both sides as matrices."""
    subject, problem = linear_subject()
    anatomy = anatomy_of(subject, kind)
    h = anatomy.apply(torch.eye(len(problem.posterior))).double().numpy()
    np.testing.assert_allclose(h, h.T, atol=1e-5)
    root = np.linalg.cholesky(problem.posterior)
    expected, vectors = np.linalg.eigh(root.T @ ((h + h.T) / 2) @ root)
    values, images = directions(dense_observer(subject), anatomy, subject.shape, 5, seed=3)
    np.testing.assert_allclose(values, expected[::-1][:5], rtol=2e-3)
    found = images.reshape(5, -1).astype(np.float64)
    lengths = (found * np.linalg.solve(problem.posterior, found.T).T).sum(1)
    np.testing.assert_allclose(lengths, 1.0, rtol=2e-3)
    first = root @ vectors[:, -1]
    cosine = abs(first @ found[0]) / np.linalg.norm(first) / np.linalg.norm(found[0])
    if expected[-1] > 1.02 * expected[-2]:
        assert cosine > 0.999
    again, _ = directions(dense_observer(subject), anatomy, subject.shape, 5, seed=8)
    np.testing.assert_allclose(again, values, rtol=1e-3)


def test_low_pass_keeps_slow_waves_and_drops_fast_ones() -> None:
    low, y = LowPass((64, 64)), torch.arange(64.0)
    for frequency, least, most in ((0.03, 0.9, 1.0), (0.3, 0.0, 0.05)):
        wave = torch.sin(2 * np.pi * frequency * y)[:, None].expand(64, 64).reshape(-1, 1)
        kept = float((wave * low.apply(wave)).sum() / wave.square().sum())
        assert least <= kept <= most
    assert CUTOFF == 0.1


def test_the_lesion_projector_keeps_discs_and_repeats_nothing() -> None:
    subject, _ = linear_subject()
    anatomy = anatomy_of(subject, LESION)
    columns = torch.from_numpy(np.random.default_rng(0).standard_normal((144, 4)).astype(np.float32))
    once = anatomy.apply(columns)
    torch.testing.assert_close(anatomy.apply(once), once, rtol=1e-4, atol=1e-4)
    disc = DiscGrid.on(subject.shape, subject.spacing_mm, 3.0, stride=3).signals.to_dense()[:1].T
    torch.testing.assert_close(anatomy.apply(disc), disc, rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def region() -> Subject:
    return ct_subject(box=Box(8, 176, 200, 152, 176))


def test_the_scale_is_that_of_the_law(region: Subject) -> None:
    found = eigen_invariances(region, count=4, kind=LESION, rescans=1)
    figures = found.figures
    assert figures["length"] == pytest.approx(chi2.ppf(0.99, 4) ** 0.5)
    rms = [row["rms_hu"] for row in figures["directions"]]
    assert rms == sorted(rms, reverse=True)
    assert 0 < rms[0] < figures["noise_rms_hu"]  # f sees almost all of the noise
    for row in figures["directions"]:
        assert row["rms_hu"] == pytest.approx(figures["length"] * row["rms_at_length_1_hu"])
        assert row["d_in"] <= figures["length"] * 1.001  # vᵀC⁻¹v is a part of the metric
    assert figures["rescans"]["rms_at_length_1_hu"][0] == pytest.approx(
        figures["directions"][0]["rms_at_length_1_hu"], rel=0.5
    )
    assert not found.interesting
    assert found.maps["direction_1"].values.shape == region.shape
    assert f"{rms[0]:.3g} HU" in found.sentence


def test_what_is_said_to_be_certified_is_so_when_it_is_fed_back(region: Subject) -> None:
    found = eigen_invariances(region, count=1, kind=LESION)
    goes = found.figures["directions"][0]["followed"]
    assert goes is not None
    corrector = region.corrector
    change = torch.from_numpy(found.maps["certified_change"].values)[None, None]
    error, _ = corrector.region.errors(corrector.region.scan + change)
    rows, columns = corrector.region.halo
    inside, all_ = error[..., rows, columns].square().mean().sqrt(), error.square().mean().sqrt()
    assert max(float(inside), float(all_)) == pytest.approx(goes["rmse_hu"], rel=1e-3, abs=1e-4)
    assert goes["rmse_hu"] <= corrector.rule.window_hu / (256 * 12**0.5)
    assert goes["cosine"] > 0.9


def test_impossible_requests_are_refused(region: Subject) -> None:
    with pytest.raises(InputError, match="low-pass, lesion"):
        eigen_invariances(region, kind="high-pass")
    with pytest.raises(InputError, match="1 to 10"):
        eigen_invariances(region, count=0)
