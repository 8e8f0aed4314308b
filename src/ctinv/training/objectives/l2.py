"""Mean squared error, the loss of CNN-10, RED-CNN and the noise-subtraction network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctinv.training.fit import Batch, Turn
from ctinv.training.objectives.setting import Setting


@dataclass(frozen=True)
class L2:
    """Mean squared error in units of the network's std, without the margin that zero padding reaches."""

    @property
    def title(self) -> str:
        """What was minimised."""
        return "Mean squared error"

    def turns(self, network: nn.Module, setting: Setting) -> list[Turn]:
        """One turn."""

        def loss(batch: Batch, _generator: torch.Generator) -> Tensor:
            low, full = batch
            return nn.functional.mse_loss(setting.inner(network(low)), setting.inner(full))

        return [Turn("denoiser", network, setting.adam(network), loss)]
