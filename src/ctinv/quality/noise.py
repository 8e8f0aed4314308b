"""Noise of homogeneous squares: standard deviation and noise power spectrum (NPS).

A square of n x n pixels of size Δ (mm) loses its 2nd-order polynomial, the slow change of tissue and cupping; what is
left, e, is called noise. With the DFT

    NPS(k) = Δ²/n² |DFT e|²   in HU² mm², at frequencies k/(nΔ) cycles/mm,

the mean over squares is an ensemble estimate, and Σ NPS/(nΔ)² = mean e² (Parseval). The radial NPS is the mean over
rings of width 1/(nΔ), its peak and its mean frequency ∫f NPS df / ∫NPS df (radial, up to Nyquist) name the texture:
fine grain lies high, blotches lie low.

In real anatomy e holds small vessels as well as noise. They lie at low frequencies and weigh the more the less noise
is left; images are therefore compared at the very same squares.

References:
    Performance evaluation of computed tomography systems: summary of AAPM Task Group 233, Samei et al., Med Phys
    2019, https://doi.org/10.1002/mp.13763; ICRU Report 87.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

Array = NDArray[np.float64]

SMOOTHING_MM = 1.5
FLAT_HU = 6.0  # largest standard deviation of the smoothed square: structure, not noise
_TERMS = 6  # of a polynomial of order 2 in two variables


@dataclass(frozen=True)
class Square:
    """A homogeneous n x n square: slice number, first row and column, and how much structure it shows (HU)."""

    z: int
    y: int
    x: int
    roughness_hu: float


@dataclass(frozen=True, eq=False)
class NoisePower:
    """Radial NPS: frequency (K,) in cycles/mm from the first ring to Nyquist, power (K,) in HU² mm², variance in HU²."""

    frequency: Array
    power: Array
    variance: float

    @property
    def std_hu(self) -> float:
        """Standard deviation of the noise in HU."""
        return float(np.sqrt(self.variance))

    @property
    def mean_per_mm(self) -> float:
        """Mean frequency in cycles/mm; NaN without noise."""
        total = self.power.sum()
        return float((self.frequency * self.power).sum() / total) if total > 0 else float("nan")

    @property
    def peak_per_mm(self) -> float:
        """Frequency of the maximum in cycles/mm: vertex of the parabola through the rings around it."""
        if not self.power.sum() > 0:
            return float("nan")
        smooth = np.convolve(np.pad(self.power, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
        top = int(smooth.argmax())
        first, last = top, top
        while first > 0 and smooth[first - 1] >= 0.75 * smooth[top]:
            first -= 1
        while last < len(smooth) - 1 and smooth[last + 1] >= 0.75 * smooth[top]:
            last += 1
        if top in (0, len(smooth) - 1) or last - first < 2:
            return float(self.frequency[top])
        f, p = self.frequency[first : last + 1], self.power[first : last + 1]
        curvature, slope, _ = np.polyfit(f - self.frequency[top], p, 2)
        vertex = self.frequency[top] - slope / (2 * curvature) if curvature < 0 else self.frequency[top]
        return float(np.clip(vertex, f[0], f[-1]))


def flat_squares(
    image: NDArray[np.float32], size: int, *, spacing_mm: float, tissue: tuple[float, float], z: int = 0
) -> list[Square]:
    """Homogeneous squares of one (H, W) slice in HU with a mean in ``tissue``, flattest first, without overlap.

    Flatness is the standard deviation of the slice after a Gaussian of 1.5 mm, which leaves anatomy and takes most of
    the noise; it must not exceed 6 HU.
    """
    smooth = gaussian_filter(image.astype(np.float64), SMOOTHING_MM / spacing_mm)
    half, last = size // 2, [side - size for side in image.shape]
    if min(last) < 0:
        return []
    # uniform_filter's window of an even size begins size // 2 before its pixel
    inner = tuple(slice(half, half + end + 1) for end in last)
    mean = uniform_filter(smooth, size)[inner]
    spread = np.sqrt(np.maximum(uniform_filter(smooth**2, size)[inner] - mean**2, 0))
    spread[(mean < tissue[0]) | (mean > tissue[1])] = np.inf
    found: list[Square] = []
    while True:
        y, x = (int(i) for i in np.unravel_index(int(spread.argmin()), spread.shape))
        if not spread[y, x] <= FLAT_HU:
            return found
        found.append(Square(z, y, x, float(spread[y, x])))
        spread[max(0, y - size + 1) : y + size, max(0, x - size + 1) : x + size] = np.inf


def nps_distance(one: NoisePower, other: NoisePower) -> float:
    """Mean |log10| of the ratio of two radial NPS, in decades, over rings where the other has ≥ 1 % of its maximum.

    0 for the same noise; it counts level and texture.
    """
    kept = other.power >= 0.01 * np.nanmax(other.power, initial=0)
    if not kept.any() or not one.power[kept].all():
        return float("nan")
    return float(np.abs(np.log10(one.power[kept] / other.power[kept])).mean())


def detrended(squares: Array) -> Array:
    """(N, n, n) squares without their 2nd-order polynomials."""
    n = squares.shape[-1]
    axis = np.linspace(-1, 1, n)
    y, x = (a.ravel() for a in np.meshgrid(axis, axis, indexing="ij"))
    basis, _ = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1))
    flat = squares.reshape(-1, n * n)
    return (flat - (flat @ basis) @ basis.T).reshape(squares.shape)


def noise_power_2d(noise: Array, *, spacing_mm: float) -> Array:
    """Ensemble NPS (n, n) in HU² mm², frequencies in FFT order, of (N, n, n) noise in HU."""
    n = noise.shape[-1]
    power: Array = (np.abs(np.fft.fft2(noise)) ** 2).mean(0) * (spacing_mm / n) ** 2
    return power


def noise_power(squares: Array, *, spacing_mm: float) -> NoisePower:
    """Radial ensemble NPS of (N, n, n) squares in HU; all NaN where N is 0."""
    n = squares.shape[-1]
    rings = np.arange(1, n // 2 + 1)
    if len(squares) == 0:
        return NoisePower(rings / (n * spacing_mm), np.full(len(rings), np.nan), float("nan"))
    noise = detrended(squares)
    power = noise_power_2d(noise, spacing_mm=spacing_mm)
    k = np.fft.fftfreq(n, 1 / n)
    ring = np.rint(np.hypot(*np.meshgrid(k, k))).astype(int)
    radial = np.array([power[ring == r].mean() for r in rings])
    variance = float(
        (noise**2).mean() * n * n / (n * n - _TERMS)
    )  # unbiased: the trend took 6 degrees of freedom
    return NoisePower(rings / (n * spacing_mm), radial, variance)
