"""Spread and texture of a set of samples, against the noise C of the scan, in bands of spatial frequency.

A sample's deviation from the mean over the samples is its noise. Its power in a band over that of C says whether the noise
is that of the scan: 1 in every band for re-noising, 0 where a network draws nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctinv.fibre.dimension import BANDS

Images = NDArray[np.floating]


def spread(samples: Images) -> float:
    """RMS over the region of the standard deviation per pixel, HU; NaN for fewer than two of (n, h, w)."""
    if len(samples) < 2:
        return float("nan")
    return float(np.sqrt(samples.astype(np.float64).var(0, ddof=1).mean()))


def band_power(images: Images) -> dict[str, float]:
    """Mean power per pixel of (n, h, w) images in HU², by band of `BANDS`; the sum is the mean square (Parseval)."""
    height, width = images.shape[1:]
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    power = np.zeros((height, width))
    for image in images:  # one by one, to spare memory
        power += np.abs(np.fft.fft2(image.astype(np.float64))) ** 2
    power /= len(images) * (height * width) ** 2
    return {
        name: float(power[(radius >= low) & (radius < high)].sum()) for name, (low, high) in BANDS.items()
    }


def noise_ratio(samples: Images, noise: Images) -> dict[str, float]:
    """Power of the samples' noise over that of C, by band.

    Args:
        samples: (n, h, w) HU, at least two.
        noise: (m, h, w) HU, draws of C without their known mean.
    """
    deviation = samples - samples.mean(0, dtype=np.float64)
    freedom = len(samples) / (len(samples) - 1)  # the mean took one degree of freedom
    mine, reference = band_power(deviation), band_power(noise)
    return {name: freedom * mine[name] / reference[name] for name in BANDS}


def low_change(images: Images, scan: Images) -> float:
    """RMS in HU of the low band, where anatomy lies, of the difference between (n, h, w) images and the (h, w) scan."""
    return float(np.sqrt(band_power(images - scan)["low"]))
