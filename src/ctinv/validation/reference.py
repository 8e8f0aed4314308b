"""Reference samples of the law for a nonlinear Φ with few inputs, by Hamiltonian Monte Carlo.

*Constrained.* With x = μ + L u the law is that of (u, η) ~ N(0, I) on the manifold

    c(u, η) = (Φ(μ + L u) - z0)/ε + η = 0,

which constrained HMC moves along however small ε is (Au, Graham and Thiery, Manifold lifting, JRSS B 85, 2023,
https://doi.org/10.1093/jrsssb/qkad023). Each step takes J once.

*Whitened.* Ordinary HMC for x = m + R v, with m and R Rᵀ the law's moments if Φ were linear. Each step takes one gradient,
which is far cheaper; where Φ is curved on the scale of the law its step must be small.

Both are exact in the limit of long chains and must agree. They share Φ and the noise with the sampler, and nothing of its
correction. They run on mici (M. Graham, https://github.com/matt-graham/mici).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.errors import InputError
from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import DenseNoise
from ctinv.fibre.jacobian import LocalJacobian
from ctinv.fibre.region import Region
from ctinv.representation import Representation

Array = NDArray[np.float64]
Method = Literal["constrained", "whitened"]

MOST_INPUTS = 64
# A quarter turn of a Gaussian's flow gives an independent sample; how many steps are taken is drawn, so that none
# resonates.
_STEP = {"constrained": 0.7, "whitened": 0.35}
_STEPS = {"constrained": (1, 4), "whitened": (3, 7)}


@dataclass(frozen=True, eq=False)
class Reference:
    """Samples of the law by HMC.

    Attributes:
        chains: (C, n, d) samples in HU.
        accepted: Mean probability that a step was accepted.
    """

    chains: Array
    accepted: float

    @property
    def x(self) -> Array:
        """(C·n, d) all samples."""
        return self.chains.reshape(-1, self.chains.shape[-1])

    @property
    def r_hat(self) -> float:
        """Largest split R̂ of all pixels; 1 where chains agree (Gelman and others, Bayesian Data Analysis, 2013)."""
        half = self.chains.shape[1] // 2
        parts = np.concatenate([self.chains[:, :half], self.chains[:, half : 2 * half]])
        within = parts.var(axis=1, ddof=1).mean(0)
        between = parts.mean(axis=1).var(axis=0, ddof=1)
        return float(np.sqrt((half - 1) / half + between / within).max())


class _Target(Protocol):
    """What a method needs: mici's system, where chains start, and how a position becomes an image."""

    def system(self) -> Any: ...

    def start(self) -> Array: ...

    def image(self, position: Array) -> Array: ...


