"""How far J has to be known: the radius of the probing, chosen by measurement.

A trained network reaches far and says little there: the columns of its J fade long before the receptive field ends, at
R. Probing up to r < R takes (2r+1)² products instead of (2R+1)² (`ctinv.fibre.probing`), and what it loses is measured as
what it does to noise n ~ C of the region:

    error(r) = RMS of (J_r - J) n on the output box,   at most 5 % of ε.

With C = L·Lᵀ this bounds ‖(J_r - J)L‖ in the Frobenius norm, and by Hoffman and Wielandt the singular values s_k of JL,
which decide everything linear theory says through s_k/ε, move by less than a tenth of ε in RMS. Measured on a trained
network (24x24 pixels, R = 15), an error of 53 % of ε moves the predicted spread by up to 1.5 % in a pixel, 5 % of ε by up to
0.08 %, 2.5 % of ε by up to 0.02 %. Certificates do not depend on J at all: they are measured by f.

The radius is chosen in two steps. Some columns of J, exact and spread over the region, predict the error of every r as if
they were the columns everywhere. The r so chosen is probed and its error *measured*, truncation and alias together, against
exact products with draws of n; where it is too large, a wider r is probed, and after that J is taken whole. Networks that
see 8 pixels or fewer are always taken whole: that is cheap.

A matrix is kept wherever it fits into memory. Without one, linear theory solves for 48 draws and up to 64 lesions, and each
sample is solved for again, all by dozens of iterations with a product with J and one with Jᵀ: tens of thousands of
products, more than (2R+1)² for every radius that a region may have. So `LocalJacobian` is left for what does not fit: many
channels at an inner tap, or very large regions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from ctinv.fibre.covariance import Covariance
from ctinv.fibre.jacobian import LocalJacobian, Reach, SparseJacobian
from ctinv.fibre.measure import rms
from ctinv.fibre.memory import check_memory, is_sparse
from ctinv.fibre.probing import answers, probe
from ctinv.fibre.region import Region
from ctinv.fibre.rows import RowSeeds
from ctinv.progress import Progress

SHARE = 0.05
"""Largest error of J n, as a share of ε."""
WHOLE_RADIUS = 8
"""Receptive-field radius up to which J is always taken whole."""
RULE = {"share": SHARE, "whole": WHOLE_RADIUS, "version": 1}
"""What decides the radius, for the names of kept factors."""

_CAUTION = 0.9  # of the limit may be predicted, as a radius that fails costs a whole probing
_ATTEMPTS = 2
_DRAWS = 6
_COLOURS = (3, 2)  # products that give exact columns, spread over one period of the probing
_MOST_COLUMNS = 24


def take_jacobian(
    region: Region,
    covariance: Covariance,
    tolerance: float,
    *,
    budget: int | None = None,
    progress: Progress | None = None,
) -> SparseJacobian | LocalJacobian:
    """J at the scan, as far as it matters at this ε; its `reach` says how far that is and what it misses.

    Args:
        region: The region.
        covariance: C around the region.
        tolerance: ε, RMS per output in the tap's unit.
        budget: Bytes that may be used; 80 % of what is free by default.
        progress: Called with a phrase and the finished share.

    Raises:
        ResourceError: The matrix does not fit into memory.
    """
    if region.tap_radius > WHOLE_RADIUS:
        narrow = _narrow(region, covariance, SHARE * tolerance, budget, progress)
        if narrow is not None:
            return narrow
    if is_sparse(region):
        return probe(region, progress=progress)
    return LocalJacobian(region, region.scan)


def expected_radius(region: Region, covariance: Covariance, tolerance: float) -> int:
    """The radius that `take_jacobian` tries first, for an estimate of its cost; arguments as there."""
    if region.tap_radius <= WHOLE_RADIUS:
        return region.tap_radius
    return Forecast.of(region, covariance).radius(_CAUTION * SHARE * tolerance)


def _narrow(
    region: Region, covariance: Covariance, limit: float, budget: int | None, progress: Progress | None
) -> SparseJacobian | None:
    """J_r with the smallest r that keeps the error, or None where that saves nothing or does not fit."""
    forecast = Forecast.of(region, covariance)
    noise = _draws(region, covariance)
    exact = LocalJacobian(region, region.scan).apply(noise)
    factor, least = 1.0, 0
    for _ in range(_ATTEMPTS):
        radius = forecast.radius(_CAUTION * limit / factor, least)
        if radius >= region.tap_radius or not is_sparse(region, radius):
            return None
        check_memory(region, budget, radius)
        jacobian = probe(region, radius=radius, progress=progress)
        error = _rms(region, jacobian.apply(noise) - exact)
        if error <= limit:
            return replace(jacobian, reach=Reach(radius, region.tap_radius, error))
        factor, least = error / max(forecast.error(radius), 1e-30), radius + 1
    return None


@dataclass(frozen=True, eq=False)
class Forecast:
    """The error of every r, were sampled columns of J the same everywhere in the region.

    J_r then has the kernel of J within r, plus what lies a multiple of 2r+1 away, and nothing beyond r. Noise of power
    spectrum S passes the difference E with the power Σ|Ê|²S.

    Attributes:
        kernels: (K, C, 2R+1, 2R+1) columns of J around their pixel, in the tap's unit per HU.
        power: (T, T) S, in HU².
    """

    kernels: NDArray[np.float32]
    power: NDArray[np.float64]

    @classmethod
    def of(cls, region: Region, covariance: Covariance) -> Forecast:
        """From a few exact columns, spread over the region, and C there."""
        variance = float(np.mean(covariance.part(covariance.sigma, region.box) ** 2))
        return cls(_columns(region), variance * covariance.spectrum + covariance.white)

    def radius(self, limit: float, least: int = 0) -> int:
        """The smallest r, from `least` on, whose error stays within a limit; R if there is none."""
        whole = self.kernels.shape[-1] // 2
        return next((r for r in range(least, whole) if self.error(r) <= limit), whole)

    def error(self, r: int) -> float:
        """RMS of (J_r - J) n in the tap's unit."""
        energy = [
            float((np.abs(fft.fft2(one, self.power.shape)) ** 2 * self.power).mean(axis=(1, 2)).mean())
            for one in _difference(self.kernels, r)
        ]
        return float(np.sqrt(np.mean(energy)))


