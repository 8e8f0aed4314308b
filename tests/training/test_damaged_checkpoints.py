"""Flipped bits, cut files, files of another run: refused, or the checkpoint before is taken and that is said."""

from __future__ import annotations

import logging
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import GENERATOR, outcome, train, write_data

from ctinv.errors import ModelError
from ctinv.training import train_denoiser
from ctinv.training.checkpoint import newest_whole, previous
from ctinv.training.digest import side_car

WARNING = "checkpoint.safetensors is damaged; the one before it, of step 4, is taken."


class Cut(Exception):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def stop_after(step: int, kind: str, data: Path, out: Path) -> Path:
    def cut(event: Any) -> None:
        if event.step == step and getattr(event, "stage", "flow") == "flow":
            raise Cut

    with pytest.raises(Cut):
        train(kind, data, out, callback=cut)
    return out


@pytest.fixture(scope="module")
def cut(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints of steps 6 and 4."""
    return stop_after(7, "average", data, tmp_path_factory.mktemp("cut"))


@pytest.fixture
def copy(cut: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(cut, tmp_path / "run"))


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def taken(path: Path) -> tuple[int, str]:
    (header, _), warning = newest_whole(path)
    return header["step"], warning


def test_sha256sum_finds_both_checkpoints_whole(copy: Path) -> None:
    for path in (copy / "checkpoint.safetensors", previous(copy / "checkpoint.safetensors")):
        if shutil.which("sha256sum") is None:
            pytest.skip("needs sha256sum")
        words = ["sha256sum", "--check", "--strict", side_car(path).name]
        assert subprocess.run(words, cwd=copy, capture_output=True, check=False).returncode == 0
    assert taken(copy / "checkpoint.safetensors") == (6, "")


def test_every_flipped_bit_cut_and_emptied_checkpoint_is_found(copy: Path) -> None:
    path, rng = copy / "checkpoint.safetensors", random.Random(6)
    good = path.read_bytes()
    damages = [flipped(good, rng.randrange(8 * len(good))) for _ in range(50)]
    damages += [flipped(good, rng.randrange(8 * 2000)) for _ in range(10)]  # in the header
    damages += [good[: rng.randrange(len(good))] for _ in range(20)] + [b"", good + b"\0"]
    for damaged in damages:
        path.write_bytes(damaged)
        assert taken(path) == (4, WARNING)
    path.write_bytes(good)
    assert taken(path) == (6, "")


def test_a_damaged_side_car_never_lets_a_wrong_checkpoint_pass(copy: Path) -> None:
    path, rng = copy / "checkpoint.safetensors", random.Random(7)
    good, listed = path.read_bytes(), side_car(path).read_bytes()
    for _ in range(60):
        side_car(path).write_bytes(flipped(listed, rng.randrange(8 * len(listed))))
        path.write_bytes(good)
        assert taken(path) in [(6, ""), (4, WARNING)]  # what is beside the sum may change
        path.write_bytes(flipped(good, rng.randrange(8 * len(good))))
        assert taken(path) == (4, WARNING)
    for text in (b"", listed[:30], b"\xff" * 70):
        side_car(path).write_bytes(text)
        path.write_bytes(good)
        assert taken(path) == (4, WARNING)
    side_car(path).unlink()
    assert taken(path) == (4, WARNING)


def test_both_damaged_are_refused(copy: Path, data: Path) -> None:
    for path in (copy / "checkpoint.safetensors", previous(copy / "checkpoint.safetensors")):
        path.write_bytes(flipped(path.read_bytes(), 99_999))
    with pytest.raises(
        ModelError, match="nor is the one before it; begin anew in another output folder"
    ) as told:
        train("average", data, copy)
    assert len(str(told.value)) <= 200


def test_the_run_goes_on_from_the_one_before_says_so_and_ends_alike(
    copy: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = copy / "checkpoint.safetensors"
    path.write_bytes(flipped(path.read_bytes(), 80_000))
    with caplog.at_level(logging.WARNING):
        report = train("average", data, copy)
    assert report["notes"] == [WARNING]
    assert WARNING in caplog.text
    train("average", data, tmp_path / "whole")
    assert outcome(copy) == outcome(tmp_path / "whole")


def test_a_checkpoint_of_another_run_is_never_continued(copy: Path, data: Path, tmp_path: Path) -> None:
    path = copy / "checkpoint.safetensors"
    other = stop_after(5, "duel", data, tmp_path / "other") / path.name
    shutil.copy(other, path)
    assert taken(path) == (4, WARNING)
    shutil.copy(side_car(other), side_car(path))
    with pytest.raises(ModelError, match="was trained with "):
        train("average", data, copy)


def test_other_data_under_the_same_names_are_not_continued_with(
    copy: Path, data: Path, tmp_path: Path
) -> None:
    import numpy as np

    pairs = Path(shutil.copytree(data / "pairs", tmp_path / "pairs"))
    np.save(pairs / "a_low.npy", np.load(pairs / "a_low.npy") + 1)
    with pytest.raises(ModelError, match="was trained on other data; use another output folder"):
        train_denoiser(data / "average.toml", data_folder=pairs, out=copy)


def test_fresh_leaves_nothing_of_the_run_before(copy: Path, data: Path) -> None:
    from ctinv.training.checkpoint import is_there

    seen: list[bool] = []

    def look(_event: Any) -> bool:
        seen.append(is_there(copy / "checkpoint.safetensors"))
        return len(seen) == 3

    train("average", data, copy, resume=False, callback=look)
    assert seen == [False, False, True]


@pytest.mark.parametrize("file", ["state.json", "autoencoder.safetensors"])
def test_what_a_finished_stage_left_is_checked_when_it_is_read(data: Path, tmp_path: Path, file: str) -> None:
    out = stop_after(3, GENERATOR, data, tmp_path / "run")
    good, rng = (out / file).read_bytes(), random.Random(8)
    for damaged in [flipped(good, rng.randrange(8 * len(good))), good[:-1], b""]:
        (out / file).write_bytes(damaged)
        with pytest.raises(ModelError, match=rf"{file} in run is .*not what its sha256 file says") as told:
            train(GENERATOR, data, out)
        assert len(str(told.value)) <= 200
    (out / file).write_bytes(good)
    train(GENERATOR, data, out)
