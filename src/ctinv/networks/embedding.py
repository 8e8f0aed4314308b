"""H: the embedding of Φ(x), of any tap with any number of channels on any grid, on the grid of a flow.

It is computed once per image. No sample changes it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Standardise(nn.Module):
    """Per channel (φ - mean) / std, taken once from a batch: taps have no common unit."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))

    @torch.no_grad()
    def fit(self, phi: Tensor) -> None:
        """Take mean and standard deviation of (B, C, H, W); a channel that never speaks keeps the scale 1."""
        std, mean = torch.std_mean(phi, dim=(0, 2, 3), keepdim=True)
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-6 * std.max().clamp_min(1e-12), std, torch.ones_like(std)))

    def forward(self, phi: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return (phi - self.mean) / self.std


class Residual(nn.Module):
    """x + two 3x3 convolutions of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return hidden + self.conv2(F.silu(self.conv1(F.silu(hidden))))


class SpatialEmbedding(nn.Module):
    """Φ(x) to features on the grid of a spatial latent.

    Args:
        channels: C of Φ(x).
        features: E.
        ratio: Pixels of Φ per pixel of the latent along one side; below 1 where Φ is the coarser one.
        depth: Residual blocks on the latent's grid.
    """

    def __init__(self, channels: int, features: int, *, ratio: float, depth: int = 2) -> None:
        super().__init__()
        stride = max(1, round(ratio))
        self.standardise = Standardise(channels)
        self.enter = nn.Conv2d(channels, features, stride, stride=stride)
        self.blocks = nn.Sequential(*(Residual(features) for _ in range(depth)))

    def forward(self, phi: Tensor, grid: tuple[int, int]) -> Tensor:
        """(B, C, H', W') to (B, E, h, w) on the grid (h, w)."""
        hidden = self.enter(self.standardise(phi))
        if hidden.shape[-2:] != grid:
            hidden = F.interpolate(hidden, grid, mode="bilinear", align_corners=False)
        embedded: Tensor = self.blocks(hidden)
        return embedded


class VectorEmbedding(nn.Module):
    """Φ(x) of a patch to one vector: 4x4 convolutions with stride 2 down to a grid of 8, then one 8x8 convolution.

    Args:
        channels: C of Φ(x).
        features: E.
        size: Edge of Φ(x) in pixels.
        width: Filters of the first layer, doubled up to eight times; 64 as published.

    References:
        Rombach, Esser and Ommer, Making sense of CNNs, ECCV 2020, arXiv 2008.01777.
    """

    def __init__(self, channels: int, features: int, *, size: int, width: int = 64) -> None:
        super().__init__()
        halvings = max(0, round(math.log2(size / 8)))
        self.standardise = Standardise(channels)
        layers: list[nn.Module] = []
        before = channels
        for level in range(halvings):
            after = min(width * 2**level, 8 * width)
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            before = after
        self.down = nn.Sequential(*layers)
        self.last = nn.Conv2d(before, features, max(1, size // 2**halvings))

    def forward(self, phi: Tensor) -> Tensor:
        """(B, C, P, P) to (B, E)."""
        vector: Tensor = self.last(self.down(self.standardise(phi)))
        return vector.flatten(1)
