"""Checkpoints in one safetensors file, so that one rename makes all of it appear at once.

Tensors are named ``model.*``, ``optimizer.<parameter>.*`` and ``ema.*``; the rest is JSON in the file's
header.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ctinv.errors import ModelError, ResourceError
from ctinv.training.fit import Ema


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds besides tensors: complete steps, and the caller's own JSON-able notes."""

    step: int
    notes: dict[str, Any]


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: temporary name in the same folder, fsync, rename.

    Raises:
        ResourceError: The disk is full or the folder cannot be written; an older file stays.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ResourceError(
            f"{path.name} could not be written ({error.strerror}); free some space or choose another folder."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def save_checkpoint(
    path: Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    config: dict[str, Any],
    ema: Ema | None = None,
    notes: dict[str, Any] | None = None,
) -> None:
    """Write model, optimizer and average after ``step`` steps, with the settings that made them.

    Raises:
        ModelError: A value is NaN or infinite; the older checkpoint stays.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"ema.{name}": value for name, value in (ema.state if ema else {}).items()}
    state = optimizer.state_dict()
    scalars: dict[str, Any] = {}
    for index, slots in state["state"].items():
        for slot, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{slot}"] = value
            else:
                scalars[f"{index}.{slot}"] = value
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values() if value.is_floating_point()):
        raise ModelError(
            f"the weights after step {step} are not finite, so nothing was written; reduce learning_rate."
        )
    header = {
        "step": step,
        "config": config,
        "notes": notes or {},
        "groups": state["param_groups"],
        "scalars": scalars,
    }
    content = save(
        {k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata={"ctinv": json.dumps(header)}
    )
    write_atomic(path, content)


def load_checkpoint(
    path: Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    config: dict[str, Any],
    ema: Ema | None = None,
) -> Checkpoint:
    """Put a checkpoint back into model, optimizer and average.

    Raises:
        ModelError: The file is damaged, or was written under other settings, of which the first is named.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["ctinv"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelError(
            f"{path.name} is not a readable checkpoint; delete it to start the training again."
        ) from error
    for key in sorted(config.keys() | header["config"].keys()):
        then, now = header["config"].get(key), config.get(key)
        if then != now:
            raise ModelError(
                f"{path.name} was trained with {key} = {then}, now {now} is asked; use another output folder."
            )
    slots: dict[int, dict[str, Any]] = {}
    for name, value in header["scalars"].items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = value
    for name, value in _part(tensors, "optimizer.").items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = value
    try:
        model.load_state_dict(_part(tensors, "model."))
        optimizer.load_state_dict({"state": slots, "param_groups": header["groups"]})
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{path.name} belongs to another network; use another output folder.") from error
    if ema is not None:
        ema.state = _part(tensors, "ema.")
    return Checkpoint(int(header["step"]), header["notes"])


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
