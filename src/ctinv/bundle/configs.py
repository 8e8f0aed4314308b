"""The two configs of a bundle: MONAI's metadata.json and inference.json."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ctinv.bundle.card import references

SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
)
IMPORTS = ("$import glob",)


def metadata_json(
    about: Mapping[str, Any], network: nn.Module, version: str, data_source: str
) -> dict[str, Any]:
    """MONAI's metadata, after its schema of 2024-07-25, with the block ``ctinv`` beside it."""
    ct = about.get("unit", "HU") == "HU"
    lowest, highest = (-1024, 3071) if ct else (0, 4095)
    tensor = {
        "type": "image",
        "format": "hounsfield" if ct else "magnitude",
        "modality": "CT" if ct else "MR",
        "num_channels": 1,
        "spatial_shape": ["*", "*"],
        "dtype": "float32",
        "value_range": [
            (lowest - about["mean_hu"]) / about["std_hu"],
            (highest - about["mean_hu"]) / about["std_hu"],
        ],
        "is_patch_data": False,
        "channel_def": {"0": "image"},
    }
    content = {
        "task": "Denoising of low-dose CT" if ct else "Denoising of MR magnitude images",
        "description": f"{type(network).__name__}: {'low-dose to full-dose CT' if ct else 'noisy to less noisy MR'}, "
        "slice by slice; for study only.",
        "data_type": "CT in Hounsfield units" if ct else "MR magnitudes in arbitrary units",
        "references": references(network),
        "network_data_format": {
            "inputs": {"image": tensor},
            "outputs": {"pred": tensor},
        },
    }
    needs = {"nibabel": importlib.metadata.version("nibabel"), "pytorch-ignite": ">=0.5"}
    return envelope(content, about, version=version, data_source=data_source, needs=needs)


def envelope(
    content: Mapping[str, Any],
    about: Mapping[str, Any],
    *,
    version: str,
    data_source: str,
    needs: Mapping[str, str],
) -> dict[str, Any]:
    """What the metadata of every bundle say, around what is special to one.

    Args:
        content: Task, description, data type and format.
        about: The block ``ctinv``.
        version: Of the bundle.
        data_source: Where the training data come from.
        needs: Packages beside ours and safetensors, with their versions.
    """
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
            **needs,
            "safetensors": versions["safetensors"],
        },
        "authors": "The napari-ctinv developers",
        "copyright": "Copyright (c) 2026, the napari-ctinv developers",
        **({"data_source": data_source} if data_source else {}),
        "intended_use": "Study of what a denoiser ignores. Not for diagnosis.",
        **content,
        "ctinv": dict(about),
    }


def inference_json(definition: Mapping[str, Any], mean: float, std: float) -> dict[str, Any]:
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
        "imports": list(IMPORTS),
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
