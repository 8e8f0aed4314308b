"""Two small patients and settings of a training that takes seconds."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from pair_folders import write_pair  # of the folder beside

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
