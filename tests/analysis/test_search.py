"""The search for the worst lesion, and what it inserts. That it finds a planted one is tests/laws/test_planted.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from analysis_subjects import ct_subject

from ctinv.analysis.blindness import lesion_blindness
from ctinv.analysis.finding import Finding
from ctinv.analysis.ideal_observer import observer_of
from ctinv.analysis.insertion import HALF, insert, largest_that_fits
from ctinv.analysis.lesion_study import D_SEEN, refine, signal_of
from ctinv.analysis.search import (
    NOT_BLIND,
    NOT_CERTIFIED,
    VERDICTS,
    WITHIN_THE_TIER,
    change_of,
    find_blind,
)
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.discs import Disc
from ctinv.fibre.factor import Factor
from ctinv.fibre.measure import measure
from ctinv.volume import Box

SIZES = (3.0, 5.0)


@pytest.fixture(scope="module")
def region() -> Subject:
    return ct_subject(box=Box(8, 176, 200, 152, 176))


@pytest.fixture(scope="module")
def found(region: Subject) -> Finding:
    return find_blind(region, diameters_mm=SIZES, rescans=2)


def test_a_good_network_hides_nothing_and_the_sentence_says_how_far_from_it(found: Finding) -> None:
    figures = found.figures
    assert figures["verdict"] == NOT_BLIND
    assert not found.interesting
    lesion, fits = figures["lesion"], figures["inserted"]
    assert lesion["eta"] > 0.9
    assert fits["d_in"] < D_SEEN
    assert f"{abs(fits['contrast_hu']):.3g} HU" in found.sentence
    assert f"d′ = {fits['d_in']:.2g}" in found.sentence
    assert figures["rescans"]["alarms"] == 0
    np.testing.assert_allclose(figures["rescans"]["eta_smallest"], lesion["eta"], atol=0.05)


def test_the_search_is_at_least_as_good_as_the_map(region: Subject, found: Finding) -> None:
    grid = lesion_blindness(region, diameters_mm=SIZES, exact=False).figures["by_diameter"]
    lesion = found.figures["lesion"]
    assert lesion["eta"] <= min(row["eta_min"] for row in grid) + 1e-6
    assert SIZES[0] <= lesion["diameter_mm"] <= SIZES[1]
    disc = Disc(lesion["y"] - region.box.y0, lesion["x"] - region.box.x0, lesion["diameter_mm"])
    assert disc.fits(region.shape, region.spacing_mm)


def test_what_is_shown_is_what_was_fed_back(region: Subject, found: Finding) -> None:
    corrector, maps = region.corrector, found.maps
    patch = torch.from_numpy(maps["inserted"].values)[None, None]
    output, inner = corrector.region.errors(patch)
    figures = measure(corrector.region, output[0], inner[0], corrector.noise_rms)
    assert figures["rmse_hu"] == pytest.approx(found.figures["inserted"]["rmse_hu"], abs=1e-4)
    assert corrector.rule.met("T2", **figures)
    np.testing.assert_allclose(maps["denoised_change"].values, output[0, 0][corrector.region.halo], atol=1e-3)
    np.testing.assert_allclose(
        maps["denoised_inserted"].values - maps["denoised"].values, maps["denoised_change"].values, atol=1e-3
    )
    change = change_of(found)
    assert change is not None
    np.testing.assert_allclose(change.numpy().ravel(), maps["change"].values.ravel())


def test_the_largest_contrast_is_the_largest(region: Subject) -> None:
    """What is told fits, a fifth more does not, and the range of the tier is used up."""
    pattern = Disc(12.0, 12.0, 4.0).image(region.shape, region.spacing_mm)
    best, bounded = largest_that_fits(region, pattern, most_hu=100.0)
    assert best is not None
    assert best.fits
    assert not bounded
    more, less = insert(region, pattern, [1.2 * best.contrast_hu, 0.5 * best.contrast_hu])
    assert not more.fits
    assert less.fits
    assert best.kept >= HALF
    small, bounded = largest_that_fits(region, pattern, most_hu=0.5 * abs(best.contrast_hu))
    assert bounded
    assert small is not None


def test_a_correction_takes_a_lesion_away_that_f_sees(region: Subject) -> None:
    """Beyond the tier only an image without the lesion is on the fibre: none is offered as if it held it."""
    pattern = Disc(12.0, 12.0, 4.0).image(region.shape, region.spacing_mm)
    (bare,) = insert(region, pattern, [60.0])
    assert not bare.passed
    assert not bare.fits
    tensor = torch.from_numpy(60.0 * pattern)[None, None]
    nearest = replace(region.corrector, perturb=False)
    x_tilde, _, certificates = nearest.correct(region.corrector.region.scan + tensor, [0], region.seeds(0))
    left = float(((x_tilde - region.corrector.region.scan) * tensor).sum() / tensor.square().sum())
    assert certificates[0].passed
    assert left < 0.05


def test_linear_theory_alone_is_not_called_blind(region: Subject) -> None:
    """A J that says nothing comes through is overruled by feeding back."""
    factor = region.corrector.factor
    assert isinstance(factor, Factor)
    deaf = replace(
        factor.jacobian, matrix=factor.jacobian.matrix * 1e-3, transposed=factor.jacobian.transposed * 1e-3
    )
    corrector = replace(region.corrector, factor=Factor.build(deaf, factor.noise, factor.tolerance))
    wrong = find_blind(replace(region, corrector=corrector), diameters_mm=(3.0,))
    assert wrong.figures["lesion"]["blind"]
    assert wrong.figures["verdict"] == NOT_CERTIFIED
    assert not wrong.interesting
    assert "not by feed-back" in wrong.sentence


def test_a_tier_that_averages_a_lesion_away_is_named(region: Subject) -> None:
    """With a limit far above what f does, a lesion fits that f shows: the verdict says so and is not blind."""
    rule = replace(region.corrector.rule, asked="T3", sigma_out_hu=60.0)
    loose = find_blind(replace(region, corrector=replace(region.corrector, rule=rule)), diameters_mm=(5.0,))
    assert loose.figures["verdict"] == WITHIN_THE_TIER
    assert not loose.interesting
    assert "stricter tier" in loose.sentence
    assert set(VERDICTS) >= {loose.figures["verdict"]}


def test_refinement_finds_the_bottom_of_a_known_bowl(region: Subject) -> None:
    """Near its start it never gets worse, and stays inside the region and between the diameters."""
    observer = observer_of(region.corrector)
    for start in (Disc(4.0, 19.0, 3.2), Disc(12.0, 12.0, 5.0), Disc(2.5, 2.5, 3.0)):
        best = refine(region, observer, start, between_mm=(3.0, 5.0))
        eta = [float(observer.look(signal_of(region, disc)).eta[0]) for disc in (start, best)]
        assert eta[1] <= eta[0] + 1e-7
        assert best.fits(region.shape, region.spacing_mm)
        assert 3.0 <= best.diameter_mm <= 5.0


def test_impossible_requests_are_refused(region: Subject) -> None:
    with pytest.raises(InputError, match="negative"):
        find_blind(region, rescans=-1)
    with pytest.raises(InputError, match="larger box"):
        find_blind(region, diameters_mm=(40.0,))
