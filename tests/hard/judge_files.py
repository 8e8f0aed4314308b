"""Judges a reader on hard files: right to the voxel, or refused in one clear sentence; all else is convicted."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from files_phantom import CANARY, Case
from numpy.typing import NDArray

from ctinv.errors import CtinvError

TOLERANCE_MM = 0.01
MESSAGE = 200
Reader = Callable[[Path, str], tuple[NDArray[Any], NDArray[np.float64], tuple[str, ...]]]
"""Path and modality to values, affine from their index to mm (LPS), and notes."""

RIGHT, REFUSED = "right", "refused"
WRONG, UNCLEAR, CRASH, LOST = "silent wrong", "unclear", "crash", "refused what must be read"
GUILTY = (WRONG, UNCLEAR, CRASH, LOST)


@dataclass(frozen=True)
class Verdict:
    """What a reader made of a case, and the words or the reason."""

    case: str
    must: str
    outcome: str
    words: str


_opened: list[str] | None = None


def _record(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(args[0], (str, bytes)):
        _opened.append(os.fsdecode(args[0]))


sys.addaudithook(_record)


def judge(case: Case, folder: Path, reader: Reader) -> Verdict:
    """Write the case into the folder, read it, and judge what came."""
    global _opened
    folder.mkdir(parents=True)
    path = case.make(folder)
    _opened = []
    try:
        outcome, words = _outcome(case, path, reader)
    finally:
        opened, _opened = _opened, None
    escaped = [name for name in opened if _escapes(name, folder)]
    if escaped:
        outcome, words = WRONG, f"opened {escaped[0]}, which lies outside the folder"
    return Verdict(case.name, case.must, outcome, words)


def _escapes(name: str, folder: Path) -> bool:
    """Whether a file beside the case's own folder, which stands for the rest of the disk, was opened."""
    real = Path(os.path.realpath(name))
    return name == "/etc/passwd" or (real.is_relative_to(folder.parent) and not real.is_relative_to(folder))


def _outcome(case: Case, path: Path, reader: Reader) -> tuple[str, str]:
    try:
        values, affine, notes = reader(path, case.modality)
    except CtinvError as error:
        fault = fault_of(str(error), path)
        if fault:
            return UNCLEAR, f"{fault}: {error}"
        return (LOST if case.must == "read" else REFUSED), str(error)
    except Exception as error:
        return UNCLEAR, f"{type(error).__name__}: {error}"[:MESSAGE]
    except BaseException as error:
        return CRASH, f"{type(error).__name__}: {error}"[:MESSAGE]
    if case.must == "refuse":
        return WRONG, "read what must be refused"
    return _compare(case, values, affine, notes)


def fault_of(text: str, path: Path) -> str:
    """What is wrong with the sentence of a refusal, "" if nothing."""
    faults = {
        f"{len(text)} characters": len(text) > MESSAGE,
        "no full stop": not text.endswith("."),
        "no file": path.name[:12] not in text,
        "no remedy": ";" not in text,
        "the canary": CANARY.lower() in text.lower(),
        "a path": str(path.parent) in text or "/etc/" in text,
        "not printable": not text.isprintable(),
    }
    return ", ".join(name for name, found in faults.items() if found)


def _compare(
    case: Case, values: NDArray[Any], affine: NDArray[np.float64], notes: Iterable[str]
) -> tuple[str, str]:
    """Every true voxel must be found at its place with its value, whatever order the reader keeps."""
    if np.shape(values) == () or np.ndim(values) != 3 or np.size(values) != np.size(case.hu):
        return WRONG, f"shape {np.shape(values)}"
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-12:
        return WRONG, "no affine"
    corners = np.array([[z, y, x, 1.0] for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
    size = np.array([*case.hu.shape, 1.0])
    corners = np.where(corners < 0, -0.5, size - 0.5)
    corners[:, 3] = 1
    back = np.linalg.inv(affine) @ case.affine
    linear = np.rint(back)
    gap = float(np.abs((case.affine - affine @ linear) @ corners.T).max())
    if gap > TOLERANCE_MM:
        return WRONG, f"voxels lie up to {gap:.3g} mm from their place"
    index = np.stack([*np.indices(case.hu.shape), np.ones(case.hu.shape)], axis=-1) @ linear.T
    at = tuple(np.moveaxis(index[..., :3].astype(int), -1, 0))
    if any((i < 0).any() or (i >= n).any() for i, n in zip(at, values.shape, strict=True)):
        return WRONG, "voxels are missing"
    found, true = np.asarray(values)[at], np.asarray(case.hu)
    if not np.array_equal(found.astype(np.float32), true.astype(np.float32)):
        return WRONG, "other values"
    if any(CANARY.lower() in note.lower() for note in notes):
        return UNCLEAR, "the canary in a note"
    if case.note and not any(case.note in note for note in notes):
        return WRONG, f"nothing said of {case.note!r}"
    return RIGHT, "; ".join(notes)


def table(verdicts: list[Verdict]) -> str:
    """Counts, then one line for each case; also written as JSON where CTINV_HARD_FILES names a file."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    if target := os.environ.get("CTINV_HARD_FILES"):
        known = {name: counts[name] for name in (RIGHT, REFUSED, *GUILTY)}
        content = {"cases": len(verdicts), **known, "verdicts": [asdict(verdict) for verdict in verdicts]}
        Path(target).write_text(json.dumps(content, indent=1, ensure_ascii=False))
    head = ", ".join(f"{counts[name]} {name}" for name in (RIGHT, REFUSED, *GUILTY))
    lines = [f"{v.outcome:26} {v.must:7} {v.case:45} {v.words}" for v in verdicts]
    return "\n".join([f"{len(verdicts)} cases: {head}", *lines])
