"""Bundles of other people: allow-listed classes are built from data, every attack is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from foreign import HERE, bundle, poisoned
from monai.networks import nets

from ctinv.denoiser import load_denoiser
from ctinv.errors import ModelError
from ctinv.models.build import build
from ctinv.training.start import build as trained

NETS = "monai.networks.nets"
UNET = {
    "_target_": f"{NETS}.UNet",
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 1,
    "channels": [4, 8, 8],
    "strides": [2, 2],
}
FREE = {**HERE, "flat_check": False}  # these networks are untrained


def literal(value: Any) -> Any:
    return tuple(map(literal, value)) if isinstance(value, list) else value


def made(definition: dict[str, Any]) -> torch.nn.Module:
    arguments = {key: literal(value) for key, value in definition.items() if not key.startswith("_")}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return getattr(nets, definition["_target_"].rpartition(".")[2])(**arguments).eval()


LOOK_ALIKES: dict[str, tuple[dict[str, Any], int]] = {  # definition, multiple of pixels it needs
    "UNet": (UNET, 4),
    "UNet with residual units": (
        {**UNET, "num_res_units": 1, "act": ["leakyrelu", {"negative_slope": 0.2}]},
        4,
    ),
    "UNet with batch norm": ({**UNET, "norm": "batch", "bias": False, "_desc_": "as in the zoo"}, 4),
    "BasicUNet": (
        {
            "_target_": f"{NETS}.BasicUNet",
            "spatial_dims": 2,
            "out_channels": 1,
            "features": [4, 4, 4, 8, 8, 4],
        },
        1,  # it pads inside
    ),
    "AttentionUnet": (
        {
            "_target_": f"{NETS}.AttentionUnet",
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 1,
            "channels": [4, 8],
            "strides": [2],
        },
        2,
    ),
    "DynUNet": (
        {
            "_target_": f"{NETS}.DynUNet",
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 1,
            "kernel_size": [3, 3, 3],
            "strides": [1, 2, 2],
            "upsample_kernel_size": [2, 2],
            "filters": [4, 8, 8],
        },
        4,
    ),
    "SegResNet": (
        {
            "_target_": f"{NETS}.SegResNet",
            "spatial_dims": 2,
            "init_filters": 8,
            "in_channels": 1,
            "out_channels": 1,
        },
        8,
    ),
}


@pytest.mark.parametrize("case", LOOK_ALIKES)
def test_networks_of_the_zoo_are_built_from_data_and_give_the_same_numbers(case: str, tmp_path: Path):
    definition, multiple = LOOK_ALIKES[case]
    network = made(definition)
    path = bundle(tmp_path / "zoo", {"network_def": definition}, network.state_dict())
    found = load_denoiser(path, card=FREE)
    padded = [note for note in found.notes if "multiple" in note]
    assert padded == ([f"padded to a multiple of {multiple} pixels, found by trying"] if multiple > 1 else [])
    hu = 100 * torch.randn(1, 1, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network((hu + 350) / 500) * 500 - 350
    assert torch.allclose(found(hu), expected, atol=0.05)  # rounding, times 500
    assert found(hu[..., :51, :77]).shape == (1, 1, 51, 77)  # padded and cut off again
    assert len(found.taps) > 2
    assert found.activation(hu, found.taps[1]).ndim == 4


def test_references_inside_the_file_are_followed(tmp_path: Path):
    config = {
        "width": 4,
        "shape": {"channels": ["@width", 8, "%shape::last"], "last": 8},
        "network": {**UNET, "channels": "@shape#channels", "strides": ["%two", "@two"]},
        "two": 2,
        "network_def": "@network",
        "imports": ["$import os"],
        "device": "$torch.device('cuda')",
    }
    path = bundle(tmp_path / "zoo", config, made(UNET).state_dict())
    assert type(load_denoiser(path, card=FREE).network).__name__ == "Adapter"


def test_yaml_is_read_as_data(tmp_path: Path):
    path = bundle(tmp_path / "zoo", {}, made(UNET).state_dict())
    (path / "configs" / "inference.json").unlink()
    (path / "configs" / "inference.yaml").write_text(yaml.safe_dump({"network_def": UNET}))
    assert load_denoiser(path, card=FREE).name == "zoo"
    (path / "configs" / "inference.yaml").write_text(
        f"network_def: !!python/object/apply:os.system ['touch {path}/mark']"
    )
    with pytest.raises(ModelError, match="no valid YAML"):
        load_denoiser(path)
    assert not (path / "mark").exists()


ATTACKS: dict[str, Any] = {
    "expression": {**UNET, "channels": "$__import__('os').system('touch {mark}')"},
    "import": "$import os; os.system('touch {mark}')",
    "expression behind a reference": {**UNET, "channels": "@evil"},
    "function": {"_target_": "os.system", "command": "touch {mark}"},
    "monai's own runner": {"_target_": "monai.bundle.run", "config_file": "x"},
    "a function beside the networks": {"_target_": f"{NETS}.look_up_named_module"},
    "hub": {"_target_": "torch.hub.load", "repo_or_dir": "a/b"},
    "bundle's own code": {"_target_": "scripts.net.Net"},
    "nested target": {**UNET, "act": {"_target_": "os.getcwd"}},
    "required code": {**UNET, "_requires_": "$import os"},
    "callable mode": {**UNET, "_mode_": "callable"},
    "file macro": {**UNET, "channels": "%/etc/hostname.json::a"},
    "relative file macro": {**UNET, "channels": "%../x.json#a"},
    "circle": {**UNET, "channels": "@circle"},
    "nowhere": {**UNET, "channels": "@nothing"},
    "pretrained": {
        "_target_": f"{NETS}.FlexibleUNet",
        "in_channels": 1,
        "out_channels": 1,
        "backbone": "efficientnet-b0",
        "pretrained": True,
    },
    "pretrained by default": {"_target_": f"{NETS}.EfficientNetBN", "model_name": "efficientnet-b0"},
    "a path": {"_target_": f"{NETS}.UNet", **UNET, "pretrained_path": "/etc/hostname"},
    "huge": {**UNET, "channels": [60_000, 60_000, 60_000]},
    "huge number": {**UNET, "num_res_units": 10**9},
    "another module's class": {"_target_": f"{NETS}.unet.BasicUNet"},
    "wrong arguments": {**UNET, "unknown": 1},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_is_refused_and_nothing_runs(attack: str, tmp_path: Path):
    mark = tmp_path / "mark"
    config = {
        "network_def": ATTACKS[attack],
        "evil": "$open('{mark}', 'w')",
        "circle": "@round",
        "round": "@circle",
    }
    config = json.loads(json.dumps(config).replace("{mark}", str(mark)))
    path = bundle(tmp_path / "zoo", config, made(UNET).state_dict())
    with pytest.raises(ModelError, match="network_def") as refused:
        load_denoiser(path, card=FREE)
    assert not mark.exists()
    assert len(str(refused.value)) <= 200


def test_references_that_multiply_are_refused(tmp_path: Path):
    config: dict[str, Any] = {f"a{i}": [f"@a{i + 1}"] * 10 for i in range(9)}
    config |= {"a9": 1, "network_def": {**UNET, "channels": "@a0"}}
    with pytest.raises(ModelError, match="too long"):
        load_denoiser(bundle(tmp_path / "zoo", config))


def test_a_payload_in_the_weights_is_named(tmp_path: Path):
    path = bundle(tmp_path / "zoo", {"network_def": UNET})
    poisoned(path / "models" / "model.pt", tmp_path / "mark", zipped=True)
    with pytest.raises(ModelError, match=r"model\.pt names '.*system'"):
        load_denoiser(path)
    assert not (tmp_path / "mark").exists()


def test_missing_weights_and_weights_of_another_network_are_said(tmp_path: Path):
    with pytest.raises(ModelError, match=r"neither models/model\.safetensors nor models/model\.pt"):
        load_denoiser(bundle(tmp_path / "a", {"network_def": UNET}))
    other = trained("CNN10", seed=0).state_dict()
    with pytest.raises(ModelError, match="belong to another network"):
        load_denoiser(bundle(tmp_path / "b", {"network_def": UNET}, other))
    with pytest.raises(ModelError, match="have no network_def"):
        load_denoiser(bundle(tmp_path / "c", {"bundle_root": "."}))


def test_the_allow_list_holds_classes_of_networks_only():
    for target in (
        "monai.networks.nets.np",
        "monai.networks.nets",
        "monai.networks.nets.",
        "torch.nn.Conv2d",
        "UNet",
    ):
        with pytest.raises(ModelError, match="not allowed"):
            build(target, {})


def test_a_network_of_ours_in_a_foreign_bundle_needs_no_monai(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ctinv.models.build._monai_classes", lambda: pytest.fail("monai was imported"))
    config = {"network_def": {"_target_": "ctinv.networks.CNN10"}}
    path = bundle(tmp_path / "own", config, trained("CNN10", seed=0).state_dict())
    assert load_denoiser(path, card=HERE).taps == ("input", "relu1", "relu2", "output")
