"""Volumes on disk as arrays that can be memory-mapped: each scan is decoded, and each low dose simulated, once.

A volume is ``KEY.npy`` and ``KEY.json``. KEY is a hash of the source files' names, sizes and times and of all settings,
so a changed file or setting is another key, and no name of a patient is in a file name. The JSON holds the affine and the
dose tags and is written last: an array without it was not finished and is made again. HU that are whole numbers are kept
as 16-bit integers, which halves the disk and loses nothing. Nothing is removed; delete the folder to free the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from ctinv import __version__
from ctinv.errors import ResourceError
from ctinv.io._files import regular_files
from ctinv.volume import Acquisition, Volume

FORMAT = "1"
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
        _write(key, volume, folder)
    except OSError as error:
        free = shutil.disk_usage(folder).free if folder.is_dir() else 0
        raise ResourceError(
            f"{volume.hu.nbytes / 2**20:.0f} MB of training data cannot be kept ({error.strerror or 'disk error'}, "
            f"{free / 2**20:.0f} MB free); set CTINV_CACHE to a folder with more room."
        ) from None
    again = _opened(key, folder)
    if again is None:
        raise ResourceError("training data vanished from the cache while it was opened; start again.")
    return again


def _opened(key: str, folder: Path) -> Stored | None:
    try:
        about = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        hu = np.load(folder / f"{key}.npy", mmap_mode="r", allow_pickle=False)
        affine = np.array(about["affine"], dtype=np.float64)
        acquisition = Acquisition(**{name: about[name] for name in TAGS})
        whole = list(hu.shape) == about["shape"] and affine.shape == (4, 4)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Stored(folder / f"{key}.npy", hu, affine, acquisition) if whole else None


def _write(key: str, volume: Volume, folder: Path) -> None:
    tags = {name: getattr(volume.acquisition, name) for name in TAGS}
    about = {"shape": volume.shape, "affine": volume.affine.tolist(), **tags}
    _replace(folder / f"{key}.npy", lambda path: _save(path, compact(volume.hu)))
    _replace(folder / f"{key}.json", lambda path: path.write_text(json.dumps(about), encoding="utf-8"))


def _save(path: Path, hu: NDArray[np.generic]) -> None:
    with path.open("wb") as stream:
        np.save(stream, hu, allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name and rename it, so that it is there whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        write(Path(name))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


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
