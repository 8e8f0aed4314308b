"""The files of a stranger's bundle that would be read or run, read once: what was hashed is what is used."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctinv.errors import ModelError
from ctinv.models.files import MAX_WEIGHT_BYTES, inside, parse_object, read_bytes, sha256
from ctinv.models.shipped import PICKLED, WEIGHTS

CONFIGS = tuple(
    f"{stem}.{kind}" for stem in ("inference", "evaluate", "train") for kind in ("json", "yaml", "yml")
)
_FOLDERS = ("configs", "models", "scripts")
_MOST_FILES = 1_000


@dataclass(frozen=True)
class BundleTree:
    """Contents of configs, models, scripts and every Python file of a bundle.

    Attributes:
        name: Bare name of the folder.
        files: Path inside the folder, with ``/``, to content.
    """

    name: str
    files: dict[str, bytes]

    @property
    def hashes(self) -> dict[str, str]:
        """sha256 by path, in the order of the paths."""
        return {name: sha256(self.files[name]) for name in sorted(self.files)}

    @property
    def sha256(self) -> str:
        """One sha256 for all: of the sorted lines ``path sha256``."""
        return sha256("".join(f"{name} {digest}\n" for name, digest in self.hashes.items()).encode())

    def config(self) -> tuple[str, dict[str, Any]]:
        """Path and content of the config that defines the network, the first of `CONFIGS` that does.

        Raises:
            ModelError: None does, or one is no valid file.
        """
        for name in CONFIGS:
            path = f"configs/{name}"
            if path in self.files:
                config = parse_object(self.files[path], Path(name).suffix, f"{name} of {self.name[:40]}")
                if "network_def" in config:
                    return path, config
        raise ModelError(
            f"the configs of {self.name[:60]} have no network_def; nothing can be loaded from them."
        )

    def weights(self) -> str:
        """Path of the weights.

        Raises:
            ModelError: There are none.
        """
        for name in (WEIGHTS, PICKLED):
            if f"models/{name}" in self.files:
                return f"models/{name}"
        raise ModelError(
            f"the bundle {self.name[:60]} has neither models/{WEIGHTS} nor models/{PICKLED}; get it again."
        )

    def write(self, folder: Path) -> None:
        """Write the files, and nothing else, below a folder."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def read_tree(folder: Path) -> BundleTree:
    """All files of a bundle that could be read or run.

    Raises:
        ModelError: A link leads out of it, or it is too large.
    """
    files: dict[str, bytes] = {}
    left = MAX_WEIGHT_BYTES
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(names):
            path = Path(place) / name
            inner = path.relative_to(folder).as_posix()
            if inner.split("/")[0] not in _FOLDERS and path.suffix != ".py":
                continue
            files[inner] = read_bytes(inside(folder, inner), limit=left)
            left -= len(files[inner])
            if len(files) > _MOST_FILES:
                raise ModelError(
                    f"{folder.name[:60]} holds more than {_MOST_FILES} files; it is no bundle of a denoiser."
                )
    return BundleTree(folder.name, files)
