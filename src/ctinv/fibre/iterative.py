"""Large regions: the same law without a dense matrix, by conjugate gradients.

The precision of the noise is applied through the FFT. On a torus that holds the region and its surroundings,
Q = diag(1/σ)·F⁻¹Λ⁻¹F·diag(1/σ) is the inverse of C, Λ its power spectrum with the white floor. Given the outside, the
precision of the region is simply the block Q_RR, so that

    K r = (Q_RR + JᵀJ/ε²)⁻¹ Jᵀ r / ε²,    χ² = (e - mean)ᵀ Q_RR (e - mean),

and a draw is Q_RR⁻¹ b with b ~ N(0, Q_RR) (perturb and solve; Papandreou and Yuille, NeurIPS 2010). The systems are nearly
those of stationary filters, which is what the preconditioner inverts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.fibre.covariance import Covariance
from ctinv.fibre.heard import Heard, unheard
from ctinv.fibre.jacobian import Jacobian
from ctinv.fibre.krylov import conjugate_gradients
from ctinv.volume import Box

MARGIN = 24  # pixels of known surroundings on each side, three times the noise's correlation length
_DRAWS = 48


@dataclass(frozen=True, eq=False)
class TorusNoise:
    """A `SurroundedNoise` on a torus around the region, for regions of any size.

    Attributes:
        shape: (h, w) of the region.
        corner: Row and column of the region on the torus.
        sigma: (T, T) float32 HU, whole standard deviation, extended where the slice ends.
        spectrum: (T, T) float32, Λ, mean 1.
        mean: (n,) float32 HU, given the surroundings.
    """

    shape: tuple[int, int]
    corner: tuple[int, int]
    sigma: Tensor
    spectrum: Tensor
    mean: Tensor

    @classmethod
    def given(
        cls, covariance: Covariance, region: Box, residual: NDArray[np.float64], device: torch.device
    ) -> TorusNoise:
        """Condition on the surroundings, up to the area's border; arguments as for `DenseNoise.given`."""
        area = covariance.area
        size = max(area.shape)
        pad = [(0, size - length) for length in area.shape]  # where the slice ends, and nothing is known
        total = np.pad(covariance.total_sigma, pad, mode="edge")
        share = covariance.white / float(
            np.mean(total**2)
        )  # the floor follows σ here; it is a ten-thousandth of the whole
        spectrum = _on_torus(covariance.spectrum, size) * (1.0 - share) + share
        known = np.pad(residual, pad)
        corner = (region.y0 - area.y0, region.x0 - area.x0)
        rows, columns = (
            slice(start, start + length) for start, length in zip(corner, region.shape, strict=True)
        )
        known[rows, columns] = 0.0
        tensors = [
            torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32)).to(device)
            for part in (total, spectrum)
        ]
        empty = torch.zeros(region.shape[0] * region.shape[1], device=device)
        noise = cls(region.shape, corner, tensors[0], tensors[1], empty)
        outside = torch.from_numpy(known.astype(np.float32)).to(device)
        # The conditional mean is -Q_RR⁻¹ Q_RO e_O.
        mean = noise.solve(-noise._cut(noise._filter(outside[None], -1.0)))[:, 0]
        return cls(region.shape, corner, tensors[0], tensors[1], mean)

    @property
    def pixels(self) -> int:
        """Pixels of the region, n."""
        return self.shape[0] * self.shape[1]

    @property
    def latent(self) -> int:
        """Standard normal numbers that one draw takes: all pixels of the torus."""
        return self.sigma.numel()

    def precision(self, noise: Tensor) -> Tensor:
        """Q_RR e for (n, B) columns."""
        return self._cut(self._filter(self._pad(noise), -1.0))

    def solve(self, right: Tensor, *, heard: Heard = unheard) -> Tensor:
        """Q_RR⁻¹ b for (n, B) columns."""
        return conjugate_gradients(
            self.precision,
            right,
            lambda r: self._cut(self._filter_plain(self._pad(r), self._typical**2 * self.spectrum)),
            heard=heard,
        )

    def perturbation(self, normal: Tensor) -> Tensor:
        """b ~ N(0, Q_RR) from (latent, B) standard normal numbers: (n, B)."""
        images = normal.T.reshape(-1, *self.sigma.shape)
        return self._cut(self._filter_plain(images, self.spectrum.rsqrt()) / self.sigma)

    def draw(self, normal: Tensor, *, heard: Heard = unheard) -> Tensor:
        """Noise from (latent, B) standard normal numbers: (n, B) HU."""
        return self.solve(self.perturbation(normal), heard=heard) + self.mean[:, None]

    def chi2(self, noise: Tensor) -> Tensor:
        """(B,) (e - mean)ᵀ Q_RR (e - mean) for (n, B) noise e in HU."""
        centred = noise - self.mean[:, None]
        return (centred * self.precision(centred)).sum(0)

    @cached_property
    def _typical(self) -> Tensor:
        return self._cut(self.sigma[None]).square().mean().sqrt()

    def _filter(self, images: Tensor, power: float) -> Tensor:
        return self._filter_plain(images / self.sigma, self.spectrum**power) / self.sigma

    def _filter_plain(self, images: Tensor, response: Tensor) -> Tensor:
        return torch.fft.ifft2(torch.fft.fft2(images) * response).real

    def _pad(self, columns: Tensor) -> Tensor:
        images = columns.new_zeros(columns.shape[1], *self.sigma.shape)
        (top, left), (height, width) = self.corner, self.shape
        images[:, top : top + height, left : left + width] = columns.T.reshape(-1, height, width)
        return images

    def _cut(self, images: Tensor) -> Tensor:
        (top, left), (height, width) = self.corner, self.shape
        return images[:, top : top + height, left : left + width].reshape(len(images), -1).T


