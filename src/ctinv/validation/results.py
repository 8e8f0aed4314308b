"""The file of a validation: JSON, one record per part, with all that decides it; a finished part is not run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ctinv.atomic import write_atomic
from ctinv.errors import InputError
from ctinv.jsonable import dumps, plain

FORMAT = 1
_LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn")
_CODE = ("fibre", "generators", "sampler", "statistics", "validation")


def fingerprint() -> dict[str, str]:
    """What a result hangs on beside its settings: versions, and a digest of the code that samples and judges."""
    from ctinv import __version__

    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(path for folder in _CODE for path in (root / folder).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return {
        "ctinv": __version__,
        **{name: version(name) for name in _LIBRARIES},
        "code": digest.hexdigest()[:8],
    }


class Results:
    """Parts of a validation; every one is safe once `add` returns.

    Args:
        path: The JSON file, read if it is there; None keeps everything in memory.

    Raises:
        InputError: The file is no validation of this format.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.parts: dict[str, dict[str, Any]] = _read(path) if path is not None and path.exists() else {}

    def holds(self, name: str, decided_by: Mapping[str, Any]) -> bool:
        """Whether a part was finished with the same settings, versions and code."""
        return name in self.parts and self.parts[name]["decided_by"] == plain(decided_by)

    def add(self, name: str, record: Mapping[str, Any]) -> None:
        """Keep the record of a part in place of an older one.

        Raises:
            ResourceError: The disk refuses; the older file stays.
        """
        self.parts[name] = plain(record)
        if self.path is not None:
            text = dumps({"format": FORMAT, "parts": self.parts}, indent=None)
            write_atomic(self.path, f"{text}\n".encode(), parents=True)

    @property
    def failures(self) -> list[str]:
        """One line per rule that is not kept and per wrong sampler that is not caught."""
        return [f"{name}: {line}" for name, record in self.parts.items() for line in record["failures"]]


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        parts: dict[str, dict[str, Any]] = data["parts"]
        if data["format"] == FORMAT and all(
            {"decided_by", "failures"} <= record.keys() for record in parts.values()
        ):
            return parts
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(f"{path.name} is no validation of this format; name another file with --out.")
