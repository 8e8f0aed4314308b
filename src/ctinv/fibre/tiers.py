"""Tiers of exactness and the certificate of one sample (method §3).

A tier says how well f(x̃) must agree with f(x). At the input and the output the rules are in HU; at an inner tap, where
no unit exists, the tier sets the share ρ of the representation's own noise that the error may reach. The step q is 1 HU
for CT. For another modality HU stands for the unit of the volume and q for the step of its stored numbers.

| tier | at the output | inside |
|---|---|---|
| T0 numeric | largest error ≤ 1e-3 q, for CT ten times the float32 repeatability of f | ρ = 0.1 % |
| T1 DICOM | RMSE ≤ q/√12, the rounding of stored numbers: 0.29 HU | ρ = 1 % |
| T2 display | RMSE ≤ W/(256·√12) and 99th percentile ≤ W/256, the same 8-bit picture | ρ = 5 % |
| T3 noise | NFE ≤ 0.1, ten times below the output's own noise | ρ = 10 % |
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctinv.errors import InputError
from ctinv.volume import Volume

TIERS = ("T0", "T1", "T2", "T3")
NONE = "none"
TARGET_TIER = "target"
"""Stands in place of a tier where the sample is an image as f should make it: it is not fed back, so no tier applies."""

MAX_T0_HU = 1e-3
RMSE_T1_HU = 1.0 / math.sqrt(12.0)
NFE_T3 = 0.1
NFE_NOT_AN_INVARIANCE = 0.5
LAW_SHARE = 0.8
"""ε of the law as a share of the tier's limit: samples of the law have an RMSE of up to ε, and curvature and rounding add
a little, so the limit itself as ε would fail every second sample where little is free."""
RELATIVE = {"T0": 0.001, "T1": 0.01, "T2": 0.05, "T3": 0.10}


SWAP, CHORD, RELINEARISED, NOT_REACHED = "swap", "chord", "relinearised", "not reached"
WAYS = (SWAP, CHORD, RELINEARISED, NOT_REACHED)
"""How a sample arrived, the dearest kind of step that it took; or that it did not."""
UNKNOWN_WAY, NOT_FED_BACK = "unknown", "not fed back"


@dataclass(frozen=True)
class Certificate:
    """What feeding one sample back has shown. A sample of the target domain is not fed back: its figures are NaN.

    Errors at the output are taken twice, over the region and over the region with its halo of the receptive-field
    radius, and the larger value is kept: a quiet halo cannot dilute an error inside.

    Attributes:
        k: Row of the sample.
        rmse_hu_raw: RMSE of f(x_c) - f(x) in HU, of the candidate before correction.
        nfe_raw: The same, divided by √2·σ_out.
        rmse_hu: RMSE of f(x̃) - f(x) in HU.
        max_hu: Largest absolute value of f(x̃) - f(x) in HU.
        p99_hu: 99th percentile of the absolute value of f(x̃) - f(x) in HU.
        nfe: rmse_hu / (√2·σ_out).
        error: RMS of Φ(x̃) - Φ(x): HU at the input and output, share of the noise's RMS inside.
        chi2_per_n: (x̃ - ŷ)ᵀC⁻¹(x̃ - ŷ)/n over the region, given the fixed outside.
        steps: Correction steps taken after the swap.
        tier: Strictest tier met, ``"T0"`` to ``"T3"``, or ``"none"``; ``"target"`` for a sample of the target domain.
        passed: Whether the tier that was asked is met.
        reached: One of `WAYS`; ``"unknown"`` in older studies, ``"not fed back"`` in the target domain.
        passes: Times f was evaluated or differentiated for this sample, the feed-back of its candidate included;
            products with the J at the scan, which all samples share, are none.
        in_band: Whether χ²/n lies in the band that the law expects (`chi2_in_band`); a sample outside satisfies f, yet
            does not look like a scan. None where it is not known.
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
    reached: str = UNKNOWN_WAY
    passes: int = 0
    in_band: bool | None = None

    @classmethod
    def of_target(cls, k: int) -> Certificate:
        """That of a sample of the target domain: nothing was measured."""
        nan = math.nan
        return cls(k, nan, nan, nan, nan, nan, nan, nan, nan, 0, TARGET_TIER, False, reached=NOT_FED_BACK)

    @property
    def is_invariance(self) -> bool:
        """Whether the sample may be ranked at all: NFE below 0.5."""
        return self.nfe < NFE_NOT_AN_INVARIANCE


