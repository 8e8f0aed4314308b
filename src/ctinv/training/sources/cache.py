"""Volumes on disk as arrays that can be memory-mapped: each scan is decoded, and each low dose simulated, once.

A volume is ``KEY.npy`` and ``KEY.json``. KEY is a hash of the source files' names, sizes and times and of all settings,
so a changed file or setting is another key, and no name of a patient is in a file name. The JSON holds the affine, the
dose tags and a sha256 of all of it and of the array, and is written last: what is unfinished, damaged or another's is made
again. HU that are whole numbers are kept as 16-bit integers, which halves the disk and loses nothing. Nothing is removed;
delete the folder to free the disk.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from ctinv import __version__
from ctinv.atomic import replacing, sweep, write_atomic
from ctinv.errors import ResourceError
from ctinv.io._files import regular_files
from ctinv.volume import Acquisition, Volume

_logger = logging.getLogger(__name__)

FORMAT = "2"
_DAY_S = 86400.0
TAGS = ("kvp", "exposure_mas", "slice_thickness_mm")
"""What is kept of an acquisition: all that `ctinv.simulate.photons_from_tags` needs."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A volume in the cache.

    Attributes:
        path: Its array; the name is its key.
        hu: (Z, Y, X) HU, memory-mapped.
        affine: (4, 4) index (z, y, x, 1) to mm (LPS).
        acquisition: The dose tags.
    """

    path: Path
    hu: NDArray[np.generic]
    affine: NDArray[np.float64]
    acquisition: Acquisition

    def volume(self) -> Volume:
        """The same in memory, as float32."""
        hu = np.array(self.hu, dtype=np.float32)
        return Volume(hu, self.affine, f"sha256:{self.path.stem}", acquisition=self.acquisition)


def pairs_folder() -> Path:
    """Where volumes lie: ``$CTINV_CACHE`` or the user's cache folder."""
    chosen = os.environ.get("CTINV_CACHE")
    return (Path(chosen) if chosen else Path(platformdirs.user_cache_dir("ctinv"))) / "pairs"


def volume_key(scan: Path, **settings: float | str | list[float] | None) -> str:
    """A name for what a scan becomes with these settings."""
    files = [scan] if scan.is_file() else regular_files(scan)
    states = [(str(path.relative_to(scan.parent)), path.stat()) for path in files]
    facts = {
        "format": FORMAT,
        "version": __version__,
        "files": [(name, state.st_size, state.st_mtime_ns) for name, state in states],
        **settings,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def stored(key: str, make: Callable[[], Volume], folder: Path) -> Stored:
    """The volume of this key, made and written if it is not there.

    Raises:
        ResourceError: The disk is full or refuses.
    """
    found = _opened(key, folder)
    if found is not None:
        return found
    volume = make()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder, older_than_s=_DAY_S)
        _write(key, volume, folder)
    except (OSError, ResourceError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        why = getattr(cause, "strerror", None) or "disk error"
        free = shutil.disk_usage(folder).free if folder.is_dir() else 0
        raise ResourceError(
            f"{volume.hu.nbytes / 2**20:.0f} MB of training data cannot be kept ({why}, "
            f"{free / 2**20:.0f} MB free); set CTINV_CACHE to a folder with more room."
        ) from None
    again = _opened(key, folder)
    if again is None:
        raise ResourceError("training data vanished from the cache while it was opened; start again.")
    return again


def _opened(key: str, folder: Path) -> Stored | None:
    try:
        about = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        digest = about.pop("sha256")
        if digest != _digest(key, about, folder):
            _logger.warning("a damaged scan in the cache of training data is made again")
            return None
        hu = np.load(folder / f"{key}.npy", mmap_mode="r", allow_pickle=False)
        affine = np.array(about["affine"], dtype=np.float64)
        acquisition = Acquisition(**{name: about[name] for name in TAGS})
        whole = list(hu.shape) == about["shape"] and affine.shape == (4, 4)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Stored(folder / f"{key}.npy", hu, affine, acquisition) if whole else None


def _write(key: str, volume: Volume, folder: Path) -> None:
    tags = {name: getattr(volume.acquisition, name) for name in TAGS}
    about: dict[str, Any] = {"shape": list(volume.shape), "affine": volume.affine.tolist(), **tags}
    with replacing(folder / f"{key}.npy", size=volume.hu.nbytes) as part, part.open("wb") as stream:
        np.save(stream, compact(volume.hu), allow_pickle=False)
    about["sha256"] = _digest(key, about, folder)
    write_atomic(folder / f"{key}.json", json.dumps(about).encode())


def _digest(key: str, about: dict[str, Any], folder: Path) -> str:
    """sha256 over name, facts and array."""
    with (folder / f"{key}.npy").open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    digest.update(json.dumps([key, about], sort_keys=True).encode())
    return digest.hexdigest()


def compact(hu: NDArray[np.float32]) -> NDArray[np.generic]:
    """The same values as int16 where that loses nothing, slice by slice so that little memory is taken."""
    whole = np.empty(hu.shape, dtype=np.int16)
    for place, image in zip(whole, hu, strict=True):
        if image.min() < -32768 or image.max() > 32767:
            return hu
        place[...] = np.rint(image)
        if not np.array_equal(place, image):
            return hu
    return whole
