"""Networks as a user might choose them, small."""

from __future__ import annotations

import warnings
from pathlib import Path


def torchscript(folder: Path) -> Path:
    """A program with a card beside it; loading it would run code."""
    import torch

    from ctinv.training.start import build

    (folder / "theirs.card.toml").write_text("mean_hu = -350\nstd_hu = 500\nflat_check = false\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(build("CNN10", seed=0).eval()).save(str(folder / "theirs.pt"))
    return folder / "theirs.pt"


def weights(folder: Path) -> Path:
    """A file of weights without a card."""
    import torch

    from ctinv.training.start import build

    torch.save({"state_dict": build("CNN10", seed=0).state_dict()}, folder / "mine.pt")
    return folder / "mine.pt"
