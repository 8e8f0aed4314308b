"""Disks that are full, gone, moved or read-only: what was finished stays, nothing is begun anew, and the run goes on."""

from __future__ import annotations

import contextlib
import re
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sampler_studies import fill, make_batch, make_provenance, make_setting

from ctinv.errors import CtinvError, ResourceError, StoreError
from ctinv.sampler import Store
from ctinv.sampler.lock import FILE_NAME
from ctinv.volume import Box

N = 60
BOX = Box(3, 20, 80, 30, 90)
POINTS, SEED = 20, 6


def create(path: Path, *, n: int = N) -> Store:
    return Store.create(path, make_provenance(box=str(BOX)), make_setting(BOX), n=n)


def complete(path: Path) -> None:
    with create(path) as store:
        run_on(store)


def run_on(store: Store) -> None:
    fill(store, size=5)
    store.finish()


def size(files: dict[str, bytes]) -> int:
    return sum(len(content) for content in files.values())


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != FILE_NAME)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def mount(*words: object) -> bool:
    return subprocess.run(["mount", *map(str, words)], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own where that needs no one's leave, else a folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", folder)
    yield folder
    if mounted:
        subprocess.run(["umount", "-l", folder], check=False)


@contextlib.contextmanager
def little_room(disk: Path, room: int) -> Iterator[None]:
    """Leave so many bytes: on the disk, or, where it is none of ours, for each file."""
    if disk.is_mount():
        ballast = disk / "ballast"
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            file.write(bytes(max(0, shutil.disk_usage(disk).free - room)))
        try:
            yield
        finally:
            ballast.unlink()
    else:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room // 10, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_at_twenty_points_keeps_what_was_finished(disk: Path, tmp_path: Path) -> None:
    complete(tmp_path / "whole.zarr")
    whole, rng = snapshot(tmp_path / "whole.zarr"), np.random.default_rng(SEED)
    create(tmp_path / "bare.zarr").close()
    most = size(whole) - size(snapshot(tmp_path / "bare.zarr"))
    path, counts = disk / "s.zarr", []
    for point in range(POINTS):
        store = create(path)
        shared = {name: content for name, content in snapshot(path).items() if name.endswith("zarr.json")}
        room = int(rng.uniform(0.02, 0.9) * most)
        with little_room(disk, room):
            with pytest.raises(StoreError) as caught:
                run_on(store)
            before = Store.open(path).rows
            with contextlib.suppress(StoreError):
                store.finish()  # as `sample_into` does on its way out
            store.close()
            told = f"seed {SEED}, point {point}, room {room}: {caught.value}"
            assert re.search(r"the disk is full: [\d.]+ MB more are needed, [\d.]+ MB are free", told), told
            assert f"the {len(before)} finished samples are kept" in told
            assert len(str(caught.value)) <= 200
            reader = Store.open(path)
            counts.append(len(reader.rows))
            assert (reader.rows, reader.verify()) == (before, []), told
            batch = make_batch(reader.rows, reader.setting) if reader.rows else None
            for index, k in enumerate(reader.rows):
                assert batch is not None
                assert reader.read(k).tobytes() == batch.x_tilde[index].tobytes(), told
            now = snapshot(path)
            assert all(now[name] == content for name, content in shared.items() if name != "zarr.json"), told
            assert [name for name in now if name.endswith((".part", ".partial"))] == [], told
        complete(path)
        assert snapshot(path) == whole, told
        shutil.rmtree(path)
    assert len(set(counts)) >= 5  # they were different points


def test_a_study_that_cannot_be_laid_out_says_what_it_needs(disk: Path) -> None:
    if not disk.is_mount():
        pytest.skip("mounting a small disk needs root")
    with (
        little_room(disk, 20_000),
        pytest.raises(ResourceError, match=r"needs about [\d.]+ MB .* MB are free"),
    ):
        create(disk / "s.zarr")
    assert list(disk.iterdir()) == []


def removed(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    while path.exists():  # a write may have come between
        shutil.rmtree(path, ignore_errors=True)


def moved(path: Path) -> None:
    path.rename(path.with_name("moved.zarr"))


def parent_moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def replaced(path: Path) -> None:
    path.rename(path.with_name("moved.zarr"))
    complete(path)


GONE: tuple[Callable[[Path], None], ...] = (removed, moved, parent_moved)


def check_gone(error: StoreError, path: Path) -> None:
    assert f"{path.name} was moved, replaced or lost its disk" in str(error)
    assert "bring it back and repeat the same command" in str(error)
    assert len(str(error)) <= 200


@pytest.mark.parametrize("goes", [*GONE, replaced])
def test_a_study_that_goes_away_between_writes_is_not_begun_anew(
    tmp_path: Path, goes: Callable[[Path], None]
) -> None:
    path = tmp_path / "work" / "s.zarr"
    store = create(path)
    fill(store, stop=10)
    goes(path)
    before = snapshot(tmp_path)
    with pytest.raises(StoreError) as caught:
        fill(store, size=5)
    check_gone(caught.value, path)
    with pytest.raises(StoreError) as caught:
        store.finish()
    check_gone(caught.value, path)
    assert snapshot(tmp_path) == before
    assert path.exists() == (goes is replaced)


@pytest.mark.parametrize("goes", GONE)
def test_a_study_that_goes_away_during_a_write_is_not_begun_anew(
    tmp_path: Path, goes: Callable[[Path], None]
) -> None:
    rng = np.random.default_rng(3)
    for number in range(6):
        path = tmp_path / f"{number}" / "s.zarr"
        store = create(path, n=2000)
        fill(store, stop=5)
        thief = threading.Thread(target=lambda at=path: (time.sleep(float(rng.uniform(0, 0.05))), goes(at)))
        thief.start()
        with pytest.raises(StoreError):
            fill(store, size=5)
        thief.join()
        with pytest.raises(StoreError) as caught:
            store.finish()
        check_gone(caught.value, path)
        assert not path.exists()
        kept = next(
            (found.parent for found in tmp_path.rglob("zarr.json") if found.parent.suffix == ".zarr"), None
        )
        if kept is not None:
            assert Store.open(kept).verify() == []
        for folder in tmp_path.iterdir():
            shutil.rmtree(folder)


def test_a_disk_that_is_unmounted_says_so(disk: Path) -> None:
    if not disk.is_mount():
        pytest.skip("mounting a small disk needs root")
    store = create(disk / "s.zarr")
    fill(store, stop=10)
    subprocess.run(["umount", "-l", disk], check=True)
    with pytest.raises(StoreError) as caught:
        fill(store, size=5)
    check_gone(caught.value, disk / "s.zarr")
    store.close()
    assert list(disk.iterdir()) == []


def test_a_disk_that_turns_read_only_keeps_what_was_finished(disk: Path) -> None:
    if not disk.is_mount():
        pytest.skip("mounting a small disk needs root")
    store = create(disk / "s.zarr")
    fill(store, stop=10)
    assert mount("--bind", disk, disk)
    assert mount("-o", "remount,bind,ro", disk)
    with pytest.raises(StoreError, match="Read-only file system; the 10 finished samples are kept"):
        fill(store, size=5)
    with pytest.raises(StoreError, match="Read-only file system"):
        store.finish()
    assert Store.open(disk / "s.zarr").verify() == []
    with pytest.raises(CtinvError, match="Read-only file system"):
        create(disk / "s.zarr")
    subprocess.run(["umount", "-l", disk], check=True)  # the one on top
    complete(disk / "s.zarr")
