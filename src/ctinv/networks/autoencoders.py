"""Autoencoders E and D: the space in which a conditional INN draws (method §2).

    q(z̄ given x, c) = N(μ(x, c), σ²(x, c)),   x̂ = D(z̄, c)

c is f(x), or nothing. All work in normalised units. The *spatial* form has a latent with a grid and runs on slices of any
size; the *vector* form (`ctinv.networks.vector_autoencoder`) has one latent per patch, as in the papers; the *linear* form
is a PCA of blocks. What D needs of c is computed once per slice by `trunk` and shared by all samples.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.networks.blocks import ResidualUnit, SubpixelUpsample
from torch import Tensor, nn

from ctinv.errors import InputError
from ctinv.networks.autoencoder import (
    HIGHEST_LOG_VARIANCE,
    LOWEST_LOG_VARIANCE,
    START_LOG_VARIANCE,
    Autoencoder,
    Posterior,
)
from ctinv.networks.vector_autoencoder import VectorAutoencoder

_HEAD = 12  # channels at full resolution


class LinearAutoencoder(Autoencoder):
    """PCA of blocks: z̄ holds the first L principal components of each block, in units of their standard deviation.

    Blocks do not overlap, so what is drawn for each shows their edges: a baseline, not a model of images.

    Args:
        latent: L.
        factor: Edge of a block in pixels.
        conditional: Whether the components are those of x - f(x).

    Raises:
        InputError: A block has fewer pixels than L.
    """

    basis: Tensor
    deviation: Tensor
    mean: Tensor

    def __init__(self, latent: int = 16, *, factor: int = 8, conditional: bool = False) -> None:
        super().__init__()
        _check_block(latent, factor)
        self.latent, self.factor, self.conditional = latent, factor, conditional
        self.register_buffer("basis", torch.zeros(latent, 1, factor, factor))
        self.register_buffer("deviation", torch.ones(1, latent, 1, 1))
        self.register_buffer("mean", torch.zeros(1))

    @torch.no_grad()
    def initialise(self, x: Tensor, c: Tensor | None) -> None:
        """Find the components; x and c as everywhere."""
        images = x - c if c is not None and self.conditional else x
        self.mean.copy_(images.mean().reshape(1))
        basis, deviation = principal_blocks(images - self.mean, self.factor, self.latent)
        self.basis.copy_(basis)
        self.deviation.copy_(deviation[None, :, None, None])

    def encode(self, x: Tensor, c: Tensor | None) -> Posterior:
        """The components, without noise."""
        images = x - c if c is not None and self.conditional else x
        z = F.conv2d(images - self.mean, self.basis, stride=self.factor) / self.deviation
        return Posterior(z, torch.full_like(z, LOWEST_LOG_VARIANCE))

    def trunk(self, c: Tensor | None) -> Tensor | None:
        """Nothing is computed."""
        return None

    def decode(self, z: Tensor, c: Tensor | None, trunk: Tensor | None) -> Tensor:
        """The sum of the components."""
        image = F.conv_transpose2d(z * self.deviation, self.basis, stride=self.factor) + self.mean
        return image + c if c is not None and self.conditional else image


class SpatialAutoencoder(Autoencoder):
    """The default: a convolutional latent, sub-pixel upsampling, and a trunk of f(x) that is computed once.

    A linear path through the principal components of blocks starts it as a PCA; convolutions learn the rest. With a
    condition, D adds to c.

    Args:
        latent: L, channels of z̄; of `factor`² pixels each, L numbers are kept.
        factor: Image pixels per pixel of the latent along one side.
        channels: Filters on the latent's grid.
        depth: Residual units of E, of the trunk and of D.
        conditional: Whether E and D see c = f(x).

    Raises:
        InputError: A block has fewer pixels than L.

    References:
        Kingma and Welling, Auto-encoding variational Bayes, ICLR 2014; Sohn et al., CVAE, NeurIPS 2015.
        Shi et al., Real-time single image super-resolution (sub-pixel convolution), CVPR 2016.
    """

    def __init__(
        self,
        latent: int = 8,
        *,
        factor: int = 4,
        channels: int = 48,
        depth: int = 2,
        conditional: bool = True,
    ) -> None:
        super().__init__()
        _check_block(latent, factor)
        self.latent, self.factor, self.conditional = latent, factor, conditional
        inputs = factor**2 * (2 if conditional else 1)
        self.linear_in = nn.Conv2d(1, latent, factor, stride=factor, bias=False)
        self.linear_out = nn.ConvTranspose2d(latent, 1, factor, stride=factor, bias=False)
        self.enter = nn.Conv2d(inputs, channels, 3, padding=1)
        self.encoder = _units(channels, depth)
        self.moments = nn.Conv2d(channels, 2 * latent, 3, padding=1)
        self.trunk_enter = nn.Conv2d(factor**2, channels, 3, padding=1) if conditional else None
        self.trunk_units = _units(channels, depth) if conditional else None
        self.receive = nn.Conv2d(latent, channels, 3, padding=1)
        self.decoder = _units(channels, depth)
        self.upsample = SubpixelUpsample(2, channels, _HEAD, factor, apply_pad_pool=False)
        self.head = nn.Conv2d(_HEAD + (1 if conditional else 0), 1, 3, padding=1)
        with torch.no_grad():
            for layer in (self.moments, self.head):  # start as the linear path alone
                layer.weight.mul_(0.02)
                assert layer.bias is not None
                layer.bias.zero_()
            assert self.moments.bias is not None
            self.moments.bias[latent:] = START_LOG_VARIANCE

    @torch.no_grad()
    def initialise(self, x: Tensor, c: Tensor | None) -> None:
        """Set the linear path to the principal components of blocks of x, or of x - c."""
        images = x if c is None or not self.conditional else x - c
        basis, deviation = principal_blocks(images, self.factor, self.latent)
        self.linear_in.weight.copy_(basis / deviation[:, None, None, None])
        self.linear_out.weight.copy_(basis * deviation[:, None, None, None])

    def encode(self, x: Tensor, c: Tensor | None) -> Posterior:
        """E; the sides of x must be multiples of `factor`."""
        seen, linear = x, x
        if self.conditional and c is not None:
            seen, linear = torch.cat([x, c.expand_as(x)], dim=1), x - c
        hidden = self.encoder(self.enter(F.pixel_unshuffle(seen, self.factor)))
        mean, log_variance = self.moments(F.silu(hidden)).chunk(2, dim=1)
        bounded = log_variance.clamp(LOWEST_LOG_VARIANCE, HIGHEST_LOG_VARIANCE)
        return Posterior(mean + self.linear_in(linear), bounded)

    def trunk(self, c: Tensor | None) -> Tensor | None:
        """Features of f(x) on the latent's grid."""
        if self.trunk_enter is None or self.trunk_units is None or c is None:
            return None
        features: Tensor = self.trunk_units(self.trunk_enter(F.pixel_unshuffle(c, self.factor)))
        return features

    def decode(self, z: Tensor, c: Tensor | None, trunk: Tensor | None) -> Tensor:
        """D."""
        hidden = self.receive(z)
        hidden = self.decoder(hidden if trunk is None else hidden + trunk)
        full = F.silu(self.upsample(F.silu(hidden)))
        image: Tensor = self.linear_out(z)
        if self.conditional and c is not None:
            spread = c.expand(len(z), -1, -1, -1)
            return image + self.head(torch.cat([full, spread], dim=1)) + spread
        return image + self.head(full)


