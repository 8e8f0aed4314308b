"""What each layer sees, asked for all at once, is what the engine finds for one representation at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ctinv.denoiser import Denoiser
from ctinv.fibre.region import receptive_radius
from ctinv.models.adapter import Adapter
from ctinv.models.reach import receptive_radii
from ctinv.networks import NETWORKS, taps_of
from ctinv.representation import Representation
from ctinv.training.start import build

SMALL = {
    "CNN10": {"channels": (6, 4)},
    "WGANVGG": {"filters": 4},
    "REDCNN": {"channels": 4},
    "NoiseSubtractionResNet": {"channels": 8, "blocks": 2},
}


def trained(target: str) -> nn.Module:
    """A network without a zero in it: one that has not been trained yet may see less than its layers reach."""
    network = build(target, seed=1, arguments=SMALL[target])
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return network.eval()


@pytest.mark.parametrize("target", ["CNN10", "WGANVGG", "NoiseSubtractionResNet"])
def test_all_layers_at_once_give_what_the_engine_finds_for_each(target: str):
    network = trained(target)
    taps = taps_of(NETWORKS[target], network)
    denoiser = Denoiser(network, name="d", mean=-350.0, std=500.0, taps=taps)
    found = receptive_radii(denoiser.network, taps)
    assert list(found) == [*taps, "output"]
    for tap in ("output", list(taps)[-1]):
        assert found[tap] == receptive_radius(Representation(denoiser, tap)), tap


def test_the_published_radii():
    """CNN-10 15, WGAN-VGG 17, RED-CNN 41 pixels across; and layer by layer on the way there."""
    radii = {name: receptive_radii(trained(name), {})["output"] for name in SMALL}
    assert {name: 2 * (radius or 0) + 1 for name, radius in radii.items()} == {
        "CNN10": 15,
        "WGANVGG": 17,
        "REDCNN": 41,
        "NoiseSubtractionResNet": 2 * (4 + 2 * 2 + 1) + 1,
    }


def test_layers_behind_unpadded_convolutions():
    """Their grid is smaller than the image, by up to 20 pixels on each side: 2 pixels more are seen with every layer."""
    layers = [f"{kind}{i}" for kind in ("conv", "tconv") for i in range(1, 6)]
    found = receptive_radii(trained("REDCNN"), {name: name for name in layers})
    assert [found[name] for name in layers] == [2 * layer for layer in range(1, 11)]


def test_coarse_grids_and_whole_images_have_no_radius():
    class Global(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool, self.mean = nn.AvgPool2d(2, ceil_mode=True), nn.AdaptiveAvgPool2d(1)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image + 0 * self.pool(image).mean() + self.mean(image)

    assert receptive_radii(Global(), {"pool": "pool"}) == {"pool": None, "output": None}


def test_padding_to_a_multiple_does_not_hide_the_grid():
    inner = build("CNN10", seed=1, arguments=SMALL["CNN10"])
    padded = Adapter(inner, multiple=8)
    assert receptive_radii(padded, {"conv1": "network.relu1"}) == {"conv1": 4, "output": 7}
