"""Tiers and certificates: how close f(x̃) must come to f(x) before a sample is called an invariance."""

from __future__ import annotations

from dataclasses import dataclass

TIERS = ("T0", "T1", "T2", "T3")


@dataclass(frozen=True)
class Certificate:
    """What was measured on one sample; JSON-able by ``dataclasses.asdict``.

    Attributes:
        k: Row number of the sample.
        rmse_hu_raw: RMSE of f(candidate) − f(x) before correction, at the output, in HU.
        nfe_raw: The same in units of the output's own noise (noise-normalised feed-back error).
        rmse_hu: RMSE of f(x̃) − f(x) at the output in HU.
        max_hu: Largest absolute error at the output in HU.
        p99_hu: 99th percentile of the absolute error at the output in HU.
        nfe: Noise-normalised feed-back error of x̃.
        error: RMS of Φ(x̃) − Φ(x) at the tap: HU at input and output, inside relative (share of noise RMS).
        chi2_per_n: (x̃ − ŷ)ᵀ C⁻¹ (x̃ − ŷ) / n in the region.
        steps: Correction steps after the swap.
        tier: Best tier reached, ``"T0"`` to ``"T3"``, or ``"none"``.
        passed: Whether the tier that was asked for is met.
    """

    k: int
    rmse_hu_raw: float
    nfe_raw: float
    rmse_hu: float
    max_hu: float
    p99_hu: float
    nfe: float
    error: float
    chi2_per_n: float
    steps: int
    tier: str
    passed: bool
