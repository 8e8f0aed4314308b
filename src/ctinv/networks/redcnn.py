"""The residual encoder-decoder of Chen et al., and the DU-GAN generator, which is the same network."""

from __future__ import annotations

from torch import Tensor, nn

_LAYERS = 5


class REDCNN(nn.Module):
    """Five 5x5 convolutions and five 5x5 transposed ones, no padding, three additive skips; 1,848,865 parameters.

    The skips join the input, the second and the fourth encoder layer to the decoder. The last ReLU of the paper is left
    out, as in ldct-benchmark, since a normalised image may be negative. An image must be larger than 20 pixels.

    Args:
        channels: Filters of every hidden layer; 96 is the published width.

    References:
        Chen et al., Low-dose CT with a residual encoder-decoder convolutional neural network, IEEE TMI 36(12), 2017,
        doi 10.1109/TMI.2017.2715284.
    """

    def __init__(self, channels: int = 96) -> None:
        super().__init__()
        for layer in range(1, _LAYERS + 1):
            self.add_module(f"conv{layer}", nn.Conv2d(1 if layer == 1 else channels, channels, 5))
            self.add_module(f"relu{layer}", nn.ReLU())
        for layer in range(1, _LAYERS + 1):
            self.add_module(f"trelu{layer}", nn.ReLU())
            self.add_module(
                f"tconv{layer}", nn.ConvTranspose2d(channels, 1 if layer == _LAYERS else channels, 5)
            )

    def forward(self, image: Tensor) -> Tensor:
        """Denoise a normalised image, (B, 1, H, W) to (B, 1, H, W)."""
        hidden = image
        kept = {_LAYERS: image}  # decoder layer to the tensor that is added to its result
        for layer in range(1, _LAYERS + 1):
            hidden = self.get_submodule(f"relu{layer}")(self.get_submodule(f"conv{layer}")(hidden))
            if layer in (2, 4):
                kept[_LAYERS - layer] = hidden
        for layer in range(1, _LAYERS + 1):
            # The first decoder layer meets the encoder's last ReLU, which a second one leaves as it is.
            hidden = self.get_submodule(f"tconv{layer}")(self.get_submodule(f"trelu{layer}")(hidden))
            if layer in kept:
                hidden = hidden + kept[layer]
        return hidden


class DUGAN(REDCNN):
    """The generator of DU-GAN: RED-CNN, trained against two U-Net discriminators; 1,848,865 parameters.

    Args:
        channels: Filters of every hidden layer; 96 is the published width.

    References:
        Huang et al., DU-GAN: generative adversarial networks with dual-domain U-Net-based discriminators for low-dose CT
        denoising, IEEE TIM 71, 2022, doi 10.1109/TIM.2021.3128703.
    """
