"""Write trained generators as a MONAI bundle: definitions as data, weights as safetensors, one set of files per tap.

Taps that share an autoencoder share its file. The version of FrEIA stands in the bundle, as other versions compute other
functions from the same weights.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from ctinv.bundle.configs import envelope
from ctinv.bundle.export import UNLICENSED, as_json, write_folder
from ctinv.bundle.generator_card import generator_card
from ctinv.denoiser import Denoiser
from ctinv.errors import InputError
from ctinv.generators.kinds import KINDS
from ctinv.generators.model import GeneratorModel

Definition = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class TapPart:
    """A finished generator at one tap.

    Attributes:
        tap: Where Φ is taken.
        model: With trained weights.
        autoencoder, flow: Class name and literal arguments of its parts.
        report: Of `ctinv.training.generator.train_generator`.
        command: That makes it again, for the model card.
        half: Whether the flow's weights are stored in half precision; they are computed with in single precision.
    """

    tap: str
    model: GeneratorModel
    autoencoder: Definition | None
    flow: Definition | None
    report: Mapping[str, Any]
    command: str = ""
    half: bool = False


def export_generator(
    folder: Path,
    parts: Sequence[TapPart],
    *,
    name: str,
    denoiser: Denoiser,
    license_text: str = UNLICENSED,
    data_source: str = "",
    version: str = "0.1.0",
) -> Path:
    """Write the bundle of one generator of one denoiser, whole or not at all; an older one in its place is replaced.

    Args:
        folder: The bundle; its parent must exist.
        parts: At least one tap; all of one kind and one scale.
        name: Of the bundle.
        denoiser: f, whose weights the bundle names.
        license_text: Content of LICENSE.
        data_source: Where the training data come from and under which terms.
        version: Of the bundle.

    Raises:
        InputError: The parts do not belong together, or the folder exists and is no bundle.
        ResourceError: The disk is full or the place cannot be written; an older bundle stays.
    """
    if len({(part.model.kind, part.model.mean, part.model.std, part.model.scale) for part in parts}) != 1:
        raise InputError("a bundle holds generators of one kind and one scale; export the others apart.")
    if folder.exists() and not (folder / "configs" / "metadata.json").is_file():
        raise InputError(f"{folder.name} exists and is no bundle; choose another folder.")
    files: dict[str, bytes] = {}
    definitions: dict[str, Any] = {}
    taps: dict[str, Any] = {}
    for part in parts:
        taps[part.tap] = {
            "autoencoder": _add(
                files, definitions, "autoencoder", part.tap, part.model.autoencoder, part.autoencoder
            ),
            "flow": _add(files, definitions, "flow", part.tap, part.model.flow, part.flow, half=part.half),
            "sees_output": part.model.conditional,
            "sigma_out_hu": part.report["sigma_out_hu"],
            "figures": {stage: done["figures"] for stage, done in part.report["stages"].items()},
            "training": _training(part.report),
        }
    model = parts[0].model
    about = {
        "role": "generator",
        "name": name,
        "kind": model.kind,
        "domain": KINDS[model.kind].domain,
        "denoiser": denoiser.name,
        "denoiser_sha256": dict(denoiser.weights_sha256),
        "mean_hu": model.mean,
        "std_hu": model.std,
        "scale_hu": model.scale,
        "taps": taps,
        "weights_sha256": {key: hashlib.sha256(content).hexdigest() for key, content in files.items()},
        "freia": importlib.metadata.version("FrEIA"),
    }
    contents = {
        "LICENSE": license_text.encode(),
        "configs/metadata.json": as_json(_metadata(about, version, data_source)),
        "configs/inference.json": as_json({"bundle_root": ".", **definitions}),
        "docs/README.md": generator_card(about, parts, data_source).encode(),
        **{f"models/{key}": content for key, content in files.items()},
    }
    write_folder(folder, contents)
    return folder


def _add(
    files: dict[str, bytes],
    definitions: dict[str, Any],
    role: str,
    tap: str,
    network: nn.Module | None,
    definition: Definition | None,
    *,
    half: bool = False,
) -> dict[str, str] | None:
    """Put a network's weights and definition into a bundle; files and definitions that are there already are shared."""
    if network is None or definition is None:
        return None
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    if half:  # weights alone: means and scales of Φ keep their digits
        weights = {key for key, _ in network.named_parameters()}
        state = {key: value.half() if key in weights else value for key, value in state.items()}
    content = save(state)
    file = next((known for known, old in files.items() if old == content), None)
    if file is None:
        first = not any(known.startswith(role) for known in files) and role == "autoencoder"
        file = f"{role}.safetensors" if first else f"{role}_{tap}.safetensors"
        files[file] = content
    module = "autoencoders" if role == "autoencoder" else "flows"
    whole = {**definition, "_target_": f"ctinv.networks.{module}.{definition['_target_']}"}
    key = next((known for known, old in definitions.items() if old == whole), None)
    if key is None:
        key = f"{role}_{tap}_def"
        definitions[key] = whole
    return {"definition": key, "file": file}


def _training(report: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the weights."""
    config = report["config"]
    keys = ("train", "validate", "test", "dose", "batch", "patch", "seed", "autoencoder", "flow", "fibre")
    return {**{key: config[key] for key in keys}, "seconds": report["seconds"]}


def _metadata(about: Mapping[str, Any], version: str, data_source: str) -> dict[str, Any]:
    """MONAI's metadata, after its schema of 2024-07-25, with the block ``ctinv`` beside it."""
    tensor = {
        "type": "image",
        "format": "hounsfield",
        "modality": "CT",
        "num_channels": 1,
        "spatial_shape": ["*", "*"],
        "dtype": "float32",
        "value_range": [-1024, 3071],
        "is_patch_data": False,
        "channel_def": {"0": "image"},
    }
    content = {
        "task": f"Candidates for invariances of the CT denoiser {about['denoiser']}",
        "description": f"{KINDS[about['kind']].title}; the engine of napari-ctinv certifies or refuses what it proposes.",
        "data_type": "CT in Hounsfield units",
        "network_data_format": {"inputs": {"image": tensor}, "outputs": {"pred": tensor}},
    }
    needs = {"FrEIA": about["freia"]}
    return envelope(content, about, version=version, data_source=data_source, needs=needs)
