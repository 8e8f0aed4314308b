"""Critics and discriminators: networks that judge images while a denoiser is trained, and are never shipped."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from ctinv.errors import InputError

_SLOPE = 0.2


class Critic(nn.Module):
    """The critic of WGAN-VGG: six unpadded 3x3 convolutions, every second with stride 2, and two linear layers.

    Args:
        patch: Edge of the square images it will see, at least 29 pixels.
        channels: Filters of the first two layers, doubled twice; 64 is the published width.
        hidden: Width of the first linear layer.
        inputs: Channels of the images; 2 for a critic that sees a condition beside.

    References:
        Yang et al., Low-dose CT image denoising using a generative adversarial network with Wasserstein distance and
        perceptual loss, IEEE TMI 37(6), 2018, doi 10.1109/TMI.2018.2827462.
    """

    def __init__(self, patch: int, channels: int = 64, hidden: int = 1024, *, inputs: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        edge, before = patch, inputs
        for width in (channels, 2 * channels, 4 * channels):
            for stride in (1, 2):
                layers += [nn.Conv2d(before, width, 3, stride), nn.LeakyReLU(_SLOPE)]
                edge, before = (edge - 3) // stride + 1, width
        if edge < 1:
            raise InputError(f"the critic needs patches of at least 29 pixels without margins, got {patch}.")
        self.features = nn.Sequential(*layers)
        self.judge = nn.Sequential(
            nn.Flatten(), nn.Linear(before * edge**2, hidden), nn.LeakyReLU(_SLOPE), nn.Linear(hidden, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """One number per image, higher for more real: (B, inputs, P, P) to (B, 1)."""
        verdict: Tensor = self.judge(self.features(image))
        return verdict


class UNetDiscriminator(nn.Module):
    """A U-Net that judges the whole image at its bottom and every pixel at its top; spectral norm on inner layers.

    Args:
        channels: Filters of the first level, doubled at each level up to eight times; 64 is the published width.
        depth: Halvings; 6 as published. The edge of an image must be a multiple of 2 to this power.

    References:
        Schönfeld et al., A U-Net based discriminator for generative adversarial networks, CVPR 2020.
        Huang et al., DU-GAN, IEEE TIM 71, 2022, doi 10.1109/TIM.2021.3128703.
    """

    def __init__(self, channels: int = 64, depth: int = 6) -> None:
        super().__init__()
        widths = [min(channels * 2**level, 8 * channels) for level in range(depth + 1)]
        self.depth = depth
        self.enter = _normed(nn.Conv2d(1, widths[0], 3, padding=1))
        self.down = nn.ModuleList(_Down(a, b) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(_Up(b, a) for a, b in itertools.pairwise(widths))
        self.whole = nn.Linear(widths[-1], 1)
        self.pixel = nn.Conv2d(widths[0], 1, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, P, P) to verdicts on whole images, (B, 1), and on pixels, (B, 1, P, P)."""
        if image.shape[-1] % 2**self.depth or image.shape[-2] % 2**self.depth:
            raise InputError(
                f"the U-Net discriminator of depth {self.depth} needs patches of a multiple of {2**self.depth} pixels "
                f"without margins, got {image.shape[-1]}."
            )
        hidden = nn.functional.leaky_relu(self.enter(image), _SLOPE)
        passed = []
        for down in self.down:
            passed.append(hidden)
            hidden = down(hidden)
        whole: Tensor = self.whole(hidden.mean(dim=(2, 3)))
        for up in reversed(list(self.up)):
            hidden = up(hidden, passed.pop())
        pixel: Tensor = self.pixel(hidden)
        return whole, pixel


class _Down(nn.Module):
    """A residual block of two convolutions that halves the image."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = _normed(nn.Conv2d(before, after, 3, padding=1))
        self.conv2 = _normed(nn.Conv2d(after, after, 4, stride=2, padding=1))
        self.skip = _normed(nn.Conv2d(before, after, 1, stride=2))

    def forward(self, hidden: Tensor) -> Tensor:
        change = nn.functional.leaky_relu(self.conv1(hidden), _SLOPE)
        change = nn.functional.leaky_relu(self.conv2(change), _SLOPE)
        out: Tensor = change + self.skip(hidden)
        return out


class _Up(nn.Module):
    """Doubles the image, joins what the way down kept, and convolves."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = _normed(nn.Conv2d(before + after, after, 3, padding=1))
        self.conv2 = _normed(nn.Conv2d(after, after, 3, padding=1))
        self.skip = _normed(nn.Conv2d(before, after, 1))

    def forward(self, hidden: Tensor, passed: Tensor) -> Tensor:
        hidden = nn.functional.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False)
        change = nn.functional.leaky_relu(self.conv1(torch.cat([hidden, passed], dim=1)), _SLOPE)
        change = nn.functional.leaky_relu(self.conv2(change), _SLOPE)
        out: Tensor = change + self.skip(hidden)
        return out


def _normed(layer: nn.Conv2d) -> nn.Module:
    return nn.utils.parametrizations.spectral_norm(layer)
