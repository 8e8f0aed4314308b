"""A function that calls back, as a generator of what it calls back with.

The function runs in a thread of the computing process. Its items wait in a short queue: where nobody takes them, it waits
too. When the generator is closed, the function is told at its next call, leaves its files whole, and is waited for.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ctinv.progress import Progress

_WAITING = 8
_LOOK_EVERY_S = 0.1

Result = TypeVar("Result")
Post = Callable[[Any], None]


def aside(
    call: Callable[[Post, Progress], Result], report: Progress, *, stop: Callable[[], BaseException]
) -> Generator[Any, None, Result]:
    """Yields what a function posts; returns what it returns.

    Args:
        call: ``call(post, tell)``: posts items, and tells a phrase and a fraction; both raise `stop()` when it is to end.
        report: Receives what is told, in the thread of the generator.
        stop: What ends the function from within.

    Raises:
        BaseException: What the function raised, but for `stop()`.
    """
    items: queue.Queue[Any] = queue.Queue(_WAITING)
    ending = threading.Event()
    said: tuple[str, float] = ("starting", math.nan)
    results: list[Result] = []
    errors: list[BaseException] = []
    stopped = stop()

    def post(item: Any) -> None:
        while not ending.is_set():
            try:
                items.put(item, timeout=_LOOK_EVERY_S)
            except queue.Full:
                continue
            return
        raise stopped

    def tell(text: str, fraction: float) -> None:
        nonlocal said
        if ending.is_set():
            raise stopped
        said = (text, fraction)

    def run() -> None:
        try:
            results.append(call(post, tell))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        while thread.is_alive() or not items.empty():
            report(*said)
            try:
                item = items.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                continue
            yield item
    finally:
        ending.set()
        thread.join()
        if errors and errors[0] is not stopped:
            raise errors[0]
    return results[0]
