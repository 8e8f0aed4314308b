"""How near a denoised image is to the full-dose one, beside the unprocessed low-dose image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ctinv.training.data import AIR_HU, Pair

LOW_HU, HIGH_HU = -1000.0, 1000.0  # PSNR and SSIM: values are clipped to this range, data range 2000 HU


def spread_slices(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` slice numbers, evenly spaced in the middle of equal parts of ``count`` slices."""
    wanted = min(wanted, count)
    return [int((part + 0.5) * count / wanted) for part in range(wanted)]


@torch.no_grad()
def denoise_slice(
    network: nn.Module, image: NDArray[np.float32], *, mean: float, std: float
) -> NDArray[np.float32]:
    """One (H, W) slice, HU to HU."""
    x = torch.from_numpy(np.array(image, dtype=np.float32))[None, None]
    output: NDArray[np.float32] = (network((x - mean) / std) * std + mean)[0, 0].numpy()
    return output


def body_rmse(image: NDArray[np.float32], full: NDArray[np.float32]) -> float:
    """RMSE in HU over the pixels that are not air in the full-dose image; NaN where all is air."""
    body = full > AIR_HU
    return (
        float(np.sqrt(np.mean((image[body] - full[body]) ** 2, dtype=np.float64)))
        if body.any()
        else float("nan")
    )


def figures(image: NDArray[np.float32], full: NDArray[np.float32]) -> dict[str, float]:
    """RMSE of the body in HU; PSNR in dB and SSIM on values clipped to [-1000, 1000] HU; of one slice."""
    from skimage.metrics import (
        peak_signal_noise_ratio,
        structural_similarity,
    )  # costs a second, used after training only

    a, b = np.clip(full, LOW_HU, HIGH_HU), np.clip(image, LOW_HU, HIGH_HU)
    data_range = HIGH_HU - LOW_HU
    ssim = structural_similarity(
        a, b, data_range=data_range, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return {
        "rmse_hu": body_rmse(image, full),
        "psnr_db": float(peak_signal_noise_ratio(a, b, data_range=data_range)),
        "ssim": float(ssim),
    }


def compare(
    network: nn.Module, pair: Pair, slices: Sequence[int], *, mean: float, std: float
) -> dict[str, dict[str, float]]:
    """Mean figures over slices, ``{"low": …, "denoised": …}``; see `figures`."""
    network.eval()
    rows: dict[str, list[dict[str, float]]] = {"low": [], "denoised": []}
    for z in slices:
        low, full = (np.asarray(side[z], dtype=np.float32) for side in (pair.low, pair.full))
        rows["low"].append(figures(low, full))
        rows["denoised"].append(figures(denoise_slice(network, low, mean=mean, std=std), full))
    return {
        side: {key: float(np.nanmean([row[key] for row in of])) for key in of[0]} for side, of in rows.items()
    }


def validation_rmse(
    network: nn.Module, pairs: Sequence[Pair], slices: int, *, mean: float, std: float
) -> float:
    """RMSE in HU over the body of evenly spaced slices of all pairs, root mean square over slices."""
    network.eval()
    squares = []
    for pair in pairs:
        for z in spread_slices(pair.low.shape[0], slices):
            low, full = (np.asarray(side[z], dtype=np.float32) for side in (pair.low, pair.full))
            squares.append(body_rmse(denoise_slice(network, low, mean=mean, std=std), full) ** 2)
    return float(np.sqrt(np.nanmean(squares)))
