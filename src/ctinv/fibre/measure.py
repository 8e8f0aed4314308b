"""What feeding back shows: the numbers of a certificate, computed in one place for sampling and for checking."""

from __future__ import annotations

from torch import Tensor

from ctinv.fibre.region import Region


def rms(region: Region, errors: Tensor) -> Tensor:
    """(B,) the larger RMS of (B, C, H', W') errors over the region and over the region with its halo."""
    rows, columns = region.halo
    square = errors.square()
    return square.mean(dim=(1, 2, 3)).maximum(square[..., rows, columns].mean(dim=(1, 2, 3))).sqrt()


def measure(region: Region, output_error: Tensor, tap_error: Tensor, noise_rms: float) -> dict[str, float]:
    """The error figures of one sample, as `Certificate` and `TierRule.met` name them.

    Args:
        region: The region.
        output_error: (1, H', W') f(x̃) - f(x) in HU.
        tap_error: (C, H', W') Φ(x̃) - Φ(x) in the tap's unit.
        noise_rms: The unit of `error`.
    """
    magnitude = output_error.abs()
    rows, columns = region.halo
    return {
        "error": float(rms(region, tap_error[None])) / noise_rms,
        "rmse_hu": float(rms(region, output_error[None])),
        "max_hu": float(magnitude.max()),
        "p99_hu": max(_p99(magnitude), _p99(magnitude[..., rows, columns])),
    }


def _p99(magnitude: Tensor) -> float:
    flat = magnitude.reshape(-1)
    return float(flat.kthvalue(max(1, round(0.99 * flat.numel()))).values)
