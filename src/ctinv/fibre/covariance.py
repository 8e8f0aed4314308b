"""C, the covariance of the scan's noise, as an operator and conditional on the fixed outside of a region (method §4).

The noise is taken as locally stationary: C = diag(σ)·R·diag(σ) + w·I, with σ the local standard deviation, R the
correlation (the transform of the normalised noise power spectrum) and w a white floor: CT numbers are integers, so
rounding alone adds 1/12 HU².

A region is drawn *given its surroundings*: of a ring as wide as the noise's correlation length the noise x - ŷ is known,
and the Gaussian conditional on it has neither a seam in value nor one in texture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from ctinv.fibre.rows import RESCAN, RowSeeds
from ctinv.volume import Box

RING = 8  # pixels; the correlation of FBP noise has fallen below a few percent there
ROUNDING_VARIANCE = 1.0 / 12.0


@dataclass(frozen=True, eq=False)
class Covariance:
    """C on a rectangle of the slice.

    Attributes:
        area: The rectangle.
        sigma: (H, W) float64, std of the coloured part in HU.
        spectrum: (T, T) float64, power spectrum of the coloured part on a torus at least as large as the area, with unit
            variance: its mean is 1.
        white: Variance of the white floor in HU².
    """

    area: Box
    sigma: NDArray[np.float64]
    spectrum: NDArray[np.float64]
    white: float

    @property
    def total_sigma(self) -> NDArray[np.float64]:
        """(H, W) std of the whole noise in HU."""
        return np.sqrt(self.sigma**2 + self.white)

    def dense(self, box: Box) -> NDArray[np.float64]:
        """The covariance between all pixels of a box inside the area, (n, n) HU² in row-major order."""
        height, width = box.shape
        correlation = np.real(fft.ifft2(self.spectrum))
        size = correlation.shape[0]
        rows = np.arange(-(height - 1), height) % size
        columns = np.arange(-(width - 1), width) % size
        lags = np.ascontiguousarray(correlation[np.ix_(rows, columns)])
        origin = lags[height - 1 :, width - 1 :]
        view = np.lib.stride_tricks.as_strided(
            origin,
            shape=(height, width, height, width),
            strides=(*lags.strides, *(-stride for stride in lags.strides)),
            writeable=False,
        )
        pixels = height * width
        sigma = self._part(self.sigma, box).reshape(-1)
        matrix = view.reshape(pixels, pixels) * sigma[:, None]
        matrix *= sigma[None, :]
        matrix[np.diag_indices(pixels)] += self.white
        return matrix

    def draw(self, rows: range, seeds: RowSeeds) -> NDArray[np.float32]:
        """Noise on the whole area, one image per row: (len(rows), H, W) HU."""
        size = self.spectrum.shape[0]
        height, width = self.area.shape
        amplitude = np.sqrt(self.spectrum)
        images = np.empty((len(rows), height, width), dtype=np.float32)
        for index, row in enumerate(rows):
            generator = seeds.generator(row, RESCAN)
            coloured = np.real(fft.ifft2(fft.fft2(generator.standard_normal((size, size))) * amplitude))[:height, :width]
            images[index] = self.sigma * coloured + np.sqrt(self.white) * generator.standard_normal((height, width))
        return images

    def _part(self, values: NDArray[np.float64], box: Box) -> NDArray[np.float64]:
        top, left = box.y0 - self.area.y0, box.x0 - self.area.x0
        return values[top : top + box.shape[0], left : left + box.shape[1]]


@dataclass(frozen=True, eq=False)
class ConditionalNoise:
    """The noise of a region given the noise around it.

    Attributes:
        root: (n, n) float64 lower triangular L with L·Lᵀ the conditional covariance.
        mean: (n,) float64, conditional mean in HU: what the surroundings say of the noise in the region.
    """

    root: Tensor
    mean: Tensor

    @cached_property
    def root_float(self) -> Tensor:
        """L in float32, for products."""
        return self.root.float()

    def to(self, device: torch.device) -> ConditionalNoise:
        """The same noise on a device."""
        return ConditionalNoise(self.root.to(device), self.mean.to(device))

    @classmethod
    def given(cls, covariance: Covariance, region: Box, residual: NDArray[np.float64], *, ring: int = RING) -> ConditionalNoise:
        """Condition on the ring around a region.

        Args:
            covariance: C on an area that holds the region and its ring.
            region: The region.
            residual: x - ŷ on the area, HU.
            ring: Width of the ring in pixels, clipped at the area's border.
        """
        area = covariance.area
        frame = Box(
            area.z,
            max(region.y0 - ring, area.y0),
            min(region.y1 + ring, area.y1),
            max(region.x0 - ring, area.x0),
            min(region.x1 + ring, area.x1),
        )
        inside = np.zeros(frame.shape, dtype=bool)
        inside[region.y0 - frame.y0 : region.y1 - frame.y0, region.x0 - frame.x0 : region.x1 - frame.x0] = True
        order = np.concatenate([np.flatnonzero(~inside), np.flatnonzero(inside)])
        matrix = torch.from_numpy(covariance.dense(frame))[order][:, order]
        outside = int((~inside).sum())
        # The ring comes first, so the last block of the Cholesky factor is the root of the Schur complement.
        factor = torch.linalg.cholesky(matrix)
        root = factor[outside:, outside:].clone()
        if outside == 0:
            return cls(root, torch.zeros(len(root), dtype=torch.float64))
        known = torch.from_numpy(covariance._part(residual, frame)[~inside])
        whitened = torch.linalg.solve_triangular(factor[:outside, :outside], known[:, None], upper=False)
        return cls(root, (factor[outside:, :outside] @ whitened)[:, 0])
