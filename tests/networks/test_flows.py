"""Laws of flows: inverse, log-determinant, likelihood, gradients, files, rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from network_laws import (
    check_gradients,
    check_inverse,
    check_log_det,
    check_rows,
    check_saved,
    normal,
    stirred,
)
from torch import Tensor

from ctinv.networks.flow import Flow
from ctinv.networks.flows import FLOWS
from ctinv.networks.invertible import ActNorm


@dataclass(frozen=True)
class Case:
    name: str
    latent: tuple[int, ...]
    phi: tuple[int, ...]
    arguments: dict[str, Any]

    def make(self, **more: object) -> Flow:
        return FLOWS[self.name](**self.arguments, **more)


def spatial(latent: int, channels: int, **more: object) -> dict[str, Any]:
    small = {"blocks": 2, "hidden": 6, "features": 5, "depth": 1}
    return {"latent": latent, "channels": channels} | small | more


def vector(**more: object) -> dict[str, Any]:
    small = {"blocks": 2, "hidden": 12, "features": 5, "width": 4}
    return {"latent": 6, "channels": 2, "size": 16} | small | more


FLOW_CASES = {
    "spatial": Case("SpatialFlow", (4, 3, 5), (3, 6, 10), spatial(4, 3, ratio=2.0)),
    "spatial, nominal grid": Case("SpatialFlow", (2, 16, 16), (1, 32, 32), spatial(2, 1, ratio=2.0)),
    "spatial, coarse tap": Case("SpatialFlow", (3, 4, 6), (2, 2, 3), spatial(3, 2, ratio=0.5)),
    "vector": Case("VectorFlow", (6,), (2, 16, 16), vector()),
    "vector, separate": Case("VectorFlow", (6,), (2, 16, 16), vector(separate=True, depth=3)),
    "image": Case(
        "ImageFlow", (1, 8, 12), (3, 8, 12),
        {"channels": 3, "blocks": (1, 2), "hidden": (4, 6), "features": (3, 4)},
    ),
    "image, nominal grid": Case(
        "ImageFlow", (1, 32, 32), (1, 32, 32), {"channels": 1, "blocks": (1,), "hidden": (4,), "features": (3,)},
    ),
    "gaussian": Case("GaussianFlow", (3, 4, 5), (2, 8, 10), {"latent": 3, "channels": 2, "ratio": 2.0}),
}  # fmt: skip


def test_every_flow_is_under_the_laws():
    assert {case.name for case in FLOW_CASES.values()} == set(FLOWS)


@pytest.fixture(params=FLOW_CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return FLOW_CASES[request.param]


def started(case: Case) -> tuple[Flow, tuple[Tensor, ...]]:
    """A flow that has seen data, its weights moved; and the embedding of one image."""
    flow = stirred(case.make())
    flow.initialise(normal(16, *case.latent, seed=3) * 2 + 1, 5 * normal(16, *case.phi, seed=4))
    with torch.no_grad():
        return flow, flow.embed(5 * normal(1, *case.phi, seed=6))


def test_a_flow_is_inverted_and_knows_its_log_determinant(case: Case):
    flow, embedded = started(case)
    z = normal(2, *case.latent)
    check_inverse(lambda z: flow(z, embedded), lambda v: flow.inverse(v, embedded), z)
    check_log_det(lambda z: flow(z, embedded), z[: 1 if z[0].numel() > 300 else 2])


def test_the_likelihood_is_that_of_the_change_of_variables(case: Case):
    flow, embedded = started(case)
    z = normal(2, *case.latent)
    v, log_det = flow(z, embedded)
    expected = log_det + torch.distributions.Normal(0.0, 1.0).log_prob(v).flatten(1).sum(1)
    torch.testing.assert_close(flow.log_likelihood(z, embedded), expected)
    assert v[0].numel() == z[0].numel()


def test_the_likelihood_trains_every_weight(case: Case):
    flow = case.make().double()
    phi = normal(4, *case.phi, seed=4)
    loss = -flow.log_likelihood(normal(4, *case.latent), flow.embed(phi)).mean()
    if case.name != "GaussianFlow":  # it is solved, not trained
        check_gradients(flow, loss)
    assert bool(list(flow.parameters())) == (case.name != "GaussianFlow")


def test_weights_travel_through_a_file(case: Case):
    seeds = iter((0, 7))  # of the permutations, which must travel as well
    phi, v = normal(1, *case.phi), normal(3, *case.latent, seed=1)

    def use(flow: Flow) -> Tensor:
        return flow(v, flow.embed(phi))[0]

    if case.name == "GaussianFlow":
        check_saved(case.make, use)
    else:
        check_saved(lambda: case.make(seed=next(seeds)), use)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-6)])
def test_a_draw_does_not_depend_on_the_others(case: Case, dtype: torch.dtype, tolerance: float):
    flow, _ = started(case)
    flow = flow.to(dtype)
    embedded = flow.embed(5 * normal(1, *case.phi, seed=6, dtype=dtype))
    grid = embedded[-1].shape[-2:] if len(case.latent) == 3 else (1, 1)
    v = normal(5, *flow.shape_of(tuple(grid)), dtype=dtype)
    check_rows(lambda v: flow.inverse(v, embedded).detach(), v, tolerance)


def test_a_cached_embedding_draws_what_embedding_again_for_each_draw_does(case: Case):
    flow, embedded = started(case)
    phi = 5 * normal(1, *case.phi, seed=6)
    v = flow(normal(4, *case.latent), embedded)[0].detach()
    each = torch.cat([flow.inverse(row[None], flow.embed(phi)) for row in v])
    torch.testing.assert_close(flow.inverse(v, embedded), each.detach(), rtol=0, atol=1e-10)
    repeated = flow.embed(phi.expand(len(v), *case.phi))
    torch.testing.assert_close(flow.inverse(v, repeated).detach(), each.detach(), rtol=0, atol=1e-10)


def test_the_start_fits_every_activation_norm_where_it_stands(case: Case):
    flow = case.make().double()
    z, phi = 4 * normal(32, *case.latent) - 2, normal(32, *case.phi, seed=4) + 3
    flow.initialise(z, phi)
    seen: list[Tensor] = []
    norms = [module for module in flow.modules() if isinstance(module, ActNorm)]
    for norm in norms:
        norm.register_forward_hook(lambda module, given, made: seen.append(made[0][0].detach()))
    flow(z, flow.embed(phi))
    assert len(seen) == len(norms)
    for y in seen:
        std, mean = torch.std_mean(y, dim=[0, *range(2, y.ndim)])
        assert float(mean.abs().max()) < 1e-9
        assert float((std - 1).abs().max()) < 1e-9
