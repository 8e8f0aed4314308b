"""What an ideal observer sees of a signal in the scan, and what of it in the representation at ε (method §7, I3).

With Q = C⁻¹ given the surroundings and Σ = (Q + JᵀJ/ε²)⁻¹ the covariance of the law, a signal s of 1 HU has

    d'_in² = sᵀQs,   d'_ε² = (Js)ᵀ(JCJᵀ + ε²I)⁻¹(Js) = sᵀ(Q - QΣQ)s,   η = d'_ε²/d'_in²,

and kept contrast ⟨s, s - KJs⟩/⟨s, s⟩ = ⟨s, ΣQs⟩/⟨s, s⟩. *Kept* is said of the image: it is the share of an inserted signal
that is still there once the image has been corrected onto the fibre, so what f lets vary, not what f passes on. It is 0
where f pins the signal down and 1 where f does not see it at all.

A disc touches few pixels. With W = L⁻¹ and V = ε·chol(M)⁻¹L⁻¹ at hand, two triangular inverses that do not depend on the
signals, every further one costs only a sum over its own pixels: d'_in = ‖Ws‖, and ‖Vs‖² = sᵀQΣQs is what is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import blas, lapack
from torch import Tensor

from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import DenseNoise
from ctinv.fibre.factor import Factor, Gain
from ctinv.fibre.jacobian import csr
from ctinv.progress import Progress, blocks, each, part, tell

_AT_ONCE = 64
_COLUMNS = 256  # of a triangular product at once
_DISCS_AT_ONCE = 400
_SETTING_UP, _LOOKING = "setting the ideal observer up", "looking at discs"
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Visibility:
    """Of each of B signals of 1 HU.

    Attributes:
        d_in: (B,) d'_in per HU.
        eta: (B,) η, 0 to 1.
        kept: (B,) kept contrast: the share of the signal that f lets vary.
    """

    d_in: Values
    eta: Values
    kept: Values

    @classmethod
    def joined(cls, parts: Sequence[Visibility]) -> Visibility:
        """Those of several blocks of signals as one."""
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("d_in", "eta", "kept"))
        )

    @property
    def d_eps(self) -> Values:
        """(B,) d'_ε per HU."""
        seen: Values = self.d_in * np.sqrt(self.eta)
        return seen


class Observer(Protocol):
    """An ideal observer of one region."""

    def look(self, signals: Tensor, *, progress: Progress | None = None) -> Visibility:
        """Judge (B, n) signals of 1 HU, sparse or dense, on the CPU."""
        ...


@dataclass(frozen=True, eq=False)
class DenseObserver:
    """An observer of a region with a dense factor: set up once, then each signal costs its own pixels.

    Attributes:
        whitener: (n, n) float32, Wᵀ.
        lost: (n, n) float32, Vᵀ.
        half_gain: (n, n) float32, ε·Tᵀ, so that Σ is its product with its transpose.
    """

    whitener: Tensor
    lost: Tensor
    half_gain: Tensor

    @classmethod
    def of(cls, noise: DenseNoise, factor: Factor, *, progress: Progress | None = None) -> DenseObserver:
        """Set up from the root L of C and from T = chol(M)⁻¹Lᵀ.

        Args:
            noise: C given the surroundings.
            factor: K.
            progress: Called with a phrase and a finished share.
        """
        tell(progress, _SETTING_UP, 0.0)
        epsilon = factor.tolerance
        if noise.root.device.type == "cpu":
            whitener, lost = _on_cpu(noise.small_root, factor.half_gain, part(progress, 0.2, 0.9))
        else:
            eye = torch.eye(factor.pixels, device=noise.root.device)
            whitener = torch.linalg.solve_triangular(noise.small_root, eye, upper=False).T
            lost = whitener @ (whitener.T @ factor.half_gain.T)
        parts = (whitener, lost.mul_(epsilon), epsilon * factor.half_gain.T)
        last = each(part(progress, 0.9, 1.0), _SETTING_UP, parts)
        return cls(*(matrix.cpu().contiguous() for _, matrix in last))

    def look(self, signals: Tensor, *, progress: Progress | None = None) -> Visibility:
        """Judge (B, n) signals of 1 HU, sparse or dense, on the CPU."""
        rows = blocks(len(signals), _DISCS_AT_ONCE)
        return Visibility.joined(
            [self._look(_some(signals, some)) for _, some in each(progress, _LOOKING, rows)]
        )

    def _look(self, signals: Tensor) -> Visibility:
        inner = (signals @ self.whitener).square().sum(1).double()
        lost = signals @ self.lost
        share = lost.square().sum(1).double() / inner
        kept = ((signals @ self.half_gain) * lost).sum(1).double() / _energy(signals)
        eta = (1.0 - share).clamp(0.0, 1.0)
        return Visibility(inner.sqrt().numpy(), eta.numpy(), kept.numpy())


