"""Delivery through Qt's event loop, one call in each turn, so that drawing and the user get their chance in between."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from qtpy.QtCore import QEventLoop, QObject, QTimer, Signal

from napari_ctinv.engine.delivery import Call

_LOOK_EVERY_MS = 20


class QtDelivery(QObject):
    """Calls functions in the thread of the interface."""

    _posted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._calls: deque[Call] = deque()
        self._lock = threading.Lock()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._deliver)
        self._posted.connect(self._timer.start)  # queued from other threads by Qt itself

    def post(self, call: Call) -> None:
        """Have this called in a turn of the event loop of its own."""
        with self._lock:
            self._calls.append(call)
            first = len(self._calls) == 1
        if first:
            self._posted.emit()

    def wait(self, until: Callable[[], bool], timeout_s: float | None) -> bool:
        """Run an event loop until something holds and all that waited has been called."""

        def over() -> bool:
            return until() and not self._calls

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
        try:
            call()
        finally:
            if left:
                self._timer.start()
