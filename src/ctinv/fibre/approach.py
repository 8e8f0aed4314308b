"""The way of candidates onto the fibre: four kinds of step, each taken as long as it helps (method §4).

| way | step | is taken |
|---|---|---|
| pulled | x_c + K (ε·η - e - J(x_c - x̃)), J at the scan | first: the swap, then the chord |
| pulled again | the same with J at the sample | where the chord stalls far from the fibre |
| straight | x̃ - K r, J at the scan | near the fibre, or where the pull does not let go |
| straight again | the same with J at the sample, damped | last |

Each sample goes its own way. It leaves a kind of step that no longer brings it nearer by a useful factor, so that a chord
that stalls is not repeated, and it stops at the first step that meets the tier. A step that leads away is halved, twice at
most, and never kept: no sample ends further from z0 than the swap left it. The first straight step takes off only the part
r of e that is above ε, because going on to z0 would shrink the spread for nothing. All budgets are fixed, so the cost is
bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ctinv.fibre.measure import measure, rms
from ctinv.fibre.relinearise import PASSES_AT_MOST, Relinearised
from ctinv.fibre.tiers import CHORD, NOT_REACHED, RELINEARISED, SWAP
from ctinv.progress import Progress

if TYPE_CHECKING:
    from ctinv.fibre.correct import Corrector

NEAR = (
    2.0  # of ε: there the pulled steps have arrived at the law's own point, and J taken again gives no more
)
TRIALS = 3  # the whole step, half of it, a quarter

PULLED, PULLED_AGAIN, STRAIGHT, STRAIGHT_AGAIN, END = range(5)
_MOST_STEPS = {PULLED: 5, PULLED_AGAIN: 3, STRAIGHT: 6, STRAIGHT_AGAIN: 6}
# A step that leaves more than this of the error is not repeated: the pull keeps the law but must earn its cost, a straight
# chord costs one pass, and after the last way there is nothing.
_USEFUL = {PULLED: 0.7, PULLED_AGAIN: 0.7, STRAIGHT: 0.9, STRAIGHT_AGAIN: 0.95}
_DEAR = (PULLED_AGAIN, STRAIGHT_AGAIN)
MOST_PASSES = 1 + sum(
    steps * (TRIALS + (PASSES_AT_MOST if way in _DEAR else 0)) for way, steps in _MOST_STEPS.items()
)
"""Bound on the passes of one sample, its candidate's feed-back included."""


