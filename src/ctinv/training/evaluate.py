"""How near a network brings the low dose of a pair to its full dose; the figures are those of `ctinv.quality`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ctinv.quality.fidelity import HOUNSFIELD, Scale
from ctinv.quality.measure import measure
from ctinv.training.data import Pair, neighbours


def spread_slices(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` slice numbers, evenly spaced in the middle of equal parts of ``count`` slices."""
    wanted = min(wanted, count)
    return [int((part + 0.5) * count / wanted) for part in range(wanted)]


def compare(
    network: nn.Module,
    pair: Pair,
    slices: Sequence[int],
    *,
    mean: float,
    std: float,
    stack: int = 1,
    scale: Scale = HOUNSFIELD,
) -> dict[str, dict[str, float | None]]:
    """Figures of the full dose, the low dose and the denoised low dose, all at the same places.

    Args:
        network: Normalised (1, S, H, W) to (1, 1, H, W), on any device.
        pair: One patient; noise and edges are measured if its ``spacing_mm`` is known.
        slices: Slice numbers.
        mean, std: HU the network sees as 0, and HU it sees as 1.
        stack: S, neighbouring slices the network sees.
        scale: What the values mean; CT by default.

    Returns:
        ``{"places": …, "full": …, "low": …, "denoised": …}`` as of `ctinv.quality.measure`; None, in JSON null, where a
        figure does not exist.
    """
    network.eval()
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))

    def low(z: int) -> NDArray[np.float32]:
        return np.asarray(pair.low[z], dtype=np.float32)

    @torch.no_grad()
    def denoised(z: int) -> NDArray[np.float32]:
        x = torch.from_numpy((neighbours(pair.low, z, stack) - mean) / std)[None].float().to(device)
        output: NDArray[np.float32] = (network(x) * std + mean)[0, 0].cpu().numpy()
        return output

    return measure(
        pair.full, {"low": low, "denoised": denoised}, slices, spacing_mm=pair.spacing_mm, scale=scale
    )
