"""A file is replaced whole or not at all, and its bytes and its name are on the disk in this order."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from ctinv.atomic import refusal, replacing, sweep, write_atomic
from ctinv.errors import ResourceError


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no fsync there")
def test_bytes_come_to_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, rename = os.fsync, Path.replace

    def watched_sync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def watched_rename(path: Path, target: Path) -> Path:
        done.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(Path, "replace", watched_rename)
    write_atomic(tmp_path / "new" / "a.bin", b"a", parents=True)
    assert done == ["file", "rename", "folder"]
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"a"


def test_an_error_inside_leaves_the_older_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(error: BaseException) -> None:
        with replacing(path) as part:
            part.write_bytes(b"new")
            raise error

    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt())
    with pytest.raises(ResourceError):
        fail(OSError(errno.ENOSPC, "full"))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, r"it needs 12\.3 MB, [\d.,]+ MB are free; free some space"),
        (errno.EDQUOT, "it needs 12.3 MB; free some space"),
        (errno.EROFS, "allow writing into"),
        (errno.EIO, "check the disk"),
    ],
)
def test_every_refusal_says_what_to_do(tmp_path: Path, number: int, said: str) -> None:
    error = refusal(tmp_path / "a.bin", OSError(number, os.strerror(number)), size=12_300_000)
    assert len(str(error)) <= 200
    with pytest.raises(
        ResourceError, match=rf"^a\.bin could not be written \({os.strerror(number)}\).*{said}"
    ):
        raise error


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="the folder gone is gone"):
        write_atomic(tmp_path / "gone" / "a.bin", b"a")
    assert list(tmp_path.iterdir()) == []


def test_only_what_killed_writers_left_long_ago_is_swept(tmp_path: Path) -> None:
    kept = [tmp_path / "a.part", tmp_path / ".b.bin", tmp_path / ".young.bin.1a2b3c4d.part"]
    old = tmp_path / "inner" / ".old.bin.1a2b3c4d.part"
    folder = tmp_path / ".bundle.1a2b3c4d.part"
    old.parent.mkdir()
    folder.mkdir()
    for path in (*kept, old, folder / "x"):
        path.write_bytes(b"half")
    for path in (old, folder):
        os.utime(path, (0, 0))
    sweep(tmp_path, older_than_s=3600)
    assert sorted(tmp_path.rglob("*")) == sorted([*kept, old.parent])
