"""Write a trained denoiser as a MONAI bundle that both MONAI and the static loader of this package read.

The bundle's network maps normalised images to normalised images, as MONAI expects; its pre- and
postprocessing turn HU into that unit and back, and bring a NIfTI to the rows and columns on which the network
was trained.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
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

from ctinv.bundle.card import model_card, references
from ctinv.errors import InputError, ResourceError
from ctinv.networks import NETWORKS

SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
)
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
        "taps": dict(taps),
        "weights_sha256": {key: hashlib.sha256(content).hexdigest() for key, content in files.items()},
        "training": _training_facts(training),
    }
    metadata = _metadata(about, network, version, data_source)
    contents = {
        "LICENSE": license_text.encode(),
        "configs/metadata.json": _json(metadata),
        "configs/inference.json": _json(_inference(definition, mean, std)),
        "docs/README.md": model_card(about, network, training, data_source).encode(),
        **{f"models/{key}": content for key, content in files.items()},
    }
    _write_folder(folder, contents)
    return folder


def export_run(
    run: Path, folder: Path, *, license_text: str, data_source: str, version: str = "0.1.0"
) -> Path:
    """Write the bundle of a finished training again, with a licence and the source of its data, to be shipped.

    Args:
        run: Folder that `ctinv.training.train_denoiser` wrote, with report.json and best.safetensors.
        folder, license_text, data_source, version: As in `export_bundle`.

    Raises:
        InputError: The run is not finished.
    """
    try:
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        tensors = load_file(run / "best.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"{run.name} holds no finished training; let it run to its end first.") from error
    config = report["config"]
    spec = NETWORKS[config["network"]]
    with torch.device("meta"):
        network = spec.network()
    network.load_state_dict(tensors, strict=True, assign=True)
    return export_bundle(
        folder,
        network=network,
        target=config["network"],
        name=config["name"],
        mean=config["mean"],
        std=config["std"],
        taps=spec.taps,
        training=report,
        license_text=license_text,
        data_source=data_source,
        version=version,
    )


def _training_facts(training: Mapping[str, Any] | None) -> dict[str, Any]:
    """What decides the weights, and the measured figures, for metadata.json."""
    if training is None:
        return {}
    keys = ("train", "validate", "test", "dose", "steps", "batch", "patch", "seed")
    facts = {key: training["config"][key] for key in keys if key in training["config"]}
    return {**facts, "best_step": training["best"]["step"], "figures": training["figures"]}


def _metadata(about: Mapping[str, Any], network: nn.Module, version: str, data_source: str) -> dict[str, Any]:
    """MONAI's metadata, after its schema of 2024-07-25, with the block ``ctinv`` beside it."""
    tensor = {
        "type": "image",
        "format": "hounsfield",
        "modality": "CT",
        "num_channels": 1,
        "spatial_shape": ["*", "*"],
        "dtype": "float32",
        "value_range": [
            (-1024 - about["mean_hu"]) / about["std_hu"],
            (3071 - about["mean_hu"]) / about["std_hu"],
        ],
        "is_patch_data": False,
        "channel_def": {"0": "image"},
    }
    versions = {package: importlib.metadata.version(package) for package in ("monai", "numpy", "safetensors")}
    return {
        "schema": SCHEMA,
        "version": version,
        "changelog": {version: "trained and measured as docs/README.md says"},
        "monai_version": versions["monai"],
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": versions["numpy"],
        "required_packages_version": {
            "napari-ctinv": importlib.metadata.version("napari-ctinv"),
            "nibabel": importlib.metadata.version("nibabel"),
            "pytorch-ignite": ">=0.5",
            "safetensors": versions["safetensors"],
        },
        "task": "Denoising of low-dose CT",
        "description": f"{type(network).__name__}: low-dose to full-dose CT, slice by slice; for study only.",
        "authors": "The napari-ctinv developers",
        "copyright": "Copyright (c) 2026, the napari-ctinv developers",
        **({"data_source": data_source} if data_source else {}),
        "data_type": "CT in Hounsfield units",
        "intended_use": "Study of what a denoiser ignores. Not for diagnosis.",
        "references": references(network),
        "network_data_format": {
            "inputs": {"image": tensor},
            "outputs": {"pred": tensor},
        },
        "ctinv": dict(about),
    }


def _inference(definition: Mapping[str, Any], mean: float, std: float) -> dict[str, Any]:
    """MONAI's inference.json: every NIfTI in ``dataset_dir`` to a denoised NIfTI in ``output_dir``, in HU."""
    to_unit = {"a_min": mean, "a_max": mean + std, "b_min": 0.0, "b_max": 1.0, "clip": False}
    to_hu = {"a_min": 0.0, "a_max": 1.0, "b_min": mean, "b_max": mean + std, "clip": False}
    rows_first = [
        0,
        2,
        1,
        3,
    ]  # (1, x, y, z) to (1, y, x, z): the network was trained on rows and columns, and back
    return {
        "imports": ["$import glob"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/data'",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/*.nii*')))",
        "network_def": dict(definition),
        "network": "$@network_def.to(@device)",
        "preprocessing": _compose(
            {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "LPS"},
            {"_target_": "Transposed", "keys": "image", "indices": rows_first},
            {"_target_": "ScaleIntensityRanged", "keys": "image", **to_unit},
        ),
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': i} for i in @datalist]",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {"_target_": "SliceInferer", "spatial_dim": 2, "roi_size": [-1, -1], "sw_batch_size": 4},
        "postprocessing": _compose(
            {"_target_": "ScaleIntensityRanged", "keys": "pred", **to_hu},
            {"_target_": "Transposed", "keys": "pred", "indices": rows_first},
            {
                "_target_": "SaveImaged",
                "keys": "pred",
                "output_dir": "@output_dir",
                "output_postfix": "denoised",
                "resample": False,
                "separate_folder": False,
            },
        ),
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": "$@bundle_root + '/models/model.pt'",
                "load_dict": {"model": "@network"},
                "strict": True,
            }
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "run": ["$@evaluator.run()"],
    }


def _compose(*transforms: dict[str, Any]) -> dict[str, Any]:
    return {"_target_": "Compose", "transforms": list(transforms)}


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
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
    except OSError as error:
        raise ResourceError(
            f"the bundle {folder.name} could not be written ({error.strerror}); free some space or choose another folder."
        ) from error
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
