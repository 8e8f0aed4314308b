"""C of a magnitude MR image: Rician noise.

Where the signal A is strong the noise is Gaussian with one σ everywhere; towards the background its standard deviation
falls to 0.655·σ, exactly as √Var[m] of the Rician law at the amplitude f(x) (`ctinv.simulate.rician`). Its mean, which
rises by up to 1.25·σ there, is no part of C: where f(x) is below 3·σ the Gaussian law is an approximation, and the share
of such pixels is stated.

σ is measured in the tissue, where it is needed: reconstruction from several coils changes the noise of the background.
The filter N = (1 -2 1)ᵀ(1 -2 1) is blind to planes; the median absolute value of N x over the tissue, divided by 0.6745
and by the filter's gain for the spectrum, is σ (Immerkær 1996 with the median of Donoho and Johnstone 1994).

The spectrum is white, unless the image was interpolated by zero-filling of k-space: then its outer frequencies are empty.
That shows as a fall of the slice's power spectrum by more than a factor of 10 within a few frequencies, and the noise is
white within the edges where it falls.

References:
    H. Gudbjartsson, S. Patz, The Rician distribution of noisy MRI data, Magn Reson Med 34, 1995.
    J. Immerkær, Fast noise variance estimation, Comput Vis Image Underst 64, 1996.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from ctinv.errors import InputError
from ctinv.fibre.covariance import Covariance, Known
from ctinv.fibre.tiers import step_of
from ctinv.simulate.rician import rician_variance
from ctinv.volume import Box, Volume

STRONG = 5.0
"""Signal-to-noise ratio from which a pixel counts as tissue; the Rician σ is that of the Gaussian within 1 % there."""
WEAK = 3.0
_FEWEST = 200
_FALL = 10.0
_FILTER = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0])
_MEDIAN_OF_NORMAL = 0.6744898
_MEDIAN_OF_RAYLEIGH = 1.1774100


def covariance_mr(
    scan: Volume, clean: NDArray[np.float32], area: Box, known: Known
) -> tuple[Covariance, dict[str, Any]]:
    """C on a rectangle of one slice of magnitudes; see `ctinv.fibre.noise.noise_covariance`."""
    if known.photons is not None:
        raise InputError("an MR image has no photons; give its noise's standard deviation instead.")
    if float(scan.hu.min()) < 0:
        raise InputError(
            f"expected MR magnitudes of 0 or more, got {float(scan.hu.min()):.3g}; phase and real images have other noise."
        )
    edges = support(scan.hu[0])
    found = {"sigma_tissue": tissue_sigma(scan.hu[0], clean, edges), "sigma_background": None}
    sigma = known.sigma if known.sigma is not None else found["sigma_tissue"]
    if sigma is None:
        raise InputError(
            "the noise of this slice cannot be measured, it has too little tissue above it; give its standard deviation."
        )
    if not (np.isfinite(sigma) and sigma > 0):
        raise InputError(f"expected a noise level above 0 in the unit of the image, got {sigma}.")
    found["sigma_background"] = background_sigma(scan.hu[0], clean, sigma)
    amplitude = np.clip(clean[area.slices].astype(np.float64), 0.0, None)
    white = step_of(scan) ** 2 / 12.0
    source = {
        "source": "Rician noise of one sigma",
        "sigma_from": "given" if known.sigma is not None else "second differences in the tissue, median",
        "sigma": float(sigma),
        **found,
        "spectrum": "white" if min(edges) >= 0.5 else "white within the support of k-space",
        "support_cycles_per_pixel": list(edges),
        "share_below_3_sigma": float(np.mean(amplitude < WEAK * sigma)),
        "white_variance_hu2": white,
    }
    spectrum = flat_spectrum(edges, max(area.shape))
    return Covariance(area, np.sqrt(rician_variance(amplitude, float(sigma))), spectrum, white), source


def tissue_sigma(
    scan: NDArray[np.float32], clean: NDArray[np.float32], edges: tuple[float, float] = (0.5, 0.5)
) -> float | None:
    """σ of (H, W) magnitudes from the pixels whose signal is at least 5 σ, or None if they are fewer than 200.

    Args:
        scan: (H, W) magnitudes.
        clean: (H, W) f(x), to find the tissue.
        edges: Support of the noise spectrum, cycles per pixel along y and x.
    """
    differences = np.abs(ndimage.convolve(scan.astype(np.float64), _FILTER, mode="nearest"))
    gain = np.sqrt(np.mean(_filter_power(64) * flat_spectrum(edges, 32)))
    tissue = clean > clean.mean()
    for _ in range(4):  # the tissue and σ decide each other; two rounds settle it
        inside = ndimage.binary_erosion(tissue, np.ones((3, 3)))
        if np.count_nonzero(inside) < _FEWEST:
            return None
        sigma = float(np.median(differences[inside]) / _MEDIAN_OF_NORMAL / gain)
        tissue = clean > STRONG * sigma
    return sigma


def background_sigma(scan: NDArray[np.float32], clean: NDArray[np.float32], sigma: float) -> float | None:
    """σ from the Rayleigh noise of the background, for comparison only; None if it is small or was set to 0."""
    background = ndimage.binary_erosion(clean < WEAK * sigma, np.ones((3, 3)))
    values = scan[background]
    if len(values) < _FEWEST or np.mean(values == 0) > 0.2:
        return None
    return float(np.median(values) / _MEDIAN_OF_RAYLEIGH)


def support(scan: NDArray[np.float32]) -> tuple[float, float]:
    """Where the spectrum of (H, W) values ends along y and x in cycles per pixel: 0.5 if not before Nyquist."""
    height, width = scan.shape
    taper = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    power = np.abs(fft.fft2(scan * taper)) ** 2
    return _edge(power), _edge(power.T)


def _edge(power: NDArray[np.float64]) -> float:
    """The frequency along the first axis beyond which the power is gone, found as a sharp fall; 0.5 without one."""
    count = len(power) // 2 + 1
    # High enough for what the other axis leaves of the spectrum, and free of the anatomy's few strong lines.
    profile = np.log(np.percentile(power, 80.0, axis=1)[:count] + 1e-30)
    span = max(2, round(0.03 * len(power)))
    fall = profile[: -2 * span] - profile[2 * span :]
    first = round(0.15 * len(power))
    if len(fall) <= first or fall[first:].max() < np.log(_FALL):
        return 0.5
    # Half way down in the logarithm; the fall itself may be sharper than the span.
    steepest = first + int(np.argmax(fall[first:]))
    level = (profile[steepest] + profile[steepest + 2 * span]) / 2
    inside = np.flatnonzero(profile[steepest : steepest + 2 * span + 1] >= level)
    return float((steepest + inside[-1] + 0.5) / len(power))


def flat_spectrum(edges: tuple[float, float], extent: int) -> NDArray[np.float64]:
    """Spectrum of mean 1 on a torus for an area of this extent: one within the edges, a thousandth beyond them."""
    size = fft.next_fast_len(extent + 32)
    size += size % 2
    frequency = np.abs(fft.fftfreq(size))
    inside = (frequency[:, None] <= edges[0]) & (frequency[None, :] <= edges[1])
    power = np.where(inside, 1.0, 1e-3)  # never 0: what the model forbids would count as an endless χ²
    return np.asarray(power / power.mean())


def _filter_power(size: int) -> NDArray[np.float64]:
    """|N|² of the filter of second differences on a torus."""
    return np.asarray(np.abs(fft.fft2(_FILTER, (size, size))) ** 2)
