"""What the pictures show is what was measured."""

from __future__ import annotations

import io
import itertools

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from report_studies import BOX, Made

from ctinv.fibre.dimension import BANDS
from ctinv.report.arrays import unpack
from ctinv.report.build import Report
from ctinv.report.collect.noise import Rings
from ctinv.report.figures import catalogue
from ctinv.report.figures.places import seen_as
from ctinv.report.figures.style import TILE, Panel, Plate
from ctinv.sampler import Samples


@pytest.fixture(scope="module")
def plates(report: Report) -> dict[str, Plate]:
    return catalogue.plates(report.record.content)


def panel(plate: Plate, name: str) -> Panel:
    return next(one for one in plate.panels if one.name == name)


def test_f1_shows_the_studys_own_images(plates: dict[str, Plate], made: Made) -> None:
    expected = {
        "scan": made.volume.hu[BOX.z][BOX.slices],
        "denoised": made.store.setting.fx,
        "mean": made.store.mean(),
        "spread": made.store.spread(),
        "worst": made.store.worst(),
    }
    for name, values in expected.items():
        shown = panel(plates["F1"], name).draw().axes[0].images[0].get_array()
        np.testing.assert_array_equal(shown, values)
    frame = panel(plates["F1"], "context").draw().axes[0].patches[0]
    around = made.store.setting.context_box
    assert (frame.get_x(), frame.get_y()) == (BOX.x0 - around.x0 - 0.5, BOX.y0 - around.y0 - 0.5)
    assert seen_as("3,2:5,7:9", "3,0:9,0:9") == (6.5, 1.5, 2.0, 3.0)


def test_white_noise_has_the_nps_it_must_have() -> None:
    rings = Rings((24, 30), (0.8, 0.6))
    noise = np.random.default_rng(0).normal(0, 5.0, (400, 24, 30))
    power = rings.power(noise)
    np.testing.assert_allclose(rings.radial(power).mean(0), 25.0 * 0.8 * 0.6, rtol=0.05)
    bands = rings.bands(power)
    np.testing.assert_allclose(sum(bands.values()), (noise**2).mean((1, 2)))  # Parseval
    share = {name: float(value.mean()) / 25.0 for name, value in bands.items()}
    assert share["low"] < share["mid"] < share["high"]
    assert rings.frequency[-1] <= 0.5 / 0.8 + 1e-9


def test_a_wave_lies_in_its_ring() -> None:
    rings = Rings((32, 32), (0.5, 0.5))
    wave = np.cos(2 * np.pi * 4 * np.arange(32) / 32)[None, None, :] * np.ones((1, 32, 1))
    radial = rings.radial(rings.power(wave))[0]
    assert rings.frequency[radial.argmax()] == pytest.approx(4 / (32 * 0.5))


def test_f2_holds_the_spectra_of_scan_samples_and_c(report: Report, samples: Samples) -> None:
    found, setting = report.record.content["noise"], samples.setting
    difference = samples.x_tilde[:, 0] - setting.fx
    series = found["series"]["samples - f(x)"]
    assert series["total_hu2"] == pytest.approx(float((difference.astype(np.float64) ** 2).mean()), rel=1e-6)
    residual = setting.volume.hu[0] - setting.fx
    assert found["series"]["x - f(x)"]["total_hu2"] == pytest.approx(
        float((residual.astype(np.float64) ** 2).mean())
    )
    null = found["null"]
    for name in (*BANDS, "total"):
        low, high = null["ranges_hu2"][name]
        assert low < null["bands_hu2"][name] < high
    # Given the surroundings the region keeps most of the noise, and never more than C has.
    assert 0.5 < null["bands_hu2"]["total"] / found["model"]["sigma"] ** 2 < 1.1
    model, drawn = np.array(found["model"]["nps"]), np.array(null["nps"])
    assert 0.8 < np.median(drawn / model) < 1.2


def test_f6_is_the_dimension_of_the_region(report: Report, made: Made) -> None:
    prepared = made.sampler.prepare(made.volume, BOX)
    tiers = prepared.corrector.rule.tolerances()
    expected = prepared.dimension([value for _, value in tiers])
    found = report.record.content["fibre"]
    for row, known, (name, epsilon) in zip(found["tiers"], expected, tiers, strict=True):
        assert (row["name"], row["eps"]) == (name, epsilon)
        assert row["d_eff"] == pytest.approx(known["d_eff"], rel=1e-4)
        assert row["bands"] == pytest.approx(known["bands"], rel=1e-3, abs=1e-7)
    values = unpack(found["singular_values"]).astype(np.float64)
    assert np.all(np.diff(values) <= 1e-6)
    asked = tiers[2][1]
    assert float((values**2 / (values**2 + asked**2)).sum()) == pytest.approx(expected[2]["d_eff"], rel=1e-4)


