"""From a candidate to a certified invariance (method §4).

A sample of the law π_ε(x̃ | z0) ∝ N(x̃; ŷ, C)·exp(-‖Φ(x̃) - z0‖²/2ε²) is the minimum of

    ‖x̃ - x_c‖²_{C⁻¹} + ‖Φ(x̃) - z0 - ε·η‖²/ε²,   x_c ~ N(ŷ, C), η ~ N(0, I),

exactly so for a linear Φ ("randomise, then optimise"; Bardsley, Solonen, Haario and Laine, SIAM J. Sci. Comput. 36,
2014). Its Gauss-Newton step with the Jacobian held at the scan (the chord) is one formula,

    x̃ ← x_c + K (ε·η - e - J(x_c - x̃)),   e = Φ(x̃) - z0.

Started at the scan, e = 0, it is the Matheron swap: range part from x, null part from x_c. Each further step takes out
what the curvature of Φ left, and the pull towards x_c keeps the spread and χ²/n of the law, which steps straight
towards z0 would shrink. Where the chord stalls, J is taken again at the sample (`ctinv.fibre.approach`); what still does not
arrive is reported as not reached, with its value and its cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ctinv.errors import ModelError
from ctinv.fibre.approach import Approach, columns
from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.factor import Gain
from ctinv.fibre.region import Region
from ctinv.fibre.rows import TARGET, RowSeeds
from ctinv.fibre.tiers import NONE, Certificate, TierRule, chi2_in_band
from ctinv.progress import Progress

QUANTUM_HU = 0.125


@dataclass(frozen=True, eq=False)
class Corrector:
    """Moves candidates of one region onto the fibre and certifies them.

    Attributes:
        region: The region and the network.
        factor: K at the scan.
        noise: The noise given the surroundings, for χ²/n.
        clean: (1, 1, h, w) f(x) in HU, ŷ.
        rule: The tiers.
        noise_rms: RMS of Φ's response to noise, the unit of relative errors; 1 at the input and output.
        quantum: Step in HU to which samples are rounded before they are fed back, so that what is stored is what was
            certified; 0 keeps float32.
        perturb: Whether η is drawn. Without it the law is too narrow: a negative control, not an option.
    """

    region: Region
    factor: Gain
    noise: SurroundedNoise
    clean: Tensor
    rule: TierRule
    noise_rms: float = 1.0
    quantum: float = QUANTUM_HU
    perturb: bool = True

    def correct(
        self,
        candidates: Tensor,
        rows: Sequence[int],
        seeds: RowSeeds,
        *,
        progress: Progress | None = None,
    ) -> tuple[Tensor, Tensor, list[Certificate]]:
        """Correct a block of candidates.

        Args:
            candidates: (B, 1, h, w) HU. Blocks of one fixed size make a row's arithmetic the same in any company.
            rows: The rows' numbers.
            seeds: Source of η.
            progress: Called at each pass with a phrase and the share of samples that are at an end.

        Returns:
            x̃ (B, 1, h, w) HU, f(x̃) - f(x) on the output box (B, 1, H', W') HU, and one certificate per sample,
            whether it arrived or not.

        Raises:
            ModelError: A candidate holds values that are not finite.
        """
        if not bool(torch.isfinite(candidates).all()):
            raise ModelError(
                "the generator proposed values that are not finite; its weights or this scan do not fit it."
            )
        approach = Approach(self, candidates, self.targets(rows, seeds), progress)
        approach.run()
        return approach.x_tilde, approach.output_error, self._certificates(approach, rows)

    def within(self, most: int) -> Corrector:
        """The same with fewer images through f at once, where memory is short."""
        return replace(self, region=self.region.within(most), factor=self.factor.within(most))

    def targets(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        """(m, B) ε·η of these rows, in the tap's unit."""
        outputs = self.region.reference[0].numel()
        if not self.perturb:
            return self.region.reference.new_zeros(outputs, len(rows))
        drawn = torch.from_numpy(seeds.normal(rows, outputs, TARGET)).to(self.region.reference.device)
        return drawn.T * self.factor.tolerance

    def rounded(self, patches: Tensor) -> Tensor:
        """Images as they are stored, in steps of `quantum`."""
        return torch.round(patches / self.quantum) * self.quantum if self.quantum else patches

    def chi2_per_n(self, patches: Tensor) -> Tensor:
        """(B,) χ²/n of (B, 1, h, w) patches given the surroundings."""
        return self.noise.chi2(columns(patches - self.clean)) / self.factor.pixels

    @cached_property
    def chi2_expected(self) -> float:
        """χ²/n that the law expects of a sample: that of its mean KJ(x - ŷ), and 1 for each dimension that is free."""
        residual = columns(self.region.scan - self.clean) - self.noise.mean[:, None]
        kept = self.factor.gain(self.factor.jacobian.apply(residual)) + self.noise.mean[:, None]
        free = max(0.0, 1.0 - self.factor.d_eff / self.factor.pixels)
        return float(self.noise.chi2(kept)[0]) / self.factor.pixels + free

    def _certificates(self, approach: Approach, rows: Sequence[int]) -> list[Certificate]:
        unit = 2.0**0.5 * self.rule.sigma_out_hu
        chi2 = self.chi2_per_n(approach.x_tilde).tolist()
        found = []
        for index, row in enumerate(rows):
            measures, raw = approach.measures(index), float(approach.raw_rmse[index])
            found.append(
                Certificate(
                    k=int(row),
                    rmse_hu_raw=raw,
                    nfe_raw=raw / unit,
                    nfe=measures["rmse_hu"] / unit,
                    chi2_per_n=chi2[index],
                    steps=int(approach.steps[index]),
                    tier=self.rule.best(**measures) if torch.isfinite(approach.rank[index]) else NONE,
                    passed=bool(approach.passed[index]),
                    reached=approach.reached(index),
                    passes=int(approach.passes[index]),
                    in_band=chi2_in_band(chi2[index], self.chi2_expected),
                    **measures,
                )
            )
        return found
