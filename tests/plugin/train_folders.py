"""Two small patients and settings of a training that takes seconds."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
sys.path.insert(0, str(Path(__file__).parents[1] / "generators"))

from generator_runs import write_pairs  # of the folders beside
from pair_folders import write_pair

SETTINGS = """
name = "tiny"
network = "CNN10"
mean = 0.0
std = 200.0
steps = {steps}
batch = 2
patch = 32
learning_rate = 1e-3
warm_up = 5
flip = true
validate_every = 5
validate_slices = 1
save_every = 10
arguments = {{channels = [6, 4]}}
"""


def write_training(folder: Path, *, steps: int = 20) -> tuple[Path, Path]:
    """A data folder and a TOML file."""
    for number, name in enumerate("ab"):
        write_pair(folder / "pairs", name, number, ending=".npy")
    config = folder / "tiny.toml"
    config.write_text(SETTINGS.format(steps=steps))
    return folder / "pairs", config


def write_discs(folder: Path) -> Path:
    """A data folder with homogeneous tissue, on which a generator can be trained."""
    pairs = folder / "discs"
    pairs.mkdir()
    return write_pairs(pairs)
