"""Write a trained denoiser as a MONAI bundle that both MONAI and the static loader of this package read.

The bundle's network maps normalised images to normalised images, as MONAI expects; its pre- and
postprocessing turn HU into that unit and back, and bring a NIfTI to the rows and columns on which the network
was trained.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from ctinv.atomic import flush, refusal
from ctinv.bundle.card import model_card
from ctinv.bundle.configs import inference_json, metadata_json
from ctinv.errors import InputError
from ctinv.jsonable import dumps
from ctinv.networks import NETWORKS, taps_of

UNLICENSED = "The author of these weights has not stated a licence; write it here before passing them on.\n"


def export_bundle(
    folder: Path,
    *,
    network: nn.Module,
    target: str,
    name: str,
    mean: float,
    std: float,
    taps: Mapping[str, str],
    arguments: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    license_text: str = UNLICENSED,
    data_source: str = "",
    beside: Mapping[str, Any] | None = None,
    version: str = "0.1.0",
) -> Path:
    """Write a bundle folder whole or not at all; an older bundle in its place is replaced.

    Args:
        folder: The bundle; its parent must exist.
        network: With trained weights.
        target: Its key in ``ctinv.networks.NETWORKS``.
        name: Name of the denoiser.
        mean, std: HU the network sees as 0, and HU it sees as 1.
        taps: Public tap name to submodule path.
        arguments: Literal arguments of the network's class.
        training: Report of `ctinv.training.train_denoiser`; its figures go into the model card.
        license_text: Content of LICENSE.
        data_source: Where the training data come from and under which terms.
        beside: Figures of classical filters for the model card, as in docs/denoisers.json.
        version: Of the bundle.

    Raises:
        InputError: The target is not in the registry, or the folder exists and is no bundle.
        ResourceError: The disk is full or the place cannot be written; an older bundle stays.
    """
    if target not in NETWORKS:
        raise InputError(f"the network {target!r} is unknown; choose one of {', '.join(NETWORKS)}.")
    if folder.exists() and not (folder / "configs" / "metadata.json").is_file():
        raise InputError(f"{folder.name} exists and is no bundle; choose another folder.")
    definition = {"_target_": f"ctinv.networks.{target}", **(arguments or {})}
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    weights, pickled = save(state), io.BytesIO()
    torch.save(state, pickled)
    files = {"model.safetensors": weights, "model.pt": pickled.getvalue()}
    about = {
        "role": "denoiser",
        "name": name,
        "mean_hu": mean,
        "std_hu": std,
        **_images(training),
        "taps": dict(taps),
        "weights_sha256": {key: hashlib.sha256(content).hexdigest() for key, content in files.items()},
        "training": _training_facts(training),
    }
    metadata = metadata_json(about, network, version, data_source)
    contents = {
        "LICENSE": license_text.encode(),
        "configs/metadata.json": as_json(metadata),
        "configs/inference.json": as_json(inference_json(definition, mean, std)),
        "docs/README.md": model_card(about, network, training, data_source, beside).encode(),
        **{f"models/{key}": content for key, content in files.items()},
    }
    write_folder(folder, contents)
    return folder


def export_run(
    run: Path,
    folder: Path,
    *,
    license_text: str,
    data_source: str,
    beside: Mapping[str, Any] | None = None,
    version: str = "0.1.0",
) -> Path:
    """Write the bundle of a finished training again, with a licence and the source of its data, to be shipped.

    Args:
        run: Folder that `ctinv.training.train_denoiser` wrote, with report.json and best.safetensors.
        folder, license_text, data_source, beside, version: As in `export_bundle`.

    Raises:
        InputError: The run is not finished.
    """
    try:
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        tensors = load_file(run / "best.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"{run.name} holds no finished training; let it run to its end first.") from error
    config = report["config"]
    spec, arguments = NETWORKS[config["network"]], config.get("arguments", {})
    with torch.device("meta"):
        network = spec.network(**arguments)
    network.load_state_dict(tensors, strict=True, assign=True)
    return export_bundle(
        folder,
        network=network,
        target=config["network"],
        name=config["name"],
        mean=config["mean"],
        std=config["std"],
        arguments=arguments,
        taps=taps_of(spec, network),
        training=report,
        license_text=license_text,
        data_source=data_source,
        beside=beside,
        version=version,
    )


def _images(training: Mapping[str, Any] | None) -> dict[str, Any]:
    """Unit and number of slices of the images that the network takes, as its training had them."""
    config = {} if training is None else training["config"]
    return {"unit": config.get("unit", "HU"), "slices": config.get("slices", 1)}


def _training_facts(training: Mapping[str, Any] | None) -> dict[str, Any]:
    """What decides the weights, and the measured figures, for metadata.json."""
    if training is None:
        return {}
    keys = ("train", "validate", "test", "dose", "steps", "batch", "patch", "seed")
    facts = {key: training["config"][key] for key in keys if key in training["config"]}
    return {**facts, "best_step": training["best"]["step"], "figures": training["figures"]}


def as_json(value: Mapping[str, Any]) -> bytes:
    """A config file's content; NaN as null."""
    return (dumps(value, indent=2) + "\n").encode()  # NaN as null


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """All files in a temporary sibling, synced, then one rename; an older folder is moved aside first."""
    mark = uuid.uuid4().hex[:8]
    part, old = (
        folder.with_name(f".{folder.name}.{mark}.part"),
        folder.with_name(f".{folder.name}.{mark}.old.part"),
    )
    try:
        for inner, content in contents.items():
            path = part / inner
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
        flush(folder.parent)
    except OSError as error:
        raise refusal(folder, error, size=sum(map(len, contents.values()))) from error
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
