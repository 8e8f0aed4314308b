"""Feature matching from noise: a row is its own, Φ is matched at any tap, and what Φ does not see stays noise."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import nn

from ctinv.denoiser import Denoiser
from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.measure import rms
from ctinv.fibre.region import Region
from ctinv.fibre.rows import RowSeeds
from ctinv.generators.contract import Scene
from ctinv.generators.find import GENERATORS
from ctinv.generators.metamer import Metamer
from ctinv.networks import CNN10, NETWORKS
from ctinv.representation import Representation
from ctinv.volume import Box

SEEDS = RowSeeds(3, "series", "place")


def scene(network: nn.Module, tap: str = "output", taps: dict[str, str] | None = None) -> Scene:
    denoiser = Denoiser(network, name="small", mean=0.0, std=100.0, taps=taps or {})
    torch_scan = 100.0 * torch.randn(40, 40, generator=torch.Generator().manual_seed(1))
    region = Region.in_slice(Representation(denoiser, tap), torch_scan, Box(0, 14, 26, 14, 26))
    with torch.inference_mode():
        clean = denoiser(torch_scan[None, None])[0, 0]
    unused = cast(SurroundedNoise, None)  # a metamer knows no noise
    return Scene(region, unused, torch_scan[None], clean, sigma_out=20.0)


def small(tap: str) -> Scene:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return scene(CNN10((6, 4)), tap, NETWORKS["CNN10"].taps)


@pytest.mark.parametrize("tap", ["output", "conv1", "conv2"])
def test_the_representation_is_matched_from_noise(tap: str) -> None:
    given = small(tap)
    metamer = Metamer(given)
    start = rms(given.region, given.region.errors(metamer.start(range(3), SEEDS))[1])
    end = rms(given.region, given.region.errors(metamer.candidates(range(3), SEEDS))[1])
    assert (end < 0.1 * start).all()
    # A control: without steps nothing is matched.
    assert torch.equal(Metamer(given, steps=0).candidates(range(3), SEEDS), metamer.start(range(3), SEEDS))


def test_a_row_does_not_depend_on_its_company() -> None:
    metamer = Metamer(small("output"), steps=12)
    together = metamer.candidates(range(4), SEEDS)
    alone = metamer.candidates([2], SEEDS)
    assert torch.equal(together[2], alone[0])
    assert torch.equal(metamer.candidates([3, 2], SEEDS)[1], alone[0])
    assert float((together[1] - together[2]).abs().max()) > 1.0
    other = metamer.candidates([2], RowSeeds(4, "series", "place"))
    assert float((other - alone).abs().max()) > 1.0


def test_it_starts_as_white_noise_with_the_moments_of_the_output() -> None:
    given = small("output")
    start = Metamer(given).start(range(64), SEEDS)
    assert float(start.mean()) == pytest.approx(float(given.patch.mean()), abs=0.1 * float(given.patch.std()))
    assert float(start.std()) == pytest.approx(float(given.patch.std()), rel=0.05)
    neighbours = (start[..., 1:] - start.mean()) * (start[..., :-1] - start.mean())
    assert abs(float(neighbours.mean() / start.var())) < 0.05


def test_what_the_network_does_not_see_stays_noise() -> None:
    """A ReLU of the image: where it is off there is no gradient, so nothing moves."""
    blind = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    with torch.no_grad():
        blind.weight.zero_()
        blind.weight[0, 0, 1, 1] = 1.0
    given = scene(nn.Sequential(blind, nn.ReLU()))
    metamer = Metamer(given, steps=150)
    start, end = metamer.start(range(2), SEEDS), metamer.candidates(range(2), SEEDS)
    target = given.region.scan.expand_as(start)
    # Where start and scan are both below 0 HU the ReLU hides the difference; what it shows is matched.
    hidden, seen = (start < 0) & (target < 0), (end > 0) & (target > 0)
    assert min(int(hidden.sum()), int(seen.sum())) > 20
    assert torch.equal(start[hidden], end[hidden])
    assert float((end - target)[seen].abs().max()) < 5.0 < float((start - target)[seen].abs().mean())


def test_it_is_a_generator_like_the_others() -> None:
    assert GENERATORS["metamer"] is Metamer
