"""Two and three writers at once: one writes, the others are told who does, and no sample is lost."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sampler_studies import fill, make_batch, make_provenance, make_setting

from ctinv.errors import StoreError
from ctinv.sampler import Store, lock
from ctinv.sampler.lock import FILE_NAME

HERE = Path(__file__).parent
N = 60
WAITED, FREE = 20, 10
# Forks its writers at one moment from a warmed process; each tells what it committed, or what it was told. In the first
# contests the one that writes goes on only when all others have knocked, in the last ones they come as they come.
CONTEST = """
import json, os, sys, time
from pathlib import Path
from sampler_studies import *
from ctinv.sampler import Store
from ctinv.errors import StoreError
folder, waited, free, n = Path(sys.argv[1]), *map(int, sys.argv[2:])
make_setting()
def contend(path, at, pipe, knocks, others):
    time.sleep(max(0.0, at - time.time()))
    told = {"pid": os.getpid(), "rows": [], "refused": None}
    try:
        with Store.create(path, make_provenance(), make_setting(), n=n) as store:
            for _ in range(others):
                os.read(knocks[0], 1)
            for start in range(0, n, 4):
                rows = [k for k in store.missing() if start <= k < start + 4]
                if rows:
                    store.append(make_batch(rows, store.setting))
                    told["rows"] += rows
                    time.sleep(0.002)
            store.finish()
    except StoreError as error:
        told["refused"] = str(error)
        os.write(knocks[1], b".")
    os.write(pipe, (json.dumps(told) + "\\n").encode())
for number in range(waited + free):
    reader, writer = os.pipe()
    knocks, others = os.pipe(), 1 + number % 2
    at, pids = time.time() + 0.05, []
    for _ in range(others + 1):
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            contend(folder / f"{number}.zarr", at, writer, knocks, others if number < waited else 0)
            os._exit(0)
        pids.append(pid)
    for end in (writer, *knocks):
        os.close(end)
    with os.fdopen(reader) as said:
        lines = [json.loads(line) for line in said]
    for pid in pids:
        os.waitpid(pid, 0)
    print(json.dumps(lines), flush=True)
