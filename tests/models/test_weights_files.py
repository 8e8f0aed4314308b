"""Files of weights: every usual layout fills its class, and nothing in a file is ever run."""

from __future__ import annotations

import contextlib
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign import HERE, poisoned
from safetensors.torch import save_file
from torch import nn

from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import ModelError
from ctinv.training.start import build


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return build("CNN10", seed=3)


def same(found: Denoiser, expected: nn.Module) -> bool:
    pairs = zip(found.network.state_dict().values(), expected.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


LAYOUTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "bare": lambda s: s,
    "state_dict": lambda s: {"epoch": 3, "state_dict": s},
    "module. from DataParallel": lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
    "Lightning with a loss network": lambda s: {
        "state_dict": {f"model.{k}": v for k, v in s.items()} | {"loss.vgg.weight": torch.zeros(3)},
        "optimizer_states": [{"step": 3}],
    },
    "compiled, wrapped twice": lambda s: {"net": {f"module._orig_mod.{k}": v for k, v in s.items()}},
    "GAN": lambda s: {"discriminator": {"fc.weight": torch.zeros(2)}, "generator": s},
    "EMA of EMA": lambda s: {"model": {"ema": s}},
    "half precision": lambda s: {k: v.double() for k, v in s.items()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_usual_layout_is_found(network: nn.Module, tmp_path: Path, layout: str):
    path = tmp_path / "net.pth"
    torch.save(LAYOUTS[layout](network.state_dict()), path)
    found = load_denoiser(path, network="CNN10", card=HERE)
    assert same(found, network)
    assert found.taps == ("input", "conv1", "conv2", "output")
    assert len(found.weights_sha256["net.pth"]) == 64


def test_safetensors_are_recognised_by_their_names(network: nn.Module, tmp_path: Path):
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    found = load_denoiser(tmp_path / "net.safetensors", card=HERE)
    assert same(found, network)
    assert any("recognised as CNN10" in note for note in found.notes)


def test_another_width_needs_its_arguments(tmp_path: Path):
    narrow = build("CNN10", seed=0, arguments={"channels": (8, 4)})
    torch.save(narrow.state_dict(), tmp_path / "net.pt")
    with pytest.raises(ModelError, match="say its class, --network"):
        load_denoiser(tmp_path / "net.pt")
    with pytest.raises(ModelError, match="another shape or type"):
        load_denoiser(tmp_path / "net.pt", network="CNN10")
    card = {**HERE, "network": "cnn10", "arguments": {"channels": [8, 4]}}
    assert same(load_denoiser(tmp_path / "net.pt", card=card), narrow)


def test_a_checkpoint_for_another_class_says_what_it_lacks(network: nn.Module, tmp_path: Path):
    torch.save(network.state_dict(), tmp_path / "net.pt")
    with pytest.raises(
        ModelError, match=r"net\.pt lacks tensor 'conv4\.bias'; the weights belong to another"
    ):
        load_denoiser(tmp_path / "net.pt", network="WGANVGG")
    with pytest.raises(ModelError, match="asked for, but the card says"):
        load_denoiser(tmp_path / "net.pt", network="WGANVGG", card={**HERE, "network": "CNN10"})


@pytest.mark.parametrize("keep", [0, 10, 500, 20_000])
def test_a_truncated_file_is_damaged(network: nn.Module, tmp_path: Path, keep: int):
    torch.save(network.state_dict(), tmp_path / "net.pt")
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    for name in ("net.pt", "net.safetensors"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(ModelError, match=f"{re.escape(name)} is damaged"):
            load_denoiser(path, network="CNN10")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_a_payload_is_named_and_not_run(tmp_path: Path, zipped: bool):
    mark = tmp_path / "mark"
    path = poisoned(tmp_path / "net.pt", mark, zipped=zipped)
    with pytest.raises(
        ModelError, match=r"net\.pt names '(posix|os|nt)\.system'.*nothing was run"
    ) as refused:
        load_denoiser(path, network="CNN10")
    assert not mark.exists()
    assert "weights_only" not in str(refused.value)
    assert len(str(refused.value)) <= 200
    with contextlib.suppress(RuntimeError):  # the negative control: the payload is alive
        torch.load(path, weights_only=False)
    assert mark.exists()


def test_a_pickled_module_is_refused_with_its_class(network: nn.Module, tmp_path: Path):
    torch.save(network, tmp_path / "net.pt")
    with pytest.raises(ModelError, match=r"'ctinv\.networks\.cnn10\.CNN10'.*Save the state_dict\(\) alone"):
        load_denoiser(tmp_path / "net.pt")


def test_nan_in_the_weights_is_found(network: nn.Module, tmp_path: Path):
    state = {key: value.clone() for key, value in network.state_dict().items()}
    state["conv2.bias"][3] = torch.nan
    torch.save(state, tmp_path / "net.pt")
    with pytest.raises(ModelError, match=r"'conv2\.bias' of net\.pt holds NaN"):
        load_denoiser(tmp_path / "net.pt", network="CNN10")


def test_files_that_are_no_networks_are_said_by_their_bare_name(tmp_path: Path):
    for name, content, says in (
        ("scan.dcm", b"x", r"scan\.dcm is no network"),
        ("none.pt", None, "no denoiser 'none.pt'"),
        ("list.pt", [torch.zeros(3)], "list.pt holds no state dict"),
    ):
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        elif content is not None:
            torch.save(content, tmp_path / name)
        with pytest.raises(ModelError, match=says) as refused:
            load_denoiser(tmp_path / name, network="CNN10" if name == "list.pt" else None)
        assert str(tmp_path) not in str(refused.value)


def test_the_same_weights_in_another_convention_have_another_hash(network: nn.Module, tmp_path: Path):
    """A study must not be continued, or certified, with the right weights in the wrong convention."""
    torch.save(network.state_dict(), tmp_path / "net.pt")
    one = load_denoiser(tmp_path / "net.pt", card=HERE).weights_sha256
    two = load_denoiser(tmp_path / "net.pt", card={**HERE, "mean_hu": -340}).weights_sha256
    assert one["net.pt"] == two["net.pt"]
    assert one["convention"] != two["convention"]


def test_archives_and_tensors_that_grow_without_bound_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    packed = tmp_path / "bomb.pt"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data/0", bytes(21_000_000))
    assert packed.stat().st_size < 100_000
    with monkeypatch.context() as patch:
        patch.setattr("ctinv.models.weights.MAX_WEIGHT_BYTES", 20_000_000)
        with pytest.raises(ModelError, match=r"bomb\.pt unpacks to more than 20 MB"):
            load_denoiser(packed, network="CNN10")
    huge = torch.zeros(1, dtype=torch.float64).expand(10**12)
    torch.save(
        {"conv1.weight": huge, **{f"conv{i}.bias": torch.zeros(1) for i in (1, 2, 3)}}, tmp_path / "wide.pt"
    )
    with pytest.raises(ModelError, match="another network"):
        load_denoiser(tmp_path / "wide.pt", network="CNN10")
    state = build("CNN10", seed=0).state_dict()
    torch.save({**state, "conv1.weight": huge}, tmp_path / "wide.pt")
    with pytest.raises(ModelError, match="another shape or type"):
        load_denoiser(tmp_path / "wide.pt", network="CNN10")
