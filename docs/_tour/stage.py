"""The stage of the tour: a viewer of fixed size, the plugin's dock, and hands that click, wait and take pictures.

Everything here does what a user does. Waiting runs the window's own event loop, so that the plugin works as it does for
a user, and nothing is polled more often than every 20 ms.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QEventLoop, QPoint, QRect, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialog, QPushButton, QScrollArea, QTabWidget, QWidget

from _tour.heartbeat import Heartbeat
from _tour.pictures import save

SIZE = (1280, 720)
"""Width and height of the window, pixels: a small laptop."""


class Stage:
    """A viewer with the plugin in its dock.

    Attributes:
        viewer: The napari viewer.
        dock: The plugin's widget.
        session: What scripts drive, for this viewer.
        out: Folder of the pictures.
        home: Folder for everything else; it is gone afterwards.
        quick: Whether as little as possible is computed.
        heartbeat: Measures the window's thread.
        figures: What the stations measured.
        pictures: What each picture shows, by its name: size, where the canvas and the plugin's part lie.
    """

    def __init__(
        self, viewer: Any, dock: QWidget, session: Any, out: Path, home: Path, *, quick: bool
    ) -> None:
        self.viewer, self.dock, self.session = viewer, dock, session
        self.out, self.home, self.quick = out, home, quick
        self.window = viewer.window._qt_window
        self.heartbeat = Heartbeat(self.window)
        self.figures: dict[str, Any] = {}
        self.pictures: dict[str, dict[str, Any]] = {}
        self.shown: QWidget | None = None
        self._drawn = 0
        viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(self._on_draw)

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

    def redrawn(self) -> None:
        """Waits until the canvas has been drawn anew."""
        drawn = self._drawn
        self.wait_until(lambda: self._drawn > drawn, "the canvas is drawn", 30)

    def pause(self, seconds: float) -> None:
        """Lets the window live for a while, so that everything is drawn."""
        end = time.perf_counter() + seconds
        self.wait_until(lambda: time.perf_counter() >= end, "a pause", seconds + 60)

    def tab(self, name: str) -> QWidget:
        """Brings a tab to the front, and gives it."""
        tabs: Any = self.dock.findChild(QTabWidget)
        for index in range(tabs.count()):
            if tabs.tabText(index).replace("&", "") == name:
                self.click(tabs.tabBar(), tabs.tabBar().tabRect(index).center())
                self.pause(0.05)
                page: QWidget = tabs.widget(index)
                return page
        raise LookupError(f"there is no tab {name!r}.")

    def section(self, tab: str, name: str) -> Any:
        """Brings a section into sight.

        Args:
            tab: Its tab.
            name: Its class.
        """
        page = self.tab(tab)
        for found in page.findChildren(QWidget):
            if type(found).__name__ == name:
                self.scroll_to(found)
                self.shown = found
                return found
        raise LookupError(f"the tab {tab!r} has no section {name!r}.")

    def run(self, section: Any, activity: Any, text: str, *, timeout_s: float = 600) -> None:
        """Presses the button of an activity, and waits for its end.

        Raises:
            RuntimeError: It failed; with its sentence.
        """
        before = activity.run
        self.press(section, text)
        if activity.run is before:
            raise RuntimeError(f"{text!r} started nothing: {activity.message}")
        self.wait_until(lambda: not activity.running, text, timeout_s)
        if activity.run.outcome.state != "done":
            raise RuntimeError(activity.message)

    def scroll_to(self, widget: QWidget) -> None:
        """Scrolls the plugin's tab so that a widget is at its top, as far as there is something below."""
        area = _area_of(widget)
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
        area = _area_of(widget)
        if area is not None:
            area.ensureWidgetVisible(widget)
            self.pause(0.05)
        place = widget.rect().center() if at is None else at
        hand: Any = QTest
        hand.mouseClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)

    def press(self, inside: QWidget, text: str) -> None:
        """Clicks the button with a text."""
        button = self.button(inside, text)
        if not button.isEnabled():
            raise LookupError(f"the button {text!r} cannot be pressed now: {button.toolTip()}")
        self.click(button)

    def dialog(self, timeout_s: float = 60) -> QDialog:
        """Waits for a dialog, and gives it."""

        def opened() -> list[QDialog]:
            return [
                top for top in QApplication.topLevelWidgets() if isinstance(top, QDialog) and top.isVisible()
            ]

        self.wait_until(lambda: bool(opened()), "a dialog", timeout_s)
        return opened()[0]

    @contextmanager
    def watched(self, name: str) -> Iterator[None]:
        """Measures the window's thread inside the block."""
        with self.heartbeat.stretch(name):
            yield

    def picture(self, name: str, **facts: Any) -> None:
        """Takes a picture of the whole window, and notes what lies where in it.

        Args:
            name: File name without ending.
            facts: What a test should know about the picture.
        """
        self.pause(0.4)
        taken = self.viewer.window.screenshot(flash=False, canvas_only=False)
        size = save(_at_size(taken, self.window.devicePixelRatioF()), self.out / f"{name}.png")
        self.pictures[name] = {"bytes": size, "canvas": self.place(self._canvas()), **facts}
        if self.shown is not None and self.shown.isVisible():
            self.pictures[name]["section"] = self.place(self.shown)

    def place(self, widget: QWidget) -> list[int]:
        """Where a widget lies in the picture, as far as it is seen: x, y, width, height."""
        region = widget.visibleRegion().boundingRect()
        seen = QRect(widget.mapTo(self.window, region.topLeft()), region.size())
        return [seen.x(), seen.y(), seen.width(), seen.height()]

    def pixel(self, layer: Any, index: tuple[float, ...]) -> list[int]:
        """Where a voxel of a layer lies in the picture: x, y."""
        world = np.asarray(layer.data_to_world(index))[list(self.viewer.dims.displayed)[-2:]]
        canvas = self._canvas()
        camera = self.viewer.scene.camera
        row, column = (world - np.asarray(camera.center[-2:])) * camera.zoom
        corner = canvas.mapTo(self.window, QPoint(0, 0))
        return [
            round(corner.x() + canvas.width() / 2 + column),
            round(corner.y() + canvas.height() / 2 + row),
        ]

    def _on_draw(self, _event: Any) -> None:
        self._drawn += 1

    def _canvas(self) -> QWidget:
        canvas: QWidget = self.viewer.window._qt_viewer.canvas.native
        return canvas


def _area_of(widget: QWidget) -> Any:
    """The scrolling area a widget lies in, or None."""
    area: Any = widget.parentWidget()
    while area is not None and not isinstance(area, QScrollArea):
        area = area.parentWidget()
    return area


def _at_size(picture: np.ndarray, ratio: float) -> np.ndarray:
    """The picture in the window's own pixels, also from a screen with finer ones."""
    step = max(1, round(ratio))
    return picture[::step, ::step]
