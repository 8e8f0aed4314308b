"""Hard files that are not DICOM: read right to the voxel, or refused in one clear sentence; and the judge is a judge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files_phantom import CANARY, Case, affine, outside, phantom
from image_cases import CASES as IMAGES
from image_cases import RAN
from judge_files import CRASH, GUILTY, LOST, REFUSED, RIGHT, UNCLEAR, WRONG, Reader, judge, table
from naive_readers import nibabel_as_it_is, nibabel_in_lps
from nifti_cases import CASES as NIFTI
from nifti_cases import nifti
from numpy.typing import NDArray

from ctinv.errors import SeriesError
from ctinv.io import read

HERE = Path(__file__).parent
CASES = [*NIFTI, *IMAGES]
PLAIN = Case("plain", "read", nifti())
# What ITK's reader takes without a word; cases that kill its process are left out.
ITK_FALLS_FOR = (
    "NIfTI: no orientation",
    "NIfTI: bad magic",
    "NIfTI: truncated in the voxels",
    "NIfTI: voxels at byte 1e9",
    "NIfTI: intercept without slope",
    "NIfTI: sform NaN",
    "NIfTI: sform singular",
    "NIfTI: NaN voxels",
    "NIfTI: more voxels than the header says",
    "NRRD: spacings alone",
    "NRRD: no origin",
    "NRRD: sizes too small",
    "NRRD: text with words",
    "NRRD: data file one folder up",
    "NRRD: data file by a link out of the folder",
    "MetaImage: voxels one folder up",
    "MetaImage: compressed, damaged",
    "MetaImage: no axes",
    "MetaImage: scaled by a slope",
    "MetaImage: no byte order",
)


def ours(path: Path, modality: str) -> tuple[NDArray[Any], NDArray[np.float64], tuple[str, ...]]:
    volume = read(path, modality=modality)
    return volume.hu, volume.affine, volume.notes


def judged(cases: list[Case], folder: Path, reader: Reader) -> dict[str, str]:
    return {
        case.name: judge(case, folder / str(number) / "c", reader).outcome
        for number, case in enumerate(cases)
    }


def test_every_hard_file_is_right_or_refused_clearly(tmp_path: Path) -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 350
    verdicts = [judge(case, tmp_path / str(number) / "c", ours) for number, case in enumerate(CASES)]
    print(table(verdicts))
    guilty = [verdict for verdict in verdicts if verdict.outcome in GUILTY]
    assert not guilty, "\n".join(map(str, guilty))
    assert {v.outcome for v in verdicts if v.must == "read"} == {RIGHT}
    assert {v.outcome for v in verdicts if v.must == "refuse"} == {REFUSED}
    assert RAN not in os.environ


@pytest.mark.filterwarnings("ignore")  # of nibabel and NumPy
def test_nibabel_used_as_it_comes_is_convicted(tmp_path: Path) -> None:
    naive = judged(NIFTI, tmp_path / "ras", nibabel_as_it_is)
    assert naive["NIfTI: NIfTI-1"] == WRONG  # RAS taken for LPS
    assert RIGHT not in naive.values()
    careful = judged(NIFTI, tmp_path / "lps", nibabel_in_lps)
    assert careful["NIfTI: NIfTI-1"] == RIGHT
    fooled = {name.removeprefix("NIfTI: ") for name, outcome in careful.items() if outcome == WRONG}
    assert fooled >= {
        "intercept without slope",
        "no orientation",
        "sform NaN",
        "micrometres",
        "voxels at byte 0",
        "slope infinite",
        "NaN voxels",
        "more voxels than the header says",
        "header of a pair",
        "type of another size than its bits",
    }
    assert len(fooled) >= 40


def test_itk_used_as_it_comes_is_convicted(tmp_path: Path) -> None:
    right = [
        "NIfTI: NIfTI-1",
        "NRRD: LPS",
        "NRRD: RAS",
        "NRRD: sheared",
        "MetaImage: in one file",
        "MetaImage: sheared",
    ]
    command = [sys.executable, HERE / "naive_readers.py", tmp_path, *ITK_FALLS_FOR, *right]
    done = subprocess.run(command, capture_output=True, check=True, timeout=300)
    verdicts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b'{"case"')]
    outcomes = {verdict["case"]: verdict["outcome"] for verdict in verdicts}
    assert outcomes == {**dict.fromkeys(ITK_FALLS_FOR, WRONG), **dict.fromkeys(right, RIGHT)}


def fails(error: BaseException) -> Reader:
    def reader(path: Path, modality: str) -> Any:
        raise error

    return reader


def changed(change: Callable[[Any], Any]) -> Reader:
    """Our reader with its (values, affine) changed."""

    def reader(path: Path, modality: str) -> Any:
        values, place, _ = ours(path, modality)
        return (*change((values, place)), ())

    return reader


def shifted(pair: Any) -> Any:
    place = pair[1].copy()
    place[0, 3] += 0.02
    return pair[0], place


def peeks(path: Path, modality: str) -> Any:
    outside(path.parent).read_bytes()
    return ours(path, modality)


CLEAR = "scan.nii is damaged; copy it again."
FAULTS: dict[str, tuple[Reader, str]] = {
    "right": (ours, RIGHT),
    "axes in another order": (changed(lambda p: (p[0].transpose(2, 0, 1), p[1][:, [2, 0, 1, 3]])), RIGHT),
    "axes swapped, affine not": (changed(lambda p: (p[0][::-1], p[1])), WRONG),
    "0.02 mm aside": (changed(shifted), WRONG),
    "one HU": (changed(lambda p: (p[0] + (np.indices(p[0].shape).sum(0) == 0), p[1])), WRONG),
    "a slice fewer": (changed(lambda p: (p[0][1:], p[1])), WRONG),
    "no affine": (changed(lambda p: (p[0], np.full((4, 4), np.nan))), WRONG),
    "a file outside": (peeks, WRONG),
    "refused for nothing": (fails(SeriesError(CLEAR)), LOST),
    "no typed error": (fails(KeyError("dim")), UNCLEAR),
    "too long": (fails(SeriesError(f"{'very ' * 40}{CLEAR}")), UNCLEAR),
    "no full stop": (fails(SeriesError(CLEAR[:-1])), UNCLEAR),
    "no name": (fails(SeriesError("the file is damaged; copy it again.")), UNCLEAR),
    "no remedy": (fails(SeriesError("scan.nii is damaged.")), UNCLEAR),
    "the patient": (fails(SeriesError(f"{CANARY}: {CLEAR}")), UNCLEAR),
    "no exception": (fails(SystemExit(1)), CRASH),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_judge_convicts_each_fault(tmp_path: Path, fault: str) -> None:
    reader, outcome = FAULTS[fault]
    assert judge(PLAIN, tmp_path / "1" / "c", reader).outcome == outcome


def test_the_judge_convicts_who_reads_what_must_be_refused_or_shows_a_path(tmp_path: Path) -> None:
    forbidden = Case("forbidden", "refuse", nifti())
    assert judge(forbidden, tmp_path / "1" / "c", ours).outcome == WRONG
    assert judge(forbidden, tmp_path / "2" / "c", fails(SeriesError(CLEAR))).outcome == REFUSED
    folder = tmp_path / "3" / "c"
    assert judge(forbidden, folder, fails(SeriesError(f"{folder}: {CLEAR}"))).outcome == UNCLEAR
    noted = Case("noted", "read", nifti(), phantom(), affine(), note="micrometres")
    assert judge(noted, tmp_path / "4" / "c", ours).outcome == WRONG
