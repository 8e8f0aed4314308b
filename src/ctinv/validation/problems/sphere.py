"""G3: Φ(x) = ‖x‖ on two or three pixels; its fibre is a circle or a sphere, and the law on it von Mises-Fisher.

With x ~ N(μ, σ²I) and z0 = r the law is

    π(x) ∝ exp(-‖x - μ‖²/2σ² - (‖x‖ - r)²/2ε²):

given its length ρ, x has the direction of a von Mises-Fisher law with κ = ρ‖μ‖/σ², and ρ has the density
ρ^(d-1) exp(-ρ²/2σ² - (ρ - r)²/2ε²) S_d(κ), with S_d = 2π I₀(κ) or 4π sinh(κ)/κ. The integral over ρ is taken by
quadrature. For ε → 0 it is the von Mises-Fisher law with κ = r‖μ‖/σ² itself. J turns along the fibre, so samples that are
solved with one J do not have this law; with importance weights (`ctinv.fibre.weights`) they do, and without them they must
be caught.

To be a network on the grid of an image, f gives the length in one pixel, which a marker in the neighbouring slice names,
and 0 elsewhere. There is no calibration by simulation here: where z0 is small the fibre is more curved than one J can
follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor, nn

from ctinv.denoiser import Denoiser
from ctinv.errors import InputError
from ctinv.fibre.covariance import DenseNoise
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.settle import settle
from ctinv.fibre.weights import log_weights
from ctinv.validation.problems.contract import Array, Drawn
from ctinv.validation.problems.gaussian import NARROW, RAW, check_control
from ctinv.validation.problems.setup import Setup, flat, region_of
from ctinv.volume import Box

NO_WEIGHTS = "no weights"
LENGTH_HU, SIGMA_HU, ANGLE = 60.0, 10.0, 0.45
_MARK = Box(0, 4, 5, 5, 6)  # the pixel that holds the length
_QUADRATURE = 401


class Length(nn.Module):
    """‖x‖ over two or three neighbouring pixels, where the first slice marks it: (B, 3, H, W) to (B, 1, H, W)."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.sum = nn.Conv2d(1, 1, (1, 3), padding=(0, 1), bias=False)
        self.sum.weight.data = torch.tensor([1.0, 1.0, float(dimension == 3)]).reshape(1, 1, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        """The floor below the root keeps its derivative finite where all pixels are 0; it is 1e-5 of a length of 1."""
        length: Tensor = (self.sum(x[:, 1:2].square()) + 1e-10).sqrt()
        return length * x[:, :1]


@dataclass(frozen=True, eq=False)
class SphereProblem:
    """The problem, set up as the product sets it up, beside its exact law.

    Attributes:
        name: Its name.
        setup: The product's path.
        centre: (d,) μ in HU.
        sigma: σ in HU.
        length: r in HU.
        controls: Wrong samplers.
    """

    name: str
    setup: Setup
    centre: Array
    sigma: float
    length: float
    controls: tuple[str, ...] = (NO_WEIGHTS, NARROW, RAW)
    quantities: tuple[str, ...] = ()

    @property
    def dimension(self) -> int:
        """Pixels of the region, d."""
        return len(self.centre)

    @property
    def tolerance(self) -> float:
        """ε in HU."""
        return self.setup.factor.tolerance

    @property
    def concentration(self) -> float:
        """κ = r‖μ‖/σ², that of the limit ε → 0."""
        return self.length * float(np.linalg.norm(self.centre)) / self.sigma**2

    @property
    def mode_weights(self) -> Array | None:
        """None: there is one mode."""
        return None

    def modes(self, x: Array) -> NDArray[np.int64]:
        """(n,) zeros: there is one mode."""
        return np.zeros(len(x), dtype=np.int64)

    @cached_property
    def moments(self) -> tuple[Array, Array]:
        """Mean (d,) and covariance (d, d) of the exact law."""
        rho, _, share = self._lengths
        kappa = rho * np.linalg.norm(self.centre) / self.sigma**2
        cosine, square = _cosines(kappa, self.dimension)
        along = float(share @ (rho * cosine))
        along_square = float(share @ (rho**2 * square))
        across_square = float(share @ (rho**2 * (1.0 - square))) / (self.dimension - 1)
        axis = self.centre / np.linalg.norm(self.centre)
        across = np.eye(self.dimension) - np.outer(axis, axis)
        return along * axis, (along_square - along**2) * np.outer(axis, axis) + across_square * across

    @cached_property
    def _lengths(self) -> tuple[Array, float, Array]:
        """Lengths ρ, the log of the law's normaliser, and the probability of each length."""
        reach = 12.0 * self.tolerance
        rho = np.linspace(max(self.length - reach, 1e-6), self.length + reach, _QUADRATURE)
        logarithm = self._log_radial(rho)
        step = rho[1] - rho[0]
        total = float(special.logsumexp(logarithm) + np.log(step))
        share = np.exp(logarithm - logarithm.max())
        return rho, total, share / share.sum()

    def _log_radial(self, rho: Array) -> Array:
        """log of the integral of exp(-‖x - μ‖²/2σ² - (‖x‖ - r)²/2ε²) over the sphere of radius ρ."""
        far = float(np.linalg.norm(self.centre))
        kappa = rho * far / self.sigma**2
        # exp(κ) is taken out: I₀ and sinh overflow.
        scaled = np.log(special.i0e(kappa)) if self.dimension == 2 else np.log(-np.expm1(-2 * kappa) / kappa)
        return np.asarray(
            (self.dimension - 1) * np.log(rho)
            - (rho - far) ** 2 / (2 * self.sigma**2)
            - (rho - self.length) ** 2 / (2 * self.tolerance**2)
            + scaled
            + np.log(2 * np.pi)
        )

    def exact(self, n: int, *, seed: int) -> Array:
        """(n, d) independent samples of the exact law."""
        rng = np.random.default_rng(seed)
        rho, _, share = self._lengths
        limits = np.append(0.0, np.cumsum(share))
        middles = np.append(rho, 2 * rho[-1] - rho[-2]) - (rho[1] - rho[0]) / 2
        drawn = np.interp(rng.random(n), limits, middles)
        kappa = drawn * np.linalg.norm(self.centre) / self.sigma**2
        return np.asarray(drawn[:, None] * self._turned(_directions(kappa, self.dimension, rng)))

    def _turned(self, directions: Array) -> Array:
        """(n, d) directions around the first axis, turned to be around μ."""
        axis = self.centre / np.linalg.norm(self.centre)
        frame, _ = np.linalg.qr(np.column_stack([axis, np.eye(self.dimension)[:, 1:]]))
        return np.asarray(directions @ (frame * np.sign(frame[:, 0] @ axis)).T)

    def log_density(self, x: Array) -> Array:
        """(n,) log-density of the exact law."""
        apart = np.square(x - self.centre).sum(1) / self.sigma**2
        error = np.square(np.linalg.norm(x, axis=1) - self.length) / self.tolerance**2
        return np.asarray(-0.5 * (apart + error) - self._lengths[1])

    def angles(self, x: Array) -> Array:
        """(n,) angle between points and μ, with a sign on the circle."""
        axis = self.centre / np.linalg.norm(self.centre)
        if self.dimension == 2:
            return np.arctan2(axis[0] * x[:, 1] - axis[1] * x[:, 0], x @ axis)
        return np.asarray(np.arccos(np.clip(x @ axis / np.linalg.norm(x, axis=1), -1, 1)))

    def draw(self, n: int, *, seed: int, control: str | None = None) -> Drawn:
        """n settled samples with their weights, or those of a wrong sampler.

        Raises:
            InputError: There is no such control.
        """
        check_control(self.name, self.controls, control)
        seeds, rows = RowSeeds(seed, "law", self.name), range(n)
        if control == RAW:
            return Drawn(self.setup.raw(n, seeds))
        candidates = self.setup.generator.candidates(rows, seeds)
        settled = settle(self.setup.corrector, candidates, rows, seeds)
        weights = log_weights(self.setup.corrector, settled.x_tilde)
        weights = np.where(settled.arrived.numpy(), weights, -np.inf)  # no sample of the law, so no weight
        drawn = Drawn(flat(settled.x_tilde), weights)
        if control == NO_WEIGHTS:
            return Drawn(drawn.x[np.isfinite(weights)])
        if control == NARROW:
            return Drawn(self.moments[0] + 0.8 * (drawn.x - self.moments[0]), weights)
        return drawn

    def simulate(self, index: int, n: int, *, seed: int) -> tuple[Array, Array, Array | None]:
        """There is none here.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{self.name} has no calibration by simulation; take G1, G1b, G2 or G4.")


def _cosines(kappa: Array, dimension: int) -> tuple[Array, Array]:
    """Mean of the cosine to the axis and of its square, for von Mises-Fisher laws."""
    if dimension == 2:
        first = special.ive(1, kappa) / special.i0e(kappa)
        return first, 0.5 * (1.0 + special.ive(2, kappa) / special.i0e(kappa))
    first = 1.0 / np.tanh(kappa) - 1.0 / kappa
    return first, 1.0 - 2.0 * first / kappa


def _directions(kappa: Array, dimension: int, rng: np.random.Generator) -> Array:
    """(n, d) unit vectors of von Mises-Fisher laws around the first axis."""
    if dimension == 2:
        angle = rng.vonmises(0.0, kappa)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    uniform, turn = rng.random(len(kappa)), rng.uniform(0.0, 2.0 * np.pi, len(kappa))
    cosine = (
        1.0 + np.log(uniform + (1.0 - uniform) * np.exp(-2.0 * kappa)) / kappa
    )  # its distribution, inverted
    sine = np.sqrt(np.clip(1.0 - cosine**2, 0.0, None))
    return np.stack([cosine, sine * np.cos(turn), sine * np.sin(turn)], axis=1)


def sphere_problem(dimension: int, *, tolerance: float = 0.3) -> SphereProblem:
    """G3 on the circle (2) or the sphere (3).

    Args:
        dimension: 2 or 3.
        tolerance: ε in HU.
    """
    centre = np.eye(dimension)[0] * LENGTH_HU * 0.8
    box = Box(0, _MARK.y0, _MARK.y1, _MARK.x0 - 1, _MARK.x0 - 1 + dimension)
    scan = torch.zeros(3, 9, 12)
    scan[0][_MARK.slices] = 1.0
    there = np.cos(ANGLE) * np.eye(dimension)[0] + np.sin(ANGLE) * np.eye(dimension)[1]
    scan[1][box.slices] = torch.from_numpy(LENGTH_HU * there).float()
    clean = torch.zeros(9, 12)
    clean[box.slices] = torch.from_numpy(centre).float()
    denoiser = Denoiser(Length(dimension), name="length", slices=3)
    region = region_of(denoiser, scan, box)
    root = torch.eye(dimension, dtype=torch.float64) * SIGMA_HU
    setup = Setup.make(region, scan, clean, DenseNoise(root, torch.zeros(dimension)), tolerance)
    name = {2: "G3-circle", 3: "G3-sphere"}[dimension]
    return SphereProblem(name, setup, centre, SIGMA_HU, LENGTH_HU)
