"""How long the window's thread does not answer: a timer that should beat every 5 ms, and the longest time it did not.

Two clocks say two things. The wall clock is what a user feels; on a busy machine it also counts the time in which the
system let others run. The thread's own clock counts only what this thread itself has computed. A second thread looks at
what the window's thread does once a beat is late, so that a long gap has a name.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from types import FrameType
from typing import Any

from qtpy.QtCore import QObject, Qt, QTimer

BEAT_MS = 5
CALLS = 12
LATE_S = 0.1
"""A gap that a user notices, and the bar of this plugin."""


@dataclass
class Gaps:
    """The longest times between two beats of one stretch of work.

    Attributes:
        wall_ms: By the wall clock.
        thread_ms: Computed by the window's thread itself.
        over_100_ms: How many gaps of the wall clock are longer than 100 ms.
        late: Of each of those, its length by both clocks and where the thread was seen in it most, the innermost
            call last.
        beats: How many beats there were.
        seconds: Length of the stretch.
    """

    wall_ms: float = 0.0
    thread_ms: float = 0.0
    over_100_ms: int = 0
    beats: int = 0
    seconds: float = 0.0
    late: list[dict[str, Any]] = field(default_factory=list)


class Heartbeat:
    """Beats in the window's thread; `stretch(name)` keeps the longest gaps of what happens inside it."""

    def __init__(self, parent: QObject) -> None:
        self.gaps: dict[str, Gaps] = {}
        self._current: Gaps | None = None
        self._timer = QTimer(parent)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._clocks = (0.0, 0.0)
        self._seen: Counter[tuple[str, ...]] = Counter()
        self._over = threading.Event()

    @contextmanager
    def stretch(self, name: str) -> Iterator[Gaps]:
        """Measures from here to the end of the block; stretches of the same name are taken together."""
        self._current = self.gaps.setdefault(name, Gaps())
        begin = time.perf_counter()
        self._clocks = (begin, time.thread_time())
        self._over.clear()
        onlooker = threading.Thread(target=self._look_on, args=(threading.get_ident(),), daemon=True)
        onlooker.start()
        self._timer.start(BEAT_MS)
        try:
            yield self._current
        finally:
            self._beat()
            self._timer.stop()
            self._over.set()
            onlooker.join()
            self._current.seconds += time.perf_counter() - begin
            self._current = None

    def figures(self) -> dict[str, dict[str, Any]]:
        """All stretches as plain data, in ms and s."""
        return {name: _rounded(asdict(gaps)) for name, gaps in self.gaps.items()}

    def _beat(self) -> None:
        if self._current is None:
            return
        now = (time.perf_counter(), time.thread_time())
        wall, thread = (1000 * (new - old) for new, old in zip(now, self._clocks, strict=True))
        self._clocks = now
        self._current.wall_ms = max(self._current.wall_ms, wall)
        self._current.thread_ms = max(self._current.thread_ms, thread)
        self._current.beats += 1
        if wall > 1000 * LATE_S:
            self._current.over_100_ms += 1
            most = [list(calls) for calls, _count in self._seen.most_common(3)]
            self._current.late.append({"wall_ms": round(wall, 1), "thread_ms": round(thread, 1), "in": most})
        self._seen = Counter()

    def _look_on(self, thread: int) -> None:
        """Counts the calls of the window's thread while a beat is late."""
        while not self._over.wait(0.01):
            if time.perf_counter() - self._clocks[0] > 0.2 * LATE_S:
                self._seen[_calls(sys._current_frames().get(thread))] += 1


def _calls(frame: FrameType | None) -> tuple[str, ...]:
    """The calls on a stack as ``module:line function``, without those of the tour itself."""
    found = []
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.split(".")[0] not in ("_tour", "__main__"):
            found.append(f"{module}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return tuple(found[::-1][-CALLS:])


def _rounded(gaps: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 1) if isinstance(value, float) else value for key, value in gaps.items()}
