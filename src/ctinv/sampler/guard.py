"""Guard: what a study can make this program open, allocate and decode.

A study can come from a stranger, whose hashes and checksums then prove nothing. Before a library sees any of it, its files
must be plain files of its own folder, each array must be laid out as this package lays it out, and no chunk may claim to
unpack to more than its place in the array.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from struct import unpack_from
from typing import Any, Protocol

import numpy as np

from ctinv.errors import StoreError
from ctinv.io._unpack import RATIO, bound
from ctinv.sampler.batch import BLOCK, MOST_ROWS, MOST_VOXELS
from ctinv.volume import Box

MAX_METADATA, MAX_JOURNAL = 16 * 2**20, 256 * 2**20
IMAGES = ("x_tilde", "feedback_error")
_CHUNK_SIDE = 128
SCAN = ("x", "context", "fx", "fx_output")  # hold noise, so they are never packed far
_SCAN_FREE = 2**20
_TYPES = {
    "int16": -32768,
    "float16": "NaN",
    "float32": "NaN",
    "float64": "NaN",
}  # and what stands for missing
_CODECS = ["bytes", "blosc", "crc32c"]
_KEYS = {"name": "default", "configuration": {"separator": "/"}}
_BLOSC_HEADER = 16
_FILE_NAME = re.compile(r"[a-z_]+(/[a-z0-9]+)*(/zarr\.json)?")


class Images(Protocol):
    """What is asked of an array of images, see `ctinv.sampler.chunks.ImageArray`."""

    quantum: float
    grid: float

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, 1, H, W)."""
        ...

    @property
    def scale(self) -> float:
        """HU per unit."""
        ...


def check_files(folder: Path) -> None:
    """Raise StoreError unless all below a study are plain files and folders, and metadata and journal of sensible size."""
    for inside, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(inside, name)
            try:
                state = path.lstat()
            except FileNotFoundError:
                continue  # a writer's temporary file
            most = {"zarr.json": MAX_METADATA, "journal.jsonl": MAX_JOURNAL}.get(name)
            if not S_ISREG(state.st_mode) and (most is not None or not S_ISDIR(state.st_mode)):
                raise _refusal(folder, path, "is a link or no file, as no study has it; copy the study anew")
            if most is not None and state.st_size > most:
                raise _refusal(
                    folder, path, f"is larger than {most >> 20} MB, as no study has it; copy the study anew"
                )


def _refusal(folder: Path, path: Path, what: str) -> StoreError:
    name = path.relative_to(folder).as_posix()
    shown = "".join(c if c.isprintable() else "?" for c in name[-40:])
    return StoreError(f"{shown} of {folder.name} {what}.")


def check_names(names: Iterable[Any], study: str) -> None:
    """Raise StoreError unless the manifest names only files of the arrays."""
    if not all(isinstance(name, str) and _FILE_NAME.fullmatch(name) for name in names):
        raise StoreError(f"the manifest of {study} names a file that is not of a study; draw it anew.")


@contextlib.contextmanager
def well_formed(study: str) -> Iterator[None]:
    """Turn whatever metadata of a wrong kind raise into the one sentence for it."""
    try:
        yield
    except StoreError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise StoreError(
            f"the metadata of {study} hold values of a wrong kind, so it cannot be read; draw it anew."
        ) from error


def check_array(folder: Path, name: str) -> int:
    """The bytes of one chunk of an array.

    Raises:
        OSError: Its metadata cannot be read.
        ValueError: It is laid out otherwise than the arrays of studies are, or claims more than its file holds.
    """
    try:
        return _check_layout(folder, name, json.loads((folder / name / "zarr.json").read_bytes()))
    except (AttributeError, LookupError, RecursionError, TypeError) as error:
        raise ValueError(f"the metadata of {name} hold values of a wrong kind") from error


def _check_layout(folder: Path, name: str, document: dict[str, Any]) -> int:
    shape, kind = document["shape"], document["data_type"]
    codecs = document["codecs"]
    sound = (
        (document["zarr_format"], document["node_type"]) == (3, "array")
        and isinstance(kind, str)
        and kind in _TYPES
        and document["fill_value"] == _TYPES[kind]
        and document["chunk_key_encoding"] == _KEYS
        and not document.get("storage_transformers")
        and [codec["name"] for codec in codecs] == _CODECS
        and codecs[0]["configuration"] == {"endian": "little"}
        and document["chunk_grid"]["name"] == "regular"
        and all(type(size) is int and 0 < size < 2**31 for size in shape)
        and document["chunk_grid"]["configuration"]["chunk_shape"] == _chunk_shape(name, shape)
    )
    if not sound:
        raise ValueError(f"{name} is laid out otherwise")
    one = math.prod(_chunk_shape(name, shape)) * np.dtype(kind).itemsize
    if name not in IMAGES and one > _most(folder / name / "/".join(["c", *["0"] * len(shape)]), name):
        raise ValueError(f"{name} claims more than its file holds")
    return one


def _chunk_shape(name: str, shape: list[int]) -> list[int]:
    if name not in IMAGES:
        return shape
    _, slices, height, width = shape
    return [BLOCK, slices, min(_CHUNK_SIDE, height), min(_CHUNK_SIDE, width)]


def _most(chunk: Path, name: str) -> int:
    """The most bytes that an array of one chunk may have."""
    size = chunk.stat().st_size if chunk.is_file() else 0
    return _SCAN_FREE + RATIO * size if name in SCAN else bound(size)


def check_chunk(path: Path, wanted: int) -> None:
    """Raise ValueError unless a packed chunk says that it unpacks to what its array wants.

    Args:
        path: The chunk; a missing one is left to who reads it.
        wanted: Bytes.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(_BLOSC_HEADER)
    except FileNotFoundError:
        return
    if (
        len(head) < _BLOSC_HEADER
        or size > wanted + wanted // 64 + 4096
        or unpack_from("<I", head, 4)[0] != wanted
    ):
        raise ValueError(f"{path.name} does not unpack to what its array wants")


def check_size(meta: Mapping[str, Any], study: str) -> list[tuple[int, int]]:
    """The shapes of samples and of their feed-back errors.

    Raises:
        StoreError: They, or the number of samples, are larger than any study's.
    """
    stored = meta["setting"]
    # Older studies do not state the shape of their region, but its box.
    height, width = stored["region"] if "region" in stored else Box.parse(meta["provenance"]["box"]).shape
    regions = [(int(height), int(width)), Box.parse(stored["output_box"]).shape]
    if not 1 <= int(meta["n"]) <= MOST_ROWS or max(math.prod(region) for region in regions) > MOST_VOXELS:
        raise StoreError(f"{study} claims more samples or a larger region than any study has; draw it anew.")
    return regions


def check_images(meta: Mapping[str, Any], images: Images, errors: Images, study: str) -> None:
    """Raise StoreError unless the arrays of samples have the rows, the shape and the unit that the metadata state."""
    n, quantum = int(meta["n"]), float(meta["setting"]["quantum"])
    regions = check_size(meta, study)
    fits = all(
        array.shape[1:] == (1, *region) and n <= array.shape[0] <= MOST_ROWS
        for array, region in zip((images, errors), regions, strict=True)
    )
    unit = quantum if images.quantum else 1.0
    scaled = (
        math.isfinite(quantum) and quantum >= 0 and images.grid in (0.0, quantum)
    )  # older studies do not say
    if not (fits and scaled and (images.scale, errors.scale) == (unit, 1.0)):
        raise StoreError(
            f"the images of {study} have another shape or unit than its metadata state; they were changed, draw it anew."
        )
