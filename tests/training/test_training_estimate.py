"""What a training will take: bounds that hold on every machine. How good the times are is printed, not asserted."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import write_data

from ctinv.training import DenoiserConfig, train_denoiser
from ctinv.training import estimate as estimating
from ctinv.training.estimate import estimate_denoiser
from ctinv.training.generator.estimate import estimate_generator

CNN10 = DenoiserConfig(
    name="c", network="CNN10", mean=0.0, std=200.0, split="random", steps=40, batch=2, patch=32
)


def quick(config: DenoiserConfig = CNN10, **more: object) -> estimating.Estimate:
    return estimate_denoiser(config, device="cpu", edge=64, seconds=0.05, **more)  # type: ignore[arg-type]


def test_the_figures_hold_what_a_step_cannot_do_without() -> None:
    found = quick()
    parameters = 24_513
    assert found.weights == parameters
    assert found.state_bytes >= 4 * parameters * 4  # weights, gradients and two moments
    pixels = 2 * 32 * 32
    # Input, both hidden layers after their ReLU: all are needed for the gradient.
    assert found.step_bytes >= 4 * pixels * (1 + 64 + 32)
    assert found.step_bytes <= 10 * 4 * pixels * (1 + 64 + 32)
    assert found.disk_bytes >= 2 * 3 * 4 * parameters
    assert found.steps == 40
    assert 0 < 40 * found.step_s < found.total_s
    assert found.fits


def test_memory_grows_with_batch_and_patch() -> None:
    small, batch, patch = (
        quick(dataclasses.replace(CNN10, **change)) for change in ({}, {"batch": 4}, {"patch": 64})
    )
    assert batch.step_bytes == pytest.approx(2 * small.step_bytes, rel=0.01)
    assert patch.step_bytes == pytest.approx(4 * small.step_bytes, rel=0.01)
    assert small.state_bytes == batch.state_bytes == patch.state_bytes


def test_what_is_done_is_not_counted_again() -> None:
    assert quick(done=30).steps == 10
    assert quick(done=40).steps == 0


@pytest.mark.parametrize(
    "objective", [{"name": "L2"}, {"name": "DU-GAN", "channels": 2, "depth": 2, "critic_lead": 3}]
)
def test_no_random_state_is_touched_and_nothing_is_written(
    objective: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    quick(dataclasses.replace(CNN10, objective=objective, ema=0.9, flip=True), out=tmp_path / "run")
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_said_and_no_step_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimating, "free_bytes", lambda _device: 1_000_000)
    found = quick()
    assert not found.fits
    assert "Too little memory" in found.note
    assert np.isnan(found.total_s)


def test_a_generator_is_estimated_in_all_its_stages(tmp_path: Path) -> None:
    from generator_runs import small_config

    config = small_config("cvae_cinn", fibre={"steps": 3})
    found = estimate_generator(config, device="cpu", out=tmp_path / "run", seconds=0.05)
    assert found.steps == 4 + 4 + 3
    assert found.weights > 0
    assert found.step_s > 0
    assert (
        estimate_generator(config, device="cpu", done={"autoencoder": 4, "flow": 1}, seconds=0.05).steps == 6
    )
    assert list(tmp_path.iterdir()) == []


def test_the_time_beside_that_of_a_real_run_as_a_figure(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    config = dataclasses.replace(
        DenoiserConfig.read(data / "average.toml"), steps=150, validate_every=50, save_every=50
    )
    found = estimate_denoiser(config, device="cpu", edge=40, slices=6, seconds=0.5)
    since = time.monotonic()
    train_denoiser(config, data_folder=data / "pairs", out=tmp_path / "run", device="cpu")
    real = time.monotonic() - since
    print(f"estimated {found.total_s:.2f} s, took {real:.2f} s, ratio {found.total_s / real:.2f}")
    assert found.total_s > 0
