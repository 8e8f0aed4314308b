"""The computing process's own side: one piece of work after the other, until the viewer goes away.

The viewer sends ``run`` (a number, the name of a generator function in `napari_ctinv.work`, its request) and ``stop``. Back
go ``progress``, ``item`` for each thing the generator yields, and one ``end``. When the viewer closes, the work under way is
asked to stop, so that it leaves its files whole.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, BinaryIO

from ctinv.child.frames import FramesError, read_frames, write_frames
from ctinv.child.serve import private_pipes
from ctinv.progress import Progress
from napari_ctinv.engine.codec import Kept, decode, encode
from napari_ctinv.engine.messages import LIMIT, Stopped
from napari_ctinv.telling import in_plain_words

REPORT_EVERY_S = 0.2
KEPT = "Everything finished so far is kept."
_WORK = "napari_ctinv.work."
_NICE = 5
"""Below the viewer, which has to answer while all processors compute."""

Message = tuple[dict[str, Any], list[bytes]]


class _Server:
    """What is to be done, and what of it is no longer wanted."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self._requests, self._answers = requests, answers
        self._waiting: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._stopped: set[int] = set()
        self._closed = threading.Event()
        self._kept = Kept()

    def listen(self) -> None:
        """Receive until the viewer is gone; in a thread of its own, as work may be told to stop."""
        with contextlib.suppress(FramesError, OSError, ValueError):
            while True:
                head, blobs = read_frames(self._requests, limit=LIMIT)
                if head["do"] == "stop":
                    self._stopped.add(head["number"])
                else:
                    self._waiting.put((head, blobs))
        self._closed.set()
        self._waiting.put(None)

    def serve(self) -> None:
        """Do what is asked, in its order."""
        while (message := self._waiting.get()) is not None and not self._closed.is_set():
            head, blobs = message
            number = head["number"]
            state, said, result = self._work(number, head, blobs)
            del message, blobs
            self._send("end", number, result, state=state, message=said)
            self._stopped.discard(number)

    def _work(self, number: int, head: dict[str, Any], blobs: list[bytes]) -> tuple[str, str, Any]:
        """State, sentence and result of one piece of work; never raises."""
        try:
            request = decode(head["request"], blobs, self._kept)
            report = self._reporter(number)
            with closing(_function(head["task"])(request, report)) as steps:
                while True:
                    self._check(number)
                    self._send("item", number, next(steps))
        except StopIteration as end:
            return "done", "", end.value
        except (Stopped, KeyboardInterrupt):
            return "cancelled", "", None
        except Exception as error:
            return "failed", in_plain_words(error, KEPT), None

    def _reporter(self, number: int) -> Progress:
        last = -1.0

        def report(text: str, fraction: float) -> None:
            nonlocal last
            self._check(number)
            now = time.monotonic()
            if now - last >= REPORT_EVERY_S or fraction >= 1:
                last = now
                self._send("progress", number, (text, float(fraction)))

        return report

    def _check(self, number: int) -> None:
        if number in self._stopped or self._closed.is_set():
            raise Stopped

    def _send(self, event: str, number: int, value: Any, **more: str) -> None:
        tree, blobs = encode(value)
        # A viewer that is gone is noticed by the listener.
        with contextlib.suppress(OSError, ValueError):
            write_frames(self._answers, {"event": event, "number": number, "value": tree, **more}, blobs)


def _function(task: str) -> Callable[[Any, Progress], Generator[Any, None, Any]]:
    module, _, name = task.partition(":")
    if not module.startswith(_WORK):
        raise ValueError(f"{task} is no work of this plugin")
    found: Callable[[Any, Progress], Generator[Any, None, Any]] = getattr(
        importlib.import_module(module), name
    )
    return found


def main() -> None:
    """Serve the viewer that started this process."""
    requests, answers = private_pipes()
    if hasattr(os, "nice"):
        os.nice(_NICE)
    server = _Server(requests, answers)
    threading.Thread(target=server.listen, daemon=True).start()
    server.serve()


if __name__ == "__main__":
    main()
