"""Table, stamp, probe, film and comparisons in a real viewer: the widgets are clicked and the pictures are looked at."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugin_studies import make_certificate, make_store, make_volume
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from ctinv.volume import Box
from napari_ctinv.arrival import add_layers
from napari_ctinv.dock import show
from napari_ctinv.layers import study_layers, volume_layer
from napari_ctinv.sections._certificate_rows import FAILED, CertificateRows
from napari_ctinv.session import session_of

pytestmark = pytest.mark.gui

LEFT = Qt.MouseButton.LeftButton
FAILS = (2, 9)
REGION = Box(4, 4, 36, 3, 33)


@pytest.fixture
def swept() -> Iterator[None]:
    """Widgets and models hold each other; napari's fixture wants their viewer gone before the next one opens."""
    yield
    gc.collect()


@pytest.fixture
def screen(swept: None, make_napari_viewer: Callable[..., Any], tmp_path: Path) -> Iterator[Any]:
    """A viewer with the dock and a study of 30 samples, two of which failed."""
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1280, 720)
    store = make_store(tmp_path / "study.zarr", make_volume(), rows=30, box=REGION, failed=FAILS)
    dock = show(viewer, "Invariances")
    add_layers(viewer, study_layers(store))
    yield viewer, dock, store
    session_of(viewer).close()


def settle(seconds: float = 0.3) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        QApplication.processEvents()


