"""What is remembered of trainings besides their own files, so that one click continues them after a restart.

In the folder of a training lies how it was left. Where its data lie is remembered in the user's own data folder alone, as
a path may name a patient and the folder of a training is made to be handed on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from ctinv.atomic import write_atomic
from ctinv.errors import InputError
from ctinv.training.standing import Standing

NOTE = "training.json"
RUNNING, PAUSED, CANCELLED, DONE, FAILED = "running", "paused", "cancelled", "done", "failed"
INTERRUPTED = "interrupted"
"""What a folder says is being trained in, and is not any more."""
_MOST = 200


@dataclass(frozen=True)
class Remembered:
    """What was asked of a training.

    Attributes:
        what: ``"denoiser"`` or ``"generator"``.
        settings: The table of its config.
        data: Its data folder.
    """

    what: str
    settings: dict[str, Any]
    data: str


def note(out: Path, state: str) -> None:
    """Write into the folder of a training how it was left.

    Raises:
        ResourceError: The folder cannot be written.
    """
    write_atomic(out / NOTE, json.dumps({"state": state}).encode(), parents=True)


def noted(out: Path) -> str:
    """How the training in a folder was left, empty where nothing says it."""
    found = _json(out / NOTE)
    return str(found.get("state", ""))


def left_in(out: Path, standing: Standing | None) -> str:
    """How the training in a folder was left; one that is noted as running and does not run was interrupted."""
    left = noted(out)
    running = standing is not None and standing.running
    return INTERRUPTED if left == RUNNING and not running else left


def asked_before(out: Path, standing: Standing | None, data: Path | None) -> Remembered:
    """What was asked of the training in a folder.

    Args:
        out: The folder.
        standing: What lies in it.
        data: The data folder that is chosen now; used where the one of then is not known or not there.

    Raises:
        InputError: It is not known where the data lie.
    """
    known = remembered(out)
    if known is not None:
        return known if data is None or Path(known.data).is_dir() else replace(known, data=str(data))
    if data is None or standing is None:
        raise InputError("it is not known here which data this training learns from; choose its data folder.")
    table = {key: value for key, value in standing.config.items() if value is not None}
    return Remembered(standing.what, table, str(data))


def remember(out: Path, asked: Remembered) -> None:
    """Keep what was asked of a training.

    Raises:
        ResourceError: The user's data folder cannot be written.
    """
    known = {**_json(_memory()), _key(out): asdict(asked)}
    newest = dict(list(known.items())[-_MOST:])
    write_atomic(_memory(), json.dumps(newest).encode(), parents=True)


def remembered(out: Path) -> Remembered | None:
    """What was asked of the training in a folder, None where that is not known here."""
    try:
        return Remembered(**_json(_memory())[_key(out)])
    except (LookupError, TypeError):
        return None


def _memory() -> Path:
    return Path(platformdirs.user_data_path("napari-ctinv", appauthor=False)) / "trainings.json"


def _key(out: Path) -> str:
    return hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
