"""G2: a linear f and a Gaussian mixture: one of four anatomies, plus the noise of C.

The exact law is a mixture of Gaussians with one covariance and the weights

    w̃_k ∝ w_k · N(z0; A μ_k, A C Aᵀ + ε²I).

The anatomies differ in fine strands that f nearly loses, so several of them remain possible once z0 is known; in the law
they lie some six standard deviations apart, so that a sample tells which it came from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.fibre.rows import RowSeeds
from ctinv.generators.contract import Scene
from ctinv.generators.mixture import Mixture
from ctinv.validation.problems.contract import Array, Drawn
from ctinv.validation.problems.gaussian import (
    CONTROLS,
    NARROW,
    RAW,
    GaussianProblem,
    check_control,
)
from ctinv.validation.problems.linear import SLICE, gaussian_problem, linear_denoiser
from ctinv.validation.problems.quantities import QUANTITIES
from ctinv.validation.problems.setup import EVERYTHING_PASSES, Setup, coloured_covariance, flat
from ctinv.volume import Box

PRIOR_WEIGHTS = "prior weights"
STRAND_HU = 12.0
WEIGHTS = (0.15, 0.35, 0.30, 0.20)
LIKENESS = ("likeness to anatomy 1", "likeness to anatomy 2", "likeness to anatomy 3")


@dataclass(frozen=True, eq=False)
class MixtureProblem(GaussianProblem):
    """The problem, set up as the product sets it up, beside its exact law.

    Attributes:
        anatomies: (K, 1, h, w) float32 HU, μ_k without the mean of the noise.
        weights: (K,) prior weights.
        noise_mean: (d,) what the surroundings say of the noise in HU.
    """

    anatomies: Tensor = None  # type: ignore[assignment]
    weights: Array = None  # type: ignore[assignment]
    noise_mean: Array = None  # type: ignore[assignment]

    @cached_property
    def mode_weights(self) -> Array:
        """(K,) w̃_k."""
        scan = flat(self.setup.region.scan)[0]
        residual = (scan - self._prior_means) @ self.matrix.T
        square = (residual.T * np.linalg.solve(self.data_covariance, residual.T)).sum(0)
        logarithm = np.log(self.weights) - 0.5 * square
        share = np.exp(logarithm - logarithm.max())
        return np.asarray(share / share.sum())

    @cached_property
    def means(self) -> Array:
        """(K, d) means of the law's modes."""
        return np.stack([self.posterior_mean(mean) for mean in self._prior_means])

    @cached_property
    def _prior_means(self) -> Array:
        return flat(self.anatomies) + self.noise_mean

    @cached_property
    def moments(self) -> tuple[Array, Array]:
        """Mean (d,) and covariance (d, d) of the exact law."""
        mean = self.mode_weights @ self.means
        apart = self.means - mean
        return mean, self.posterior + (apart.T * self.mode_weights) @ apart

    def modes(self, x: Array) -> NDArray[np.int64]:
        """(n,) the most probable mode of each point."""
        return np.asarray(self._joint(x).argmax(1))

    def exact(self, n: int, *, seed: int) -> Array:
        """(n, d) independent samples of the exact law."""
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(self.weights), size=n, p=self.mode_weights)
        return np.asarray(self.means[chosen] + rng.standard_normal((n, self.dimension)) @ self._root.T)

    def log_density(self, x: Array) -> Array:
        """(n,) log-density of the exact law."""
        return np.asarray(np.logaddexp.reduce(self._joint(x), axis=1))

    def _joint(self, x: Array) -> Array:
        """(n, K) log of weight times density of each mode."""
        volume = 2.0 * np.log(np.diag(self._root)).sum() + self.dimension * np.log(2.0 * np.pi)
        squares = [np.square(np.linalg.solve(self._root, (x - mean).T)).sum(0) for mean in self.means]
        return np.log(self.mode_weights) - 0.5 * (np.stack(squares, axis=1) + volume)

    def draw(self, n: int, *, seed: int, control: str | None = None) -> Drawn:
        """n samples from the product's path, or from one of the wrong samplers.

        Raises:
            InputError: There is no such control.
        """
        check_control(self.name, self.controls, control)
        seeds = RowSeeds(seed, "law", self.name)
        setup = self._wrong(control)
        if (
            control != PRIOR_WEIGHTS
        ):  # in the belief of the control; the correction's metric is its own matter
            setup = replace(setup, generator=self.mixture(setup))
        if control == RAW:
            return Drawn(setup.raw(n, seeds))
        x = setup.corrected(n, seeds)
        return Drawn(self.moments[0] + 0.8 * (x - self.moments[0]) if control == NARROW else x)

    def mixture(self, setup: Setup) -> Mixture:
        """The product's generator at the scan of a setup."""
        scene = Scene(setup.region, setup.noise, setup.scan, setup.clean, EVERYTHING_PASSES.sigma_out_hu)
        return Mixture.given(scene, setup.factor, self.anatomies, self.weights)

    def _wrong(self, control: str | None) -> Setup:
        setup = super()._wrong(control)
        if control == PRIOR_WEIGHTS:
            return replace(setup, generator=Mixture(setup.noise, self.anatomies, self.weights))
        return setup

    def _at(self, scan: Array) -> Setup:
        moved = self.setup.at(scan)
        return replace(moved, generator=self.mixture(moved))

    def _truth(self, rng: np.random.Generator) -> Array:
        chosen = rng.choice(len(self.weights), p=self.weights)
        return np.asarray(self._prior_means[chosen] + self._prior_root @ rng.standard_normal(self.dimension))

    def _look(self, x: Array, target: Array) -> Array:
        """(n, q) with the likeness to each anatomy: (μ_k - μ_0)ᵀC⁻¹(x - μ_0)."""
        towards = np.linalg.solve(self.prior, (self._prior_means[1:] - self._prior_means[0]).T)
        return np.hstack([super()._look(x, target), (x - self._prior_means[0]) @ towards])


