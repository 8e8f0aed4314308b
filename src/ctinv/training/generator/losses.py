"""What the stages of a generator minimise, beyond reconstruction and likelihood."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ctinv.denoiser import Denoiser
from ctinv.training.objectives.features import VggFeatures

_PERCEPTUAL_LAYERS = (3, 8, 15, 22)  # relu1_2, relu2_2, relu3_3, relu4_3 of VGG16


def nfe_squared(
    denoiser: Denoiser, x_tilde: Tensor, clean: Tensor, *, radius: int, sigma_out: float
) -> Tensor:
    """NFE² = mean((f(x̃) − f(x))²) / 2σ_out² over the inside of patches, where f sees no border.

    Args:
        denoiser: f.
        x_tilde: (B, 1, P, P) HU.
        clean: (B, 1, P, P) HU, f(x), seen with its surroundings.
        radius: Receptive-field radius of f in pixels.
        sigma_out: σ_out in HU.
    """
    inside = slice(radius, -radius or None)
    error = (denoiser(x_tilde) - clean)[..., inside, inside]
    return error.square().mean() / (2.0 * sigma_out**2)


def perceptual(features: VggFeatures, image: Tensor, other: Tensor) -> Tensor:
    """Mean absolute difference of features at relu1_2, 2_2, 3_3 and 4_3, summed; (B, 1, P, P) HU.

    References:
        Zhang et al., The unreasonable effectiveness of deep features, CVPR 2018; the plain form without learned weights.
    """
    total = image.new_zeros(())
    pair = features.grey(torch.cat([image, other]))
    for number, layer in enumerate(features.layers):
        pair = layer(pair)
        if number in _PERCEPTUAL_LAYERS:
            one, two = pair.chunk(2)
            total = total + nn.functional.l1_loss(one, two)
        if number == _PERCEPTUAL_LAYERS[-1]:
            break
    return total
