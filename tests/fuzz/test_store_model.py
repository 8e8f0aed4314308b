"""A study against a plain set of rows, through kills, damage, second writers and readers, in any order.

Sample k is a function of k, so the set of committed rows says what every image must be. What was acknowledged stays, what
was not is there as a whole or not at all, and what was damaged is never shown.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import examples
from fuzzing import _fast_folder
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from killed import in_child
from sampler_studies import make_batch, make_provenance, make_setting

from ctinv.errors import StoreError
from ctinv.sampler import Store
from ctinv.sampler.journal import Journal

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked to be killed")
MOST = 40
SETTING, PROVENANCE = make_setting(), make_provenance()
BATCH = make_batch(range(MOST), SETTING)
ERRORS = BATCH.feedback_error.astype(np.float16).astype(np.float32)


def create(path: Path, n: int) -> Store:
    return Store.create(path, PROVENANCE, SETTING, n=n)


class StudyMachine(RuleBasedStateMachine):
    """The study on disk, and what must be in it.

    Attributes:
        n: Rows asked for, 0 before the study is there.
        rows: Committed rows.
        ever: Rows that were committed at any time: what a damaged study may still name, though not show.
        damaged: Whether something was damaged and not yet drawn again.
        spoilt: Chunks that were damaged since; two damages could undo each other.
    """

    def __init__(self) -> None:
        super().__init__()
        self.room = Path(tempfile.mkdtemp(dir=_fast_folder()))
        self.path = self.room / "study.zarr"
        self.n = 0
        self.rows: set[int] = set()
        self.ever: set[int] = set()
        self.damaged = False
        self.spoilt: set[Path] = set()
        self.writer: Store | None = None
        self.reader: Store | None = None

    def teardown(self) -> None:
        if self.writer is not None:
            self.writer.close()
        shutil.rmtree(self.room)

    def _order(self, data: st.DataObject, rows: list[int]) -> list[list[int]]:
        """Some of these rows in batches, in any order."""
        rows = data.draw(st.permutations(rows)) if data.draw(st.booleans()) else rows
        rows = rows[: data.draw(st.integers(0, len(rows)))]
        size = data.draw(st.integers(1, 9))
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    @initialize(n=st.integers(1, 30), kill_at=st.none() | st.integers(0, 140), half=st.booleans())
    def begin(self, n: int, kill_at: int | None, half: bool) -> None:
        _, ending = in_child(lambda ack: create(self.path, n).close(), kill_at=kill_at, half=half)
        assert ending in ("done", "killed")
        if not self.path.exists():  # killed before it had its name
            assert ending == "killed"
            create(self.path, n).close()
        self.n = n

    @precondition(lambda self: self.writer is None)
    @rule(
        data=st.data(),
        more=st.integers(0, 4),
        finish=st.booleans(),
        kill_at=st.none() | st.integers(0, 60),
        half=st.booleans(),
    )
    def write_in_a_process(self, data: Any, more: int, finish: bool, kill_at: int | None, half: bool) -> None:
        """Continue in another process, which may be killed at any call that changes the disk."""
        n = min(self.n + more, MOST)
        free = sorted(set(range(n)) - self.rows) if not self.damaged else []
        parts = self._order(data, free)

        def work(ack: Callable[[Any], None]) -> None:
            store = create(self.path, n)
            batches = parts or [store.missing()[:5]]  # after damage only the store knows what is lost
            for rows in batches:
                ack(["begin", rows])
                if rows:
                    store.append(make_batch(rows, SETTING))
                ack(["committed", rows])
            if finish:
                store.finish({"sampling": 1.0})

        told, ending = in_child(work, kill_at=kill_at, half=half)
        assert ending in ("done", "killed"), ending
        acknowledged = {k for word, rows in told if word == "committed" for k in rows}
        flying = {k for word, rows in told if word == "begin" for k in rows} - acknowledged
        self.n = max(self.n, Store.open(self.path).n)
        assert self.n <= n
        assert self.n == n or ending == "killed"
        here = set(Store.open(self.path).rows)
        assert acknowledged <= here, "what was acknowledged is lost"
        known = self.ever if self.damaged else self.rows
        assert here <= known | acknowledged | flying, "a row is there that nobody wrote"
        if self.damaged:
            self._heal()
        else:
            assert self.rows <= here
        self._hold(here)

    def _hold(self, rows: set[int]) -> None:
        self.rows, self.ever = rows, self.ever | rows

    def _heal(self) -> None:
        """After a writer has looked for damage: whether some is left to be drawn again."""
        self.damaged = bool(Store.open(self.path).verify())
        if not self.damaged:
            self.spoilt = set()

    @precondition(lambda self: self.writer is None)
    @rule(more=st.integers(0, 3))
    def open_a_writer(self, more: int) -> None:
        self.n = min(self.n + more, MOST)
        self.writer = create(self.path, self.n)
        if self.damaged:
            assert set(self.writer.rows) <= self.ever
            self._hold(set(self.writer.rows))
            self._heal()
        assert self.writer.missing() == sorted(set(range(self.n)) - self.rows)

    @precondition(lambda self: self.writer is not None)
    @rule(data=st.data())
    def append(self, data: Any) -> None:
        assert self.writer is not None
        for rows in self._order(data, self.writer.missing())[:2]:
            self.writer.append(make_batch(rows, SETTING))
            self._hold(self.rows | set(rows))
            if self.damaged:
                self._heal()

    @precondition(lambda self: self.writer is not None and self.rows)
    @rule(data=st.data())
    def refuse_what_has_no_place(self, data: Any) -> None:
        assert self.writer is not None
        row = data.draw(st.sampled_from(sorted(self.rows)) | st.just(self.n))
        with pytest.raises(StoreError):
            self.writer.append(make_batch([row], SETTING))

    @precondition(lambda self: self.writer is not None)
    @rule()
    def refuse_a_second_writer(self) -> None:
        with pytest.raises(StoreError, match="is being written by process"):
            create(self.path, self.n)

    @precondition(lambda self: self.writer is not None)
    @rule(finish=st.booleans())
    def end_the_writer(self, finish: bool) -> None:
        assert self.writer is not None
        if finish:
            self.writer.finish()
        self.writer.close()
        self.writer = None

    @rule()
    def keep_a_reader(self) -> None:
        self.reader = Store.open(self.path)

    @precondition(lambda self: self.reader is not None and not self.damaged)
    @rule()
    def the_reader_sees_what_has_come(self) -> None:
        assert self.reader is not None
        before = self.reader.rows
        self.reader.refresh()
        assert set(before) <= set(self.reader.rows) == self.rows
        for k in self.reader.rows:
            np.testing.assert_array_equal(self.reader.read(k), BATCH.x_tilde[k])

    @precondition(lambda self: self.writer is None and self.rows)
    @rule(data=st.data(), way=st.sampled_from(("flip", "truncate", "delete")))
    def damage_a_chunk(self, data: Any, way: str) -> None:
        name = data.draw(st.sampled_from(("x_tilde", "feedback_error")))
        chunks = self.path / name / "c"
        files = sorted(path for path in chunks.rglob("*") if path.is_file() and path not in self.spoilt)
        if not files:
            return
        file = data.draw(st.sampled_from(files))
        self.spoilt.add(file)
        content = bytearray(file.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        if way == "delete":
            file.unlink()
        else:
            content[at] ^= 1 << data.draw(st.integers(0, 7))
            file.write_bytes(content[:at] if way == "truncate" else content)
        self.damaged, self.reader = True, None
        block = int(file.relative_to(chunks).parts[0])
        if any(k // 25 == block for k in Store.open(self.path).rows):  # other rows count for nothing
            assert Store.open(self.path).verify(), "verify finds nothing"

    @precondition(lambda self: self.writer is None and self.rows)
    @rule(cut=st.integers(1, 900), torn=st.booleans())
    def damage_the_tail_of_the_journal(self, cut: int, torn: bool) -> None:
        journal = self.path / "journal.jsonl"
        content = journal.read_bytes()
        journal.write_bytes(content[: max(0, len(content) - cut)] + (b'{"k": 3, "sha' if torn else b""))
        self.damaged, self.reader = True, None

    @invariant()
    def what_is_shown_is_what_was_written(self) -> None:
        if not self.n:
            return
        store = Store.open(self.path)
        assert set(store.rows) <= self.ever
        assert self.damaged or store.rows == tuple(sorted(self.rows))
        bad = bool(store.verify())
        assert self.damaged or not bad
        for k, certificate in zip(store.rows, store.certificates, strict=True):
            assert certificate == BATCH.certificates[k]
        if bad:
            self._one_by_one(store)
        elif store.rows:
            self._as_a_whole(store)

    def _one_by_one(self, store: Store) -> None:
        """Of a damaged study each sample is right or refused."""
        for k in store.rows:
            with contextlib.suppress(StoreError):
                np.testing.assert_array_equal(store.read(k), BATCH.x_tilde[k])
                np.testing.assert_array_equal(store.read_error(k), ERRORS[k])

    def _as_a_whole(self, store: Store) -> None:
        """Of a sound one all of them are there."""
        rows = list(store.rows)
        for batch in store.batches():
            np.testing.assert_array_equal(batch.x_tilde, BATCH.x_tilde[list(batch.rows)])
            np.testing.assert_array_equal(batch.feedback_error, ERRORS[list(batch.rows)])
        np.testing.assert_array_equal(store.read(rows[-1]), BATCH.x_tilde[rows[-1]])
        np.testing.assert_allclose(store.mean(), BATCH.x_tilde[rows].mean(axis=0), atol=2e-4)
        np.testing.assert_allclose(store.worst(), np.abs(ERRORS[rows]).max(axis=0), atol=0)


@pytest.mark.slow
def test_a_study_is_its_model_whatever_happens_to_it() -> None:
    run_state_machine_as_test(StudyMachine, settings=examples(90, stateful_step_count=14))


def test_the_model_finds_a_study_that_acknowledges_before_it_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A negative control: without its journal a study loses what it has acknowledged."""
    monkeypatch.setattr(Journal, "append", lambda *_: None)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            StudyMachine, settings=examples(10, stateful_step_count=8, phases=[Phase.generate])
        )


def test_a_process_is_killed_at_the_call_that_was_named(tmp_path: Path) -> None:
    """The negative control: the model would prove nothing if nobody died."""

    def work(ack: Callable[[Any], None]) -> None:
        store = create(tmp_path / "s.zarr", 4)
        for k in range(4):
            store.append(make_batch([k], SETTING))
            ack(k)

    told, ending = in_child(work)
    assert (told, ending) == ([0, 1, 2, 3], "done")
    endings = set()
    for kill_at in range(0, 400, 19):
        shutil.rmtree(tmp_path / "s.zarr", ignore_errors=True)
        told, ending = in_child(work, kill_at=kill_at, half=True)
        assert ending in ("killed", "done")
        endings.add((ending, len(told)))
        if told:
            assert set(told) <= set(Store.open(tmp_path / "s.zarr").rows)
    assert len([one for one in endings if one[0] == "killed"]) > 2
