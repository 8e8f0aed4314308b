"""What a generator learns from: patches with what f says of them, seen with their surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ctinv.denoiser import OUTPUT, Denoiser
from ctinv.errors import InputError
from ctinv.fibre.region import receptive_radius
from ctinv.representation import Representation
from ctinv.sampler import InvarianceSampler
from ctinv.training.data import Augmentation, Pair, PairedPatches
from ctinv.training.generator.config import GeneratorConfig
from ctinv.volume import Box, Volume

_REGION = 48  # edge of the region where σ_out is measured


@dataclass(frozen=True, eq=False)
class Material:
    """One batch.

    Attributes:
        x: (B, 1, P, P) HU, the images to make: scans, or full-dose images for a generator of the target domain.
        clean: (B, 1, P, P) HU, f of the scans.
        phi: (B, C, P', P') Φ of the scans.
    """

    x: Tensor
    clean: Tensor
    phi: Tensor


class Materials:
    """Step to `Material`: a pure function of the seed and the step.

    Args:
        config: The training.
        representation: Φ.
        pairs: Of the patients to draw from.
        target: Whether the images to make are the full-dose ones.
        batch, seed: As in the config, or others for validation.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        representation: Representation,
        pairs: Sequence[Pair],
        *,
        target: bool,
        batch: int,
        seed: int,
    ) -> None:
        denoiser = representation.denoiser
        self.representation, self.target = representation, target
        self.radius = max(
            receptive_radius(Representation(denoiser, OUTPUT)),
            0 if representation.tap == OUTPUT else receptive_radius(representation),
        )
        self.patches = PairedPatches(
            pairs,
            patch=config.patch + 2 * self.radius,
            batch=batch,
            seed=seed,
            body=config.body,
            air=config.air,
            slices=denoiser.slices,
            augmentation=Augmentation(flip=config.flip),
        )

    @torch.no_grad()
    def __call__(self, step: int) -> Material:
        """The batch of one step."""
        representation = self.representation
        denoiser = representation.denoiser
        device = next(denoiser.parameters()).device
        low, full = (side.to(device) for side in self.patches(step))
        clean = denoiser(low)
        phi = clean if representation.tap == OUTPUT else representation(low)
        if phi.shape[-2:] != low.shape[-2:]:
            raise InputError(
                f"the tap {representation.tap!r} has another grid than the image; only taps on the image's own grid can be "
                "studied."
            )
        inside = slice(self.radius, -self.radius or None)
        x = full if self.target else denoiser.middle(low)
        return Material(*(part[..., inside, inside].contiguous() for part in (x, clean, phi)))


def measure_sigma_out(denoiser: Denoiser, pair: Pair) -> float:
    """σ_out in HU on the middle slice of a pair, where it is most homogeneously body: the unit of NFE."""
    z = len(pair.low) // 2
    low = np.asarray(pair.low[z : z + 1], dtype=np.float32)
    spacing = pair.spacing_mm if np.isfinite(pair.spacing_mm) else 0.7
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = 1.0, spacing, spacing, 1.0
    volume = Volume(low, affine, f"sha256:{pair.name}")
    box = _most_tissue(np.asarray(pair.full[z], dtype=np.float32))
    photons = pair.photons_low if np.isfinite(pair.photons_low) else None
    device = str(next(denoiser.parameters()).device)
    sampler = InvarianceSampler(denoiser, device=device, photons=photons, cache=False)
    return sampler.survey(volume, box).rule.sigma_out_hu


def _most_tissue(full: np.ndarray) -> Box:
    """The square with the most soft tissue, -100 to 150 HU."""
    edge = min(_REGION, *full.shape)
    tissue = ((full > -100) & (full < 150)).astype(np.float64)
    total = np.pad(tissue.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    height, width = full.shape
    best = (-1.0, 0, 0)
    for y in range(0, height - edge + 1, 8):
        for x in range(0, width - edge + 1, 8):
            inside = total[y + edge, x + edge] - total[y, x + edge] - total[y + edge, x] + total[y, x]
            best = max(best, (float(inside), y, x))
    return Box(0, best[1], best[1] + edge, best[2], best[2] + edge)
