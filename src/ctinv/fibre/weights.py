"""Importance weights that take settled samples of a nonlinear Φ to the exact law.

A settled sample (`ctinv.fibre.settle`) solves C⁻¹(x̃ - x_c) + J₀ᵀ(Φ(x̃) - z0 - ε·η)/ε² = 0, with J₀ the Jacobian at the
scan. That is "randomise, then optimise" with a fixed projection (Bardsley, Solonen, Haario and Laine, SIAM J. Sci. Comput.
36, 2014). With μ = ŷ plus what the surroundings say of the noise, and

    g(x) = C⁻¹(x - μ) + J₀ᵀ(Φ(x) - z0)/ε²,   Λ = C⁻¹ + J₀ᵀJ₀/ε²,

it says that g(x̃) = C⁻¹(x_c - μ) + J₀ᵀη/ε, which is drawn from N(0, Λ). Where g is one-to-one, x̃ therefore has the density

    q(x) = |det(C⁻¹ + J₀ᵀJ(x)/ε²)| · N(g(x); 0, Λ),

and the law π(x) ∝ exp(-(x - μ)ᵀC⁻¹(x - μ)/2 - ‖Φ(x) - z0‖²/2ε²) is reached with w = π/q:

    log w = -(x - μ)ᵀC⁻¹(x - μ)/2 - ‖Φ(x) - z0‖²/2ε² + gᵀΛ⁻¹g/2 - log|det Λ⁻¹(C⁻¹ + J₀ᵀJ(x)/ε²)| + const.

For a linear Φ all weights are equal. The determinant takes J(x) at every sample, n products each, so this is for small
regions and for checks, not for every study.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.errors import InputError
from ctinv.fibre.approach import columns
from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import DenseNoise
from ctinv.fibre.jacobian import LocalJacobian

MOST_PIXELS = 1024


def log_weights(corrector: Corrector, x_tilde: Tensor) -> NDArray[np.float64]:
    """Logarithms of importance weights of settled samples, with a largest value of 0.

    Args:
        corrector: The corrector that the samples came from.
        x_tilde: (B, 1, h, w) HU, settled and not rounded: they must solve the equation above.

    Returns:
        (B,) log w; -inf where g turns over (a determinant that is not positive), as the density above is not that of the
        sample there.

    Raises:
        InputError: The region is too large.
    """
    noise, pixels = corrector.noise, corrector.factor.pixels
    if pixels > MOST_PIXELS or not isinstance(noise, DenseNoise):
        raise InputError(
            f"importance weights take J at every sample and are for regions of at most {MOST_PIXELS} pixels, got "
            f"{pixels}; choose a smaller region."
        )
    metric = _Metric(corrector, noise)
    turned = [metric.log_determinants(part) for part in x_tilde.split(max(1, MOST_PIXELS // pixels))]
    found: NDArray[np.float64] = (metric.log_ratio(x_tilde) - torch.cat(turned)).cpu().numpy()
    return found - found.max() if np.isfinite(found).any() else found


def effective_size(log_weights: NDArray[np.float64]) -> float:
    """(Σw)²/Σw², how many samples that all count alike the weighted ones are worth (Kish)."""
    if not np.isfinite(log_weights).any():
        return 0.0
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / np.square(weights).sum())


class _Metric:
    """C⁻¹, J₀ and Λ of a corrector as dense float64 matrices: at tight tolerances float32 would not do."""

    def __init__(self, corrector: Corrector, noise: DenseNoise) -> None:
        factor, self.region = corrector.factor, corrector.region
        self.variance = factor.tolerance**2
        self.eye = torch.eye(factor.pixels, dtype=torch.float64, device=noise.root.device)
        self.centre = columns(corrector.clean).double() + noise.mean.double()[:, None]
        self.precision = torch.cholesky_inverse(noise.root)
        self.jacobian = factor.jacobian.apply(self.eye.to(self.region.context.dtype)).double()
        self.root = torch.linalg.cholesky(self.precision + self.jacobian.T @ self.jacobian / self.variance)

    def log_ratio(self, x_tilde: Tensor) -> Tensor:
        """(B,) log of π over N(g; 0, Λ), up to a constant."""
        _, error = self.region.errors(x_tilde)
        e, apart = columns(error).double(), columns(x_tilde).double() - self.centre
        pull = self.precision @ apart
        g = pull + self.jacobian.T @ e / self.variance
        length = torch.linalg.solve_triangular(self.root, g, upper=False).square().sum(0)
        return 0.5 * (length - (apart * pull).sum(0) - e.square().sum(0) / self.variance)

    def log_determinants(self, patches: Tensor) -> Tensor:
        """(B,) log det Λ⁻¹(C⁻¹ + J₀ᵀJ(x)/ε²) at (B, 1, h, w) patches; inf where the determinant is not positive."""
        pixels = len(self.eye)
        points = LocalJacobian(self.region, patches.repeat_interleave(pixels, dim=0))
        there = points.apply(self.eye.to(patches.dtype).repeat(1, len(patches))).double()
        seen = (self.jacobian.T @ there).reshape(pixels, len(patches), pixels).movedim(1, 0)
        sign, logarithm = torch.linalg.slogdet(self.precision + seen / self.variance)
        own = 2.0 * self.root.diagonal().log().sum()
        return torch.where(sign > 0, logarithm - own, torch.inf)
