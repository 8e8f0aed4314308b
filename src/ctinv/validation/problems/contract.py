"""What a problem with a known answer is (method §6).

A problem knows the exact law π_ε(x̃ | z0) of its fibre on its own feet, without the product's code, and draws from the
product's own path beside it: a generator's candidates, then `ctinv.fibre.correct.Corrector`. Its controls are wrong
samplers that a good check must catch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Samples from the product's path.

    Attributes:
        x: (n, d) samples in HU, flattened by row.
        log_weights: (n,) logarithms of importance weights, up to a constant, or None where all count alike. A sample
            with -inf counts nothing.
    """

    x: Array
    log_weights: Array | None = None

    def kept(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """(n,) which samples are left if each is kept with probability w over the largest w: they all count alike."""
        if self.log_weights is None:
            return np.ones(len(self.x), dtype=bool)
        return np.asarray(np.log(rng.random(len(self.x))) < self.log_weights - self.log_weights.max())

    def thinned(self, *, seed: int) -> Array:
        """(n', d) independent samples that all count alike."""
        return self.x[self.kept(np.random.default_rng(seed))]


class Problem(Protocol):
    """A law that is known exactly, and the sampler that must meet it."""

    @property
    def name(self) -> str:
        """Its key in `ctinv.validation.problems.find.PROBLEMS`."""
        ...

    @property
    def dimension(self) -> int:
        """Pixels of the region, d."""
        ...

    @property
    def controls(self) -> tuple[str, ...]:
        """Names of wrong samplers, each of which must be caught."""
        ...

    @property
    def quantities(self) -> tuple[str, ...]:
        """What `simulate` looks at; empty where there is no calibration by simulation."""
        ...

    @property
    def moments(self) -> tuple[Array, Array]:
        """Mean (d,) and covariance (d, d) of the exact law."""
        ...

    @property
    def mode_weights(self) -> Array | None:
        """(K,) exact probabilities of the modes, or None where there is one mode."""
        ...

    def modes(self, x: Array) -> NDArray[np.int64]:
        """(n,) the mode that each of (n, d) points belongs to."""
        ...

    def exact(self, n: int, *, seed: int) -> Array:
        """(n, d) independent samples of the exact law."""
        ...

    def log_density(self, x: Array) -> Array:
        """(n,) log-density of the exact law at (n, d) points, normalised."""
        ...

    def draw(self, n: int, *, seed: int, control: str | None = None) -> Drawn:
        """n samples from the product's path, or from one of the wrong samplers.

        Raises:
            InputError: There is no such control.
        """
        ...

    def simulate(self, index: int, n: int, *, seed: int) -> tuple[Array, Array, Array | None]:
        """One simulation of calibration: truth from the prior, its z0 = Φ(truth) + ε·η, and samples given that z0.

        Args:
            index: Number of the simulation; with the seed it decides all that is drawn.
            n: Samples.
            seed: The seed of the whole run.

        Returns:
            The (q,) quantities of the truth, the (n, q) of the samples, and their (n,) log-weights or None.

        Raises:
            InputError: The problem has no calibration by simulation.
        """
        ...
