"""Calibration of one problem over many simulated scans: ranks of named quantities, and TARP over all of them (method §6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.progress import Progress
from ctinv.statistics.calibration import (
    Bands,
    Coverage,
    ecdf,
    inside_bands,
    rank_bands,
    rank_p,
    sbc_ranks,
    tarp,
)
from ctinv.statistics.multiple import holm
from ctinv.validation.checks import ALPHA, Check
from ctinv.validation.problems.contract import Array, Problem

LEVEL = 0.99
FEWEST_QUANTITIES = 10
NARROW = 0.8


@dataclass(frozen=True, eq=False)
class Simulated:
    """Truths and their samples.

    Attributes:
        quantities: (q) names of what is ranked.
        truth: (S, q).
        draws: (S, n, q).
        weights: (S, n) importance weights.
    """

    quantities: tuple[str, ...]
    truth: Array
    draws: Array
    weights: Array

    def narrowed(self) -> Simulated:
        """A wrong sampler: the draws of each simulation pulled towards their mean by a fifth."""
        mass = self.weights / self.weights.sum(1, keepdims=True)
        mean = np.einsum("sn,snq->sq", mass, self.draws)[:, None]
        return Simulated(self.quantities, self.truth, mean + NARROW * (self.draws - mean), self.weights)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Ranks and coverage of one problem.

    Attributes:
        quantities: (q) names of what was ranked.
        ranks: (S, q) relative ranks of the truths.
        bands: Where their distribution functions may lie.
        coverage: TARP over all quantities.
    """

    quantities: tuple[str, ...]
    ranks: Array
    bands: Bands
    coverage: Coverage

    @classmethod
    def of(cls, simulated: Simulated, *, seed: int = 0) -> Calibration:
        """Rank the truths."""
        truth, draws, weights = simulated.truth, simulated.draws, simulated.weights
        return cls(
            simulated.quantities,
            sbc_ranks(draws, truth, weights=weights, seed=seed),
            rank_bands(len(truth), level=LEVEL),
            tarp(draws, truth, weights=weights, seed=seed),
        )

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(q,) which quantities stay inside their bands."""
        return inside_bands(self.ranks, self.bands)

    @property
    def checks(self) -> dict[str, Check]:
        """At least ten quantities inside their bands, the smallest p-value of all after Holm, and TARP's p.

        Of fifteen quantities of a calibrated sampler one leaves its own 99 % band in every seventh run; the p-value
        says whether that is chance.
        """
        inside, p = int(self.inside.sum()), float(holm(rank_p(self.ranks)).min())
        words = f"at least {FEWEST_QUANTITIES} of {len(self.inside)} in {LEVEL:.0%} bands"
        found = (
            Check("SBC quantities inside", float(inside), words, inside >= FEWEST_QUANTITIES),
            Check("SBC p", p, f"above {ALPHA:g}", p > ALPHA),
            Check("TARP p", self.coverage.p, f"above {ALPHA:g}", self.coverage.p > ALPHA),
        )
        return {one.name: one for one in found}

    def curves(self) -> dict[str, Any]:
        """Distribution functions of the ranks less that of the uniform law, their bands, and TARP's curve."""
        places = self.bands.places
        off = np.round(ecdf(self.ranks, places) - places[:, None], 4)
        return {
            "places": np.round(places, 4),
            "lower": np.round(self.bands.lower - places, 4),
            "upper": np.round(self.bands.upper - places, 4),
            "quantities": dict(zip(self.quantities, off.T, strict=True)),
            "tarp": {
                "levels": np.round(self.coverage.levels, 4),
                "coverage": np.round(self.coverage.coverage, 4),
            },
        }


def simulate(
    problem: Problem, simulations: int, draws: int, *, seed: int = 0, progress: Progress | None = None
) -> Simulated:
    """Simulate scans and sample each.

    Args:
        problem: A problem with quantities.
        simulations: Scans.
        draws: Samples per scan.
        seed: Seed of all of it.
        progress: Told the share that is done.
    """
    truths, samples, weights = [], [], []
    for index in range(simulations):
        if progress is not None and index % 20 == 0:
            progress(f"{problem.name}: {index} of {simulations} simulated scans", index / simulations)
        truth, drawn, log_weights = problem.simulate(index, draws, seed=seed)
        truths.append(truth)
        samples.append(drawn)
        weights.append(np.ones(draws) if log_weights is None else np.exp(log_weights - log_weights.max()))
    return Simulated(problem.quantities, np.stack(truths), np.stack(samples), np.stack(weights))
