"""The scanning matched filter: a bank of discs, each whitened by C given the surroundings (method §7, I2).

    t(p) = sᵀC⁻¹d / √(sᵀC⁻¹s)

for a disc s at place p is the best linear test for it in known noise, and N(0, 1) at every place and size where d is
noise of C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.analysis.disc import disc_signals
from ctinv.analysis.null import dense_noise
from ctinv.analysis.subject import Subject
from ctinv.fibre.discs import Disc, DiscGrid
from ctinv.fibre.jacobian import csr
from ctinv.progress import Progress, blocks, each, part, tell

_AT_ONCE = 128  # images whose scores are held together
_DISCS_AT_ONCE = 1000
_WHITENING = "whitening discs"


@dataclass(frozen=True, eq=False)
class FilterBank:
    """Discs of several sizes at all places of a region.

    Attributes:
        grids: One per size.
        precision: (n, n) float32, C⁻¹ given the surroundings.
        norms: (places,) float32 1/HU, √(sᵀC⁻¹s) of all sizes in a row: what a disc of 1 HU is worth in σ.
    """

    grids: Sequence[DiscGrid]
    precision: Tensor
    norms: Tensor

    @classmethod
    def of(
        cls, subject: Subject, diameters_mm: Sequence[float], *, progress: Progress | None = None
    ) -> FilterBank:
        """The bank of a region.

        Args:
            subject: The region.
            diameters_mm: Diameters of the discs.
            progress: Called with a phrase and a finished share.

        Raises:
            InputError: No disc fits, or the region is too large for a dense C.
        """
        grids = disc_signals(subject, diameters_mm)
        tell(progress, "inverting the covariance of the noise", 0.0)
        precision = torch.cholesky_inverse(dense_noise(subject).root).float()
        norms = [
            _norms(grid.signals.to(precision.device), precision, inner)
            for inner, grid in each(part(progress, 0.5, 1.0), _WHITENING, grids)
        ]
        return cls(grids, precision, torch.cat(norms))

    @property
    def places(self) -> int:
        """Tests in one picture: places times sizes."""
        return len(self.norms)

    def scores(self, differences: NDArray[np.floating]) -> NDArray[np.float32]:
        """(B, places) t of (B, h, w) differences in HU, the known mean of the noise taken off."""
        columns = torch.from_numpy(np.ascontiguousarray(differences, dtype=np.float32)).to(self.norms.device)
        whitened = self.precision @ columns.reshape(len(columns), -1).T
        found = torch.cat([grid.signals.to(whitened.device) @ whitened for grid in self.grids])
        return np.ascontiguousarray((found / self.norms[:, None]).T.cpu().numpy())

    def strongest(
        self, differences: NDArray[np.floating], *, progress: Progress | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(B,) t of largest magnitude in each of (B, h, w) differences, with its sign, and the (B,) place it has."""
        values, places = [], []
        for _, start in each(
            progress, "looking for the strongest disc", range(0, len(differences), _AT_ONCE)
        ):
            scores = self.scores(differences[start : start + _AT_ONCE])
            place = np.abs(scores).argmax(1)
            values.append(np.take_along_axis(scores, place[:, None], 1)[:, 0])
            places.append(place)
        return np.concatenate(values), np.concatenate(places)

    def disc(self, place: int) -> Disc:
        """The disc of one place."""
        for grid in self.grids:
            if place < len(grid):
                return grid.disc(place)
            place -= len(grid)
        raise IndexError(place)

    def image(self, scores: NDArray[np.floating]) -> NDArray[np.float32]:
        """(h, w) float32, at each pixel the t of largest magnitude over the sizes, NaN where no disc fits."""
        sizes = np.cumsum([len(grid) for grid in self.grids])[:-1]
        images = np.stack(
            [grid.image(part) for grid, part in zip(self.grids, np.split(scores, sizes), strict=True)]
        )
        known = np.isfinite(images)
        largest = np.where(known, np.abs(images), -1.0).argmax(0)
        return np.ascontiguousarray(np.take_along_axis(images, largest[None], 0)[0])


def _norms(signals: Tensor, precision: Tensor, progress: Progress | None) -> Tensor:
    """(k,) √(sᵀC⁻¹s) of (k, n) sparse signals that all have equally many entries."""
    values, pixels = (
        entries.reshape(len(signals), -1) for entries in (signals.values(), signals.col_indices())
    )
    found = []
    for _, some in each(progress, _WHITENING, blocks(len(signals), _DISCS_AT_ONCE)):
        discs, at = values[some.start : some.stop], pixels[some.start : some.stop]
        ends = torch.arange(len(discs) + 1, device=discs.device) * discs.shape[1]
        weighted = csr(ends, at.reshape(-1), discs.reshape(-1), (len(discs), len(precision))) @ precision
        found.append((discs * weighted.gather(1, at.long())).sum(1).sqrt())
    return torch.cat(found)
