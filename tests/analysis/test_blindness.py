"""I3: discs in mm, the ideal observer against closed form and simulation, and what the finding says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from analysis_subjects import linear_subject
from numpy.typing import NDArray

from ctinv.analysis.blindness import lesion_blindness
from ctinv.analysis.contrast_size import diameters_at_half
from ctinv.analysis.disc import disc_signals
from ctinv.analysis.ideal_observer import SolvingObserver, observer_of
from ctinv.analysis.lesion_study import judge, rescanned
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.discs import Disc, DiscGrid
from ctinv.validation.problems.wiener import wiener_problem

SPACING = (0.7, 0.7)
PAIRS = 2500


@pytest.fixture(scope="module")
def wiener() -> Subject:
    problem = wiener_problem()
    return Subject(problem.setup.corrector, problem.covariance, problem.residual, SPACING, "law")


def test_a_disc_covers_its_exact_share_of_anisotropic_pixels() -> None:
    disc, shape, spacing, fine = Disc(10.3, 9.7, 6.1), (24, 20), (0.7, 1.1), 64
    y = (np.arange(shape[0] * fine) + 0.5) / fine - 0.5 - disc.y
    x = (np.arange(shape[1] * fine) + 0.5) / fine - 0.5 - disc.x
    inside = np.hypot(y[:, None] * spacing[0], x[None, :] * spacing[1]) <= disc.diameter_mm / 2
    image = disc.image(shape, spacing)
    counted = inside.reshape(shape[0], fine, shape[1], fine).mean(axis=(1, 3))
    np.testing.assert_allclose(image, counted, atol=3e-3)
    assert image.sum() * spacing[0] * spacing[1] == pytest.approx(np.pi * disc.diameter_mm**2 / 4, rel=1e-6)


def test_the_share_is_sound_for_any_place_and_size() -> None:
    """Rounding at the rim makes neither a warning, which is an error here, nor a wrong area."""
    rng = np.random.default_rng(0)
    for diameter, y, x in zip(rng.uniform(0.2, 9.0, 300), *rng.uniform(9.0, 11.0, (2, 300)), strict=True):
        area = Disc(y, x, diameter).image((21, 21), SPACING).sum() * SPACING[0] * SPACING[1]
        assert area == pytest.approx(np.pi * diameter**2 / 4, rel=1e-5)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.5, 0.25)])
def test_a_grid_holds_the_discs_that_fit_and_no_others(offset: tuple[float, float]) -> None:
    shape, spacing = (14, 17), (0.7, 1.1)
    grid = DiscGrid.on(shape, spacing, 4.3, stride=2, offset=offset)
    dense = grid.signals.to_dense().numpy().reshape(-1, *shape)
    assert len(grid) == len(dense) > 4
    for index, image in enumerate(dense):
        disc = grid.disc(index)
        assert disc.fits(shape, spacing)
        np.testing.assert_allclose(image, disc.image(shape, spacing), atol=1e-6)
    assert not len(DiscGrid.on(shape, spacing, 20.0))
    values = np.arange(len(grid))
    picture = grid.image(values)
    assert picture[grid.rows[1], grid.columns[1]] == values.reshape(len(grid.rows), -1)[1, 1]
    assert np.isnan(picture[0]).all()


def test_the_observer_is_the_closed_form() -> None:
    subject, problem = linear_subject()
    signals = DiscGrid.on(subject.shape, SPACING, 3.1).signals
    seen = observer_of(subject.corrector).look(signals)
    s = signals.to_dense().double().numpy()
    whitened = np.linalg.solve(problem.prior, s.T)
    inner = (s.T * whitened).sum(0)
    images = problem.matrix @ s.T
    after = (images * np.linalg.solve(problem.data_covariance, images)).sum(0)
    np.testing.assert_allclose(seen.d_in, np.sqrt(inner), rtol=2e-4)
    np.testing.assert_allclose(seen.eta, after / inner, atol=3e-4)
    np.testing.assert_allclose(seen.d_eps, np.sqrt(after), rtol=2e-3)
    kept = (s.T * (problem.posterior @ whitened)).sum(0) / (s**2).sum(1)  # I - KJ = Σ C⁻¹
    np.testing.assert_allclose(seen.kept, kept, atol=3e-4)


def test_solving_anew_says_the_same_as_the_dense_observer(wiener: Subject) -> None:
    corrector = wiener.corrector
    signals = DiscGrid.on(wiener.shape, SPACING, 3.1, stride=3).signals
    dense = observer_of(corrector).look(signals)
    solved = SolvingObserver(corrector.factor, corrector).look(signals.to_dense())
    for name in ("d_in", "eta", "kept"):
        np.testing.assert_allclose(getattr(solved, name), getattr(dense, name), rtol=1e-3, atol=1e-4)


def test_the_map_agrees_with_a_monte_carlo_hotelling_observer(wiener: Subject) -> None:
    """η of method §7 against d'² of simulated pairs, in the image and at the output with noise of ε: within 10 %."""
    grid = DiscGrid.on(wiener.shape, SPACING, 3.0, stride=3)
    seen = observer_of(wiener.corrector).look(grid.signals)
    contrasts = 8.0 / seen.d_in  # far enough apart that 2500 pairs tell d'² to a few percent
    rng = np.random.default_rng(3)
    without = observed(wiener, np.zeros(wiener.shape), rng)
    found = []
    for index in range(len(grid)):
        lesion = contrasts[index] * grid.signals.to_dense()[index].numpy().reshape(wiener.shape)
        with_lesion = observed(wiener, lesion, rng)
        d_in2, d_eps2 = (hotelling(a, b) for a, b in zip(with_lesion, without, strict=True))
        assert d_in2 == pytest.approx(64.0, rel=0.1)
        found.append(d_eps2 / d_in2)
    assert len(found) >= 4
    np.testing.assert_allclose(found, seen.eta, rtol=0.1)
    assert np.mean(found) == pytest.approx(seen.eta.mean(), rel=0.04)
    assert 0.1 < seen.eta.mean() < 0.9  # else the comparison would say little


