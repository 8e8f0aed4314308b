"""One factor serves all samples: the gain K of a region (method §4, "One Jacobian serves all samples").

With C = L·Lᵀ the covariance of the region given its surroundings, the gain is

    K = C Jᵀ (J C Jᵀ + ε²I)⁻¹ = L (B + ε²I)⁻¹ Lᵀ Jᵀ,   B = Lᵀ JᵀJ L.

The right form lives on the n pixels of the region, not on the m outputs: it needs only JᵀJ, so an inner tap with 64
channels costs no more than the output. M = B + ε²I is factorised once; every gain is then two products with
T = chol(M)⁻¹ Lᵀ. The same factor gives the law's spread, diag(ε² TᵀT), and d_eff(ε) = tr B M⁻¹.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ctinv.fibre.covariance import DenseNoise
from ctinv.fibre.heard import Heard, unheard
from ctinv.fibre.jacobian import Jacobian, SparseJacobian

PRODUCT_BYTES = 2**30  # of J L at once
_PROBES = 256
_EXACT_TRACE = 1024


class Gain(Protocol):
    """K of a region and what follows from it; one form per region size.

    Where a product takes iterations, `heard` is called at each.
    """

    @property
    def jacobian(self) -> Jacobian:
        """J at the scan."""
        ...

    @property
    def tolerance(self) -> float:
        """ε, RMS per output in the tap's unit."""
        ...

    @property
    def d_eff(self) -> float:
        """Effective number of dimensions, of n, that the tap fixes at ε."""
        ...

    @property
    def pixels(self) -> int:
        """Pixels of the region, n."""
        ...

    @property
    def spread(self) -> Tensor:
        """(n,) HU: per-pixel std of the law for a linear Φ."""
        ...

    def gain(self, residuals: Tensor, *, heard: Heard = unheard) -> Tensor:
        """K r for (m, B) columns: (n, B) HU."""
        ...

    def posterior(self, right: Tensor) -> Tensor:
        """(C⁻¹ + JᵀJ/ε²)⁻¹ b, or a rough form of it, for (n, B) columns."""
        ...

    def detectability(self, signals: Tensor, *, heard: Heard = unheard) -> Tensor:
        """(B,) η = d'_ε²/d'_in² of (n, B) signals, between 0 (Φ is blind to it) and 1 (method §7, I3)."""
        ...

    def within(self, most: int) -> Gain:
        """The same with fewer images through f at once, where memory is short."""
        ...


@dataclass(frozen=True, eq=False)
class Factor:
    """The gain of a region and what follows from it.

    Attributes:
        jacobian: J.
        noise: The noise of the region given its surroundings, with its root L.
        half_gain: (n, n) float32, T.
        tolerance: ε, per output, in the tap's unit.
        d_eff: Effective number of dimensions that the tap fixes, d_eff(ε), of n.
    """

    jacobian: SparseJacobian
    noise: DenseNoise
    half_gain: Tensor
    tolerance: float
    d_eff: float

    def within(self, most: int) -> Factor:
        """Itself: its products send nothing through f."""
        return self

    @classmethod
    def build(
        cls, jacobian: SparseJacobian, noise: DenseNoise, tolerance: float, *, heard: Heard = unheard
    ) -> Factor:
        """Factorise.

        Args:
            jacobian: J, (m, n).
            noise: C given the surroundings.
            tolerance: ε > 0, RMS per output in the tap's unit.
            heard: Called between products and factorisations, each of which is one piece.
        """
        matrix = normal_matrix(jacobian, noise)
        heard()
        matrix.diagonal().add_(tolerance**2)
        cholesky = torch.linalg.cholesky(matrix)
        heard()
        free = _free_dimensions(cholesky, tolerance)
        half_gain = torch.linalg.solve_triangular(
            cholesky.float(), noise.small_root.T.contiguous(), upper=False
        )
        return cls(jacobian, noise, half_gain.contiguous(), tolerance, len(matrix) - free)

    @property
    def pixels(self) -> int:
        """Pixels of the region, n."""
        return self.noise.latent

    @property
    def spread(self) -> Tensor:
        """(n,) float32 HU: per-pixel std of the law for a linear Φ."""
        return self.tolerance * torch.linalg.vector_norm(self.half_gain, dim=0)

    def gain(self, residuals: Tensor, *, heard: Heard = unheard) -> Tensor:
        """K r for (m, B) columns: (n, B) HU."""
        return self.posterior(self.jacobian.adjoint(residuals)) / self.tolerance**2

    def posterior(self, right: Tensor) -> Tensor:
        """(C⁻¹ + JᵀJ/ε²)⁻¹ b = ε² TᵀT b for (n, B) columns."""
        return self.half_gain.T @ (self.half_gain @ right) * self.tolerance**2

    def detectability(self, signals: Tensor, *, heard: Heard = unheard) -> Tensor:
        """η = d'_ε²/d'_in² of signals s, the share of their detectability that survives Φ at ε (method §7, I3).

        d'_in² = sᵀC⁻¹s and d'_ε² = (Js)ᵀ(JCJᵀ + ε²I)⁻¹(Js), which is d'_in² - ε²·‖chol(M)⁻¹L⁻¹s‖².

        Args:
            signals: (n, B) HU, any scale.

        Returns:
            (B,) between 0 (Φ is blind to it) and 1.
        """
        whitened = self.noise.whiten(signals)
        # chol(M)⁻¹ L⁻¹ s = T (L Lᵀ)⁻¹ s = T C⁻¹ s
        lost = self.tolerance**2 * (self.half_gain @ self.noise.precision(signals)).square().sum(0)
        return (1.0 - lost / whitened.square().sum(0)).clamp(0.0, 1.0)


def normal_matrix(jacobian: SparseJacobian, noise: DenseNoise) -> Tensor:
    """B = (J L)ᵀ (J L) as an (n, n) float64 matrix.

    Half of it is computed, in float64: at tight tolerances ε² is a billionth of its largest eigenvalue.
    """
    pixels = len(noise.root)
    blocks = jacobian.times_lower(noise.root, most=PRODUCT_BYTES // (8 * pixels))
    if noise.root.device.type != "cpu":
        matrix = noise.root.new_zeros(pixels, pixels)
        for block in blocks:
            matrix.addmm_(block.T, block)
        return matrix
    from scipy.linalg import blas  # torch has no symmetric rank-k product

    lower = np.zeros((pixels, pixels), order="F")
    for block in blocks:  # column-major, so a view of the block is enough
        lower = blas.dsyrk(1.0, block.numpy().T, beta=1.0, c=lower, lower=1, overwrite_c=1)
    matrix = torch.from_numpy(lower.T)  # its upper triangle is filled
    return matrix + matrix.triu(1).T


def _free_dimensions(cholesky: Tensor, tolerance: float) -> float:
    """ε² tr M⁻¹, exactly for small regions, else by Hutchinson's estimator to about 0.1 % of n."""
    size = len(cholesky)
    if size <= _EXACT_TRACE:
        probes = torch.eye(size, dtype=torch.float64)
    else:
        generator = torch.Generator().manual_seed(0)
        probes = torch.randint(0, 2, (size, _PROBES), generator=generator, dtype=torch.float64) * 2 - 1
    solved = torch.linalg.solve_triangular(cholesky, probes.to(cholesky.device), upper=False)
    return float(tolerance**2 * solved.square().sum() * (1 if size <= _EXACT_TRACE else 1 / _PROBES))
