"""The guess: right or refused over the table of conventions, for the shipped networks in each of them."""

from __future__ import annotations

import pytest
import torch
from foreign import InConvention
from torch import Tensor, nn

from ctinv.denoiser import load_denoiser
from ctinv.errors import ModelError
from ctinv.models.card import Convention
from ctinv.models.convention import CANDIDATES, LDCT_BENCHMARK, denoise, flat_levels, guess, noisy_object
from ctinv.models.ladder import find_network

ALIKE = CANDIDATES[
    -2:
]  # ldct-benchmark's and ours have nearly the same scale; a network works as well in both


@pytest.fixture(scope="module")
def shipped_network() -> tuple[nn.Module, tuple[float, float]]:
    found = find_network("cnn10")
    return found.network, (found.mean, found.std)


@pytest.mark.parametrize("convention", CANDIDATES, ids=lambda one: one.text)
def test_the_convention_of_a_trained_network_is_found_or_asked_for(
    convention: Convention, shipped_network: tuple[nn.Module, tuple[float, float]]
):
    network, ours = shipped_network
    dressed = InConvention(network, ours, (convention.mean, convention.std))
    if convention in ALIKE:
        with pytest.raises(ModelError, match="works equally well in two HU conventions"):
            guess(dressed, slices=1, name="it")
        return
    found, note = guess(dressed, slices=1, name="it")
    assert found is convention
    assert "GUESSED" in note
    assert convention.text in note


def test_a_window_that_is_nearly_one_of_the_table_is_taken_for_it(
    shipped_network: tuple[nn.Module, tuple[float, float]],
):
    """−1024 to 1024 HU is none of them; the one that is guessed gives the same picture to a quarter of a HU."""
    network, ours = shipped_network
    true = Convention(-1024.0, 2048.0, "")
    dressed = InConvention(network, ours, (true.mean, true.std))
    found, _ = guess(dressed, slices=1, name="it")
    _, noisy = noisy_object(1)
    difference = (denoise(dressed, found, noisy) - denoise(dressed, true, noisy))[..., 8:-8, 8:-8]
    assert 0 < difference.square().mean().sqrt() < 0.3


def test_a_linear_filter_is_the_same_in_every_convention():
    """All of them keep flat images and give one picture, so that it makes no difference which is taken."""
    smooth = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    nn.init.constant_(smooth.weight, 1 / 9)
    found, _ = guess(smooth, slices=1, name="it")
    hu = 100 * torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    pictures = [denoise(smooth, one, hu)[..., 2:-2, 2:-2] for one in (found, CANDIDATES[0], LDCT_BENCHMARK)]
    assert torch.allclose(pictures[0], pictures[1], atol=1e-2)
    assert torch.allclose(pictures[0], pictures[2], atol=1e-2)


class Sigmoid(nn.Module):
    """Bends every level: no convention of the table keeps flat images."""

    def forward(self, image: Tensor) -> Tensor:
        return image.sigmoid() ** 2


def test_a_network_that_keeps_no_level_needs_a_card():
    with pytest.raises(ModelError, match=r"keeps flat images in none of 8 known HU conventions .* card"):
        load_denoiser(Sigmoid())


def test_flat_levels_are_those_of_the_middle(shipped_network: tuple[nn.Module, tuple[float, float]]):
    """Zero padding darkens the border of a flat image, by tens of HU; it is not looked at."""
    network, (mean, std) = shipped_network
    convention = Convention(mean, std, "")
    flat = denoise(network, convention, torch.full((1, 1, 64, 64), 0.0))
    assert (flat.abs() > 20).any()
    assert all(abs(back - level) < 5 for level, back in flat_levels(network, convention).items())


def test_the_noisy_object_is_the_same_every_time_and_leaves_global_randomness_alone():
    before = torch.random.get_rng_state()
    clean, noisy = noisy_object(3)
    assert torch.equal(noisy, noisy_object(3)[1])
    assert torch.equal(before, torch.random.get_rng_state())
    assert clean.shape == (1, 1, 64, 64)
    assert noisy.shape == (4, 3, 64, 64)
    assert 29 < float((noisy - clean).std()) < 31
