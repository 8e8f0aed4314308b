"""How far each layer sees, for all layers in one pass.

One pixel of a random image is changed, and the values that move at each layer are collected, as
`ctinv.fibre.region.receptive_radius` does for one representation; to ask that for each of many layers would run the whole
network once for each. In float64, so that rounding cannot be mistaken for influence.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

LIMITS = (12, 32, 64)  # small images first: most networks are local and this takes milliseconds
TRIALS = 2  # a ReLU that is off hides a path


def receptive_radii(
    network: nn.Module, paths: Mapping[str, str], *, slices: int = 1
) -> dict[str, int | None]:
    """Radius in pixels that each layer and the output see; None where that is more than 64 pixels or the grid is coarser.

    Args:
        network: Normalised image in, normalised image out.
        paths: Public tap name to submodule path. ``"output"`` is added.
        slices: Neighbouring slices that the network sees; the middle one is changed.
    """
    probe = copy.deepcopy(network).cpu().double()
    found: dict[str, int | None] = dict.fromkeys([*paths, "output"])
    for limit in LIMITS:
        trials = [_reaches(probe, paths, slices, limit + 1, seed) for seed in range(TRIALS)]
        for tap in [tap for tap, radius in found.items() if radius is None]:
            seen = [reach[tap] for reach in trials]
            found[tap] = None if None in seen else max(reach for reach in seen if reach is not None)
        if None not in found.values():
            break
    return found


def _reaches(
    probe: nn.Module, paths: Mapping[str, str], slices: int, margin: int, seed: int
) -> dict[str, int | None]:
    """How far one changed pixel is felt at each tap; None on another grid than the image's."""
    size = 2 * margin + 1
    image = 0.8 * torch.randn(
        1, slices, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    moved = image.clone()
    moved[:, slices // 2, margin, margin] += 1.4
    pair = [_activations(probe, paths, one) for one in (image, moved)]
    return {tap: _reach(pair[0][tap], pair[1][tap], size) for tap in pair[0]}


def _activations(probe: nn.Module, paths: Mapping[str, str], image: Tensor) -> dict[str, Tensor]:
    """What each tapped layer and the network give for an image."""
    found: dict[str, Tensor] = {}

    def record(tap: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> None:
            found[tap] = output.clone()  # the next layer may work in place

        return hook

    handles = [probe.get_submodule(path).register_forward_hook(record(tap)) for tap, path in paths.items()]
    try:
        with torch.inference_mode():
            found["output"] = probe(image)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _reach(before: Tensor, after: Tensor, size: int) -> int | None:
    """Distance of the farthest value that moved; None on another grid, or where the image may be too small to tell.

    Unpadded convolutions may have taken an equal border off all sides, so that less than the image is there to move;
    padding may have been put below and to the right.
    """
    difference = (after - before).abs().amax(dim=(0, 1))
    if size < difference.shape[0] < 1.5 * size:
        difference = difference[:size, :size]
    height, width = difference.shape
    lost = size - height
    if height != width or lost < 0 or lost % 2 or (lost and height <= size // 2 + 1):
        return None
    middle = height // 2
    rows, columns = torch.nonzero(difference > 1e-12 * difference.max(), as_tuple=True)
    reach = max(int((rows - middle).abs().max()), int((columns - middle).abs().max())) if len(rows) else 0
    return reach if reach < middle else None
