"""Small patients on disk, and a small network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from pydicom import dcmread
from torch import nn

from ctinv.denoiser import Denoiser
from ctinv.io.dicom_write import write_series
from ctinv.simulate import simulate_low_dose, water_phantom
from ctinv.volume import Volume

SIZE = 16


@cache
def volume(seed: int, *, slices: int = 2) -> Volume:
    """A water cylinder with a dense rod, noise of its own for each seed."""
    phantom = water_phantom(size=96, pixel_mm=1.0, diameter_mm=80.0, slices=slices)
    hu = phantom.hu + np.float32(40.0)
    hu[:, 40:52, 30:42] = 700.0
    return simulate_low_dose(replace(phantom, hu=hu), dose=0.02, seed=seed, photons=100_000.0)


def write_array(folder: Path, name: str, seed: int, *, facts: dict[str, object] | None = None) -> Path:
    """NAME.npy with its spacing beside it."""
    folder.mkdir(exist_ok=True, parents=True)
    np.save(folder / f"{name}.npy", volume(seed).hu)
    about = {"spacing_mm": [2.5, 1.0, 1.0], **(facts or {})}
    (folder / f"{name}.json").write_text(json.dumps(about))
    return folder / f"{name}.npy"


def write_dicom(folder: Path, seed: int, *, patient: Sequence[str] = ()) -> Path:
    """A series of DICOM files, of a patient with this name and number if they are given."""
    write_series(volume(seed), folder, description="test", template=None, derived={}, slope=1.0)
    for path in sorted(folder.iterdir()) if patient else ():
        dataset = dcmread(path)
        dataset.PatientName, dataset.PatientID = patient
        dataset.save_as(path)
    return folder


def smoothing(name: str = "smoothing") -> Denoiser:
    """A mild smoothing."""
    convolution = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    convolution.weight.data = torch.tensor([[[[0.05, 0.1, 0.05], [0.1, 0.4, 0.1], [0.05, 0.1, 0.05]]]])
    return Denoiser(convolution, name=name, mean=0.0, std=1.0, unit="HU")
