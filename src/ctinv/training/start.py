"""Initial weights with which a denoiser starts near the identity.

A denoiser's target is close to its input. A network that starts near the unprocessed image needs no steps to learn to
pass it on, and it is the published network all the same: only the first values of its weights differ.

*Stacks* without a skip: two channels carry the image and its negative through every ReLU, x = relu(x) − relu(−x); all
other filters start as He et al. draw them. *Networks with a skip* from the image to the output: He et al. everywhere,
and the layers that write an image start small. In both, the random filters that look at the image have zero mean: they
see contrast and noise but not the HU level, which is hundreds of times larger than the noise and would otherwise make
every step of the optimiser shake the image's brightness.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ctinv.errors import InputError
from ctinv.networks import NETWORKS

_LAST_GAIN = 0.01  # of random filters that write the image: small against the noise of the image, not zero
_BLOCK_GAIN = 0.1


def build(network: str, *, seed: int, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """A network of the registry with the initial weights of one seed; global random state is not touched.

    Raises:
        InputError: The arguments do not fit the class.
    """
    module = blank(network, arguments or {})
    module.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    if NETWORKS[network].skips:
        start_small(module, generator=generator)
    else:
        start_as_identity(module, generator=generator)
    return module


def blank(network: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A network of the registry without memory for its weights.

    Raises:
        InputError: The arguments do not fit the class.
    """
    try:
        with torch.device("meta"):
            return NETWORKS[network].network(**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        given = ", ".join(f"{key} = {value}" for key, value in arguments.items())
        raise InputError(
            f"the arguments {given} do not fit the network {network}; see its docstring."
        ) from error


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
        _draw(module, gain=_LAST_GAIN if last else 1.0, generator=generator)
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


@torch.no_grad()
def start_small(network: nn.Module, *, generator: torch.Generator) -> None:
    """Initialise a network whose image skips its layers: He et al., small where a layer writes one channel or ends a block.

    Normalisation layers keep the scale 1 and the shift 0 of a fresh one. The first convolution of the network and every
    other one that reads a single channel look at the image.
    """
    looked = False
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.reset_parameters()
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        # A 1x1 convolution ends a residual block; at full size, ten of them would blow the sum up a thousandfold.
        inner = _BLOCK_GAIN if module.kernel_size == (1, 1) else 1.0
        _draw(module, gain=_LAST_GAIN if module.out_channels == 1 else inner, generator=generator)
        if not looked or module.in_channels == 1:
            module.weight -= module.weight.mean(dim=(2, 3), keepdim=True)
            looked = True


def _draw(module: nn.Conv2d | nn.ConvTranspose2d, *, gain: float, generator: torch.Generator) -> None:
    """He's normal weights, no bias."""
    height, width = module.kernel_size
    fan_in = module.in_channels // module.groups * height * width
    module.weight.normal_(0.0, (2.0 / fan_in) ** 0.5 * gain, generator=generator)
    if module.bias is not None:
        module.bias.zero_()