def observed(
    subject: Subject, lesion: NDArray[np.floating], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Re-scans with a lesion, and f of them with noise of ε."""
    corrector = subject.corrector
    normal = torch.from_numpy(rng.standard_normal((corrector.noise.latent, PAIRS)).astype(np.float32))
    added = torch.from_numpy(np.asarray(lesion, dtype=np.float32))
    images = corrector.clean + corrector.noise.draw(normal).T.reshape(PAIRS, 1, *subject.shape) + added
    output, _ = corrector.region.errors(images)
    flat = output.reshape(PAIRS, -1).double().numpy()
    blurred = flat + corrector.factor.tolerance * rng.standard_normal(flat.shape)
    return images.reshape(PAIRS, -1).double().numpy(), blurred


def hotelling(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Unbiased d'² between two classes (D. L. Lachenbruch and M. R. Mickey's correction of the plug-in distance)."""
    n, size = len(a), a.shape[1]
    freedom = 2 * n - 2
    pooled = (np.cov(a.T) + np.cov(b.T)) / 2
    difference = a.mean(0) - b.mean(0)
    plug_in = float(difference @ np.linalg.solve(pooled, difference))
    return (freedom - size - 1) / freedom * plug_in - 2 * size / n


def test_the_finding_says_what_was_looked_for(wiener: Subject) -> None:
    found = lesion_blindness(wiener, diameters_mm=(3.0, 5.0, 20.0), rescans=1)
    figures, worst = found.figures, found.figures["worst"]
    assert figures["diameters_left_out_mm"] == [20.0]
    assert worst["eta"] <= min(row["eta_min"] for row in figures["by_diameter"]) + 1e-6
    assert worst["eta_range"][0] < worst["eta"] < worst["eta_range"][1]
    assert worst["range_is"] == "band by band"
    assert found.interesting == (figures["blind"] > 0)
    assert f"η = {worst['eta']:.3g}" in found.sentence
    assert found.maps["eta"].values.shape == wiener.shape
    assert set(figures["null"]) == {"distribution", "threshold", "control"}
    low, eta, high = (found.maps[name].values for name in ("eta_low", "eta", "eta_high"))
    known = np.isfinite(eta)
    assert (low[known] <= eta[known]).all()
    assert (eta[known] <= high[known]).all()
    lengths = {len(column) for column in found.curves["contrast_size"].values()}
    assert len(lengths) == 1
    # a linear f has the same J everywhere, so noise in the scan changes nothing
    assert figures["rescans"]["eta_of_worst"][0] == pytest.approx(worst["eta"], abs=1e-4)


def test_contrast_decides_only_what_is_seen_and_hidden(wiener: Subject) -> None:
    """A contrast outside the window is never called hidden; η does not know of it."""
    observer = observer_of(wiener.corrector)
    signals = [DiscGrid.on(wiener.shape, SPACING, 3.0).signals]
    any_contrast, _ = judge(wiener, signals, observer=observer)
    faint, _ = judge(wiener, signals, observer=observer, contrast_hu=1e-3)
    assert not faint[0].blind.any()
    np.testing.assert_allclose(faint[0].seen.eta, any_contrast[0].seen.eta)


def test_a_network_that_sees_nothing_is_blind() -> None:
    """f scaled down until ε covers it: η falls to 0 and the verdict changes; at the window's contrast both d' agree."""
    subject, _ = linear_subject(tolerance=400.0)
    found = lesion_blindness(subject, diameters_mm=(3.0,))
    assert found.interesting
    assert "blind" in found.sentence
    worst = found.figures["worst"]
    assert worst["seen_from_hu"] < worst["hidden_up_to_hu"]
    middle = (worst["seen_from_hu"] + worst["hidden_up_to_hu"]) / 2
    again = lesion_blindness(subject, diameters_mm=(3.0,), contrast_hu=middle)
    assert again.figures["worst"]["blind"]
    assert not lesion_blindness(subject, diameters_mm=(3.0,), contrast_hu=1e-3).interesting


def test_the_diameter_at_half_is_interpolated_or_bounded() -> None:
    def curve(eta: list[float]) -> dict[str, list[float]]:
        sizes = [2.0, 4.0, 8.0]
        seen = [30.0, 20.0, 10.0]
        return {
            "diameter_mm": sizes,
            "eta_median": eta,
            "eta_min": eta,
            "d_in_3_median_hu": seen,
            "d_in_3_worst_hu": seen,
        }

    crossing = diameters_at_half(curve([0.2, 0.4, 0.6]))["median"]
    assert crossing["is"] == "crossing"
    assert crossing["diameter_mm"] == pytest.approx(4 * 2**0.5)
    assert crossing["contrast_hu"] == pytest.approx(20 - 10 * (2**0.5 - 1))
    assert diameters_at_half(curve([0.6, 0.7, 0.9]))["worst"]["is"] == "at most"
    assert diameters_at_half(curve([0.6, 0.7, 0.4]))["worst"]["is"] == "above"
    # a dip above a good diameter counts: the answer holds for all larger ones
    assert diameters_at_half(curve([0.6, 0.4, 0.9]))["median"]["diameter_mm"] > 4.0


def test_impossible_requests_are_refused(wiener: Subject) -> None:
    with pytest.raises(InputError, match="choose a larger box"):
        lesion_blindness(wiener, diameters_mm=(30.0,))
    with pytest.raises(InputError, match="above 0"):
        disc_signals(wiener, [0.0])
    with pytest.raises(InputError, match="contrast above 0"):
        lesion_blindness(wiener, contrast_hu=0.0)


def test_re_scans_take_j_again_and_leave_the_rest(wiener: Subject) -> None:
    (other,) = rescanned(wiener, [4], seed=7)
    np.testing.assert_array_equal(other.scan, wiener.renoised([4], seed=7)[0])
    assert other.covariance is wiener.covariance
    error, _ = other.corrector.region.errors(other.corrector.region.scan)
    assert float(error.abs().max()) < 1e-3  # its own f(x) is the reference now
    moved = replace(wiener, series="another")
    assert not np.array_equal(next(iter(rescanned(moved, [4], seed=7))).scan, other.scan)
