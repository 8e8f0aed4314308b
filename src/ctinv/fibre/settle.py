"""Samples brought all the way to the law's own point, for importance weights (`ctinv.fibre.weights`).

The product stops at the first step that meets the tier: the tier is what is promised, and each step costs a pass. Weights
need the solution itself. With the Jacobian J held at the scan it is the fixed point of the pulled chord,

    F(x̃) = x_c + K (ε·η - e - J(x_c - x̃)) - x̃ = 0,   e = Φ(x̃) - z0.

A step is taken back by halves where it does not make F smaller. F is measured in the law's own metric Λ = C⁻¹ + JᵀJ/ε², per
pixel: 1 is one standard deviation of the law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ctinv.fibre.approach import columns
from ctinv.fibre.correct import Corrector
from ctinv.fibre.rows import RowSeeds

SHARE = 0.01
STEPS = 60
_SMALLEST = 1.0 / 32.0  # of a step


@dataclass(frozen=True, eq=False)
class Settled:
    """Samples at the law's own point, as far as they got there.

    Attributes:
        x_tilde: (B, 1, h, w) HU, not rounded.
        change: (B,) length of the step that would come next, in standard deviations of the law.
        steps: Steps after the swap that were taken at most.
    """

    x_tilde: Tensor
    change: Tensor
    steps: int

    @property
    def arrived(self) -> Tensor:
        """(B,) whether the next step would change nothing that matters."""
        return self.change <= SHARE


def settle(
    corrector: Corrector,
    candidates: Tensor,
    rows: Sequence[int],
    seeds: RowSeeds,
    *,
    steps: int = STEPS,
) -> Settled:
    """Solve for the fixed point of the pulled chord.

    Args:
        corrector: The region and K; its tier and its rounding do not matter here.
        candidates: (B, 1, h, w) HU, x_c.
        rows: The rows' numbers.
        seeds: Source of η, the same as in `Corrector.correct`.
        steps: Steps after the swap at most.
    """
    pull = _Pull(corrector, candidates, corrector.targets(rows, seeds))
    everyone = torch.arange(len(candidates), device=candidates.device)
    x = pull.swap()
    ahead = pull.step(x, everyone)
    length = pull.length(ahead)
    share = torch.ones_like(length)
    taken = 0
    while taken < steps and len(late := torch.nonzero((length > SHARE) & (share >= _SMALLEST))[:, 0]):
        proposal = x[late] + share[late, None, None, None] * ahead[late]
        next_ahead = pull.step(proposal, late)
        next_length = pull.length(next_ahead)
        better = next_length < length[late]
        kept = late[better]
        x[kept], ahead[kept], length[kept] = proposal[better], next_ahead[better], next_length[better]
        share[late] = torch.where(better, (2.0 * share[late]).clamp_max(1.0), share[late] / 2.0)
        taken += 1
    return Settled(x, length, taken)


@dataclass(frozen=True, eq=False)
class _Pull:
    """The pulled chord of a block of candidates."""

    corrector: Corrector
    candidates: Tensor
    targets: Tensor

    def swap(self) -> Tensor:
        """(B, 1, h, w) the first step: at the scan e is 0."""
        ahead = columns(self.candidates - self.corrector.region.scan)
        return self.candidates + self._gained(self.targets - self.corrector.factor.jacobian.apply(ahead))

    def step(self, x: Tensor, which: Tensor) -> Tensor:
        """(B', 1, h, w) F of some of the samples."""
        candidates = self.candidates[which]
        _, error = self.corrector.region.errors(x)
        ahead = self.corrector.factor.jacobian.apply(columns(candidates - x))
        return candidates - x + self._gained(self.targets[:, which] - columns(error) - ahead)

    def length(self, ahead: Tensor) -> Tensor:
        """(B,) RMS of steps in the metric Λ, per pixel."""
        factor, moved = self.corrector.factor, columns(ahead)
        own = (moved * self.corrector.noise.precision(moved)).sum(0)
        seen = factor.jacobian.apply(moved).square().sum(0) / factor.tolerance**2
        length: Tensor = ((own + seen) / factor.pixels).sqrt()
        return length.nan_to_num(torch.inf, torch.inf)

    def _gained(self, residuals: Tensor) -> Tensor:
        return self.corrector.factor.gain(residuals).T.reshape(-1, *self.candidates.shape[1:])
