"""Targets for the texts that describe a network or a training: JSON, YAML and TOML."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
import yaml
from fuzzing import Target, WrongError
from mutators import LEAVES, mutate_bytes, mutate_tree, read_dictionary
from safetensors.torch import save

from ctinv.bundle import export_bundle
from ctinv.denoiser import load_denoiser
from ctinv.generators.find import find_generator
from ctinv.generators.library import generator_facts
from ctinv.generators.trained import Trained
from ctinv.models.found import FoundNetwork
from ctinv.models.ladder import find_network
from ctinv.networks import NETWORKS
from ctinv.representation import Representation
from ctinv.resources import bundles_folder
from ctinv.training.config import DenoiserConfig
from ctinv.training.start import build

ARGUMENTS = {"channels": [3, 2]}
_DEEP = ("[" * 3000, "{" * 3000, '{"a":' * 3000, "[" * 50_000, "1" * 5000)
TOKENS = (*read_dictionary("configs"), *(word.encode() for word in _DEEP))


@cache
def network() -> torch.nn.Module:
    """A tiny CNN10 that starts as what the trainer starts with: nearly the identity."""
    return build("CNN10", seed=0, arguments={"channels": (3, 2)})


def check_network(found: FoundNetwork) -> None:
    """Raise WrongError unless what was found can be a denoiser."""
    if not (math.isfinite(found.mean) and math.isfinite(found.std) and found.std > 0):
        raise WrongError("the convention is not finite or not positive")
    if any(not bool(torch.isfinite(value).all()) for value in found.network.state_dict().values()):
        raise WrongError("a weight is not finite")
    json.dumps(
        [found.name, found.taps, found.weights_sha256, found.slices, found.unit, found.notes], allow_nan=False
    )


def _mutate_json(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    if rng.random() < 0.25:
        return mutate_bytes(rng, data, others, TOKENS)
    return json.dumps(mutate_tree(rng, json.loads(data))).encode()


def _mutate_yaml(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    if rng.random() < 0.4:
        return mutate_bytes(rng, data, others, TOKENS)
    return yaml.safe_dump(mutate_tree(rng, yaml.safe_load(data), _YAML_LEAVES), allow_unicode=True).encode(
        "utf-8", "surrogatepass"
    )


_YAML_LEAVES = tuple(leaf for leaf in LEAVES if leaf != "\ud800")


def _mutate_toml(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    """A line's value replaced by another one, or bytes anywhere."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, data, others, TOKENS)
    lines = data.decode().splitlines()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(lines))
        key = lines[at].partition("=")[0].strip()
        step = rng.random()
        if step < 0.75:
            lines[at] = f"{key} = {_toml(rng.choice(LEAVES))}"
        elif step < 0.85:
            lines[at] = f"{key}x = 1"
        elif step < 0.95 and len(lines) > 1:
            del lines[at]
        else:
            lines.append(lines[at])
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _toml(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "nan", "inf": "inf", "-inf": "-inf"}[str(value)]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return '""' if value is None else json.dumps(value)


def _own(folder: Path) -> Path:
    taps = NETWORKS["CNN10"].taps
    return export_bundle(
        folder,
        network=network(),
        target="CNN10",
        name="own",
        mean=-350.0,
        std=500.0,
        taps=taps,
        arguments=ARGUMENTS,
    )


