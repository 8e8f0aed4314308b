"""Manifest: what the files of a study must be, kept in the study's own ``zarr.json``.

Beside the metadata, that file holds under ``files`` the sha256 of every file that is proven by nothing else: the metadata
of each array, the scan and the maps. Samples are proven by the journal, and the journal of a finished run by ``journal``.
Under ``sha256`` stands the hash of ``zarr.json`` itself, taken over all its bytes with 64 zeros in that place. Metadata and
manifest change together, in one rename, so they never contradict each other. A file that is about to be rewritten has null
there first and the new hash afterwards: an interruption between leaves a file without proof, not a false alarm.

Studies of format 1 are older and hold neither: their shared images cannot be proven.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from stat import S_ISREG
from typing import Any

from ctinv.atomic import PART, replace_file
from ctinv.errors import InputError, StoreError
from ctinv.sampler.form import is_well_formed
from ctinv.sampler.guard import check_files, check_names
from ctinv.sampler.provenance import Provenance

ROOT = "zarr.json"
JOURNAL = "journal.jsonl"
ATTRIBUTE = "ctinv"
FORMAT = 2
OLDER = 1
UNPROVEN = "it was made before studies kept a manifest, so its shared images and metadata cannot be proven"

LEFTOVERS = ("*.partial", f".*{PART}")
"""Names of the temporary files that a killed writer leaves; they hold nothing."""

_LOOKS = 3
_SEAL = b'"sha256": "%s"'
_OPEN = b"0" * 64
_LATER = ("sha256", "files", "journal")


def is_older(meta: Mapping[str, Any]) -> bool:
    """Whether a study was made before studies kept a manifest."""
    return bool(meta["format"] == OLDER)


def looks(folder: Path) -> Iterator[None]:
    """Turns to look at a study: one, and up to two more while a writer has changed the manifest during the last."""
    for _ in range(_LOOKS):
        before = hash_of(folder / ROOT)
        yield
        if hash_of(folder / ROOT) == before:
            return


def hash_of(path: Path) -> str | None:
    """sha256 of a file, None where there is none."""
    try:
        if not S_ISREG(path.lstat().st_mode):
            return None
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None


def hash_all(folder: Path, names: Mapping[str, Any] | list[str]) -> dict[str, str]:
    """sha256 by name of those of these files that exist; what is missing in every voxel takes no file."""
    found = {name: hash_of(folder / name) for name in sorted(names)}
    return {name: sha256 for name, sha256 in found.items() if sha256 is not None}


def fault_of(folder: Path, meta: Mapping[str, Any], name: str) -> str | None:
    """What is wrong with a file by the manifest, None where nothing is or nothing is known."""
    if is_older(meta) or (name in meta["files"] and meta["files"][name] is None):
        return None
    wanted, found = meta["files"].get(name), hash_of(folder / name)
    if found == wanted:
        return None
    if wanted is None:
        return "is not of this study"
    if found is None:
        return "is missing"
    if (folder / name).stat().st_size == 0:
        return "is empty"
    other = next((file for file, sha256 in meta["files"].items() if sha256 == found), None)
    return "is not what was written" if other is None else f"is not what was written but a copy of {other}"


def write_root(folder: Path, meta: Mapping[str, Any]) -> None:
    """Replace the metadata and the manifest, whole or not at all.

    Raises:
        OSError: The disk refused; the former ones stay.
    """
    sealed = {} if is_older(meta) else {"sha256": _OPEN.decode()}  # first: its place is found by its name
    document = {
        "attributes": {ATTRIBUTE: {**sealed, **meta}},
        "zarr_format": 3,
        "node_type": "group",
    }
    content = json.dumps(document, indent=2).encode()
    if sealed:
        content = content.replace(_SEAL % _OPEN, _SEAL % _digest(content), 1)
    replace_file(folder / ROOT, content)


def read_root(folder: Path) -> dict[str, Any]:
    """The metadata of a study, without the seal.

    Raises:
        StoreError: There is no study, one that this version cannot read, or metadata that were changed.
    """
    if not folder.exists():
        raise StoreError(f"there is no study {folder.name}; expected a folder written by ctinv sample.")
    check_files(folder)
    try:
        content = (folder / ROOT).read_bytes()
        meta = dict(json.loads(content)["attributes"][ATTRIBUTE])
        found = int(meta["format"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise StoreError(
            f"{folder.name} exists but is not a study; choose another name for the study."
        ) from None
    if found not in (OLDER, FORMAT):
        raise StoreError(
            f"{folder.name} has study format {str(found)[:20]}, this ctinv reads {OLDER} and {FORMAT}; use one that fits."
        )
    what = _what_changed(content, meta)
    if what is not None:
        raise StoreError(
            f"the metadata of {folder.name} were changed or lost: {what} no longer fits; draw it anew."
        )
    if not is_well_formed(meta, older=is_older(meta)):
        raise StoreError(
            f"the metadata of {folder.name} are not those of a study that ctinv wrote; draw it anew."
        )
    check_names(meta.get("files", {}), folder.name)
    meta.pop("sha256", None)
    return meta


def _what_changed(content: bytes, meta: Mapping[str, Any]) -> str | None:
    """Which of the proofs in the metadata fails, None if all hold."""
    try:
        if Provenance.from_json(meta["provenance"]).key() != meta["key"]:
            return "its key"
    except (InputError, KeyError, TypeError, ValueError, AttributeError):
        return "its key"
    if is_older(meta):
        return "its format" if any(name in meta for name in _LATER) else None
    seal = str(meta.get("sha256", "")).encode()
    opened = content.replace(_SEAL % seal, _SEAL % _OPEN, 1)
    return None if seal == _digest(opened) else "its checksum"


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