def _on_cpu(root: Tensor, half_gain: Tensor, progress: Progress | None) -> tuple[Tensor, Tensor]:
    """L⁻ᵀ and L⁻ᵀL⁻¹Tᵀ; triangular routines of LAPACK and BLAS, which torch lacks, take half the time or less."""
    # A row-major matrix is the transpose of a column-major one, so Lᵀ and Tᵀ cost nothing here.
    inverse, _ = lapack.strtri(root.numpy().T, lower=0)
    whitener = np.asfortranarray(np.triu(inverse))
    product = np.array(half_gain.numpy().T, order="F")
    for _, some in each(progress, _SETTING_UP, blocks(product.shape[1], _COLUMNS)):
        columns = product[:, some.start : some.stop]
        half = blas.strmm(1.0, whitener, columns, side=0, lower=0, trans_a=1)
        columns[...] = blas.strmm(1.0, whitener, half, side=0, lower=0, overwrite_b=1)
    return torch.from_numpy(whitener), torch.from_numpy(product)


@dataclass(frozen=True, eq=False)
class SolvingObserver:
    """An observer of a region without a dense factor: every signal takes solutions of its own.

    Attributes:
        gain: K.
        corrector: The region, for its noise.
    """

    gain: Gain
    corrector: Corrector

    def look(self, signals: Tensor, *, progress: Progress | None = None) -> Visibility:
        """Judge (B, n) signals of 1 HU, sparse or dense, on the CPU."""
        parts = []
        dense = signals.to_dense() if signals.layout != torch.strided else signals
        for inner, some in each(progress, _LOOKING, dense.split(_AT_ONCE)):
            heard = partial(tell, inner, _LOOKING)
            columns = some.T.to(self.corrector.clean.device)
            seen = (columns * self.corrector.noise.precision(columns)).sum(0)
            varies = columns - self.gain.gain(self.gain.jacobian.apply(columns), heard=heard)
            kept = (columns * varies).sum(0).double().cpu() / _energy(some)
            eta = self.gain.detectability(columns, heard=heard).double().cpu()
            parts.append((seen.double().sqrt().cpu(), eta, kept))
        return Visibility(*(torch.cat(one).numpy() for one in zip(*parts, strict=True)))


def observer_of(corrector: Corrector, *, progress: Progress | None = None) -> Observer:
    """The observer that fits the size of the region."""
    noise, factor = corrector.noise, corrector.factor
    if isinstance(noise, DenseNoise) and isinstance(factor, Factor):
        return DenseObserver.of(noise, factor, progress=progress)
    return SolvingObserver(factor, corrector)


def _some(signals: Tensor, some: range) -> Tensor:
    """These rows of (B, n) signals, sparse or dense."""
    if signals.layout == torch.strided:
        return signals[some.start : some.stop]
    ends = signals.crow_indices()[some.start : some.stop + 1]
    entries = slice(int(ends[0]), int(ends[-1]))
    columns, values = signals.col_indices()[entries], signals.values()[entries]
    return csr(ends - ends[0], columns, values, (len(some), signals.shape[1]))


def _energy(signals: Tensor) -> Tensor:
    """(B,) ⟨s, s⟩."""
    if signals.layout == torch.strided:
        return signals.double().square().sum(1)
    rows, columns, values = signals.crow_indices(), signals.col_indices(), signals.values()
    squared = csr(rows, columns, values.square(), tuple(signals.shape))
    return (squared @ torch.ones(signals.shape[1], 1)).double()[:, 0]
