"""The generator of Yang et al.'s Wasserstein GAN with perceptual loss."""

from __future__ import annotations

from torch import Tensor, nn


class WGANVGG(nn.Module):
    """Eight 3x3 convolutions of 32 filters, ReLU after all but the last, zero padding, no skip; 56,097 parameters.

    The activations are modules of their own, ``relu1`` to ``relu7``, so that each layer can be tapped by name.

    Args:
        filters: Filters of the seven hidden layers.

    References:
        Yang et al., Low-dose CT image denoising using a generative adversarial network with Wasserstein distance and
        perceptual loss, IEEE TMI 37(6), 2018, doi 10.1109/TMI.2018.2827462.
    """

    def __init__(self, filters: int = 32) -> None:
        super().__init__()
        for layer in range(1, 8):
            self.add_module(f"conv{layer}", nn.Conv2d(1 if layer == 1 else filters, filters, 3, padding=1))
            self.add_module(f"relu{layer}", nn.ReLU())
        self.conv8 = nn.Conv2d(filters, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Denoise a normalised image, (B, 1, H, W) to (B, 1, H, W)."""
        hidden = image
        for layer in range(1, 8):
            hidden = self.get_submodule(f"relu{layer}")(self.get_submodule(f"conv{layer}")(hidden))
        output: Tensor = self.conv8(hidden)
        return output
