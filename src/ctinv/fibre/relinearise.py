"""Steps with the Jacobian taken again, for candidates far from the scan (method §4, step 3).

With J_k at the sample itself, both steps solve one system without a matrix,

    (C⁻¹ + J_kᵀJ_k/λ) d = p - J_kᵀ r/λ,

with conjugate gradients, the factor at the scan as preconditioner: few iterations do where the two Jacobians resemble each
other, and the iterations are bounded where they do not.

*Pulled*: λ = ε², r = e - ε·η, p = C⁻¹(x_c - x̃). It is the Gauss-Newton step of the law's own objective
‖x̃ - x_c‖²_{C⁻¹} + ‖e - ε·η‖²/ε², and so keeps spread and χ²/n. *Straight*: p = 0, r the part of e that is to go and
λ = (RMS(r)/2)², at least (ε/10)²: Levenberg-Marquardt towards z0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.factor import Gain
from ctinv.fibre.heard import Heard, unheard
from ctinv.fibre.jacobian import LocalJacobian
from ctinv.fibre.krylov import truncated_gradients
from ctinv.fibre.region import Region

ITERATIONS = 24
PASSES_AT_MOST = 2 * ITERATIONS + 1
"""Products with J_k or its transpose that one step takes at most."""
_RESIDUAL_SHARE = 1e-2  # the next step corrects what this one leaves


@dataclass(frozen=True, eq=False)
class Relinearised:
    """The two steps of a block of samples.

    Attributes:
        region: The region.
        factor: K at the scan, for ε and as preconditioner.
        noise: C given the surroundings.
        at: (B, 1, h, w) HU, where the samples are and J_k is taken.
        heard: Called before each pass.
    """

    region: Region
    factor: Gain
    noise: SurroundedNoise
    at: Tensor
    heard: Heard = unheard

    def pulled(self, candidates: Tensor, residuals: Tensor) -> tuple[Tensor, int]:
        """A step towards the law's own point.

        Args:
            candidates: (B, 1, h, w) HU, x_c.
            residuals: (m, B) e - ε·η.

        Returns:
            (B, 1, h, w) HU, the proposal, and the products with J_k or its transpose that it took.
        """
        pull = self.noise.precision((candidates - self.at).reshape(len(self.at), -1).T)
        variance = residuals.new_full((residuals.shape[1],), self.factor.tolerance**2)
        return self._step(pull, residuals, variance)

    def straight(self, residuals: Tensor) -> tuple[Tensor, int]:
        """A damped step that takes (m, B) residuals off e; returns as `pulled`."""
        damping = (residuals.square().mean(0) / 4.0).clamp_min((0.1 * self.factor.tolerance) ** 2)
        return self._step(torch.zeros_like(self.at).reshape(len(self.at), -1).T, residuals, damping)

    def _step(self, pull: Tensor, residuals: Tensor, variance: Tensor) -> tuple[Tensor, int]:
        jacobian = LocalJacobian(self.region, self.at, self.heard)
        step, taken = truncated_gradients(
            lambda v: self.noise.precision(v) + jacobian.adjoint(jacobian.apply(v)) / variance,
            pull - jacobian.adjoint(residuals) / variance,
            self.factor.posterior,
            residual_share=_RESIDUAL_SHARE,
            iterations=ITERATIONS,
        )
        return self.at + step.T.reshape(self.at.shape), 2 * taken + 1
