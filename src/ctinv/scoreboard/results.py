"""The file of all cases: JSON, one record per case under a key that names everything that decides it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctinv.atomic import write_atomic
from ctinv.errors import InputError
from ctinv.jsonable import dumps

FORMAT = 1


@dataclass(frozen=True)
class Case:
    """What decides the figures of one case; times apart.

    Attributes:
        generator, weights: Generator and the digest of its weights.
        denoiser, denoiser_weights, tap: The same of the network, and the layer that must stay.
        patient, scan: Neutral name, and digest of the slice.
        kind, box: What the region is, and where.
        tier: Tier of the correction, ``"-"`` for a generator of the target domain.
        n, seed: Samples and the user's seed.
        method: Version of the sampling rule.
    """

    generator: str
    weights: str
    denoiser: str
    denoiser_weights: str
    tap: str
    patient: str
    scan: str
    kind: str
    box: str
    tier: str
    n: int
    seed: int
    method: str

    @property
    def key(self) -> str:
        """All fields as one line."""
        return "|".join(str(value) for value in vars(self).values())


def digest(weights: Mapping[str, str]) -> str:
    """Eight hexadecimal digits for a set of weight files, by name and sha256; empty for no file."""
    text = json.dumps(dict(sorted(weights.items())))
    return hashlib.sha256(text.encode()).hexdigest()[:8] if weights else ""


class Results:
    """Cases on disk; every case is safe once `add` returns.

    Args:
        path: The JSON file; read if it is there.

    Raises:
        InputError: The file is no scoreboard.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cases: dict[str, dict[str, Any]] = _read(path) if path.exists() else {}

    def __contains__(self, case: Case) -> bool:
        return case.key in self.cases

    def add(self, case: Case, record: Mapping[str, Any]) -> None:
        """Keep a record, last in the file.

        Raises:
            ResourceError: The disk refuses; the older file stays.
        """
        self.cases.pop(case.key, None)
        self.cases[case.key] = {"case": vars(case), **record}
        text = dumps({"format": FORMAT, "cases": self.cases}, indent=1)
        write_atomic(self.path, f"{text}\n".encode(), parents=True)

    def newest(self) -> list[dict[str, Any]]:
        """One record per generator, network, tap, patient, kind of region and tier: the one measured last."""
        names = ("generator", "denoiser", "tap", "patient", "kind", "tier")
        return list({tuple(row["case"][name] for name in names): row for row in self.cases.values()}.values())


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        cases: dict[str, dict[str, Any]] = data["cases"]
        if data["format"] == FORMAT and all(vars(Case(**row["case"])) for row in cases.values()):
            return cases
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(f"{path.name} is no scoreboard of this version; name another file with --out.")
