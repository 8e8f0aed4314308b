"""train denoiser on two tiny pairs: a bundle that the other commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_shell import Ran
from scipy.ndimage import gaussian_filter

CONFIG = """
name = "tiny"
network = "CNN10"
mean = 0.0
std = 200.0
train = ["a"]
validate = ["b"]
steps = 4
batch = 1
patch = 24
margin = 7
learning_rate = 1e-3
warm_up = 2
validate_every = 2
validate_slices = 1
save_every = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in "ab":
        full = 1000 * gaussian_filter(rng.normal(size=(1, 32, 32)), (0, 4, 4)).astype(np.float32)
        np.save(tmp_path / f"{name}_full.npy", full)
        np.save(tmp_path / f"{name}_low.npy", full + rng.normal(0.0, 20.0, full.shape).astype(np.float32))
    (tmp_path / "tiny.toml").write_text(CONFIG)
    return tmp_path


def test_training_writes_a_bundle_and_reports(ctinv: Callable[..., Ran], folder: Path) -> None:
    words = ("train", "denoiser", "--config", folder / "tiny.toml", "--data", folder, "--out", folder / "run")
    report = ctinv(*words, "--json")
    assert report.code == 0, report.err
    assert report.json["best"]["step"] in (2, 4)
    assert ctinv("info", folder / "run" / "tiny", "--json").json["name"] == "tiny"
    again = ctinv(*words)  # complete already
    assert again.code == 0
    assert '"best"' in again.out


def test_a_config_with_a_slip_gets_one_sentence(ctinv: Callable[..., Ran], folder: Path) -> None:
    (folder / "tiny.toml").write_text(CONFIG.replace("steps", "stepps", 1))
    words = ("train", "denoiser", "--config", folder / "tiny.toml", "--data", folder, "--out", folder / "run")
    ran = ctinv(*words, "--json")
    assert ran.code == 1
    assert "stepps" in ran.sentence


def test_a_generator_needs_a_kind_or_a_config(ctinv: Callable[..., Ran], folder: Path) -> None:
    ran = ctinv("train", "generator", "--data", folder, "--out", folder / "run", "--json")
    assert ran.code == 1
    assert "--kind" in ran.sentence
    ran = ctinv("train", "generator", "--kind", "gan", "--data", folder, "--out", folder / "run", "--json")
    assert ran.code == 1
    assert "cvae_cinn" in ran.sentence
