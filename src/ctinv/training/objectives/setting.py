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

    def judged(self, image: Tensor, scale: float, detail: float = 0.0) -> Tensor:
        """An image as a critic sees it, without its margins.

        In the network's unit noise is a hundredth of anatomy, and a critic that may not be steep is blind to it; it plays
        with brightness instead, which the noise does not change.

        Args:
            image: (B, 1, P, P) in the network's unit.
            scale: HU that the critic sees as 1; 0 keeps the network's unit.
            detail: σ in pixels of the Gaussian whose blur is taken away first; 0 keeps the whole image.
        """
        if detail:
            image = image - _blurred(image, detail)
        image = self.inner(image)
        return image * (self.std / scale) if scale else image

    def adam(
        self, module: nn.Module, *, factor: float = 1.0, betas: tuple[float, float] = (0.9, 0.999)
    ) -> torch.optim.Adam:
        """Adam over a module, at the run's learning rate times a factor."""
        return torch.optim.Adam(module.parameters(), lr=self.learning_rate * factor, betas=betas)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """(B, 1, P, P) convolved with a Gaussian of σ pixels, mirrored at the border."""
    reach = int(3 * sigma + 0.5)
    place = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    weights = torch.exp(-0.5 * (place / sigma) ** 2)
    weights = weights / weights.sum()
    padded = nn.functional.pad(image, (reach, reach, reach, reach), mode="reflect")
    return nn.functional.conv2d(
        nn.functional.conv2d(padded, weights[None, None, :, None]), weights[None, None, None]
    )
