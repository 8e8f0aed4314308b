"""The Analyse tab in a real viewer, on a real small study: its buttons are clicked, its tables and layers are read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugin_studies import sample_cnn10
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog

from ctinv.volume import Box
from napari_ctinv.dock import CtInvariances, show
from napari_ctinv.layers import layer_info
from napari_ctinv.session import session_of

pytestmark = pytest.mark.gui

BOX = Box(8, 180, 204, 160, 184)
N = 8


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_cnn10(tmp_path_factory.mktemp("made") / "study.zarr", BOX, n=N)


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Iterator[Any]:
    viewer = make_napari_viewer()
    viewer.open_sample("napari-ctinv", "quarter_dose")
    yield viewer
    session_of(viewer).close()


def opened(viewer: Any, study: Path) -> CtInvariances:
    """The dock at its Analyse tab, with a stored study; no fixture, which would keep the viewer alive."""
    dock = show(viewer, "Analyse")
    dock.session.scan.open(study)
    return dock


def saves_to(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user answers the file dialog."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))


def test_findings_are_read_drawn_shown_and_saved(
    viewer: Any, made: Path, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock = opened(viewer, made)
    section = dock.section("Analyse")
    for name, tick in section.ticks.items():
        if tick.isChecked() != (name in ("noise-consistency", "lesion-blindness", "representatives")):
            tick.click()
    section.bar.button.click()
    assert section.bar.button.text() == "Cancel"
    assert dock.session.analyse.activity.run.wait(300).state == "done"
    assert list(section.findings) == ["noise-consistency", "lesion-blindness", "representatives"]
    blind = section.findings["lesion-blindness"]
    qtbot.waitUntil(lambda: len(blind.plots) == 2, timeout=120_000)
    finding = dock.session.analyse.findings["lesion-blindness"]
    assert blind.sentence.text() == finding.sentence
    x, y = blind.plots[0].lines["seen in the scan, d′ = 3"]
    assert x.tolist() == finding.curves["contrast_size"]["diameter_mm"]
    assert y.tolist() == finding.curves["contrast_size"]["d_in_3_median_hu"]

    blind.maps.setCurrentIndex(1)
    blind.show_button.click()
    assert layer_info(viewer.layers.selection.active.metadata)["finding"] == "lesion-blindness"
    blind.more.click()
    assert ["discs", str(finding.figures["discs"])] in blind.table.rows()

    saves_to(tmp_path / "curve.csv", monkeypatch)
    blind.plots[0].save_button.click()
    rows = list(csv.DictReader((tmp_path / "curve.csv").read_text().splitlines()))
    assert float(rows[0]["diameter, mm"]) == pytest.approx(x[0], rel=1e-6)
    assert float(rows[0]["seen in the scan, d′ = 3"]) == pytest.approx(y[0], rel=1e-6)

    dark = blind.plots[0].canvas.backgroundBrush().color().lightness()
    viewer.theme = "light"
    assert blind.plots[0].canvas.backgroundBrush().color().lightness() > 128 > dark

    gallery = dock.section("Samples that stand for all")
    qtbot.waitUntil(lambda: len(gallery.cards) == len(dock.session.gallery.cards) > 0, timeout=120_000)
    gallery.cards[-1].click()
    row = dock.session.gallery.cards[-1].row
    assert viewer.dims.point[-4] == dock.session.shown.study.rows.index(row)
    assert gallery.cards[-1].isChecked()
    assert layer_info(viewer.layers.selection.active.metadata)["kind"] == "samples"


def test_a_region_is_drawn_measured_followed_and_saved(
    viewer: Any, made: Path, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock = opened(viewer, made)
    section, session = dock.section("ROI statistics"), dock.session
    section.measure.click()
    assert "nothing is drawn" in section._said.text()
    dock.session.shown.show(0)
    section.draw_buttons["rectangle"].click()
    drawn, scan = session.viewer.layers.selection.active, session.scan.layer
    assert drawn.mode == "add_rectangle"
    corners = [(183.5, 163.5), (183.5, 171.5), (191.5, 171.5), (191.5, 163.5)]
    drawn.add(np.array([(BOX.z, *corner) for corner in corners]), shape_type="rectangle")
    section.measure.click()
    names = ["quarter dose", "f(x) cnn10", "x̃ cnn10 output, sample 0", "mean [HU]", "spread [HU]"]
    qtbot.waitUntil(lambda: section.table.view.rowCount() == len(names), timeout=120_000)
    assert {row[1] for row in section.table.rows()} == set(names)
    first = section.table.rows()[0]
    assert first[2] == f"{scan.data[BOX.z, 184:192, 164:172].mean():.4g} HU"
    assert first[7] == "64"
    drawn.add(np.array([(BOX.z, *corner) for corner in corners]), shape_type="ellipse")
    qtbot.waitUntil(lambda: section.table.view.rowCount() == 2 * len(names), timeout=120_000)
    saves_to(tmp_path / "roi", monkeypatch)
    section.table.save_button.click()
    rows = list(csv.DictReader((tmp_path / "roi.csv").read_text().splitlines()))
    assert [row["region"] for row in rows] == ["rectangle 1"] * len(names) + ["ellipse 2"] * len(names)
    assert all(row["unit"] == "HU" for row in rows)


def test_the_report_is_written_and_opened(
    viewer: Any, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock = opened(viewer, made)
    section = dock.section("Report")
    assert section.open_button.isHidden()
    section.folder.edit.value = tmp_path / "out"
    section.bar.button.click()
    assert dock.session.report.activity.run.wait(300).state == "done"
    shown: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()))
    assert not section.open_button.isHidden()
    section.open_button.click()
    assert shown == [str(tmp_path / "out" / "report.html")]
    assert "T2" in section.verdict.text()


def test_noise_before_and_after(viewer: Any, made: Path) -> None:
    dock = opened(viewer, made)
    dock.show_tab("Denoise", "Noise before and after")
    section, session = dock.section("Noise before and after"), dock.session
    session.denoise.slices = "whole scan"
    assert session.denoise.run().wait(300).state == "done"
    section.bar.button.click()
    assert session.noise.activity.run.wait(120).state == "done"
    (scan, fx) = session.noise.found.noises
    assert (
        [row[0] for row in section.table.rows()] == [scan.name, fx.name] == ["quarter dose", "f(x) cnn10 [1]"]
    )
    assert list(section.plot.lines) == [scan.name, fx.name]
    assert fx.std < scan.std
    section.squares.click()
    layer = session.viewer.layers[-1]
    assert len(layer.data) == len(session.noise.found.squares.places)
