"""The scan's own sharp noise: what the inserted or assumed kernel's spectrum lacks near the Nyquist frequency.

Every scanner's kernel ends differently. A model spectrum that falls to nothing where the scan still has noise would call
the scan itself implausible there, and every sample a better scan than the scan. Near the Nyquist frequency anatomy has
died out and only noise is left, so there, and only there, the spectrum is read off the scan: a share of unapodised
filtered-back-projection noise, rising with frequency, is added until the power agrees. Low frequencies stay as the
projections give them: one wrong bin there makes a denoiser look blind (method §4).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

WINDOW = 32
BAND = (0.40, 0.50)  # cycles per pixel
_BODY_HU = -200.0


def sharp_share(
    scan: NDArray[np.float32],
    clean: NDArray[np.float32],
    sigma: NDArray[np.float64],
    soft: NDArray[np.float64],
    sharp: NDArray[np.float64],
    *,
    white: float,
) -> float:
    """Power of sharp noise, as a share of the modelled noise power, that brings the band near Nyquist into agreement.

    Args:
        scan: (H, W) HU.
        clean: (H, W) f(x) in HU, to find the body.
        sigma: (H, W) modelled std in HU.
        soft: (T, T) modelled spectrum, mean 1.
        sharp: (T, T) spectrum of unapodised noise, mean 1.
        white: Variance of the white floor in HU².

    Returns:
        The median over windows in the body, 0 or more; 0 where there is no body.
    """
    taper = np.hanning(WINDOW + 2)[1:-1]
    window = taper[:, None] * taper[None, :]
    radius = np.hypot(fft.fftfreq(WINDOW)[:, None], fft.fftfreq(WINDOW)[None, :])
    band = (radius >= BAND[0]) & (radius < BAND[1])
    soft_power, sharp_power = (_windowed(spectrum, window)[band].mean() for spectrum in (soft, sharp))
    white_power = white * float((window**2).sum())
    shares = []
    for y in range(0, scan.shape[0] - WINDOW + 1, WINDOW // 2):
        for x in range(0, scan.shape[1] - WINDOW + 1, WINDOW // 2):
            part = slice(y, y + WINDOW), slice(x, x + WINDOW)
            if clean[part].min() < _BODY_HU:
                continue
            detail = (scan[part] - np.average(scan[part], weights=window)) * window
            found = (np.abs(fft.fft2(detail)) ** 2)[band].mean()
            variance = float((sigma[part] ** 2).mean())
            shares.append((found - white_power - variance * soft_power) / (variance * sharp_power))
    return max(0.0, float(np.median(shares))) if shares else 0.0


def _windowed(spectrum: NDArray[np.float64], window: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected periodogram of windowed noise of this spectrum, leakage included."""
    size = len(window)
    correlation = np.real(fft.ifft2(spectrum))
    overlap = np.real(fft.ifft2(np.abs(fft.fft2(window, (2 * size, 2 * size))) ** 2))
    lags = fft.fftfreq(2 * size, 1 / (2 * size)).astype(int) % len(correlation)
    expected = np.real(fft.fft2(correlation[np.ix_(lags, lags)] * overlap))
    return np.asarray(expected[::2, ::2])
