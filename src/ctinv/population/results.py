"""The file of a population: every finished region under a key that names all that decides it, and the last summary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctinv.atomic import write_atomic
from ctinv.errors import InputError
from ctinv.jsonable import dumps, plain
from ctinv.population.request import Case

FORMAT = "ctinv population 1"


class Results:
    """Regions on disk; each is safe once `add` returns. Regions of other requests stay beside, under their own keys.

    Args:
        path: The JSON file; read if it is there.
        use: What the file says it may be used for.

    Raises:
        InputError: The file is something else.
    """

    def __init__(self, path: Path, *, use: str = "") -> None:
        self.path, self.use = path, use
        self.cases: dict[str, dict[str, Any]] = _read(path) if path.exists() else {}

    def __contains__(self, case: Case) -> bool:
        return case.key in self.cases

    def add(self, case: Case, figures: Mapping[str, Any]) -> None:
        """Keep the figures of one region.

        Raises:
            ResourceError: The disk refuses; the older file stays.
        """
        self.cases[case.key] = plain({"case": vars(case), **figures})  # the same, measured or read
        self._write({})

    def finish(self, page: Mapping[str, Any]) -> None:
        """Write the summary of a request beside its regions."""
        self._write({"page": page})

    def _write(self, more: Mapping[str, Any]) -> None:
        text = dumps({"use": self.use, "format": FORMAT, **more, "cases": self.cases}, indent=1)
        write_atomic(self.path, f"{text}\n".encode(), parents=True)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        cases: dict[str, dict[str, Any]] = data["cases"]
        if data["format"] == FORMAT and all(Case(**row["case"]).key == key for key, row in cases.items()):
            return cases
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(f"{path.name} is no population of this version; name another file with --out.")