@dataclass(frozen=True)
class TierRule:
    """The rules of all tiers for one region, one tap and one display window.

    Attributes:
        asked: The tier that was asked.
        relative: Whether the tap is an inner one, judged relative to its noise.
        window_hu: Display window width W of T2 in HU.
        sigma_out_hu: σ_out, std of f over noise draws of the same anatomy in HU.
        step: q, the step of stored numbers in HU.
    """

    asked: str
    relative: bool
    window_hu: float
    sigma_out_hu: float
    step: float = 1.0

    def __post_init__(self) -> None:
        check_tier(self.asked)
        if not (math.isfinite(self.window_hu) and self.window_hu > 0):
            raise InputError(f"expected a display window width above 0, got {self.window_hu}.")

    @property
    def tolerance(self) -> float:
        """ε of the asked tier."""
        return dict(self.tolerances())[self.asked]

    def tolerances(self) -> list[tuple[str, float]]:
        """Name and ε of every tier: RMS in HU at the input and output, share of the noise's RMS inside."""
        limits = RELATIVE if self.relative else self._rmse_limits()
        return [(tier, LAW_SHARE * limits[tier]) for tier in TIERS]

    def _rmse_limits(self) -> dict[str, float]:
        return {
            "T0": MAX_T0_HU
            * self.step
            / 4.0,  # of a Gaussian error over a few thousand pixels the largest is about 4 RMS
            "T1": RMSE_T1_HU * self.step,
            "T2": self.window_hu / (256.0 * math.sqrt(12.0)),
            "T3": NFE_T3 * math.sqrt(2.0) * self.sigma_out_hu,
        }

    def met(self, tier: str, *, error: float, rmse_hu: float, max_hu: float, p99_hu: float) -> bool:
        """Whether these errors meet a tier."""
        if self.relative:
            return error <= RELATIVE[tier]
        if tier == "T0":
            return max_hu <= MAX_T0_HU * self.step
        within = rmse_hu <= self._rmse_limits()[tier]
        return within and (tier != "T2" or p99_hu <= self.window_hu / 256.0)

    def best(self, *, error: float, rmse_hu: float, max_hu: float, p99_hu: float) -> str:
        """The strictest tier met, or ``"none"``."""
        for tier in TIERS:
            if self.met(tier, error=error, rmse_hu=rmse_hu, max_hu=max_hu, p99_hu=p99_hu):
                return tier
        return NONE


CHI2_BAND = (0.5, 2.0)
"""χ²/n of a sample as a multiple of what the law expects. Its standard deviation is at most √(2/n), 0.18 in the smallest
region of 8 x 8: the band is wide on purpose, so that only what no scanner makes lies outside."""


def chi2_in_band(chi2_per_n: float, expected: float) -> bool | None:
    """Whether χ²/n is what the law expects, within `CHI2_BAND`; None where the expectation is not known."""
    if not (math.isfinite(chi2_per_n) and expected > 0):
        return None
    return CHI2_BAND[0] * expected <= chi2_per_n <= CHI2_BAND[1] * expected


CT_WINDOW_HU = 400.0
_LEVELS = 4096  # of 12 bits, as scanners store where the file does not tell


def step_of(volume: Volume) -> float:
    """q: 1 HU for CT, else the stored step that the header tells, 1 for whole numbers, else 1/4096 of the range."""
    if volume.modality == "CT":
        return 1.0
    if volume.acquisition.step is not None:
        return volume.acquisition.step
    if np.array_equal(volume.hu, np.rint(volume.hu)):
        return 1.0
    return float(np.ptp(volume.hu)) / _LEVELS


def window_of(volume: Volume, given: float | None) -> tuple[float, str]:
    """Width W of the display window of T2 in the volume's unit, and where it comes from.

    Returns:
        The width, and ``"given"``, ``"usual"`` (400 HU, CT only), ``"header"`` or ``"percentiles 1 to 99"``.

    Raises:
        InputError: The volume is constant, so no window can be taken from it.
    """
    if given is not None:
        return given, "given"
    if volume.modality == "CT":
        return CT_WINDOW_HU, "usual"
    if volume.acquisition.window:
        return volume.acquisition.window[0][1], "header"
    low, high = np.percentile(volume.hu, [1.0, 99.0])
    if not high > low:
        raise InputError("the volume shows no contrast, so tier T2 has no display window; give its width.")
    return float(high - low), "percentiles 1 to 99"


def check_tier(tier: str) -> None:
    """Raise InputError, listing the tiers, unless this is one."""
    if tier not in TIERS:
        raise InputError(f"there is no tier {tier!r}; choose one of {', '.join(TIERS)}.")
