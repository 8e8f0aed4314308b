"""I4: the observer's d' against closed forms, its intervals in simulation, and a lesion that f is blind to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from analysis_subjects import linear_subject
from scipy.stats import binom, norm

from ctinv.analysis.channels import (
    Hotelling,
    _plain_square,
    held_out_auc,
    laguerre_gauss,
    observe,
    unbiased_square,
)
from ctinv.analysis.members import fibre_members
from ctinv.analysis.observer import hotelling_observer
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.discs import Disc
from ctinv.validation.planted import Ground
from ctinv.validation.problems.gaussian import GaussianProblem

CHANNELS, MEMBERS = 6, 100
LESION = {"diameter_mm": 3.0, "contrast_hu": 20.0}


@pytest.fixture(scope="module")
def linear() -> tuple[Subject, GaussianProblem]:
    return linear_subject()


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground.shipped()


def closed_form(
    subject: Subject, problem: GaussianProblem, lesion: np.ndarray, bank: np.ndarray, *, held: bool
) -> float:
    """d' of channels in fibre members, by dense matrices that are not the product's."""
    a, c, epsilon = problem.matrix, problem.prior, problem.tolerance
    k = np.linalg.solve(a @ c @ a.T + epsilon**2 * np.eye(len(a)), a @ c).T
    region = problem.setup.region
    inside = np.arange(len(a)).reshape(region.output_box.shape)[region.halo].ravel()
    null = np.eye(len(c)) - k @ a
    passed = null @ a[inside] + k @ a
    spread = null @ c @ null.T + epsilon**2 * k @ k.T
    if not held:
        spread = spread + passed @ c @ passed.T
    mean = bank.T @ passed @ lesion.ravel()
    return float(np.sqrt(mean @ np.linalg.solve(bank.T @ spread @ bank, mean)))


@pytest.mark.parametrize("scans", ["fresh", "held"])
def test_d_prime_is_the_closed_form(linear: tuple[Subject, GaussianProblem], scans: str) -> None:
    subject, problem = linear
    lesion = 20.0 * Disc(6, 6, 3.0).image(subject.shape, subject.spacing_mm)
    bank = laguerre_gauss(subject.shape, subject.spacing_mm, (6, 6), 4.5, CHANNELS)
    expected = closed_form(subject, problem, lesion, bank, held=scans == "held")
    figures = hotelling_observer(subject, scans=scans, seed=3, **LESION).figures
    assert figures["d_prime_theory"] == pytest.approx(expected, rel=2e-3)
    assert figures["interval"][0] <= expected <= figures["interval"][1]
    assert figures["interval_gaussian"][0] <= expected <= figures["interval_gaussian"][1]
    wrong = 1.5 * expected
    assert not figures["interval"][0] <= wrong <= figures["interval"][1]
    assert figures["d_prime_scan"] <= figures["d_prime_ideal_scan"]
    covariance = bank.T @ problem.prior @ bank
    mean = bank.T @ lesion.ravel()
    assert figures["d_prime_scan"] == pytest.approx(
        np.sqrt(mean @ np.linalg.solve(covariance, mean)), rel=1e-3
    )


def test_the_interval_covers_the_closed_form_over_seeds(linear: tuple[Subject, GaussianProblem]) -> None:
    """The whole way, from re-scans to the interval, 30 times; one in 1000 such tests would fail by chance."""
    subject, _ = linear
    covered = 0
    for seed in range(30):
        figures = hotelling_observer(
            subject, scans="held", members=30, channels=3, bootstrap=1000, seed=seed, **LESION
        ).figures
        covered += figures["interval"][0] <= figures["d_prime_theory"] <= figures["interval"][1]
    assert covered >= binom.ppf(0.001, 30, 0.95)


def simulated(rng: np.random.Generator, d_prime: float) -> tuple[np.ndarray, np.ndarray]:
    """Channel outputs of two Gaussian classes with a common covariance that mixes the channels."""
    mix = np.eye(CHANNELS) + 0.8 * np.tri(CHANNELS, k=-1)
    shift = np.zeros(CHANNELS)
    shift[2] = d_prime
    absent, present = (rng.standard_normal((MEMBERS, CHANNELS)) for _ in range(2))
    return absent @ mix.T, (present + shift) @ mix.T


@pytest.mark.parametrize("d_prime", [0.0, 1.0, 3.0])
def test_the_estimate_has_no_bias(d_prime: float) -> None:
    rng = np.random.default_rng(0)
    pairs = [simulated(rng, d_prime) for _ in range(600)]
    absent, present = (np.stack(part) for part in zip(*pairs, strict=True))
    fair, plain = unbiased_square(absent, present), _plain_square(absent, present)
    error = 4 * fair.std() / np.sqrt(len(fair))
    assert abs(fair.mean() - d_prime**2) < error
    assert plain.mean() - d_prime**2 > error  # negative control: the plain distance is too large


@pytest.mark.parametrize("d_prime", [0.7, 2.0])
def test_intervals_cover_at_their_rate(d_prime: float) -> None:
    rng, studies = np.random.default_rng(1), 200
    found: list[Hotelling] = [
        observe(*simulated(rng, d_prime), rng=rng, bootstrap=1000) for _ in range(studies)
    ]
    low = binom.ppf(0.0005, studies, 0.95)
    for name in ("interval", "interval_gaussian"):
        ends = np.array([getattr(one, name) for one in found])
        assert ((ends[:, 0] <= d_prime) & (d_prime <= ends[:, 1])).sum() >= low
    widths = [
        np.mean([np.diff(getattr(one, name)) for one in found]) for name in ("interval", "interval_gaussian")
    ]
    assert widths[0] < 1.3 * widths[1]  # covering by being wide is no merit


def test_no_lesion_has_uniform_p_and_no_area() -> None:
    rng = np.random.default_rng(2)
    found = [observe(*simulated(rng, 0.0), rng=rng, bootstrap=1000) for _ in range(100)]
    assert binom.ppf(0.0005, 100, 0.05) <= sum(one.p <= 0.05 for one in found) <= binom.ppf(0.9995, 100, 0.05)
    assert np.mean([one.auc_held_out for one in found]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([one.interval[0] == 0.0 for one in found]) > 0.9


def test_the_held_out_area_is_that_of_d_prime() -> None:
    rng = np.random.default_rng(3)
    areas = [held_out_auc(*simulated(rng, 1.5), rng=rng) for _ in range(100)]
    assert np.mean(areas) == pytest.approx(norm.cdf(1.5 / np.sqrt(2)), abs=0.02)


def test_channels_are_round_in_mm() -> None:
    bank = laguerre_gauss((21, 41), (1.0, 0.5), (10.0, 20.0), 6.0, 4).reshape(21, 41, 4)
    np.testing.assert_allclose(bank[10 + 3, 20], bank[10, 20 + 6], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(bank.reshape(-1, 4), axis=0), 1.0)


def test_a_lesion_that_f_is_blind_to_is_interesting(ground: Ground) -> None:
    planted, blind, bare = ground.planted, *(ground.subject(f) for f in (ground.notched(), ground.denoiser))
    asked = {
        "diameter_mm": planted.diameter_mm,
        "contrast_hu": 25.0,
        "place": (planted.y + blind.box.y0, planted.x + blind.box.x0),
        "members": 50,
    }
    found = hotelling_observer(blind, **asked)
    assert found.interesting
    assert found.figures["d_prime_scan"] >= 3.0
    assert found.figures["interval"][1] <= 1.0
    assert found.figures["kept"] < 0.05
    assert found.figures["d_prime_theory"] == pytest.approx(0.0, abs=1e-3)
    seen = hotelling_observer(bare, **asked)
    assert not seen.interesting
    assert seen.figures["left_out"] == [0, 0]
    low, high = seen.figures["interval"]
    assert low <= seen.figures["d_prime_theory"] <= high
    assert low > 3.0


def test_members_are_certified_at_their_own_scan(ground: Ground) -> None:
    subject = ground.subject(ground.denoiser)
    scan = subject.renoised([5], seed=1)[0]
    members = fibre_members(subject, scan, [0, 1, 2], seed=0)
    region, window_hu = subject.corrector.region, subject.corrector.rule.window_hu
    with torch.inference_mode():
        outputs = [
            region.look(region.embed(torch.from_numpy(images)[:, None])) for images in (scan[None], members)
        ]
    rmse = (outputs[1] - outputs[0]).square().mean((1, 2, 3)).sqrt()
    assert len(members) == 3
    assert float(rmse.max()) <= window_hu / (256 * np.sqrt(12))  # T2
    own = float((outputs[0] - region.reference).square().mean().sqrt())
    assert own > 10 * float(rmse.max())  # far from f of the subject's own scan
    alone = fibre_members(subject, scan, [1], seed=0)
    np.testing.assert_allclose(alone[0], members[1], atol=0.126)  # rounded to 1/8 HU


def test_the_same_seed_gives_the_same_and_another_another(linear: tuple[Subject, GaussianProblem]) -> None:
    subject, _ = linear
    one, same, other = (
        hotelling_observer(subject, seed=seed, members=20, channels=3, bootstrap=1000, **LESION).figures
        for seed in (0, 0, 1)
    )
    assert one == same
    assert one["d_prime"] != other["d_prime"]


def test_the_unit_of_the_scan_is_named(linear: tuple[Subject, GaussianProblem]) -> None:
    subject = replace(linear[0], unit="a.u.")
    found = hotelling_observer(subject, scans="held", members=20, channels=3, bootstrap=1000, **LESION)
    assert "20 a.u." in found.sentence
    assert "HU" not in found.sentence
    assert found.figures["kept"] is None
    assert "distance of two fibres" in found.sentence


def test_the_contrast_is_one_that_is_seen_if_none_is_given(linear: tuple[Subject, GaussianProblem]) -> None:
    found = hotelling_observer(linear[0], scans="held", diameter_mm=3.0, members=20, bootstrap=1000)
    assert found.figures["d_prime_scan"] == pytest.approx(4.0)
    assert f"{found.figures['contrast_hu']:.3g} HU" in found.sentence


def test_what_makes_no_sense_is_refused(linear: tuple[Subject, GaussianProblem]) -> None:
    subject = linear[0]
    with pytest.raises(InputError, match="does not fit on the region"):
        hotelling_observer(subject, diameter_mm=30.0)
    with pytest.raises(InputError, match="does not fit on the region"):
        hotelling_observer(subject, diameter_mm=3.0, place=(0, 0))
    with pytest.raises(InputError, match="above 0 mm"):
        hotelling_observer(subject, diameter_mm=0.0)
    with pytest.raises(InputError, match="other than 0"):
        hotelling_observer(subject, diameter_mm=3.0, contrast_hu=0.0)
    with pytest.raises(InputError, match="fresh, held"):
        hotelling_observer(subject, diameter_mm=3.0, scans="new")
    with pytest.raises(InputError, match="two members more"):
        hotelling_observer(subject, diameter_mm=3.0, members=5)
    with pytest.raises(InputError, match="members per class"):
        observe(np.zeros((5, 6)), np.zeros((9, 6)), rng=np.random.default_rng(0))
