"""A region, its noise and its corrector, set up as the product sets them up; and what the textbook says beside it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ctinv.denoiser import Denoiser
from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import Covariance, DenseNoise, mask_of
from ctinv.fibre.factor import Factor
from ctinv.fibre.probing import probe
from ctinv.fibre.region import Region, grow
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import TierRule
from ctinv.generators.contract import Generator, Scene
from ctinv.generators.renoise import Renoise
from ctinv.representation import Representation
from ctinv.validation.problems.contract import Array
from ctinv.volume import Box

# Every sample passes: the law itself is tested, not whether a tier is met.
EVERYTHING_PASSES = TierRule("T3", relative=False, window_hu=400.0, sigma_out_hu=1e9)
ALL, UPPER = (0.0, 1.0), (0.25, 1.0)
"""Bands of an error in the noise power spectrum, in cycles per pixel. What f lets through is pinned, whatever C says: an
error of C shows in the upper band only."""


@dataclass(frozen=True, eq=False)
class Setup:
    """The product's path of one problem.

    Attributes:
        scan: (S, H, W) float32 HU, the slice x between its neighbours.
        clean: (H, W) float32 HU, ŷ.
        noise: C given the surroundings.
        corrector: Region, gain and correction.
        generator: Proposes candidates.
    """

    scan: Tensor
    clean: Tensor
    noise: DenseNoise
    corrector: Corrector
    generator: Generator

    @classmethod
    def make(cls, region: Region, scan: Tensor, clean: Tensor, noise: DenseNoise, tolerance: float) -> Setup:
        """Take J, factorise, and propose re-noised candidates.

        Args:
            region: The region.
            scan: (S, H, W) HU.
            clean: (H, W) HU, ŷ.
            noise: C given the surroundings.
            tolerance: ε in HU.
        """
        factor = Factor.build(probe(region), noise, tolerance)
        patch = clean[region.box.slices][None, None].contiguous()
        corrector = Corrector(region, factor, noise, patch, EVERYTHING_PASSES, quantum=0.0)
        scene = Scene(region, noise, scan, clean, EVERYTHING_PASSES.sigma_out_hu)
        return cls(scan, clean, noise, corrector, Renoise(scene))

    @property
    def region(self) -> Region:
        """The region."""
        return self.corrector.region

    @property
    def factor(self) -> Factor:
        """The gain."""
        factor = self.corrector.factor
        if not isinstance(factor, Factor):
            raise TypeError("a problem is small enough for a dense factor.")
        return factor

    def raw(self, n: int, seeds: RowSeeds) -> Array:
        """(n, d) candidates as they are proposed."""
        return flat(self.generator.candidates(range(n), seeds))

    def corrected(self, n: int, seeds: RowSeeds) -> Array:
        """(n, d) corrected samples."""
        rows = range(n)
        x_tilde, _, _ = self.corrector.correct(self.generator.candidates(rows, seeds), rows, seeds)
        return flat(x_tilde)

    def at(self, x: Array) -> Setup:
        """The same problem with another scan on the region, (d,) HU, for a Φ whose J is the same everywhere."""
        region = self.region
        moved = region.at(torch.from_numpy(x).reshape(1, 1, *region.shape))
        return replace(self, corrector=replace(self.corrector, region=moved))

    def believing(self, noise: DenseNoise, *, generator: bool) -> Setup:
        """The same with another noise in the gain, and in the candidates where asked: a wrong belief."""
        factor = Factor.build(self.factor.jacobian, noise, self.factor.tolerance)
        corrector = replace(self.corrector, factor=factor)
        if not generator:
            return replace(self, corrector=corrector)
        scene = Scene(self.region, noise, self.scan, self.clean, EVERYTHING_PASSES.sigma_out_hu)
        return replace(self, corrector=replace(corrector, noise=noise), noise=noise, generator=Renoise(scene))

    def in_identity_metric(self) -> Setup:
        """Wrong: the correction measures distance in HU, not in the noise's metric."""
        root = self.noise.root
        scale = float((root.square().sum() / len(root)).sqrt())
        return self.believing(
            DenseNoise(torch.eye(len(root), dtype=root.dtype) * scale, self.noise.mean), generator=False
        )

    def without_target_noise(self) -> Setup:
        """Wrong: no η."""
        return replace(self, corrector=replace(self.corrector, perturb=False))


def region_of(denoiser: Denoiser, scan: Tensor, box: Box) -> Region:
    """A region of a slice at the denoiser's output."""
    return Region.in_slice(Representation(denoiser), scan, box)


def coloured_covariance(area: Box, white: float = 0.5) -> Covariance:
    """Coloured noise whose σ rises across the area, so that it does not commute with a convolution."""
    height, width = area.shape
    size = max(area.shape) + 16
    frequency = np.fft.fftfreq(size)
    radius = np.hypot(frequency[:, None], 1.4 * frequency[None, :])
    power = (0.02 + radius) * np.exp(-((radius / 0.3) ** 2))
    sigma = 8.0 + 10.0 * np.linspace(0, 1, width)[None, :] + 4.0 * np.linspace(0, 1, height)[:, None]
    return Covariance(area, sigma, power / power.mean(), white)


def raised(covariance: Covariance, band: tuple[float, float], share: float = 0.2) -> Covariance:
    """C with more power in a band of frequencies, white floor included where the band is everything."""
    frequency = np.fft.fftfreq(len(covariance.spectrum))
    radius = np.hypot(frequency[:, None], frequency[None, :])
    inside = (radius >= band[0]) & (radius < band[1])
    power = covariance.spectrum * np.where(inside, 1.0 + share, 1.0)
    gain = power.mean()  # the spectrum is kept at unit variance, σ takes the rest
    white = covariance.white * (1.0 + share if band == ALL else 1.0)
    return Covariance(covariance.area, covariance.sigma * np.sqrt(gain), power / gain, white)


def surrounded(covariance: Covariance, box: Box, residual: Array, *, ring: int = 8) -> tuple[Array, Array]:
    """Mean (d,) and covariance (d, d) of the noise given the ring around a region: the textbook's Schur complement."""
    area = covariance.area
    frame = grow(box, ring, (area.y1, area.x1))
    whole = covariance.dense(frame)
    inside = mask_of(box, frame)
    cross = whole[np.ix_(inside, ~inside)]
    known = residual[frame.slices].ravel()[~inside]
    weights = np.linalg.solve(whole[np.ix_(~inside, ~inside)], np.column_stack([known, cross.T]))
    return cross @ weights[:, 0], whole[np.ix_(inside, inside)] - cross @ weights[:, 1:]


def matrix_of(region: Region, scan: Tensor) -> Array:
    """A, (m, d): f of the whole slice with one pixel raised at a time, less f of the slice; f must be affine here."""
    height, width = region.shape
    step = 10.0
    ys, xs = np.divmod(np.arange(height * width), width)
    denoiser, outputs = copy.deepcopy(region.representation.denoiser).double(), region.output_box
    images = scan[None].double().repeat(height * width, 1, 1, 1)
    denoiser.middle(images)[np.arange(len(images)), 0, region.box.y0 + ys, region.box.x0 + xs] += step
    with torch.no_grad():
        answers = denoiser(images) - denoiser(scan[None].double())
    inside = answers[:, 0, outputs.slices[0], outputs.slices[1]]
    return np.asarray(inside.reshape(len(images), -1).T.numpy() / step)


def flat(images: Tensor) -> Array:
    """(B, 1, h, w) images as (B, d) float64."""
    return images.reshape(len(images), -1).double().cpu().numpy()
