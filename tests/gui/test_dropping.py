"""A DICOM folder and a study are dropped on the viewer, as the mouse does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctinv.resources import ct_folder
from napari_ctinv.dock import show
from napari_ctinv.dropping import ours
from napari_ctinv.session import session_of

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Iterator[Any]:
    viewer = make_napari_viewer()
    yield viewer
    session_of(viewer).close()


def drop_event(*paths: Path, alt: bool = False, kind: str = "QDropEvent") -> Any:
    from qtpy import QtGui
    from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl

    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    modifiers = Qt.KeyboardModifier.AltModifier if alt else Qt.KeyboardModifier.NoModifier
    place = QPointF(50, 50) if kind == "QDropEvent" else QPoint(50, 50)
    event = getattr(QtGui, kind)(place, Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, modifiers)
    event.data = data  # the event does not own it
    return event


def test_a_dropped_folder_opens_without_a_question(viewer: Any, qtbot: Any) -> None:
    from qtpy.QtWidgets import QApplication

    dock = show(viewer, "Train")
    qtbot.wait(100)
    target = viewer.window._qt_viewer
    folder = ct_folder() / "quarter_dose"
    QApplication.sendEvent(
        target, drop_event(folder, kind="QDragEnterEvent")
    )  # Qt drops where something entered
    event = drop_event(folder)
    QApplication.sendEvent(target, event)
    assert event.isAccepted()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=120_000)
    (layer,) = viewer.layers
    assert dock.session.scan.layer is layer
    assert layer.data.shape == (16, 512, 512)
    assert dock.tabs.tabText(dock.tabs.currentIndex()) == "Scan"
    affine = np.array(layer.metadata["ctinv"]["affine"])
    np.testing.assert_allclose(layer.data_to_world([15, 511, 511]), (affine @ [15, 511, 511, 1])[2::-1])


def test_what_is_ours(tmp_path: Path) -> None:
    folder = ct_folder() / "quarter_dose"
    files = sorted(folder.glob("*.dcm"))[:3]
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "empty").mkdir()
    assert ours(drop_event(folder)) == folder
    assert ours(drop_event(*files)) == files[0], "files of one series are one scan"
    assert ours(drop_event(folder, alt=True)) is None, "Alt leaves the choice to napari"
    assert ours(drop_event(tmp_path / "picture.png")) is None
    assert ours(drop_event(tmp_path / "empty")) is None
    assert ours(drop_event(folder, tmp_path / "picture.png")) is None