"""


def test_contests_lose_no_sample_and_name_the_writer(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    words = [sys.executable, "-c", CONTEST, str(tmp_path), str(WAITED), str(FREE), str(N)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300, check=True)
    contests = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(contest) for contest in contests] == [2, 3] * ((WAITED + FREE) // 2)
    refused = 0
    for number, contest in enumerate(contests):
        pids = {writer["pid"] for writer in contest}
        store = Store.open(tmp_path / f"{number}.zarr")
        assert store.verify() == []
        promised = sorted(k for writer in contest for k in writer["rows"])
        assert promised == sorted(set(promised))  # no row is drawn twice
        assert set(promised) <= set(store.rows)
        assert store.rows == tuple(range(N))  # whoever came first has finished it
        batch = make_batch(store.rows, store.setting)
        assert all(store.read(k).tobytes() == batch.x_tilde[k].tobytes() for k in store.rows)
        for text in (writer["refused"] for writer in contest if writer["refused"]):
            refused += number < WAITED
            found = re.search(r"is being written by process (\d+) on (\S+) since \d{4}-\d\d-\d\dT", text)
            assert found is not None, text
            assert int(found[1]) in pids
            assert found[2] == socket.gethostname()
            assert len(text) <= 200
    assert refused == WAITED * 3 // 2  # all but one in each


@pytest.mark.parametrize("pid", ["dead", "reused"])
def test_the_lock_file_of_a_crashed_machine_does_not_stand_in_the_way(tmp_path: Path, pid: str) -> None:
    """The system that held the lock is gone, and its file says a process that is no more, or another one by now."""
    Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=4).close()
    holder = {
        "pid": 2**22 + 1 if pid == "dead" else os.getppid(),
        "host": socket.gethostname(),
        "since": "2026-01-01",
    }
    (tmp_path / "s.zarr" / FILE_NAME).write_text(json.dumps(holder))
    with Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=4) as store:
        fill(store)
        store.finish()
    assert len(Store.open(tmp_path / "s.zarr").rows) == 4


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"pid": {}}'])
def test_a_damaged_lock_file_does_not_stand_in_the_way(tmp_path: Path, content: bytes) -> None:
    Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=4).close()
    (tmp_path / "s.zarr" / FILE_NAME).write_bytes(content)
    Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=4).close()


def locked_elsewhere(path: Path, then: str) -> subprocess.Popen[str]:
    """A process that holds the lock of a study, as a writer between two steps does, until it reads a line."""
    hold = f"import fcntl, os, sys; file = open({str(path)!r}, 'r+'); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); "
    words = [sys.executable, "-c", f"{hold}sys.stdin.readline(); {then}"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "\n"
    return process


@pytest.mark.parametrize("left", ["", "a killed writer's"])
@pytest.mark.parametrize("then", ["names itself", "lets go"])
def test_a_lock_that_is_being_taken_or_let_go_is_asked_again(
    tmp_path: Path, left: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=4).close()
    file = tmp_path / "s.zarr" / FILE_NAME
    killed = {"pid": 2**22 + 1, "host": socket.gethostname(), "since": "2026-01-01T00:00:00+00:00"}
    file.write_text(json.dumps(killed) if left else "")
    named = f"os.truncate(file.fileno(), 0); file.write({json.dumps(killed | {'pid': os.getpid()})!r}); file.flush(); "
    named += "print(flush=True); sys.stdin.readline()"
    process = locked_elsewhere(file, named if then == "names itself" else "file.close(); print(flush=True)")
    assert process.stdin is not None
    assert process.stdout is not None
    pauses = 0

    def go_on(_: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 1:  # the writer that came second has met a lock that is held in no living name
            process.stdin.write("\n")
            process.stdin.flush()
            process.stdout.readline()

    monkeypatch.setattr(lock.time, "sleep", go_on)
    try:
        if then == "lets go":
            Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=4).close()
        else:
            with pytest.raises(StoreError, match=f"is being written by process {os.getpid()} on"):
                Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=4)
        assert pauses == 1
    finally:
        process.communicate("\n")


def test_a_lock_that_stays_without_a_name_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=4).close()
    process = locked_elsewhere(tmp_path / "s.zarr" / FILE_NAME, "")
    monkeypatch.setattr(lock, "_PATIENCE_S", 0.0)
    try:
        with pytest.raises(
            StoreError, match=r"^s\.zarr is being written by a process that gave no name; wait for it"
        ):
            Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=4)
    finally:
        process.communicate("\n")


@pytest.mark.parametrize(
    ("host", "held", "left"), [("here", False, ""), ("here", True, None), ("elsewhere", False, None)]
)
def test_what_a_killed_writer_left_in_the_lock_is_tidied_and_no_other(
    tmp_path: Path, host: str, held: bool, left: str | None
) -> None:
    file = tmp_path / FILE_NAME
    lock.tidy(tmp_path)
    assert not file.exists()
    content = json.dumps(
        {"pid": 2**22 + 1, "host": socket.gethostname() if host == "here" else host, "since": "?"}
    )
    file.write_text(content)
    process = locked_elsewhere(file, "") if held else None
    lock.tidy(tmp_path)
    assert file.read_text() == (content if left is None else left)
    if process is not None:
        process.communicate("\n")


def test_threads_of_one_process_are_kept_apart(tmp_path: Path) -> None:
    barrier, outcomes = threading.Barrier(4), []

    def contend() -> None:
        barrier.wait()
        try:
            with Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=30) as store:
                fill(store, size=5)
                store.finish()
            outcomes.append("wrote")
        except StoreError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "wrote" in outcomes
    others = [text for text in outcomes if text != "wrote"]
    assert all(f"is being written by process {os.getpid()} on" in text for text in others), others
    store = Store.open(tmp_path / "s.zarr")
    assert (store.rows, store.verify()) == (tuple(range(30)), [])


def test_a_writer_whose_lock_was_deleted_stops_before_it_meets_the_next(tmp_path: Path) -> None:
    first = Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=30)
    fill(first, stop=10)
    (tmp_path / "s.zarr" / FILE_NAME).unlink()
    second = Store.create(tmp_path / "s.zarr", make_provenance(), make_setting(), n=30)
    with pytest.raises(StoreError, match=r"s\.zarr was moved, replaced or lost its disk"):
        first.append(make_batch([10], first.setting))
    fill(second)
    second.finish()
    assert Store.open(tmp_path / "s.zarr").verify() == []
