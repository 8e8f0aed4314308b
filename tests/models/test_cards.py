"""Cards: every way to declare a convention is the same network in HU; what no card can say is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign import HERE, InConvention
from torch import Tensor, nn

from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import ModelError
from ctinv.models.adapter import Adapter
from ctinv.models.card import parse_card, read_card
from ctinv.training.start import build

OURS = (-350.0, 500.0)
HU = 200 * torch.randn(2, 1, 40, 36, generator=torch.Generator().manual_seed(0)) - 100


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return build("CNN10", seed=3).eval()


@pytest.fixture(scope="module")
def expected(network: nn.Module) -> Tensor:
    with torch.no_grad():
        return network((HU + 350) / 500) * 500 - 350


WAYS: dict[str, tuple[dict[str, Any], tuple[float, float]]] = {
    "HU": ({"mean_hu": 0, "std_hu": 1}, (0.0, 1.0)),
    "HU + 1024": ({"offset_hu": 1024}, (-1024.0, 1.0)),
    "window": ({"range_hu": [-1024, 3071]}, (-1024.0, 4095.0)),
    "narrow window": ({"range_hu": [-160.0, 240.0]}, (-160.0, 400.0)),
    "mean and std": ({"mean_hu": -542.5, "std_hu": 502.2}, (-542.5, 502.2)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_convention_is_the_same_network_in_hu(way: str, network: nn.Module, expected: Tensor):
    card, target = WAYS[way]
    found = load_denoiser(InConvention(network, OURS, target), card={**card, "name": "mine"})
    assert found.name == "mine"
    assert (found.mean, found.std) == target
    inner = slice(8, -8)  # outside, zero padding means another HU in another convention
    assert torch.allclose(found(HU)[..., inner, inner], expected[..., inner, inner], atol=0.02)


def test_a_wrong_convention_is_noticed_on_flat_images(network: nn.Module):
    wrong = InConvention(network, OURS, (-160.0, 400.0))
    biased = nn.Sequential(wrong, Shift(0.2))
    with pytest.raises(ModelError, match=r"turns a flat image of 0 HU into 8\d"):
        load_denoiser(biased, card={"range_hu": [-160, 240]})
    free = load_denoiser(biased, card={"range_hu": [-160, 240], "flat_check": False})
    assert "not checked" in free.notes[-1]


class Shift(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, image: Tensor) -> Tensor:
        return image + self.by


class Noise(nn.Module):
    """Predicts the noise of the middle slice."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        middle = image[:, image.shape[1] // 2 :][:, :1]
        return middle - self.network(middle)


def test_predicted_noise_is_subtracted(network: nn.Module, expected: Tensor):
    found = load_denoiser(Noise(network), card={**HERE, "predicts": "noise"})
    assert torch.allclose(found(HU), expected, atol=1e-3)
    with pytest.raises(
        ModelError, match="flat image of 0 HU"
    ):  # without the word, the noise is taken for the image
        load_denoiser(Noise(network), card=HERE)


def test_neighbouring_slices_are_channels(network: nn.Module, expected: Tensor):
    found = load_denoiser(Noise(network), card={**HERE, "predicts": "noise", "slices": 3})
    stack = torch.cat([HU + 300, HU, HU - 300], dim=1)
    assert torch.allclose(found(stack), expected, atol=1e-3)
    assert found.slices == 3


def test_clipping_is_seen_by_the_network_only(network: nn.Module):
    found = load_denoiser(network, card={**HERE, "clip_hu": [-100, 100]})
    assert isinstance(found.network, Adapter)
    shown = (HU.clamp(-100, 100) + 350) / 500
    with torch.no_grad():
        assert torch.allclose(found(HU), network(shown) * 500 - 350, atol=1e-3)
        assert torch.allclose(found.activation(HU, found.taps[1]), network.relu1(network.conv1(shown)))


