"""What every conditional invertible network shares: v = t(z̄ given Φ(x)), its likelihood, and its start from data.

    log p(z̄ given Φ(x)) = log N(t(z̄); 0, I) + log|det ∂t/∂z̄|

The flows themselves are in `ctinv.networks.flows`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from FrEIA.framework import SequenceINN
from torch import Tensor, nn

from ctinv.networks.embedding import Standardise
from ctinv.networks.invertible import ActNorm

Embedded = tuple[Tensor, ...]


class Flow(nn.Module):
    """What all flows share; a subclass names its embedding and its chain."""

    chain: SequenceINN

    def embed(self, phi: Tensor) -> Embedded:
        """The condition of one image or a batch, computed once: (B or 1, C, H', W') to what the couplings take."""
        raise NotImplementedError

    def standardisers(self) -> Iterator[Standardise]:
        """The layers that take the scale of Φ from data."""
        return (module for module in self.modules() if isinstance(module, Standardise))

    @torch.no_grad()
    def initialise(self, z: Tensor, phi: Tensor) -> None:
        """Fit the scale of Φ and every activation norm to a batch, once, before training."""
        for layer in self.standardisers():
            layer.fit(phi)
        norms = [module for module in self.modules() if isinstance(module, ActNorm)]
        for norm in norms:
            norm.fits = True
        try:
            self(z, self.embed(phi))
        finally:
            for norm in norms:
                norm.fits = False

    def forward(self, z: Tensor, embedded: Embedded) -> tuple[Tensor, Tensor]:
        """t: (B, …) to v of the same number of entries and log|det ∂t/∂z|, (B,)."""
        v, log_det = self.chain(z, c=self._spread(embedded, len(z)))
        return v, log_det

    def inverse(self, v: Tensor, embedded: Embedded) -> Tensor:
        """t⁻¹."""
        z, _ = self.chain(v, c=self._spread(embedded, len(v)), rev=True, jac=False)
        return torch.as_tensor(z)

    def log_likelihood(self, z: Tensor, embedded: Embedded) -> Tensor:
        """log p(z given Φ(x)) in nats, (B,)."""
        v, log_det = self(z, embedded)
        return log_det - 0.5 * (v.flatten(1).square() + math.log(2 * math.pi)).sum(1)

    def shape_of(self, grid: tuple[int, int]) -> tuple[int, ...]:
        """Shape of v without the batch for an image whose latent has this grid."""
        raise NotImplementedError

    @staticmethod
    def _spread(embedded: Embedded, count: int) -> list[Tensor]:
        return [part.expand(count, *part.shape[1:]) for part in embedded]


def bits_per_dimension(log_likelihood: Tensor, dimensions: int) -> Tensor:
    """-log2 p per entry of z̄: (B,) nats to (B,) bits."""
    return -log_likelihood / (dimensions * math.log(2.0))


def diagonal_bits(z: Tensor) -> Tensor:
    """Bits per entry of (B, L, …) latents under independent Gaussians with each channel's own mean and variance."""
    others = [axis for axis in range(z.ndim) if axis != 1]
    variance = z.var(dim=others, unbiased=False)
    return (0.5 * torch.log2(2 * math.pi * math.e * variance)).mean()
