"""Weights as data: safetensors, or a state dict that torch reads without running a pickle.

A ``.pt`` file is a pickle. ``torch.load(weights_only=True)`` builds tensors and plain containers from it and nothing else;
where a pickle names anything more, the sentence says what, and nothing has run. Checkpoints keep the weights under many
names and behind many prefixes: the variant that a network's own names fit exactly is taken.
"""

from __future__ import annotations

import argparse
import io
import pickle  # nosec B403  # for its errors; nothing is unpickled here
import pickletools  # nosec B403  # reads opcodes, runs none
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from ctinv.errors import CodeError, ModelError
from ctinv.models.files import MAX_WEIGHT_BYTES

State = dict[str, Tensor]
_UNPACKED_BYTES = 64_000_000
_SAFETENSORS_HEADER = 8_000_000  # the library reads up to 100 MB of JSON, which takes it minutes
_NESTED = (
    "state_dict",
    "model_state_dict",
    "model",
    "generator",
    "net",
    "network",
    "denoiser",
    "params_ema",
    "ema",
    "params",
    "weights",
)
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "generator.", "denoiser.", "netG.")
_GLOBAL = re.compile(r"(?:Unsupported global: GLOBAL|GLOBAL) ([\w.]+)")


def read_safetensors(content: bytes, name: str) -> State:
    """Tensors of a safetensors file.

    Raises:
        ModelError: It is damaged or something else.
    """
    if int.from_bytes(content[:8], "little") > _SAFETENSORS_HEADER:
        raise ModelError(
            f"{name} claims a header of more than {_SAFETENSORS_HEADER // 10**6} MB; it is damaged or no safetensors file."
        )
    try:
        return load(content)
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{name} is damaged or no safetensors file; get it again.") from error


def read_pickled(content: bytes, name: str) -> Any:
    """What a ``.pt`` file holds, as far as it is tensors and plain containers; nothing of it is run.

    Raises:
        ModelError: It is TorchScript or a program, holds more than data, or is damaged.
    """
    refuse_bombs(content, name)
    if is_exported_program(content) or is_torchscript(content):
        raise ModelError(f"{name} is a program, no file of weights; save the state_dict() alone.")
    try:
        # ldct-benchmark keeps its options in a Namespace, a container that does nothing.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        match = _GLOBAL.search(str(error))
        named = match[1] if match is not None else _first_global(content)
        if named is None:
            raise ModelError(f"{name} is damaged or no file of weights; get it again.") from error
        raise CodeError(
            f"{name[:40]} names {named[:45]!r}, which would have to run; nothing was run",
            ". Save the state_dict() alone",
        ) from error
    except MemoryError as error:
        raise ModelError(
            f"{name[:60]} asks for more memory than there is; it is damaged, or free some memory and try again."
        ) from error
    except (
        Exception
    ) as error:  # what torch raises on damaged pickles has no common base, AssertionError included
        raise ModelError(f"{name} is damaged or no file of weights; get it again.") from error


def _first_global(content: bytes) -> str | None:
    """The first thing a bare pickle of a newer protocol would call, read off its opcodes without running them."""
    texts: list[str] = []
    with warnings.catch_warnings(), suppress(Exception):  # the bytes may be no pickle at all
        warnings.simplefilter("ignore")
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "GLOBAL":
                return _if_a_name(str(argument).replace(" ", "."))
            if opcode.name == "STACK_GLOBAL" and len(texts) > 1:
                return _if_a_name(".".join(texts[-2:]))
            if isinstance(argument, str):
                texts.append(argument)
    return None


def _if_a_name(text: str) -> str | None:
    """A text that can be shown as what would be called; damaged bytes give any."""
    return text if re.fullmatch(r"[\w.]+", text) else None


def is_torchscript(content: bytes) -> bool:
    """Whether a file is a TorchScript archive, whatever it is called."""
    return any(
        entry.endswith(("/constants.pkl", "/code/")) or "/code/" in entry for entry in _entries(content)
    )


def is_exported_program(content: bytes) -> bool:
    """Whether a file is what ``torch.export.save`` writes (``.pt2``), whatever it is called."""
    return any(
        "exported_program" in entry
        or entry.rsplit("/", 1)[-1] == "archive_format"
        or entry.startswith("models/")
        for entry in _entries(content)
    )


