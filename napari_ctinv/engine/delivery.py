"""How news of the computing process reaches the thread of the viewer, with Qt or without it."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

Call = Callable[[], None]


class Delivery(Protocol):
    """Calls functions in the thread it was made in."""

    def post(self, call: Call) -> None:
        """Have this called soon; from any thread."""

    def follow(self, work: Future[Any], call: Callable[[Future[Any]], None]) -> None:
        """Have this called once a thread has done its work; whoever waits, waits for that too."""

    def wait(self, until: Callable[[], bool], timeout_s: float | None) -> bool:
        """Deliver, and keep the interface alive, until something holds and nothing waits; whether it did in time."""


class PlainDelivery:
    """For scripts without an event loop: calls are made while somebody waits."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._followed = 0

    def post(self, call: Call) -> None:
        """Have this called by the next `wait`."""
        self._calls.put(call)

    def follow(self, work: Future[Any], call: Callable[[Future[Any]], None]) -> None:
        """Have this called by the `wait` that is under way, or the next one."""

        def done() -> None:
            self._followed -= 1
            call(work)

        self._followed += 1
        work.add_done_callback(lambda _work: self.post(done))

    def wait(self, until: Callable[[], bool], timeout_s: float | None) -> bool:
        """Deliver until something holds, and then all that waits."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while not until() or self._followed or not self._calls.empty():
            try:
                left = None if end is None else max(end - time.monotonic(), 1e-3)
                self._calls.get(timeout=left)()
            except queue.Empty:
                return False
        return True


def delivery_here() -> Delivery:
    """Qt's event loop where an application runs, else the plain one."""
    if any(name in sys.modules for name in ("PyQt6", "PyQt5", "PySide6")):
        from qtpy.QtWidgets import QApplication

        if QApplication.instance() is not None:
            from napari_ctinv.engine.qt_delivery import qt_delivery

            return qt_delivery()
    return PlainDelivery()
