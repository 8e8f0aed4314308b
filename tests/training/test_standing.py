"""How far a training is, read without torch, and the end that a callback may ask for at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import GENERATOR, outcome, train, write_data

from ctinv.training import TrainingStopped
from ctinv.training.curves import read_curves
from ctinv.training.standing import standing_of


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def stop_at(step: int, stage: str = "") -> Any:
    def callback(event: Any) -> None:
        if (getattr(event, "stage", ""), event.step) == (stage, step):
            raise TrainingStopped

    return callback


def test_a_denoiser_that_is_stopped_stands_at_its_step_and_goes_on_from_there(
    data: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingStopped):
        train("average", data, tmp_path / "parts", callback=stop_at(5))  # checkpoints are due at even steps
    assert not (tmp_path / "parts" / "report.json").exists()
    found = standing_of(tmp_path / "parts")
    assert found is not None
    assert (found.what, found.name, found.step, found.steps) == ("denoiser", "tiny", 5, 12)
    assert found.best["step"] == 3
    assert found.seconds > 0
    assert (found.finished, found.bundle, found.running, found.problem) == (False, None, False, "")
    assert found.config["patch"] == 32
    assert not any("sha256" in key for key in found.config)
    train("average", data, tmp_path / "parts")
    train("average", data, tmp_path / "whole")
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    done = standing_of(tmp_path / "parts")
    assert done is not None
    assert (done.finished, done.bundle) == (True, tmp_path / "parts" / "tiny")


def test_a_generator_stands_at_the_steps_of_all_its_stages(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped):
        train(GENERATOR, data, tmp_path, callback=stop_at(3, "flow"))
    found = standing_of(tmp_path)
    assert found is not None
    assert (found.what, found.stage, found.step, found.steps) == ("generator", "flow", 4 + 3, 4 + 4 + 3)
    assert found.seconds > 0
    assert not found.finished
    seen: list[tuple[str, int]] = []
    train(GENERATOR, data, tmp_path, callback=lambda event: seen.append((event.stage, event.step)))
    assert seen == [("flow", 4), ("fibre", 1), ("fibre", 2), ("fibre", 3)]
    done = standing_of(tmp_path)
    assert done is not None
    assert (done.step, done.finished) == (11, True)
    assert done.bundle is not None


def test_who_trains_there_now_is_seen(data: Path, tmp_path: Path) -> None:
    seen: list[bool] = []

    def look(event: Any) -> None:
        found = standing_of(tmp_path)
        if found is not None:
            seen.append(found.running)

    train("average", data, tmp_path, callback=look)
    assert set(seen) == {True}
    found = standing_of(tmp_path)
    assert found is not None
    assert not found.running


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", b"{"])
def test_what_is_no_training_stands_nowhere(tmp_path: Path, content: bytes) -> None:
    assert standing_of(tmp_path) is None
    assert standing_of(tmp_path / "missing") is None
    (tmp_path / "checkpoint.safetensors").write_bytes(content)
    (tmp_path / "state.json").write_bytes(content)
    assert standing_of(tmp_path) is None


def test_the_one_before_a_damaged_checkpoint_is_looked_at(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped):
        train("average", data, tmp_path, callback=stop_at(7))
    (tmp_path / "checkpoint.safetensors").write_bytes(b"")
    found = standing_of(tmp_path)
    assert found is not None
    assert found.step == 6


def test_curves_are_what_was_logged_thinned_but_for_validations(data: Path, tmp_path: Path) -> None:
    train("average", data, tmp_path)
    whole = read_curves(tmp_path / "losses.csv")
    np.testing.assert_array_equal(whole["step"], np.arange(1, 13))
    assert np.isfinite(whole["denoiser"]).all()
    validated = np.isfinite(whole["rmse_hu"])
    np.testing.assert_array_equal(whole["step"][validated], [3, 6, 9, 12])
    thin = read_curves(tmp_path / "losses.csv", most=3)
    assert len(thin["step"]) < 9
    np.testing.assert_array_equal(thin["rmse_hu"][np.isfinite(thin["rmse_hu"])], whole["rmse_hu"][validated])
    with (tmp_path / "losses.csv").open("a") as file:
        file.write("13,0.5")
    assert read_curves(tmp_path / "losses.csv")["step"][-1] == 12
    assert read_curves(tmp_path / "none.csv") == {}


def test_looking_needs_no_torch() -> None:
    code = "import sys, ctinv.training.standing, ctinv.training.curves, ctinv.training.needs, ctinv.training.typed\n"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
