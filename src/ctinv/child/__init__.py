"""A child process with limits, for bytes and programs of strangers.

Codecs crash, and some models are programs. What is handled here runs in a process of its own that has little memory and
time, sees no files but those of Python itself, writes none, starts no other program and has no network, as far as the
system allows it (`Child.holds`). Only bytes come back: a JSON head and blobs, never objects.

To run something in it: write ``task(head, blobs) -> (head, blobs)`` in a module and name it
``"module:function"``. The module is imported before the limits close, so what it needs has to be imported at its top. A
`TaskError` it raises arrives as one here; any other exception arrives as a `ChildFailed` that names its type alone,
since the texts of libraries quote what they read.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

from ctinv.child.frames import FramesError, read_frames, write_frames

Message = tuple[dict[str, Any], list[bytes]]
_Request = tuple[Mapping[str, Any], Sequence[bytes | memoryview]]
Reason = Literal["crashed", "late", "memory", "failed", "unavailable"]

START_SECONDS = 120.0
"""A cold start imports torch from a slow disk."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

__all__ = ["Child", "ChildFailed", "Message", "TaskError"]


class TaskError(Exception):
    """What a task refuses, in words that may be shown; raised in the child and again in the parent."""


class ChildFailed(Exception):
    """The child did not answer.

    Attributes:
        reason: ``"crashed"``, ``"late"`` beyond its time, ``"memory"`` beyond its bound, ``"failed"`` with an exception
            of its own, or ``"unavailable"``: it could not be started.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Child:
    """A process that answers one request at a time. Not to be shared by threads; start one for each.

    Args:
        task: ``"module:function"``.
        memory: Bytes it may take beyond what its imports take.
        seconds: Wall time it may take for one request.
        answer_limit: Largest answer in bytes that is read from it; by default `memory`.
        guarded: Also refuse, inside Python, to open files for writing, start programs and use sockets: for programs of
            strangers, where the system itself cannot be asked to.

    Attributes:
        holds: What the system has promised: any of ``"memory"``, ``"files"`` (none written, none read but those of
            Python), ``"programs"`` (none started) and ``"network"``.

    Raises:
        ChildFailed: It could not be started.
    """

    def __init__(
        self,
        task: str,
        *,
        memory: int,
        seconds: float,
        answer_limit: int | None = None,
        guarded: bool = False,
    ) -> None:
        self._seconds = seconds
        self._limit = memory if answer_limit is None else answer_limit
        self._answer: Message | BaseException | None = None
        self._pid = os.getpid()
        try:
            self._process = subprocess.Popen(
                # -P: a torch.py in the working directory is not torch
                [sys.executable, "-P", "-m", "ctinv.child.serve", task, str(memory), str(int(guarded))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_ONE_THREAD},
                start_new_session=True,  # Ctrl-C is for the parent, which then closes it
            )
        except OSError as error:
            raise ChildFailed(
                "unavailable", f"no child process could be started ({error.strerror})"
            ) from None
        head, _ = self._exchange(START_SECONDS, None)
        self.holds: frozenset[str] = frozenset(head.get("holds", ()))

    def call(self, head: Mapping[str, Any], blobs: Sequence[bytes | memoryview] = ()) -> Message:
        """Send a request and wait for its answer.

        Args:
            head: JSON values.
            blobs: Bytes beside it.

        Raises:
            TaskError: The task refused.
            ChildFailed: It crashed, was late, or failed; this child is closed then.
        """
        answer, parts = self._exchange(self._seconds, (head, blobs))
        if "refused" in answer:
            raise TaskError(str(answer["refused"]))
        if "failed" in answer:
            reason: Reason = "memory" if answer["failed"] == "MemoryError" else "failed"
            self.close()
            raise ChildFailed(reason, f"it failed with {answer['failed']}")
        return answer, parts

    @property
    def alive(self) -> bool:
        """Whether it can be called, from the process that started it."""
        return self._pid == os.getpid() and self._process.poll() is None

    def close(self) -> None:
        """End it; a second call does nothing."""
        if self._pid != os.getpid():
            return  # a fork of the parent: the child is not ours
        with contextlib.suppress(OSError, AttributeError):
            os.killpg(self._process.pid, 9)
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _exchange(self, seconds: float, request: _Request | None) -> Message:
        """Send a request and receive the next message, within the time; the child is closed where there is none."""
        self._answer = None
        # A thread, as pipes cannot be waited for with a time limit on every system.
        worker = threading.Thread(target=self._talk, args=(request,), daemon=True)
        worker.start()
        try:
            worker.join(seconds)
        except BaseException:
            self.close()
            raise
        if isinstance(self._answer, tuple):
            return self._answer
        late = worker.is_alive()
        self.close()
        if late:
            raise ChildFailed("late", f"it took longer than {seconds:g} s")
        raise ChildFailed("crashed", f"it ended with code {self._process.returncode}")

    def _talk(self, request: _Request | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            if request is not None:
                with contextlib.suppress(OSError):  # one that is gone is noticed when its answer is read
                    write_frames(self._process.stdin, *request)
            self._answer = read_frames(self._process.stdout, limit=self._limit)
        except (OSError, FramesError, ValueError) as error:
            self._answer = error
