"""Networks and files as users bring them, for the tests."""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HERE = {"mean_hu": -350, "std_hu": 500}  # the convention of networks that `ctinv.training.start.build` makes


class InConvention(nn.Module):
    """One and the same f of HU, dressed in another convention: what a network trained in that one would be."""

    def __init__(self, network: nn.Module, source: tuple[float, float], target: tuple[float, float]) -> None:
        super().__init__()
        self.network = network
        self.source, self.target = source, target

    def forward(self, image: Tensor) -> Tensor:
        (mean, std), (low, scale) = self.source, self.target
        hu = self.network((image * scale + low - mean) / std) * std + mean
        return (hu - low) / scale


def checkpoint(state: Mapping[str, Tensor], path: Path) -> Path:
    """A file in the layout of ldct-benchmark."""
    torch.save({"args": argparse.Namespace(lr=1e-4), "iteration": 7, "model_state_dict": dict(state)}, path)
    return path


def bundle(folder: Path, config: Mapping[str, Any], state: Mapping[str, Tensor] | None = None) -> Path:
    """A MONAI bundle of somebody else."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "metadata.json").write_text(json.dumps({"version": "0.1.0"}))
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    if state is not None:
        torch.save(dict(state), folder / "models" / "model.pt")
    return folder


class Payload:
    """A pickle that leaves a mark if it is run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"touch {self.mark}",)


def poisoned(path: Path, mark: Path, *, zipped: bool) -> Path:
    """A ``.pt`` file with a payload, in torch's format or as a bare pickle."""
    content = {"state_dict": {"conv1.weight": torch.zeros(1)}, "more": Payload(mark)}
    if zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(Payload(mark)))
    return path
