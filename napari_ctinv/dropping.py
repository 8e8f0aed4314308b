"""Scans and studies that are dropped on the viewer open as from the Scan tab: away from the interface, and asked for their
series where there are several. Everything else, and a drop with Alt held, is napari's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QWidget

from napari_ctinv.reader import get_reader
from napari_ctinv.sniffing import is_dicom

_TARGET = "QtViewer"
"""The class of napari's widget that takes drops."""


class Dropping(QObject):
    """Watches what is dropped on a napari window.

    Args:
        window: The window; nothing is watched where it has no such widget.
        open_path: Called with what is ours.
    """

    def __init__(self, window: QWidget, open_path: Callable[[Path], Any]) -> None:
        super().__init__(window)
        self._open = open_path
        for widget in window.findChildren(QWidget):
            if type(widget).__name__ == _TARGET:
                widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take a drop that is ours."""
        if isinstance(event, QDropEvent) and event.type() == QEvent.Type.Drop:
            path = ours(event)
            if path is not None:
                event.acceptProposedAction()
                self._open(path)
                return True
        return bool(super().eventFilter(watched, event))


def ours(event: QDropEvent) -> Path | None:
    """The scan or study in a drop; None where there is none, or several, or Alt is held."""
    data = event.mimeData()
    if data is None or event.modifiers() & Qt.KeyboardModifier.AltModifier:
        return None
    if not data.urls() or not all(url.isLocalFile() for url in data.urls()):
        return None
    paths = [Path(url.toLocalFile()) for url in data.urls()]
    if len(paths) > 1 and not (len({path.parent for path in paths}) == 1 and all(map(is_dicom, paths))):
        return None
    return paths[0] if get_reader([str(path) for path in paths]) is not None else None
