"""Kills, torn writes, full disks, flipped bits, second writers: what looks whole is whole."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sampler_studies import fill, make_batch, make_provenance, make_setting

from ctinv.errors import CtinvError, ResourceError, StoreError
from ctinv.sampler import Store
from ctinv.sampler.journal import Journal
from ctinv.sampler.layout import JOURNAL
from ctinv.sampler.lock import FILE_NAME
from ctinv.volume import Box

HERE = Path(__file__).parent
WRITER = """
import sys
sys.path.insert(0, {here!r})
from sampler_studies import *
from ctinv.sampler import Store
store = Store.create({path!r}, make_provenance(), make_setting(), n={n})
print("ready", flush=True)
fill(store, size={size})
{end}
"""


def create(path: Path, *, n: int = 30) -> Store:
    return Store.create(path, make_provenance(), make_setting(), n=n)


def finished(path: Path, *, n: int = 30) -> Store:
    with create(path, n=n) as store:
        fill(store)
        store.finish()
    return Store.open(path)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def start_writer(path: Path, *, n: int, size: int, end: str = "store.finish()") -> subprocess.Popen[str]:
    code = WRITER.format(here=str(HERE), path=str(path), n=n, size=size, end=end)
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    return writer


def kill(writer: subprocess.Popen[str]) -> None:
    writer.kill()
    writer.communicate()


def intact(store: Store) -> bool:
    batch = make_batch(store.rows, store.setting) if store.rows else None
    return store.verify() == [] and (
        batch is None
        or all(np.array_equal(store.read(k), x) for k, x in zip(store.rows, batch.x_tilde, strict=True))
    )


def found(store: Store) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(fault.kind, fault.file, fault.rows) for fault in store.verify()]


def test_a_killed_writer_leaves_only_whole_samples_and_its_run_resumes(tmp_path: Path) -> None:
    path, reference = tmp_path / "s.zarr", finished(tmp_path / "reference.zarr", n=120)
    rng = np.random.default_rng()  # the moment of a kill is random anyway
    counts: list[int] = []
    while len(counts) < 3 or counts[-1] == 0:
        # 4 rows at a time share their chunks of 25 with committed ones: the harder case
        writer = start_writer(path, n=120, size=4)
        time.sleep(float(rng.uniform(0.0, 0.25)))
        kill(writer)
        store = Store.open(path)
        assert intact(store)
        assert counts == [] or len(store.rows) >= counts[-1]
        counts.append(len(store.rows))
    with create(path, n=120) as store:
        assert store.missing() == list(range(counts[-1], 120))
        fill(store)
        store.finish()
    assert snapshot(path) == snapshot(reference.path)


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_a_torn_last_line_does_not_count_and_is_replaced(tmp_path: Path, cut: int) -> None:
    store = finished(tmp_path / "s.zarr")
    whole = snapshot(store.path)
    journal = store.path / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-cut])
    assert Store.open(store.path).rows == tuple(range(29))
    with create(store.path) as again:
        assert again.missing() == [29]
        fill(again)
        again.finish()
    assert snapshot(store.path) == whole


def test_a_damaged_line_inside_costs_its_sample_only(tmp_path: Path) -> None:
    store = finished(tmp_path / "s.zarr")
    journal = store.path / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    record = json.loads(lines[7])
    record["certificate"]["rmse_hu"] /= 2  # still JSON, but not what was committed
    lines[7] = json.dumps(record).encode() + b"\n"
    lines[12] = lines[12].replace(b"{", b"[")
    journal.write_bytes(b"".join(lines))
    assert Journal(journal).damaged == [8, 13]
    with create(store.path) as again:
        assert again.missing() == [7, 12]
        fill(again)
    assert intact(Store.open(store.path))
    assert Store.open(store.path).rows == tuple(range(30))


def test_data_without_a_journal_line_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = create(tmp_path / "s.zarr")
    fill(store, stop=5)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.append(make_batch(range(5, 10), store.setting))
    assert Store.open(store.path).rows == tuple(range(5))
    assert store.missing() == list(range(5, 30))
    fill(store)
    store.finish()
    assert intact(Store.open(store.path))
    assert snapshot(store.path) == snapshot(finished(tmp_path / "reference.zarr").path)


def test_data_are_flushed_before_the_line_and_the_line_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = create(tmp_path / "s.zarr")
    flushed: list[int] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)  # not the name: files are flushed before they get theirs
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    store.append(make_batch(range(25), store.setting))
    names_of = {path.stat().st_ino: str(path.relative_to(store.path)) for path in store.path.rglob("*")}
    names = [names_of[inode] for inode in flushed]
    assert names[-1] == JOURNAL
    assert names.count(JOURNAL) == 1
    assert {"x_tilde/c/0/0/0/0", "feedback_error/c/0/0/0/0", "x_tilde/c/0/0/0", "x_tilde/c"} <= set(names)


def test_every_flipped_bit_is_found_and_healed(tmp_path: Path) -> None:
    store = finished(tmp_path / "s.zarr", n=30)
    whole, rng = snapshot(store.path), np.random.default_rng(3)
    for array in ("x_tilde", "feedback_error"):
        chunk = store.path / array / "c" / "1" / "0" / "0" / "0"  # rows 25 to 29
        for _ in range(15):
            content = bytearray(chunk.read_bytes())
            bit = int(rng.integers(8 * len(content)))
            content[bit // 8] ^= 1 << bit % 8
            chunk.write_bytes(content)
            damaged = Store.open(store.path)
            assert found(damaged) == [("samples", f"{array}/c/1/0/0/0", (25, 26, 27, 28, 29))]
            with pytest.raises(StoreError, match="damaged"):
                damaged.read(25) if array == "x_tilde" else damaged.read_error(25)
            damaged.read(24)
            chunk.write_bytes(whole[f"{array}/c/1/0/0/0"])
        for wrong in (b"", whole[f"{array}/c/1/0/0/0"][:100], whole[f"{array}/c/0/0/0/0"], None):
            chunk.unlink()
            if wrong is not None:
                chunk.write_bytes(wrong)  # emptied, truncated, swapped; None: deleted
            assert found(Store.open(store.path)) == [("samples", f"{array}/c/1/0/0/0", (25, 26, 27, 28, 29))]
            with pytest.raises(StoreError, match="damaged"):
                list(Store.open(store.path).batches())
            with create(store.path) as again:
                assert again.missing() == [25, 26, 27, 28, 29]
                fill(again, size=2)  # smaller than a chunk: reads before it writes
                again.finish()
            assert intact(Store.open(store.path))
            assert snapshot(store.path) == whole


def test_damaged_shared_images_say_so(tmp_path: Path) -> None:
    store = finished(tmp_path / "s.zarr")
    chunk = store.path / "fx" / "c" / "0" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 4
    chunk.write_bytes(content)
    with pytest.raises(StoreError, match="fx of this study is damaged"):
        _ = Store.open(store.path).setting


@pytest.mark.parametrize("array", ["x_tilde", "fx"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"zarr_format": 3, "node_type": "array"}'])
def test_damaged_metadata_of_an_array_say_so(tmp_path: Path, array: str, content: bytes | None) -> None:
    store = finished(tmp_path / "s.zarr", n=2)
    file = store.path / array / "zarr.json"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(StoreError, match=f"{array} of this study is damaged"):
        Store.open(store.path).summary()


def test_two_writers_in_two_processes(tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    writer = start_writer(path, n=30, size=25, end="input()")
    try:
        with pytest.raises(StoreError, match=f"process {writer.pid} on {socket.gethostname()}"):
            create(path)
        assert set(Store.open(path).rows) <= set(range(30))  # reading is free
    finally:
        kill(writer)
    with create(path) as store:  # the killed writer's lock does not stand in the way
        fill(store)
    assert intact(Store.open(path))


def test_two_writers_in_one_process(tmp_path: Path) -> None:
    first = create(tmp_path / "s.zarr")
    with pytest.raises(StoreError, match="being written by process"):
        create(tmp_path / "s.zarr")
    first.close()
    create(tmp_path / "s.zarr").close()
    dropped = create(tmp_path / "s.zarr")
    del dropped  # forgotten without close
    create(tmp_path / "s.zarr").close()


def test_a_writer_on_another_machine_is_respected(tmp_path: Path) -> None:
    store = finished(tmp_path / "s.zarr")
    holder = {"pid": 1, "host": "elsewhere", "since": "2026-01-01T00:00:00+00:00"}
    (store.path / FILE_NAME).write_text(json.dumps(holder))
    with pytest.raises(StoreError, match=f"process 1 on elsewhere.*delete {FILE_NAME}"):
        create(store.path)
    (store.path / FILE_NAME).unlink()
    create(store.path).close()


def test_a_study_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ctinv.sampler.layout._plane", full)
    with pytest.raises(StoreError, match="the disk is full"):
        create(tmp_path / "s.zarr")
    assert list(tmp_path.iterdir()) == []


def test_a_refused_journal_write_commits_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr")
    fill(store, stop=10)
    size = (store.path / JOURNAL).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, hard))  # room for two lines, not for five
    try:
        message = r"the disk is full: .* MB more are needed, .* 1\d finished samples are kept"
        with pytest.raises(StoreError, match=message):
            fill(store, size=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert intact(Store.open(store.path))
    assert Store.open(store.path).rows == store.rows
    fill(store)
    store.finish()
    assert Store.open(store.path).rows == tuple(range(30))
    assert snapshot(store.path) == snapshot(finished(tmp_path / "reference.zarr").path)


def test_a_torn_line_of_a_failed_write_is_dropped_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = create(tmp_path / "s.zarr")
    fill(store, stop=10)
    before = (store.path / JOURNAL).read_bytes()

    def half(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ctinv.sampler.journal._write_all", half)
        with pytest.raises(StoreError, match="10 finished samples are kept"):
            store.append(make_batch([10, 11], store.setting))
    assert (store.path / JOURNAL).read_bytes() == before
    fill(store)
    assert Store.open(store.path).rows == tuple(range(30))


def test_a_finish_that_fails_loses_no_sample_and_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = create(tmp_path / "s.zarr")
    fill(store)
    expected = store.spread()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "_update", full)
        with pytest.raises(StoreError, match="30 finished samples are kept"):
            store.finish()
    np.testing.assert_array_equal(Store.open(tmp_path / "s.zarr").spread(), expected)
    with create(tmp_path / "s.zarr") as again:
        assert again.missing() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_keeps_what_was_finished(small_disk: Path) -> None:
    setting = make_setting(Box(0, 10, 110, 10, 110))
    with pytest.raises(ResourceError, match=r"s\.zarr needs about"):
        Store.create(small_disk / "s.zarr", make_provenance(), setting, n=1000)
    assert list(small_disk.iterdir()) == []
    store = Store.create(small_disk / "s.zarr", make_provenance(), setting, n=100)
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        file.write(bytes(4_000_000))
    with pytest.raises(
        StoreError, match=r"the disk is full: \d.* MB more are needed, \d.* MB are free"
    ) as caught:
        fill(store, size=5)
    store.close()
    assert "finished samples are kept" in str(caught.value)
    reader = Store.open(small_disk / "s.zarr")
    assert 0 < len(reader.rows) < 100
    assert intact(reader)
    assert reader.summary()["n"] == len(reader.rows)
    assert list(reader.path.rglob("*.partial")) == []
    with pytest.raises(CtinvError, match="free"):  # too early: still full
        Store.create(small_disk / "s.zarr", make_provenance(), setting, n=100)
    ballast.unlink()
    with Store.create(small_disk / "s.zarr", make_provenance(), setting, n=100) as store:
        fill(store)
        store.finish()
    assert intact(Store.open(small_disk / "s.zarr"))


def test_a_terminated_writer_lets_go(tmp_path: Path) -> None:
    writer = start_writer(tmp_path / "s.zarr", n=2000, size=4)
    time.sleep(0.1)
    writer.send_signal(signal.SIGINT)
    writer.communicate()
    assert writer.returncode != 0
    assert intact(Store.open(tmp_path / "s.zarr"))
    create(tmp_path / "s.zarr", n=2000).close()