def _own_seeds(inner: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        import tempfile

        with tempfile.TemporaryDirectory() as room:
            return [(_own(Path(room, "own")) / inner).read_bytes()]

    return seeds


def _own_config(inner: str) -> Callable[[Path], Callable[[bytes], None]]:
    def prepare(room: Path) -> Callable[[bytes], None]:
        folder = _own(room / "own")

        def run(data: bytes) -> None:
            (folder / inner).write_bytes(data)
            check_network(find_network(folder))
            load_denoiser(str(folder))

        return run

    return prepare


_UNET = {
    "_target_": "monai.networks.nets.UNet",
    **{
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 1,
        "channels": [2, 4],
        "strides": [2],
        "num_res_units": 1,
    },
}
_CNN10 = {"_target_": "ctinv.networks.CNN10", "channels": "@channels"}
_FOREIGN: tuple[dict[str, Any], ...] = (
    {"imports": ["$import os"], "channels": [3, 2], "network_def": _CNN10},
    {"network_def": _UNET, "device": "cpu", "network": "$@network_def.to(@device)"},
)


def _foreign(name: str) -> Callable[[Path], Callable[[bytes], None]]:
    def prepare(room: Path) -> Callable[[bytes], None]:
        folder = room / "foreign"
        (folder / "configs").mkdir(parents=True)
        (folder / "models").mkdir()
        (folder / "configs" / "metadata.json").write_text(json.dumps({"version": "0.1.0"}))
        torch.save(
            {"model": dict(network().state_dict()), "net": _unet_state()}, folder / "models" / "model.pt"
        )
        (folder / "card.json").write_text(json.dumps({"mean_hu": -350, "std_hu": 500, "flat_check": False}))

        def run(data: bytes) -> None:
            (folder / "configs" / name).write_bytes(data)
            check_network(find_network(folder))

        return run

    return prepare


def _unet_state() -> dict[str, torch.Tensor]:
    from monai.networks.nets import UNet

    torch.manual_seed(0)
    return dict(UNet(**{key: value for key, value in _UNET.items() if key != "_target_"}).state_dict())


_CARD = """network = "CNN10"
arguments = { channels = [3, 2] }
mean_hu = -350
std_hu = 500.0
clip_hu = [-1024, 3071]
slices = 1
multiple = 4
padding = "edge"
predicts = "image"
taps = { bottom = "relu1" }
unit = "HU"
name = "mine"
flat_check = false"""
_SECOND = 'network = "CNN10"\narguments = { channels = [3, 2] }\nrange_hu = [-1024, 976]\nflat_check = false'


def _card(name: str) -> Callable[[Path], Callable[[bytes], None]]:
    def prepare(room: Path) -> Callable[[bytes], None]:
        path = room / "net.safetensors"
        path.write_bytes(save(dict(network().state_dict())))

        def run(data: bytes) -> None:
            (room / name).write_bytes(data)
            check_network(find_network(path))

        return run

    return prepare


def _json_cards() -> list[bytes]:
    import tomllib

    return [json.dumps(tomllib.loads(text)).encode() for text in (_CARD, _SECOND)]


def _trainings() -> list[bytes]:
    folder = Path(__file__).parents[2] / "configs"
    return [(folder / name).read_bytes() for name in ("cnn10.toml", "wganvgg.toml")]


def _training(room: Path) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        path = room / "training.toml"
        path.write_bytes(data)
        config = DenoiserConfig.read(path)
        json.dumps(config.to_json(), allow_nan=False)

    return run


_GENERATOR = bundles_folder() / "generators" / "pca_cnn10"


def _generator(inner: str) -> Target:
    def prepare(room: Path) -> Callable[[bytes], None]:
        folder = room / "generator"
        shutil.copytree(_GENERATOR, folder)
        representation = Representation(load_denoiser("cnn10"), "output")

        def run(data: bytes) -> None:
            (folder / inner).write_bytes(data)
            found = find_generator(folder, representation)
            assert isinstance(found, Trained)
            json.dumps(generator_facts(found.entry))
            found.load(torch.device("cpu"))

        return run

    return Target(lambda: [(_GENERATOR / inner).read_bytes()], _mutate_json, prepare)


TARGETS = {
    "config/own_metadata": Target(
        _own_seeds("configs/metadata.json"), _mutate_json, _own_config("configs/metadata.json")
    ),
    "config/own_inference": Target(
        _own_seeds("configs/inference.json"), _mutate_json, _own_config("configs/inference.json")
    ),
    "config/foreign_json": Target(
        lambda: [json.dumps(one).encode() for one in _FOREIGN], _mutate_json, _foreign("inference.json")
    ),
    "config/foreign_yaml": Target(
        lambda: [yaml.safe_dump(one).encode() for one in _FOREIGN], _mutate_yaml, _foreign("inference.yaml")
    ),
    "config/card_toml": Target(
        lambda: [_CARD.encode(), _SECOND.encode()], _mutate_toml, _card("net.card.toml")
    ),
    "config/card_json": Target(_json_cards, _mutate_json, _card("net.card.json")),
    "config/training": Target(_trainings, _mutate_toml, _training),
    "config/generator_metadata": _generator("configs/metadata.json"),
    "config/generator_inference": _generator("configs/inference.json"),
}
