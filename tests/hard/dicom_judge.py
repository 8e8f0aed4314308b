"""The judge of the hard DICOM cases: right, silently wrong, needlessly refused, an unclear sentence, or a crash.

A reader is any function of a path that returns values in HU and the affine (z, y, x, 1) to mm (LPS), whatever the order of
its axes: voxels are compared where they lie in the patient.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from dicom_phantom import CANARY, Truth
from dicom_registry import Case
from numpy.typing import NDArray

from ctinv.errors import CtinvError, SeriesError
from ctinv.io.dicom import list_series, read_series

MAX_MM = 0.01
MAX_SENTENCE = 200
Read = Callable[..., tuple[NDArray[Any], NDArray[np.float64], str]]


class Verdict(StrEnum):
    """What a case shows about a reader."""

    RIGHT = "right"
    WRONG = "silent wrong"
    NEEDLESS = "needless refusal"
    UNCLEAR = "unclear error"
    CRASH = "crash"


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on.

    Attributes:
        outcome: ``"read"`` or the sentence of the refusal.
        reason: What is wrong, empty if nothing is.
        truth: What the folder holds, to put it to another reader.
    """

    case: str
    theme: str
    must: str
    verdict: Verdict
    outcome: str
    reason: str = ""
    truth: Truth | None = None


def ours(path: Path, **options: Any) -> tuple[NDArray[Any], NDArray[np.float64], str]:
    """The reader of this package; everything it says about the scan is looked through for names."""
    volume = read_series(path, **options)
    return volume.hu, volume.affine, repr((volume.uid, volume.notes, volume.acquisition))


def judge(case: Case, folder: Path, read: Read = ours, *, polite: bool = True) -> Judgement:
    """Build the case in an empty folder, read it, and compare.

    Args:
        case: The case.
        folder: An empty folder of its own.
        read: The reader.
        polite: Judge the sentence of a refusal too; readers of others raise what they like.
    """
    truth = case.build(folder)
    path = folder / case.target

    def verdict(kind: Verdict, outcome: str, reason: str = "") -> Judgement:
        return Judgement(case.name, case.theme, case.must, kind, outcome, reason, truth)

    try:
        hu, affine, said = read(path, **case.options)
    except CtinvError as error:
        text = str(error)
        if case.must == "read":
            return verdict(Verdict.NEEDLESS, text, "it can be read")
        fault = sentence_fault(error, case, path)
        return verdict(Verdict.UNCLEAR if fault else Verdict.RIGHT, text, fault)
    except Exception as error:
        name = type(error).__name__
        if not polite and case.must != "read":
            return verdict(Verdict.RIGHT, name)
        return verdict(Verdict.UNCLEAR, f"{name}: {error}"[:150], "no typed error")
    except BaseException as error:  # a panic of a codec is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return verdict(Verdict.CRASH, type(error).__name__, "it escapes every handler")
    if case.must == "refuse" or truth is None:
        return verdict(Verdict.WRONG, "read", "there is no right reading")
    fault = difference(hu, affine, truth) or ("it names the patient" if CANARY in said else "")
    return verdict(Verdict.WRONG if fault else Verdict.RIGHT, "read", fault)


def sentence_fault(error: CtinvError, case: Case, path: Path) -> str:
    """What is wrong with a refusal; empty if it is one clear, short sentence that names no one."""
    text = str(error)
    if not isinstance(error, SeriesError):
        return f"it is a {type(error).__name__}, not a SeriesError"
    if len(text) > MAX_SENTENCE:
        return f"it has {len(text)} characters"
    if not text.endswith(".") or "\n" in text:
        return "it is no sentence"
    if CANARY.lower() in text.lower():
        return "it names the patient"
    if str(path) in text or str(path.parent) in text:
        return "it shows a path"
    if re.search(r"0x[0-9a-f]{6}|object at|Traceback|NoneType|\bnan\b mm", text):
        return "it speaks of the program, not of the scan"
    if not re.search(r"\w\.(dcm|DCM|gz)\b|series|slice|folder|#\d|file", text):
        return "it names neither file nor series"
    if not re.search(r"[;:(]|, ", text):
        return "it has no remedy"
    if not re.search(case.cause, text):
        return f"it does not name the cause ({case.cause})"
    return ""