def _difference(kernels: NDArray[np.float32], r: int) -> NDArray[np.float32]:
    """Kernels of J_r - J."""
    radius, period = kernels.shape[-1] // 2, 2 * r + 1
    inside = slice(radius - r, radius + r + 1)
    far = kernels.copy()
    far[..., inside, inside] = 0.0
    folding = np.eye(period, dtype=np.float32)[(np.arange(2 * radius + 1) - radius + r) % period]
    difference = -far
    difference[..., inside, inside] = folding.T @ far @ folding
    return difference


def _columns(region: Region) -> NDArray[np.float32]:
    """Exact columns of J spread over the region, as (K, C, 2R+1, 2R+1) kernels around their pixel."""
    radius = region.tap_radius
    period = 2 * radius + 1
    (height, width), (top, left) = region.shape, (part.start for part in region.halo)
    ys, xs = (
        [(2 * i + 1) * min(period, size) // (2 * count) for i in range(count)]
        for count, size in zip(_COLOURS, region.shape, strict=True)
    )
    found = []
    for (y, x), answer in answers(region, [(y, x) for y in ys for x in xs], period):
        padded = np.pad(answer, ((0, 0), (radius, radius), (radius, radius)))
        found += [
            padded[:, row : row + period, column : column + period]
            for row in range(y + top, height + top, period)
            for column in range(x + left, width + left, period)
        ]
    return np.stack(found[:: -(-len(found) // _MOST_COLUMNS)])


def _draws(region: Region, covariance: Covariance) -> Tensor:
    """(n, 6) noise of C on the region in HU."""
    area, (height, width) = covariance.area, region.shape
    top, left = region.box.y0 - area.y0, region.box.x0 - area.x0
    drawn = covariance.draw(range(_DRAWS), RowSeeds(0, "jacobian", str(region.box)))
    columns = drawn[:, top : top + height, left : left + width].reshape(_DRAWS, -1).T
    return torch.from_numpy(np.ascontiguousarray(columns)).to(region.scan)


def _rms(region: Region, columns: Tensor) -> float:
    errors = columns.T.reshape(-1, *region.reference.shape[1:])
    return float(rms(region, errors).square().mean().sqrt())
