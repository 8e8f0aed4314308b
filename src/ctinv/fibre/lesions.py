"""Lesion map: how much of a small disc's detectability survives the denoiser (method §7, I3).

η = d'_ε²/d'_in² is 1 where Φ, looked at with tolerance ε, keeps a lesion as detectable as it is in the scan, and 0 where
it is blind to it. It does not depend on the lesion's contrast. C given the surroundings is used: the outside is known.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ctinv.fibre.correct import Corrector
from ctinv.fibre.factor import Factor

DIAMETER_MM = 5.0
STRIDE = 2
MOST_DISCS = 1024


def disc(radius: float) -> NDArray[np.float32]:
    """A disc with anti-aliased edge on an odd square grid, values 0 to 1; the radius is in pixels."""
    half = int(np.ceil(radius))
    fine = (np.arange((2 * half + 1) * 8) + 0.5) / 8 - half - 0.5
    inside = (fine[:, None] ** 2 + fine[None, :] ** 2 <= radius**2).astype(np.float32)
    return inside.reshape(2 * half + 1, 8, 2 * half + 1, 8).mean(axis=(1, 3))


def lesion_map(
    corrector: Corrector, *, spacing_mm: float, diameter_mm: float = DIAMETER_MM
) -> tuple[NDArray[np.float32] | None, dict[str, float]]:
    """η of discs centred in each second pixel of the region, or more sparsely in a large one.

    Args:
        corrector: The prepared region.
        spacing_mm: Pixel spacing in mm.
        diameter_mm: Diameter of the disc in mm.

    Returns:
        (h, w) float32 η, NaN where the disc would leave the region, or None if it fits nowhere; and its figures:
        ``eta_diameter_mm``, ``eta_min``, ``eta_median``.
    """
    height, width = corrector.region.shape
    lesion = disc(max(diameter_mm / spacing_mm / 2.0, 0.75))
    half = lesion.shape[0] // 2
    most = (
        MOST_DISCS if isinstance(corrector.factor, Factor) else MOST_DISCS // 16
    )  # one solution for each disc
    stride = max(STRIDE, int(np.ceil(np.sqrt(height * width / most))))
    rows = np.arange(half, height - half, stride)
    columns = np.arange(half, width - half, stride)
    if not len(rows) or not len(columns):
        return None, {}
    signals = np.zeros((len(rows), len(columns), height, width), dtype=np.float32)
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            signals[i, j, y - half : y + half + 1, x - half : x + half + 1] = lesion
    flat = torch.from_numpy(signals.reshape(-1, height * width)).to(corrector.clean.device)
    eta = corrector.factor.detectability(flat.T).reshape(len(rows), len(columns)).cpu().numpy()
    image = np.full((height, width), np.nan, dtype=np.float32)
    for dy in range(stride):
        for dx in range(stride):
            target = image[half + dy : height - half : stride, half + dx : width - half : stride]
            target[...] = eta[: target.shape[0], : target.shape[1]]
    figures = {
        "eta_diameter_mm": diameter_mm,
        "eta_min": float(eta.min()),
        "eta_median": float(np.median(eta)),
    }
    return image, figures
