"""The model card of a bundle: what was trained on what, and the figures that were measured, none else."""

# ruff: noqa: E501  # the Markdown in here is filled with values of unknown length

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn


def references(network: nn.Module) -> list[str]:
    """The publications named under ``References:`` in the docstring of the network's class."""
    text = inspect.getdoc(type(network)) or ""
    _, found, tail = text.partition("References:\n")
    return [" ".join(line.strip() for line in tail.strip().splitlines())] if found else []


def model_card(
    about: Mapping[str, Any], network: nn.Module, training: Mapping[str, Any] | None, data_source: str = ""
) -> str:
    """docs/README.md of a bundle, in Markdown."""
    size = sum(parameter.numel() for parameter in network.parameters())
    summary = (inspect.getdoc(type(network)) or "").partition("\n\n")[0].replace("\n", " ")
    parts = [
        f"# {about['name']}: a low-dose CT denoiser",
        f"{summary}\n\n{size:,} parameters, float32. " + " ".join(references(network)),
        "## Use",
        f"""```python
from ctinv import load_denoiser

denoiser = load_denoiser("{about["name"]}")  # or the path of this folder; HU in, HU out
```

The network sees (HU − ({about["mean_hu"]:g})) / {about["std_hu"]:g}; `load_denoiser` converts, and so do the pre- and
postprocessing in `configs/inference.json`. Slices are axial, rows towards posterior and columns towards the left
of the patient. With MONAI (extra `bundle`), every NIfTI file of a folder:

```
python -m monai.bundle run --config_file configs/inference.json --bundle_root . --dataset_dir IN --output_dir OUT
```

Taps: `input`, {", ".join(f"`{tap}`" for tap in about["taps"])}, `output`.""",
        *(_training(training) if training else ["## Training\n\nNot recorded."]),
        *([f"## Data\n\n{data_source}"] if data_source else []),
        "## Limits",
        """A subject for the study of invariances, trained on two patients; not a product, not for diagnosis. The low dose
is simulated from one scan per patient, whose own noise the full-dose side still carries, so that no denoiser can
reach an RMSE of 0; real low-dose scans differ. Zero padding: within the receptive-field radius of the image border
the output is not what it would be further inside, and the loss never saw that margin.""",
    ]
    return "\n\n".join(parts) + "\n"


def _training(training: Mapping[str, Any]) -> list[str]:
    config = training["config"]
    patients = "; ".join(
        f"{role} {', '.join(config[role]) or 'none'}" for role in ("train", "validate", "test")
    )
    best, edge, rates = (
        training["best"],
        config["patch"],
        (config["learning_rate"], config["last_learning_rate"]),
    )
    recipe = f"""## Training

Patients, split by patient: {patients}. Low dose: {config["dose"]:.0%} of the scan's dose, inserted in
projection space (`ctinv.simulate`). Mean squared error on patches of {edge}x{edge} pixels without a margin of
{config["margin"]}, batches of {config["batch"]}, {training["steps"]} steps of Adam, learning rate {rates[0]:g} to {rates[1]:g} on a cosine,
seed {config["seed"]}. The weights of step {best["step"]}, best on the validation patient, are kept. The start was near the
identity: two channels carry the image through. {training["seconds"] / 60:.0f} minutes, torch {training["torch"]}."""
    table = ["## Measured", "| patient | image | RMSE, HU | PSNR, dB | SSIM |\n|---|---|---|---|---|"]
    names = {"low": "low dose, unprocessed", "denoised": "denoised"}
    for patient, figures in training["figures"].items():
        for side, label in names.items():
            row = figures[side]
            table[1] += (
                f"\n| {patient}, {figures['slices']} slices | {label} "
                f"| {row['rmse_hu']:.2f} | {row['psnr_db']:.2f} | {row['ssim']:.4f} |"
            )
    note = """Against the full-dose scan, means over slices. RMSE over the pixels above −950 HU at full dose; PSNR and
SSIM (Gaussian window, σ 1.5) over whole slices clipped to −1000…1000 HU, data range 2000 HU."""
    return [recipe, *table, note]
