"""What comes from other runs: a layer study of the same network, and the last validation of this version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctinv.errors import InputError
from ctinv.resources import validation_file
from ctinv.validation.words import TITLES

_SAME = ("series", "weights_sha256")


def layers(path: Path, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """d_eff at every tap from what ``ctinv layers`` wrote.

    Args:
        path: Its JSON file.
        provenance: That of the study, as JSON values.

    Raises:
        InputError: The file is something else, or of another scan, region or network.
    """
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
        shared, box = page["provenance"], page["box"]
        rows = [_tap(tap) for tap in page["taps"]]
    except OSError as error:
        raise InputError(
            f"{path.name} cannot be read ({error.strerror}); name the JSON of ctinv layers."
        ) from error
    except (ValueError, KeyError, TypeError, StopIteration):
        raise InputError(
            f"expected the JSON that ctinv layers writes, got another file in {path.name}; name that one."
        ) from None
    differing = [name for name in _SAME if shared.get(name) != provenance[name]]
    if differing or box != provenance["box"]:
        raise InputError(
            f"{path.name} was measured on another scan, region or network than this study; measure the layers of this "
            "one."
        )
    return {"tier": page["tier"], "voxels": page["voxels"], "taps": rows}


def _tap(tap: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tap": tap["tap"],
        "channels": tap["channels"],
        "theory_hu": tap["theory_hu"],
        "tiers": {row["name"]: {name: row[name] for name in ("d_eff", "free_share")} for row in tap["tiers"]},
    }


def validation() -> dict[str, Any] | None:
    """The result of ``ctinv validate`` that is shipped with this version, in short; None where none of it is at hand."""
    import ctinv

    try:
        parts = json.loads(validation_file().read_text(encoding="utf-8"))["parts"]
    except OSError:
        return None
    rows = [_part(name, record) for name, record in parts.items()]
    return {"parts": [row for row in rows if row.pop("version") == ctinv.__version__]}


def _part(name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """How many rules a part kept over its seeds, and how many of its wrong samplers were caught."""
    calibration = record.get("calibration") or {"checks": {}}
    laws = [check["passed"] for seed in record.get("laws", {}).values() for check in seed.values()]
    laws += [check["passed"] for check in record.get("planted", [])]
    wrong = record.get("controls", {}).values()
    controls = [any(not check["passed"] for check in one.values()) for one in wrong]
    return {
        "version": record["decided_by"]["versions"]["ctinv"],
        "name": name,
        "title": TITLES.get(name, ""),
        "full": bool(record["decided_by"]["thorough"]),
        "laws": [sum(laws), len(laws)],
        "calibration": [
            sum(check["passed"] for check in calibration["checks"].values()),
            len(calibration["checks"]),
        ],
        "controls": [sum(controls), len(controls)],
        "failures": list(record["failures"]),
    }
