"""``ctinv info FOLDER`` where a folder holds several series: a list to choose from, and the choice."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_shell import Ran
from pydicom import Dataset

sys.path.insert(0, str(Path(__file__).parents[1] / "hard"))

from dicom_phantom import CANARY, phantom, slices, write

Run = Callable[..., Ran]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two series 3.2 minutes apart, the second one without one of its slices and of another kernel."""

    def later(z: int, ds: Dataset) -> None:
        ds.AcquisitionTime, ds.ConvolutionKernel = "120312", "B70f"

    write(slices(), tmp_path / f"{CANARY}_Ada")
    made = slices(phantom() + 9, uid="1.2.3.8", edit=later)
    del made[3]
    write(made, tmp_path / "other")
    return tmp_path


def test_several_series_are_listed_with_time_and_warnings(ctinv: Run, folder: Path) -> None:
    facts = ctinv("info", folder, "--json").json
    assert facts["kind"] == "folder"
    first, second = facts["series"]
    assert (first["number"], first["slices"], first["kernel"], first["minutes"]) == ("#1", 6, "B30f", 0.0)
    assert (second["number"], second["slices"], second["kernel"]) == ("#2", 5, "B70f")
    assert second["minutes"] == pytest.approx(3.2)
    assert first["warnings"] == []
    assert "missing" in second["warnings"][0]
    people = ctinv("info", folder)
    assert people.code == 0
    assert "+3.2" in people.out
    assert CANARY not in people.out + people.err


def test_a_series_is_chosen_by_its_number(ctinv: Run, folder: Path) -> None:
    facts = ctinv("info", folder, "--uid", "#1", "--json").json
    assert facts["kind"] == "scan"
    assert facts["shape"] == [6, 40, 36]
    refused = ctinv("info", folder, "--uid", "#2")
    assert refused.code == 1
    assert "missing" in refused.err


def test_other_commands_never_pick_one_in_silence(ctinv: Run, folder: Path, tmp_path: Path) -> None:
    refused = ctinv("denoise", folder, "--out", tmp_path / "out.npy")
    assert refused.code == 1
    assert "#1: 6 slices of 2.50 mm, B30f, +0.0 min; #2: 5 slices of 2.50 mm, B70f, +3.2 min" in refused.err
    assert len(refused.err.strip()) <= 220
