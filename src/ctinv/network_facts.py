"""What can be said of a network without a scan: shape and reach of its taps, its unit, its convention, its training.

``ctinv info`` and the card in the viewer show it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ctinv.denoiser import Denoiser
from ctinv.errors import ModelError
from ctinv.models.adapter import Adapter
from ctinv.models.card import Convention
from ctinv.models.convention import flat_levels
from ctinv.models.reach import receptive_radii
from ctinv.models.shipped import METADATA, read_config, shipped
from ctinv.progress import Progress
from ctinv.resources import bundles_folder

SIDE = 512  # pixels of the image that shapes are told for
FLOPS_SIDE = 1024
WHOLE, OTHER_GRID = "whole image", "other grid"
_TEXTS = ("description", "authors", "copyright", "data_source", "intended_use")


def network_facts(denoiser: Denoiser, progress: Progress) -> dict[str, Any]:
    """All that can be said of a network without a scan.

    Shapes and operations are counted on torch's meta device, where nothing is computed. One multiplication and addition
    counts as two operations.
    """
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


def origin(source: str | Path) -> dict[str, Any]:
    """Who made a bundle, of which data, and how it was trained; empty for a source that does not say.

    Args:
        source: As for `ctinv.denoiser.load_denoiser`.
    """
    folder = bundles_folder() / source if str(source) in shipped() else Path(source)
    try:
        metadata = read_config(folder, METADATA)
    except ModelError:
        return {}
    found: dict[str, Any] = {
        name: metadata[name] for name in _TEXTS if isinstance(metadata.get(name), str) and metadata[name]
    }
    references = metadata.get("references")
    if isinstance(references, list) and references:
        found["references"] = [str(one) for one in references]
    about = metadata.get("ctinv")
    training = about.get("training") if isinstance(about, Mapping) else None
    if isinstance(training, Mapping):
        found["training"] = {str(name): value for name, value in training.items() if name != "figures"}
    return found


def _taps(denoiser: Denoiser, progress: Progress) -> dict[str, dict[str, Any]]:
    """Shape (C, H', W') at 512 x 512 and receptive radius in pixels of each tap."""
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
    image = torch.empty(1, denoiser.slices, SIDE, SIDE, device="meta")
    try:
        with torch.inference_mode():
            return tuple(copy.deepcopy(denoiser).to("meta").activation(image, tap).shape[1:])
    except Exception:  # a foreign network may raise anything
        return None


def _flops(denoiser: Denoiser) -> float | None:
    """Operations of one forward pass per 10⁶ pixels; None where the network cannot run without numbers."""
    image = torch.empty(1, denoiser.slices, FLOPS_SIDE, FLOPS_SIDE, device="meta")
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            copy.deepcopy(denoiser).to("meta")(image)
    except Exception:  # a foreign network may raise anything
        return None
    return counter.get_total_flops() / FLOPS_SIDE**2 * 1e6
