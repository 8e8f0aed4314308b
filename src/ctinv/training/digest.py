"""Files with their sha256 beside them, as ``sha256sum --check`` reads it.

File and side-car cannot be renamed at the same moment, so the side-car comes first: before a file is replaced, its side-car
lists the new content beside the old one, and afterwards the new one alone. A process may be killed anywhere: whatever lies
under the file's name is listed, and only what was written completely is ever listed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctinv.atomic import replacing, write_atomic

_LINE = re.compile(r"[0-9a-f]{64}(?= [ *])")


def side_car(path: Path) -> Path:
    """Where a file's sha256 lies."""
    return path.with_name(f"{path.name}.sha256")


def write_digested(path: Path, content: bytes, *, keep: Path | None = None) -> None:
    """Write a file and its side-car.

    Args:
        path: The file.
        content: All of it.
        keep: Where the file before goes; a damaged one is not kept, so that it never replaces a good one.

    Raises:
        ResourceError: The disk is full or the folder cannot be written; the older file stays and stays whole.
    """
    digest = hashlib.sha256(content).hexdigest()
    with replacing(path, size=len(content)) as part:
        part.write_bytes(content)
        _list(path, digest, *_listed(path))
        if keep is not None and read_digested(path, keep) is not None:
            path.replace(keep)
    if keep is not None and (kept := read_digested(keep, path)) is not None:
        _list(keep, hashlib.sha256(kept).hexdigest())
    _list(path, digest)


def read_digested(path: Path, other: Path | None = None) -> bytes | None:
    """The content of a file that is whole, None where it is missing or is not what was written.

    Args:
        path: The file.
        other: Another file whose side-car may list this one: a kill may have come between its renaming and its side-car's.

    Raises:
        OSError: The file is there and cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    listed = _listed(path) + (_listed(other) if other is not None else [])
    return content if hashlib.sha256(content).hexdigest() in listed else None


def digest_of_facts(facts: Mapping[str, Any], *files: Path) -> str:
    """sha256 of JSON-able facts, but for the one that is called ``sha256``, and of the files that they describe."""
    told = {key: value for key, value in facts.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for path in files:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def discard(path: Path) -> None:
    """Remove a file and its side-car."""
    path.unlink(missing_ok=True)
    side_car(path).unlink(missing_ok=True)


def _list(path: Path, *digests: str) -> None:
    lines = [f"{digest}  {path.name}\n" for digest in dict.fromkeys(digests)]
    write_atomic(side_car(path), "".join(lines).encode())


def _listed(path: Path) -> list[str]:
    try:
        text = side_car(path).read_bytes().decode("ascii", errors="replace")
    except FileNotFoundError:
        return []
    return [match[0] for line in text.splitlines() if (match := _LINE.match(line))]
