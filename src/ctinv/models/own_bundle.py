"""Bundles that this package wrote, read without running anything that a bundle says.

MONAI's own loader resolves any ``_target_`` and evaluates ``$`` expressions, so that loading a bundle runs
it. Here the two JSON files are read as data, the class comes from the allow-list, its
arguments must be literals, and the weights must be the safetensors file whose sha256 the metadata name.
Pickled weights (``model.pt``), which lie beside them for MONAI, are never opened. Nothing of MONAI is
imported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ctinv.errors import ModelError
from ctinv.models.build import build, our_name
from ctinv.models.files import MAX_TEXT_BYTES, inside, sha256
from ctinv.models.found import NAME, SLICES, SMALLEST_STD, FoundNetwork, is_number
from ctinv.models.literals import Definition
from ctinv.models.shipped import INFERENCE, PICKLED, WEIGHTS, read_config
from ctinv.models.weights import fill, read_safetensors
from ctinv.networks import NETWORKS, taps_of


def is_own(metadata: Mapping[str, Any]) -> bool:
    """Whether a bundle was written by this package."""
    return "ctinv" in metadata


def load_own_bundle(folder: Path, metadata: Mapping[str, Any]) -> FoundNetwork:
    """Load a bundle of this package, reading only data.

    Args:
        folder: The bundle.
        metadata: Content of its metadata.json.

    Raises:
        ModelError: The bundle is damaged, or asks for more than a registered class and literals.
    """
    about = metadata["ctinv"]
    if not isinstance(about, dict):
        raise ModelError("the block 'ctinv' in metadata.json must be an object; get the bundle again.")
    if about.get("role") == "generator":
        raise ModelError(
            f"{folder.name} is a generator of candidates, no denoiser; give it as --generator beside its denoiser."
        )
    target, arguments = Definition(read_config(folder, INFERENCE)).read()
    network = build(target, arguments)
    expected = _expected_hash(about)
    fill(network, read_safetensors(_weights(folder, network, expected), WEIGHTS), WEIGHTS)
    return FoundNetwork(
        network=network,
        name=_name(about),
        mean=_number(about, "mean_hu"),
        std=_number(about, "std_hu", positive=True),
        taps=_taps(about, network, target),
        weights_sha256={WEIGHTS: expected},
        slices=_slices(about),
        unit=_unit(about),
        notes=("mean_hu and std_hu as the bundle says",),
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
    path = inside(folder, f"models/{WEIGHTS}")
    limit = 4 * sum(value.numel() for value in network.state_dict().values()) + MAX_TEXT_BYTES
    try:
        if not path.is_file():
            raise FileNotFoundError
        if path.stat().st_size > limit:
            raise ModelError(f"{WEIGHTS} is larger than the network it should fill; get the bundle again.")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"the bundle {folder.name} has no readable models/{WEIGHTS}; get the bundle again."
        ) from error
    found = sha256(content)
    if found != expected:
        raise ModelError(
            f"{WEIGHTS} has sha256 {found[:12]}…, metadata.json says {expected[:12]}…; get the bundle again."
        )
    return content


def _name(about: Mapping[str, Any]) -> str:
    name = about.get("name")
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise ModelError(
            "the name in metadata.json must be 1 to 40 letters, digits, - or _; get the bundle again."
        )
    return name


def _number(about: Mapping[str, Any], key: str, *, positive: bool = False) -> float:
    value: Any = about.get(key)
    if not is_number(value) or (positive and value < SMALLEST_STD):
        raise ModelError(
            f"{key} in metadata.json must be a {'positive' if positive else 'finite'} number of HU."
        )
    return float(value)


def _slices(about: Mapping[str, Any]) -> int:
    """Slices the network sees, 1 where the bundle does not say."""
    slices = about.get("slices", 1)
    if isinstance(slices, bool) or not isinstance(slices, int) or slices not in SLICES:
        raise ModelError("slices in metadata.json must be 1, 3, 5 or 7; get the bundle again.")
    return slices


def _unit(about: Mapping[str, Any]) -> str:
    """Unit of the images, HU where the bundle does not say."""
    unit = about.get("unit", "HU")
    if not isinstance(unit, str) or not 0 < len(unit) <= 20:
        raise ModelError("unit in metadata.json must be a short text such as HU; get the bundle again.")
    return unit


def _taps(about: Mapping[str, Any], network: nn.Module, target: str) -> dict[str, str]:
    """The bundle's taps, each a submodule that exists; those of the registry if it names none."""
    name = our_name(target)
    taps = about.get("taps", {} if name is None else taps_of(NETWORKS[name], network))
    modules = dict(network.named_modules())
    if not isinstance(taps, dict) or not all(
        isinstance(path, str) and path in modules for path in taps.values()
    ):
        raise ModelError(
            "the taps in metadata.json must map names to layers of the network; get the bundle again."
        )
    return taps
