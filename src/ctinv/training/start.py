"""Initial weights that make a stack of convolutions start as the identity.

Two channels carry the image and its negative through every ReLU, x = relu(x) − relu(−x); all other filters
start as He et al. draw them. A denoiser's target is close to its input, so that training starts near the
unprocessed image instead of far above it, with no skip connection and so no change of the published network.
The other filters of the first layer have zero mean: they see contrast and noise but not the HU level, which
is hundreds of times larger than the noise and would otherwise make every step of the optimiser shake the
image's brightness.
"""

from __future__ import annotations

import torch
from torch import nn

from ctinv.errors import InputError
from ctinv.networks import NETWORKS

_LAST_GAIN = 0.01  # of the random filters in the last layer: small against the noise of the image, not zero


def build(network: str, *, seed: int) -> nn.Module:
    """A network of the registry with the initial weights of one seed; global random state is not touched."""
    with torch.device("meta"):
        module = NETWORKS[network].network()
    module.to_empty(device="cpu")
    start_as_identity(module, generator=torch.Generator().manual_seed(seed))
    return module


@torch.no_grad()
def start_as_identity(network: nn.Module, *, generator: torch.Generator) -> None:
    """Initialise a plain stack of odd-sized convolutions with ReLU between them.

    Raises:
        InputError: The network holds parameters outside convolutions, or a convolution of another kind.
    """
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    held = sum(parameter.numel() for module in convolutions for parameter in module.parameters())
    if len(convolutions) < 2 or held != sum(parameter.numel() for parameter in network.parameters()):
        raise InputError(
            "an identity start needs a network of at least two convolutions and no other parameters."
        )
    for number, module in enumerate(convolutions):
        first, last = number == 0, number == len(convolutions) - 1
        height, width = module.kernel_size
        fan_in = module.in_channels * height * width
        module.weight.normal_(0.0, (2.0 / fan_in) ** 0.5 * (_LAST_GAIN if last else 1.0), generator=generator)
        if module.bias is not None:
            module.bias.zero_()
        carried = torch.zeros_like(module.weight[:2])
        if first:
            module.weight -= module.weight.mean(dim=(2, 3), keepdim=True)
            carried[:, 0, height // 2, width // 2] = torch.tensor([1.0, -1.0])
            module.weight[:2] = carried
        elif last:
            module.weight[0, :2] = 0.0
            module.weight[0, 0, height // 2, width // 2] = 1.0
            module.weight[0, 1, height // 2, width // 2] = -1.0
        else:
            carried[[0, 1], [0, 1], height // 2, width // 2] = 1.0
            module.weight[:2] = carried
