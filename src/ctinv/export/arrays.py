"""A study as NIfTI files and as one OME-Zarr folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.export.content import TITLES, certificates_of, image_of, map_of
from ctinv.export.wanted import Choice
from ctinv.io.nifti import write_nifti_array
from ctinv.io.ome_zarr import Image, write_ome_zarr
from ctinv.progress import Progress
from ctinv.report import Study

STACK = "samples"
_STACK_TITLE = "Samples x~, one after the other; their certificates in the same order"


def write_niftis(study: Study, choice: Choice, folder: Path, *, progress: Progress) -> None:
    """One file for each image and map, and one of four dimensions for the samples."""
    for name, values, affine, _ in _planes(study, choice):
        progress(f"writing {name}", float("nan"))
        write_nifti_array(values, affine, folder / f"{name}.nii.gz")
    if choice.samples:
        stack = np.stack(list(_read(study, choice, progress)))
        progress("packing the samples", float("nan"))
        write_nifti_array(stack, study.setting.volume.affine, folder / f"{STACK}.nii.gz")


def write_zarr(study: Study, choice: Choice, folder: Path, *, progress: Progress) -> None:
    """All of it in one OME-Zarr folder, the samples read and written one by one."""
    images = [
        Image(name, TITLES[name], values.shape, values, affine, unit)
        for name, values, affine, unit in _planes(study, choice)
    ]
    if choice.samples:
        facts = {"rows": list(choice.samples), "certificates": certificates_of(study, choice.samples)}
        volume = study.setting.volume
        shape = (len(choice.samples), *volume.shape)
        samples = _read(study, choice, progress)
        images.insert(0, Image(STACK, _STACK_TITLE, shape, samples, volume.affine, volume.unit, facts))
    write_ome_zarr(folder, images, facts=about(study))


def about(study: Study) -> dict[str, Any]:
    """Where it comes from, as JSON values without any identity."""
    provenance = study.provenance
    return {"key": provenance.key(), "provenance": provenance.to_json(), "summary": study.summary()}


def _planes(
    study: Study, choice: Choice
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.float64], str]]:
    """Name, values (1, h, w), affine and unit of each chosen image and map."""
    volume = study.setting.volume
    for name in choice.images:
        yield name, image_of(study, name), volume.affine, volume.unit
    for name in choice.maps:
        yield name, *map_of(study, name)


def _read(study: Study, choice: Choice, progress: Progress) -> Iterator[NDArray[np.float32]]:
    """(1, h, w) of each chosen sample."""
    for index, k in enumerate(choice.samples):
        progress(f"writing sample {k}", index / len(choice.samples))
        yield study.read(k)[None]
