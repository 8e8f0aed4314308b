"""metamer: feature matching from noise. Training-free.

A model metamer is an image found by gradient descent that a network represents as it represents a given one, started where
nothing of that image is left:

    x_c ← x_c - Adam(∇ mean (Φ(x_c) - Φ(x))²),   x_c⁰ ~ N(mean f(x), std f(x)),  white.

It knows no prior: what Φ does not see stays white noise. So its candidates show what raw feature matching reaches in a
fixed number of steps (NFE raw), and how far from any scan what it leaves is (χ²/n).

The step size falls along half a cosine, from a quarter of that standard deviation (at least σ_out, where the region is
flat) to a fiftieth of itself. On 24 x 24 pixels of the shipped CT NFE falls within 100 steps from 0.8 to about 0.002 in the
liver and from 28 to 0.15 to 0.2 at the edge of the lung; behind 80 steps it is two to three times that.

References:
    Feather, Durango, Gonzalez and McDermott, Metamers of neural networks, NeurIPS 2019.
    Feather, Leclerc, Madry and McDermott, Model metamers reveal divergent invariances, Nature Neuroscience 26, 2023,
    https://doi.org/10.1038/s41593-023-01442-0
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ctinv.fibre.rows import CANDIDATE, RowSeeds
from ctinv.generators.contract import Scene

STEPS = 100
FIRST_SHARE = 0.25
LAST_SHARE = 0.02
_FADE = (0.9, 0.999)


class Metamer:
    """Candidates x_c that match Φ(x), found from white noise.

    Args:
        scene: The region; its noise is not looked at.
        steps: Gradient steps.
    """

    def __init__(self, scene: Scene, steps: int = STEPS) -> None:
        self.region, self.steps = scene.region, steps
        self.mean, self.std = scene.patch.mean(), scene.patch.std()
        self.rate_hu = max(FIRST_SHARE * float(self.std), scene.sigma_out)

    def start(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        """White noise with the mean and the standard deviation of f(x) on the region: (B, 1, h, w) HU."""
        height, width = self.region.shape
        normal = torch.from_numpy(seeds.normal(rows, height * width, CANDIDATE)).to(self.mean.device)
        return self.mean + self.std * normal.reshape(-1, 1, height, width)

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        """One candidate per row, (B, 1, h, w) HU."""
        started = self.start(rows, seeds)
        # One image at a time: a row's arithmetic is then the same in any company.
        return torch.cat([self._matched(image[None]) for image in started])

    def _matched(self, image: Tensor) -> Tensor:
        """Adam with the moments of each pixel, (1, 1, h, w) HU."""
        first, second = torch.zeros_like(image), torch.zeros_like(image)
        for step in range(self.steps):
            gradient = self._gradient(image)
            first = _FADE[0] * first + (1 - _FADE[0]) * gradient
            second = _FADE[1] * second + (1 - _FADE[1]) * gradient.square()
            unbiased = first / (1 - _FADE[0] ** (step + 1))
            scale = (second / (1 - _FADE[1] ** (step + 1))).sqrt().clamp_min(1e-30)
            image = image - self._rate(step) * unbiased / scale
        return image

    def _rate(self, step: int) -> float:
        """Step size in HU."""
        fall = (1 + math.cos(math.pi * step / self.steps)) / 2
        return self.rate_hu * (LAST_SHARE + (1 - LAST_SHARE) * fall)

    def _gradient(self, image: Tensor) -> Tensor:
        leaf = image.detach().requires_grad_(True)
        with torch.enable_grad():
            error = self.region.look(self.region.embed(leaf)) - self.region.reference
            (gradient,) = torch.autograd.grad(error.square().mean(), leaf)
        return gradient
