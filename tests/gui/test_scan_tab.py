"""The Scan tab in a real viewer: opening by drop and by button, the chooser, the mouse, and what the canvas shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QWidget

from ctinv.io.dicom import read_series
from ctinv.resources import ct_folder
from ctinv.windows import PRESETS
from napari_ctinv.arrival import add_layers
from napari_ctinv.chooser import SeriesChooser
from napari_ctinv.dock import show
from napari_ctinv.layers import volume_layer
from napari_ctinv.session import session_of

pytestmark = pytest.mark.gui

PLUGIN = "napari-ctinv"
SERIES = ct_folder() / "quarter_dose"
SLICE = 8


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Iterator[Any]:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1100, 800)
    yield viewer
    session_of(viewer).close()


@pytest.fixture
def dock(viewer: Any) -> Any:
    return show(viewer, "Scan")


def with_dialog(act: Callable[[], Any], answer: Callable[[SeriesChooser], None]) -> tuple[Any, list[Any]]:
    """Do something that opens the chooser, and answer it as a user would; what it did, and the choosers seen."""
    seen: list[Any] = []

    def look() -> None:
        found = QApplication.activeModalWidget()
        if isinstance(found, SeriesChooser):
            seen.append(found)
            timer.stop()
            answer(found)

    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(50)
    try:
        return act(), seen
    finally:
        timer.stop()


def take_the_second(chooser: SeriesChooser) -> None:
    QTest.keyClick(chooser.table, Qt.Key.Key_Down)
    QTest.keyClick(chooser.table, Qt.Key.Key_Return)


def leave(chooser: SeriesChooser) -> None:
    QTest.keyClick(chooser, Qt.Key.Key_Escape)


def test_a_dropped_folder_of_several_series_opens_the_chooser(viewer: Any) -> None:
    """Drop and menu both end in `viewer.open`."""

    def drop() -> Any:
        return viewer.open(str(ct_folder()), plugin=PLUGIN)

    _, (chooser,) = with_dialog(drop, leave)
    assert len(viewer.layers) == 0
    assert chooser is not None
    (layer,), _ = with_dialog(drop, take_the_second)
    second = read_series(ct_folder(), "#2")
    assert np.array_equal(layer.data, second.hu)


def test_the_button_opens_without_holding_the_window_up(
    viewer: Any, dock: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = dock.section("Scan", "Scan")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(ct_folder()))
    beats = [(time.perf_counter(), time.thread_time())]
    held: list[tuple[float, float]] = []

    def answer(chooser: SeriesChooser) -> None:
        assert chooser.table.rowCount() == 2
        held.append(tuple(np.diff(beats, axis=0).max(axis=0)))
        take_the_second(chooser)

    def press() -> None:
        section.folder.click()
        qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=120_000)

    heart = QTimer()
    heart.timeout.connect(lambda: beats.append((time.perf_counter(), time.thread_time())))
    heart.start(5)
    with_dialog(press, answer)
    heart.stop()
    assert dock.session.scan.layer is viewer.layers[0]
    assert section.layer.value is viewer.layers[0]
    assert "512 × 512 × 16" in section.facts.text()
    wall, busy = held[0]
    print(f"longest gap of the window {1000 * wall:.0f} ms, of them its own work {1000 * busy:.0f} ms")
    assert busy <= 0.1, f"the window was busy for {busy:.3f} s"


def mouse(canvas: QWidget, kind: Any, place: tuple[int, int], button: Any, buttons: Any, keys: Any) -> None:
    point = QPointF(*place)
    everywhere = QPointF(canvas.mapToGlobal(QPoint(*place)))
    QApplication.sendEvent(canvas, QMouseEvent(kind, point, everywhere, button, buttons, keys))


def drag(viewer: Any, button: Any, keys: Any) -> None:
    """From the middle of the canvas 60 pixels to the right and 20 down."""
    canvas = viewer.window._qt_viewer.canvas.native
    x, y = canvas.width() // 2, canvas.height() // 2
    none = Qt.MouseButton.NoButton
    mouse(canvas, QMouseEvent.Type.MouseButtonPress, (x, y), button, button, keys)
    for step in (20, 40, 60):
        QTest.qWait(20)  # vispy drops moves that follow within 10 ms
        mouse(canvas, QMouseEvent.Type.MouseMove, (x + step, y + step // 3), none, button, keys)
    mouse(canvas, QMouseEvent.Type.MouseButtonRelease, (x + 60, y + 20), button, none, keys)
    QApplication.processEvents()


def test_the_mouse_and_the_numbers_change_the_window_and_the_camera_stays(viewer: Any, dock: Any) -> None:
    (layer,) = add_layers(viewer, [volume_layer(read_series(SERIES))])
    section, scan, camera = dock.section("Window", "Scan"), dock.session.scan, viewer.scene.camera
    section.preset.value = "soft tissue"
    before = (camera.center, camera.zoom)
    left, right = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
    drag(viewer, right, Qt.KeyboardModifier.ControlModifier)
    assert (scan.levels.centre, scan.levels.width) == (80.0, 520.0)
    assert (camera.center, camera.zoom) == before
    section.drag.click()
    drag(viewer, left, Qt.KeyboardModifier.NoModifier)
    assert (scan.levels.centre, scan.levels.width) == (132.0, 676.0)
    assert (section.level.value, section.span.value) == (132.0, 676.0)
    assert section.preset.value == "custom"
    assert (camera.center, camera.zoom) == before
    section.drag.click()
    drag(viewer, left, Qt.KeyboardModifier.NoModifier)
    assert (scan.levels.centre, scan.levels.width) == (132.0, 676.0)
    assert camera.center != before[0], "without the mode the left button pans"
    section.span.value = 300
    assert tuple(layer.contrast_limits) == (132.0 - 150, 132.0 + 150)


def test_the_picture_has_letters_and_scale_bar_and_lungs_in_their_window(viewer: Any, dock: Any) -> None:
    (layer,) = add_layers(viewer, [volume_layer(read_series(SERIES))])
    viewer.dims.set_point(0, layer.data_to_world([SLICE, 0, 0])[0])
    viewer.reset_view()
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    height, width, _ = picture.shape
    yellow = (picture[..., 0] > 180) & (picture[..., 1] > 180) & (picture[..., 2] < 90)
    edges = {
        "top": yellow[:50, width // 3 : -width // 3],
        "bottom": yellow[-50:, width // 3 : -width // 3],
        "left": yellow[height // 3 : -height // 3, :50],
        "right": yellow[height // 3 : -height // 3, -50:],
    }
    assert {name: bool(edge.sum() > 15) for name, edge in edges.items()} == dict.fromkeys(edges, True)
    assert (picture[-60:, -200:].min(axis=2) > 200).sum() > 50, "the scale bar"
    lung = lung_brightness(viewer, layer, picture)
    dock.session.scan.levels = PRESETS["lung"]
    changed = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    assert lung < 15
    assert lung_brightness(viewer, layer, changed) > 60


def lung_brightness(viewer: Any, layer: Any, picture: np.ndarray) -> float:
    """Mean over the pixels that show lung."""
    values, camera = layer.data[SLICE], viewer.scene.camera
    rows, columns = np.nonzero((values > -900) & (values < -780))
    world = np.array(
        [layer.data_to_world([SLICE, y, x])[1:] for y, x in zip(rows, columns, strict=True)][::50]
    )
    y, x = np.rint((world - camera.center[-2:]) * camera.zoom + np.array(picture.shape[:2]) / 2).astype(int).T
    return float(picture[y, x].mean())


def test_the_readout_follows_the_cursor_and_stops_where_it_stops(viewer: Any, dock: Any, qtbot: Any) -> None:
    (layer,) = add_layers(viewer, [volume_layer(read_series(SERIES))])
    lines = dock.section("Under the cursor", "Scan").lines
    for column in range(100, 200):
        viewer.cursor.position = layer.data_to_world([SLICE, 300, column])
    qtbot.waitUntil(lambda: lines["voxel"].text() == "z 8 · y 300 · x 199", timeout=120_000)
    assert lines["x"].text() == f"{layer.data[SLICE, 300, 199]:.1f} HU"
