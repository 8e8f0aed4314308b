"""mixture: several anatomies, each with its probability given Φ(x). Training-free.

Where the anatomy itself is in doubt, x is one of K images μ_k with prior weights w_k, plus the noise of C. Candidates drawn
with the prior weights are wrong: the correction moves each to where Φ says x, but it does not ask how likely that was. By
linear theory the probability of anatomy k, given Φ(x), is

    w_k · N(Φ(x); Φ(x) + J(μ_k - x), J C Jᵀ + ε²I)  ∝  w_k · exp(-d'_ε²(x - μ_k)/2),

with d'_ε² what Φ shows of the difference (method §7, I3). The factor gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.errors import InputError
from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.factor import Gain
from ctinv.fibre.rows import CANDIDATE, RowSeeds
from ctinv.generators.contract import Scene

COMPONENT = "component"


@dataclass(frozen=True, eq=False)
class Mixture:
    """Candidates x_c = μ_k + noise, with k drawn with its probability.

    Attributes:
        noise: C given the surroundings.
        anatomies: (K, 1, h, w) HU, μ_k.
        shares: (K,) probability of each.
    """

    noise: SurroundedNoise
    anatomies: Tensor
    shares: NDArray[np.float64]

    @classmethod
    def given(
        cls, scene: Scene, factor: Gain, anatomies: Tensor, weights: Sequence[float] | NDArray[np.float64]
    ) -> Mixture:
        """Weigh the anatomies with what Φ(x) says of them.

        Args:
            scene: The region and its noise.
            factor: The gain at the scan.
            anatomies: (K, 1, h, w) HU, μ_k; outside the region they are all the scan's.
            weights: (K,) prior weights, of any sum.

        Raises:
            InputError: The anatomies are no images of the region, or a weight is not positive.
        """
        prior = np.asarray(weights, dtype=np.float64)
        shape = (len(prior), 1, *scene.region.shape)
        if tuple(anatomies.shape) != shape or prior.ndim != 1 or not (prior > 0).all():
            raise InputError(
                f"expected one image of the region and one positive weight for each anatomy, {shape}, got "
                f"{tuple(anatomies.shape)} and {prior.tolist()}."
            )
        return cls(scene.noise, anatomies, posterior_shares(scene, factor, anatomies, prior))

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        """One candidate per row, (B, 1, h, w) HU."""
        drawn = torch.from_numpy(self.components(rows, seeds)).to(self.anatomies.device)
        normal = torch.from_numpy(seeds.normal(rows, self.noise.latent, CANDIDATE)).to(self.anatomies.device)
        return self.anatomies[drawn] + self.noise.draw(normal.T).T.reshape(
            len(rows), *self.anatomies.shape[1:]
        )

    def components(self, rows: Sequence[int], seeds: RowSeeds) -> NDArray[np.int64]:
        """(B,) the anatomy of each row."""
        limits = np.cumsum(self.shares)[:-1]
        uniform = [seeds.generator(row, COMPONENT).random() for row in rows]
        return np.searchsorted(limits, uniform, side="right")


def posterior_shares(
    scene: Scene, factor: Gain, anatomies: Tensor, prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(K,) probability of each anatomy given Φ(x), by linear theory."""
    differences = (scene.region.scan - anatomies).reshape(len(anatomies), -1).T - scene.noise.mean[:, None]
    shown = _shown(factor, scene.noise, differences).double().cpu().numpy()
    logarithm = np.log(prior) - 0.5 * shown
    share = np.exp(logarithm - logarithm.max())
    return np.asarray(share / share.sum())


def _shown(factor: Gain, noise: SurroundedNoise, signals: Tensor) -> Tensor:
    """(B,) d'_ε² = η·d'_in² of (n, B) signals."""
    inner = (signals * noise.precision(signals)).sum(0)
    return factor.detectability(signals) * inner
