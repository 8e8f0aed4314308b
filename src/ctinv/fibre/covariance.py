"""C, the covariance of the scan's noise, as an operator and conditional on the fixed outside of a region (method §4).

The noise is taken as locally stationary: C = diag(σ)·R·diag(σ) + w·I, with σ the local standard deviation, R the
correlation (the transform of the normalised noise power spectrum) and w a white floor: CT numbers are integers, so
rounding alone adds 1/12 HU². For images of another modality HU stands for the unit of the volume.

A region is drawn *given its surroundings*: of a ring as wide as the noise's correlation length the noise x - ŷ is known,
and the Gaussian conditional on it has neither a seam in value nor one in texture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from ctinv.fibre.heard import Heard, unheard
from ctinv.fibre.rows import RESCAN, RowSeeds
from ctinv.volume import Box

RING = 8  # pixels; the correlation of FBP noise has fallen below a few percent there
ROUNDING_VARIANCE = 1.0 / 12.0


@dataclass(frozen=True)
class Known:
    """What the user knows of a scan's noise better than the scan tells.

    Attributes:
        photons: Photons per ray of a CT.
        sigma: Standard deviation of the noise of an MR image where the signal is strong, in its unit.
    """

    photons: float | None = None
    sigma: float | None = None


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
        columns = (np.arange(width)[:, None] - np.arange(width)[None, :]) % size
        # One (width, width) block for each difference of rows; C is block Toeplitz in them.
        blocks = np.stack([correlation[dy % size][columns] for dy in range(-(height - 1), height)])
        sigma = self.part(self.sigma, box).reshape(height, width)
        matrix = np.empty((height, width, height, width))
        for y in range(height):
            across = blocks[height - 1 + y - np.arange(height)].transpose(1, 0, 2)
            np.multiply(across, sigma, out=matrix[y])
            matrix[y] *= sigma[y][:, None, None]
        pixels = height * width
        flat = matrix.reshape(pixels, pixels)
        flat[np.diag_indices(pixels)] += self.white
        return flat

    def draw(self, rows: range, seeds: RowSeeds) -> NDArray[np.float32]:
        """Noise on the whole area, one image per row: (len(rows), H, W) HU."""
        size = self.spectrum.shape[0]
        height, width = self.area.shape
        amplitude = np.sqrt(self.spectrum)
        images = np.empty((len(rows), height, width), dtype=np.float32)
        for index, row in enumerate(rows):
            generator = seeds.generator(row, RESCAN)
            coloured = np.real(fft.ifft2(fft.fft2(generator.standard_normal((size, size))) * amplitude))[
                :height, :width
            ]
            images[index] = self.sigma * coloured + np.sqrt(self.white) * generator.standard_normal(
                (height, width)
            )
        return images

    def part(self, values: NDArray[np.float64], box: Box) -> NDArray[np.float64]:
        """The (n,) values of a box, from an array on the area."""
        top, left = box.y0 - self.area.y0, box.x0 - self.area.x0
        return values[top : top + box.shape[0], left : left + box.shape[1]].reshape(-1)


class SurroundedNoise(Protocol):
    """The noise of a region given the noise around it; one form per region size."""

    @property
    def mean(self) -> Tensor:
        """(n,) HU: what the surroundings say of the noise in the region."""
        ...

    @property
    def latent(self) -> int:
        """Standard normal numbers that one draw takes."""
        ...

    def draw(self, normal: Tensor, *, heard: Heard = unheard) -> Tensor:
        """Noise from (latent, B) standard normal numbers: (n, B) HU; `heard` is called at each iteration, if any."""
        ...

    def chi2(self, noise: Tensor) -> Tensor:
        """(B,) squared length of (n, B) noise in HU in the metric of C given the surroundings, the mean taken off."""
        ...

    def precision(self, noise: Tensor) -> Tensor:
        """C⁻¹ e given the surroundings, for (n, B) columns."""
        ...


@dataclass(frozen=True, eq=False)
class DenseNoise:
    """A `SurroundedNoise` that knows the root of its covariance, for regions up to about 96 x 96.

    Attributes:
        root: (n, n) float64 lower triangular L with L·Lᵀ the conditional covariance in HU².
        mean: (n,) float32, conditional mean in HU.
    """

    root: Tensor
    mean: Tensor

    @classmethod
    def given(
        cls, covariance: Covariance, region: Box, residual: NDArray[np.float64], *, ring: int = RING
    ) -> DenseNoise:
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
        inside = mask_of(region, frame)
        order = np.concatenate([np.flatnonzero(~inside), np.flatnonzero(inside)])
        permutation = torch.from_numpy(order)
        matrix = (
            torch.from_numpy(covariance.dense(frame))
            .index_select(0, permutation)
            .index_select(1, permutation)
        )
        outside = int((~inside).sum())
        # The ring comes first, so the last block of the Cholesky factor is the root of the Schur complement.
        factor = torch.linalg.cholesky(matrix)
        del matrix
        root = factor[outside:, outside:].clone()
        if outside == 0:
            return cls(root, torch.zeros(len(root)))
        known = torch.from_numpy(covariance.part(residual, frame)[~inside])
        whitened = torch.linalg.solve_triangular(factor[:outside, :outside], known[:, None], upper=False)
        return cls(root, (factor[outside:, :outside] @ whitened)[:, 0].float().contiguous())

    def to(self, device: torch.device) -> DenseNoise:
        """The same noise on a device."""
        return DenseNoise(self.root.to(device), self.mean.to(device))

    @cached_property
    def small_root(self) -> Tensor:
        """L in float32, for products."""
        return self.root.float().contiguous()

    @property
    def latent(self) -> int:
        """Standard normal numbers that one draw takes: n."""
        return len(self.root)

    def draw(self, normal: Tensor, *, heard: Heard = unheard) -> Tensor:
        """mean + L·ξ for (n, B) standard normal ξ: (n, B) HU."""
        return self.small_root @ normal + self.mean[:, None]

    def chi2(self, noise: Tensor) -> Tensor:
        """(B,) ‖L⁻¹(e - mean)‖² for (n, B) noise e in HU."""
        return self.whiten(noise - self.mean[:, None]).square().sum(0)

    def precision(self, noise: Tensor) -> Tensor:
        """L⁻ᵀ L⁻¹ e for (n, B) columns in HU."""
        return torch.linalg.solve_triangular(self.small_root.T, self.whiten(noise), upper=True)

    def whiten(self, noise: Tensor) -> Tensor:
        """L⁻¹ e for (n, B) columns in HU."""
        return torch.linalg.solve_triangular(self.small_root, noise, upper=False)


def mask_of(inner: Box, outer: Box) -> NDArray[np.bool_]:
    """(H, W) of the outer box, true inside the inner one, flattened by row."""
    mask = np.zeros(outer.shape, dtype=bool)
    mask[inner.y0 - outer.y0 : inner.y1 - outer.y0, inner.x0 - outer.x0 : inner.x1 - outer.x0] = True
    return mask.ravel()
