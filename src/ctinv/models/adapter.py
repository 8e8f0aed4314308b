"""A thin module around a network whose input or output follows another custom: clipping, padding, predicted noise."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

INNER = "network"


class Adapter(nn.Module):
    """Clip, pad to a multiple, run the network, cut the padding off, subtract what it predicts.

    Args:
        network: (B, S, H, W) to (B, 1, H, W), in its own normalised unit.
        clip: Lowest and highest normalised value the network is shown.
        multiple: Both sides are padded at the bottom and at the right to a multiple of this.
        padding: torch's name of the padding, ``"replicate"`` or ``"reflect"``.
        noise: The network predicts what is to be subtracted from the middle slice.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        clip: tuple[float, float] | None = None,
        multiple: int = 1,
        padding: str = "replicate",
        noise: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.clip = clip
        self.multiple = multiple
        self.padding = padding
        self.noise = noise

    def forward(self, image: Tensor) -> Tensor:
        """Denoise the middle slice, (B, S, H, W) to (B, 1, H, W)."""
        height, width = image.shape[-2:]
        shown = image if self.clip is None else image.clamp(*self.clip)
        below, right = -height % self.multiple, -width % self.multiple
        if below or right:
            shown = F.pad(shown, (0, right, 0, below), mode=self.padding)
        answer: Tensor = self.network(shown)[..., :height, :width]
        if not self.noise:
            return answer
        return image.narrow(-3, image.shape[-3] // 2, 1) - answer


def adapted(
    network: nn.Module, *, clip: tuple[float, float] | None, multiple: int, padding: str, noise: bool
) -> nn.Module:
    """The network itself where nothing has to be adapted, else inside an `Adapter`."""
    if clip is None and multiple == 1 and not noise:
        return network
    return Adapter(network, clip=clip, multiple=multiple, padding=padding, noise=noise)
