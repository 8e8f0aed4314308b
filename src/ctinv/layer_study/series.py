"""A series of samples of one tap in figures: how far they vary, before and after correction, and how many arrive.

The spread is the RMS over the region of the standard deviation over the samples. With the deviations d_k from the mean of n
samples on p pixels it is the root of the mean of q_k = ‖d_k‖²/p · n/(n-1), so its standard error follows from the scatter of
the q_k, however the pixels depend on each other: small for noise, spread/√(2n) where all samples lie on one line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ctinv.fibre.correct import Corrector
from ctinv.fibre.measure import measure
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import Certificate
from ctinv.generators.contract import Generator
from ctinv.progress import Progress
from ctinv.sampler.batch import BLOCK

_SIGNIFICANT = 2.0  # standard errors


@dataclass(frozen=True)
class Spread:
    """How far samples vary.

    Attributes:
        hu: RMS over the region of their standard deviation, HU; NaN for fewer than two.
        error: Its standard error, HU.
    """

    hu: float = math.nan
    error: float = math.nan

    @classmethod
    def of(cls, samples: Tensor) -> Spread:
        """The spread of (n, 1, h, w) samples in HU."""
        count = len(samples)
        if count < 2:
            return cls()
        deviation = (samples - samples.mean(0)).double()
        power = deviation.square().flatten(1).mean(1) * (count / (count - 1))
        spread = math.sqrt(float(power.mean()))
        error = float(power.std()) / math.sqrt(count)
        return cls(spread, error / (2.0 * spread) if spread > 0 else 0.0)

    def exceeds(self, other: Spread) -> bool:
        """Whether it is larger than another by more than two standard errors of the difference."""
        return self.hu - other.hu > _SIGNIFICANT * math.hypot(self.error, other.error)


@dataclass(frozen=True)
class Series:
    """What one generator gives at one tap. What was not computed is NaN.

    Attributes:
        n: Number of candidates.
        raw: Spread of the candidates.
        raw_error: RMS of Φ(x_c) - Φ(x), mean over the candidates, as share of Φ's response to noise.
        raw_on_fibre: Share of the candidates that meet the tier as they are.
        nfe_raw: Mean NFE of the candidates at the output.
        certified: Spread of the samples that meet the tier after correction.
        share_certified: Their share.
        error: RMS of Φ(x̃) - Φ(x), mean over the certified samples, as share of Φ's response to noise.
        nfe: Mean NFE of the certified samples at the output.
        nfe_worst: The largest of them.
        chi2_per_n: Their mean χ²/n.
        steps: Mean number of correction steps.
    """

    n: int
    raw: Spread
    raw_error: float = math.nan
    raw_on_fibre: float = math.nan
    nfe_raw: float = math.nan
    certified: Spread = Spread()
    share_certified: float = math.nan
    error: float = math.nan
    nfe: float = math.nan
    nfe_worst: float = math.nan
    chi2_per_n: float = math.nan
    steps: float = math.nan


def propose(
    generator: Generator, n: int, seeds: RowSeeds, *, progress: Progress | None = None
) -> tuple[Series, Tensor]:
    """Candidates of a target-domain generator: they vary, and feeding them back has no meaning."""
    candidates = []
    for rows in _blocks(n):
        candidates.append(generator.candidates(rows, seeds))
        _tell(progress, rows.stop / n)
    drawn = torch.cat(candidates)[:n]
    return Series(n, Spread.of(drawn)), drawn


def correct(
    corrector: Corrector,
    generator: Generator,
    n: int,
    seeds: RowSeeds,
    *,
    response: float,
    progress: Progress | None = None,
) -> tuple[Series, Tensor]:
    """Draw candidates, feed them back, correct them and feed them back again.

    Args:
        corrector: The prepared region of the tap.
        generator: Proposes candidates.
        n: How many.
        seeds: Source of the rows' random numbers; with those of `ctinv sample` the samples are the same ones.
        response: RMS of Φ's response to noise in the tap's unit.
        progress: Called with a phrase and a finished share.

    Returns:
        The figures, and the certified samples, (k, 1, h, w) HU.
    """
    candidates, x_tilde, raw_errors, on_fibre = [], [], [], []
    certificates: list[Certificate] = []
    for rows in _blocks(n):  # whole blocks, so that sample k is the same in any company
        drawn = generator.candidates(rows, seeds)
        errors, met = feed_back(corrector, drawn)
        moved, _, found = corrector.correct(drawn, rows, seeds)
        candidates.append(drawn)
        x_tilde.append(moved)
        raw_errors += errors
        on_fibre += met
        certificates += found
        _tell(progress, rows.stop / n)
    certificates = certificates[:n]
    passed = torch.tensor([one.passed for one in certificates])
    certified = torch.cat(x_tilde)[:n][passed]
    series = Series(
        n,
        raw=Spread.of(torch.cat(candidates)[:n]),
        raw_error=_mean(raw_errors[:n]) * corrector.noise_rms / response,
        raw_on_fibre=_mean(on_fibre[:n]),
        nfe_raw=_mean([one.nfe_raw for one in certificates]),
        **_arrived([one for one in certificates if one.passed], corrector.noise_rms / response),
        certified=Spread.of(certified),
        share_certified=len(certified) / n,
        steps=_mean([one.steps for one in certificates]),
    )
    return series, certified


def feed_back(corrector: Corrector, patches: Tensor) -> tuple[list[float], list[bool]]:
    """The error of (B, 1, h, w) patches at the tap, as the certificate states it, and whether each meets the asked tier."""
    region, rule = corrector.region, corrector.rule
    output, inner = region.errors(patches)
    figures = [
        measure(region, one, other, corrector.noise_rms) for one, other in zip(output, inner, strict=True)
    ]
    return [one["error"] for one in figures], [rule.met(rule.asked, **one) for one in figures]


def _arrived(certificates: Sequence[Certificate], unit: float) -> dict[str, float]:
    nfe = [one.nfe for one in certificates]
    return {
        "error": _mean([one.error for one in certificates]) * unit,
        "nfe": _mean(nfe),
        "nfe_worst": max(nfe, default=math.nan),
        "chi2_per_n": _mean([one.chi2_per_n for one in certificates]),
    }


def _blocks(n: int) -> list[range]:
    return [range(start, start + BLOCK) for start in range(0, n, BLOCK)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _tell(progress: Progress | None, share: float) -> None:
    if progress is not None:
        progress("sampling", min(share, 1.0))
