"""Known answers of flows: a Gaussian conditional is recovered, bits are those of closed forms, sizes the published."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from network_laws import normal, seeded
from torch import Tensor

from ctinv.networks.flow import Flow, bits_per_dimension, diagonal_bits
from ctinv.networks.flows import GaussianFlow, SpatialFlow, VectorFlow

A = torch.tensor([[1.0, -0.5], [0.3, 0.8], [-0.7, 0.2], [0.0, 1.1]])
L = torch.tensor([[0.6, 0.0, 0.0, 0.0], [0.3, 0.5, 0.0, 0.0], [-0.2, 0.1, 0.7, 0.0], [0.0, -0.3, 0.2, 0.4]])


def vectors(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    phi = torch.randn(count, 2, generator=generator)
    z = phi @ A.T + torch.randn(count, 4, generator=generator) @ L.T
    return z, phi[:, :, None, None].expand(-1, -1, 8, 8)


def pixels(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    phi = torch.randn(count, 2, 4, 4, generator=generator)
    noise = torch.randn(count, 4, 4, 4, generator=generator)
    return torch.einsum("ij,bjhw->bihw", A, phi) + torch.einsum("ij,bjhw->bihw", L, noise), phi


def trained(flow: Flow, draw: Callable, steps: int, batch: int) -> Flow:
    generator = seeded(11)
    flow.initialise(*draw(1024, generator))
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-2)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        z, phi = draw(batch, generator)
        loss = -flow.log_likelihood(z, flow.embed(phi)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        decay.step()
    return flow.eval()


def law_of(flow: Flow, phi: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean, (L, …), and covariance over the channels of what a flow draws for one φ, (1, 2, h, w)."""
    with torch.no_grad():
        v = normal(count, *flow.shape_of((4, 4)), seed=12, dtype=torch.float32)
        z = flow.inverse(v, flow.embed(phi))
    mean = z.mean(0)
    return mean, torch.cov((z - mean).transpose(0, 1).flatten(1))


RECOVERED = {
    "vector": (
        lambda: VectorFlow(latent=4, channels=2, size=8, blocks=4, hidden=32, depth=1, features=8),
        vectors,
        {"steps": 150, "batch": 256},
    ),
    "spatial": (
        lambda: SpatialFlow(latent=4, channels=2, ratio=1.0, blocks=3, hidden=12, features=8, depth=0),
        pixels,
        {"steps": 200, "batch": 32},
    ),
}


@pytest.mark.parametrize("name", RECOVERED)
def test_training_recovers_a_known_gaussian_conditional(name: str):
    make, draw, length = RECOVERED[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        flow = make()
    trained(flow, draw, **length)
    _, phi = draw(3, seeded(21))
    for one in phi:
        mean, covariance = law_of(flow, one[None], 4000 if name == "vector" else 400)
        expected = torch.einsum("ij,jhw->ihw", A, one)
        expected = expected[:, 0, 0] if name == "vector" else expected
        assert float((mean - expected).square().mean().sqrt()) < 0.15
        assert float((covariance - L @ L.T).abs().max()) < 0.1
        with pytest.raises(AssertionError):  # at the wrong φ
            assert float((mean + expected).square().mean().sqrt()) < 0.15


def test_the_closed_form_flow_is_the_regression_of_its_data():
    flow = GaussianFlow(latent=4, channels=2, ratio=1.0)
    z, phi = pixels(3000, seeded(1))
    flow.initialise(z, phi)
    phi_rows, z_rows = (part.movedim(1, -1).flatten(0, 2).double() for part in (phi, z))
    design = torch.cat([phi_rows, torch.ones(len(phi_rows), 1, dtype=torch.float64)], dim=1)
    solution = torch.linalg.lstsq(design, z_rows).solution
    probe = torch.tensor([0.8, -0.5])
    with torch.no_grad():
        embedded = flow.embed(probe[None, :, None, None].expand(1, 2, 4, 4))[0][0, :, 0, 0]
    expected = torch.cat([probe, torch.ones(1)]).double() @ solution
    torch.testing.assert_close(embedded.double(), expected, rtol=0, atol=3e-3)  # a ridge of a thousandth
    torch.testing.assert_close(embedded, A @ probe, rtol=0, atol=1e-2)
    torch.testing.assert_close(flow.root @ flow.root.T, L @ L.T, rtol=0, atol=1e-2)


def test_bits_are_those_of_gaussians_in_closed_form():
    z = torch.tensor([2.0, 0.5])[None, :, None, None] * normal(4000, 2, 2, 2) + 3.0
    std = z.std(dim=(0, 2, 3), unbiased=False)
    closed = (0.5 * math.log2(2 * math.pi * math.e) + std.log2()).mean()
    torch.testing.assert_close(diagonal_bits(z), closed)
    mean = z.mean(dim=(0, 2, 3), keepdim=True)
    density = torch.distributions.Normal(mean, std[None, :, None, None])
    log_likelihood = density.log_prob(z).flatten(1).sum(1)
    torch.testing.assert_close(bits_per_dimension(log_likelihood, 8).mean(), closed)


def test_the_vector_flow_has_the_published_size():
    with torch.device("meta"):
        flow = VectorFlow(latent=256, channels=1, separate=True)
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in flow.named_children()}
    assert count == {"chain": 125_988_864, "embedding": 11_143_360}
    assert abs(count["embedding"] / 11_144_320 - 1) < 1e-3
    assert all(f"{number:,}" in (VectorFlow.__doc__ or "") for number in count.values())
