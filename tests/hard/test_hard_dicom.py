"""One judged run over all hard DICOM cases: nothing silently wrong, no unclear sentence, no crash.

Set the environment variable ``CTINV_HARD_FIGURES`` to a file to keep the figures as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from dicom_cases import CASES, THEMES
from dicom_cases_codecs import compressed
from dicom_judge import Judgement, Verdict, difference, judge, judge_listing, ours, sentence_fault, table
from dicom_naive import naive
from dicom_phantom import CANARY, SHAPE, Truth, slices, truth, write
from dicom_registry import Case
from pydicom.uid import JPEG2000Lossless

from ctinv.errors import InputError, SeriesError
from ctinv.io.dicom import read_series


@dataclass(frozen=True)
class Run:
    """Judgements of this package, of its listings (what is wrong, by case) and of the naive reader."""

    ours: list[Judgement]
    listings: dict[str, str]
    naive: list[Judgement]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every case built once and put to both readers."""
    root = tmp_path_factory.mktemp("hard")
    mine, listings, control = [], {}, []
    for k, case in enumerate(CASES.values()):
        folder = root / f"case{k}"
        folder.mkdir()
        mine.append(judge(case, folder))
        if fault := judge_listing(case, folder / case.target):
            listings[case.name] = fault
        # The folder is there already; the naive reader may warn as it likes.
        built = replace(case, build=lambda _, made=mine[-1].truth: made)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            control.append(judge(built, folder, naive, polite=False))
    return Run(mine, listings, control)


def figures(judgements: Iterable[Judgement]) -> dict[str, object]:
    """Counts of verdicts, as they go into the documentation."""
    judgements = list(judgements)
    verdicts = Counter(j.verdict for j in judgements)
    return {
        "cases": len(judgements),
        "must": dict(Counter(j.must for j in judgements)),
        "read": sum(j.outcome == "read" for j in judgements),
        "longest_sentence": max((len(j.outcome) for j in judgements if j.outcome != "read"), default=0),
        **{verdict.value: verdicts[verdict] for verdict in Verdict},
    }


@pytest.mark.slow
def test_no_case_is_silently_wrong_unclear_or_a_crash(run: Run) -> None:
    print(table(run.ours))
    if target := os.environ.get("CTINV_HARD_FIGURES"):
        content = {
            "ours": figures(run.ours),
            "naive": figures(run.naive),
            "themes": {theme: figures(j for j in run.ours if j.theme == theme) for theme in THEMES},
            "cases": [{key: value for key, value in asdict(j).items() if key != "truth"} for j in run.ours],
        }
        Path(target).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert not [j for j in run.ours if j.verdict is not Verdict.RIGHT], table(run.ours)


def test_there_are_cases_of_every_kind() -> None:
    musts = Counter(case.must for case in CASES.values())
    assert len(CASES) >= 300
    assert min(musts["read"], musts["refuse"]) >= 100
    assert {case.theme for case in CASES.values()} == set(THEMES)


@pytest.mark.slow
def test_listings_never_raise_and_count_true(run: Run) -> None:
    assert run.listings == {}


@pytest.mark.slow
def test_the_page_states_the_figures_of_this_run(run: Run) -> None:
    page = (Path(__file__).parents[2] / "docs" / "input.md").read_text(encoding="utf-8")
    for name, judgements in (
        *((theme, [j for j in run.ours if j.theme == theme]) for theme in THEMES),
        ("all", run.ours),
    ):
        read = sum(j.outcome == "read" for j in judgements)
        assert f"| {name} | {len(judgements)} | {read} | {len(judgements) - read} | 0 | 0 | 0 | 0 |" in page
    wrong = sum(j.verdict is Verdict.WRONG for j in run.naive)
    assert f"{wrong} of {len(run.naive)} silently wrong" in page
    assert f"{figures(run.ours)['longest_sentence']} characters" in page


# What the tutorial reader gets wrong without a word, and the judge must see.
CONVICTED = (
    "oblique by 30 and 20 degrees",
    "sagittal",
    "coronal",
    "thickness 5 and spacing 4 where positions step 2.5",
    "tilted gantry",
    "a slice is missing",
    "one slice 0.4 mm off",
    "slope per slice",
    "one slice of other intercept",
    "slope 0",
    "intercept 1e30",
    "two series",
    "two scans of one UID by kernel",
    "two scans of one UID half a step apart by cardiac phase",
    "last slices of another patient",
    "a slice sent again with other pixels",
    "a localizer in the series beside the scan",
)


@pytest.mark.slow
def test_the_judge_convicts_a_naive_reader(run: Run) -> None:
    verdicts = {j.case: j.verdict for j in run.naive}
    assert {name: verdicts[name] for name in CONVICTED} == dict.fromkeys(CONVICTED, Verdict.WRONG)
    assert verdicts["baseline"] is Verdict.RIGHT


