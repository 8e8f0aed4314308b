"""What runs in the child for a bundle that needs code: MONAI's own parser, and data back."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.networks import nets
from safetensors.torch import load
from torch import nn

from ctinv.child import Message, TaskError
from ctinv.errors import ModelError
from ctinv.models.build import network_class
from ctinv.models.guest import program_message, refusals_told, tensors_message
from ctinv.models.weights import fitting

_DEFINITION = "network_def"
assert nets  # imported before the limits close, as most bundles name it


def load_bundle(head: dict[str, Any], _: list[bytes]) -> Message:
    """Build the network of a bundle and fill it.

    Args:
        head: ``folder``, ``config`` as data, ``weights`` as a path inside the folder, and ``slices``.
    """
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True
    with refusals_told():
        return _load(head)


def _load(head: Mapping[str, Any]) -> Message:
    sys.path.insert(0, head["folder"])
    parser = ConfigParser(dict(head["config"]) | {"bundle_root": head["folder"]})
    known = _known(parser)
    network = parser.get_parsed_content(_DEFINITION)
    if not isinstance(network, nn.Module):
        raise TaskError(
            f"has a network_def that makes a {type(network).__name__[:40]}; an nn.Module was expected."
        )
    content = (Path(head["folder"]) / head["weights"]).read_bytes()
    state = fitting(_payload(content, head["weights"]), network)
    if state is None:
        raise TaskError(
            f"{head['name']} has weights that are not those of its network; get the bundle again."
        )
    if known is not None:
        answer, blobs = tensors_message(dict(state), head)
        return {**answer, "target": known[0], "arguments": known[1]}, blobs
    network.load_state_dict(state)
    return program_message(network.eval(), head)


def _payload(content: bytes, name: str) -> Any:
    if name.endswith(".safetensors"):
        return load(content)
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)  # nosec B614  # in the child alone


def _known(parser: Any) -> tuple[str, dict[str, Any]] | None:
    """Class and arguments of the network where the class is allowed and the expressions come down to literals."""
    definition = parser[_DEFINITION]
    if not isinstance(definition, Mapping) or not isinstance(definition.get("_target_"), str):
        return None
    names = [name for name in definition if name not in ("_target_", "_desc_")]
    if any(name.startswith("_") for name in names):
        return None
    try:
        network_class(definition["_target_"])
    except ModelError:
        return None
    arguments = {name: parser.get_parsed_content(f"{_DEFINITION}::{name}") for name in names}
    return (definition["_target_"], arguments) if _is_literal(arguments) else None


def _is_literal(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_literal(one) for key, one in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_literal, value))
    return value is None or type(value) in (bool, int, float, str)
