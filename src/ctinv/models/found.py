"""What the ladder brings back: a network with all that a `ctinv.denoiser.Denoiser` needs to know of it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from torch import nn

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
NO_NAME = "network"
SLICES = (1, 3, 5, 7)  # neighbouring slices that a network may see
LARGEST, SMALLEST_STD = 1e9, 1e-9
"""Bounds of a convention's numbers, in the unit of the images: beyond them a float32 image overflows."""


@dataclass(frozen=True)
class FoundNetwork:
    """A network as its files and its card describe it; the arguments of `ctinv.denoiser.Denoiser`.

    Attributes:
        network: With its weights, float32, on the CPU.
        name: Short name.
        mean, std: HU the network sees as 0, and HU it sees as 1.
        taps: Public tap name to submodule path.
        weights_sha256: File name to sha256 of the weights.
        slices: Neighbouring slices the network sees as channels.
        unit: Unit of the images it is for.
        notes: How the network came in and how its convention is known, one sentence each.
    """

    network: nn.Module
    name: str
    mean: float
    std: float
    taps: dict[str, str]
    weights_sha256: dict[str, str]
    slices: int = 1
    unit: str = "HU"
    notes: tuple[str, ...] = ()


def is_number(value: Any) -> bool:
    """Whether a value from a file is a number that an image can be shifted or scaled by."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def short_name(text: str) -> str:
    """A name of 1 to 40 letters, digits, - and _ made of any text, such as the stem of a file."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")[:40]
    return name if NAME.fullmatch(name) else NO_NAME


def state_sha256(network: nn.Module) -> str:
    """sha256 over the names, types, shapes and values of all tensors: for a network that came from no file."""
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        plain = value.detach().cpu().contiguous()
        digest.update(f"{key} {plain.dtype} {tuple(plain.shape)}\n".encode())
        digest.update(plain.numpy().tobytes())
    return digest.hexdigest()
