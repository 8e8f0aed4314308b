"""Networks of the user on the command line: info of every kind, and a study that only its own network certifies."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cli_shell import BOX, Ran
from torch import nn

from ctinv.denoiser import load_denoiser
from ctinv.sampler import Store
from ctinv.training.start import build

Run = Callable[..., Ran]


@pytest.fixture
def weights(bundle: Path, tmp_path: Path) -> Path:
    """The network of the small bundle as a file of weights with a card."""
    torch.save({"state_dict": load_denoiser(bundle).network.state_dict()}, tmp_path / "mine.pt")
    (tmp_path / "mine.card.toml").write_text(
        'network = "CNN10"\narguments = { channels = [6, 4] }\nmean_hu = 0\nstd_hu = 1000\nflat_check = false\n'
    )
    return tmp_path / "mine.pt"


def test_info_says_all_of_a_file_of_weights(ctinv: Run, weights: Path) -> None:
    facts = ctinv("info", weights, "--json").json
    assert (facts["kind"], facts["name"], facts["network"]) == ("denoiser", "mine", "CNN10")
    assert facts["weights_sha256"]["mine.pt"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert facts["parameters"] == 6 * 82 + 4 * 55 + 101
    per_pixel = 2 * (
        81 * 6 + 9 * 6 * 4 + 25 * 4
    )  # a multiplication and an addition for each weight, biases left out
    assert facts["flops_per_megapixel"] == pytest.approx(per_pixel * 1e6)
    assert {tap: about["receptive_radius"] for tap, about in facts["taps"].items()} == {
        "input": 0,
        "conv1": 4,
        "conv2": 5,
        "output": 7,
    }
    assert facts["taps"]["conv2"]["shape"] == [4, 512, 512]
    assert set(facts["flat"]) == {"-1000", "-500", "-100", "0", "60", "300", "1000"}
    assert any("as the card says" in note for note in facts["how"])
    people = ctinv("info", weights)
    assert "15 × 15 pixels" in people.out
    assert str(weights.parent) not in people.out


class Pooled(nn.Module):
    """A coarser grid inside, and a mean over the whole image at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.bend, self.up = nn.AvgPool2d(2), nn.LeakyReLU(0.9), nn.Upsample(scale_factor=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        coarse = self.up(self.bend(self.down(image)))
        return coarse + 1e-3 * image.mean((-2, -1), keepdim=True)


def test_info_says_where_a_network_is_not_local(
    ctinv: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_pooled.py").write_text("from test_network_commands import Pooled as make\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    card = tmp_path / "pooled.toml"
    card.write_text("mean_hu = 0\nstd_hu = 1000\n")
    facts = ctinv("info", "my_pooled:make", "--card", card, "--json").json
    assert facts["taps"]["bend"] == {"shape": [1, 256, 256], "receptive_radius": "other grid"}
    assert facts["taps"]["output"]["receptive_radius"] == "whole image"
    assert any("multiple of 2" in note for note in facts["how"])


def test_trust_is_asked_for_and_taken_on_the_command_line(ctinv: Run, tmp_path: Path) -> None:
    path, card = tmp_path / "net.ts", tmp_path / "net.card.toml"
    card.write_text("mean_hu = -350\nstd_hu = 500\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        network = build("CNN10", seed=3).requires_grad_(False)
        torch.jit.trace(network, torch.zeros(1, 1, 32, 32)).save(str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    refused = ctinv("info", path, "--json")
    assert digest in refused.sentence
    assert refused.sentence.endswith(".")
    assert refused.code == 1
    assert (refused.json["kind"], refused.json["sha256"]) == ("untrusted", digest)
    assert "def forward" in "".join(refused.json["code"].values())
    assert "conv1" in ctinv("info", path).out
    facts = ctinv("info", path, "--trust", digest, "--json").json
    assert list(facts["taps"]) == ["input", "nodes.relu1_Relu", "nodes.relu2_Relu", "output"]
    assert facts["taps"]["output"]["receptive_radius"] == 7


def test_trust_is_remembered_listed_and_taken_back(
    ctinv: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTINV_CONFIG", str(tmp_path / "config"))
    path = tmp_path / "net.pt"
    state = build("CNN10", seed=3).state_dict()
    torch.save({"state_dict": state, "where": Path("/somewhere")}, path)
    path.with_name("net.card.toml").write_text("mean_hu = -350\nstd_hu = 500\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert "add --yes" in ctinv("trust", path, "--json").sentence
    assert ctinv("trust", "--json").json == {"trusted": {}}
    said = ctinv("trust", path, "--yes", "--json").json
    assert (said["sha256"], said["trusted"], said["kind"]) == (digest, True, "pickle")
    assert any(name.startswith("pathlib.") for name in said["globals"])
    assert ctinv("info", path, "--json").json["kind"] == "denoiser"
    listed = ctinv("trust", "--json").json["trusted"]
    assert listed[digest]["name"] == "net.pt"
    assert digest in ctinv("trust").out
    assert ctinv("trust", path, "--remove", "--json").json["trusted"] is False
    assert ctinv("info", path, "--json").json["kind"] == "untrusted"
    assert ctinv("trust", digest, "--yes", "--json").json["trusted"] is True  # by the sha256 alone
    assert ctinv("info", path, "--json").json["kind"] == "denoiser"
    assert "no sha256 of 64 digits" in ctinv("trust", "nothing", "--json").sentence
    assert "name the file" in ctinv("trust", "--remove").sentence


def test_a_study_of_a_network_of_ones_own_is_certified_by_it_alone(
    ctinv: Run, scan: Path, weights: Path
) -> None:
    out = weights.with_name("study.zarr")
    words = ("sample", scan, "--denoiser", weights, "--box", BOX, "--n", 3, "--photons", 2000, "--out", out)
    assert ctinv(*words, "--json").json["n"] == 3
    hashes = Store.open(out).provenance.weights_sha256
    assert set(hashes) == {"mine.pt", "convention"}
    assert "name the file or bundle" in ctinv("certify", out).sentence
    assert ctinv("certify", out, "--denoiser", weights, "--json").json["agree"] is True
    moved = weights.with_name("moved.pt")
    weights.rename(moved)
    weights.with_name("mine.card.toml").rename(moved.with_name("moved.card.toml"))
    assert ctinv("certify", out, "--denoiser", moved, "--json").json["agree"] is True
    card = moved.with_name("moved.card.toml")
    card.write_text(card.read_text().replace("mean_hu = 0", "mean_hu = 10"))
    assert "the convention of moved is not" in ctinv("certify", out, "--denoiser", moved).sentence
    assert "the weights of cnn10 are not" in ctinv("certify", out, "--denoiser", "cnn10").sentence


def test_denoise_takes_a_class_and_a_card(ctinv: Run, scan: Path, tmp_path: Path) -> None:
    import numpy as np

    torch.save(build("CNN10", seed=3).state_dict(), tmp_path / "net.pt")
    (tmp_path / "any.json").write_text('{"mean_hu": -350, "std_hu": 500}')
    more = (
        "--network",
        "cnn10",
        "--card",
        tmp_path / "any.json",
        "--out",
        tmp_path / "f.npy",
        "--device",
        "cpu",
    )
    assert ctinv("denoise", scan, "--denoiser", tmp_path / "net.pt", *more).code == 0
    hu = torch.from_numpy(np.load(scan))[:, None]
    with torch.no_grad():
        expected = build("CNN10", seed=3)((hu + 350) / 500)[:, 0] * 500 - 350
    np.testing.assert_allclose(np.load(tmp_path / "f.npy"), expected.numpy(), atol=2e-3)
