"""The static bundle loader: a network from data alone, without running anything that a bundle says.

MONAI's own loader resolves any ``_target_`` and evaluates ``$`` expressions, so that loading a bundle runs
it. Here the two JSON files are read as data, the class comes from the registry `ctinv.networks.NETWORKS`, its
arguments must be literals, and the weights must be the safetensors file whose sha256 the metadata name.
Pickled weights (``model.pt``), which lie beside them for MONAI, are never opened. Nothing of MONAI is
imported.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from ctinv.errors import ModelError
from ctinv.networks import NETWORKS, NetworkSpec
from ctinv.resources import bundles_folder

METADATA, INFERENCE = "configs/metadata.json", "configs/inference.json"
WEIGHTS, PICKLED = "model.safetensors", "model.pt"
MAX_JSON_BYTES = 1_000_000
MAX_PARAMETERS = 200_000_000

_TARGETS: dict[str, NetworkSpec] = {f"ctinv.networks.{name}": spec for name, spec in NETWORKS.items()}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True)
class LoadedNetwork:
    """A network as its bundle describes it; the arguments of `ctinv.denoiser.Denoiser`.

    Attributes:
        network: With its weights, float32, on the CPU.
        name: Short name.
        mean, std: HU the network sees as 0, and HU it sees as 1.
        taps: Public tap name to submodule path.
        weights_sha256: File name to sha256 of the weights.
    """

    network: nn.Module
    name: str
    mean: float
    std: float
    taps: dict[str, str]
    weights_sha256: dict[str, str]


def load_network(source: str | Path) -> LoadedNetwork:
    """Load a shipped network by its name, or one from a bundle folder, reading only data.

    Raises:
        ModelError: The bundle is unknown, damaged, or asks for more than a registered class and literals.
    """
    folder = _folder(source)
    metadata = _read_json(folder, METADATA)
    about = metadata.get("ctinv")
    if not isinstance(about, dict):
        raise ModelError(
            f"{folder.name} has no block 'ctinv' in metadata.json; it was not made by this package."
        )
    spec, network = _build(_read_json(folder, INFERENCE).get("network_def"))
    expected = _expected_hash(about)
    content = _weights(folder, network, expected)
    _fill(network, content)
    return LoadedNetwork(
        network=network,
        name=_name(about),
        mean=_number(about, "mean_hu"),
        std=_number(about, "std_hu", positive=True),
        taps=_taps(about, network, spec),
        weights_sha256={WEIGHTS: expected},
    )


def shipped() -> list[str]:
    """Names of the shipped bundles."""
    folder = bundles_folder()
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if (path / METADATA).is_file())


def find_by_hash(sha256: str) -> str:
    """Name of the shipped bundle whose weights have this sha256.

    Raises:
        ModelError: There is none.
    """
    for name in shipped():
        about = _read_json(bundles_folder() / name, METADATA).get("ctinv")
        if isinstance(about, dict) and about.get("weights_sha256", {}).get(WEIGHTS) == sha256:
            return name
    raise ModelError(
        f"no shipped denoiser has weights with sha256 {sha256[:12]}…; name the folder of their bundle."
    )


def _folder(source: str | Path) -> Path:
    """The bundle folder of a shipped name or of a path."""
    if isinstance(source, str) and source in shipped():
        return bundles_folder() / source
    folder = Path(source)
    if not folder.is_dir():
        names = ", ".join(shipped()) or "none"
        raise ModelError(
            f"no denoiser {folder.name!r}: it is no bundle folder, and the shipped ones are {names}."
        )
    return folder


def _read_json(folder: Path, inner: str) -> dict[str, Any]:
    path = folder / inner
    bare = f"{path.name} of {folder.name}"
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelError(f"{bare} is larger than {MAX_JSON_BYTES // 1000} kB; it is no bundle file.")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{bare} is missing or no valid JSON; get the bundle again.") from error
    if not isinstance(found, dict):
        raise ModelError(f"{bare} must hold a JSON object; get the bundle again.")
    return found


def _build(definition: Any) -> tuple[NetworkSpec, nn.Module]:
    """The registered class with its literal arguments, without memory for its weights."""
    if not isinstance(definition, dict):
        raise ModelError("inference.json has no network_def with a class; nothing can be loaded from it.")
    target = definition.get("_target_")
    spec = _TARGETS.get(target) if isinstance(target, str) else None
    if spec is None:
        allowed = ", ".join(_TARGETS)
        raise ModelError(
            f"network_def asks for {str(target)[:60]!r}, which is not allowed; allowed are {allowed}."
        )
    arguments = {}
    for key, value in definition.items():
        if key == "_target_":
            continue
        if key.startswith("_"):
            raise ModelError(
                f"network_def has the key {key[:40]!r}, which only a bundle that runs code needs; refused."
            )
        arguments[key] = _literal(key, value)
    try:
        with torch.device("meta"):
            network = spec.network(**arguments)
        size = sum(parameter.numel() for parameter in network.parameters())
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ModelError(
            f"the arguments of {target} in network_def do not fit the class; get the bundle again."
        ) from error
    if size > MAX_PARAMETERS:
        raise ModelError(
            f"network_def asks for {size:,} parameters, more than the {MAX_PARAMETERS:,} allowed."
        )
    return spec, network


def _literal(key: str, value: Any) -> Any:
    """A number, a truth value, a plain text, or a list of them, which becomes a tuple, as networks expect."""
    if isinstance(value, list):
        return tuple(_literal(key, part) for part in value)
    if isinstance(value, str) and any(mark in value for mark in "$@%"):
        raise ModelError(
            f"the argument {key[:40]!r} of network_def is an expression or a reference; write a literal."
        )
    if isinstance(value, bool | int | float | str):
        return value
    raise ModelError(
        f"the argument {key[:40]!r} of network_def is no literal; only numbers, texts and lists are read."
    )


def _expected_hash(about: Mapping[str, Any]) -> str:
    hashes = about.get("weights_sha256")
    expected = hashes.get(WEIGHTS) if isinstance(hashes, dict) else None
    if not isinstance(expected, str) or re.fullmatch(r"[0-9a-f]{64}", expected) is None:
        raise ModelError(f"metadata.json names no sha256 of {WEIGHTS}; the weights cannot be trusted.")
    return expected


def _weights(folder: Path, network: nn.Module, expected: str) -> bytes:
    """Bytes of the one weight file, after its size and hash have been checked."""
    models = folder / "models"
    extra = sorted({path.name for path in models.glob("*")} - {WEIGHTS, PICKLED})
    if extra:
        raise ModelError(
            f"the bundle holds {extra[0][:60]!r} beside {WEIGHTS}, which nothing describes; remove it."
        )
    path = models / WEIGHTS
    limit = 4 * sum(value.numel() for value in network.state_dict().values()) + MAX_JSON_BYTES
    try:
        if path.stat().st_size > limit:
            raise ModelError(f"{WEIGHTS} is larger than the network it should fill; get the bundle again.")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"the bundle {folder.name} has no readable models/{WEIGHTS}; get the bundle again."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ModelError(
            f"{WEIGHTS} has sha256 {found[:12]}…, metadata.json says {expected[:12]}…; get the bundle again."
        )
    return content


def _fill(network: nn.Module, content: bytes) -> None:
    """Load weights whose names, shapes, types and finiteness are exactly those of the network."""
    try:
        tensors: dict[str, Tensor] = load(content)
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{WEIGHTS} is no safetensors file; get the bundle again.") from error
    wanted = network.state_dict()
    for key in sorted(wanted.keys() ^ tensors.keys()):
        side = "lacks" if key in wanted else "has the unknown"
        raise ModelError(f"{WEIGHTS} {side} tensor {key[:60]!r}; the weights belong to another network.")
    for key, value in wanted.items():
        if tensors[key].shape != value.shape or tensors[key].dtype != value.dtype:
            raise ModelError(f"the tensor {key!r} of {WEIGHTS} has another shape or type than the network's.")
        if not bool(torch.isfinite(tensors[key]).all()):
            raise ModelError(
                f"the tensor {key!r} of {WEIGHTS} holds NaN or infinite values; get the bundle again."
            )
    network.load_state_dict(tensors, strict=True, assign=True)


def _name(about: Mapping[str, Any]) -> str:
    name = about.get("name")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ModelError(
            "the name in metadata.json must be 1 to 40 letters, digits, - or _; get the bundle again."
        )
    return name


def _number(about: Mapping[str, Any], key: str, *, positive: bool = False) -> float:
    value = about.get(key)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or (positive and value <= 0)
    ):
        raise ModelError(
            f"{key} in metadata.json must be a {'positive' if positive else 'finite'} number of HU."
        )
    return float(value)


def _taps(about: Mapping[str, Any], network: nn.Module, spec: NetworkSpec) -> dict[str, str]:
    """The bundle's taps, each a submodule that exists; those of the registry if it names none."""
    taps = about.get("taps", dict(spec.taps))
    modules = dict(network.named_modules())
    if not isinstance(taps, dict) or not all(
        isinstance(path, str) and path in modules for path in taps.values()
    ):
        raise ModelError(
            "the taps in metadata.json must map names to layers of the network; get the bundle again."
        )
    return taps
