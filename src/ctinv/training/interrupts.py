"""Signals that would end the process wait until a step is complete and its checkpoint is written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, TypeVar

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
Event = TypeVar("Event")


class TrainingStopped(Exception):
    """Raised by a training's callback to end it at once: the checkpoint of the finished step is written, nothing else."""


def wants_to_end(
    callback: Callable[[Event], bool | None] | None, event: Event, save: Callable[[], None]
) -> bool:
    """Tell a callback the news of a finished step; whether it asks to end.

    Raises:
        TrainingStopped: The callback did, and the checkpoint is written by now.
    """
    if callback is None:
        return False
    try:
        return bool(callback(event))
    except TrainingStopped:
        save()
        raise


class Held:
    """A block in which Ctrl-C and SIGTERM are noted and nothing more, until `deliver` or the end of the block.

    What they then do is what they would have done before: whatever handler was there is called, and a process without one
    ends. An error that leaves the block stands above a signal that waits. In another thread than the main one, which
    receives no signals, nothing is held.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Held:
        self._hold()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._give_back()
        if error is None and self._first is not None:
            signal.raise_signal(self._first)

    @property
    def waiting(self) -> bool:
        """Whether a signal waits."""
        return self._first is not None

    def deliver(self) -> None:
        """Let the first signal that waits do what it would have done; hold the next ones if that lets the run go on."""
        if self._first is not None:
            self._give_back()
            number, self._first = self._first, None
            signal.raise_signal(number)
            self._hold()

    def _hold(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            before = signal.getsignal(number)
            # None: a handler that was not installed from Python; what is ignored stays ignored
            if before is not None and before != signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._first is None:
            self._first = number

    def _give_back(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before = {}
