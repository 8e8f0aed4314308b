"""What chooses the weights of a run: error and texture on evenly spaced slices of the validation patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ctinv.training.data import Pair, neighbours
from ctinv.training.evaluate import spread_slices

_TILE = 32
_BINS = 8
_LOWEST = 0.1  # cycles per pixel; below, anatomy outweighs noise


@dataclass(frozen=True)
class Validation:
    """Figures of one validation.

    Attributes:
        rmse: RMSE over the body, root mean square over slices, in HU or the image's own unit.
        texture: Σ|P_denoised − P_full| / ΣP_full of the noise powers in bands above 0.1 cycles per pixel.
        preview: (3, H, W) HU: low dose, denoised and full dose of the first slice.
    """

    rmse: float
    texture: float
    preview: NDArray[np.float32]


@torch.no_grad()
def validate(
    network: nn.Module,
    pairs: Sequence[Pair],
    *,
    count: int,
    mean: float,
    std: float,
    air: float,
    slices: int = 1,
) -> Validation:
    """Denoise ``count`` slices of each pair and compare; the network is left in training mode.

    Args:
        network: Normalised (B, S, H, W) to (B, 1, H, W).
        pairs: Of the validation patients.
        count: Slices of each pair.
        mean, std, air, slices: As in the training's config.
    """
    network.eval()
    device = next(network.parameters()).device
    squares, powers, preview = [], [], None
    for pair in pairs:
        for z in spread_slices(len(pair.low), count):
            low, full = neighbours(pair.low, z, slices), np.asarray(pair.full[z], dtype=np.float32)
            x = torch.from_numpy((low - mean) / std)[None].to(device)
            denoised = network(x)[0, 0].cpu().numpy() * np.float32(std) + np.float32(mean)
            body = full > air
            squares.append(float(np.mean((denoised[body] - full[body]) ** 2)) if body.any() else np.nan)
            powers.append(_powers(denoised, full, body))
            if preview is None:
                preview = np.stack([low[slices // 2], denoised, full])
    network.train()
    of_denoised, of_full = np.sum(powers, axis=0)
    texture = float(np.abs(of_denoised - of_full).sum() / of_full.sum()) if of_full.any() else float("nan")
    assert preview is not None
    return Validation(float(np.sqrt(np.nanmean(squares))), texture, preview)


def _powers(
    denoised: NDArray[np.float32], full: NDArray[np.float32], body: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Radial power of both images, (2, bands), summed over tiles that lie inside the body."""
    window = np.outer(np.hanning(_TILE), np.hanning(_TILE))
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.fftfreq(_TILE)[None])
    band = np.floor((frequency - _LOWEST) / (0.5 - _LOWEST) * _BINS).astype(int)
    inside = (band >= 0) & (band < _BINS)
    total = np.zeros((2, _BINS))
    for y in range(0, full.shape[0] - _TILE + 1, _TILE):
        for x in range(0, full.shape[1] - _TILE + 1, _TILE):
            place = (slice(y, y + _TILE), slice(x, x + _TILE))
            if not body[place].all():
                continue
            for side, image in enumerate((denoised, full)):
                tile = image[place].astype(np.float64)
                power = np.abs(np.fft.fft2(window * (tile - tile.mean()))) ** 2
                total[side] += np.bincount(band[inside], power[inside], minlength=_BINS)
    return total
