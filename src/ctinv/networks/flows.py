"""Conditional invertible networks t: v = t(z̄ given Φ(x)), v ~ N(0, I); sampling runs t⁻¹ (method §2).

One form for latents with a grid, one for latents that are vectors, and one that works on the image itself. Each is a chain
of activation norm, coupling and permutation on FrEIA; the condition enters every coupling as the embedding H(Φ(x)).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from FrEIA.framework import SequenceINN
from torch import Tensor, nn

from ctinv.networks.embedding import Residual, SpatialEmbedding, Standardise, VectorEmbedding
from ctinv.networks.flow import Embedded, Flow, bits_per_dimension, diagonal_bits
from ctinv.networks.invertible import ActNorm, Haar, Permute, convolutional, coupling, dense

_RIDGE = 1e-3
_NOMINAL = 16  # edge that FrEIA is told; no block depends on it


class SpatialFlow(Flow):
    """The flow of a latent with a grid.

    Args:
        latent: L, channels of z̄.
        channels: C of Φ(x).
        ratio: Pixels of Φ per pixel of the latent along one side.
        blocks, hidden: Couplings, and filters of their subnetworks.
        features: E, channels of the embedding.
        depth: Residual blocks of the embedding.
        seed: Of the permutations.
    """

    def __init__(
        self,
        *,
        latent: int,
        channels: int,
        ratio: float = 4.0,
        blocks: int = 8,
        hidden: int = 64,
        features: int = 48,
        depth: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.latent, self.ratio = latent, ratio
        self.embedding = SpatialEmbedding(channels, features, ratio=ratio, depth=depth)
        self.chain = SequenceINN(latent, _NOMINAL, _NOMINAL)
        for number in range(blocks):
            _append(self.chain, 0, (features, _NOMINAL, _NOMINAL), convolutional(hidden), seed + number)

    def embed(self, phi: Tensor) -> Embedded:
        """(B, C, H', W') to one tensor (B, E, h, w)."""
        height, width = (round(side / self.ratio) for side in phi.shape[-2:])
        return (self.embedding(phi, (height, width)),)

    def shape_of(self, grid: tuple[int, int]) -> tuple[int, ...]:
        """(L, h, w)."""
        return (self.latent, *grid)


class VectorFlow(Flow):
    """The flow of one vector per patch, the papers' form.

    With ``separate=True`` it has the published size: 125,988,864 weights in the chain, the very number, and
    11,143,360 in the embedding (published 11,144,320, with an activation norm where here is a bias). The published
    invertible leaky ReLU is left out: its log-determinant is taken as 0, which is wrong, and ECCV 2020 has none.

    Args:
        latent: L, length of z̄; 256 as published.
        channels: C of Φ(x).
        size: Edge of Φ(x) in pixels.
        blocks, hidden, depth: Couplings, width and hidden layers of their subnetworks; 12, 1024 and 3 as published.
        features: E, length of the embedding; 256 as published.
        width: Filters of the embedding's first layer; 64 as published.
        separate: Whether scale and shift come out of networks of their own, as published; one for both is half the size.
        seed: Of the permutations.

    References:
        Rombach, Esser and Ommer, Making sense of CNNs, ECCV 2020, arXiv 2008.01777.
        Eulig et al., Reconstructing and analyzing the invariances of low-dose CT image denoising networks, Med. Phys. 52(1),
        2025, doi 10.1002/mp.17413.
    """

    def __init__(
        self,
        *,
        latent: int,
        channels: int,
        size: int = 128,
        blocks: int = 12,
        hidden: int = 1024,
        depth: int = 3,
        features: int = 256,
        width: int = 64,
        separate: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.latent = latent
        self.embedding = VectorEmbedding(channels, features, size=size, width=width)
        self.chain = SequenceINN(latent)
        for number in range(blocks):
            _append(self.chain, 0, (features,), dense(hidden, depth), seed + number, separate=separate)

    def embed(self, phi: Tensor) -> Embedded:
        """(B, C, P, P) to one tensor (B, E)."""
        return (self.embedding(phi),)

    def shape_of(self, grid: tuple[int, int]) -> tuple[int, ...]:
        """(L,)."""
        return (self.latent,)


class ImageFlow(Flow):
    """The lossless flow on image space, `inn`: Haar transforms and couplings at each scale, no autoencoder.

    It works on (x - c)/scale with c = f(x), so that the flow learns what f took away and not the anatomy; a shift and a
    constant scale change the likelihood by a known constant.

    Args:
        channels: C of Φ(x), on the image's own grid.
        blocks, hidden, features: Couplings, their filters and channels of the embedding at each scale, 1/2 first.
        seed: Of the permutations.

    References:
        Denker et al., Conditional invertible neural networks for medical imaging, J. Imaging 7, 2021; FrEIA.
    """

    def __init__(
        self,
        *,
        channels: int,
        blocks: tuple[int, ...] = (2, 4, 4),
        hidden: tuple[int, ...] = (24, 48, 64),
        features: tuple[int, ...] = (16, 32, 48),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.levels = len(blocks)
        self.standardise = Standardise(channels)
        self.enter = nn.ModuleList()
        self.chain = SequenceINN(1, _NOMINAL * 2**self.levels, _NOMINAL * 2**self.levels)
        before, edge = channels, _NOMINAL * 2**self.levels
        for level, (count, width, feature) in enumerate(zip(blocks, hidden, features, strict=True)):
            self.enter.append(
                nn.Sequential(nn.Conv2d(before, feature, 2, stride=2), Residual(feature), Residual(feature))
            )
            before, edge = feature, edge // 2
            self.chain.append(Haar)
            for number in range(count):
                _append(
                    self.chain,
                    level,
                    (feature, edge, edge),
                    convolutional(width),
                    seed + 100 * level + number,
                )

    def embed(self, phi: Tensor) -> Embedded:
        """(B, C, H, W) to one tensor for each scale."""
        hidden, found = self.standardise(phi), []
        for layer in self.enter:
            hidden = layer(hidden)
            found.append(hidden)
        return tuple(found)

    def shape_of(self, grid: tuple[int, int]) -> tuple[int, ...]:
        """(4^levels, h, w), the grid of the coarsest scale."""
        return (4**self.levels, *grid)


class GaussianFlow(Flow):
    """The linear baseline in closed form: z̄ = W·Φ_block + b + L·ξ for each block on its own, ξ ~ N(0, I).

    Args:
        latent: L, channels of z̄.
        channels: C of Φ(x).
        ratio: Pixels of Φ per pixel of the latent along one side, a whole number.
    """

    weight: Tensor
    bias: Tensor
    root: Tensor

    def __init__(self, *, latent: int, channels: int, ratio: float = 8.0) -> None:
        super().__init__()
        self.latent, self.ratio = latent, int(ratio)
        self.standardise = Standardise(channels)
        self.register_buffer("weight", torch.zeros(latent, channels * self.ratio**2))
        self.register_buffer("bias", torch.zeros(latent))
        self.register_buffer("root", torch.eye(latent))

    @torch.no_grad()
    def initialise(self, z: Tensor, phi: Tensor) -> None:
        """Solve the ridge regression of z̄ on Φ, and take the covariance of what it leaves."""
        super().initialise(z, phi)
        features = self._blocks(phi).movedim(1, -1).reshape(-1, self.weight.shape[1]).double()
        values = z.movedim(1, -1).reshape(-1, self.latent).double()
        centre, level = features.mean(0), values.mean(0)
        normal = (features - centre).T @ (features - centre) / len(features)
        normal.diagonal().add_(_RIDGE * normal.diagonal().mean())
        weight = torch.linalg.solve(normal, (features - centre).T @ (values - level) / len(features)).T
        left = values - level - (features - centre) @ weight.T
        covariance = left.T @ left / len(left)
        covariance.diagonal().add_(1e-9 * covariance.diagonal().mean())
        self.weight.copy_(weight)
        self.bias.copy_(level - weight @ centre)
        self.root.copy_(torch.linalg.cholesky(covariance))

    def embed(self, phi: Tensor) -> Embedded:
        """(B, C, H, W) to one tensor, the mean of z̄: (B, L, h, w)."""
        mean = torch.einsum("lf,bfhw->blhw", self.weight, self._blocks(phi))
        return (mean + self.bias[:, None, None],)

    def forward(self, z: Tensor, embedded: Embedded) -> tuple[Tensor, Tensor]:
        """t, in closed form."""
        inverse = torch.linalg.inv(self.root)
        v = torch.einsum("kl,blhw->bkhw", inverse, z - embedded[0])
        log_det = -self.root.diagonal().log().sum() * z[0, 0].numel()
        return v, log_det.expand(len(z))

    def inverse(self, v: Tensor, embedded: Embedded) -> Tensor:
        """t⁻¹, in closed form."""
        return torch.einsum("kl,blhw->bkhw", self.root, v) + embedded[0]

    def shape_of(self, grid: tuple[int, int]) -> tuple[int, ...]:
        """(L, h, w)."""
        return (self.latent, *grid)

    def _blocks(self, phi: Tensor) -> Tensor:
        return F.pixel_unshuffle(self.standardise(phi), self.ratio)


def _append(
    chain: SequenceINN,
    condition: int,
    shape: tuple[int, ...],
    subnet: object,
    seed: int,
    *,
    separate: bool = False,
) -> None:
    """One step of a flow: activation norm, coupling, permutation."""
    chain.append(ActNorm)
    chain.append(coupling, cond=condition, cond_shape=shape, subnet=subnet, separate=separate)
    chain.append(Permute, seed=seed)


FLOWS: dict[str, type[Flow]] = {
    "SpatialFlow": SpatialFlow,
    "VectorFlow": VectorFlow,
    "ImageFlow": ImageFlow,
    "GaussianFlow": GaussianFlow,
}
"""Every flow, by the name that a bundle gives; the tests of the laws run over all."""


__all__ = [
    "FLOWS",
    "Embedded",
    "Flow",
    "GaussianFlow",
    "ImageFlow",
    "SpatialFlow",
    "VectorFlow",
    "bits_per_dimension",
    "diagonal_bits",
]
