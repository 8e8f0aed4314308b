"""Progress on standard error: a bar on a terminal, one line per phase elsewhere."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ctinv.progress import Progress


@contextmanager
def reporting() -> Iterator[Progress]:
    """Yield ``progress(text, fraction)``; the fraction runs from 0 to 1, NaN where it is not known."""
    if sys.stderr.isatty():
        with _bar() as report:
            yield report
    else:
        yield _phases()


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich import progress as rich
    from rich.console import Console

    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.TimeElapsedColumn())
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("starting", total=None)

        def report(text: str, fraction: float) -> None:
            known = math.isfinite(fraction)
            bars.update(
                task, description=text, total=1.0 if known else None, completed=fraction if known else 0.0
            )

        yield report


def _phases() -> Progress:
    last = ""

    def report(text: str, fraction: float) -> None:
        nonlocal last
        phase = re.sub(r"\d[\d.,/ ]*", "", text)  # counters within a phase are not worth a line each
        if phase != last:
            last = phase
            print(text, file=sys.stderr, flush=True)

    return report