def until(holds: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.perf_counter() + seconds
    while not holds():
        assert time.perf_counter() < end, "it did not happen in time"
        QApplication.processEvents()


def canvas_of(viewer: Any) -> np.ndarray:
    settle()
    return np.asarray(viewer.screenshot(canvas_only=True, flash=False))[..., :3].astype(int)


def pixel_of(viewer: Any, y: float, x: float) -> tuple[int, int]:
    """Row and column of the canvas that shows a place in mm."""
    camera, (height, width) = viewer.scene.camera, viewer.canvas.size
    row = (y - camera.center[-2]) * camera.zoom + height / 2
    column = (x - camera.center[-1]) * camera.zoom + width / 2
    return round(row), round(column)


def click_row(table: Any, row: int) -> None:
    table.scrollTo(table.model().index(row, 0))
    place = table.visualRect(table.model().index(row, 1)).center()
    QTest.mouseClick(table.viewport(), LEFT, pos=place)


def red(picture: np.ndarray) -> int:
    """Number of pixels that are as red as the stamp."""
    return int(((picture[..., 0] > 150) & (picture[..., 1] < 60) & (picture[..., 2] < 60)).sum())


def test_table_and_slider_follow_each_other_and_a_failure_is_stamped(screen: Any) -> None:
    viewer, dock, _store = screen
    section = dock.section("Certificates")
    table, rows = section.table, section.rows
    assert rows.rowCount() == 30
    click_row(table, 5)
    assert viewer.dims.point[0] == 5
    QTest.keyClick(table, Qt.Key.Key_Down)
    assert viewer.dims.point[0] == 6
    assert red(canvas_of(viewer)) < 20
    QTest.mouseClick(table.horizontalHeader().viewport(), LEFT, pos=QPoint(270, 8))  # by tier
    QTest.mouseClick(table.horizontalHeader().viewport(), LEFT, pos=QPoint(270, 8))
    assert [rows.place_of(row) for row in range(2)] == list(FAILS), "failures come first, in order"
    assert rows.place_of(table.currentIndex().row()) == 6, "the chosen sample stays chosen"
    assert viewer.dims.point[0] == 6
    click_row(table, 1)
    assert viewer.dims.point[0] == 9
    index = rows.index(1, 6)
    assert rows.data(index) == "not reached"
    assert rows.data(index, Qt.ItemDataRole.BackgroundRole) == FAILED
    overlay = viewer.canvas.overlays["ctinv stamp"]
    assert overlay.text.startswith("k = 9: T2 NOT REACHED –\nnot an invariance")
    picture = canvas_of(viewer)
    assert red(picture[-120:, :420]) > 2000, "a red stamp stands in the lower left corner"
    viewer.dims.set_point(0, 20)
    assert rows.place_of(table.currentIndex().row()) == 20
    assert red(canvas_of(viewer)[-120:, :420]) < 20
    assert section.line.text() == "28 of 30 at T2"


def test_a_hundred_thousand_rows_are_sorted_and_extended_at_once(qtbot: Any) -> None:
    rng = np.random.default_rng(0)
    base = make_certificate(0)
    certificates = [replace(base, k=k, rmse_hu=float(v)) for k, v in enumerate(rng.random(100_000))]
    rows = CertificateRows()
    rows.follow(certificates[:99_975])
    begin = time.process_time()
    rows.sort(1, Qt.SortOrder.DescendingOrder)
    assert time.process_time() - begin < 0.1
    begin = time.process_time()
    rows.follow(certificates)
    assert time.process_time() - begin < 0.1
    shown = [certificates[rows.place_of(row)].rmse_hu for row in (0, 1, 50_000, 99_999)]
    assert shown == sorted(shown, reverse=True)
    assert all(rows.row_of(rows.place_of(row)) == row for row in (0, 77_777))


def test_a_click_on_the_image_shows_its_samples(screen: Any) -> None:
    viewer, dock, store = screen
    dock.show_tab("Invariances", "Probe")
    section = dock.section("Probe")
    section.button.click()
    samples = section.session.shown.samples
    viewer.reset_view(layers=[samples])
    settle()
    y, x = samples.data_to_world([0, 0, 12, 20])[-2:]
    row, column = pixel_of(viewer, y, x)
    native = viewer.window._qt_viewer.canvas.native
    QTest.mouseClick(native, LEFT, pos=QPoint(column, row))
    until(lambda: section.model.probed is not None)
    assert section.model.probed.pixel == (12, 20)
    edges, counts = section.plot.lines["x̃"]
    values = np.array([store.read(k)[12, 20] for k in range(30)])
    np.testing.assert_array_equal(np.histogram(values, edges)[0], counts)
    assert "2 of them not reached" in section.line.text()
    until(lambda: "probed pixel" in viewer.layers)
    for part in (section.plot.canvas, section.line):
        seen = part.visibleRegion().boundingRect()
        assert seen.size() == part.size(), "what the click shows is scrolled into view"
    section.button.click()
    QTest.mouseClick(native, LEFT, pos=QPoint(column + 60, row))
    settle()
    assert section.model.probed.pixel == (12, 20), "the button is up"


def test_the_film_plays_and_pauses(screen: Any) -> None:
    _viewer, dock, _store = screen
    section = dock.section("Film")
    section.unfold()
    section.fps.value, section.passes_only.value = 20.0, True
    seen: list[int] = []
    section.session.shown.events.place.connect(seen.append)
    section.button.click()
    until(lambda: len(seen) > 12)
    section.button.click()
    assert not section.model.playing
    assert not set(seen) & set(FAILS)
    count = len(seen)
    settle()
    assert len(seen) == count


def test_checkerboard_swipe_and_blink_show_both_layers(screen: Any) -> None:
    """A black and a white scan: every tile, side and turn is what it has to be."""
    viewer, dock, _store = screen
    viewer.layers.clear()
    volume = make_volume()
    layers = [
        volume_layer(volume.with_hu(np.full_like(volume.hu, value)), name=name, window=(-100.0, 100.0))
        for name, value in (("black", -200.0), ("white", 200.0))
    ]
    black, white = add_layers(viewer, layers)
    section = dock.section("Compare")
    section.below.value, section.above.value = black, white
    section.tile.value = 7.0
    section.buttons["checkerboard"].click()
    picture = canvas_of(viewer)
    (left, top) = (black.translate[-1] - black.scale[-1] / 2, black.translate[-2] - black.scale[-2] / 2)
    for i in range(4):
        for j in range(3):
            row, column = pixel_of(viewer, top + 7 * (i + 0.5), left + 7 * (j + 0.5))
            assert picture[row, column].mean() == pytest.approx(255 * ((i + j) % 2), abs=3), (i, j)
    section.buttons["swipe"].click()
    for share in (0.25, 0.7):
        section.share.value = share
        picture = canvas_of(viewer)
        width = white.data.shape[-1] * white.scale[-1]
        for beside, value in ((-2.0, 0), (2.0, 255)):
            row, column = pixel_of(viewer, top + 10, left + share * width + beside)
            assert picture[row, column].mean() == pytest.approx(value, abs=3)
    native = viewer.window._qt_viewer.canvas.native
    begin = QPoint(*reversed(pixel_of(viewer, top + 10, left + 0.7 * width)))
    end = QPoint(*reversed(pixel_of(viewer, top + 10, left + 0.4 * width)))
    QTest.mousePress(native, LEFT, pos=begin)
    for place in ((begin + end) / 2, end):
        QTest.mouseMove(native, place)
        settle(0.1)
    QTest.mouseRelease(native, LEFT, pos=end)
    assert section.share.value == pytest.approx(0.4, abs=0.02)
    section.rate.value = 10.0
    section.buttons["blink"].click()
    row, column = pixel_of(viewer, top + 10, left + 10)
    values = set()

    def look() -> bool:
        picture = viewer.screenshot(canvas_only=True, flash=False)
        values.add(int(picture[row, column, 0]))
        return values == {0, 255}

    until(look)
    section.buttons["blink"].click()
    assert not any(button.isChecked() for button in section.buttons.values())
    assert [layer.name for layer in viewer.layers if layer.visible] == ["black", "white"]


def test_the_grid_shows_the_study_and_tells_what_is_missing(screen: Any) -> None:
    viewer, dock, _store = screen
    section = dock.section("Compare")
    section.buttons["grid"].click()
    picture = canvas_of(viewer)
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    cells = [
        picture[i * height : (i + 1) * height, j * width : (j + 1) * width] for i in (0, 1) for j in (0, 1)
    ]
    assert all(cell.std() > 10 for cell in cells), "no cell is empty"
    coloured = [float((np.ptp(cell, axis=-1) > 60).mean()) for cell in cells]
    assert max(coloured[:2]) < 0.03, "x and f(x) are grey, but for the letters of the directions"
    assert coloured[3] > 0.1, "f(x̃) − f(x) is red and blue"
    section.buttons["grid"].click()
    assert not viewer.canvas.grid.enabled
    viewer.layers.clear()
    section.buttons["grid"].click()
    assert not section.buttons["grid"].isChecked()
    assert "no study to show" in section._said.text()
