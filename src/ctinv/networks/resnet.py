"""The noise-subtraction network of Missert et al.: a residual network that predicts the noise."""

from __future__ import annotations

from torch import Tensor, nn

from ctinv.errors import InputError

_GROUPS = 8


class NoiseSubtractionBlock(nn.Module):
    """conv3x3, norm, ReLU, grouped conv3x3 (8 groups), norm, ReLU, conv1x1; the block's input is added.

    Args:
        channels: Filters, a multiple of 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=_GROUPS)
        self.norm2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(channels, channels, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        change = self.relu1(self.norm1(self.conv1(hidden)))
        change = self.relu2(self.norm2(self.conv2(change)))
        return hidden + self.conv3(change)


class NoiseSubtractionResNet(nn.Module):
    """A 9x9 convolution, ten residual blocks and a 3x3 convolution that predict the noise; 1,843,329 parameters.

    The layers of a block follow ldct-benchmark; the abstract of the paper does not give them.

    Args:
        channels: Filters of every hidden layer, a multiple of 8; 128 is the published width.
        blocks: Residual blocks, 10 as published.
        slices: Neighbouring slices the network sees as channels; an odd number. The noise is that of the middle one.

    References:
        Missert, Leng, McCollough, Fletcher, Yu, Noise subtraction for low-dose CT images using a deep convolutional
        neural network, Proc. 5th Int. Conf. on Image Formation in X-ray CT, 2018, pp. 399-402.
    """

    def __init__(self, channels: int = 128, blocks: int = 10, slices: int = 1) -> None:
        super().__init__()
        if channels % _GROUPS or slices % 2 == 0:
            raise InputError(
                f"expected channels a multiple of {_GROUPS} and odd slices, got {channels} and {slices}."
            )
        self.middle = slices // 2
        self.in_conv = nn.Conv2d(slices, channels, 9, padding=4)
        self.blocks = nn.Sequential(*(NoiseSubtractionBlock(channels) for _ in range(blocks)))
        self.out_conv = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Denoise the middle slice of a normalised stack, (B, S, H, W) to (B, 1, H, W)."""
        noise: Tensor = self.out_conv(self.blocks(self.in_conv(image)))
        return image[:, self.middle : self.middle + 1] - noise
