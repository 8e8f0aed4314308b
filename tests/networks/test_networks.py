"""Laws of all networks: published sizes, the image's own grid, taps that exist, no dependence on the batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ctinv import Denoiser
from ctinv.errors import InputError
from ctinv.fibre.region import receptive_radius
from ctinv.networks import DUGAN, NETWORKS, REDCNN, IRLNet, NoiseSubtractionResNet, taps_of
from ctinv.representation import Representation
from ctinv.training.start import build

SMALL = {"REDCNN": {"channels": 8}, "DUGAN": {"channels": 8}, "NoiseSubtractionResNet": {"channels": 8}}
PUBLISHED = {
    "CNN10": 24_513,
    "WGANVGG": 56_097,
    "REDCNN": 1_848_865,
    "DUGAN": 1_848_865,
    "NoiseSubtractionResNet": 1_843_329,
    "IRLNet": 85_059,  # our own size
}
RADIUS = {"CNN10": 7, "WGANVGG": 8, "REDCNN": 20, "DUGAN": 20, "NoiseSubtractionResNet": 25, "IRLNet": 15}


def small(name: str) -> nn.Module:
    """A small instance that uses all of its layers: blocks at full size, random statistics."""
    network = build(name, seed=0, arguments=SMALL.get(name, {})).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(generator=generator)
                module.running_var.uniform_(0.5, 2.0, generator=generator)
            if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
                module.weight *= (
                    10.0  # a start makes blocks small, and then the outermost pixels hardly count
                )
    return network


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_default_is_the_published_size(name: str):
    with torch.device("meta"):
        network = NETWORKS[name].network()
    assert sum(parameter.numel() for parameter in network.parameters()) == PUBLISHED[name]
    assert f"{PUBLISHED[name]:,} parameters" in (type(network).__doc__ or "")
    assert "References:" in (type(network).__doc__ or "")


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_an_image_keeps_its_grid_and_does_not_depend_on_its_batch(name: str):
    network = small(name)
    images = torch.randn(3, 1, 44, 52, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        together, alone = network(images), network(images[1:2])
    assert together.shape == images.shape
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_tap_of_the_registry_is_a_layer_that_can_be_tapped(name: str):
    network = small(name)
    taps = taps_of(NETWORKS[name], network)
    denoiser = Denoiser(network, name="small", std=500.0, taps=taps)
    image = 100 * torch.randn(1, 1, 44, 44, generator=torch.Generator().manual_seed(0))
    for tap in denoiser.taps:
        assert Representation(denoiser, tap)(image).shape[-2:] == (44, 44), tap


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_receptive_field_is_the_published_one(name: str):
    denoiser = Denoiser(small(name), name="small", std=500.0)
    assert receptive_radius(Representation(denoiser), trials=1) == RADIUS[name]


def test_red_cnn_adds_what_it_kept_at_the_three_published_places():
    network = small("REDCNN")
    x = torch.randn(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        kept, hidden = [x], x
        for layer in range(1, 6):
            hidden = torch.relu(network.get_submodule(f"conv{layer}")(hidden))
            if layer in (2, 4):
                kept.append(hidden)
        for layer in range(1, 6):
            hidden = network.get_submodule(f"tconv{layer}")(torch.relu(hidden))
            if layer in (1, 3, 5):
                hidden = hidden + kept.pop()
        torch.testing.assert_close(network(x), hidden)
    assert issubclass(DUGAN, REDCNN)


def test_the_noise_subtraction_network_subtracts_from_the_middle_slice():
    network = NoiseSubtractionResNet(channels=8, blocks=1, slices=3).eval()
    with torch.no_grad():
        network.out_conv.weight.zero_()
        network.out_conv.bias.fill_(0.25)
    stack = torch.randn(2, 3, 16, 16)
    assert torch.equal(network(stack), stack[:, 1:2] - 0.25)


def test_each_stage_of_irlnet_subtracts_what_it_sees_in_the_image_before():
    network = IRLNet(stages=2, filters=4, depth=2)
    x = torch.randn(1, 1, 16, 16)
    first = x - network.get_submodule("stage1")(x)
    torch.testing.assert_close(network(x), first - network.get_submodule("stage2")(first))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: NoiseSubtractionResNet(channels=12),
        lambda: NoiseSubtractionResNet(slices=2),
        lambda: IRLNet(stages=0),
        lambda: IRLNet(depth=1),
    ],
)
def test_sizes_that_make_no_network_get_one_sentence(wrong):
    with pytest.raises(InputError, match="expected"):
        wrong()
