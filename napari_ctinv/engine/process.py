"""Engine: the computing process, started on first use, and started anew after it has died."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

from ctinv.child.frames import FramesError, read_frames, write_frames
from napari_ctinv.engine import quiet
from napari_ctinv.engine.codec import Sent, decode, encode
from napari_ctinv.engine.delivery import Delivery, delivery_here
from napari_ctinv.engine.messages import LIMIT
from napari_ctinv.engine.run import Run

CLOSE_WAIT_S = 30.0
"""How long work may take to leave its files whole when the viewer closes; a study survives being killed, too."""

DIED = (
    "the computing process ended unexpectedly ({code}), perhaps for want of memory; everything finished so far is kept, and "
    "the next run starts a new one."
)

_engines: WeakSet[Engine] = WeakSet()
_closing: list[_Process] = []
"""Processes that were asked to end and nobody waited for."""


class Engine:
    """One computing process. Work is done in the order in which it is asked for.

    Args:
        environment: Variables the process gets beside those of the viewer.

    Attributes:
        delivery: Brings news into the thread this was made in.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.delivery: Delivery = delivery_here()
        self._environment = dict(environment or {})
        self._numbers = itertools.count(1)
        self._process: _Process | None = None
        _engines.add(self)

    @property
    def busy(self) -> bool:
        """Whether work is under way or waits."""
        return self._process is not None and bool(self._process.runs)

    @property
    def pid(self) -> int | None:
        """Number of the process, None where there is none."""
        return self._process.pid if self._process is not None and self._process.alive else None

    def configure(self, environment: Mapping[str, str]) -> None:
        """Other variables for the process; one that runs already is replaced once it has nothing to do."""
        if dict(environment) != self._environment:
            self._environment = dict(environment)
            if not self.busy:
                self.close(wait=False)

    def submit(self, task: str, request: Any) -> Run:
        """Have work done.

        Args:
            task: ``"napari_ctinv.work.module:function"``.
            request: Its request: plain data, see `napari_ctinv.engine.codec`.
        """
        if self._process is None or not self._process.alive:
            self._process = _Process(self._environment, self.delivery)
        run = Run(self, next(self._numbers), task)
        self._process.begin(run, request)
        return run

    def stop(self, number: int) -> None:
        """Ask the work of this number to stop."""
        if self._process is not None:
            self._process.say({"do": "stop", "number": number})

    def close(self, *, wait: bool = True) -> None:
        """End the process: work under way is asked to stop, and killed if it does not within `CLOSE_WAIT_S`.

        Without `wait` that is seen to when the viewer's process ends.
        """
        if self._process is not None:
            self._process.ask_to_end()
            _closing.append(self._process)
            self._process = None
        _closing[:] = [process for process in _closing if process.alive]
        if wait:
            _wait_for_all()


class _Process:
    """The pipes to one process, each served by a thread, so that neither writing nor reading holds up the viewer."""

    def __init__(self, environment: Mapping[str, str], delivery: Delivery) -> None:
        self.runs: dict[int, Run] = {}
        self._delivery = delivery
        self._sent = Sent()
        self._outbox: queue.SimpleQueue[tuple[dict[str, Any], Any] | None] = queue.SimpleQueue()
        # -P: a torch.py in the working directory is not torch
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "napari_ctinv.engine.serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is for the viewer, which then asks to stop
        )
        for target in (self._write, self._read):
            threading.Thread(target=target, daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self, run: Run, request: Any) -> None:
        self.runs[run.number] = run
        quiet.begin()
        self._outbox.put(({"do": "run", "number": run.number, "task": run.task}, request))

    def say(self, head: dict[str, Any]) -> None:
        self._outbox.put((head, None))

    def ask_to_end(self) -> None:
        for run in list(self.runs.values()):
            run.abandon()
        self._outbox.put(None)

    def end(self, wait_s: float) -> None:
        """Wait for the end, then make it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(wait_s)
        if self.alive:
            self._process.kill()

    def _write(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            while (message := self._outbox.get()) is not None:
                head, request = message
                if head["do"] == "run":
                    tree, blobs = encode(request, self._sent)
                    write_frames(self._process.stdin, {**head, "request": tree}, blobs)
                else:
                    write_frames(self._process.stdin, head)
                del message, request
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(FramesError, OSError, ValueError):
            while True:
                head, blobs = read_frames(self._process.stdout, limit=LIMIT)
                run = self.runs.get(head["number"])
                if head["event"] == "end" and self.runs.pop(head["number"], None) is not None:
                    quiet.end()
                if run is not None:
                    self._post(
                        run,
                        head["event"],
                        decode(head["value"], blobs),
                        head.get("message", ""),
                        head.get("state"),
                    )
        self._process.stdout.close()
        code = self._process.wait()
        left, self.runs = list(self.runs.values()), {}
        for run in left:
            quiet.end()
            self._post(run, "end", None, DIED.format(code=code), "failed")

    def _post(self, run: Run, event: str, value: Any, message: str, state: Any) -> None:
        self._delivery.post(lambda: run.take(event, value, message, state))


def _wait_for_all() -> None:
    end = time.monotonic() + CLOSE_WAIT_S
    while _closing:
        _closing.pop().end(max(0.0, end - time.monotonic()))


@atexit.register
def _leave_no_process_behind() -> None:
    for engine in list(_engines):
        engine.close(wait=False)
    _wait_for_all()
