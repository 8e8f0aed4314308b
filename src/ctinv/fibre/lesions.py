"""Lesion map: how much of a small disc's detectability survives the denoiser (method §7, I3).

η = d'_ε²/d'_in² is 1 where Φ, looked at with tolerance ε, keeps a lesion as detectable as it is in the scan, and 0 where
it is blind to it. It does not depend on the lesion's contrast. C given the surroundings is used: the outside is known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctinv.fibre.correct import Corrector
from ctinv.fibre.discs import DiscGrid, Spacing
from ctinv.fibre.factor import Factor

DIAMETER_MM = 5.0
STRIDE = 2
MOST_DISCS = 1024


def lesion_map(
    corrector: Corrector, *, spacing_mm: Spacing, diameter_mm: float = DIAMETER_MM
) -> tuple[NDArray[np.float32] | None, dict[str, float]]:
    """η of discs centred in each second pixel of the region, or more sparsely in a large one.

    Args:
        corrector: The prepared region.
        spacing_mm: Distance of rows and of columns in mm.
        diameter_mm: Diameter of the disc in mm.

    Returns:
        (h, w) float32 η, NaN where the disc would leave the region, or None if it fits nowhere; and its figures:
        ``eta_diameter_mm``, ``eta_min``, ``eta_median``.
    """
    height, width = corrector.region.shape
    most = (
        MOST_DISCS if isinstance(corrector.factor, Factor) else MOST_DISCS // 16
    )  # one solution for each disc
    stride = max(STRIDE, int(np.ceil(np.sqrt(height * width / most))))
    grid = DiscGrid.on((height, width), spacing_mm, diameter_mm, stride=stride)
    if not len(grid):
        return None, {}
    flat = grid.signals.to_dense().T.to(corrector.clean.device)
    eta = corrector.factor.detectability(flat).cpu().numpy()
    figures = {
        "eta_diameter_mm": diameter_mm,
        "eta_min": float(eta.min()),
        "eta_median": float(np.median(eta)),
    }
    return grid.image(eta), figures
