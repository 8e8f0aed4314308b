"""Trainings of a second, by the product's own functions, and what two of them that are the same must have in common."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from pair_folders import write_pair

from ctinv.training import train_denoiser
from ctinv.training.checkpoint import is_there, newest_whole

sys.path.insert(0, str(Path(__file__).parents[1] / "generators"))

from generator_runs import small_config, write_pairs  # of the folder above

COMMON = """
name = "tiny"
network = "CNN10"
mean = 0.0
std = 200.0
train = ["a"]
validate = ["b"]
steps = 12
batch = 2
patch = 32
margin = 8
learning_rate = 1e-3
warm_up = 5
flip = true
noise_level = [0.8, 1.2]
validate_every = 3
validate_slices = 2
save_every = 2
arguments = {channels = [6, 4]}
"""
DENOISERS = {
    "average": COMMON + 'ema = 0.9\nchoose_by = "texture"\n',
    "duel": COMMON + '[objective]\nname = "DU-GAN"\nchannels = 2\ndepth = 2\ncritic_lead = 3\n',
}
GENERATOR = "generator"
KINDS = (*DENOISERS, GENERATOR)


def write_data(folder: Path) -> Path:
    """Pairs for the denoisers, pairs for the generator, and configs."""
    for number, name in enumerate("ab"):
        write_pair(folder / "pairs", name, number, ending=".npy")
    (folder / "discs").mkdir()
    write_pairs(folder / "discs")
    for name, text in DENOISERS.items():
        (folder / f"{name}.toml").write_text(text)
    return folder


def train(kind: str, data: Path, out: Path, **more: Any) -> dict[str, Any]:
    """One training to its end, or on from where it was."""
    torch.set_num_threads(1)  # sums of one thread are the same every time
    if kind in DENOISERS:
        return train_denoiser(data / f"{kind}.toml", data_folder=data / "pairs", out=out, **more)
    from ctinv.training.generator import train_generator

    config = small_config("cvae_cinn", fibre={"steps": 3})
    return train_generator(config, data_folder=data / "discs", out=out, device="cpu", **more)


def checkpoints(out: Path) -> list[Path]:
    """Where the checkpoints of a run lie, if it has any by now."""
    names = ["checkpoint", *(f"{stage}.checkpoint" for stage in ("autoencoder", "flow", "fibre"))]
    return [path for name in names if is_there(path := out / f"{name}.safetensors")]


def outcome(out: Path) -> dict[str, Any]:
    """All that a finished run leaves, but for times: weights, optimisers, average, history, figures, log and bundle."""
    found: dict[str, Any] = {}
    for path in checkpoints(out):
        header, tensors = newest_whole(path)[0]
        header["notes"].pop("seconds", None)
        found[path.name] = (header, {key: _hash(value.numpy().tobytes()) for key, value in tensors.items()})
    for path in sorted(out.rglob("*")):
        if path.name == "losses.csv" or (path.suffix == ".safetensors" and "checkpoint" not in path.name):
            found[str(path.relative_to(out))] = _hash(path.read_bytes())
    for name in ("report.json", "state.json"):
        if (out / name).exists():
            page = json.loads((out / name).read_text())
            found[name] = {key: value for key, value in page.items() if key != "seconds"}
    return found


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
