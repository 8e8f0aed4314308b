"""Whom the user trusts: sha256 of files and bundles, given once or kept in a list of the user's own.

Trust is never global and never by name or path: what is loaded is hashed at every load, and its sha256 has to be the one
that was given or that stands in the list. The list is a JSON file in the user's configuration folder; one that is damaged
is refused, not ignored.
"""

from __future__ import annotations

import datetime
import json
import os
import re
from pathlib import Path

import platformdirs

from ctinv.atomic import write_atomic
from ctinv.errors import ModelError
from ctinv.models.files import MAX_TEXT_BYTES, read_bytes

Entry = dict[str, str]
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEYS = {"kind", "date", "name"}


def trust_file() -> Path:
    """Where the list lies: in ``$CTINV_CONFIG`` or the user's configuration folder."""
    chosen = os.environ.get("CTINV_CONFIG")
    return (Path(chosen) if chosen else Path(platformdirs.user_config_dir("ctinv"))) / "trust.json"


def is_sha256(text: str) -> bool:
    """Whether a text reads like a sha256, in either case."""
    return _SHA256.fullmatch(text.lower()) is not None


def read_trust() -> dict[str, Entry]:
    """sha256 to what was trusted: its kind, the day, and its bare name then.

    Raises:
        ModelError: The list is damaged.
    """
    path = trust_file()
    if not path.exists():
        return {}
    try:
        found = json.loads(read_bytes(path, limit=MAX_TEXT_BYTES))
        good = isinstance(found, dict) and all(_is_entry(key, value) for key, value in found.items())
    except (ModelError, ValueError, RecursionError):
        good = False
    if not good:
        raise ModelError(
            f"the list of trusted models, {path.name} in your configuration folder, is damaged, so nothing in it counts; "
            "correct or delete it."
        )
    return dict(found)


def _is_entry(key: str, value: object) -> bool:
    return (
        _SHA256.fullmatch(key) is not None
        and isinstance(value, dict)
        and value.keys() == _KEYS
        and all(isinstance(text, str) for text in value.values())
    )


def remember(sha256: str, *, kind: str, name: str) -> None:
    """Put one into the list.

    Args:
        sha256: Of the file, or of all files of a bundle.
        kind: What it is, in words.
        name: Its bare name; to be read by people, it decides nothing.

    Raises:
        ModelError: It is no sha256, or the list is damaged.
        ResourceError: The list cannot be written.
    """
    _check_sha256(sha256)
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    _write(read_trust() | {sha256.lower(): {"kind": kind, "date": day, "name": name}})


def forget(sha256: str) -> None:
    """Take one out of the list.

    Raises:
        ModelError: It does not stand there, or the list is damaged.
    """
    known = read_trust()
    if known.pop(sha256.lower(), None) is None:
        raise ModelError(f"{sha256[:12]}… is not among the trusted models; `ctinv trust` lists them.")
    _write(known)


def _write(known: dict[str, Entry]) -> None:
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(known.items()))
    write_atomic(trust_file(), f"{{\n{lines}\n}}\n".encode(), parents=True)


def is_trusted(found: str, given: str | None, name: str) -> bool:
    """Whether a sha256 is the one that was given, or stands in the list where none was given.

    Args:
        found: Of what is about to be loaded.
        given: By the user, for this once.
        name: Of the file, for messages.

    Raises:
        ModelError: Another sha256 was given, or none at all, or the list is damaged.
    """
    if given is None:
        return found in read_trust()
    _check_sha256(given)
    if given.lower() != found:
        raise ModelError(
            f"{name[:40]} has sha256 {found}, another one than the file that is trusted; nothing was loaded."
        )
    return True


def _check_sha256(text: str) -> None:
    if not is_sha256(text):
        raise ModelError("trust must be the sha256 of the file, 64 hexadecimal digits.")
