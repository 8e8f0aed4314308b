"""Work in a process of its own that dies, as by kill -9, at a chosen write, rename or flush of the disk."""

from __future__ import annotations

import json
import os
import signal
import warnings
from collections.abc import Callable
from typing import Any

CALLS = ("write", "fsync", "replace", "rename", "ftruncate", "unlink", "mkdir", "link")
"""What is counted: the calls of the operating system that change a file or make it last."""
Ack = Callable[[Any], None]


def in_child(
    work: Callable[[Ack], None], *, kill_at: int | None = None, half: bool = False
) -> tuple[list[Any], str]:
    """Run work in a child process.

    Args:
        work: Gets a function that tells the parent something, a JSON value, at once.
        kill_at: The call at which the process dies, before it is made; never where there are fewer.
        half: A write is made by half first.

    Returns:
        What was told, and ``"killed"``, ``"done"``, or the exception that ended the work.
    """
    source, sink = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: threads of zarr are idle here
        pid = os.fork()
    if pid == 0:
        _run(work, sink, kill_at, half)
    os.close(sink)
    with os.fdopen(source, "rb") as told:
        lines = [json.loads(line) for line in told.read().splitlines() if line.endswith(b"]")]
    _, status = os.waitpid(pid, 0)
    ending = next((str(line[1]) for line in lines if line[0] == "failed"), "done")
    ending = "killed" if os.WIFSIGNALED(status) else ending
    return [line[1] for line in lines if line[0] == "told"], ending


def _run(work: Callable[[Ack], None], sink: int, kill_at: int | None, half: bool) -> None:
    plain = os.write

    def say(kind: str, value: Any) -> None:
        plain(sink, json.dumps([kind, value]).encode() + b"\n")

    try:
        if kill_at is not None:
            _count_down(kill_at, half)
        work(lambda value: say("told", value))
    except BaseException as error:
        say("failed", f"{type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _count_down(left: int, half: bool) -> None:
    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def replaced(*args: Any, **more: Any) -> Any:
            nonlocal left
            if left == 0:
                if half and name == "write":
                    call(args[0], bytes(args[1])[: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return call(*args, **more)

        return replaced

    for name in CALLS:
        setattr(os, name, counted(name, getattr(os, name)))
