"""The three-layer denoiser of Chen et al., known as CNN-10."""

from __future__ import annotations

from torch import Tensor, nn


class CNN10(nn.Module):
    """Three convolutions, 9x9x64, 3x3x32 and 5x5x1, with ReLU between them and zero padding; 24,513 parameters.

    Args:
        channels: Filters of the two inner layers.

    References:
        Chen et al., Low-dose CT denoising with convolutional neural network, ISBI 2017, doi 10.1109/ISBI.2017.7950488.
    """

    def __init__(self, channels: tuple[int, int] = (64, 32)) -> None:
        super().__init__()
        first, second = channels
        self.conv1 = nn.Conv2d(1, first, 9, padding=4)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(first, second, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(second, 1, 5, padding=2)

    def forward(self, image: Tensor) -> Tensor:
        """Denoise a normalised image, (B, 1, H, W) to (B, 1, H, W)."""
        hidden = self.relu1(self.conv1(image))
        hidden = self.relu2(self.conv2(hidden))
        output: Tensor = self.conv3(hidden)
        return output
