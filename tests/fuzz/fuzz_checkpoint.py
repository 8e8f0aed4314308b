"""Target for the checkpoint of a training.

First byte: bit 0 gives it the side-car that its bytes ask for, bit 1 a sound checkpoint before it. The rest is the file.
"""

from __future__ import annotations

import hashlib
import json
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
from fuzzing import Target, WrongError
from mutators import LEAVES, LENGTHS, mutate_bytes, mutate_tree
from torch import nn

from ctinv.training.checkpoint import load_checkpoint, previous, save_checkpoint
from ctinv.training.fit import Ema, Turn

CONFIG = {"name": "net", "steps": 10, "seed": 0}
SEALED, WITH_PREVIOUS = 1, 2


def make_turns(seed: int) -> tuple[list[Turn], Ema]:
    """Two small modules whose optimisers have taken a step; all numbers are a function of the seed."""
    turns = []
    for index, name in enumerate(("critic", "generator")):
        module = nn.Linear(3, 2)
        generator = torch.Generator().manual_seed(10 * seed + index)
        with torch.no_grad():
            for value in module.parameters():
                value.copy_(torch.randn(value.shape, generator=generator))
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
        module(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        turns.append(Turn(name, module, optimizer, _no_loss))
    return turns, Ema(turns[1].module)


def _no_loss(_batch: tuple[torch.Tensor, ...], _generator: torch.Generator) -> torch.Tensor:
    raise NotImplementedError


def state_of(turns: list[Turn]) -> str:
    """sha256 of all weights and slots."""
    digest = hashlib.sha256()
    for turn in turns:
        for key, value in turn.module.state_dict().items():
            digest.update(key.encode() + value.numpy().tobytes())
        for index, slots in sorted(turn.optimizer.state_dict()["state"].items()):
            for key, value in sorted(slots.items()):
                digest.update(f"{index} {key}".encode() + torch.as_tensor(value).numpy().tobytes())
    return digest.hexdigest()


def _write(path: Path, seed: int) -> None:
    turns, ema = make_turns(seed)
    save_checkpoint(path, turns, step=seed + 3, config=CONFIG, ema=ema, notes={"best": 0.5, "at": [1, 2]})


@cache
def _content(seed: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.safetensors")
        _write(path, seed)
        return path.read_bytes()


def _seeds() -> list[bytes]:
    return [bytes([flags]) + _content(1) for flags in (SEALED, SEALED | WITH_PREVIOUS)]


def _mutate(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    flags, content = rng.choice((0, SEALED, SEALED, SEALED, WITH_PREVIOUS, SEALED | WITH_PREVIOUS)), data[1:]
    step = rng.random()
    (size,) = struct.unpack_from("<Q", content)
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    if step < 0.25:
        return bytes([flags]) + mutate_bytes(rng, content, [other[1:] for other in others])
    if step < 0.3:
        return bytes([flags]) + struct.pack("<Q", rng.choice(LENGTHS) % 2**64) + content[8:]
    if step < 0.75:
        inner = mutate_tree(rng, json.loads(header["__metadata__"]["ctinv"]), _LEAVES)
        header["__metadata__"]["ctinv"] = json.dumps(inner)
    else:
        header = mutate_tree(rng, header, _LEAVES)
    text = json.dumps(header).encode()
    return bytes([flags]) + struct.pack("<Q", len(text)) + text + body


_LEAVES: tuple[Any, ...] = (
    *LEAVES,
    "F16",
    "I8",
    [0, 4],
    [3, 2],
    {"lr": "x"},
    [{"params": [9]}],
    {"critic.0.step": [1]},
)


def _prepare(room: Path) -> Callable[[bytes], None]:
    path = room / "state.safetensors"
    sound = {state_of(make_turns(seed)[0]) for seed in (0, 1)}

    def run(data: bytes) -> None:
        flags, content = (data[0] if data else 0), data[1:]
        for file in room.iterdir():
            file.unlink()
        _write(path, 0)
        if flags & WITH_PREVIOUS:
            _write(path, 1)
        path.write_bytes(content)
        if flags & SEALED:
            digest = hashlib.sha256(content).hexdigest()
            path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")
        if not flags & WITH_PREVIOUS:
            previous(path).unlink(missing_ok=True)
        turns, ema = make_turns(2)
        found = load_checkpoint(path, turns, config=CONFIG, ema=ema)
        if isinstance(found.step, bool) or not isinstance(found.step, int) or found.step < 0:
            raise WrongError("the step is no whole number from 0 on")
        if not flags & SEALED and state_of(turns) not in sound:
            raise WrongError("damaged weights were taken for whole ones")

    return run


TARGETS = {"checkpoint/file": Target(_seeds, _mutate, _prepare)}
