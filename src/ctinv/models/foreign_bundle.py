"""MONAI bundles of other people: the class and the weights are read, everything that would run is left alone.

Of the config only ``network_def`` is looked at, as data; of the weights ``model.safetensors``, or else ``model.pt`` as far
as it is tensors. HU conventions of such bundles stand in transforms that would have to run, so they come from a card or a
guess.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from ctinv.errors import ModelError
from ctinv.models.build import build, rebuild_lost_buffers
from ctinv.models.bundle_tree import CONFIGS
from ctinv.models.files import inside, read_bytes, read_object, sha256
from ctinv.models.literals import Definition
from ctinv.models.shipped import PICKLED, WEIGHTS
from ctinv.models.weights import fill, fitting, nearest, read_pickled, read_safetensors


def read_foreign_bundle(folder: Path) -> tuple[nn.Module, dict[str, str], str]:
    """The network of a bundle, sha256 by file name, and a sentence on what was read.

    Raises:
        ModelError: The bundle needs code to be run, asks for a class that is not allowed, or does not fit its weights.
    """
    config_name, config = _config(folder)
    target, arguments = Definition(config).read()
    network = build(target, arguments)
    path = next((path for name in (WEIGHTS, PICKLED) if (path := folder / "models" / name).is_file()), None)
    if path is None:
        raise ModelError(
            f"the bundle {folder.name} has neither models/{WEIGHTS} nor models/{PICKLED}; get it again."
        )
    content = read_bytes(inside(folder, path.relative_to(folder)))
    read = read_safetensors if path.name == WEIGHTS else read_pickled
    payload = read(content, path.name)
    tensors = fitting(payload, network) or nearest(payload, network, path.name)
    fill(network, tensors, path.name, cast=True)
    rebuild_lost_buffers(network, target, arguments)
    note = f"{target} of a MONAI bundle, {config_name} read as data"
    return network, {path.name: sha256(content)}, note


def _config(folder: Path) -> tuple[str, dict[str, Any]]:
    """Name and content of the first config that defines a network."""
    names = [name for name in CONFIGS if (folder / "configs" / name).is_file()]
    if not names:
        raise ModelError(
            f"{folder.name} is no bundle: it has no configs/inference.json; name a file of weights or a bundle folder."
        )
    for name in names:
        config = read_object(inside(folder, f"configs/{name}"), bare=f"{name} of {folder.name}")
        if "network_def" in config:
            return name, config
    raise ModelError(f"the configs of {folder.name} have no network_def; nothing can be loaded from them.")
