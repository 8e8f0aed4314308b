"""Checkpoints of ldct-benchmark and ldct-invariances, recognised by the names of their tensors or by their hash.

Their networks are ours under other names of layers. They saw the stored values of their scans, HU + 1024, less
481.4542 and divided by 502.1851. RED-CNN and DU-GAN have equal names, and so have our own classes: there a file is one of
theirs if it has the hash of a released file or their layout, ``{"args", "iteration", "model_state_dict"}``.

References:
    Eulig, Ommer, Kachelrieß, Benchmarking deep learning-based low-dose CT image denoising algorithms, Med. Phys. 51(12),
    2024, doi 10.1002/mp.17379. The hashes are those in ``ldctbench/hub/checkpoints.json``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ctinv.models.weights import State, states

RELEASED = {
    "ee96e494c8eda02e946464df29cf43c14163e63bc4b1df6d8907ee33a1a18c3e": "cnn10",
    "c6faad8376994fe22eadc0a723f81705fda6f435f40ef0f999666e871216ac5e": "dugan",
    "058ae58264a00116e5620ed88047e687c7e93c8b732bfd6d7796e76bae0c74f3": "redcnn",
    "4fe7137fe5abe7c381d746914528eaf23f061204580d8f027faf4d5eaaca6714": "resnet",
    "1ad87d16aefea99a9eeb474c33127971131cc21a07e129bf464c764cf9ca6003": "wganvgg",
}
_CLASSES = {
    "cnn10": "CNN10",
    "dugan": "DUGAN",
    "redcnn": "REDCNN",
    "resnet": "NoiseSubtractionResNet",
    "wganvgg": "WGANVGG",
}
_BLOCK = {"0": "conv1", "1": "norm1", "3": "conv2", "4": "norm2", "6": "conv3"}


@dataclass(frozen=True)
class Recognised:
    """A checkpoint of theirs as one of our classes.

    Attributes:
        method: Their name of the network.
        target: Our class.
        arguments: Of the class, read off the shapes.
        tensors: The weights under our names.
        note: What was recognised, one sentence.
    """

    method: str
    target: str
    arguments: dict[str, Any]
    tensors: State
    note: str


def recognise(payload: Any, sha256: str) -> Recognised | None:
    """The network that a checkpoint of theirs holds, None where it is none of theirs.

    Args:
        payload: What the file holds.
        sha256: Of the file.
    """
    released = RELEASED.get(sha256)
    theirs = isinstance(payload, Mapping) and {"args", "iteration", "model_state_dict"} <= payload.keys()
    for state in states(payload):
        for method, rename in _RENAMES.items():
            tensors = _renamed(state, rename)
            if tensors is None or (method == "redcnn" and not theirs and released is None):
                continue
            method = released if released in ("redcnn", "dugan") and method == "redcnn" else method
            return Recognised(
                method, _CLASSES[method], _arguments(method, tensors), tensors, _note(method, released)
            )
    return None


def _note(method: str, released: str | None) -> str:
    if released is not None:
        return f"the released {method} of ldct-benchmark, by its sha256"
    if method == "redcnn":
        return "a redcnn of ldct-benchmark by its tensors' names; dugan has the same, so say network = 'DUGAN' if it is one"
    return f"a {method} of ldct-benchmark by its tensors' names"


def _renamed(state: State, rename: Callable[[str], str | None]) -> State | None:
    """Tensors under our names; None unless every one has such a name."""
    state = {key.removeprefix("module."): value for key, value in state.items()}
    names = {key: rename(key) for key in state}
    if any(name is None for name in names.values()):
        return None
    return {str(names[key]): value for key, value in state.items()}


def _every_other(prefix: str, last: int) -> Callable[[str], str | None]:
    """``prefix.0.weight`` to ``conv1.weight``, ``prefix.2.weight`` to ``conv2.weight``, as ReLUs stand in between."""

    def rename(key: str) -> str | None:
        match = re.fullmatch(rf"{prefix}\.(\d+)\.(weight|bias)", key)
        if match is None or int(match[1]) % 2 or int(match[1]) > last:
            return None
        return f"conv{int(match[1]) // 2 + 1}.{match[2]}"

    return rename


def _resnet(key: str) -> str | None:
    if re.fullmatch(r"(in|out)_conv\.(weight|bias)", key):
        return key
    match = re.fullmatch(r"(blocks\.\d+)\.layers\.(\d)\.(\w+)", key)
    return f"{match[1]}.{_BLOCK[match[2]]}.{match[3]}" if match and match[2] in _BLOCK else None


def _redcnn(key: str) -> str | None:
    return key if re.fullmatch(r"t?conv[1-5]\.(weight|bias)", key) else None


_RENAMES: dict[str, Callable[[str], str | None]] = {
    "cnn10": _every_other("layers", 4),
    "wganvgg": _every_other("net", 14),
    "resnet": _resnet,
    "redcnn": _redcnn,
}


def _arguments(method: str, tensors: State) -> dict[str, Any]:
    """Widths and depths, read off the shapes; an incomplete file is refused when the network is filled."""

    def filters(key: str) -> int:
        return int(tensors[f"{key}.weight"].shape[0]) if f"{key}.weight" in tensors else 1

    if method == "cnn10":
        return {"channels": (filters("conv1"), filters("conv2"))}
    if method == "wganvgg":
        return {"filters": filters("conv1")}
    if method == "resnet":
        blocks = 1 + max((int(key.split(".")[1]) for key in tensors if key.startswith("blocks.")), default=0)
        return {"channels": filters("in_conv"), "blocks": blocks}
    return {"channels": filters("conv1")}