def _one_voxel_off(found: Truth) -> tuple[np.ndarray, np.ndarray]:
    hu = found.hu.copy()
    hu[3, 20, 10] += 1
    return hu, found.affine


def _shifted(found: Truth) -> tuple[np.ndarray, np.ndarray]:
    affine = found.affine.copy()
    affine[0, 3] += 0.011
    return found.hu, affine


def _stretched(found: Truth) -> tuple[np.ndarray, np.ndarray]:
    affine = found.affine.copy()
    affine[:3, 0] *= 1.002
    return found.hu, affine


def _flipped(found: Truth) -> tuple[np.ndarray, np.ndarray]:
    return found.hu[::-1], found.affine


def _short(found: Truth) -> tuple[np.ndarray, np.ndarray]:
    return found.hu[:-1], found.affine


@pytest.mark.parametrize("spoil", [_one_voxel_off, _shifted, _stretched, _flipped, _short])
def test_the_judge_sees_the_smallest_error(spoil: object) -> None:
    hu, affine = spoil(truth())  # type: ignore[operator]
    assert difference(hu, affine, truth())


def test_the_judge_takes_the_same_volume_in_any_order_of_axes() -> None:
    found = truth()
    turned = found.affine @ np.array([[0, 0, -1, SHAPE[0] - 1], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    assert not difference(found.hu[::-1].transpose(2, 1, 0), turned, found)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("s001.dcm has no RescaleSlope; export the series again.", ""),
        ("s001.dcm has no RescaleSlope; export the series again", "no sentence"),
        ("s001.dcm has no RescaleSlope.", "no remedy"),
        ("the header has no RescaleSlope; export it again.", "neither file nor series"),
        ("s001.dcm is bad; export the series again.", "cause"),
        (f"s001.dcm of {CANARY} has no RescaleSlope; export it again.", "patient"),
        ("/data/scan/s001.dcm has no RescaleSlope; export it again.", "path"),
        ("s001.dcm has no RescaleSlope; " + "export the series again " * 9 + ".", "characters"),
        ("s001.dcm has no RescaleSlope, 'NoneType' has no attribute; file a bug.", "program"),
    ],
)
def test_the_judge_reads_sentences(text: str, fault: str) -> None:
    case = Case("x", "values", "refuse", lambda folder: None, cause="RescaleSlope")
    found = sentence_fault(SeriesError(text), case, Path("/data/scan"))
    assert fault in found
    assert bool(found) == bool(fault)
    assert sentence_fault(InputError(text), case, Path("/data/scan"))


@pytest.mark.parametrize("moment", ["header", "claims", "pixels"])
def test_a_file_that_vanishes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    from ctinv.io import _headers, _pixels, dicom

    write(slices(), tmp_path)
    module, name = {
        "header": (_headers, "scan_files"),
        "claims": (dicom, "group_slices"),
        "pixels": (_pixels, "slices"),
    }[moment]
    whole = getattr(module, name)

    def vanish(*arguments: object) -> object:
        (tmp_path / "s003.dcm").unlink(missing_ok=True)
        return whole(*arguments)

    monkeypatch.setattr(module, name, vanish)
    case = Case("x", "files", "refuse", lambda folder: None, cause="No such file")
    with pytest.raises(SeriesError, match=r"s003.dcm cannot be read") as caught:
        read_series(tmp_path)
    assert not sentence_fault(caught.value, case, tmp_path)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_missing_rights_are_said_and_nothing_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """As root, whom rights do not bind, the system's refusal is played."""
    write(slices()[:3], tmp_path)
    write(slices()[3:], tmp_path / f"{CANARY}_rest")
    scandir, open_ = os.scandir, Path.open

    def no_folder(path: object) -> object:
        if CANARY in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)  # type: ignore[call-overload]

    def no_file(self: Path, *arguments: object, **named: object) -> object:
        if self.name == "s001.dcm":
            raise PermissionError(13, "Permission denied", str(self))
        return open_(self, *arguments, **named)  # type: ignore[call-overload]

    if what == "folder":
        monkeypatch.setattr(os, "scandir", no_folder)
    else:
        monkeypatch.setattr(Path, "open", no_file)
    case = Case("x", "files", "refuse", lambda folder: None, cause="rights")
    with pytest.raises(SeriesError) as caught:
        read_series(tmp_path)
    assert not sentence_fault(caught.value, case, tmp_path)


def test_compressed_series_are_read_without_gdcm_and_itk(tmp_path: Path) -> None:
    write(compressed(JPEG2000Lossless), tmp_path)
    code = (
        "import sys; from ctinv.io import read; read(sys.argv[1]); "
        "print([m for m in sys.modules if m.split('.')[0].lower() in ('gdcm', 'itk', 'simpleitk')])"
    )
    made = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert made.stdout.strip() == "[]"


def test_nothing_of_the_patient_is_said_or_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    write(slices(), tmp_path)
    assert CANARY not in ours(tmp_path)[2] + caplog.text
