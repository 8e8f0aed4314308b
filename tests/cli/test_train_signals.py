"""SIGTERM and Ctrl-C while a training runs: the step is finished, its checkpoint written, and the run goes on from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_shell import Ran, command_line, environment

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from tiny_runs import GENERATOR, checkpoints, outcome, train, write_data  # of the folder above

from ctinv.training.checkpoint import newest_whole
from ctinv.training.fit import _Loop

Ctinv = Callable[..., Ran]
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
KIND_TOML = """
kind = "cvae_cinn"
train = ["a"]
validate = ["b"]
batch = 2
patch = 32
validate_every = 2
validate_patches = 2
save_every = 2
autoencoder = {steps = 4, arguments = {channels = 8, depth = 1, latent = 6, conditional = true}}
flow = {steps = 4, arguments = {blocks = 2, hidden = 8, features = 8}}
fibre = {steps = 3}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_data(tmp_path_factory.mktemp("data"))
    (folder / "generator.toml").write_text(KIND_TOML)
    return folder


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    found = {}
    for kind in ("duel", GENERATOR):
        out = tmp_path_factory.mktemp(kind)
        train(kind, data, out)
        found[kind] = outcome(out)
    return found


def words(kind: str, data: Path, out: Path) -> list[object]:
    command, pairs = ("generator", "discs") if kind == GENERATOR else ("denoiser", "pairs")
    return [
        "train", command, "--config", data / f"{kind}.toml", "--data", data / pairs, "--out", out, "--device", "cpu",
    ]  # fmt: skip


def steps_of(out: Path) -> list[int]:
    found = []
    for path in checkpoints(out):
        (header, _), warning = newest_whole(path)
        assert not warning
        found.append(header["step"])
    return found


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize(("kind", "step", "left"), [("duel", 6, [7]), (GENERATOR, 2, [3])])
def test_a_signal_in_the_middle_of_a_step_waits_for_its_checkpoint(
    ctinv: Ctinv,
    data: Path,
    tmp_path: Path,
    whole: dict[str, Any],
    kind: str,
    step: int,
    left: list[int],
    number: signal.Signals,
) -> None:
    gradient = _Loop._gradient

    def signalled(self: _Loop, turn: Any, batch: Any, seed: int, now: int, *rest: Any) -> Any:
        if now == step:
            os.kill(os.getpid(), number)  # an adversarial step has moved its critic by the second of these
        return gradient(self, turn, batch, seed, now, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Loop, "_gradient", signalled)
        ran = ctinv(*words(kind, data, tmp_path / "run"), "--json")
    assert ran.code == CODES[number]
    assert f"stopped after step {step + 1} of" in ran.sentence
    assert "the same command goes on from there" in ran.sentence
    assert len(ran.sentence) <= 200
    assert ran.json["error"] == ran.sentence
    assert steps_of(tmp_path / "run") == left
    assert ctinv(*words(kind, data, tmp_path / "run")).code == 0
    assert outcome(tmp_path / "run") == whole[kind]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("half", [True, False])
def test_more_signals_during_the_checkpoint_do_not_tear_it(
    ctinv: Ctinv, data: Path, tmp_path: Path, whole: dict[str, Any], half: bool
) -> None:
    write = Path.write_bytes

    def interrupted(path: Path, content: bytes) -> int:
        if path.name.startswith(".checkpoint"):
            if half:
                write(path, content[: len(content) // 2])
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
                os.kill(os.getpid(), number)
        return write(path, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", interrupted)
        ran = ctinv(*words("duel", data, tmp_path / "run"))
    assert ran.code == 143
    assert steps_of(tmp_path / "run") == [2]
    assert not list((tmp_path / "run").glob(".*.part"))
    assert ctinv(*words("duel", data, tmp_path / "run")).code == 0
    assert outcome(tmp_path / "run") == whole["duel"]


def test_a_full_disk_is_said_even_where_a_signal_waits(ctinv: Ctinv, data: Path, tmp_path: Path) -> None:
    def full(_path: Path, _content: bytes) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        ran = ctinv(*words("duel", data, tmp_path / "run"))
    assert ran.code == 1
    assert "could not be written (No space left on device)" in ran.sentence
    assert "Traceback" not in ran.err


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
def test_a_process_that_is_told_to_end_does_so_with_its_checkpoint(
    ctinv: Ctinv, data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    long = (
        (data / "average.toml")
        .read_text()
        .replace("steps = 12", "steps = 400")
        .replace("save_every = 2", "save_every = 399")
    )
    (data / "long.toml").write_text(long)
    line = command_line(*words("long", data, tmp_path / "run"))
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        told = ""
        while not told.startswith("training, step"):
            told = process.stderr.readline()
            assert told, "the training ended early"
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(30) == CODES[number]
    (sentence,) = rest.splitlines()
    (step,) = steps_of(tmp_path / "run")
    assert sentence.startswith(f"error: stopped after step {step} of 400;")
