"""The range over C, and the known false alarm: one bin of C set to zero must not make a denoiser look blind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from analysis_subjects import ct_subject, linear_subject
from torch import Tensor

from ctinv.analysis import lesion_study
from ctinv.analysis.blindness import lesion_blindness
from ctinv.analysis.ideal_observer import observer_of
from ctinv.analysis.lesion_study import judge
from ctinv.analysis.noise_range import Range, band_changes, mended, observer_under
from ctinv.analysis.search import WITHHELD, find_blind
from ctinv.analysis.subject import Subject
from ctinv.fibre.covariance import Covariance, DenseNoise
from ctinv.fibre.discs import DiscGrid
from ctinv.fibre.factor import Factor
from ctinv.fibre.holes import BELOW
from ctinv.fibre.probing import probe
from ctinv.fibre.region import Region
from ctinv.volume import Box

STEP = 4  # of the bins of the scan's spectrum are kept for the torus of a piece
WHITE_HU2 = 0.01  # a C without the rounding of CT numbers, so that the hole is deep
FLOOR = 0.02


@pytest.fixture(scope="module")
def scan() -> Subject:
    return ct_subject(box=Box(8, 176, 200, 152, 176))


@dataclass(frozen=True, eq=False)
class Alone:
    """A piece of the shipped CT taken as an image of its own, with a C that is periodic on it: no surroundings are known."""

    sound: Subject
    holed: Subject


@pytest.fixture(scope="module")
def alone(scan: Subject) -> Alone:
    side, rest = divmod(len(scan.covariance.spectrum), STEP)
    assert rest == 0  # else C would not be periodic on the piece
    region, box = scan.corrector.region, Box(0, 0, side, 0, side)
    piece = region.scan[0, 0, :side, :side].contiguous()
    assert piece.shape == box.shape
    there = Region.in_slice(region.representation, piece, box)
    clean = region.representation.denoiser(piece[None, None]).detach()
    spectrum = np.maximum(scan.covariance.spectrum[::STEP, ::STEP], FLOOR)
    sigma = np.full(box.shape, float(scan.covariance.sigma.mean()))
    jacobian = probe(there)

    def subject(power: np.ndarray) -> Subject:
        covariance = Covariance(box, sigma, power, WHITE_HU2)
        noise = DenseNoise.given(covariance, box, np.zeros(box.shape))
        factor = Factor.build(jacobian, noise, scan.corrector.factor.tolerance)
        corrector = replace(scan.corrector, region=there, factor=factor, noise=noise, clean=clean)
        return Subject(corrector, covariance, np.zeros(box.shape), scan.spacing_mm, "alone")

    holed = spectrum.copy()
    holed[0, 0] = 0.0
    return Alone(subject(spectrum), subject(holed))


def signals_of(subject: Subject) -> Tensor:
    return DiscGrid.on(subject.shape, subject.spacing_mm, 3.0, stride=2).signals


def test_the_bound_holds_for_any_spectrum_within_20_percent() -> None:
    """Random changes of every single bin, of the whole, and of bands: none leaves the bound, and the bound is not idle."""
    subject, _ = linear_subject()
    signals = signals_of(subject)
    bound = Range.bound(observer_of(subject.corrector).look(signals))
    rng, spectrum = np.random.default_rng(2), subject.covariance.spectrum
    mirrored = [rng.uniform(0.8, 1.2, spectrum.shape) for _ in range(3)]
    symmetric = [(one + np.roll(one[::-1, ::-1], (1, 1), axis=(0, 1))) / 2 for one in mirrored]
    changes = [spectrum * one for one in (*symmetric, 0.8, 1.2)]
    covariances = [replace(subject.covariance, spectrum=one) for one in changes]
    covariances += band_changes(subject.covariance).values()
    for covariance in covariances:
        seen = observer_under(subject, covariance).look(signals)
        for name, (low, high) in (("d_in", bound.d_in), ("d_eps", bound.d_eps), ("eta", bound.eta)):
            value = getattr(seen, name)
            assert (low * (1 - 1e-4) <= value).all(), name
            assert (value <= high * (1 + 1e-4)).all(), name
    quiet = observer_under(subject, covariances[3]).look(signals)  # 0.8 of the whole, but for the white floor
    assert np.median(quiet.d_in / bound.d_in[1]) > 0.98


def test_a_bound_that_decides_is_never_overruled_by_the_exact_range() -> None:
    """Where the bound calls a lesion blind so does the range; the range lies within the bound."""
    for tolerance in (0.6, 20.0, 60.0, 150.0):
        subject, _ = linear_subject(tolerance=tolerance)
        signals, observer = [signals_of(subject)], observer_of(subject.corrector)
        (loose,), _ = judge(subject, signals, observer=observer, exact=False)
        (exact,), _ = judge(subject, signals, observer=observer, exact=True)
        assert not (loose.blind & ~exact.blind).any()
        assert (exact.range.eta[0] >= loose.range.eta[0] - 1e-6).all()
        assert (exact.range.eta[1] <= loose.range.eta[1] + 1e-6).all()


def test_an_open_verdict_is_settled_band_by_band() -> None:
    """With η between 0.074 and 1/9 the bound says nothing, and in a large region too C is changed band by band."""
    tolerance = 60.0
    for _ in range(30):  # ε at which η of some disc lies between the two
        subject, _ = linear_subject(tolerance=tolerance)
        observer = observer_of(subject.corrector)
        eta = observer.look(signals_of(subject)).eta
        if 0.085 < np.median(eta) < 0.1:
            break
        tolerance *= (np.median(eta) / 0.092) ** 0.5
    assert ((eta > 0.075) & (eta < 0.11)).any()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesion_study, "SMALL", 0)  # as if the region were large
        (open_,), _ = judge(subject, [signals_of(subject)], observer=observer)
        (bounded,), _ = judge(subject, [signals_of(subject)], observer=observer, exact=False)
    assert open_.exact
    assert open_.blind.sum() > bounded.blind.sum()


def test_a_real_c_has_no_hole_and_a_dent_is_filled_smoothly(scan: Subject) -> None:
    spectrum = scan.covariance.spectrum
    assert mended(scan.covariance) is None
    for bins in ([(0, 0)], [(2, 3), (-2, -3)], [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]):
        dented = spectrum.copy()
        for row, column in bins:
            dented[row, column] *= 0.01
        healed = mended(replace(scan.covariance, spectrum=dented))
        assert healed is not None
        covariance, hole = healed
        assert hole.bins == len(bins)
        assert hole.depth < 0.1
        assert hole.cycles_per_pixel < BELOW
        untouched = dented == spectrum
        np.testing.assert_array_equal(covariance.spectrum[untouched], spectrum[untouched])
        ratio = covariance.spectrum[~untouched] / spectrum[~untouched]
        assert (ratio > 0.3).all()
        assert (ratio < 5.0).all()


def test_the_known_false_alarm_is_reproduced(alone: Alone) -> None:
    """η falls from above 0.99 to below 0.1 for one zeroed bin; nothing else has changed, f least of all."""
    signals = signals_of(alone.sound)
    before = observer_of(alone.sound.corrector).look(signals).eta
    after = observer_of(alone.holed.corrector).look(signals).eta
    assert before.min() > 0.99
    assert after.max() < 0.1


def test_the_verdict_is_withheld_where_c_has_a_hole(alone: Alone) -> None:
    assert not lesion_blindness(alone.sound).figures["blind"]
    found = lesion_blindness(alone.holed)
    assert not found.interesting
    assert found.figures["blind"] == 0
    assert found.figures["withheld"] == found.figures["discs"]
    assert found.figures["hole"]["bins"] == 1
    assert found.sentence.startswith("No verdict")
    searched = find_blind(alone.holed)
    assert searched.figures["verdict"] == WITHHELD
    assert not searched.interesting


def test_without_the_guard_it_would_say_blind(alone: Alone, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard is what withholds: ±20 % per band alone lets the false alarm pass."""
    monkeypatch.setattr(lesion_study, "mended", lambda covariance: None)
    found = lesion_blindness(alone.holed)
    assert found.interesting
    assert found.figures["blind"] == found.figures["discs"]


def test_a_hole_does_not_excuse_a_network_that_is_blind(scan: Subject) -> None:
    """A network that sees nothing is called blind with a hole in C as without."""
    factor = scan.corrector.factor
    assert isinstance(factor, Factor)
    blunt = Factor.build(factor.jacobian, factor.noise, 4000.0)
    dented = scan.covariance.spectrum.copy()
    dented[0, 0] = 0.0
    subject = replace(
        scan,
        corrector=replace(scan.corrector, factor=blunt),
        covariance=replace(scan.covariance, spectrum=dented),
    )
    observer = observer_of(subject.corrector)
    (judged,), hole = judge(subject, [signals_of(scan)], observer=observer, exact=False)
    assert hole is not None
    assert judged.blind.all()
    assert not judged.withheld.any()
