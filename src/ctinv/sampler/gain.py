"""The gain of a region, from the cache if it was built before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ctinv.fibre.cache import factor_key, kept_bytes, read_factor, write_factor
from ctinv.fibre.covariance import Covariance, DenseNoise, SurroundedNoise
from ctinv.fibre.factor import Factor
from ctinv.fibre.iterative import IterativeGain, TorusNoise
from ctinv.fibre.jacobian import SparseJacobian
from ctinv.fibre.memory import is_small
from ctinv.fibre.reach import RULE, take_jacobian
from ctinv.fibre.region import Region
from ctinv.progress import Progress
from ctinv.sampler.survey import Clock


@dataclass(frozen=True, eq=False)
class GainRequest:
    """What decides the gain of a region.

    Attributes:
        region: The region and the network.
        covariance: C around the region.
        residual: (H, W) float64 HU, x - ŷ on the area of C.
        tolerance: ε in the tap's unit.
        memory_budget: Bytes that may be used; 80 % of what is free by default.
        cache: Whether the factor is kept on disk.
    """

    region: Region
    covariance: Covariance
    residual: NDArray[np.float64]
    tolerance: float
    memory_budget: int | None = None
    cache: bool = True

    def kept_bytes(self) -> int:
        """Size of the factor on disk, 0 where it is not there and has to be built."""
        return kept_bytes(self._key()) if self.cache and is_small(self.region) else 0

    def build(self, clock: Clock, progress: Progress | None) -> Factor | IterativeGain:
        """The gain, from the cache if it was built before."""
        if not (self.cache and is_small(self.region)):
            return self._anew(clock, progress)
        clock.stage("cache")
        key = self._key()
        kept = read_factor(key, self.region.context.device)
        if kept is not None:
            return kept
        factor = self._anew(clock, progress)
        if isinstance(factor, Factor):
            clock.stage("cache")
            write_factor(key, factor)
        return factor

    def noise(self, clock: Clock, progress: Progress | None) -> SurroundedNoise:
        """The noise given the surroundings alone; of a large region it is known without J."""
        if is_small(self.region):
            return self.build(clock, progress).noise
        return TorusNoise.given(self.covariance, self.region.box, self.residual, self.region.context.device)

    def _anew(self, clock: Clock, progress: Progress | None) -> Factor | IterativeGain:
        region, covariance, device = self.region, self.covariance, self.region.context.device
        clock.stage("jacobian", "taking the Jacobian")
        jacobian = take_jacobian(
            region, covariance, self.tolerance, budget=self.memory_budget, progress=progress
        )
        clock.stage("surroundings", "conditioning the noise on the surroundings")
        if not (is_small(region) and isinstance(jacobian, SparseJacobian)):
            torus = TorusNoise.given(covariance, region.box, self.residual, device)
            clock.stage("factor", "solving for the spread of linear theory")
            return IterativeGain.build(jacobian, torus, self.tolerance)
        noise = DenseNoise.given(covariance, region.box, self.residual).to(device)
        clock.stage("factor", "factorising")
        return Factor.build(jacobian, noise, self.tolerance)

    def _key(self) -> str:
        """The name of the factor; the radius of J in it follows from what is named, by the rule."""
        region = self.region
        denoiser = region.representation.denoiser
        facts = {
            "tap": region.representation.tap,
            "boxes": [str(region.box), str(region.context_box)],
            "tolerance": self.tolerance,
            "mean": denoiser.mean,
            "std": denoiser.std,
            "device": region.context.device.type,
            "jacobian": RULE,
        }
        state = denoiser.network.state_dict()
        surroundings = [
            torch.from_numpy(part)
            for part in (self.residual, self.covariance.sigma, self.covariance.spectrum)
        ]
        return factor_key(facts, region.context, *surroundings, *(state[name] for name in sorted(state)))