def reference(
    corrector: Corrector,
    n: int,
    *,
    seed: int,
    method: Method = "constrained",
    chains: int = 4,
    warm_up: int = 20,
) -> Reference:
    """Samples of the law, drawn by HMC.

    Args:
        corrector: Region, noise and ε; its gain is used by the whitened method only, as coordinates.
        n: Samples, over all chains.
        seed: Seed of the chains.
        method: See above.
        chains: Chains that start apart.
        warm_up: Samples at the start of each chain that are thrown away.

    Raises:
        InputError: The region has more than 64 pixels, or mici is not installed.
    """
    try:
        from mici import integrators, samplers, solvers
    except ImportError as error:
        raise InputError("the reference sampler needs mici; install napari-ctinv[validate].") from error
    noise, pixels = corrector.noise, corrector.factor.pixels
    if pixels > MOST_INPUTS or not isinstance(noise, DenseNoise):
        raise InputError(f"the reference sampler takes at most {MOST_INPUTS} pixels, got {pixels}.")
    law = _Law(corrector, noise)
    target: _Target = _Lifted(law) if method == "constrained" else _Whitened(law, corrector)
    system = target.system()
    integrator = (
        integrators.ConstrainedLeapfrogIntegrator(
            system,
            step_size=_STEP[method],
            projection_solver=solvers.solve_projection_onto_manifold_quasi_newton,
        )
        if method == "constrained"
        else integrators.LeapfrogIntegrator(system, step_size=_STEP[method])
    )
    rng = np.random.default_rng(seed)
    sampler = samplers.RandomMetropolisHMC(system, integrator, rng, n_step_range=_STEPS[method])
    length = warm_up + -(-n // chains)
    found = sampler.sample_chains(
        0,
        length,
        [target.start() for _ in range(chains)],
        trace_funcs=[lambda state: {"x": target.image(state.pos)}],
        adapters=[],
        display_progress=False,
    )
    if any(len(one) < length or not np.isfinite(one).all() for one in found.traces["x"]):
        raise KeyboardInterrupt  # mici swallows it and hands out what it has
    accepted = np.mean([np.mean(one[warm_up:]) for one in found.statistics["accept_stat"]])
    return Reference(np.stack(found.traces["x"])[:, warm_up:], float(accepted))


class _Law:
    """Φ in float64, so that a constraint can be solved to 1e-9; μ, L and z0."""

    def __init__(self, corrector: Corrector, noise: DenseNoise) -> None:
        self.region = _doubled(corrector.region)
        self.tolerance = corrector.factor.tolerance
        self.root = noise.root.cpu().numpy()
        self.centre = (corrector.clean.reshape(-1) + noise.mean).double().cpu().numpy()
        self.scan: Array = self.region.scan.reshape(-1).cpu().numpy()

    def patch(self, x: Array) -> Tensor:
        """(d,) as (1, 1, h, w)."""
        return torch.from_numpy(x).to(self.region.context.device).reshape(1, 1, *self.region.shape)

    def error(self, x: Array) -> Array:
        """(m,) (Φ(x) - z0)/ε."""
        with torch.inference_mode():  # one image, not the full pass that `Region.errors` makes of it
            error = self.region.look(self.region.embed(self.patch(x))) - self.region.reference
        return np.asarray(error.reshape(-1).cpu().numpy() / self.tolerance)

    def jacobian(self, x: Array) -> Array:
        """(m, d) J(x)/ε."""
        unit = torch.eye(len(x), dtype=torch.float64, device=self.region.context.device)
        there = LocalJacobian(self.region, self.patch(x)).apply(unit)
        return np.asarray(there.cpu().numpy() / self.tolerance)

    def pulled(self, x: Array, error: Array) -> Array:
        """(d,) J(x)ᵀ e/ε."""
        column = torch.from_numpy(error)[:, None].to(self.region.context.device)
        there = LocalJacobian(self.region, self.patch(x)).adjoint(column)
        return np.asarray(there[:, 0].cpu().numpy() / self.tolerance)


@dataclass(frozen=True, eq=False)
class _Lifted:
    """(u, η) on the manifold."""

    law: _Law

    def system(self) -> Any:
        from mici.systems import GaussianDenseConstrainedEuclideanMetricSystem

        # The density is against the standard Gaussian, so it is flat. mici adds log √det of the Gram matrix; its gradient,
        # which would take second derivatives of Φ, is left out of the flow: for ReLUs it is 0, and for others the
        # Metropolis step, which takes the determinant itself, keeps the law exact.
        return GaussianDenseConstrainedEuclideanMetricSystem(
            neg_log_dens=lambda _position: 0.0,
            grad_neg_log_dens=np.zeros_like,
            constr=self._constraint,
            jacob_constr=self._jacobian,
            mhp_constr=lambda position: lambda _matrix: np.zeros_like(position),
        )

    def image(self, position: Array) -> Array:
        pixels = len(self.law.centre)
        return np.asarray(self.law.centre + self.law.root @ position[:pixels])

    def start(self) -> Array:
        """The scan, whose error is 0; chains part at once, as steps are long."""
        u = np.linalg.solve(self.law.root, self.law.scan - self.law.centre)
        return np.concatenate([u, np.zeros(self.law.region.reference[0].numel())])

    def _constraint(self, position: Array) -> Array:
        return self.law.error(self.image(position)) + position[len(self.law.centre) :]

    def _jacobian(self, position: Array) -> Array:
        seen = self.law.jacobian(self.image(position)) @ self.law.root
        return np.hstack([seen, np.eye(len(seen))])


class _Whitened:
    """v with x = m + R v, from the moments of a linear Φ."""

    def __init__(self, law: _Law, corrector: Corrector) -> None:
        self.law = law
        unit = torch.eye(len(law.centre), dtype=corrector.region.context.dtype)
        covariance = (
            corrector.factor.posterior(unit.to(corrector.region.context.device)).double().cpu().numpy()
        )
        self.root = np.linalg.cholesky((covariance + covariance.T) / 2)
        self.scale = np.linalg.inv(law.root)
        apart = self.scale.T @ (self.scale @ (law.scan - law.centre))
        self.mean = law.scan - covariance @ apart  # K J (x - μ) + μ = x - Σ C⁻¹ (x - μ)

    def system(self) -> Any:
        from mici.systems import EuclideanMetricSystem

        return EuclideanMetricSystem(neg_log_dens=self._energy, grad_neg_log_dens=self._gradient)

    def image(self, position: Array) -> Array:
        return np.asarray(self.mean + self.root @ position)

    def start(self) -> Array:
        return np.zeros(len(self.mean))

    def _energy(self, position: Array) -> float:
        x = self.image(position)
        own = self.scale @ (x - self.law.centre)
        return float(own @ own + np.square(self.law.error(x)).sum()) / 2

    def _gradient(self, position: Array) -> tuple[Array, float]:
        x = self.image(position)
        own, error = self.scale @ (x - self.law.centre), self.law.error(x)
        pull = self.scale.T @ own + self.law.pulled(x, error)
        return self.root.T @ pull, float(own @ own + error @ error) / 2


def _doubled(region: Region) -> Region:
    """The same region in float64."""
    denoiser = copy.deepcopy(region.representation.denoiser).double()
    representation = Representation(denoiser, region.representation.tap)
    doubled = replace(region, representation=representation, context=region.context.double())
    with torch.inference_mode():
        reference = doubled.look(doubled.context).clone()
        output = doubled.look(doubled.context, "output").clone()
    return replace(doubled, reference=reference, reference_output=output)