def refuse_bombs(content: bytes, name: str) -> None:
    """Raise ModelError for archives that grow beyond all bounds when they are unpacked."""
    # torch does not pack what it saves; entries that unpack to more than the file are packed or lie upon each other.
    most = min(MAX_WEIGHT_BYTES, len(content) + _UNPACKED_BYTES)
    if sum(_entries(content).values()) > most:
        raise ModelError(f"{name} unpacks to more than {most / 1e6:,.0f} MB; it is no file of weights.")


def _entries(content: bytes) -> dict[str, int]:
    """File names of a zip archive and their unpacked bytes; none where it is no archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {entry.filename: entry.file_size for entry in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return {}


def states(payload: Any) -> list[State]:
    """Every state dict in a checkpoint, as it lies there: the checkpoint itself, and those under well-known names."""
    if not isinstance(payload, Mapping):
        return []
    found = [payload, *(payload[key] for key in _NESTED if isinstance(payload.get(key), Mapping))]
    for value in found[1:]:
        found += [value[key] for key in _NESTED if isinstance(value.get(key), Mapping)]
    tensors = [
        {key: value for key, value in one.items() if isinstance(key, str) and isinstance(value, Tensor)}
        for one in found
    ]
    return [one for one in tensors if one]


def variants(payload: Any) -> Iterator[State]:
    """The state dicts of a checkpoint with and without the prefixes that wrappers put before all names."""
    seen: set[frozenset[str]] = set()
    waiting = [(one, 0) for one in states(payload)]
    while waiting:
        state, depth = waiting.pop(0)
        if frozenset(state) in seen:
            continue
        seen.add(frozenset(state))
        yield state
        if depth < 3:
            for prefix in _PREFIXES:
                inner = {
                    key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)
                }
                if inner:
                    waiting.append((inner, depth + 1))


def fitting(payload: Any, network: nn.Module) -> State | None:
    """The variant whose names and shapes are exactly those of the network."""
    wanted = {key: value.shape for key, value in network.state_dict().items()}
    for state in variants(payload):
        if {key: value.shape for key, value in state.items()} == wanted:
            return state
    return None


def nearest(payload: Any, network: nn.Module, name: str) -> State:
    """The variant that shares most names with the network, so that a message can say what is wrong with it.

    Raises:
        ModelError: There are no tensors at all.
    """
    wanted = network.state_dict().keys()
    found = max(variants(payload), key=lambda state: len(wanted & state.keys()), default=None)
    if found is None:
        raise ModelError(f"{name} holds no state dict; save the network's state_dict() in it.")
    return found


def fill(network: nn.Module, tensors: Mapping[str, Tensor], name: str, *, cast: bool = False) -> None:
    """Load weights whose names, shapes, types and finiteness are exactly those of the network.

    Args:
        network: On the meta device.
        tensors: The weights.
        name: Of their file, for messages.
        cast: Other floating types than the network's are turned into it.

    Raises:
        ModelError: They do not fit.
    """
    wanted = network.state_dict()
    for key in sorted(wanted.keys() ^ tensors.keys()):
        side = "lacks" if key in wanted else "has the unknown"
        raise ModelError(f"{name} {side} tensor {key[:60]!r}; the weights belong to another network.")
    exact = {key: _exact(tensors[key], value, cast) for key, value in wanted.items()}
    for key, found in exact.items():
        if found is None:
            raise ModelError(
                f"the tensor {key[:60]!r} of {name} has another shape or type than the network's."
            )
        if not bool(torch.isfinite(found).all()):
            raise ModelError(
                f"the tensor {key[:60]!r} of {name} holds NaN or infinite values; get the weights again."
            )
    network.load_state_dict({key: found for key, found in exact.items() if found is not None}, assign=True)


def _exact(tensor: Tensor, wanted: Tensor, cast: bool) -> Tensor | None:
    """The tensor in the wanted shape and type, None where it is not that; a shape is checked before memory is spent."""
    if tensor.shape != wanted.shape:
        return None
    if cast and tensor.is_floating_point() and wanted.is_floating_point():
        tensor = tensor.to(wanted.dtype)
    return tensor.contiguous() if tensor.dtype == wanted.dtype else None
