"""Rician noise of magnitude MR images.

A coil measures a complex image; each part has Gaussian noise of the same σ, and the magnitude is shown,

    m = |A + n₁ + i·n₂|,   n₁, n₂ ~ N(0, σ²).

With the signal-to-noise ratio ν = A/σ its moments are E[m²] = A² + 2σ² and, with L the Laguerre function L_½,

    E[m] = σ·√(π/2)·L(-ν²/2),   L(-u) = e^(-u/2)·[(1 + u)·I₀(u/2) + u·I₁(u/2)].

Without signal it is Rayleigh noise: mean 1.253·σ and standard deviation 0.655·σ. From ν of about 3 on it is Gaussian noise
with the mean √(A² + σ²) and the standard deviation σ, to a few percent.

References:
    H. Gudbjartsson, S. Patz, The Rician distribution of noisy MRI data, Magn Reson Med 34, 1995.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ctinv.errors import InputError
from ctinv.simulate.low_dose import slice_generator
from ctinv.volume import Volume

RAYLEIGH_STD = float(np.sqrt(2.0 - np.pi / 2.0))
"""Standard deviation of the magnitude where there is no signal, in units of σ."""


def rician_mean(amplitude: NDArray[Any], sigma: float) -> NDArray[np.float64]:
    """E[m] of the magnitude for the true amplitude A, same shape and unit."""
    half = (np.asarray(amplitude, dtype=np.float64) / sigma) ** 2 / 4.0
    # The scaled Bessel functions carry the factor e^(-u/2), u/2 = `half`, so that nothing overflows.
    laguerre = (1.0 + 2.0 * half) * special.i0e(half) + 2.0 * half * special.i1e(half)
    return np.asarray(sigma * np.sqrt(np.pi / 2.0) * laguerre)


def rician_variance(amplitude: NDArray[Any], sigma: float) -> NDArray[np.float64]:
    """Var[m] = A² + 2σ² - E[m]², from 0.43·σ² without signal up to σ²."""
    ratio = np.asarray(amplitude, dtype=np.float64) / sigma
    exact = ratio**2 + 2.0 - rician_mean(ratio, 1.0) ** 2
    # Far from 0 the difference of two large numbers loses its digits; its series does not.
    with np.errstate(divide="ignore"):
        series = 1.0 - 0.5 / np.square(ratio) - 0.5 / np.power(ratio, 4)
    return np.asarray(sigma**2 * np.where(np.abs(ratio) < 30.0, exact, series))


def add_rician_noise(volume: Volume, *, sigma: float, seed: int) -> Volume:
    """A magnitude image with more noise: |m + n₁ + i·n₂|.

    Slice z gets the same noise however the volume was cut along z. The noise that the volume already has adds in quadrature
    where there is signal.

    Args:
        volume: Magnitudes, 0 or more.
        sigma: σ of each part, in the volume's unit.
        seed: Seed of the noise.

    Returns:
        A volume at the same place; another image, so another uid.

    Raises:
        InputError: σ is not positive, or the volume holds negative values and is no magnitude image.
    """
    if not (np.isfinite(sigma) and sigma > 0):
        raise InputError(f"expected a noise level above 0 in the unit of the image, got {sigma}.")
    if float(volume.hu.min()) < 0:
        raise InputError(
            f"expected magnitudes of 0 or more, got values down to {float(volume.hu.min()):.3g}; Rician noise belongs "
            "to magnitude MR images."
        )
    noisy = np.empty_like(volume.hu)
    for z, plane in enumerate(volume.hu):
        generator = slice_generator(seed, volume.offset[0] + z)
        real, imaginary = sigma * generator.standard_normal((2, *plane.shape), dtype=np.float32)
        np.hypot(plane + real, imaginary, out=noisy[z])
    note = f"Rician noise of {sigma:g} {volume.unit} added, seed {seed}."
    return replace(volume.with_hu(noisy), notes=(*volume.notes, note))
