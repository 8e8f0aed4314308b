"""From a candidate to a certified invariance (method §4).

A sample of the law π_ε(x̃ | z0) ∝ N(x̃; ŷ, C)·exp(-‖Φ(x̃) - z0‖²/2ε²) is the minimum of

    ‖x̃ - x_c‖²_{C⁻¹} + ‖Φ(x̃) - z0 - ε·η‖²/ε²,   x_c ~ N(ŷ, C), η ~ N(0, I),

exactly so for a linear Φ ("randomise, then optimise"; Bardsley, Solonen, Haario and Laine, SIAM J. Sci. Comput. 36,
2014). Its Gauss-Newton step with the Jacobian held at the scan (the chord) is one formula,

    x̃ ← x_c + K (ε·η - e - J(x_c - x̃)),   e = Φ(x̃) - z0.

Started at the scan, e = 0, it is the Matheron swap: range part from x, null part from x_c. Each further step takes out
what the curvature of Φ left, and the pull towards x_c keeps the spread and χ²/n of the law, which steps straight
towards z0 would shrink. Only samples that do not arrive so are moved straight towards z0 with backtracking, first by
the chord, then with the Jacobian taken again and damped; what still does not arrive is reported as not reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.factor import Gain
from ctinv.fibre.measure import measure, rms
from ctinv.fibre.region import Region
from ctinv.fibre.relinearise import relinearised_step
from ctinv.fibre.rows import TARGET, RowSeeds
from ctinv.fibre.tiers import Certificate, TierRule

QUANTUM_HU = 0.125
PULLED_STEPS = 4
STRAIGHT_STEPS = 3
RELINEARISED_STEPS = 3


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
        self, candidates: Tensor, rows: Sequence[int], seeds: RowSeeds
    ) -> tuple[Tensor, Tensor, list[Certificate]]:
        """Correct a block of candidates.

        Args:
            candidates: (B, 1, h, w) HU. Blocks of one fixed size make a row's arithmetic the same in any company.
            rows: The rows' numbers.
            seeds: Source of η.

        Returns:
            x̃ (B, 1, h, w) HU, f(x̃) - f(x) on the output box (B, 1, H', W') HU, and one certificate per sample.
        """
        block = _Block(self, candidates, rows, self._targets(rows, seeds))
        phases = (
            (block.pulled, 1 + PULLED_STEPS),
            (block.straight, STRAIGHT_STEPS),
            (block.relinearised, RELINEARISED_STEPS),
        )
        step = 0
        for move, most in phases:
            for _ in range(most):
                if block.all_passed:
                    break
                improved = block.offer(move, step)
                step += 1
                if not improved:
                    break  # this kind of step has nothing more to give
        return block.x_tilde, block.output_error, block.certificates()

    def chi2_per_n(self, patches: Tensor) -> Tensor:
        """(B,) χ²/n of (B, 1, h, w) patches given the surroundings."""
        return self.noise.chi2(_columns(patches - self.clean)) / self.factor.pixels

    def _targets(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        """(m, B) ε·η."""
        outputs = self.region.reference[0].numel()
        if not self.perturb:
            return self.region.reference.new_zeros(outputs, len(rows))
        drawn = torch.from_numpy(seeds.normal(rows, outputs, TARGET)).to(self.region.reference.device)
        return drawn.T * self.factor.tolerance


@dataclass(eq=False)
class _Block:
    """Candidates on their way: the current iterate of each, and the best one that was fed back."""

    corrector: Corrector
    candidates: Tensor
    rows: Sequence[int]
    targets: Tensor
    x_tilde: Tensor = field(init=False)
    output_error: Tensor = field(init=False)

    def __post_init__(self) -> None:
        raw, _ = self.corrector.region.errors(self.candidates)
        self.raw_rmse = rms(self.corrector.region, raw)
        scan = self.corrector.region.scan.expand_as(self.candidates).clone()
        # The scan itself is the start: it has no error, and it is no sample, so its rank is infinite.
        self.x_tilde, self.output_error = scan, torch.zeros_like(raw)
        self.tap_error = torch.zeros(
            len(scan), *self.corrector.region.reference.shape[1:], device=scan.device
        )
        self.rank = torch.full((len(scan),), torch.inf, device=scan.device)
        self.steps = torch.zeros(len(scan), dtype=torch.int64)
        self.passed = torch.zeros(len(scan), dtype=torch.bool)

    @property
    def all_passed(self) -> bool:
        return bool(self.passed.all())

    def pulled(self, late: Tensor) -> Tensor:
        """x_c + K (ε·η - e - J(x_c - x̃)): the step towards the law's own point."""
        factor = self.corrector.factor
        ahead = _columns(self.candidates[late] - self.x_tilde[late])
        residual = self.targets[:, late] - _columns(self.tap_error[late]) - factor.jacobian.apply(ahead)
        return self.candidates[late] + self._images(factor.gain(residual))

    def straight(self, late: Tensor) -> Tensor:
        """x̃ - K e: the step towards z0 for those that the law's own step does not bring there."""
        return self.x_tilde[late] - self._images(self.corrector.factor.gain(_columns(self.tap_error[late])))

    def relinearised(self, late: Tensor) -> Tensor:
        """A damped step towards z0 with J taken again at each sample."""
        corrector = self.corrector
        errors = _columns(self.tap_error[late])
        return relinearised_step(
            corrector.region, corrector.factor, corrector.noise, self.x_tilde[late], errors
        )

    def _images(self, columns: Tensor) -> Tensor:
        return columns.T.reshape(-1, *self.x_tilde.shape[1:])

    def offer(self, move: Callable[[Tensor], Tensor], step: int) -> bool:
        """Move what has not arrived and feed it back; keep what is nearer, else go half the way, up to three times.

        Returns:
            Whether any sample came nearer.
        """
        improved = False
        late = torch.nonzero(~self.passed)[:, 0].to(self.x_tilde.device)
        proposal = move(late)
        for _ in range(3):
            proposal = self._rounded(proposal)
            output, inner = self.corrector.region.errors(proposal)
            rank = rms(self.corrector.region, inner)
            better = rank < self.rank[late]
            improved = improved or bool(better.any())
            self._keep(late[better], proposal[better], output[better], inner[better], rank[better], step)
            again = ~better & torch.isfinite(self.rank[late])
            late, proposal = late[again], proposal[again]
            if not len(late):
                break
            proposal = (proposal + self.x_tilde[late]) / 2
        return improved

    def _rounded(self, patches: Tensor) -> Tensor:
        quantum = self.corrector.quantum
        return torch.round(patches / quantum) * quantum if quantum else patches

    def _keep(
        self, rows: Tensor, proposal: Tensor, output: Tensor, inner: Tensor, rank: Tensor, step: int
    ) -> None:
        self.x_tilde[rows], self.output_error[rows], self.tap_error[rows] = proposal, output, inner
        self.rank[rows] = rank
        self.steps[rows.cpu()] = step
        for index in rows.tolist():
            self.passed[index] = self._met(index)

    def _measures(self, index: int) -> dict[str, float]:
        corrector = self.corrector
        return measure(corrector.region, self.output_error[index], self.tap_error[index], corrector.noise_rms)

    def _met(self, index: int) -> bool:
        rule = self.corrector.rule
        return bool(torch.isfinite(self.rank[index])) and rule.met(rule.asked, **self._measures(index))

    def certificates(self) -> list[Certificate]:
        """One certificate per row, whether it arrived or not."""
        rule = self.corrector.rule
        unit = 2.0**0.5 * rule.sigma_out_hu
        chi2 = self.corrector.chi2_per_n(self.x_tilde)
        found = []
        for index, row in enumerate(self.rows):
            measures = self._measures(index)
            found.append(
                Certificate(
                    k=int(row),
                    rmse_hu_raw=float(self.raw_rmse[index]),
                    nfe_raw=float(self.raw_rmse[index]) / unit,
                    nfe=measures["rmse_hu"] / unit,
                    chi2_per_n=float(chi2[index]),
                    steps=int(self.steps[index]),
                    tier=rule.best(**measures),
                    passed=bool(self.passed[index]),
                    **measures,
                )
            )
        return found


def _columns(images: Tensor) -> Tensor:
    """(B, C, H, W) images as (C·H·W, B) columns."""
    return images.reshape(len(images), -1).T
