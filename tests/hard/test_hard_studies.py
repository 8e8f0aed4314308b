"""Studies of strangers are read as they were certified, or refused in one sentence; nothing outside them is opened."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files_phantom import CANARY
from judge_files import CRASH, GUILTY, LOST, REFUSED, RIGHT, UNCLEAR, WRONG, Verdict, fault_of, table
from study_cases import CASES, DAMAGED_LINES, ROWS, StudyCase, sound

from ctinv.errors import CtinvError
from ctinv.sampler import Store

Content = dict[str, Any]
_opened: list[str] | None = None


def _record(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(args[0], (str, bytes)):
        _opened.append(os.path.realpath(os.fsdecode(args[0])))


sys.addaudithook(_record)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sound(tmp_path_factory.mktemp("sound") / "study.zarr")


def everything(path: Path) -> Content:
    """All that a study says of itself and its samples."""
    study = Store.open(path)
    setting = study.setting
    batches = list(study.batches())
    return {
        "rows": study.rows,
        "x_tilde": np.concatenate([batch.x_tilde for batch in batches]),
        "errors": np.concatenate([batch.feedback_error for batch in batches]),
        "certificates": study.certificates,
        "scan": setting.volume.hu,
        "affine": setting.volume.affine,
        "planes": np.stack([setting.fx, setting.theory_spread]),
        "context": setting.context,
        "maps": np.stack([study.mean(), study.spread()]),
        "scalars": json.dumps(setting.scalars),
        "summary": json.dumps(study.summary()),
        "quantum": setting.quantum,
    }


def equal(one: Any, other: Any) -> bool:
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else bool(one == other)


def judge(case: StudyCase, path: Path, truth: Content) -> Verdict:
    global _opened
    case.change(path)
    _opened = []
    try:
        outcome, words = _outcome(case, path, truth)
    finally:
        opened, _opened = _opened, None
    beside = [name for name in opened if Path(name).parent == path.parent or "outside" in name]
    return Verdict(
        case.name, case.must, WRONG if beside else outcome, f"opened {beside[0]}" if beside else words
    )


def _outcome(case: StudyCase, path: Path, truth: Content) -> tuple[str, str]:
    try:
        found = everything(path)
    except CtinvError as error:
        fault = fault_of(str(error), path)
        if fault:
            return UNCLEAR, f"{fault}: {error}"
        return (LOST if case.must == "read" else REFUSED), str(error)
    except Exception as error:
        return UNCLEAR, f"{type(error).__name__}: {error}"
    except BaseException as error:
        return CRASH, type(error).__name__
    other = [name for name in truth if not equal(truth[name], found[name])]
    if case.must == "refuse" or other:
        return WRONG, f"read with other {', '.join(other) or 'nothing'}"
    return RIGHT, ""


def test_every_study_is_right_or_refused_clearly(whole: Path, tmp_path: Path) -> None:
    truth, verdicts = everything(whole), []
    assert len({case.name for case in CASES}) == len(CASES)
    for number, case in enumerate(CASES):
        path = tmp_path / str(number) / "study.zarr"
        shutil.copytree(whole, path)
        verdicts.append(judge(case, path, truth))
        shutil.rmtree(path.parent, ignore_errors=True)
    print(table(verdicts))
    guilty = [verdict for verdict in verdicts if verdict.outcome in GUILTY]
    assert not guilty, "\n".join(map(str, guilty))


@pytest.mark.parametrize("what", DAMAGED_LINES)
def test_a_line_of_another_kind_costs_its_sample_only(whole: Path, tmp_path: Path, what: str) -> None:
    path = tmp_path / "study.zarr"
    shutil.copytree(whole, path)
    DAMAGED_LINES[what](path)
    found = everything(path)
    assert found["rows"] == tuple(range(ROWS - 1))
    assert np.array_equal(found["x_tilde"], everything(whole)["x_tilde"][:-1])
    assert CANARY not in found["summary"]


@pytest.mark.parametrize("case", [case for case in CASES if case.must != "read"], ids=lambda case: case.name)
def test_verify_survives_every_study_and_opens_nothing_outside(
    case: StudyCase, whole: Path, tmp_path: Path
) -> None:
    global _opened
    path = tmp_path / "s" / "study.zarr"
    shutil.copytree(whole, path)
    case.change(path)
    from ctinv.sampler.verify import find_faults

    _opened = []
    try:
        with contextlib.suppress(CtinvError):
            find_faults(path)
    finally:
        opened, _opened = _opened, None
    assert [name for name in opened if Path(name).parent == path.parent or "outside" in name] == []


def test_the_judge_convicts_who_believes_a_scale_or_a_missing_chunk(whole: Path, tmp_path: Path) -> None:
    truth = everything(whole)
    changed = {**truth, "x_tilde": truth["x_tilde"] * 2}
    path = tmp_path / "study.zarr"
    shutil.copytree(whole, path)
    nothing = StudyCase("sound", "read", lambda folder: None)
    assert judge(nothing, path, truth).outcome == RIGHT
    assert judge(nothing, path, changed).outcome == WRONG
    assert judge(StudyCase("sound", "refuse", lambda folder: None), path, truth).outcome == WRONG
