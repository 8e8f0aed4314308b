"""The stage of the tour: a viewer of fixed size, the plugin's dock, and hands that click, wait and take pictures.

Everything here does what a user does. Waiting runs the window's own event loop, so that the plugin works as it does for
a user, and nothing is polled more often than every 20 ms.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from napari.utils.notifications import NotificationSeverity, notification_manager
from qtpy.QtCore import QRect
from qtpy.QtWidgets import QApplication, QTabWidget, QWidget

from _tour.hands import Hands, area_of
from _tour.heartbeat import Heartbeat
from _tour.pictures import save

SIZE = (1280, 720)
"""Width and height of the window, pixels: a small laptop."""


class Stage(Hands):
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
        super().__init__(viewer)
        self.dock, self.session = dock, session
        self.out, self.home, self.quick = out, home, quick
        self.heartbeat = Heartbeat(self.window)
        self.figures: dict[str, Any] = {}
        self.pictures: dict[str, dict[str, Any]] = {}
        self.shown: QWidget | None = None
        self._drawn = 0
        viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(self._on_draw)

    def redrawn(self) -> None:
        """Waits until the canvas has been drawn anew."""
        drawn = self._drawn
        self.wait_until(lambda: self._drawn > drawn, "the canvas is drawn")

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

    def run(self, section: Any, activity: Any, *, timeout_s: float = 600) -> None:
        """Presses the button of an activity in its section, and waits for the end.

        Raises:
            RuntimeError: It failed; with its sentence.
        """
        before, text = activity.run, activity.title
        self.press(section, text)
        if activity.run is before:
            raise RuntimeError(f"{text!r} started nothing: {activity.message}")
        self.wait_until(lambda: not activity.running, text, timeout_s)
        if activity.run.outcome.state != "done":
            raise RuntimeError(activity.message)

    @contextmanager
    def watched(self, name: str) -> Iterator[None]:
        """Measures the window's thread inside the block."""
        with self.heartbeat.stretch(name):
            yield

    @contextmanager
    def no_errors(self) -> Iterator[None]:
        """Inside the block nothing may be raised in the window, and no error may be told.

        Raises:
            RuntimeError: Something was; with the first of it.
        """
        raised: list[BaseException] = []

        def note(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            raised.append(error)
            sys.__excepthook__(kind, error, trace)

        before, sys.excepthook = sys.excepthook, note
        told = len(notification_manager.records)
        try:
            yield
        finally:
            sys.excepthook = before
        if raised:
            raise RuntimeError("something was raised in the window") from raised[0]
        for record in list(notification_manager.records)[told:]:
            if record.severity >= NotificationSeverity.ERROR:
                raise RuntimeError(record.message)

    def picture(self, name: str, *, dialog: QWidget | None = None, **facts: Any) -> None:
        """Takes a picture of the whole window, and notes what lies where in it.

        Args:
            name: File name without ending.
            dialog: A window that is drawn over the middle of it.
            facts: What a test should know about the picture.
        """
        self.pause(0.4)
        taken = _at_size(self.viewer.window.screenshot(flash=False, canvas_only=False))
        self.pictures[name] = {"canvas": self.place(self._canvas()), **facts}
        if dialog is not None:
            over = np.pad(_at_size(_pixels(dialog)), ((1, 1), (1, 1), (0, 0)), constant_values=160)
            top, left = (
                (big - small) // 2 for big, small in zip(taken.shape[:2], over.shape[:2], strict=True)
            )
            taken = taken.copy()
            taken[top : top + over.shape[0], left : left + over.shape[1]] = over
            self.pictures[name]["dialog"] = [left, top, over.shape[1], over.shape[0]]
        self.pictures[name]["bytes"] = save(taken, self.out / f"{name}.png")
        if self.shown is not None and self.shown.isVisible():
            self.pictures[name]["section"] = self.place(self.shown)
            self.pictures[name]["fits"] = self.shown.size().width() <= area_of(self.shown).viewport().width()

    def record(self) -> dict[str, Any]:
        """Figures, gaps of the window's thread, and what lies where in the pictures, as plain data."""
        return {"figures": self.figures, "window": self.heartbeat.figures(), "pictures": self.pictures}

    def place(self, widget: QWidget) -> list[int]:
        """Where a widget lies in the picture, as far as it is seen: x, y, width, height."""
        region = widget.visibleRegion().boundingRect()
        seen = QRect(widget.mapTo(self.window, region.topLeft()), region.size())
        return [seen.x(), seen.y(), seen.width(), seen.height()]

    def _on_draw(self, _event: Any) -> None:
        self._drawn += 1


def _pixels(widget: QWidget) -> np.ndarray:
    """(H, W, 4) of a window."""
    from napari._qt.utils import QImg2array

    pixels: np.ndarray = QImg2array(widget.grab().toImage())
    return pixels


def _at_size(picture: np.ndarray) -> np.ndarray:
    """The picture in the window's own pixels, also from a screen with finer ones, at most as large as the window."""
    screen: Any = QApplication.primaryScreen()
    step = max(1, round(screen.devicePixelRatio()))
    return picture[::step, ::step][: SIZE[1], : SIZE[0]]
