"""What a run of the command line lets out beside its own sentences: nothing that a library says.

Warnings, logs and traces of libraries quote header values and paths. Here the log is that of this package alone, a warning
is told by its kind and place, and an error that nobody caught by `ctinv.crash`.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ctinv import crash

_logger = logging.getLogger(__name__)


class _Formatter(logging.Formatter):
    """A trace in the log is reported by `crash`."""

    def formatException(self, ei: object) -> str:
        error = ei[1] if isinstance(ei, tuple) else None
        return crash.report(error) if isinstance(error, BaseException) else ""


def start_log(*, verbose: bool) -> None:
    """Log what this package says to standard error; other packages are not heard."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: record.name.partition(".")[0] == "ctinv")
    handler.setFormatter(_Formatter("%(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO if verbose else logging.ERROR)


@contextmanager
def own_words() -> Iterator[None]:
    """Replace the hooks by which Python prints warnings and uncaught errors, for the time of a run."""
    before = sys.excepthook, threading.excepthook, sys.unraisablehook, logging.raiseExceptions
    with warnings.catch_warnings():
        warnings.showwarning = _tell_warning
        sys.excepthook = lambda _type, error, _trace: crash.show(error)
        threading.excepthook = lambda args: crash.show(args.exc_value) if args.exc_value else None
        sys.unraisablehook = lambda args: crash.show(args.exc_value) if args.exc_value else None
        logging.raiseExceptions = False  # a handler that fails prints the arguments of the record
        try:
            yield
        finally:
            sys.excepthook, threading.excepthook, sys.unraisablehook, logging.raiseExceptions = before


def _tell_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """The kind and place of a warning go to the log; its text may quote a value."""
    _logger.info("%s in %s, line %d", category.__name__, Path(filename).name, lineno)
