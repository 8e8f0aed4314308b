"""renoise: f(x) plus physical noise. Full-dimensional and training-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.region import Region
from ctinv.fibre.rows import CANDIDATE, RowSeeds


@dataclass(frozen=True, eq=False)
class Renoise:
    """Candidates x_c = f(x) + noise, the noise drawn from C given the region's surroundings.

    Attributes:
        region: The region.
        noise: The noise given the surroundings.
        clean: (1, 1, h, w) f(x) in HU.
    """

    region: Region
    noise: SurroundedNoise
    clean: Tensor

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        """One candidate per row, (B, 1, h, w) HU."""
        normal = torch.from_numpy(seeds.normal(rows, self.noise.latent, CANDIDATE)).to(self.clean.device)
        return self.clean + self.noise.draw(normal.T).T.reshape(len(rows), 1, *self.region.shape)