def difference(hu: NDArray[Any], affine: NDArray[np.float64], truth: Truth) -> str:
    """Where a read volume departs from the truth in the patient's own millimetres; empty if nowhere."""
    if sorted(hu.shape) != sorted(truth.hu.shape):
        return f"shape {hu.shape} instead of {truth.hu.shape}"
    if not np.isfinite(affine).all() or not abs(np.linalg.det(affine)) > 1e-12:
        return "its affine is no grid"
    to_read = np.linalg.inv(affine) @ truth.affine
    indices = np.indices(truth.hu.shape).reshape(3, -1)
    found = to_read[:3, :3] @ indices + to_read[:3, 3:]
    nearest = np.rint(found).astype(int)
    if (nearest < 0).any() or (nearest >= np.array(hu.shape)[:, None]).any():
        return "voxels lie outside the volume that was read"
    distance = max_corner_distance(hu.shape, affine, truth)
    if not distance <= MAX_MM:
        return f"a voxel corner lies {distance:.3f} mm away"
    error = np.abs(hu[tuple(nearest)].astype(np.float64) - truth.hu.ravel())
    allowed = truth.slack + rounding(truth.hu.ravel())
    if not (error <= allowed).all():
        return f"HU differ by up to {error.max():.4g}"
    return ""


def rounding(hu: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whole HU are exact; others are as close as float32 brings them."""
    return np.where(hu == np.rint(hu), 0.0, np.spacing(np.abs(hu).astype(np.float32)))


def max_corner_distance(shape: tuple[int, ...], affine: NDArray[np.float64], truth: Truth) -> float:
    """Largest distance in mm between corners of the same voxel; an affine error is largest at the outermost corners."""
    sign = np.rint(np.linalg.inv(affine)[:3, :3] @ truth.affine[:3, :3])
    if not np.array_equal(np.abs(sign) @ np.ones(3), np.ones(3)):
        return float("inf")
    offset = np.rint((np.linalg.inv(affine) @ truth.affine)[:3, 3])
    ends = [(-0.5, size - 0.5) for size in truth.hu.shape]
    corners = np.array([(*corner, 1.0) for corner in product(*ends)]).T
    matched = np.vstack([sign @ corners[:3] + offset[:, None], np.ones(corners.shape[1])])
    return float(np.linalg.norm((affine @ matched - truth.affine @ corners)[:3], axis=0).max())


def judge_listing(case: Case, path: Path) -> str:
    """What is wrong with the listing of a folder that was built; empty if its counts are true and it names no one."""
    try:
        infos = list_series(path)
    except SeriesError as error:
        return f"no listing: {error}" if case.listed is not None or case.must == "read" else ""
    except Exception as error:
        return f"it raises {type(error).__name__}"
    if CANARY in repr([(info.number, info.kernel, info.warnings, str(info)) for info in infos]):
        return "the listing names the patient"
    counts = sorted(info.slices for info in infos)
    if case.listed is not None and counts != sorted(case.listed):
        return f"the listing counts {counts} instead of {sorted(case.listed)}"
    if case.must == "read" and case.listed is None and len(infos) != 1:
        return f"the listing shows {len(infos)} series where one was read"
    return ""


def table(judgements: Iterable[Judgement]) -> str:
    """Counts of verdicts by theme, and every case that is not right."""
    judgements = list(judgements)
    themes = list(dict.fromkeys(j.theme for j in judgements))
    lines = [f"{'theme':<28}" + "".join(f"{v.value:>18}" for v in Verdict)]
    for theme in [*themes, "all"]:
        counts = Counter(j.verdict for j in judgements if theme in ("all", j.theme))
        lines.append(f"{theme:<28}" + "".join(f"{counts[v]:>18}" for v in Verdict))
    wrong = [j for j in judgements if j.verdict is not Verdict.RIGHT]
    lines += [f"{j.verdict.value}: {j.case}: {j.reason}; {j.outcome}" for j in wrong]
    return "\n".join(lines)
