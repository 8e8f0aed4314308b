"""How long the window's thread does not answer: a timer that should beat every 5 ms, and the longest time it did not.

Two clocks say two things. The wall clock is what a user feels; on a busy machine it also counts the time in which the
system let others run. The thread's own clock counts only what this thread itself has computed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from qtpy.QtCore import QObject, Qt, QTimer

BEAT_MS = 5


@dataclass
class Gaps:
    """The longest times between two beats of one stretch of work.

    Attributes:
        wall_ms: By the wall clock.
        thread_ms: Computed by the window's thread itself.
        over_100_ms: How many gaps of the wall clock are longer than 100 ms.
        beats: How many beats there were.
        seconds: Length of the stretch.
    """

    wall_ms: float = 0.0
    thread_ms: float = 0.0
    over_100_ms: int = 0
    beats: int = 0
    seconds: float = 0.0


class Heartbeat:
    """Beats in the window's thread; `stretch(name)` keeps the longest gaps of what happens inside it."""

    def __init__(self, parent: QObject) -> None:
        self.gaps: dict[str, Gaps] = {}
        self._current: Gaps | None = None
        self._timer = QTimer(parent)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._clocks = (0.0, 0.0)

    @contextmanager
    def stretch(self, name: str) -> Iterator[Gaps]:
        """Measures from here to the end of the block; stretches of the same name are taken together."""
        self._current = self.gaps.setdefault(name, Gaps())
        begin = time.perf_counter()
        self._clocks = (begin, time.thread_time())
        self._timer.start(BEAT_MS)
        try:
            yield self._current
        finally:
            self._beat()
            self._timer.stop()
            self._current.seconds += time.perf_counter() - begin
            self._current = None

    def figures(self) -> dict[str, dict[str, float]]:
        """All stretches as plain data, in ms and s."""
        return {
            name: {key: round(value, 3) for key, value in asdict(gaps).items()}
            for name, gaps in self.gaps.items()
        }

    def _beat(self) -> None:
        if self._current is None:
            return
        now = (time.perf_counter(), time.thread_time())
        wall, thread = (1000 * (new - old) for new, old in zip(now, self._clocks, strict=True))
        self._clocks = now
        self._current.wall_ms = max(self._current.wall_ms, wall)
        self._current.thread_ms = max(self._current.thread_ms, thread)
        self._current.over_100_ms += wall > 100
        self._current.beats += 1
