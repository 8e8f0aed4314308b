"""Where C comes from, for each modality (method §4).

| modality | σ map | spectrum |
|---|---|---|
| CT | projection-domain re-noising of f(x) at the scan's dose | the same, and the scan's own near Nyquist |
| MR | Rician: σ measured in the tissue, or given; lower where there is little signal | white within the support of k-space |
| PT | proportional to a power of the local activity, fitted in homogeneous patches | Gaussian, of the width found there |

To add a modality: write a function of the form of `covariance_mr` in a file ``noise_<modality>.py``, and add its row to
`SOURCES` and its unit to `ctinv.volume.MODALITIES`. The residual x - f(x) is never used as it is: it lacks what f keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.fibre.covariance import Covariance, Known
from ctinv.fibre.noise_ct import covariance_ct
from ctinv.fibre.noise_mr import covariance_mr
from ctinv.fibre.noise_pt import covariance_pt
from ctinv.volume import Box, Volume

Source = Callable[[Volume, NDArray[np.float32], Box, Known], tuple[Covariance, dict[str, Any]]]

SOURCES: dict[str, Source] = {"CT": covariance_ct, "MR": covariance_mr, "PT": covariance_pt}


def noise_covariance(
    scan: Volume, clean: NDArray[np.float32], area: Box, *, known: Known | None = None
) -> tuple[Covariance, dict[str, Any]]:
    """C on a rectangle of one slice.

    Args:
        scan: The slice, (1, H, W), of a known modality.
        clean: (H, W) f(x) in the scan's unit: the anatomy that the noise lies on.
        area: The rectangle.
        known: What the user knows better.

    Returns:
        C, and its source as it goes into the provenance; keys that end in ``_hu`` or ``_hu2`` are in the scan's unit.

    Raises:
        InputError: The noise cannot be found on this slice.
    """
    return SOURCES[scan.modality](scan, clean, area, known or Known())
