"""Networks as plain modules in MONAI's manner: normalised image in, normalised image out.

To add one: write the module in a file of its own and add its row to `NETWORKS`. HU, normalisation and taps are the
business of `ctinv.denoiser.Denoiser`; a network knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from ctinv.networks.cnn10 import CNN10
from ctinv.networks.irlnet import IRLNet
from ctinv.networks.redcnn import DUGAN, REDCNN
from ctinv.networks.resnet import NoiseSubtractionResNet
from ctinv.networks.wganvgg import WGANVGG

__all__ = [
    "CNN10",
    "DUGAN",
    "NETWORKS",
    "REDCNN",
    "WGANVGG",
    "IRLNet",
    "NetworkSpec",
    "NoiseSubtractionResNet",
    "taps_of",
]


@dataclass(frozen=True)
class NetworkSpec:
    """One row of the registry.

    Attributes:
        network: The module's class.
        taps: Public tap name to submodule path; ``"input"`` and ``"output"`` exist for every denoiser. A path that the
            arguments of an instance leave out, a fourth stage of three, is no tap of that instance.
        skips: Whether the image skips all layers and is added to what they give.
    """

    network: type[nn.Module]
    taps: Mapping[str, str]
    skips: bool = False


_RED_TAPS = {f"conv{i}": f"relu{i}" for i in range(1, 6)} | {f"tconv{i}": f"tconv{i}" for i in range(1, 5)}

NETWORKS: dict[str, NetworkSpec] = {
    "CNN10": NetworkSpec(CNN10, {"conv1": "relu1", "conv2": "relu2"}),
    "WGANVGG": NetworkSpec(WGANVGG, {f"conv{i}": f"relu{i}" for i in range(1, 8)}),
    "REDCNN": NetworkSpec(REDCNN, _RED_TAPS, skips=True),
    "DUGAN": NetworkSpec(DUGAN, _RED_TAPS, skips=True),
    "NoiseSubtractionResNet": NetworkSpec(
        NoiseSubtractionResNet,
        {"in": "in_conv"} | {f"block{i}": f"blocks.{i - 1}" for i in range(1, 11)},
        skips=True,
    ),
    "IRLNet": NetworkSpec(IRLNet, {f"stage{i}": f"image{i}" for i in range(1, 9)}, skips=True),
}


def taps_of(spec: NetworkSpec, network: nn.Module) -> dict[str, str]:
    """The taps of the registry that an instance has."""
    there = {path for path, _ in network.named_modules()}
    return {tap: path for tap, path in spec.taps.items() if path in there}
