"""G1: a linear f and Gaussian x that do not commute, with the exact law of the fibre in closed form (method §6)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctinv.denoiser import Denoiser
from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import Covariance, DenseNoise
from ctinv.fibre.factor import Factor
from ctinv.fibre.probing import probe
from ctinv.fibre.region import Region
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import TierRule
from ctinv.generators.contract import Scene
from ctinv.generators.renoise import Renoise
from ctinv.representation import Representation
from ctinv.volume import Box


def linear_denoiser() -> Denoiser:
    """A fixed anisotropic 5x5 smoothing: linear, with gains from about 1 down to almost 0."""
    kernel = torch.tensor(
        [[0, 1, 2, 1, 0], [1, 3, 5, 2, 0], [1, 6, 9, 5, 1], [0, 2, 5, 4, 1], [0, 1, 1, 1, 0]],
        dtype=torch.float32,
    )
    convolution = nn.Conv2d(1, 1, 5, padding=2, bias=False)
    convolution.weight.data = (kernel / kernel.sum())[None, None]
    return Denoiser(convolution, name="linear", mean=0.0, std=100.0)


def coloured_covariance(area: Box, white: float = 0.5) -> Covariance:
    """Coloured noise whose σ rises across the area, so that it does not commute with a convolution."""
    height, width = area.shape
    size = max(area.shape) + 16
    frequency = np.fft.fftfreq(size)
    radius = np.hypot(frequency[:, None], 1.4 * frequency[None, :])
    power = (0.02 + radius) * np.exp(-((radius / 0.3) ** 2))
    sigma = 8.0 + 10.0 * np.linspace(0, 1, width)[None, :] + 4.0 * np.linspace(0, 1, height)[:, None]
    return Covariance(area, sigma, power / power.mean(), white)


@dataclass(frozen=True, eq=False)
class LinearGaussian:
    """The problem, set up as the product sets it up, beside its exact posterior."""

    corrector: Corrector
    generator: Renoise
    covariance: NDArray[np.float64]
    mean: NDArray[np.float64]
    posterior: NDArray[np.float64]

    @classmethod
    def make(cls, *, tolerance: float = 0.6, size: int = 12) -> LinearGaussian:
        rng = np.random.default_rng(5)
        box = Box(0, 10, 10 + size, 14, 14 + size)
        scan = torch.from_numpy((40 * rng.standard_normal((44, 48))).astype(np.float32))
        region = Region.in_slice(Representation(linear_denoiser()), scan, box)
        area = Box(0, 0, 44, 0, 48)
        covariance = coloured_covariance(area)
        clean = torch.from_numpy((5 * rng.standard_normal((44, 48))).astype(np.float32))
        residual = (scan - clean).numpy().astype(np.float64)
        noise = DenseNoise.given(covariance, box, residual)
        factor = Factor.build(probe(region), noise, tolerance)
        patch = clean[box.slices][None, None]
        rule = TierRule(
            "T3", relative=False, window_hu=400.0, sigma_out_hu=1e9
        )  # every sample passes: the law itself is tested
        corrector = Corrector(region, factor, noise, patch, rule, quantum=0.0)

        # The closed form, on its own feet: A by applying f to unit images, S by the textbook Schur complement.
        pixels = size * size
        unit = torch.zeros(pixels, 1, 44, 48)
        ys, xs = np.divmod(np.arange(pixels), size)
        unit[np.arange(pixels), 0, box.y0 + ys, box.x0 + xs] = 1.0
        outputs = region.output_box
        with torch.no_grad():
            a = (
                region.representation.denoiser(unit)[:, 0, outputs.y0 : outputs.y1, outputs.x0 : outputs.x1]
                .reshape(pixels, -1)
                .T.double()
                .numpy()
            )
        ring = Box(0, box.y0 - 8, box.y1 + 8, box.x0 - 8, box.x1 + 8)
        whole = covariance.dense(ring)
        inside = np.zeros(ring.shape, dtype=bool)
        inside[8:-8, 8:-8] = True
        inside = inside.ravel()
        cross = whole[np.ix_(inside, ~inside)]
        known = residual[ring.slices].ravel()[~inside]
        weights = np.linalg.solve(whole[np.ix_(~inside, ~inside)], np.column_stack([known, cross.T]))
        prior_mean = clean[box.slices].double().numpy().ravel() + cross @ weights[:, 0]
        prior = whole[np.ix_(inside, inside)] - cross @ weights[:, 1:]
        gain = prior @ a.T @ np.linalg.inv(a @ prior @ a.T + tolerance**2 * np.eye(len(a)))
        x = region.scan[0, 0].double().numpy().ravel()
        mean = prior_mean + gain @ (a @ (x - prior_mean))
        posterior = prior - gain @ a @ prior
        generator = Renoise(Scene(region, noise, scan[None], clean, rule.sigma_out_hu))
        return cls(corrector, generator, prior, mean, (posterior + posterior.T) / 2)

    def sample(self, n: int, *, seed: int = 0) -> NDArray[np.float64]:
        """n corrected samples, (n, pixels)."""
        rows = range(n)
        seeds = RowSeeds(seed, "law", "law")
        x_tilde, _, _ = self.corrector.correct(self.generator.candidates(rows, seeds), rows, seeds)
        return x_tilde.reshape(n, -1).double().numpy()

    def without_target_noise(self) -> LinearGaussian:
        """Negative control: no η."""
        return replace(self, corrector=replace(self.corrector, perturb=False))

    def in_identity_metric(self) -> LinearGaussian:
        """Negative control: the correction measures distance in HU, not in the noise's metric."""
        variance = float(np.trace(self.covariance) / len(self.covariance))
        root: Tensor = torch.eye(len(self.covariance), dtype=torch.float64) * variance**0.5
        factor = Factor.build(
            self.corrector.factor.jacobian,
            DenseNoise(root, self.corrector.noise.mean),
            self.corrector.factor.tolerance,
        )
        return replace(self, corrector=replace(self.corrector, factor=factor))
