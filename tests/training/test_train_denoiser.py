"""Training a denoiser on small synthetic pairs: better than the input, resumable, cancellable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter

from ctinv.denoiser import load_denoiser
from ctinv.errors import InputError, ModelError
from ctinv.training import TrainingEvent, train_denoiser
from ctinv.training.validate import Validation

CONFIG = """
name = "small"
network = "CNN10"
mean = 0.0
std = 200.0
train = ["a"]
validate = ["b"]
steps = {steps}
batch = 2
patch = 24
margin = 7
learning_rate = {rate}
warm_up = 5
validate_every = 10
validate_slices = 2
save_every = 5
"""


class Cancelled(Exception):
    pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate("ab"):
        generator = np.random.default_rng(seed)
        full = 1000 * gaussian_filter(generator.normal(size=(2, 40, 40)), (0, 4, 4))
        np.save(tmp_path / f"{name}_full.npy", full.astype(np.float32))
        np.save(
            tmp_path / f"{name}_low.npy", (full + 60 * generator.normal(size=full.shape)).astype(np.float32)
        )
    (tmp_path / "c.toml").write_text(CONFIG.format(steps=20, rate=3e-3))
    return tmp_path


def test_training_beats_the_input_resumes_exactly_and_writes_a_bundle(folder: Path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = train_denoiser(folder / "c.toml", data_folder=folder, out=folder / "whole")

    def cancel(event: TrainingEvent) -> None:
        if event.step == 12:  # after the checkpoint of step 10, before that of 15
            raise Cancelled

    with pytest.raises(Cancelled):
        train_denoiser(folder / "c.toml", data_folder=folder, out=folder / "cut", callback=cancel)
    told: list[TrainingEvent] = []
    train_denoiser(folder / "c.toml", data_folder=folder, out=folder / "cut", callback=told.append)
    torch.set_num_threads(threads)

    figures = whole["figures"]["b"]
    assert figures["denoised"]["rmse_hu"] < 0.9 * figures["low"]["rmse_hu"]
    assert figures["denoised"]["psnr_db"] > figures["low"]["psnr_db"]
    assert figures["denoised"]["ssim"] > figures["low"]["ssim"]
    assert whole["best"]["rmse_hu"] == min(row["rmse_hu"] for row in whole["history"])

    assert told[0].step == 11  # continued at the last checkpoint, not at the start
    assert told[-1].validation == {key: whole["history"][-1][key] for key in ("rmse_hu", "texture")}
    assert told[-1].preview.shape == (3, 40, 40)
    rows = [(folder / run / "losses.csv").read_text() for run in ("whole", "cut")]
    assert rows[0] == rows[1]
    assert len(rows[0].splitlines()) == 21
    one, two = (load_file(folder / run / "best.safetensors") for run in ("whole", "cut"))
    assert all(torch.equal(one[key], two[key]) for key in one)

    denoiser = load_denoiser(folder / "whole" / "small")
    x = torch.from_numpy(np.load(folder / "b_low.npy"))[:1, None]
    full = torch.from_numpy(np.load(folder / "b_full.npy"))[:1, None]
    assert (denoiser(x) - full).square().mean() < 0.9**2 * (x - full).square().mean()
    facts = json.loads((folder / "whole" / "small" / "configs" / "metadata.json").read_text())["ctinv"][
        "training"
    ]
    assert facts["figures"]["b"]["denoised"] == figures["denoised"]
    assert (
        f"{figures['denoised']['rmse_hu']:.2f}"
        in (folder / "whole" / "small" / "docs" / "README.md").read_text()
    )


def test_a_diverging_run_says_so(folder: Path):
    (folder / "c.toml").write_text(CONFIG.format(steps=20, rate=1e12))
    with pytest.raises(ModelError, match="lower the learning rate"):
        train_denoiser(folder / "c.toml", data_folder=folder, out=folder / "out")


def test_a_run_stops_when_asked_or_when_nothing_gets_better(folder: Path, monkeypatch: pytest.MonkeyPatch):
    report = train_denoiser(
        folder / "c.toml", data_folder=folder, out=folder / "asked", callback=lambda event: event.step == 3
    )
    assert report["steps"] == 3

    def worse_each_time(*_args: object, **_settings: object) -> Validation:
        seen.append(len(seen))
        return Validation(float(len(seen)), 0.1, np.zeros((3, 4, 4), np.float32))

    seen: list[int] = []
    monkeypatch.setattr("ctinv.training.denoise_run.validate", worse_each_time)
    text = CONFIG.format(steps=20, rate=1e-3).replace(
        "validate_every = 10", "validate_every = 2\npatience = 3"
    )
    (folder / "c.toml").write_text(text)
    report = train_denoiser(folder / "c.toml", data_folder=folder, out=folder / "tired")
    assert (report["steps"], report["best"]["step"]) == (8, 2)


def test_a_start_from_another_bundle_takes_its_weights_and_names_them(folder: Path):
    first = train_denoiser(folder / "c.toml", data_folder=folder, out=folder / "first")
    text = CONFIG.format(steps=1, rate=1e-12)
    (folder / "next.toml").write_text(text + f"start = {str(folder / 'first' / 'small')!r}\n")
    second = train_denoiser(folder / "next.toml", data_folder=folder, out=folder / "second")
    one, two = (load_file(folder / run / "best.safetensors") for run in ("first", "second"))
    assert all(torch.allclose(one[key], two[key], atol=1e-6) for key in one)
    assert list(second["started_from"]) == ["model.safetensors"]
    assert first["started_from"] == {}
    (folder / "next.toml").write_text(text + 'start = "wganvgg"\n')
    with pytest.raises(InputError, match="another network than CNN10"):
        train_denoiser(folder / "next.toml", data_folder=folder, out=folder / "third")
