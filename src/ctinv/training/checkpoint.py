"""Checkpoints in one safetensors file, so that one rename makes all of it appear at once, with its sha256 beside it.

Tensors are named ``module.<turn>.*``, ``optimizer.<turn>.<parameter>.*``, ``ema.*`` and ``best.*``; the rest is JSON in the
file's header. The checkpoint before is kept, and is taken where the newest one is not what its side-car says; see
`ctinv.training.digest`. No random state is in it: what a step draws is a function of the seed and the step alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ctinv.errors import ModelError, ResourceError
from ctinv.training.digest import discard, read_digested, write_digested
from ctinv.training.fit import Ema, Turn


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds besides the state of the loop.

    Attributes:
        step: Complete steps.
        notes: The caller's own, JSON-able.
        best: The weights that are the best so far, by name; none before the first validation.
        warning: One sentence where the newest checkpoint could not be taken, else empty.
    """

    step: int
    notes: dict[str, Any]
    best: dict[str, Tensor]
    warning: str = ""


def previous(path: Path) -> Path:
    """Where the checkpoint before the newest lies."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def is_there(path: Path) -> bool:
    """Whether there is a checkpoint to continue, whole or not."""
    return path.exists() or previous(path).exists()


def begin_anew(path: Path) -> None:
    """Remove a checkpoint and the one before it.

    Raises:
        ResourceError: The folder cannot be written.
    """
    try:
        discard(previous(path))
        discard(path)
    except OSError as error:
        raise ResourceError(
            f"{path.name} could not be removed ({error.strerror}); choose another folder."
        ) from error


def save_checkpoint(
    path: Path,
    turns: Sequence[Turn],
    *,
    step: int,
    config: dict[str, Any],
    ema: Ema | None = None,
    best: Mapping[str, Tensor] | None = None,
    notes: dict[str, Any] | None = None,
) -> None:
    """Write modules, optimisers and average after ``step`` steps, with the settings that made them.

    Args:
        path: The file; the one before is kept as `previous`.
        turns: Of the loop.
        step: Complete steps.
        config: What decides the training, JSON-able.
        ema: The average.
        best: The weights that are the best so far.
        notes: The caller's own.

    Raises:
        ModelError: A value is NaN or infinite; the older checkpoint stays.
        ResourceError: The disk is full; the older checkpoint stays.
    """
    tensors = {f"ema.{name}": value for name, value in (ema.state if ema else {}).items()}
    tensors |= {f"best.{name}": value for name, value in (best or {}).items()}
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
    if not all_finite(tensors):
        raise ModelError(
            f"the weights after step {step} are not finite, so nothing was written; lower the learning rate and begin anew."
        )
    header = {"step": step, "config": config, "notes": notes or {}, "groups": groups, "scalars": scalars}
    write_digested(path, save(tensors, metadata={"ctinv": json.dumps(header)}), keep=previous(path))


def load_checkpoint(
    path: Path, turns: Sequence[Turn], *, config: dict[str, Any], ema: Ema | None = None
) -> Checkpoint:
    """Put a checkpoint back into modules, optimisers and average; the one before it where the newest is damaged.

    Raises:
        ModelError: Both are damaged, or it was written under other settings, of which the first is named.
    """
    found, warning = newest_whole(path)
    header, tensors = found
    _refuse_other(path, header["config"], config)
    for turn in turns:
        try:
            turn.module.load_state_dict(_part(tensors, f"module.{turn.name}."))
            turn.optimizer.load_state_dict(_optimizer_state(turn, header, tensors))
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ModelError(f"{path.name} belongs to another network; use another output folder.") from error
    if ema is not None:
        device = next(iter(ema.state.values())).device
        ema.state = {name: value.to(device) for name, value in _part(tensors, "ema.").items()}
    return Checkpoint(int(header["step"]), header["notes"], _part(tensors, "best."), warning)


def _optimizer_state(turn: Turn, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """What an optimiser's ``state_dict`` gave."""
    slots: dict[int, dict[str, Any]] = {}
    values = _part(header["scalars"], f"{turn.name}.") | _part(tensors, f"optimizer.{turn.name}.")
    for name, value in values.items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = value
    return {"state": slots, "param_groups": header["groups"][turn.name]}


def all_finite(tensors: Mapping[str, Tensor]) -> bool:
    """Whether no floating-point value is NaN or infinite."""
    return all(bool(torch.isfinite(value).all()) for value in tensors.values() if value.is_floating_point())


OTHERWISE = {
    "data_sha256": "on other data",
    "start_sha256": "from another start",
    "denoiser_sha256": "for another denoiser",
}
"""How a training differs whose settings are the same."""
_Parts = tuple[dict[str, Any], dict[str, Tensor]]


def newest_whole(path: Path) -> tuple[_Parts, str]:
    """Header and tensors of the newest checkpoint that is whole, and what must be said of it, if anything.

    Raises:
        ModelError: None is.
    """
    found = _read(path, previous(path))
    if found is not None:
        return found, ""
    found = _read(previous(path), path)
    if found is None:
        raise ModelError(
            f"{path.name} is not what its sha256 file says, nor is the one before it; begin anew in another output folder."
        )
    step = found[0]["step"]
    if not path.exists():  # killed between two renames: the one before is the newest
        return found, ""
    return found, f"{path.name} is damaged; the one before it, of step {step}, is taken."


def _read(path: Path, other: Path) -> _Parts | None:
    """Header and tensors of a checkpoint that is whole."""
    try:
        content = read_digested(path, other)
        if content is None:
            return None
        length = int.from_bytes(content[:8], "little")
        header: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["ctinv"])
        return (header, load(content)) if _is_header(header) else None
    except (SafetensorError, OSError, LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _is_header(header: Any) -> bool:
    """Whether a header says all that is read of it, each in its type."""
    if not isinstance(header, dict) or type(header.get("step")) is not int or header["step"] < 0:
        return False
    return all(isinstance(header.get(key), dict) for key in ("config", "notes", "groups", "scalars"))


def first_difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first key in which two settings differ; what a user did not write down himself comes last."""
    keys = sorted(then.keys() | now.keys(), key=lambda key: (key in OTHERWISE, key))
    return next((key for key in keys if then.get(key) != now.get(key)), None)


def _refuse_other(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise ModelError where two settings differ."""
    key = first_difference(then, now)
    if key is not None:
        one, two = _short(then.get(key)), _short(now.get(key))
        how = OTHERWISE.get(key, f"with {key} = {one}, now {two} is asked")
        raise ModelError(f"{path.name} was trained {how}; use another output folder.")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 32 else f"{text[:31]}…"


def _part(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
