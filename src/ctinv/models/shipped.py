"""The bundles that come with the package, by name and by the hash of their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctinv.errors import ModelError
from ctinv.models.files import inside, read_object
from ctinv.resources import bundles_folder

METADATA, INFERENCE = "configs/metadata.json", "configs/inference.json"
WEIGHTS, PICKLED = "model.safetensors", "model.pt"


def shipped() -> list[str]:
    """Names of the shipped bundles."""
    folder = bundles_folder()
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if (path / METADATA).is_file())


def find_by_hash(sha256: str) -> str:
    """Name of the shipped bundle whose weights have this sha256.

    Raises:
        ModelError: There is none.
    """
    for name in shipped():
        about = read_config(bundles_folder() / name, METADATA).get("ctinv")
        if isinstance(about, dict) and about.get("weights_sha256", {}).get(WEIGHTS) == sha256:
            return name
    raise ModelError(
        f"no shipped denoiser has weights with sha256 {sha256[:12]}…; name the file or bundle they lie in."
    )


def read_config(folder: Path, inner: str) -> dict[str, Any]:
    """A config file of a bundle, as data."""
    path = inside(folder, inner)
    return read_object(path, bare=f"{path.name} of {folder.name}")