def principal_blocks(images: Tensor, edge: int, count: int) -> tuple[Tensor, Tensor]:
    """Principal components of all blocks of (B, 1, H, W) images.

    Returns:
        (count, 1, edge, edge) orthonormal, and (count,) standard deviations. The mean is not taken off: 0 is a meaningful
        value in normalised units.
    """
    blocks = F.unfold(images.double(), edge, stride=edge).transpose(1, 2).reshape(-1, edge * edge)
    values, vectors = torch.linalg.eigh(blocks.T @ blocks / len(blocks))
    order = torch.arange(edge * edge - 1, edge * edge - 1 - count, -1, device=images.device)
    basis = vectors[:, order].T.reshape(count, 1, edge, edge)
    return basis.to(images), values[order].clamp_min(1e-12).sqrt().to(images)


def _check_block(latent: int, factor: int) -> None:
    if not 1 <= latent <= factor**2:
        raise InputError(
            f"expected a latent of 1 to {factor**2} channels for blocks of {factor}x{factor} pixels, got {latent}."
        )


def _units(channels: int, depth: int) -> nn.Sequential:
    """Residual units of two 3x3 convolutions, without normalisation: HU levels matter."""
    return nn.Sequential(
        *(
            ResidualUnit(
                2, channels, channels, kernel_size=3, subunits=2, adn_ordering="A", act="swish", norm=None
            )
            for _ in range(depth)
        )
    )


AUTOENCODERS: dict[str, type[Autoencoder]] = {
    "SpatialAutoencoder": SpatialAutoencoder,
    "VectorAutoencoder": VectorAutoencoder,
    "LinearAutoencoder": LinearAutoencoder,
}
"""Every autoencoder, by the name that a bundle gives."""
