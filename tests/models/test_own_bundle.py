"""The loader of this package's bundles refuses whatever is not plain data, and runs nothing while it does so."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ctinv.bundle import export_bundle
from ctinv.denoiser import load_denoiser
from ctinv.errors import ModelError
from ctinv.models.ladder import find_network
from ctinv.networks import NETWORKS
from ctinv.training.start import build


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return export_bundle(
        tmp_path / "good",
        network=build("CNN10", seed=0),
        target="CNN10",
        name="good",
        mean=-350.0,
        std=500.0,
        taps=NETWORKS["CNN10"].taps,
    )


def edit(bundle: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    path = bundle / "configs" / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def rehash(bundle: Path) -> None:
    """Make the metadata name the weights as they are now, so that only the next check can refuse them."""
    digest = hashlib.sha256((bundle / "models" / "model.safetensors").read_bytes()).hexdigest()
    edit(
        bundle, "metadata.json", lambda m: m["ctinv"]["weights_sha256"].update({"model.safetensors": digest})
    )


def test_a_good_bundle_loads_bit_for_bit_on_the_cpu(bundle: Path):
    loaded = find_network(bundle)
    assert (loaded.name, loaded.mean, loaded.std) == ("good", -350.0, 500.0)
    assert loaded.taps == {"conv1": "relu1", "conv2": "relu2"}
    for a, b in zip(loaded.network.parameters(), build("CNN10", seed=0).parameters(), strict=True):
        assert torch.equal(a, b)
    assert load_denoiser(str(bundle)).taps == ("input", "conv1", "conv2", "output")


@pytest.mark.parametrize(
    "definition",
    [
        {"_target_": "os.system", "command": "touch {canary}"},
        {"_target_": "builtins.exec", "source": "open('{canary}', 'w')"},
        {"_target_": "torch.load", "f": "{canary}"},
        {"_target_": "ctinv.models.find_network", "source": "cnn10"},
        {"_target_": "ctinv.networks.NETWORKS"},
        {"_target_": ["ctinv.networks.CNN10"]},
        {"_target_": "ctinv.networks.CNN10", "channels": "$open('{canary}', 'w')"},
        {"_target_": "$__import__('os').system('touch {canary}')"},
        {"_target_": "ctinv.networks.CNN10", "channels": ["$64", 32]},
        {"_target_": "ctinv.networks.CNN10", "channels": "@device"},
        {"_target_": "ctinv.networks.CNN10", "channels": "%metadata.json::version"},
        {"_target_": "ctinv.networks.CNN10", "channels": {"_target_": "os.getcwd"}},
        {"_target_": "ctinv.networks.CNN10", "_requires_": "$open('{canary}', 'w')"},
        {"_target_": "ctinv.networks.CNN10", "_mode_": "debug"},
        {"_target_": "ctinv.networks.CNN10", "unknown": 3},
        {"_target_": "ctinv.networks.CNN10", "channels": [64]},
        {"_target_": "ctinv.networks.CNN10", "channels": [-1, 32]},
        {"_target_": "ctinv.networks.CNN10", "channels": [10**6, 10**6]},
        {"_target_": "ctinv.networks.CNN10", "channels": [10**30, 1]},
        "$import os",
        None,
    ],
)
def test_a_network_definition_that_is_not_plain_data_is_refused(
    bundle: Path, tmp_path: Path, definition: object
):
    canary = tmp_path / "canary"
    edit(
        bundle,
        "inference.json",
        lambda c: c.update(network_def=json.loads(json.dumps(definition).replace("{canary}", str(canary)))),
    )
    with pytest.raises(ModelError, match="network_def") as refused:
        find_network(bundle)
    assert not canary.exists()
    assert len(str(refused.value)) <= 200


def test_expressions_elsewhere_in_the_config_are_never_run(bundle: Path, tmp_path: Path):
    canary = tmp_path / "canary"
    code = f"$open({str(canary)!r}, 'w')"
    edit(bundle, "inference.json", lambda c: c.update(imports=[code], initialize=[code], bundle_root=code))
    find_network(bundle)
    assert not canary.exists()


def test_a_pickle_beside_the_weights_is_never_opened(bundle: Path, tmp_path: Path):
    canary = tmp_path / "canary"

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return open, (str(canary), "w")

    (bundle / "models" / "model.pt").write_bytes(pickle.dumps(Attack()))
    find_network(bundle)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["model.ts", "model.onnx", "other.safetensors", "model.pkl"])
def test_a_weight_file_that_nothing_describes_is_refused(bundle: Path, name: str):
    (bundle / "models" / name).write_bytes(b"x")
    with pytest.raises(ModelError, match="nothing describes"):
        find_network(bundle)


def test_one_changed_byte_of_the_weights_is_refused(bundle: Path):
    path = bundle / "models" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"metadata\.json says"):
        find_network(bundle)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("conv3.bias"), "lacks tensor 'conv3.bias'"),
        (lambda t: t.update(extra=torch.zeros(1)), "unknown tensor 'extra'"),
        (lambda t: t.update({"conv3.bias": torch.zeros(2)}), "another shape or type"),
        (lambda t: t.update({"conv3.bias": torch.zeros(1, dtype=torch.float16)}), "another shape or type"),
        (lambda t: t.update({"conv3.bias": torch.full((1,), math.nan)}), "NaN or infinite"),
    ],
)
def test_weights_must_fit_the_network_exactly(
    bundle: Path, change: Callable[[dict[str, Any]], object], says: str
):
    path = bundle / "models" / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    rehash(bundle)
    with pytest.raises(ModelError, match=says):
        find_network(bundle)


def test_weights_that_are_no_safetensors_are_refused_even_with_the_right_hash(bundle: Path):
    (bundle / "models" / "model.safetensors").write_bytes(pickle.dumps({"conv1.weight": 0}))
    rehash(bundle)
    with pytest.raises(ModelError, match="no safetensors file"):
        find_network(bundle)


def test_weights_larger_than_the_network_are_not_read(bundle: Path):
    with (bundle / "models" / "model.safetensors").open("r+b") as file:
        file.truncate(10_000_000)
    with pytest.raises(ModelError, match="larger than the network"):
        find_network(bundle)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update(ctinv=3), "block 'ctinv'"),
        (lambda m: m["ctinv"].update(slices=2), "slices .* must be 1, 3, 5 or 7"),
        (lambda m: m["ctinv"].update(unit=""), "unit"),
        (lambda m: m["ctinv"].pop("weights_sha256"), "names no sha256"),
        (lambda m: m["ctinv"].update(weights_sha256={"model.safetensors": "abc"}), "names no sha256"),
        (lambda m: m["ctinv"].update(name="../x"), "1 to 40 letters"),
        (lambda m: m["ctinv"].update(name="Secret^Patient"), "1 to 40 letters"),
        (lambda m: m["ctinv"].update(std_hu=0), "std_hu .* positive"),
        (lambda m: m["ctinv"].update(mean_hu="-350"), "mean_hu .* finite"),
        (lambda m: m["ctinv"].update(mean_hu=True), "mean_hu .* finite"),
        (lambda m: m["ctinv"].update(taps={"a": "nowhere"}), "taps"),
        (lambda m: m["ctinv"].update(taps=["relu1"]), "taps"),
    ],
)
def test_metadata_must_say_what_the_denoiser_needs(bundle: Path, change: Callable[[Any], object], says: str):
    edit(bundle, "metadata.json", change)
    with pytest.raises(ModelError, match=says):
        find_network(bundle)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": "' + b"x" * 1_000_000 + b'"}']
)
def test_broken_or_huge_json_is_refused(bundle: Path, content: bytes):
    (bundle / "configs" / "metadata.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"metadata\.json of good"):
        find_network(bundle)


def test_missing_files_are_named(bundle: Path, tmp_path: Path):
    (bundle / "models" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no readable models/model\.safetensors"):
        find_network(bundle)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty is no bundle"):
        find_network(tmp_path / "empty")
