"""Pixel by pixel: how near an image is to the full-dose one.

RMSE is taken over the body alone, so that the share of air in a slice does not matter. PSNR and SSIM are those of
scikit-image on whole slices clipped to a window whose width is the data range. All three see the noise of the
full-dose image as if it were signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AIR_HU = -950.0  # between air (-1000 HU and its noise) and aerated lung (about -850 HU)


@dataclass(frozen=True)
class Scale:
    """What the values of an image mean.

    Attributes:
        air: At or below it lies what is not body.
        window: Values outside are clipped for PSNR and SSIM; None for the range of the full-dose slice.
        tissue: Mean of a homogeneous square that counts as soft tissue; None where the unit has no such range, and
            then neither noise nor edges are measured.
    """

    air: float
    window: tuple[float, float] | None = None
    tissue: tuple[float, float] | None = None


# 0 to 250 HU leaves out fat, lung and bone and keeps contrast-enhanced organs
HOUNSFIELD = Scale(AIR_HU, (-1000.0, 1000.0), (0.0, 250.0))


def body_rmse(image: NDArray[np.float32], full: NDArray[np.float32], *, air: float = AIR_HU) -> float:
    """RMSE in HU over the pixels that are not air in the full-dose image; NaN where all is air."""
    body = full > air
    if not body.any():
        return float("nan")
    return float(np.sqrt(np.mean((image[body] - full[body]) ** 2, dtype=np.float64)))


def fidelity(
    image: NDArray[np.float32], full: NDArray[np.float32], *, scale: Scale = HOUNSFIELD
) -> dict[str, float]:
    """RMSE of the body in HU, PSNR in dB, and SSIM of one (H, W) slice in HU.

    References:
        Image quality assessment: from error visibility to structural similarity, Wang et al., IEEE TIP 2004
        https://doi.org/10.1109/TIP.2003.819861 (Gaussian window, σ 1.5).
    """
    # imported here: it costs a second and is used after training only
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    low, high = scale.window or (float(full.min()), float(full.max()))
    a, b = np.clip(full, low, high), np.clip(image, low, high)
    with np.errstate(divide="ignore"):  # identical images: infinite, as it should be
        psnr = peak_signal_noise_ratio(a, b, data_range=high - low)
    ssim = structural_similarity(
        a, b, data_range=high - low, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return {"rmse_hu": body_rmse(image, full, air=scale.air), "psnr_db": float(psnr), "ssim": float(ssim)}
