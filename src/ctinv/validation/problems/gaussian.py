"""A Φ that is linear where the law lives, and a Gaussian x: the exact law in closed form (method §6).

    N(μ + K A (x - μ), C - K A C),   K = C Aᵀ (A C Aᵀ + ε²I)⁻¹,

with μ and C the mean and the covariance of the scan given its surroundings. A comes from applying f to images with one
pixel raised, C from the Schur complement: nothing of it is the product's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.fibre.covariance import Covariance, DenseNoise
from ctinv.fibre.rows import RowSeeds
from ctinv.validation.problems.contract import Array, Drawn
from ctinv.validation.problems.quantities import QUANTITIES, of_data, of_images
from ctinv.validation.problems.setup import ALL, UPPER, Setup, flat, raised

NARROW, IDENTITY, NO_ETA = "spread 0.8", "identity metric", "no η"
RAW, NPS, NPS_BAND = "raw candidates", "NPS +20 %", "NPS +20 % in a band"
CONTROLS = (NARROW, IDENTITY, NO_ETA, RAW, NPS, NPS_BAND)


@dataclass(frozen=True, eq=False)
class GaussianProblem:
    """The problem, set up as the product sets it up, beside its exact law.

    Attributes:
        name: Its name.
        setup: The product's path.
        covariance: C on an area around the region.
        residual: (H, W) x - ŷ in HU.
        matrix: (m, d) A.
        prior_mean: (d,) μ in HU.
        prior: (d, d) C given the surroundings in HU².
        controls: Wrong samplers.
    """

    name: str
    setup: Setup
    covariance: Covariance
    residual: Array
    matrix: Array
    prior_mean: Array
    prior: Array
    controls: tuple[str, ...] = CONTROLS
    quantities: tuple[str, ...] = QUANTITIES

    @property
    def dimension(self) -> int:
        """Pixels of the region, d."""
        return len(self.prior)

    @property
    def mode_weights(self) -> Array | None:
        """None: there is one mode."""
        return None

    @property
    def tolerance(self) -> float:
        """ε in HU."""
        return self.setup.factor.tolerance

    @cached_property
    def moments(self) -> tuple[Array, Array]:
        """Mean (d,) and covariance (d, d) of the exact law."""
        return self.posterior_mean(self.prior_mean), self.posterior

    def posterior_mean(self, prior_mean: Array) -> Array:
        """(d,) the mean of the law for a prior with this (d,) mean."""
        scan = flat(self.setup.region.scan)[0]
        return np.asarray(prior_mean + self._gain @ (self.matrix @ (scan - prior_mean)))

    @cached_property
    def posterior(self) -> Array:
        """(d, d) C - K A C."""
        covariance = self.prior - self._gain @ self.matrix @ self.prior
        return np.asarray((covariance + covariance.T) / 2)

    @cached_property
    def data_covariance(self) -> Array:
        """(m, m) A C Aᵀ + ε²I."""
        a = self.matrix
        return np.asarray(a @ self.prior @ a.T + self.tolerance**2 * np.eye(len(a)))

    @cached_property
    def _gain(self) -> Array:
        return np.asarray(np.linalg.solve(self.data_covariance, self.matrix @ self.prior).T)

    @cached_property
    def _root(self) -> Array:
        return np.asarray(np.linalg.cholesky(self.posterior))

    @cached_property
    def _prior_root(self) -> Array:
        return np.asarray(np.linalg.cholesky(self.prior))

    def modes(self, x: Array) -> NDArray[np.int64]:
        """(n,) zeros: there is one mode."""
        return np.zeros(len(x), dtype=np.int64)

    def exact(self, n: int, *, seed: int) -> Array:
        """(n, d) independent samples of the exact law."""
        normal = np.random.default_rng(seed).standard_normal((n, self.dimension))
        return self.moments[0] + normal @ self._root.T

    def log_density(self, x: Array) -> Array:
        """(n,) log-density of the exact law."""
        whitened = np.linalg.solve(self._root, (x - self.moments[0]).T)
        volume = 2.0 * np.log(np.diag(self._root)).sum() + self.dimension * np.log(2.0 * np.pi)
        return np.asarray(-0.5 * (np.square(whitened).sum(0) + volume))

    def draw(self, n: int, *, seed: int, control: str | None = None) -> Drawn:
        """n samples from the product's path, or from one of the wrong samplers.

        Raises:
            InputError: There is no such control.
        """
        check_control(self.name, self.controls, control)
        seeds = RowSeeds(seed, "law", self.name)
        if control == RAW:
            return Drawn(self.setup.raw(n, seeds))
        x = self._wrong(control).corrected(n, seeds)
        return Drawn(self.moments[0] + 0.8 * (x - self.moments[0]) if control == NARROW else x)

    def _wrong(self, control: str | None) -> Setup:
        """The product's path with what a control does to it."""
        if control == IDENTITY:
            return self.setup.in_identity_metric()
        if control == NO_ETA:
            return self.setup.without_target_noise()
        if control in (NPS, NPS_BAND):
            believed = raised(self.covariance, ALL if control == NPS else UPPER)
            noise = DenseNoise.given(believed, self.setup.region.box, self.residual)
            return self.setup.believing(noise, generator=True)
        return self.setup

    def simulate(self, index: int, n: int, *, seed: int) -> tuple[Array, Array, None]:
        """One simulation of calibration.

        The product takes z0 = Φ(scan), calibration needs z0 = Φ(x*) + ε·η*. The law depends on Aᵀz0 only, so a scan
        x* + ε A⁺η* has exactly the law of that z0, with A⁺ the pseudo-inverse: Aᵀ A A⁺ = Aᵀ.
        """
        truth, target, scan = self._simulated(index, seed)
        x = self._at(scan).corrected(n, RowSeeds(seed, "simulation", str(index)))
        found = self._look(np.vstack([truth, x]), target)
        return found[0], found[1:], None

    def _simulated(self, index: int, seed: int) -> tuple[Array, Array, Array]:
        """Truth (d,), z0 (m,) without Φ's offset, and the scan (d,)."""
        rng = np.random.default_rng([seed, index])
        truth = self._truth(rng)
        error = self.tolerance * rng.standard_normal(len(self.matrix))
        return truth, self.matrix @ truth + error, truth + self._inverse @ error

    def _at(self, scan: Array) -> Setup:
        """The product's path for another scan."""
        return self.setup.at(scan)

    def _truth(self, rng: np.random.Generator) -> Array:
        return self.prior_mean + self._prior_root @ rng.standard_normal(self.dimension)

    @cached_property
    def _inverse(self) -> Array:
        return np.asarray(np.linalg.pinv(self.matrix, rcond=1e-9))  # an exact null space has no inverse

    def _look(self, x: Array, target: Array) -> Array:
        """(n, q) the quantities of (n, d) images."""
        inside = of_images(x, self.setup.region.shape)
        return np.hstack([inside, of_data(x, self.prior_mean, self._prior_root, self.matrix, target)])


def check_control(name: str, controls: tuple[str, ...], control: str | None) -> None:
    """Raise InputError, listing the controls, unless this is one or None."""
    if control is not None and control not in controls:
        raise InputError(f"{name} has no control {control!r}; choose one of {', '.join(controls)}.")
