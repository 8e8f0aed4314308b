"""The hands of the tour: they press buttons, click and drag on the canvas, scroll, and answer dialogs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QEventLoop, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialog, QPushButton, QScrollArea, QWidget

_HAND: Any = QTest  # its stubs know fewer overloads than it has


class Hands:
    """What a user does with mouse and patience.

    Attributes:
        viewer: The napari viewer.
        window: Its window.
    """

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.window = viewer.window._qt_window

    def wait_until(self, holds: Callable[[], bool], what: str, timeout_s: float = 300) -> float:
        """Lets the window live until a condition holds.

        Args:
            holds: The condition; it has to be cheap.
            what: What is waited for, for the error.
            timeout_s: Longest wait.

        Returns:
            The seconds it took.

        Raises:
            TimeoutError: If it does not come to hold.
        """
        begin = time.perf_counter()
        loop, timer = QEventLoop(), QTimer()

        def look() -> None:
            if holds() or time.perf_counter() - begin > timeout_s:
                loop.quit()

        timer.timeout.connect(look)
        timer.start(20)
        if not holds():
            loop.exec()
        timer.stop()
        if not holds():
            raise TimeoutError(f"{what}: not within {timeout_s:g} s.")
        return time.perf_counter() - begin

    def pause(self, seconds: float) -> None:
        """Lets the window live for a while, so that everything is drawn."""
        end = time.perf_counter() + seconds
        self.wait_until(lambda: time.perf_counter() >= end, "a pause", seconds + 60)

    def scroll_to(self, widget: QWidget) -> None:
        """Scrolls the plugin's tab so that a widget is at its top, as far as there is something below."""
        area = area_of(widget)
        if area is not None:
            self.pause(0.05)
            bar: Any = area.verticalScrollBar()
            bar.setValue(widget.mapTo(area.widget(), QPoint(0, 0)).y())
            self.pause(0.05)

    def button(self, inside: QWidget, text: str) -> QPushButton:
        """The button with a text; mnemonics and the headings that fold do not count."""
        for found in inside.findChildren(QPushButton):
            if found.text().replace("&", "").startswith(text) and found.isVisibleTo(inside):
                return found
        texts = sorted({found.text() for found in inside.findChildren(QPushButton)} - {""})
        raise LookupError(f"there is no button {text!r} but {texts}.")

    def click(self, widget: QWidget, at: QPoint | None = None) -> None:
        """Clicks a widget with the left mouse button, in its middle if no place is given."""
        area = area_of(widget)
        if area is not None:
            area.ensureWidgetVisible(widget)
            self.pause(0.05)
        place = widget.rect().center() if at is None else at
        _HAND.mouseClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)

    def touch(self, layer: Any, index: tuple[float, ...]) -> None:
        """Clicks a voxel of a layer on the canvas."""
        canvas = self._canvas()
        place = QPoint(*self.pixel(layer, index)) - canvas.mapTo(self.window, QPoint(0, 0))
        _move(canvas, place, Qt.MouseButton.NoButton)
        self.click(canvas, place)

    def drag(self, layer: Any, begin: tuple[float, ...], end: tuple[float, ...]) -> None:
        """Drags the mouse over the canvas from voxel to voxel of a layer."""
        canvas = self._canvas()
        corner = canvas.mapTo(self.window, QPoint(0, 0))
        here, there = (QPoint(*self.pixel(layer, index)) - corner for index in (begin, end))
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        _HAND.mousePress(canvas, left, none, here)
        for step in range(1, 9):
            place = here + (there - here) * step / 8
            _move(canvas, place, left)
            self.pause(0.03)
        _HAND.mouseRelease(canvas, left, none, there)
        self.pause(0.2)

    def press(self, inside: QWidget, text: str) -> None:
        """Clicks the button with a text."""
        button = self.button(inside, text)
        if not button.isEnabled():
            raise LookupError(f"the button {text!r} cannot be pressed now: {button.toolTip()}")
        self.click(button)

    def answer(self, act: Callable[[QDialog], None], timeout_s: float = 120) -> Callable[[], bool]:
        """Answers the next dialog once it opens, which may keep an event loop of its own running until then.

        Args:
            act: What to do with it; it has to close it.
            timeout_s: How long to look out for it.

        Returns:
            Says whether it has been answered.
        """
        answered: list[QDialog] = []
        end = time.perf_counter() + timeout_s
        timer = QTimer(self.window)

        def look() -> None:
            dialog = _open_dialog()
            if dialog is not None or time.perf_counter() > end:
                timer.stop()
            if dialog is not None:
                act(dialog)
                answered.append(dialog)

        timer.timeout.connect(look)
        timer.start(50)
        return lambda: bool(answered)

    def pixel(self, layer: Any, index: tuple[float, ...]) -> list[int]:
        """Where a voxel of a layer lies in the picture of an axial slice: x, y."""
        world = np.asarray(layer.data_to_world(index))[-2:]
        canvas = self._canvas()
        camera = self.viewer.scene.camera
        row, column = (world - np.asarray(camera.center[-2:])) * camera.zoom
        corner = canvas.mapTo(self.window, QPoint(0, 0))
        return [
            round(corner.x() + canvas.width() / 2 + column),
            round(corner.y() + canvas.height() / 2 + row),
        ]

    def _canvas(self) -> QWidget:
        canvas: QWidget = self.viewer.window._qt_viewer.canvas.native
        return canvas


def area_of(widget: QWidget) -> Any:
    """The scrolling area a widget lies in, or None."""
    area: Any = widget.parentWidget()
    while area is not None and not isinstance(area, QScrollArea):
        area = area.parentWidget()
    return area


def _move(canvas: QWidget, place: QPoint, held: Qt.MouseButton) -> None:
    """Moves the mouse with a button held, which QTest cannot."""
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(place),
        QPointF(canvas.mapToGlobal(place)),
        Qt.MouseButton.NoButton,
        held,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(canvas, event)


def _open_dialog() -> QDialog | None:
    """A dialog that is open now."""
    for top in QApplication.topLevelWidgets():
        if isinstance(top, QDialog) and top.isVisible():
            return top
    return None
