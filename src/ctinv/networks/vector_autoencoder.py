"""The papers' autoencoder: one latent vector per patch.

E is a residual network whose last layer gives the moments of z̄. D is built as BigGAN's generator: a first part of z̄ makes
a 4x4 image, which residual blocks double until it has the patch's size. Each block sees another chunk of z̄, with an
embedding of a soft class of z̄ as a whole, in its normalisation,

    y = (h − mean)/std · (1 + G·e) + S·e,   e = (chunk, class),

and f(x) at its resolution as one more channel.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from monai.networks.nets.resnet import ResNet, resnet18, resnet34, resnet50, resnet101
from torch import Tensor, nn

from ctinv.errors import InputError
from ctinv.networks.autoencoder import (
    HIGHEST_LOG_VARIANCE,
    LOWEST_LOG_VARIANCE,
    START_LOG_VARIANCE,
    Autoencoder,
    Posterior,
)

ENCODERS: dict[str, Callable[..., ResNet]] = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet101": resnet101,
}
_SEED = 4  # edge of D's first image
_WIDEST = 16  # of `channels`
_CLASS_FEATURES = 128
_CHUNK = 20 / 256  # share of z̄ that a block sees
_ATTENTION_START = 0.1  # small, but not zero: gradients flow


class VectorAutoencoder(Autoencoder):
    """One latent vector per patch, as in the papers; it takes patches of one size only.

    At its defaults 108,869,899 weights, unconditional 108,835,514; the published ones have 108,976,095 and 108,941,690.
    Deliberately not as in the published code: no spectral norm, of which that code never stores the power iteration, so that
    the norms stayed at 1.2 to 1.5; one kind of normalisation; a ReLU before the last convolution; f(x) averaged over areas
    where that code picked single noisy pixels; and weights start at random, not from ImageNet.

    Args:
        latent: L, length of z̄; 256 as published.
        patch: Edge of the patches, 4 times a power of 2 from 32 on; 128 as published.
        channels: Filters of D at full size; 96 as published.
        encoder: A key of `ENCODERS`; ``"resnet50"`` as published.
        encoder_width: Factor on the filters of E.
        classes: Soft classes of z̄, 1000 as published; 0 leaves them out.
        attention: Whether D attends to itself at half its size, as published.
        conditional: Whether E and D see c = f(x).

    Raises:
        InputError: There is no such encoder, or the sizes make no network.

    References:
        Rombach, Esser and Ommer, Making sense of CNNs, ECCV 2020, arXiv 2008.01777.
        Eulig et al., Reconstructing and analyzing the invariances of low-dose CT image denoising networks, Med. Phys. 52(1),
        2025, doi 10.1002/mp.17413.
        Brock, Donahue and Simonyan, Large scale GAN training (BigGAN), ICLR 2019, arXiv 1809.11096.
    """

    def __init__(
        self,
        latent: int = 256,
        *,
        patch: int = 128,
        channels: int = 96,
        encoder: str = "resnet50",
        encoder_width: float = 1.0,
        classes: int = 1000,
        attention: bool = True,
        conditional: bool = True,
    ) -> None:
        super().__init__()
        if encoder not in ENCODERS:
            raise InputError(f"there is no encoder {encoder!r}; choose one of {', '.join(ENCODERS)}.")
        self.latent, self.patch, self.factor, self.conditional = latent, patch, patch, conditional
        self.decoder = BigDecoder(
            latent, patch, channels, classes=classes, attention=attention, extra=1 if conditional else 0
        )
        self.encoder = ENCODERS[encoder](
            spatial_dims=2,
            n_input_channels=2 if conditional else 1,
            conv1_t_stride=2,
            bias_downsample=False,
            widen_factor=encoder_width,
            num_classes=2 * latent,
        )
        with torch.no_grad():
            assert self.encoder.fc is not None
            self.encoder.fc.bias[latent:] = START_LOG_VARIANCE

    def encode(self, x: Tensor, c: Tensor | None) -> Posterior:
        """E: (B, 1, P, P) image and condition to q(z̄) of (B, L).

        Raises:
            InputError: The images do not have the patch's size.
        """
        if x.shape[-2:] != (self.patch, self.patch):
            raise InputError(
                f"this autoencoder takes patches of {self.patch}x{self.patch} pixels, got "
                f"{x.shape[-2]}x{x.shape[-1]}; choose a region of that size or a generator of any size."
            )
        seen = torch.cat([x, c.expand_as(x)], dim=1) if self.conditional and c is not None else x
        mean, log_variance = self.encoder(seen).chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(LOWEST_LOG_VARIANCE, HIGHEST_LOG_VARIANCE))

    def trunk(self, c: Tensor | None) -> Tensor | None:
        """Nothing is computed: D averages c itself, which costs next to nothing."""
        return None

    def decode(self, z: Tensor, c: Tensor | None, trunk: Tensor | None) -> Tensor:
        """D: (B, L) to (B, 1, P, P)."""
        image: Tensor = self.decoder(z, c if self.conditional else None)
        return image


class BigDecoder(nn.Module):
    """BigGAN's generator with f(x) at every resolution.

    Args:
        latent, patch, channels, classes, attention: As of `VectorAutoencoder`.
        extra: Channels of f(x): 1, or 0 without.

    Raises:
        InputError: The sizes make no network.
    """

    def __init__(
        self, latent: int, patch: int, channels: int, *, classes: int, attention: bool, extra: int
    ) -> None:
        super().__init__()
        levels = (patch // _SEED).bit_length() - 1
        chunk = round(latent * _CHUNK)
        if patch != _SEED * 2**levels or levels < 3 or chunk < 1 or channels < 1:
            raise InputError(
                "expected a patch of 4 times a power of 2 from 32 on, at least 7 latents and 1 channel, "
                f"got {patch}, {latent} and {channels}."
            )
        widths = [channels * min(_WIDEST, 2 ** (levels - 1 - level)) for level in range(levels)]
        widths = [widths[0], *widths]
        self.chunks = [latent - levels * chunk, *[chunk] * levels]
        self.soft_class = _soft_class(latent, classes) if classes else None
        features = chunk + (_CLASS_FEATURES if classes else 0)
        self.enter = nn.Linear(self.chunks[0], widths[0] * _SEED**2)
        self.blocks = nn.ModuleList(
            UpBlock(before + extra, after, features) for before, after in itertools.pairwise(widths)
        )
        self.attention = SelfAttention(widths[-2]) if attention else None
        self.last_norm = nn.BatchNorm2d(channels)
        self.last = nn.Conv2d(channels + extra, 1, 3, padding=1)

    def forward(self, z: Tensor, c: Tensor | None) -> Tensor:
        """(B, L) and (1 or B, 1, P, P) or None, to (B, 1, P, P)."""
        first, *chunks = z.split(self.chunks, dim=1)
        if self.soft_class is not None:
            features = self.soft_class(z)
            chunks = [torch.cat([chunk, features], dim=1) for chunk in chunks]
        hidden = self.enter(first).unflatten(1, (-1, _SEED, _SEED))
        for number, (block, chunk) in enumerate(zip(self.blocks, chunks, strict=True)):
            if self.attention is not None and number == len(self.blocks) - 1:
                hidden = self.attention(hidden)
            hidden = block(beside(hidden, c), chunk)
        image: Tensor = self.last(beside(F.relu(self.last_norm(hidden)), c))
        return image


class UpBlock(nn.Module):
    """A residual block that doubles an image.

    Args:
        before, after: Channels.
        features: Length of what its normalisation is conditioned on.
    """

    def __init__(self, before: int, after: int, features: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ConditionalNorm(before, features), ConditionalNorm(after, features)
        # Without biases: every path from here leads through a normalisation that takes them off again.
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.skip = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, hidden: Tensor, features: Tensor) -> Tensor:
        """(B, C, h, w) and (B, features) to (B, C', 2h, 2w)."""
        change = upsampled_convolution(F.relu(self.norm1(hidden, features)), self.conv1.weight)
        change = self.conv2(F.relu(self.norm2(change, features)))
        # A 1x1 convolution is the same before and after the upsampling, and a quarter of the work before.
        return change + F.interpolate(self.skip(hidden), scale_factor=2, mode="nearest")


class ConditionalNorm(nn.Module):
    """Batch normalisation whose scale and shift are linear in features of z̄."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Linear(features, channels, bias=False)
        self.shift = nn.Linear(features, channels, bias=False)

    def forward(self, hidden: Tensor, features: Tensor) -> Tensor:
        """(B, C, h, w) and (B, features) to (B, C, h, w)."""
        gain, shift = self.gain(features)[:, :, None, None], self.shift(features)[:, :, None, None]
        normed: Tensor = self.norm(hidden)
        return normed * (1.0 + gain) + shift


class SelfAttention(nn.Module):
    """h + γ·attention of every pixel to the maxima of 2x2 blocks.

    References:
        Zhang et al., Self-attention generative adversarial networks, ICML 2019, arXiv 1805.08318.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, wide = max(1, channels // 8), max(1, channels // 2)
        self.query = nn.Conv2d(channels, narrow, 1, bias=False)
        self.key = nn.Conv2d(channels, narrow, 1, bias=False)
        self.value = nn.Conv2d(channels, wide, 1, bias=False)
        self.out = nn.Conv2d(wide, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.full((1,), _ATTENTION_START))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, h, w) to the same."""
        query = self.query(hidden).flatten(2).mT
        key = F.max_pool2d(self.key(hidden), 2).flatten(2).mT
        value = F.max_pool2d(self.value(hidden), 2).flatten(2).mT
        seen = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        change: Tensor = self.out(seen.mT.unflatten(2, hidden.shape[-2:]))
        return hidden + self.gamma * change


def upsampled_convolution(image: Tensor, weight: Tensor) -> Tensor:
    """A 3x3 convolution with zero padding of the image doubled by repeating pixels, without making that image.

    Each of the four pixels that come of one sees 2x2 pixels, under sums of the kernel's entries: one 2x2 convolution to four
    times the channels, then interleaving; 16 products in place of 36, and the same result.

    Args:
        image: (B, C, h, w).
        weight: (C', C, 3, 3).

    Returns:
        (B, C', 2h, 2w).
    """
    height, width = image.shape[-2:]
    # [parity of the pixel, tap of 2, tap of 3]: an even pixel lies on the second half of its kernel, an odd one on the first
    fold = image.new_tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])
    folded = torch.einsum("apk,bql,oikl->oabipq", fold, fold, weight)
    phases = F.conv2d(image, folded.flatten(0, 2), padding=1).unflatten(1, (-1, 2, 2))
    cut = [phases[:, :, a, b, a : a + height, b : b + width] for a in (0, 1) for b in (0, 1)]
    return F.pixel_shuffle(torch.stack(cut, dim=2).flatten(1, 2), 2)


def beside(hidden: Tensor, c: Tensor | None) -> Tensor:
    """The image with f(x), averaged over areas, as one more channel."""
    if c is None:
        return hidden
    small = F.interpolate(c, hidden.shape[-2:], mode="area")
    return torch.cat([hidden, small.expand(len(hidden), -1, -1, -1)], dim=1)


def _soft_class(latent: int, classes: int) -> nn.Sequential:
    """z̄ to the embedding of a soft class of it."""
    widths = [latent, *[2 * classes] * 3]
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
    embedding = nn.Linear(classes, _CLASS_FEATURES, bias=False)
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes), nn.Softmax(dim=1), embedding)
