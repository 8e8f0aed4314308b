"""Readers: a DICOM folder or file, NIfTI, NRRD or MetaImage, or one of our studies, to layers.

Each `get_…` looks at names and a few bytes only and answers None for what is not ours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from napari_ctinv.layers import LayerTuple, study_layers, volume_layer
from napari_ctinv.telling import tells

PathOrPaths = str | list[str]
Reader = Callable[[PathOrPaths], list[LayerTuple]]

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
SNIFFED_FILES = 200
"""Files of a folder that are looked at before it counts as one without DICOM."""


def get_reader(path: PathOrPaths) -> Reader | None:
    """The reader for a path, or None at once if it is not ours."""
    paths = [Path(entry) for entry in ([path] if isinstance(path, (str, os.PathLike)) else path)]
    if not paths:
        return None
    first = paths[0]
    if len(paths) == 1 and is_study(first):
        return read_study
    if len(paths) == 1 and first.name.lower().endswith(IMAGE_SUFFIXES) and first.is_file():
        return read_image
    if first.is_dir():
        return read_dicom if len(paths) == 1 and any(map(is_dicom, _some_files(first))) else None
    return read_dicom if all(map(is_dicom, islice(paths, SNIFFED_FILES))) else None


@tells
def read_dicom(path: PathOrPaths) -> list[LayerTuple]:
    """The CT series in a folder, or the series that one of its files belongs to."""
    from ctinv.io.dicom import read_series

    return [volume_layer(read_series(_first(path)))]


@tells
def read_image(path: PathOrPaths) -> list[LayerTuple]:
    """A NIfTI, NRRD or MetaImage volume in HU."""
    from ctinv.io import read

    return [volume_layer(read(_first(path)))]


@tells
def read_study(path: PathOrPaths) -> list[LayerTuple]:
    """A stored study: x, f(x), maps and samples, without any network."""
    from ctinv.sampler import Store
    from napari_ctinv.arrival import show_in_current_viewer

    store = Store.open(_first(path))
    show_in_current_viewer()
    return study_layers(store)


def is_dicom(path: Path) -> bool:
    """Whether a file says it is DICOM at byte 128; no pixel is read."""
    try:
        with path.open("rb") as file:
            file.seek(128)
            return file.read(4) == b"DICM"
    except OSError:
        return False


def is_study(path: Path) -> bool:
    """Whether a folder is a zarr group that this package wrote."""
    try:
        attributes: Any = json.loads((path / "zarr.json").read_text(encoding="utf-8")).get("attributes", {})
    except (OSError, ValueError, AttributeError):
        return False
    return isinstance(attributes, dict) and "ctinv" in attributes


def _some_files(folder: Path) -> Iterator[Path]:
    """The first files below a folder; links are not followed."""
    files = (Path(parent) / name for parent, _folders, names in os.walk(folder) for name in sorted(names))
    return islice(files, SNIFFED_FILES)


def _first(path: PathOrPaths) -> Path:
    return Path(path if isinstance(path, (str, os.PathLike)) else path[0])
