"""A disk that gets full, forbids or vanishes: one sentence, the earlier checkpoint intact, on from there later."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import GENERATOR, checkpoints, outcome, train, write_data

from ctinv.errors import InputError, ResourceError
from ctinv.training.checkpoint import newest_whole

POINTS = {"average": 10, "duel": 6, GENERATOR: 4}
LENGTH = {"average": 12, "duel": 12, GENERATOR: 4}


class SmallDisk:
    """A file system of eight megabytes where the process may mount one, else a limit on the size of files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.filler = folder, folder / "filler"
        self.folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
        self.mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def leave(self, room: int) -> None:
        """Fill it up to so many bytes."""
        if self.mounted:
            state = os.statvfs(self.folder)
            with self.filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(4096, state.f_bavail * state.f_frsize - room))
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

    def clear(self) -> None:
        self.filler.unlink(missing_ok=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def forbid(self, out: Path) -> None:
        """Allow nothing to be written into a folder any more, not even by root."""
        if os.geteuid():
            out.chmod(0o500)
            return
        for words in (["--bind", str(out), str(out)], ["-o", "remount,ro,bind", str(out)]):
            if subprocess.run(["mount", *words], capture_output=True, check=False).returncode:
                pytest.skip("root is refused nothing, and may not mount here")

    def unmount(self) -> None:
        self.clear()
        if os.geteuid():
            for folder in self.folder.iterdir():
                folder.chmod(0o700)
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    found = SmallDisk(tmp_path / "disk")
    yield found
    found.unmount()


def newest_step(out: Path) -> int:
    """Over all stages; raises where a checkpoint is not whole."""
    steps = 0
    for path in checkpoints(out):
        (header, _), warning = newest_whole(path)
        assert not warning
        steps += int(header["step"])
    return steps


def check_sentence(text: str, mounted: bool) -> None:
    assert len(text) <= 200
    assert "could not be written (" in text
    assert "free some space or choose another folder." in text
    assert not mounted or re.search(
        r"it needs [\d.,]+ [kM]B, [\d.,]+ [kM]B are free;|: [\d.,]+ [kM]B are free;", text
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", POINTS)
def test_a_full_disk_leaves_the_checkpoint_and_room_lets_the_run_go_on(
    kind: str, data: Path, tmp_path: Path, disk: SmallDisk
) -> None:
    train(kind, data, tmp_path / "whole")
    whole, rng, found = outcome(tmp_path / "whole"), random.Random(kind), 0
    for number in range(4 * POINTS[kind]):
        if found == POINTS[kind]:
            break
        out, when = disk.folder / f"run{number}", rng.randint(1, LENGTH[kind])
        room = rng.randint(0, 60_000)
        before = -1

        def fill(event: Any, when: int = when, room: int = room, out: Path = out) -> None:
            nonlocal before
            if event.step == when and before < 0:
                before = newest_step(out)
                disk.leave(room)

        said = ""
        try:
            train(kind, data, out, callback=fill)
        except ResourceError as error:
            said = str(error)
        if said:
            found += 1
            check_sentence(said, disk.mounted)
            assert newest_step(out) >= before
        disk.clear()
        train(kind, data, out)
        assert outcome(out) == whole, (kind, number)
        shutil.rmtree(out)
    assert found == POINTS[kind]


def test_a_folder_that_vanishes_is_said_and_not_made_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "parent" / "run"

    def remove(event: Any) -> None:
        if event.step == 5:
            shutil.rmtree(out.parent)

    with pytest.raises(ResourceError, match=r"\.safetensors could not be written .*: the folder run is gone"):
        train("average", data, out, callback=remove)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_forbids_writing_is_said(data: Path, tmp_path: Path, disk: SmallDisk) -> None:
    out = disk.folder / "run"

    def forbid(event: Any) -> None:
        if event.step == 5:
            disk.forbid(out)

    with pytest.raises(ResourceError, match=r"could not be written \(.*\); .* choose another folder"):
        train("average", data, out, callback=forbid)
    assert newest_step(out) == 4
    with pytest.raises(InputError, match=r"the output folder run cannot be made or written \("):
        train("average", data, out)


def test_an_output_folder_that_is_a_file_is_said(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="the output folder run cannot be made or written"):
        train("average", data, tmp_path / "run")
