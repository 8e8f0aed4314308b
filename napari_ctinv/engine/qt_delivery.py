"""Delivery through Qt's event loop, one call in each turn, so that drawing and the user get their chance in between."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from qtpy.QtCore import QEventLoop, QObject, QTimer, Signal

from napari_ctinv.engine.delivery import Call

LONG_S, REST_MS = 0.01, 10
_LOOK_EVERY_MS = 20


class QtDelivery(QObject):
    """Calls functions in the thread of the interface."""

    _posted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._calls: deque[Call] = deque()
        self._followed = 0
        self._lock = threading.Lock()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._deliver)
        self._posted.connect(self._soon)  # queued from other threads by Qt itself

    def post(self, call: Call) -> None:
        """Have this called in a turn of the event loop of its own."""
        with self._lock:
            self._calls.append(call)
            first = len(self._calls) == 1
        if first:
            self._posted.emit()

    def follow(self, work: Future[Any], call: Callable[[Future[Any]], None]) -> None:
        """Have this called once a thread has done its work; whoever waits, waits for that too."""

        def done() -> None:
            self._followed -= 1
            call(work)

        self._followed += 1
        work.add_done_callback(lambda _work: self.post(done))

    def wait(self, until: Callable[[], bool], timeout_s: float | None) -> bool:
        """Run an event loop until something holds and all that waited has been called."""

        def over() -> bool:
            return until() and not self._calls and not self._followed

        if over():
            return True
        loop, look, end = QEventLoop(), QTimer(), QTimer()
        look.timeout.connect(lambda: loop.quit() if over() else None)
        look.start(_LOOK_EVERY_MS)
        end.setSingleShot(True)
        end.timeout.connect(loop.quit)
        if timeout_s is not None:
            end.start(int(1000 * timeout_s))
        loop.exec()
        look.stop()
        end.stop()
        return until()

    def _deliver(self) -> None:
        with self._lock:
            call = self._calls.popleft()
            left = bool(self._calls)
        since = time.perf_counter()
        try:
            call()
        finally:
            if left:
                # What a long call has caused, drawing above all, goes first.
                self._timer.start(REST_MS if time.perf_counter() - since > LONG_S else 0)

    def _soon(self) -> None:
        self._timer.start(0)


@functools.cache
def qt_delivery() -> QtDelivery:
    """The one of this application, so that calls of different origin do not share a turn."""
    return QtDelivery()