@pytest.mark.parametrize("padding", ["edge", "reflect"])
def test_padding_to_a_multiple_is_cut_off_again(network: nn.Module, padding: str):
    found = load_denoiser(network, card={**HERE, "multiple": 32, "padding": padding})
    assert found(HU).shape == HU.shape
    whole = 200 * torch.randn(1, 1, 64, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(found(whole), network((whole + 350) / 500) * 500 - 350, atol=1e-3)
    mode = "replicate" if padding == "edge" else padding
    padded = torch.nn.functional.pad((HU + 350) / 500, (0, 28, 0, 24), mode=mode)
    with torch.no_grad():
        assert torch.allclose(found(HU), (network(padded) * 500 - 350)[..., :40, :36], atol=1e-3)


def test_taps_can_be_named(network: nn.Module):
    found = load_denoiser(network, card={**HERE, "taps": {"first": "conv1"}, "multiple": 2})
    assert found.taps == ("input", "first", "output")
    assert torch.allclose(found.activation(HU, "first"), network.conv1((HU + 350) / 500))
    for taps in ({"a": "conv9"}, {"output": "conv1"}):
        with pytest.raises(ModelError, match="new name for a layer"):
            load_denoiser(network, card={**HERE, "taps": taps})


def test_another_unit_is_checked_in_that_unit(network: nn.Module):
    card = {"mean_hu": 100, "std_hu": 400, "unit": "MR signal"}
    found = load_denoiser(InConvention(network, OURS, (100.0, 400.0)), card=card)
    assert found.unit == "MR signal"
    assert "MR signal" in found.notes[-1]
    with pytest.raises(ModelError, match="say mean_hu and std_hu in that unit"):
        load_denoiser(network, card={"unit": "MR signal"})
    with pytest.raises(ModelError, match="flat image of 300 MR signal"):
        load_denoiser(nn.Sequential(network, Shift(0.3)), card=card)


def test_the_card_lies_beside_its_file(network: nn.Module, tmp_path: Path):
    torch.save(network.state_dict(), tmp_path / "net.pt")
    (tmp_path / "net.card.toml").write_text('mean_hu = -350\nstd_hu = 500\nname = "by_toml"\n')
    assert load_denoiser(tmp_path / "net.pt").name == "by_toml"
    (tmp_path / "other.json").write_text(json.dumps({**HERE, "name": "by_hand"}))
    assert load_denoiser(tmp_path / "net.pt", card=tmp_path / "other.json").name == "by_hand"
    (tmp_path / "net.card.json").write_text("{}")
    with pytest.raises(ModelError, match="two cards"):
        load_denoiser(tmp_path / "net.pt")
    assert read_card(None, tmp_path / "absent.pt") == parse_card({})


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"windov": 1}, "unknown key 'windov'"),
        ({"mean_hu": 0}, "say mean_hu and std_hu"),
        ({"mean_hu": 0, "std_hu": 1, "offset_hu": 2}, "say mean_hu and std_hu"),
        ({"mean_hu": 0, "std_hu": 0}, "std_hu in the card must be a positive"),
        ({"mean_hu": float("nan"), "std_hu": 1}, "mean_hu in the card must be"),
        ({"range_hu": [100, -100]}, "two rising numbers"),
        ({"range_hu": "wide"}, "two rising numbers"),
        ({"slices": 2}, "1, 3, 5 or 7"),
        ({"slices": True}, "1, 3, 5 or 7"),
        ({"multiple": 0}, "whole number from 1"),
        ({"padding": "zeros"}, "'edge' or 'reflect'"),
        ({"predicts": "artifacts"}, "'image' or 'noise'"),
        ({"name": "../x"}, "1 to 40 letters"),
        ({"taps": ["relu1"]}, "table of tap names"),
        ({"arguments": {"channels": "$x"}}, "write a literal"),
        ({"arguments": [1]}, "table of names"),
        ({"flat_check": "no"}, "true or false"),
    ],
)
def test_what_no_card_can_say_gets_one_sentence(said: dict[str, Any], says: str):
    with pytest.raises(ModelError, match=says) as refused:
        parse_card(said)
    assert len(str(refused.value)) <= 240


def test_a_bundle_of_this_package_takes_no_card():
    with pytest.raises(ModelError, match="says all of itself"):
        load_denoiser("cnn10", card=HERE)
    with pytest.raises(ModelError, match="whole denoiser already"):
        load_denoiser(Denoiser(nn.Identity(), name="d"), card=HERE)