def strands(shape: tuple[int, int]) -> Array:
    """(4, h, w) no strands, and fine ones in three directions, fading towards the edge."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    window = np.exp(-((y - (height - 1) / 2) ** 2 + (x - (width - 1) / 2) ** 2) / (1.5 * height))
    waves = [
        0.0 * x,
        np.sin(2 * np.pi * (x + y) / 3),
        np.sin(2 * np.pi * (x - y) / 3),
        np.cos(0.8 * np.pi * x),
    ]
    return np.stack(waves) * window


def mixture_problem(*, tolerance: float = 0.6, size: int = 12) -> MixtureProblem:
    """G2.

    Args:
        tolerance: ε in HU.
        size: Edge of the region in pixels.
    """
    rng = np.random.default_rng(8)
    box = Box(0, 10, 10 + size, 14, 14 + size)
    clean = 5.0 * rng.standard_normal(SLICE.shape)
    covariance = coloured_covariance(SLICE)
    torus = rng.standard_normal(covariance.spectrum.shape)
    coloured = np.real(np.fft.ifft2(np.fft.fft2(torus) * np.sqrt(covariance.spectrum)))[:44, :48]
    scan = clean + covariance.sigma * coloured
    different = STRAND_HU * strands(box.shape)
    scan[box.slices] += different[1]
    stack, anatomy = (torch.from_numpy(image.astype(np.float32)) for image in (scan[None], clean))
    base = gaussian_problem("G2", linear_denoiser(), stack, anatomy, box, tolerance)
    anatomies = anatomy[box.slices] + torch.from_numpy(different.astype(np.float32))
    fields = {
        **vars(base),
        "controls": (*CONTROLS, PRIOR_WEIGHTS),
        "quantities": (*QUANTITIES, *LIKENESS),
    }
    noise_mean = base.prior_mean - anatomy[box.slices].double().numpy().ravel()
    return MixtureProblem(
        **fields, anatomies=anatomies[:, None], weights=np.array(WEIGHTS), noise_mean=noise_mean
    )