def test_f8_shows_the_chosen_samples(plates: dict[str, Plate], report: Report, made: Made) -> None:
    rows = [one["row"] for one in report.record.content["findings"]["representatives"]["figures"]["shown"]]
    for row in rows:
        shown = panel(plates["F8"], f"sample-{row}").draw().axes[0].images[0].get_array()
        np.testing.assert_array_equal(shown, made.store.read(row))


def test_f3_and_f4_show_the_lesions_that_were_measured(plates: dict[str, Plate], report: Report) -> None:
    found = report.record.content["findings"]["lesion-blindness"]
    lines = panel(plates["F3"], "contrast-size").draw().axes[0].get_lines()
    curve = found["curves"]["contrast_size"]
    np.testing.assert_allclose(lines[0].get_xdata(), curve["diameter_mm"])
    np.testing.assert_allclose(lines[0].get_ydata(), curve["d_in_3_median_hu"])
    np.testing.assert_allclose(lines[1].get_ydata(), curve["d_eps_3_median_hu"])
    for name in ("eta", "eta_low", "eta_high"):
        image = panel(plates["F4"], name.replace("_", "-")).draw().axes[0].images[0]
        np.testing.assert_array_equal(image.get_array().filled(np.nan), unpack(found["maps"][name]["values"]))
        assert image.get_clim() == (0.0, 1.0)
    rows = {row[0]: row[1] for row in plates["F4"].tables[0].rows}
    assert rows["blind"] == "no"
    assert found["sentence"] in plates["F4"].caption
    assert len(plates["F3"].tables[0].rows) == len(found["figures"]["by_diameter"])


def test_f5_holds_tests_against_their_null(plates: dict[str, Plate], report: Report) -> None:
    found = report.record.content["findings"]
    power = panel(plates["F5"], "noise-consistency").draw().axes[0]
    samples = {line.get_label(): line.get_ydata() for line in power.get_lines()}["samples"]
    np.testing.assert_allclose(samples, found["noise-consistency"]["curves"]["samples"]["low_relative"])
    peaks = panel(plates["F5"], "matched-filter").draw().axes[0]
    assert sum(bar.get_height() for bar in peaks.patches) == len(report.record.content["certificates"])
    notes = " ".join(table.note for table in plates["F5"].tables)
    for name in ("noise-consistency", "matched-filter"):
        assert found[name]["figures"]["null"] in notes
        assert found[name]["figures"]["control"] in notes


def test_f8_shows_the_lesion_that_was_searched(plates: dict[str, Plate], report: Report) -> None:
    found = report.record.content["findings"]["find-blind"]
    shown = panel(plates["F8"], "search-change").draw().axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown, unpack(found["maps"]["change"]["values"]))
    heads = {table.head[0]: table for table in plates["F8"].tables}
    assert len(heads["direction"].rows) == len(found_directions(report))
    assert "search for the largest hidden lesion" in heads
    assert "channelised Hotelling observer" in heads


def found_directions(report: Report) -> list[object]:
    return report.record.content["findings"]["eigen-invariances"]["figures"]["directions"]


def test_pictures_are_sharp_and_not_blank(report: Report) -> None:
    for name, data in report.pictures.items():
        pixels = matplotlib.image.imread(io.BytesIO(data))
        assert min(pixels.shape[:2]) >= 300, name
        assert float(pixels[..., :3].std()) > 0.02, name
        assert b"Software\x00ctinv" in data
        assert b"tIME" not in data


def test_no_text_lies_over_another_or_outside(plates: dict[str, Plate]) -> None:
    for name, plate in plates.items():
        for one in plate.panels:
            _check_texts(one.draw(), f"{name}/{one.name}", tile=one.kind == TILE)


def _check_texts(figure: Figure, name: str, *, tile: bool) -> None:
    figure.canvas.draw()
    width, height = figure.get_size_inches() * figure.dpi
    shown = [*figure.texts]
    for axes in figure.axes:
        shown += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
        legend = axes.get_legend()
        shown += [] if tile or legend is None else list(legend.get_texts())
    boxes = [(one.get_text(), one.get_window_extent()) for one in shown if one.get_text().strip()]
    for text, box in boxes:
        assert -0.5 <= box.x0 < box.x1 <= width + 0.5, f"{name}: {text!r}"
        assert -0.5 <= box.y0 < box.y1 <= height + 0.5, f"{name}: {text!r}"
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1 or down <= 1, f"{name}: {one!r} lies over {other!r}"
