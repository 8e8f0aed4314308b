"""C of a CT: projection-domain re-noising of f(x) at the scan's dose, in closed form (method §4).

f(x) is projected, every ray gets the variance that its photons and the electronics give it, and that variance is
propagated through filtered back-projection. What a Monte Carlo of re-noised scans would estimate is thereby known
exactly: the σ map pixel by pixel and the noise power spectrum at the region. The residual x - f(x) is never used: it
lacks what f keeps. Only near the Nyquist frequency the spectrum is taken from the scan (`ctinv.fibre.sharpness`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ctinv.errors import InputError
from ctinv.fibre.covariance import ROUNDING_VARIANCE, Covariance, Known
from ctinv.fibre.holes import filled
from ctinv.fibre.sharpness import sharp_share
from ctinv.simulate.dose import counts, fit_photons, line_integrals, photons_from_tags
from ctinv.simulate.geometry import ParallelGeometry
from ctinv.simulate.low_dose import ELECTRONIC_NOISE, HU_PER_MU, scan_variance
from ctinv.simulate.projector import fbp_autocovariance, fbp_variance
from ctinv.volume import Box, Volume

KERNEL, SHARP = "hann", "ramp"


def photons_of(scan: Volume, photons: float | None) -> tuple[float, str]:
    """The photons per ray of a scan and how they are known.

    Args:
        scan: One slice of the scan.
        photons: The user's number, which wins.

    Returns:
        The photons, and ``"given"``, ``"known"`` (recorded by our own simulation), ``"fitted"`` (so that the local σ in
        homogeneous soft tissue agrees) or ``"dose tags"`` (the slice has no homogeneous soft tissue).
    """
    if photons is not None:
        if not (np.isfinite(photons) and photons > 0):
            raise InputError(f"expected a positive number of photons per ray, got {photons}.")
        return float(photons), "given"
    if scan.acquisition.photons is not None:
        return float(scan.acquisition.photons), "known"
    try:
        return fit_photons(scan), "fitted"
    except InputError:
        tagged = photons_from_tags(scan.acquisition, pixel_mm=scan.spacing[1])
        if tagged is None:
            raise
        return tagged, "dose tags"


def covariance_ct(
    scan: Volume, clean: NDArray[np.float32], area: Box, known: Known
) -> tuple[Covariance, dict[str, Any]]:
    """C on a rectangle of one slice, by re-noising f(x); see `ctinv.fibre.noise.noise_covariance`."""
    if known.sigma is not None:
        raise InputError(
            "the noise of a CT follows from its photons; give those instead of one standard deviation."
        )
    geometry = ParallelGeometry.of(scan)
    number, dose = photons_of(scan, known.photons)
    expected = counts(line_integrals(clean, geometry), geometry, photons=number)
    variance = scan_variance(expected)
    whole = HU_PER_MU * np.sqrt(fbp_variance(variance, geometry, kernel=KERNEL).astype(np.float64))
    centre = ((area.y0 + area.y1) // 2, (area.x0 + area.x1) // 2)
    soft, sharp = (
        _spectrum(variance, geometry, centre, max(area.shape), kernel) for kernel in (KERNEL, SHARP)
    )
    share = sharp_share(scan.hu[0], clean, whole, soft, sharp, white=ROUNDING_VARIANCE)
    sigma = np.sqrt(1.0 + share) * whole[area.slices]
    spectrum = (soft + share * sharp) / (1.0 + share)
    mended = filled(
        spectrum
    )  # streaks correlate beyond the torus, and the ripples of that may leave a bin without noise
    if mended is not None:
        spectrum = mended[0] / mended[0].mean()
    source = {
        "source": "projection-domain re-noising of f(x)",
        "photons": number,
        "dose": dose,
        "electronic_noise": ELECTRONIC_NOISE,
        "kernel": KERNEL,
        "sharp_share": share,
        "sigma_hu": float(np.sqrt(np.mean(sigma**2))),
        "white_variance_hu2": ROUNDING_VARIANCE,
        **({} if mended is None else {"filled_bins": mended[1].bins}),
    }
    return Covariance(area, sigma, spectrum, ROUNDING_VARIANCE), source


def _spectrum(
    variance: NDArray[np.float32],
    geometry: ParallelGeometry,
    centre: tuple[int, int],
    extent: int,
    kernel: str,
) -> NDArray[np.float64]:
    """Power spectrum of mean 1 on a torus that holds the area and the reach of the correlation."""
    size = fft.next_fast_len(extent + 32)
    size += size % 2
    half = size // 2
    covariance = fbp_autocovariance(variance, geometry, at=centre, radius=half, kernel=kernel)
    torus = np.roll(covariance[:size, :size].astype(np.float64), (-half, -half), axis=(0, 1))
    power = np.clip(np.real(fft.fft2(torus)), 0.0, None)
    # Filtered back-projection has no noise at frequency 0 on an infinite plane. In a finite region that bin stands for all
    # frequencies below its inverse size, and a bin without noise would make every denoiser look blind (method §4).
    power[0, 0] = np.mean(power[[0, 0, 1, -1], [1, -1, 0, 0]])
    return np.asarray(power / power.mean())
