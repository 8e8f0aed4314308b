"""MONAI bundles: code in every place of a config, links that lead out, classes that fetch; and bundles of generators."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import torch
import yaml
from attack_pickles import Call
from attack_place import Place, attack
from attack_programs import WritesAtLoad, script
from safetensors.torch import save_file

NETS = "monai.networks.nets"
UNET: dict[str, Any] = {
    "_target_": f"{NETS}.UNet",
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 1,
    "channels": [4, 8],
    "strides": [2],
}
OURS: dict[str, Any] = {"_target_": "ctinv.networks.CNN10", "channels": [2, 2]}
SHAPES = {"conv1": (2, 1, 9, 9), "conv2": (2, 2, 3, 3), "conv3": (1, 2, 5, 5)}


def state() -> dict[str, torch.Tensor]:
    """Weights of `OURS` that keep an image: one channel through."""
    found = {f"{name}.weight": torch.zeros(shape) for name, shape in SHAPES.items()}
    for tensor in found.values():
        tensor[0, 0, tensor.shape[2] // 2, tensor.shape[3] // 2] = 1.0
    return found | {f"{name}.bias": torch.zeros(shape[0]) for name, shape in SHAPES.items()}


def bundle(place: Place, config: Any, *, name: str = "inference.json", weights: bool = True) -> Path:
    """A bundle around a config, given as data or as text."""
    folder = place.folder / "zoo"
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "card.toml").write_text("mean_hu = 0\nstd_hu = 1000\nflat_check = false\n")
    (folder / "configs" / "metadata.json").write_text('{"version": "0.1.0"}')
    (folder / "configs" / name).write_text(config if isinstance(config, str) else json.dumps(config))
    if weights:
        torch.save(state(), folder / "models" / "model.pt")
    return folder


def expression(place: Place) -> str:
    return f"$exec({place.code!r})"


@attack("bundle: an expression as the network", naive="monai", trusted=True)
def whole(place: Place) -> Path:
    return bundle(place, {"network_def": expression(place)})


@attack("bundle: an expression among the arguments", naive="monai")
def argument(place: Place) -> Path:
    return bundle(place, {"network_def": {**OURS, "channels": expression(place)}})


@attack("bundle: an expression in a nested list", naive="monai")
def nested(place: Place) -> Path:
    return bundle(place, {"network_def": {**OURS, "channels": [[2, [expression(place)]], 2]}})


@attack("bundle: an expression as the class", naive="monai")
def as_class(place: Place) -> Path:
    return bundle(place, {"network_def": {**OURS, "_target_": expression(place)}})


@attack("bundle: an expression as a key")
def as_key(place: Place) -> Path:
    return bundle(place, {"network_def": {**OURS, expression(place): 1}})


@attack("bundle: the network behind a reference", naive="monai")
def behind(place: Place) -> Path:
    return bundle(place, {"network_def": "@a#b", "a": {"b": expression(place)}})


@attack("bundle: a function as the class", naive="monai", trusted=True)
def function(place: Place) -> Path:
    return bundle(place, {"network_def": {"_target_": "os.system", "command": place.shell}})


@attack("bundle: a class of its own scripts", naive="monai", trusted=True)
def scripts(place: Place) -> Path:
    folder = bundle(place, {"network_def": {"_target_": "scripts.net.Net"}})
    (folder / "scripts").mkdir()
    (folder / "scripts" / "__init__.py").write_text("")
    (folder / "scripts" / "net.py").write_text(f"{place.code}\nfrom ctinv.networks import CNN10 as Net\n")
    return folder


@attack("bundle: a file macro that leads out", trusted=True)
def macro(place: Place) -> Path:
    return bundle(
        place, {"network_def": {**OURS, "channels": f"%../../../outside/{place.secret.stem}.json#a"}}
    )


@attack("bundle: a file macro with a URL")
def url(place: Place) -> Path:
    return bundle(place, {"network_def": f"%http://127.0.0.1:{place.port}/x.json#a"})


@attack("bundle: what is required first", naive="monai")
def required(place: Place) -> Path:
    return bundle(place, {"network_def": {**OURS, "_requires_": [expression(place)]}})


@attack("bundle: the mode callable")
def callable_mode(place: Place) -> Path:
    return bundle(place, {"network_def": {**OURS, "_mode_": "callable"}})


@attack("bundle: the mode debug")
def debug_mode(place: Place) -> Path:
    return bundle(place, {"network_def": {**OURS, "_mode_": "debug"}})


@attack("bundle: a switch that is an expression", naive="monai")
def disabled(place: Place) -> Path:
    return bundle(place, {"network_def": {**OURS, "_disabled_": expression(place)}})


@attack("bundle: imports and a start that run", harmless=True)
def initialise(place: Place) -> Path:
    config = {
        "imports": ["$import os", expression(place)],
        "initialize": [expression(place)],
        "network_def": OURS,
    }
    return bundle(place, {**config, "run": [expression(place)]})


@attack("bundle: logging.conf with arguments that are evaluated", harmless=True)
def logging_conf(place: Place) -> Path:
    folder = bundle(place, {"network_def": OURS})
    (folder / "configs" / "logging.conf").write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=f\n[logger_root]\nhandlers=h\n[formatter_f]\n"
        f"[handler_h]\nclass=StreamHandler\nargs=(exec({place.code!r}),)\n"
    )
    return folder


@attack("bundle: code in metadata.json", harmless=True)
def in_metadata(place: Place) -> Path:
    folder = bundle(place, {"network_def": OURS})
    about = {
        "version": expression(place),
        "network_data_format": {"inputs": {"image": {"spatial_shape": [place.code]}}},
    }
    (folder / "configs" / "metadata.json").write_text(json.dumps(about))
    return folder


@attack("bundle: a tag of Python in YAML", naive="yaml", trusted=True)
def tag(place: Place) -> Path:
    return bundle(
        place, f"network_def: !!python/object/apply:os.system ['{place.shell}']", name="inference.yaml"
    )


@attack("bundle: YAML aliases that multiply")
def aliases(place: Place) -> Path:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    return bundle(place, "\n".join([*lines, "network_def: *a11"]), name="inference.yaml")


@attack("bundle: a key that stands there twice")
def two_keys(place: Place) -> Path:
    text = f'{{"network_def": {json.dumps(expression(place))}, "network_def": {json.dumps(OURS)}}}'
    return bundle(place, text)


@attack("bundle: a YAML key that stands there twice")
def two_yaml_keys(place: Place) -> Path:
    text = yaml.safe_dump({"network_def": expression(place)}) + yaml.safe_dump({"network_def": OURS})
    return bundle(place, text, name="inference.yaml")


@attack("bundle: a config that is a link to elsewhere")
def linked_config(place: Place) -> Path:
    folder = bundle(place, {}, name="train.json")
    (folder / "configs" / "inference.json").symlink_to(place.secret.with_suffix(".json"))
    return folder


@attack("bundle: weights that are a link to elsewhere")
def linked_weights(place: Place) -> Path:
    folder = bundle(place, {"network_def": OURS}, weights=False)
    (folder / "models" / "model.pt").symlink_to(place.secret)
    return folder


@attack("bundle: a folder of configs that is a link to elsewhere")
def linked_folder(place: Place) -> Path:
    folder = bundle(place, {}, name="x")
    for path in (folder / "configs").iterdir():
        path.unlink()
    (folder / "configs").rmdir()
    place.secret.with_name("inference.json").write_text(json.dumps({"network_def": OURS}))
    (folder / "configs").symlink_to(place.secret.parent)
    return folder


@attack("bundle: a card that is a link to elsewhere")
def linked_card(place: Place) -> Path:
    folder = bundle(place, {"network_def": OURS})
    (folder / "card.toml").unlink()
    (folder / "card.toml").symlink_to(place.secret)
    return folder


@attack("bundle: MONAI's own runner as the class")
def runner(place: Place) -> Path:
    return bundle(place, {"network_def": {"_target_": "monai.bundle.run", "config_file": str(place.secret)}})


@attack("bundle: torch.hub as the class")
def hub(place: Place) -> Path:
    return bundle(
        place,
        {"network_def": {"_target_": "torch.hub.load", "repo_or_dir": str(place.folder), "source": "local"}},
    )


@attack("bundle: a class that fetches its weights")
def fetches(place: Place) -> Path:
    arguments = {"in_channels": 1, "out_channels": 1, "backbone": "efficientnet-b0", "pretrained": True}
    return bundle(place, {"network_def": {"_target_": f"{NETS}.FlexibleUNet", **arguments}})


@attack("bundle: a class with a path among its arguments")
def path_argument(place: Place) -> Path:
    return bundle(place, {"network_def": {**UNET, "pretrained_path": str(place.secret)}})


@attack("bundle: a class with a URL among its arguments")
def url_argument(place: Place) -> Path:
    return bundle(place, {"network_def": {**UNET, "model_url": f"http://127.0.0.1:{place.port}/"}})


@attack("bundle: a module whose import does harm", naive="monai")
def imported(place: Place) -> Path:
    folder = bundle(place, {"network_def": {"_target_": "evil_module.Net"}})
    (folder / "evil_module.py").write_text(f"{place.code}\nfrom ctinv.networks import CNN10 as Net\n")
    return folder


@attack("bundle: arguments that are huge")
def huge(place: Place) -> Path:
    return bundle(place, {"network_def": {**UNET, "channels": [60_000] * 6, "strides": [1] * 5}})


@attack("bundle: a class under a look-alike of its name")
def look_alike(place: Place) -> Path:
    return bundle(place, {"network_def": {**OURS, "_target_": "ctinv.n\u0435tworks.CNN10"}})


@attack("bundle: names that begin like MONAI's networks")
def prefix(place: Place) -> Path:
    return bundle(
        place, {"network_def": {"_target_": f"{NETS}.np.lib.npyio.fromregex", "file": str(place.secret)}}
    )


@attack("bundle: a pickle as its weights", naive="monai weights", trusted=True)
def pickled(place: Place) -> Path:
    folder = bundle(place, {"network_def": OURS}, weights=False)
    torch.save({**state(), "x": Call(exec, place.code)}, folder / "models" / "model.pt")
    return folder


@attack("bundle: TorchScript as its weights")
def scripted(place: Place) -> Path:
    folder = bundle(place, {"network_def": OURS}, weights=False)
    script(WritesAtLoad(str(place.mark)), folder / "models" / "model.pt")
    return folder


@attack("bundle: a name with what a terminal obeys")
def terminal(place: Place) -> Path:
    return bundle(place, {"network_def": {"_target_": "\x1b[2J\x1b]0;evil\x07.Net"}})


def generator(
    place: Place, definition: Any = None, file: str = "autoencoder.safetensors", **about: Any
) -> Path:
    """A bundle of a generator of candidates."""
    folder = place.folder / "generator"
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    save_file({"a": torch.zeros(1)}, folder / "models" / "autoencoder.safetensors")
    block = {
        "role": "generator",
        "name": "g",
        "kind": "pca",
        "mean_hu": 0.0,
        "std_hu": 1.0,
        "scale_hu": 1.0,
        "freia": importlib.metadata.version("FrEIA"),
        "taps": {"output": {"autoencoder": {"definition": "d", "file": file}, "flow": None}},
        "weights_sha256": {},
        **about,
    }
    default = {"_target_": "ctinv.networks.autoencoders.LinearAutoencoder"}
    (folder / "configs" / "metadata.json").write_text(json.dumps({"ctinv": block}))
    (folder / "configs" / "inference.json").write_text(
        json.dumps({"d": default if definition is None else definition})
    )
    return folder


@attack("generator: an expression as its network", naive="monai d")
def generator_expression(place: Place) -> Path:
    return generator(place, expression(place))


@attack("generator: a function as its class", naive="monai d")
def generator_function(place: Place) -> Path:
    return generator(place, {"_target_": "os.system", "command": place.shell})


@attack("generator: weights that lie outside")
def generator_outside(place: Place) -> Path:
    return generator(place, file=f"../../../outside/{place.secret.name}")


@attack("generator: weights that are a link to elsewhere")
def generator_link(place: Place) -> Path:
    folder = generator(place, file="flow.safetensors")
    (folder / "models" / "flow.safetensors").symlink_to(place.secret)
    return folder


@attack("generator: metadata that are a link to elsewhere")
def generator_metadata(place: Place) -> Path:
    folder = generator(place)
    text = (folder / "configs" / "metadata.json").read_text()
    outside = place.secret.with_name("metadata.json")
    outside.write_text(text)
    (folder / "configs" / "metadata.json").unlink()
    (folder / "configs" / "metadata.json").symlink_to(outside)
    return folder
