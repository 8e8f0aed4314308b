"""A core iterator in a thread: progress, cancel and errors in plain words.

`guarded` is the part without Qt: it runs the iterator, turns a request to stop into a clean end from wherever
the core reports progress, and turns every exception into one sentence. `Job` puts it into one of napari's
worker threads, so that napari knows of it and ends it when the viewer closes.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakSet

from napari.qt.threading import GeneratorWorker, create_worker
from qtpy.QtCore import QEventLoop, QObject, QThreadPool, QTimer, Signal

from napari_ctinv.layers import LayerTuple
from napari_ctinv.telling import in_plain_words

Report = Callable[[str, float], None]

REPORT_EVERY_S = 0.5
EXIT_WAIT_S = 30.0
KEPT = "Everything finished so far is kept."


class Work(Protocol):
    """What a job runs, all of it in the worker's thread."""

    def steps(self, report: Report) -> Iterator[Any]:
        """Do the work, yielding after each finished piece; `report` may raise to end it."""

    def finish(self) -> list[LayerTuple]:
        """Layers of everything finished, called once however the run ended."""


class Cancelled(Exception):
    """Raised inside the core through its progress callback when the user asked to stop."""


class Wish:
    """What the user wants of a running job; set in the main thread, read in the worker's."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._results = True

    def stop(self, *, results: bool = True) -> None:
        """End at the next yield or progress report; without results when the viewer is closing."""
        self._results = self._results and results
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether to end now."""
        return self._stop.is_set()

    @property
    def results(self) -> bool:
        """Whether anyone will look at results."""
        return self._results


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        state: ``"done"``, ``"cancelled"``, ``"failed"``, or ``"abandoned"`` when nobody looks any more.
        message: One sentence for the user, only after a failure.
        layers: What is finished.
    """

    state: str
    message: str = ""
    layers: list[LayerTuple] = field(default_factory=list)


def guarded(work: Work, wish: Wish, report: Report) -> Generator[Any, None, Outcome]:
    """Yield what the work yields until it ends, fails or is asked to stop; never raises.

    superqt would take a RuntimeError for a deleted worker and drop it, so nothing may leave this generator.
    """

    def report_or_stop(text: str, fraction: float) -> None:
        if wish.stopped:
            raise Cancelled
        report(text, fraction)

    state, message = "done", ""
    try:
        with closing(_iterate(work.steps(report_or_stop))) as steps:
            for item in steps:
                yield item
                if wish.stopped:
                    raise Cancelled
    except (Cancelled, KeyboardInterrupt):
        state = "cancelled"
    except Exception as error:
        state, message = "failed", in_plain_words(error, KEPT)
    if not wish.results:
        return Outcome("abandoned")
    layers: list[LayerTuple] = []
    try:
        layers = work.finish()
    except Exception as error:
        state, message = "failed", message or in_plain_words(error, KEPT)
    return Outcome(state, message, layers)


def _iterate(items: Iterator[Any]) -> Generator[Any, None, None]:
    yield from items


class _StoppableWorker(GeneratorWorker):
    """A worker whose quit reaches into a long step: the next progress report ends it.

    napari calls quit when the viewer closes. The generator then ends by itself and closes the core's iterator
    in its own thread; superqt's own abort would leave it hanging at its last yield.
    """

    wish: Wish

    def quit(self) -> None:
        """End soon, without results."""
        self.wish.stop(results=False)


_started: WeakSet[Job] = WeakSet()


@atexit.register
def _leave_no_run_behind() -> None:
    """Let runs end before Python takes their Qt objects away, which would abort the process."""
    running = [job for job in _started if job.running]
    for job in running:
        job.abandon()
    pool = QThreadPool.globalInstance()
    if running and pool is not None:
        pool.waitForDone(int(1000 * EXIT_WAIT_S))


class Job(QObject):
    """One run in a thread.

    It does not use napari's activity dock: its spinning picture redraws the canvas all the time, which without a
    graphics card makes a run three times as long (45 s instead of 14 s, measured). The widget shows the progress.

    Signals (all arrive in the main thread):
        progressed(text, fraction): A short phrase and 0 to 1, or NaN where the length is unknown.
        yielded(item): What the iterator yields.
        ended(outcome): Always the last one.
    """

    progressed = Signal(str, float)
    yielded = Signal(object)
    ended = Signal(object)

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.outcome: Outcome | None = None
        self._wish = Wish()
        self._last_report = 0.0
        self._worker = create_worker(
            guarded, work, self._wish, self._report, _worker_class=_StoppableWorker, _start_thread=False
        )
        self._worker.wish = self._wish
        self._worker.yielded.connect(self.yielded)
        self._worker.returned.connect(self._end)

    def start(self) -> None:
        """Begin; returns at once."""
        _started.add(self)
        self._worker.start()

    @property
    def running(self) -> bool:
        """Whether the run has not ended yet."""
        return self.outcome is None

    @property
    def abandoned(self) -> bool:
        """Whether the viewer or the widget of this run is gone."""
        return not self._wish.results

    def cancel(self) -> None:
        """Ask to stop at the next yield or progress report; what is finished stays."""
        self._wish.stop()

    def abandon(self) -> None:
        """Ask to stop because nobody will look at results any more."""
        self._wish.stop(results=False)

    def wait(self, timeout_s: float | None = None) -> Outcome:
        """Keep the interface alive until the run has ended, for scripts and tests.

        Raises:
            TimeoutError: It still runs after this time.
        """
        loop = QEventLoop()
        self.ended.connect(loop.quit)
        if timeout_s is not None:
            QTimer.singleShot(int(1000 * timeout_s), loop.quit)
        if self.running:
            loop.exec()
        if self.outcome is None:
            raise TimeoutError(f"the run has not ended within {timeout_s:g} s.")
        return self.outcome

    def _report(self, text: str, fraction: float) -> None:
        """Called in the worker's thread; a signal carries it over, twice a second at most."""
        now = time.monotonic()
        if now - self._last_report >= REPORT_EVERY_S or fraction >= 1:
            self._last_report = now
            self.progressed.emit(text, fraction)

    def _end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.ended.emit(outcome)
