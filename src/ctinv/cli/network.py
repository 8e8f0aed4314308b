"""A network from the options of a command, and what ``ctinv info`` says of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctinv.cli.progress import Report

if TYPE_CHECKING:
    from ctinv.denoiser import Denoiser

SIDE = 512  # pixels of the image that shapes are told for
FLOPS_SIDE = 1024
WHOLE, OTHER_GRID = "whole image", "other grid"
_FILES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pt2", ".onnx", ".ts", ".torchscript", ".jit")


def is_network(source: Path) -> bool:
    """Whether a path or text names a network rather than a scan, told without loading torch."""
    from ctinv.resources import bundles_folder

    if source.is_dir():
        return (source / "configs").is_dir()
    if source.is_file():
        return source.suffix.lower() in _FILES
    return ":" in source.name or (source.parent == Path() and (bundles_folder() / source.name).is_dir())


def load(
    source: str | Path, *, network: str | None, card: Path | None, trust: str | None, device: str = "cpu"
) -> Denoiser:
    """The denoiser that the options of a command name.

    Raises:
        ModelError: It cannot be loaded.
        InputError: The device does not exist here.
    """
    from ctinv.denoiser import load_denoiser, pick_device

    return load_denoiser(str(source), device=pick_device(device), network=network, card=card, trust=trust)


def load_all(sources: list[str]) -> dict[str, Denoiser]:
    """Name to network; two of one name are told apart by a number.

    Raises:
        ModelError: One cannot be loaded.
    """
    found: dict[str, Denoiser] = {}
    for source in sources:
        denoiser = load(source, network=None, card=None, trust=None)
        names = (denoiser.name, *(f"{denoiser.name} #{number}" for number in range(2, len(sources) + 1)))
        found[next(name for name in names if name not in found)] = denoiser
    return found


def network_facts(denoiser: Denoiser, progress: Report) -> dict[str, Any]:
    """All that can be said of a network without a scan.

    Shapes and operations are counted on torch's meta device, where nothing is computed. One multiplication and addition
    counts as two operations.
    """
    from ctinv.models.adapter import Adapter
    from ctinv.models.card import Convention
    from ctinv.models.convention import flat_levels

    network = denoiser.network.network if isinstance(denoiser.network, Adapter) else denoiser.network
    convention = Convention(denoiser.mean, denoiser.std, "")
    unit = denoiser.unit or "HU"
    flat = flat_levels(denoiser.network, convention, slices=denoiser.slices, unit=unit)
    return {
        "name": denoiser.name,
        "network": type(network).__name__,
        "parameters": sum(parameter.numel() for parameter in denoiser.parameters()),
        "weights_sha256": denoiser.weights_sha256,
        "mean_hu": denoiser.mean,
        "std_hu": denoiser.std,
        "unit": unit,
        "slices": denoiser.slices,
        "how": denoiser.notes,
        "flops_per_megapixel": _flops(denoiser),
        "flat": {f"{level:g}": back for level, back in flat.items()},
        "taps": _taps(denoiser, progress),
    }


def facts_for_people(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same with one line for each tap and each note."""
    from ctinv.cli.tables import flat, number

    rows = flat({name: value for name, value in facts.items() if name not in ("taps", "how", "flat", "kind")})
    flops = facts["flops_per_megapixel"]
    rows["flops per megapixel"] = "-" if flops is None else f"{flops / 1e9:.1f} GFLOP"
    rows["flat images"] = ", ".join(f"{level} → {number(back)}" for level, back in facts["flat"].items())
    for number_, note in enumerate(facts["how"], start=1):
        rows[f"how {number_}"] = note
    for tap, about in facts["taps"].items():
        radius = about["receptive_radius"]
        field = radius if isinstance(radius, str) else f"{2 * radius + 1} × {2 * radius + 1} pixels"
        rows[f"tap {tap}"] = f"{' × '.join(map(str, about['shape'] or '-'))}; sees {field}"
    return rows


def _taps(denoiser: Denoiser, progress: Report) -> dict[str, dict[str, Any]]:
    """Shape (C, H', W') at 512 x 512 and receptive radius in pixels of each tap."""
    from ctinv.models.reach import receptive_radii

    progress("measuring what each layer sees", math.nan)
    radii = receptive_radii(denoiser.network, denoiser.tap_paths, slices=denoiser.slices) | {"input": 0}
    found: dict[str, dict[str, Any]] = {}
    for tap in denoiser.taps:
        shape, radius = _shape(denoiser, tap), radii[tap]
        same = shape is None or shape[-2:] == (SIDE, SIDE)
        found[tap] = {
            "shape": shape,
            "receptive_radius": (WHOLE if same else OTHER_GRID) if radius is None else radius,
        }
    return found


def _shape(denoiser: Denoiser, tap: str) -> tuple[int, ...] | None:
    """(C, H', W') of a tap for a 512 x 512 image; None where the network cannot run without numbers."""
    import torch

    image = torch.empty(1, denoiser.slices, SIDE, SIDE, device="meta")
    try:
        with torch.inference_mode():
            return tuple(copy.deepcopy(denoiser).to("meta").activation(image, tap).shape[1:])
    except Exception:  # a foreign network may raise anything
        return None


def _flops(denoiser: Denoiser) -> float | None:
    """Operations of one forward pass per 10⁶ pixels; None where the network cannot run without numbers."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    image = torch.empty(1, denoiser.slices, FLOPS_SIDE, FLOPS_SIDE, device="meta")
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            copy.deepcopy(denoiser).to("meta")(image)
    except Exception:  # a foreign network may raise anything
        return None
    return counter.get_total_flops() / FLOPS_SIDE**2 * 1e6
