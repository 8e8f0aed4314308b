"""What every objective is told about a run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Setting:
    """The run's side of an objective.

    Attributes:
        mean, std: HU the network sees as 0, and HU it sees as 1.
        patch: Edge of a patch in pixels.
        margin: Pixels cut off each side before any loss: zero padding reaches them and teaches nothing.
        learning_rate: Of Adam.
        seed: Of the initial weights of whatever is trained beside the denoiser.
        device: Where to train.
    """

    mean: float
    std: float
    patch: int
    margin: int
    learning_rate: float
    seed: int
    device: torch.device

    @property
    def inner_patch(self) -> int:
        """Edge of a patch without its margins."""
        return self.patch - 2 * self.margin

    def inner(self, image: Tensor) -> Tensor:
        """A patch, (…, P, P), without its margins."""
        kept = slice(self.margin, -self.margin or None)
        return image[..., kept, kept]

    def judged(self, image: Tensor, scale: float) -> Tensor:
        """An image in the unit of a critic, where ``scale`` HU are 1; 0 keeps the network's unit.

        In that unit noise is a hundredth of anatomy, and a critic that may not be steep is blind to it.
        """
        return self.inner(image) * (self.std / scale) if scale else self.inner(image)

    def adam(
        self, module: nn.Module, *, factor: float = 1.0, betas: tuple[float, float] = (0.9, 0.999)
    ) -> torch.optim.Adam:
        """Adam over a module, at the run's learning rate times a factor."""
        return torch.optim.Adam(module.parameters(), lr=self.learning_rate * factor, betas=betas)
