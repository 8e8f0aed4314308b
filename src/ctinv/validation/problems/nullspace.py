"""G4: a network with an exact null space by construction, from a rank-deficient W and from dead ReLUs.

Each block of 2 x 2 pixels goes through W = U V, (6, 2) times (2, 4), so of its four pixels two directions are seen; then
through ReLUs and back to four pixels. In tissue all ReLUs are alive, in air (below about -500 HU) all are dead, so a block
of air is not seen at all. Both hold for all that the law allows, as noise never crosses from one to the other; there f is
affine, and its rank is known: two for each block of tissue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctinv.denoiser import Denoiser
from ctinv.validation.problems.contract import Array
from ctinv.validation.problems.gaussian import GaussianProblem
from ctinv.validation.problems.linear import SLICE, gaussian_problem
from ctinv.validation.problems.setup import Setup
from ctinv.volume import Box

TISSUE_HU, AIR_HU = 0.0, -1000.0
SEEN = 2  # directions of a block that W passes
_FEATURES = 6


class BlockNetwork(nn.Module):
    """Blocks of 2 x 2 pixels through a rank-deficient layer, ReLUs and back: (B, 1, H, W) to (B, 1, H, W)."""

    def __init__(self, seed: int = 3) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        seen = np.array([[0.25, 0.25, 0.25, 0.25], [0.5, 0.1, -0.2, -0.4]])
        spread = 0.05 * rng.standard_normal((_FEATURES, SEEN))
        spread[:, 0] = rng.uniform(0.5, 1.5, _FEATURES)  # all follow the mean, so that air turns them all off
        # U and V as two layers: their product, rounded to float32, would not quite have their rank.
        first, second = nn.Conv2d(1, SEEN, 2, stride=2, bias=False), nn.Conv2d(SEEN, _FEATURES, 1)
        first.weight.data = torch.from_numpy(seen.reshape(SEEN, 1, 2, 2)).float()
        second.weight.data = torch.from_numpy(spread[..., None, None]).float()
        offset = torch.from_numpy(0.5 * spread[:, 0]).float()  # ReLUs open at a mean of -0.5
        second.bias = nn.Parameter(offset)
        self.down = nn.Sequential(first, second)
        back = np.linalg.pinv(spread @ seen) + 0.1 * rng.standard_normal((4, _FEATURES))
        self.up = nn.Conv2d(_FEATURES, 4, 1)
        self.up.weight.data = torch.from_numpy(back[..., None, None]).float()
        self.up.bias = nn.Parameter(-(self.up.weight.data[..., 0, 0] @ offset))

    def forward(self, x: Tensor) -> Tensor:
        """Odd sides are filled up with their last line."""
        height, width = x.shape[-2:]
        even = F.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        blocks: Tensor = F.pixel_shuffle(self.up(torch.relu(self.down(even))), 2)
        return blocks[..., :height, :width]


@dataclass(frozen=True, eq=False)
class NullSpaceProblem(GaussianProblem):
    """A Gaussian problem whose rank is known by construction.

    Attributes:
        rank: Directions of the region that f sees.
    """

    rank: int = 0

    @property
    def null_space(self) -> Array:
        """(d, d - rank) orthonormal directions of the image that A does not see."""
        _, _, right = np.linalg.svd(self.matrix)
        return np.asarray(right[self.rank :].T)

    def kept_exactly(self) -> Array:
        """(d, d - rank) functionals C⁻¹n of null directions n: what the law leaves exactly as the prior has it.

        Pixels are correlated, so what f pins says something of its null directions too; only in the metric of the noise
        are the two apart: A C (C⁻¹n) = 0.
        """
        return np.asarray(np.linalg.solve(self.prior, self.null_space))


def null_space_problem(*, tolerance: float = 0.3, size: int = 12) -> NullSpaceProblem:
    """G4: the left half of the region is tissue, the right half air.

    Args:
        tolerance: ε in HU.
        size: Edge of the region in pixels, a multiple of 4.
    """
    rng = np.random.default_rng(7)
    box = Box(0, 10, 10 + size, 14, 14 + size)
    tissue = np.arange(SLICE.shape[1]) < box.x0 + size // 2
    clean = np.where(tissue, TISSUE_HU, AIR_HU)[None, :] + 3.0 * rng.standard_normal(SLICE.shape)
    scan = clean + 10.0 * rng.standard_normal(SLICE.shape)
    stack, anatomy = (torch.from_numpy(image.astype(np.float32)) for image in (scan[None], clean))
    denoiser = Denoiser(BlockNetwork(), name="blocks", mean=0.0, std=1000.0)
    found = gaussian_problem("G4", denoiser, stack, anatomy, box, tolerance)
    blocks = (size // 2) * (size // 4)
    return NullSpaceProblem(**vars(found), rank=SEEN * blocks)


def alive(setup: Setup, x: Array) -> Array:
    """(n, blocks) share of ReLUs that are alive in each block of (n, d) images: 1 in tissue, 0 in air."""
    patches = torch.from_numpy(x).float().reshape(len(x), 1, *setup.region.shape)
    denoiser = setup.region.representation.denoiser
    features = denoiser.network.get_submodule("down")((patches - denoiser.mean) / denoiser.std)
    return np.asarray((features > 0).double().mean(1).reshape(len(x), -1).numpy())