@dataclass(eq=False)
class Approach:
    """A block of candidates on their way: where each is, which step it takes next, and what it has cost.

    Attributes:
        corrector: The region, K and the tiers.
        candidates: (B, 1, h, w) HU, x_c.
        targets: (m, B) ε·η.
        progress: Called with a phrase and the share of samples that are at an end.
        x_tilde: (B, 1, h, w) HU, the nearest iterate that was fed back; the scan before the swap.
        output_error: (B, 1, H', W') HU, f(x̃) - f(x).
        tap_error: (B, C, H', W') Φ(x̃) - z0.
        rank: (B,) RMS of Φ(x̃) - z0, infinite before the swap.
        raw_rmse: (B,) HU, RMSE of f(x_c) - f(x).
        passed: (B,) whether the asked tier is met.
        steps: (B,) steps after the swap until the iterate that is kept.
        passes: (B,) see `Certificate`.
    """

    corrector: Corrector
    candidates: Tensor
    targets: Tensor
    progress: Progress | None = None
    x_tilde: Tensor = field(init=False)
    output_error: Tensor = field(init=False)
    tap_error: Tensor = field(init=False)
    rank: Tensor = field(init=False)
    raw_rmse: Tensor = field(init=False)

    def __post_init__(self) -> None:
        region, count = self.corrector.region, len(self.candidates)
        self.passed = torch.zeros(count, dtype=torch.bool)
        self._way = torch.full((count,), PULLED)
        raw, _ = region.errors(self.candidates, heard=self._tell)
        self.raw_rmse = rms(region, raw)
        # The scan itself is the start: it has no error, and it is no sample, so its rank is infinite.
        self.x_tilde = region.scan.expand_as(self.candidates).clone()
        self.output_error = torch.zeros_like(raw)
        self.tap_error = raw.new_zeros(count, *region.reference.shape[1:])
        self.rank = raw.new_full((count,), torch.inf)
        self.steps = torch.zeros(count, dtype=torch.int64)
        self.passes = torch.ones(count, dtype=torch.int64)
        self._tries = torch.zeros(count, dtype=torch.int64)
        self._again = torch.zeros(count, dtype=torch.bool)

    def run(self) -> None:
        """Step until every sample has arrived or has no kind of step left."""
        step = 0
        while bool(self._on_the_way.any()):
            ways = torch.where(self._on_the_way, self._way, END)
            for way, move in self._moves().items():
                late = torch.nonzero(ways == way)[:, 0]
                if len(late):
                    self._offer(way, move, late.to(self.x_tilde.device), step)
            step += 1

    @property
    def _on_the_way(self) -> Tensor:
        return ~self.passed & (self._way != END)

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress("moving images onto the fibre", 1.0 - float(self._on_the_way.float().mean()))

    def reached(self, index: int) -> str:
        """How a sample arrived, one of `ctinv.fibre.tiers.WAYS`."""
        if not self.passed[index]:
            return NOT_REACHED
        if self._again[index]:
            return RELINEARISED
        return CHORD if self.steps[index] else SWAP

    def measures(self, index: int) -> dict[str, float]:
        """The error figures of a sample."""
        corrector = self.corrector
        return measure(corrector.region, self.output_error[index], self.tap_error[index], corrector.noise_rms)

    def _moves(self) -> dict[int, Callable[[Tensor], tuple[Tensor, int]]]:
        """Kind of step to its function: from the samples to proposals and the products with J_k it took."""
        return {
            PULLED: self._pulled,
            PULLED_AGAIN: self._pulled_again,
            STRAIGHT: self._straight,
            STRAIGHT_AGAIN: self._straight_again,
        }

    def _pulled(self, late: Tensor) -> tuple[Tensor, int]:
        factor = self.corrector.factor
        ahead = columns(self.candidates[late] - self.x_tilde[late])
        residual = self.targets[:, late] - columns(self.tap_error[late]) - factor.jacobian.apply(ahead)
        return self.candidates[late] + self._images(factor.gain(residual, heard=self._tell)), 0

    def _pulled_again(self, late: Tensor) -> tuple[Tensor, int]:
        residual = columns(self.tap_error[late]) - self.targets[:, late]
        return self._relinearised(late).pulled(self.candidates[late], residual)

    def _straight(self, late: Tensor) -> tuple[Tensor, int]:
        step = self.corrector.factor.gain(self._excess(late), heard=self._tell)
        return self.x_tilde[late] - self._images(step), 0

    def _straight_again(self, late: Tensor) -> tuple[Tensor, int]:
        return self._relinearised(late).straight(self._excess(late))

    def _relinearised(self, late: Tensor) -> Relinearised:
        corrector = self.corrector
        return Relinearised(
            corrector.region, corrector.factor, corrector.noise, self.x_tilde[late], self._tell
        )

    def _excess(self, late: Tensor) -> Tensor:
        """(m, B) the part of e that is to go: at first what is above ε, all of it where that was not enough."""
        allowed = (self.corrector.factor.tolerance / self.rank[late]).clamp_max(0.5)
        first = (self._tries[late.cpu()] == 0).to(allowed.device)
        return columns(self.tap_error[late]) * (1.0 - allowed * first)

    def _images(self, values: Tensor) -> Tensor:
        return values.T.reshape(-1, *self.x_tilde.shape[1:])

    def _offer(self, way: int, move: Callable[[Tensor], tuple[Tensor, int]], late: Tensor, step: int) -> None:
        """Feed a step back and keep it where it leads nearer, else go half of it; then choose the next way."""
        before = self.rank[late]
        proposal, products = move(late)
        self.passes[late.cpu()] += products
        trying = late
        for _ in range(TRIALS):
            proposal = self.corrector.rounded(proposal)
            output, inner = self.corrector.region.errors(proposal, heard=self._tell)
            self.passes[trying.cpu()] += 1
            rank = rms(self.corrector.region, inner)
            better = rank < self.rank[trying]
            kept = trying[better]
            self._keep(kept, proposal[better], output[better], inner[better], rank[better])
            self.steps[kept.cpu()] = step
            self._again[kept.cpu()] |= way in _DEAR
            again = ~better & torch.isfinite(self.rank[trying])
            trying, proposal = trying[again], proposal[again]
            if not len(trying):
                break
            proposal = (proposal + self.x_tilde[trying]) / 2
        self._choose(way, late, self.rank[late] <= _USEFUL[way] * before)

    def _choose(self, way: int, late: Tensor, useful: Tensor) -> None:
        """Stay on a way that helps, within its budget; else go on to the next one that can."""
        index = late.cpu()
        self._tries[index] += 1
        leave = index[~useful.cpu() | (self._tries[index] >= _MOST_STEPS[way])]
        self._tries[leave] = 0
        near = (self.rank[leave.to(self.rank.device)] <= NEAR * self.corrector.factor.tolerance).cpu()
        self._way[leave] = torch.where(near & (way == PULLED), STRAIGHT, way + 1)

    def _keep(self, rows: Tensor, proposal: Tensor, output: Tensor, inner: Tensor, rank: Tensor) -> None:
        self.x_tilde[rows], self.output_error[rows], self.tap_error[rows] = proposal, output, inner
        self.rank[rows] = rank
        rule = self.corrector.rule
        for index in rows.tolist():
            self.passed[index] = rule.met(rule.asked, **self.measures(index))


def columns(images: Tensor) -> Tensor:
    """(B, C, H, W) images as (C·H·W, B) columns."""
    return images.reshape(len(images), -1).T
