"""A small patient with a known dose, and generators with known faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ctinv.fibre.rows import RowSeeds
from ctinv.generators.contract import Domain, Generator, Scene
from ctinv.generators.renoise import Renoise
from ctinv.scoreboard.patients import Patient
from ctinv.simulate import simulate_low_dose, water_phantom
from ctinv.volume import Acquisition

SIZE = 16
DOSE = 0.25


@cache
def patient() -> Patient:
    """Two slices of a water cylinder with a dense rod, 96 x 96 voxels, at a quarter of the dose."""
    phantom = water_phantom(size=96, pixel_mm=1.0, diameter_mm=80.0, slices=2)
    hu = phantom.hu + np.float32(40.0)
    hu[:, 40:52, 30:42] = 700.0
    full = replace(phantom, hu=hu, acquisition=Acquisition(photons=6000.0))
    return Patient("phantom", simulate_low_dose(full, dose=DOSE, seed=3), full, dose=DOSE)


class Far(Renoise):
    """Re-noising on an anatomy that is not the patient's: half of the region is 60 HU denser."""

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        images = super().candidates(rows, seeds).clone()
        images[..., SIZE // 2 :] += 60.0
        return images


class Narrow(Renoise):
    """Re-noising with 0.8 times the noise, and an autoencoder that misses the scan by 3 HU."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.scan = scene.region.scan

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        return self.clean + 0.8 * (super().candidates(rows, seeds) - self.clean)

    def reconstruct(self) -> Tensor:
        return self.scan - 3.0


@dataclass(frozen=True)
class InTarget:
    """A proposer of images as f should make them: f(x), 2 HU above and below."""

    name: str = "in_target"
    domain: Domain = "target"
    weights_sha256: dict[str, str] = field(default_factory=lambda: {"a.safetensors": "ab" * 32})

    def on(self, scene: Scene) -> Generator:
        return _Shifted(scene.patch)


@dataclass(frozen=True)
class _Shifted:
    clean: Tensor

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        shift = torch.tensor([2.0 if row % 2 else -2.0 for row in rows])
        return self.clean + shift[:, None, None, None]
