"""Checkpoints of ldct-benchmark and ldct-invariances: our classes under their names, in their convention."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from foreign import HERE, checkpoint
from torch import nn

from ctinv.denoiser import load_denoiser
from ctinv.models import ldct_benchmark
from ctinv.training.start import build


def theirs(target: str, network: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict of one of our networks under the names of ldct-benchmark."""
    blocks = {"conv1": "0", "norm1": "1", "conv2": "3", "norm2": "4", "conv3": "6"}

    def name(key: str) -> str:
        parts = key.split(".")
        if target in ("CNN10", "WGANVGG"):
            place = 2 * (int(parts[0].removeprefix("conv")) - 1)
            return f"{'layers' if target == 'CNN10' else 'net'}.{place}.{parts[1]}"
        if parts[0] == "blocks":
            return f"blocks.{parts[1]}.layers.{blocks[parts[2]]}.{parts[3]}"
        return key

    return {name(key): value for key, value in network.state_dict().items()}


METHODS = {
    "cnn10": ("CNN10", {}),
    "wganvgg": ("WGANVGG", {}),
    "redcnn": ("REDCNN", {"channels": 8}),
    "resnet": ("NoiseSubtractionResNet", {"channels": 16, "blocks": 3}),
}


@pytest.mark.parametrize("method", METHODS)
def test_checkpoints_of_ldct_benchmark_are_recognised_and_give_the_same_hu(method: str, tmp_path: Path):
    target, arguments = METHODS[method]
    network = build(target, seed=5, arguments=arguments).eval()
    path = checkpoint(theirs(target, network), tmp_path / f"{method}.pt")
    found = load_denoiser(path)
    assert type(found.network) is type(network)
    assert any(f"a {method} of ldct-benchmark" in note for note in found.notes)
    hu = 300 * torch.randn(2, 1, 40, 36, generator=torch.Generator().manual_seed(0)) - 200
    stored = hu + 1024  # what their code feeds, and what it should give back
    with torch.no_grad():
        expected = network((stored - 481.4542) / 502.1851) * 502.1851 + 481.4542 - 1024
        assert torch.allclose(found(hu), expected, atol=2e-3)


def test_redcnn_and_dugan_cannot_be_told_apart_and_that_is_said(tmp_path: Path):
    path = checkpoint(build("REDCNN", seed=0, arguments={"channels": 8}).state_dict(), tmp_path / "x.pt")
    assert any("dugan has the same" in note for note in load_denoiser(path).notes)
    assert type(load_denoiser(path, network="dugan").network).__name__ == "DUGAN"


def test_bare_weights_of_redcnn_are_not_taken_for_theirs(tmp_path: Path):
    """The names of our own class are theirs as well: nothing says that such a file saw HU + 1024."""
    network = build("REDCNN", seed=0, arguments={"channels": 8})
    torch.save(network.state_dict(), tmp_path / "own.pt")
    card = {**HERE, "arguments": {"channels": 8}}
    found = load_denoiser(tmp_path / "own.pt", network="REDCNN", card=card)
    assert (found.mean, found.std) == (-350, 500)
    assert not any("ldct" in note for note in found.notes)


def test_a_released_file_is_known_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The hash tells DU-GAN from RED-CNN, whatever the layout of the file."""
    torch.save(
        {"model_state_dict": build("REDCNN", seed=0, arguments={"channels": 8}).state_dict()},
        tmp_path / "x.pt",
    )
    digest = hashlib.sha256((tmp_path / "x.pt").read_bytes()).hexdigest()
    monkeypatch.setitem(ldct_benchmark.RELEASED, digest, "dugan")
    found = load_denoiser(tmp_path / "x.pt")
    assert type(found.network).__name__ == "DUGAN"
    assert (found.mean, found.std) == (-542.5458, 502.1851)
    assert "the released dugan of ldct-benchmark, by its sha256" in found.notes
