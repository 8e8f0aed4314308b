"""Levenberg-Marquardt steps with the Jacobian taken again, for candidates far from the scan (method §4, step 3).

    d = -C J_kᵀ (J_k C J_kᵀ + λI)⁻¹ e,   λ = (RMS(e)/2)², at least (ε/10)²,

with J_k at the sample itself. It is solved in the form (C⁻¹ + J_kᵀJ_k/λ) d = -J_kᵀ e/λ without a matrix; the factor at the
scan is the preconditioner, so that few iterations do where the two Jacobians resemble each other.
"""

from __future__ import annotations

from torch import Tensor

from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.factor import Gain
from ctinv.fibre.jacobian import LocalJacobian
from ctinv.fibre.krylov import conjugate_gradients
from ctinv.fibre.region import Region

_RESIDUAL_SHARE = 1e-2  # the next step corrects what this one leaves


def relinearised_step(
    region: Region, factor: Gain, noise: SurroundedNoise, patches: Tensor, errors: Tensor
) -> Tensor:
    """One damped step towards z0, each sample with its own Jacobian.

    Args:
        region: The region.
        factor: K at the scan, for ε and as preconditioner.
        noise: C given the surroundings.
        patches: (B, 1, h, w) HU, where the samples are.
        errors: (m, B) Φ(x̃) - z0.

    Returns:
        (B, 1, h, w) HU, the proposal.
    """
    jacobian = LocalJacobian(region, patches)
    damping = (errors.square().mean(0) / 4.0).clamp_min((0.1 * factor.tolerance) ** 2)
    step = conjugate_gradients(
        lambda v: noise.precision(v) + jacobian.adjoint(jacobian.apply(v)) / damping,
        -jacobian.adjoint(errors) / damping,
        factor.posterior,
        residual_share=_RESIDUAL_SHARE,
    )
    return patches + step.T.reshape(patches.shape)
