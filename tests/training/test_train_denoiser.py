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
from ctinv.errors import ModelError
from ctinv.training import train_denoiser
from ctinv.training.denoise import interior_mse

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

    def cancel(_text: str, fraction: float) -> None:
        if fraction >= 0.6:  # after the checkpoint of step 10, before that of 15
            raise Cancelled

    with pytest.raises(Cancelled):
        train_denoiser(folder / "c.toml", data_folder=folder, out=folder / "cut", progress=cancel)
    told: list[float] = []
    train_denoiser(
        folder / "c.toml",
        data_folder=folder,
        out=folder / "cut",
        progress=lambda _text, fraction: told.append(fraction),
    )
    torch.set_num_threads(threads)

    figures = whole["figures"]["b"]
    assert figures["denoised"]["rmse_hu"] < 0.9 * figures["low"]["rmse_hu"]
    assert figures["denoised"]["psnr_db"] > figures["low"]["psnr_db"]
    assert figures["denoised"]["ssim"] > figures["low"]["ssim"]
    assert whole["best"]["rmse_hu"] == min(row["rmse_hu"] for row in whole["history"])

    assert told[0] == pytest.approx(11 / 20)  # continued at the last checkpoint, not at the start
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


def test_the_loss_ignores_the_margin():
    loss = interior_mse(0.0, 2.0, 3)
    image = torch.zeros(1, 1, 10, 10)
    image[..., :3, :] = 5.0
    assert loss(torch.nn.Identity(), (image, torch.zeros_like(image))) == 0
    image[..., 5, 5] = 8.0
    assert loss(torch.nn.Identity(), (image, torch.zeros_like(image))) == pytest.approx((8 / 2) ** 2 / 16)
