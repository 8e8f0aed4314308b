"""The child's own side: import the task, close the limits, then answer until the parent goes away."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO

from ctinv.child import Message, TaskError
from ctinv.child.confine import before_imports, confine, guard
from ctinv.child.frames import FramesError, read_frames, write_frames

_REQUEST_LIMIT = 1 << 40  # the parent is trusted; its requests are bounded by the limit on memory

Task = Callable[[dict[str, object], list[bytes]], Message]


def private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two ends of the parent, out of reach of whatever prints or reads."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    return requests, answers


def main(name: str, memory: int, seconds: float, guarded: bool, readable: Sequence[str] = ()) -> None:
    """Serve one task, named ``module:function``, until the requests end."""
    requests, answers = private_pipes()
    holds = before_imports()
    module, _, function = name.partition(":")
    task: Task = getattr(importlib.import_module(module), function)
    holds |= confine(memory=memory, readable=readable)
    if guarded:
        guard(readable)
    write_frames(answers, {"holds": sorted(holds)})
    while True:
        try:
            head, blobs = read_frames(requests, limit=_REQUEST_LIMIT)
        except FramesError:
            return  # the parent closed or is gone
        _end_after(seconds)
        answer, parts = _answer(task, head, blobs)
        _end_after(0)
        del blobs
        write_frames(answers, answer, parts)


def _end_after(seconds: float) -> None:
    """End this process if a task outlives its time: the parent does that, unless it is gone. 0 calls it off.

    Linux could tie a child to its parent, but to the thread that started it, which may end long before the process.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 2 * seconds)


def _answer(task: Task, head: dict[str, object], blobs: list[bytes]) -> Message:
    try:
        return task(head, blobs)
    except TaskError as error:
        return {"refused": str(error)}, []
    except (
        BaseException
    ) as error:  # panics of codecs in Rust are no Exception; the parent is told the type alone
        return {"failed": type(error).__name__}, []


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4] == "1", sys.argv[5:])
