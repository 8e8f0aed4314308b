"""renoise: f(x) plus physical noise. Full-dimensional and training-free."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ctinv.fibre.rows import CANDIDATE, RowSeeds
from ctinv.generators.contract import Scene


class Renoise:
    """Candidates x_c = f(x) + noise, the noise drawn from C given the region's surroundings.

    Args:
        scene: The region and its noise.
    """

    def __init__(self, scene: Scene) -> None:
        self.noise, self.clean = scene.noise, scene.patch

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        """One candidate per row, (B, 1, h, w) HU."""
        normal = torch.from_numpy(seeds.normal(rows, self.noise.latent, CANDIDATE)).to(self.clean.device)
        return self.clean + self.noise.draw(normal.T).T.reshape(len(rows), *self.clean.shape[1:])
