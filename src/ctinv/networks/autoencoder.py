"""What every autoencoder shares: q(z̄ given x, c), and the four calls by which everything else uses E and D.

The autoencoders themselves are in `ctinv.networks.autoencoders`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LOWEST_LOG_VARIANCE, HIGHEST_LOG_VARIANCE = -12.0, 6.0
START_LOG_VARIANCE = -4.0


@dataclass(frozen=True)
class Posterior:
    """q(z̄ given x, c), a diagonal Gaussian.

    Attributes:
        mean, log_variance: (B, L, …).
    """

    mean: Tensor
    log_variance: Tensor

    def draw(self, generator: torch.Generator | None = None) -> Tensor:
        """One z̄ per image."""
        noise = torch.empty_like(self.mean).normal_(generator=generator)
        return self.mean + noise * (0.5 * self.log_variance).exp()

    def kl(self) -> Tensor:
        """KL(q ‖ N(0, I)) in nats, (B,)."""
        part = self.mean.square() + self.log_variance.exp() - 1.0 - self.log_variance
        return 0.5 * part.flatten(1).sum(1)


class Autoencoder(nn.Module):
    """What all autoencoders share.

    Attributes:
        conditional: Whether E and D see c = f(x).
        factor: Image pixels per pixel of the latent along one side.
        latent: L, channels of z̄, or its length where it is a vector.
        patch: Edge of the only images it takes, where the latent is a vector; else None.
    """

    conditional: bool
    factor: int
    latent: int
    patch: int | None = None

    def initialise(self, x: Tensor, c: Tensor | None) -> None:
        """Start from data: (B, 1, H, W) images and conditions."""

    def encode(self, x: Tensor, c: Tensor | None) -> Posterior:
        """E: (B, 1, H, W) image and condition to q(z̄)."""
        raise NotImplementedError

    def trunk(self, c: Tensor | None) -> Tensor | None:
        """What D needs of c, once per slice: (1 or B, 1, H, W) to features; None without a condition."""
        raise NotImplementedError

    def decode(self, z: Tensor, c: Tensor | None, trunk: Tensor | None) -> Tensor:
        """D: (B, L, …) latents to (B, 1, H, W); c and trunk may be those of one slice for all samples."""
        raise NotImplementedError
