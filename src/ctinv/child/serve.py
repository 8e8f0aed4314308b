"""The child's own side: import the task, close the limits, then answer until the parent goes away."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import BinaryIO

from ctinv.child import Message, TaskError
from ctinv.child.confine import before_imports, confine, guard
from ctinv.child.frames import FramesError, read_frames, write_frames

_REQUEST_LIMIT = 1 << 40  # the parent is trusted; its requests are bounded by the limit on memory

Task = Callable[[dict[str, object], list[bytes]], Message]


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two ends of the parent, out of reach of whatever prints or reads."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    return requests, answers


def main(name: str, memory: int, guarded: bool) -> None:
    """Serve one task, named ``module:function``, until the requests end."""
    requests, answers = _private_pipes()
    holds = before_imports()
    module, _, function = name.partition(":")
    task: Task = getattr(importlib.import_module(module), function)
    holds |= confine(memory=memory)
    if guarded:
        guard()
    write_frames(answers, {"holds": sorted(holds)})
    while True:
        try:
            head, blobs = read_frames(requests, limit=_REQUEST_LIMIT)
        except FramesError:
            return  # the parent closed or is gone
        answer, parts = _answer(task, head, blobs)
        del blobs
        write_frames(answers, answer, parts)


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
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1")
