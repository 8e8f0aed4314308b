"""A run ends in one of three ways, always with what is finished; checked without a thread or a window."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from plugin_studies import make_certificate

from ctinv.errors import ResourceError
from ctinv.fibre.tiers import Certificate
from ctinv.sampler import Store
from napari_ctinv.layers import LayerTuple
from napari_ctinv.widgets.certificates import cells, progress_line, summary_line, warns
from napari_ctinv.worker import Outcome, Report, Wish, guarded


class Counting:
    """Work that reports and yields five times, and does something of its own at one of them."""

    def __init__(self, at_three: Callable[[], None] = lambda: None) -> None:
        self.at_three = at_three
        self.closed = False
        self.finished = 0

    def steps(self, report: Report) -> Iterator[int]:
        try:
            for number in range(5):
                report("counting", number / 5)
                if number == 3:
                    self.at_three()
                self.finished += 1
                yield number
        finally:
            self.closed = True

    def finish(self) -> list[LayerTuple]:
        return [(self.finished, {}, "image")]


def run_through(steps: Generator[Any, None, Outcome]) -> tuple[list[int], Outcome]:
    items = []
    while True:
        try:
            items.append(next(steps))
        except StopIteration as end:
            return items, end.value


def fail(error: BaseException) -> Callable[[], None]:
    def raising() -> None:
        raise error

    return raising


def test_a_whole_run() -> None:
    reported: list[float] = []
    work = Counting()
    items, outcome = run_through(guarded(work, Wish(), lambda text, fraction: reported.append(fraction)))
    assert items == [0, 1, 2, 3, 4]
    assert reported == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert outcome == Outcome("done", "", [(5, {}, "image")])


def test_a_stop_inside_a_long_step_ends_it_at_the_next_report() -> None:
    wish = Wish()

    def ask(_text: str, fraction: float) -> None:
        if fraction >= 0.4:
            wish.stop()

    work = Counting()
    items, outcome = run_through(guarded(work, wish, ask))
    assert items == [0, 1, 2]
    assert outcome == Outcome("cancelled", "", [(3, {}, "image")]), "what is finished is kept"
    assert work.closed


def test_a_closing_viewer_asks_for_no_results() -> None:
    wish = Wish()
    work = Counting()
    steps = guarded(work, wish, lambda *_: None)
    next(steps)
    wish.stop(results=False)
    _items, outcome = run_through(steps)
    assert outcome == Outcome("abandoned")
    assert work.closed


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ResourceError("the region needs 9 GB and 4 GB are free; choose a smaller one."), "needs 9 GB"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "memory was not enough"),
        (MemoryError(), "memory was not enough"),
        (OSError(28, "No space left on device"), "No space left"),
        (RuntimeError("deep inside"), "unexpectedly"),
        (ZeroDivisionError(), "unexpectedly"),
    ],
)
def test_every_failure_is_one_sentence_and_keeps_what_is_finished(error: Exception, words: str) -> None:
    work = Counting(fail(error))
    items, outcome = run_through(guarded(work, Wish(), lambda *_: None))
    assert items == [0, 1, 2]
    assert outcome.state == "failed"
    assert words in outcome.message
    assert len(outcome.message) <= 200
    assert "\n" not in outcome.message
    assert outcome.layers == [(3, {}, "image")]


def test_closing_the_generator_closes_the_core() -> None:
    work = Counting()
    steps = guarded(work, Wish(), lambda *_: None)
    next(steps)
    steps.close()
    assert work.closed


def test_the_table_says_what_was_not_reached() -> None:
    assert cells(make_certificate(12)) == ("12", "0.320", "0.99", "0.030", "0.860", "-", "T1")
    assert cells(make_certificate(3, passed=False))[-1] == "none, not reached"
    odd = replace(make_certificate(3), reached="chord", passes=4, in_band=False)
    assert cells(odd)[-2:] == ("4", "T1, implausible")
    assert (warns(odd), warns(make_certificate(3)), warns(Certificate.of_target(3))) == (True, False, False)
    assert (
        progress_line([make_certificate(0), make_certificate(1, passed=False)], tier="T2") == "1 of 2 at T2"
    )


def test_the_summary_stands_over_the_table(store: Store) -> None:
    line = summary_line(store.summary())
    spread = store.summary()["spread_hu"]
    assert line.startswith(
        "7 of 7 passed tier T2\nRMSE 0.230 HU, worst 0.260 HU\nNFE 0.99 raw, 0.030 corrected\n"
    )
    assert f"\nreached by unknown steps\nspread {spread:.1f} HU" in line
    assert line.endswith("linear theory unknown\nχ²/n 0.860, the scan itself 0.860")
