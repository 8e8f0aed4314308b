"""Random numbers of a training: functions of seed, step, turn and repeat alone, whoever asks and from which generator.

A loss is handed a generator of its own. What asks for none, such as dropout, draws from the global generators; these are
seeded alike for the time of a turn and put back afterwards, so that the caller's own random numbers are not touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def turn_generator(seed: int, step: int, turn: str, repeat: int, device: torch.device) -> torch.Generator:
    """The random generator of one turn of one step, independent of every other."""
    return torch.Generator(device).manual_seed(_bits(f"turn {seed} {step} {turn} {repeat}"))


@contextmanager
def seeded(seed: int, step: int, turn: str, repeat: int, *, device: torch.device) -> Iterator[None]:
    """Global generators of the CPU and of a device that depend on these alone; the caller's state is back afterwards."""
    generators = _global_generators(device)
    states = [generator.get_state() for generator in generators]
    bits = _bits(f"global {seed} {step} {turn} {repeat}")
    try:
        for generator in generators:
            generator.manual_seed(bits)
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def _global_generators(device: torch.device) -> list[torch.Generator]:
    found = [torch.default_generator]
    if device.type == "cuda":
        torch.cuda.init()
        number = device.index if device.index is not None else torch.cuda.current_device()
        found.append(torch.cuda.default_generators[number])
    return found


def _bits(text: str) -> int:
    """63 random bits."""
    return int.from_bytes(hashlib.sha256(f"ctinv {text}".encode()).digest()[:8], "little") >> 1
