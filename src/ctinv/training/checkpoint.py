"""Checkpoints in one safetensors file, so that one rename makes all of it appear at once, and a hash proves it whole.

Tensors are named ``module.<turn>.*``, ``optimizer.<turn>.<parameter>.*`` and ``ema.*``; the rest is JSON in the file's
header, with the sha256 of everything. The checkpoint before is kept beside it and is read where the newest one is damaged.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ctinv.atomic import write_atomic
from ctinv.errors import ModelError
from ctinv.training.fit import Ema, Turn


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds besides tensors: complete steps, and the caller's own JSON-able notes."""

    step: int
    notes: dict[str, Any]


def previous(path: Path) -> Path:
    """Where the checkpoint before the newest lies."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def save_checkpoint(
    path: Path,
    turns: Sequence[Turn],
    *,
    step: int,
    config: dict[str, Any],
    ema: Ema | None = None,
    notes: dict[str, Any] | None = None,
) -> None:
    """Write modules, optimisers and average after ``step`` steps, with the settings that made them.

    Raises:
        ModelError: A value is NaN or infinite; the older checkpoint stays.
        ResourceError: The disk is full; the older checkpoint stays.
    """
    tensors = {f"ema.{name}": value for name, value in (ema.state if ema else {}).items()}
    groups: dict[str, Any] = {}
    scalars: dict[str, Any] = {}
    for turn in turns:
        tensors |= {f"module.{turn.name}.{name}": value for name, value in turn.module.state_dict().items()}
        state = turn.optimizer.state_dict()
        groups[turn.name] = state["param_groups"]
        for index, slots in state["state"].items():
            for slot, value in slots.items():
                where = f"{turn.name}.{index}.{slot}"
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{where}"] = value
                else:
                    scalars[where] = value
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values() if value.is_floating_point()):
        raise ModelError(
            f"the weights after step {step} are not finite, so nothing was written; reduce learning_rate."
        )
    header = {"step": step, "config": config, "notes": notes or {}, "groups": groups, "scalars": scalars}
    text = json.dumps(header)
    content = save(tensors, metadata={"ctinv": text, "sha256": _digest(tensors, text)})
    if path.exists():
        with suppress(OSError):  # a file system without hard links keeps the newest checkpoint only
            previous(path).unlink(missing_ok=True)
            os.link(path, previous(path))
    write_atomic(path, content)


def load_checkpoint(
    path: Path, turns: Sequence[Turn], *, config: dict[str, Any], ema: Ema | None = None
) -> Checkpoint:
    """Put a checkpoint back into modules, optimisers and average; the one before it where the newest is damaged.

    Raises:
        ModelError: Both are damaged, or it was written under other settings, of which the first is named.
    """
    found = next((parts for parts in (_read(path), _read(previous(path))) if parts is not None), None)
    if found is None:
        raise ModelError(f"{path.name} is not a readable checkpoint; delete it to start the training again.")
    header, tensors = found
    for key in sorted(config.keys() | header["config"].keys()):
        then, now = header["config"].get(key), config.get(key)
        if then != now:
            raise ModelError(
                f"{path.name} was trained with {key} = {then}, now {now} is asked; use another output folder."
            )
    for turn in turns:
        slots: dict[int, dict[str, Any]] = {}
        values = _part(header["scalars"], f"{turn.name}.") | _part(tensors, f"optimizer.{turn.name}.")
        for name, value in values.items():
            index, slot = name.split(".", 1)
            slots.setdefault(int(index), {})[slot] = value
        try:
            turn.module.load_state_dict(_part(tensors, f"module.{turn.name}."))
            turn.optimizer.load_state_dict({"state": slots, "param_groups": header["groups"][turn.name]})
        except (RuntimeError, ValueError, KeyError) as error:
            raise ModelError(f"{path.name} belongs to another network; use another output folder.") from error
    if ema is not None:
        device = next(iter(ema.state.values())).device
        ema.state = {name: value.to(device) for name, value in _part(tensors, "ema.").items()}
    return Checkpoint(int(header["step"]), header["notes"])


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Header and tensors of a checkpoint that is whole."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        text = metadata["ctinv"]
        if metadata["sha256"] != _digest(tensors, text):
            return None
        header: dict[str, Any] = json.loads(text)
    except (SafetensorError, OSError, KeyError, ValueError):
        return None
    return header, tensors


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """sha256 over header and tensors."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _part(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
