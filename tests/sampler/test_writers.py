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
from ctinv.sampler import Store
from ctinv.sampler.lock import FILE_NAME

HERE = Path(__file__).parent
N = 60
# Forks its writers at one moment from a warmed process; each tells what it committed, or what it was told.
CONTEST = """
import json, os, sys, time
from pathlib import Path
from sampler_studies import *
from ctinv.sampler import Store
from ctinv.errors import StoreError
folder, runs, n = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
make_setting()
def contend(path, at, pipe):
    time.sleep(max(0.0, at - time.time()))
    told = {"pid": os.getpid(), "rows": [], "refused": None}
    try:
        with Store.create(path, make_provenance(), make_setting(), n=n) as store:
            for start in range(0, n, 4):
                rows = [k for k in store.missing() if start <= k < start + 4]
                if rows:
                    store.append(make_batch(rows, store.setting))
                    told["rows"] += rows
                    time.sleep(0.002)
            store.finish()
    except StoreError as error:
        told["refused"] = str(error)
    os.write(pipe, (json.dumps(told) + "\\n").encode())
for number in range(runs):
    reader, writer = os.pipe()
    at, pids = time.time() + 0.05, []
    for _ in range(2 + number % 2):
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            contend(folder / f"{number}.zarr", at, writer)
            os._exit(0)
        pids.append(pid)
    os.close(writer)
    with os.fdopen(reader) as said:
        lines = [json.loads(line) for line in said]
    for pid in pids:
        os.waitpid(pid, 0)
    print(json.dumps(lines), flush=True)
"""


def test_twenty_contests_lose_no_sample_and_name_the_writer(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    words = [sys.executable, "-c", CONTEST, str(tmp_path), "20", str(N)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300, check=True)
    contests = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(contest) for contest in contests] == [2, 3] * 10
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
            refused += 1
            found = re.search(r"is being written by process (\d+) on (\S+) since \d{4}-\d\d-\d\dT", text)
            assert found is not None, text
            assert int(found[1]) in pids
            assert found[2] == socket.gethostname()
            assert len(text) <= 200
    assert refused >= 20  # at least one in each, but for a writer that came when all was done


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