def _on_torus(spectrum: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The spectrum of mean 1 on a torus of another size.

    It is that of the circulant nearest to the covariance of a square of this size (T. Chan, SIAM J. Sci. Stat. Comput. 9,
    1988): positive by construction, with the leakage between frequencies that a finite square really has.
    """
    correlation = np.real(np.fft.ifft2(spectrum))
    forward = np.arange(size)
    for axis in (0, 1):
        shape = (-1, 1) if axis == 0 else (1, -1)
        share = (forward / size).reshape(shape)
        near, far = (_lags(correlation, lags, axis) for lags in (forward, forward - size))
        correlation = (1.0 - share) * near + share * far
    power = np.clip(np.real(np.fft.fft2(correlation)), 0.0, None)
    return np.asarray(power / power.mean())


def _lags(correlation: NDArray[np.float64], lags: NDArray[np.int_], axis: int) -> NDArray[np.float64]:
    """Values at these lags along an axis; 0 beyond half the period, where only the wrapped correlation is known."""
    period = correlation.shape[axis]
    known = (np.abs(lags) < period / 2).reshape((-1, 1) if axis == 0 else (1, -1))
    return np.asarray(np.take(correlation, lags % period, axis=axis) * known)


@dataclass(frozen=True, eq=False)
class IterativeGain:
    """K by conjugate gradients; a `Gain` for regions of any size.

    Attributes:
        jacobian: J.
        noise: The noise given the surroundings.
        tolerance: ε, RMS per output in the tap's unit.
        response: (T, T) mean squared transfer of J, for the preconditioner.
        spread: (n,) HU, from 48 draws of the linear law.
        d_eff: From the same draws.
    """

    jacobian: Jacobian
    noise: TorusNoise
    tolerance: float
    response: Tensor
    spread: Tensor
    d_eff: float

    @classmethod
    def build(cls, jacobian: Jacobian, noise: TorusNoise, tolerance: float) -> IterativeGain:
        """Prepare the preconditioner and measure what linear theory predicts."""
        bare = cls(jacobian, noise, tolerance, _transfer(jacobian, noise), noise.mean, 0.0)
        generator = torch.Generator().manual_seed(0)
        draws, fixed = [], []
        for _ in range(2):
            normal = torch.randn(noise.latent, _DRAWS // 2, generator=generator).to(noise.mean.device)
            target = torch.randn(jacobian.outputs, _DRAWS // 2, generator=generator).to(noise.mean.device)
            draws.append(bare._solve(noise.perturbation(normal) + jacobian.adjoint(target) / tolerance))
            fixed.append(jacobian.apply(draws[-1]).square().sum(0) / tolerance**2)
        spread = torch.cat(draws, dim=1).square().mean(1).sqrt()
        return cls(jacobian, noise, tolerance, bare.response, spread, float(torch.cat(fixed).mean()))

    @property
    def pixels(self) -> int:
        """Pixels of the region, n."""
        return self.noise.pixels

    def gain(self, residuals: Tensor, *, heard: Heard = unheard) -> Tensor:
        """K r for (m, B) columns: (n, B) HU."""
        return self._solve(self.jacobian.adjoint(residuals) / self.tolerance**2, heard)

    def within(self, most: int) -> IterativeGain:
        """The same with fewer images through f at once, where memory is short."""
        return replace(self, jacobian=self.jacobian.within(most))

    def posterior(self, right: Tensor) -> Tensor:
        """Roughly (C⁻¹ + JᵀJ/ε²)⁻¹ b for (n, B) columns, as a preconditioner: stationary filters only."""
        return self._rough(right)

    def detectability(self, signals: Tensor, *, heard: Heard = unheard) -> Tensor:
        """η of (n, B) signals: 1 - sᵀQΣQs / sᵀQs with Σ = (Q + JᵀJ/ε²)⁻¹."""
        weighted = self.noise.precision(signals)
        lost = (weighted * self._solve(weighted, heard)).sum(0)
        return (1.0 - lost / (signals * weighted).sum(0)).clamp(0.0, 1.0)

    def _solve(self, right: Tensor, heard: Heard = unheard) -> Tensor:
        return conjugate_gradients(
            lambda v: (
                self.noise.precision(v) + self.jacobian.adjoint(self.jacobian.apply(v)) / self.tolerance**2
            ),
            right,
            self._rough,
            heard=heard,
        )

    def _rough(self, right: Tensor) -> Tensor:
        noise = self.noise
        inverse = 1.0 / (1.0 / (noise._typical**2 * noise.spectrum) + self.response / self.tolerance**2)
        return noise._cut(noise._filter_plain(noise._pad(right), inverse))


def _transfer(jacobian: Jacobian, noise: TorusNoise) -> Tensor:
    """Mean power transfer of JᵀJ over the region, from its response to white noise: (T, T)."""
    generator = torch.Generator().manual_seed(1)
    white = torch.randn(noise.pixels, 16, generator=generator).to(noise.mean.device)
    power = torch.fft.fft2(noise._pad(white)).abs().square().mean(0)
    cross = (
        torch.fft.fft2(noise._pad(white)).conj()
        * torch.fft.fft2(noise._pad(jacobian.adjoint(jacobian.apply(white))))
    ).real.mean(0)
    rough = torch.fft.fft2(
        (cross / power)[None]
    ).real  # smooth over neighbouring frequencies: J reaches a few pixels only
    size = rough.shape[-1]
    lag = torch.minimum(torch.arange(size), size - torch.arange(size)).to(rough.device)
    window = torch.exp(-((lag / 16.0) ** 2))
    return torch.fft.ifft2(rough * window[:, None] * window[None, :]).real[0].clamp_min(0.0)
