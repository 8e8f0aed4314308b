"""What a path is, by its name and a few bytes; nothing is read that could be large."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def is_image(path: Path) -> bool:
    """Whether a name is that of a NIfTI, NRRD or MetaImage file."""
    return path.name.lower().endswith(IMAGE_SUFFIXES)


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
