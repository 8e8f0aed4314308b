"""The model card of a bundle: what was trained on what, and the figures that were measured, none else."""

# ruff: noqa: E501  # the Markdown in here is filled with values of unknown length

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from ctinv.errors import InputError
from ctinv.quality.table import LEGEND, absolute, full_row, table, verdict


def references(network: nn.Module) -> list[str]:
    """The publications named under ``References:`` in the docstring of the network's class."""
    text = inspect.getdoc(type(network)) or ""
    _, found, tail = text.partition("References:\n")
    return [" ".join(line.strip() for line in tail.strip().splitlines())] if found else []


def model_card(
    about: Mapping[str, Any],
    network: nn.Module,
    training: Mapping[str, Any] | None,
    data_source: str = "",
    beside: Mapping[str, Any] | None = None,
) -> str:
    """docs/README.md of a bundle, in Markdown.

    Args:
        about: The block ``ctinv`` of metadata.json.
        network: With its class's docstring.
        training: Report of `ctinv.training.train_denoiser`.
        data_source: Where the training data come from.
        beside: Content of docs/denoisers.json; its classical filters are put beside the network.

    Raises:
        InputError: ``beside`` was measured on other images than the report.
    """
    size = sum(parameter.numel() for parameter in network.parameters())
    summary = (inspect.getdoc(type(network)) or "").partition("\n\n")[0].replace("\n", " ")
    unit = about.get("unit", "HU")
    parts = [
        f"# {about['name']}: a denoiser of {'low-dose CT' if unit == 'HU' else 'MR magnitude images'}",
        f"{summary}\n\nHere: {size:,} parameters, float32. " + " ".join(references(network)),
        "## Use",
        f"""```python
from ctinv import load_denoiser

denoiser = load_denoiser("{about["name"]}")  # or the path of this folder; {unit} in, {unit} out
```

The network sees (value − ({about["mean_hu"]:g})) / {about["std_hu"]:g}; `load_denoiser` converts, and so do the pre- and
postprocessing in `configs/inference.json`. Slices are axial, rows towards posterior and columns towards the left
of the patient. With MONAI (extra `bundle`), every NIfTI file of a folder:

```
python -m monai.bundle run --config_file configs/inference.json --bundle_root . --dataset_dir IN --output_dir OUT
```

Taps: `input`, {", ".join(f"`{tap}`" for tap in about["taps"])}, `output`.""",
        _training(training) if training else "## Training\n\nNot recorded.",
        *(_measured(training, beside or {}) if training else []),
        *([f"## Data\n\n{data_source}"] if data_source else []),
        "## Limits",
        f"""A subject for the study of invariances, trained on few patients; not a product, not for diagnosis. The {_WORSE[unit == "HU"]}
is simulated from one scan per patient, whose own noise the other side still carries, so that no denoiser can
reach an RMSE of 0; real scans differ. Zero padding: within the receptive-field radius of the image border
the output is not what it would be further inside, and the loss never saw that margin.""",
    ]
    return "\n\n".join(parts) + "\n"


def _training(training: Mapping[str, Any]) -> str:
    """What the report says of the training; a key that an older report lacks is left out."""
    config = training["config"]
    roles = (role for role in ("train", "validate", "test") if config.get(role))
    patients = "; ".join(f"{role} {', '.join(config[role])}" for role in roles)
    rates = (config["learning_rate"], config["last_learning_rate"])
    fall = "constant" if config.get("schedule") == "constant" else f"to {rates[1]:g} on a cosine"
    objective = training.get("objective") or "Mean squared error"
    sentences = [
        f"Patients, split by patient: {patients}.",
        f"Low dose: {config['dose']:.0%} of the scan's dose, inserted in projection space (`ctinv.simulate`)."
        if config.get("unit", "HU") == "HU"
        else "Rician noise was added to the images (`ctinv.simulate`).",
        f"{objective.rstrip('.')}, on patches of {config['patch']}x{config['patch']} pixels without a margin of "
        f"{config['margin']}, batches of {config['batch']}, {training['steps']} steps of Adam, learning rate "
        f"{rates[0]:g} {fall}, seed {config['seed']}.",
        _TARGETS.get(config.get("target", ""), ""),
        _KEPT.get(config.get("choose_by", "rmse"), "").format(training["best"]["step"]),
        _start(config, training.get("started_from") or {}),
        f"{training['seconds'] / 60:.0f} minutes, torch {training['torch']}.",
    ]
    other = f"\n\nOther than published: {training['published']}" if training.get("published") else ""
    return "## Training\n\n" + "\n".join(sentence for sentence in sentences if sentence) + other


_WORSE = {True: "low dose", False: "noise"}
_TARGETS = {
    "independent": "The target is a recorrupted full dose whose noise is independent of the low dose's.",
}
_KEPT = {
    "rmse": "The weights of step {}, of least RMSE on the validation patients, are kept.",
    "texture": "The weights of step {}, whose noise power spectrum is nearest to full dose on the validation patients, are kept.",
    "last": "The weights of the last step, {}, are kept.",
}


def _start(config: Mapping[str, Any], hashes: Mapping[str, str]) -> str:
    start = config.get("start", "")
    if start == "identity":
        return "The start was near the identity."
    sha256 = next(iter(hashes.values()), "")
    return (
        f"The start were the weights of {start}{f' (sha256 {sha256[:12]}…)' if sha256 else ''}."
        if start
        else ""
    )


def _measured(training: Mapping[str, Any], beside: Mapping[str, Any]) -> list[str]:
    """One table per patient with the classical filters beside the network, and what follows from it."""
    parts = ["## Measured"]
    for patient, figures in training["figures"].items():
        filters = _filters(patient, figures, beside)
        rows = {"full dose": full_row(figures.get("full", {})), "low dose, unprocessed": figures["low"]}
        rows |= {"denoised": figures["denoised"]} | {f"best {label}": of for label, of in filters.items()}
        said = [*verdict(figures["denoised"], figures["low"], filters), absolute(figures.get("full", {}))]
        parts += [f"### {patient}, {figures['slices']} slices", table(rows), " ".join(filter(None, said))]
    return [*(part for part in parts if part), LEGEND]


def _filters(
    patient: str, figures: Mapping[str, Any], beside: Mapping[str, Any]
) -> dict[str, Mapping[str, float | None]]:
    """Label to figures of the classical filters on the same images."""
    of = beside.get("patients", {}).get(patient)
    if of is None:
        return {}
    one, other = (row["rmse_hu"] for row in (figures["low"], of["images"]["low"]))
    if figures["slices"] != of["slices"] or abs(one - other) > 1e-3 * other:
        raise InputError(
            f"the filters were measured on other images of {patient} (low dose {other:.2f} HU) than the network "
            f"({one:.2f} HU); measure them again."
        )
    return {row["label"]: of["images"][key] for key, row in beside["filters"].items()}
