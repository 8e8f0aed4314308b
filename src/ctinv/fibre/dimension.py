"""How much of the noise a tap leaves free: d_eff(ε) and the free share, in all and per band (method §3).

With s² the eigenvalues of B = Lᵀ JᵀJ L, the tap fixes s²/(s² + ε²) of each direction, d_eff(ε) = Σ s²/(s² + ε²). One
eigendecomposition serves every ε, and its vectors, seen as images L q, say in which band the freedom lies.

ε is the tolerance of *one* output. Samples of the law have an error of RMS ε·√(d_eff/m) over the m outputs: about ε where m
is the number n of pixels, far less at a tap of 64 channels, each of which measures the same n pixels again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ctinv.errors import InputError
from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import DenseNoise
from ctinv.fibre.factor import Factor, normal_matrix

BANDS = {"low": (0.0, 0.1), "mid": (0.1, 0.25), "high": (0.25, 1.0)}
"""Radial frequency in cycles per pixel; anatomy lies in the low band."""

_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What a tap sees of the noise of one region, direction by direction.

    Attributes:
        values: (n,) float64, s², in the square of the tap's unit.
        images: (n, n) float32 HU, column k the direction L q_k that belongs to s_k.
        shape: Height and width of the region.
    """

    values: Tensor
    images: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(cls, corrector: Corrector) -> Spectrum:
        """The spectrum of a prepared region.

        Raises:
            InputError: The region is too large for a dense decomposition.
        """
        noise, factor = corrector.noise, corrector.factor
        if not isinstance(noise, DenseNoise) or not isinstance(factor, Factor):
            raise InputError(
                "the free dimensions are computed on regions up to about 96 x 96 voxels; choose a smaller box."
            )
        # In float64: the smallest s² are a billionth of the largest, and at tight tolerances they decide.
        values, vectors = torch.linalg.eigh(normal_matrix(factor.jacobian, noise))
        return cls(values.clamp_min(0.0), noise.small_root @ vectors.float(), corrector.region.shape)

    def free(self, epsilon: float) -> Tensor:
        """(n,) share of each direction's variance that stays free at ε in the tap's unit."""
        return epsilon**2 / (self.values + epsilon**2)

    def d_eff(self, epsilon: float) -> float:
        """Effective number of directions that the tap fixes at ε in the tap's unit, of n."""
        return len(self.values) - float(self.free(epsilon).sum())

    def spread(self, epsilon: float) -> float:
        """RMS over the region of the law's standard deviation at ε for a linear Φ, HU."""
        power = self.images.square().sum(0).double()
        return math.sqrt(float((power * self.free(epsilon)).sum()) / len(self.images))

    @property
    def noise_spread(self) -> float:
        """The same of the noise itself, with nothing fixed, HU."""
        return math.sqrt(float(self.images.square().double().sum()) / len(self.images))

    def tolerance_at(self, rms: float, outputs: int) -> float:
        """ε at which samples of the law have this error, RMS over so many outputs, both in the tap's unit.

        Infinite where the noise itself has no larger error.
        """
        target = rms**2 * outputs
        if target >= float(self.values.sum()):
            return math.inf
        low, high = 0.0, max(rms, 1e-30)
        while high**2 * self.d_eff(high) < target:
            low, high = high, 2.0 * high
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            low, high = (middle, high) if middle**2 * self.d_eff(middle) < target else (low, middle)
        return high

    def band_power(self) -> dict[str, Tensor]:
        """Power of each direction in each band: name to (n,)."""
        height, width = self.shape
        spectrum = torch.fft.fft2(self.images.T.reshape(-1, height, width)).abs().square().double()
        rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None, :]
        radius = torch.hypot(rows, columns).to(self.images.device)
        return {
            name: spectrum[:, (radius >= low) & (radius < high)].sum(1) for name, (low, high) in BANDS.items()
        }


def dimension(corrector: Corrector, tolerances: Sequence[float]) -> list[dict[str, Any]]:
    """d_eff, free share of the dimensions, and free share of the noise power per band.

    Args:
        corrector: The prepared region.
        tolerances: ε values: HU at the input and output, share of the noise's RMS inside.

    Returns:
        One dict per ε with ``eps``, ``d_eff``, ``free_share`` and ``bands``: name to share of that band's noise power that
        stays free.

    Raises:
        InputError: The region is too large for a dense decomposition.
    """
    spectrum = Spectrum.of(corrector)
    power = spectrum.band_power()
    found = []
    for tolerance in tolerances:
        free = spectrum.free(tolerance * corrector.noise_rms)
        bands = {name: float((share * free).sum() / share.sum()) for name, share in power.items()}
        total = float(free.sum())
        found.append(
            {
                "eps": tolerance,
                "d_eff": len(free) - total,
                "free_share": total / len(free),
                "bands": bands,
            }
        )
    return found
