"""Work that computes nothing: it proves that the computing process answers, stops, fails and dies as it should."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from ctinv.errors import InputError
from ctinv.progress import Progress


@dataclass(frozen=True)
class TrialRequest:
    """Count to `steps`.

    Attributes:
        steps: How far.
        seconds: How long each step takes.
        fail: The sentence of an error to raise at the first step, or ``"ZeroDivisionError"`` for one nobody foresaw.
        farewell: A file to write on the way out, however that comes.
    """

    steps: int
    seconds: float = 0.0
    fail: str = ""
    farewell: Path | None = None


def trial(request: TrialRequest, report: Progress) -> Generator[int, None, int]:
    """Yields the steps; returns their number."""
    if request.fail == "ZeroDivisionError":
        raise ZeroDivisionError
    if request.fail:
        raise InputError(request.fail)
    try:
        for step in range(request.steps):
            report(f"step {step + 1} of {request.steps}", step / request.steps)
            time.sleep(request.seconds)
            yield step
    finally:
        if request.farewell is not None:
            request.farewell.touch()
    return request.steps
