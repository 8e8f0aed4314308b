"""How much of the noise a tap leaves free: d_eff(ε) and the free share, in all and per band (method §3).

With s² the eigenvalues of B = Lᵀ JᵀJ L, the tap fixes s²/(s² + ε²) of each direction, d_eff(ε) = Σ s²/(s² + ε²). One
eigendecomposition serves every ε, and its vectors, seen as images L q, say in which band the freedom lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ctinv.errors import InputError
from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import DenseNoise
from ctinv.fibre.factor import Factor, normal_matrix

BANDS = {"low": (0.0, 0.1), "mid": (0.1, 0.25), "high": (0.25, 1.0)}
"""Radial frequency in cycles per pixel; anatomy lies in the low band."""


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
    noise, factor = corrector.noise, corrector.factor
    if not isinstance(noise, DenseNoise) or not isinstance(factor, Factor):
        raise InputError(
            "the free dimensions are computed on regions up to about 96 x 96 voxels; choose a smaller box."
        )
    values, vectors = torch.linalg.eigh(normal_matrix(factor.jacobian, noise).float())
    power = _band_power(noise.small_root @ vectors, corrector.region.shape)
    found = []
    for tolerance in tolerances:
        epsilon = tolerance * corrector.noise_rms
        free = epsilon**2 / (values.clamp_min(0.0).double() + epsilon**2)
        bands = {name: float((share * free).sum() / share.sum()) for name, share in power.items()}
        total = float(free.sum())
        found.append(
            {
                "eps": tolerance,
                "d_eff": len(values) - total,
                "free_share": total / len(values),
                "bands": bands,
            }
        )
    return found


def _band_power(images: torch.Tensor, shape: tuple[int, int]) -> dict[str, torch.Tensor]:
    """Power of each column of (n, k) images in each band: name to (k,)."""
    height, width = shape
    spectrum = torch.fft.fft2(images.T.reshape(-1, height, width)).abs().square().double()
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None, :]).to(
        images.device
    )
    return {
        name: spectrum[:, (radius >= low) & (radius < high)].sum(1) for name, (low, high) in BANDS.items()
    }
