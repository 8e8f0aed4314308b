"""Networks as plain modules in MONAI's manner: normalised image in, normalised image out.

To add one: write the module in a file of its own and add its row to `NETWORKS`. HU, normalisation and taps are the
business of `ctinv.denoiser.Denoiser`; a network knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from ctinv.networks.cnn10 import CNN10
from ctinv.networks.wganvgg import WGANVGG

__all__ = ["CNN10", "NETWORKS", "WGANVGG", "NetworkSpec"]


@dataclass(frozen=True)
class NetworkSpec:
    """One row of the registry.

    Attributes:
        network: The module's class.
        taps: Public tap name to submodule path; ``"input"`` and ``"output"`` exist for every denoiser.
    """

    network: type[nn.Module]
    taps: Mapping[str, str]


NETWORKS: dict[str, NetworkSpec] = {
    "CNN10": NetworkSpec(CNN10, {"conv1": "relu1", "conv2": "relu2"}),
    "WGANVGG": NetworkSpec(WGANVGG, {f"conv{i}": f"relu{i}" for i in range(1, 8)}),
}
