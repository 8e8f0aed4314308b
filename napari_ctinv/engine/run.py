"""Run: one piece of work in the computing process, seen from the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctinv.engine.messages import Outcome

if TYPE_CHECKING:
    from napari_ctinv.engine.process import Engine


class Run:
    """One run.

    Signals, all in the thread of the viewer:
        progressed(text, fraction): A short phrase, and 0 to 1 or NaN where the length is unknown.
        yielded(item): What the work yields.
        ended(outcome): Always the last one.

    Attributes:
        number: Tells it from other runs of its engine.
        task: ``"napari_ctinv.work.module:function"``.
        outcome: How it ended; None while it runs.
    """

    progressed = Signal(str, float)
    yielded = Signal(object)
    ended = Signal(object)

    def __init__(self, engine: Engine, number: int, task: str) -> None:
        self.number, self.task = number, task
        self.outcome: Outcome | None = None
        self._engine = engine
        self._wanted = True

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.outcome is None

    def cancel(self) -> None:
        """Ask to stop at the next yield or progress report; what is finished stays."""
        if self.running:
            self._engine.stop(self.number)

    def abandon(self) -> None:
        """Ask to stop because nobody will look at results any more; nothing but the end is told."""
        self._wanted = False
        self.cancel()

    def wait(self, timeout_s: float | None = None) -> Outcome:
        """Keep the interface alive until the run has ended, for scripts and tests.

        Raises:
            TimeoutError: It still runs after this time.
        """
        self._engine.delivery.wait(lambda: not self.running, timeout_s)
        if self.outcome is None:
            raise TimeoutError(f"the run has not ended within {timeout_s:g} s.")
        return self.outcome

    def take(self, event: str, value: Any, message: str, state: Any) -> None:
        """Pass on what the engine sent; in the thread of the viewer."""
        if not self.running:
            return
        if event == "end":
            self.outcome = Outcome(state if self._wanted else "abandoned", message, value)
            self.ended.emit(self.outcome)
        elif self._wanted and event == "progress":
            self.progressed.emit(*value)
        elif self._wanted:
            self.yielded.emit(value)
