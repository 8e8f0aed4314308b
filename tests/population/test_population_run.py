"""Regions of all patients are measured once, kept at once, and told from those of other requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from population_patients import SIZE, smoothing, volume, write_array, write_dicom

from ctinv.errors import InputError, ResourceError
from ctinv.population import run as running
from ctinv.population.request import Case, Request
from ctinv.population.results import Results
from ctinv.population.run import run
from ctinv.population.table import markdown, write_page
from ctinv.population_picture import draw
from ctinv.sampler import InvarianceSampler
from ctinv.volume import Box

KINDS = ("soft tissue", "lung edge")


def _request(**changes: Any) -> Request:
    return Request(**{"kinds": KINDS, "size": SIZE, "n": 3, "device": "cpu", **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients and a file that is none."""
    folder = tmp_path_factory.mktemp("patients")
    write_array(folder, "Fink_Anna", 1)
    write_dicom(folder / "Fink_Berta", 2, patient=("Fink^Berta", "4712"))
    write_array(folder, "Fink_Carl", 3)
    (folder / "Fink_Dora.nii").write_bytes(b"broken")
    return folder


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out") / "population.json"


@pytest.fixture(scope="module")
def page(folder: Path, path: Path) -> dict[str, Any]:
    return run({"smoothing": smoothing()}, folder, _request(), Results(path))


def test_every_patient_is_measured_and_what_is_missing_is_said(page: dict[str, Any], path: Path) -> None:
    assert page["patients"] == ["patient1", "patient2", "patient3"]
    assert [one["case"]["kind"] for one in page["regions"]] == ["soft tissue"] * 3
    assert len(page["absent"]) == 3
    assert len(page["unreadable"]) == 1
    assert page["unreadable"][0]["name"] == "entry 4"
    text = path.read_text()
    assert not any(word in text for word in ("Fink", "Anna", "4712", str(path.parent)))
    summary = page["summary"]["smoothing"]["soft tissue"]
    assert summary["patients"] == 3
    assert summary["free_share"]["low"] <= summary["free_share"]["mean"] <= summary["free_share"]["high"]
    stored = json.loads(text)
    assert len(stored["cases"]) == 3
    assert stored["page"]["summary"] == json.loads(json.dumps(page["summary"]))


def test_a_region_holds_the_figures_of_a_study(page: dict[str, Any], folder: Path) -> None:
    from ctinv.io import from_array

    one = page["regions"][0]
    scan = from_array(np.load(folder / "Fink_Anna.npy"), (2.5, 1.0, 1.0))
    sampler = InvarianceSampler(smoothing(), device="cpu")
    samples = sampler.sample(scan, Box.parse(one["case"]["box"]), n=3)
    summary = samples.summary()
    for name in ("d_eff", "free_share", "spread_hu", "nfe"):
        assert one[name] == pytest.approx(summary[name], rel=1e-3)
    assert one["certified_share"] == summary["passed"] / 3 == 1.0
    assert one["worst_rmse_hu"] == pytest.approx(summary["rmse_hu"]["max"], rel=1e-3)
    assert 0.0 < one["eta_min"] <= one["eta_median"] <= 1.0
    assert one["blind"] == 0


def test_asking_again_measures_nothing_and_another_request_is_kept_apart(
    page: dict[str, Any], folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    monkeypatch.setattr(running, "measure", _never)
    assert run({"smoothing": smoothing()}, folder, _request(), Results(path)) == page
    assert path.read_bytes() == before
    with pytest.raises(AssertionError, match="measured"):
        run({"smoothing": smoothing()}, folder, _request(seed=1), Results(path))
    assert set(Results(path).cases) == set(json.loads(before)["cases"])


def _never(*_: Any, **__: Any) -> None:
    raise AssertionError("measured again")


def test_an_interruption_keeps_what_is_finished_and_the_next_run_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "population.json"
    measured: list[str] = []

    def stops(_sampler: Any, scan: Any, box: Box, **_: Any) -> dict[str, Any]:
        if len(measured) == 1:
            raise KeyboardInterrupt
        measured.append(str(box))
        return dict(FIGURES)

    monkeypatch.setattr(running, "measure", stops)
    with pytest.raises(KeyboardInterrupt):
        run({"smoothing": smoothing()}, folder, _request(), Results(out))
    assert len(Results(out).cases) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["population.json"]
    monkeypatch.setattr(running, "measure", lambda *_, **__: measured.append("again") or dict(FIGURES))
    page = run({"smoothing": smoothing()}, folder, _request(), Results(out))
    assert measured.count("again") == 2
    assert len(page["regions"]) == 3


FIGURES = {
    "pixels": 256, "d_eff": 250.0, "free_share": 0.02, "spread_hu": 1.0, "spread_theory_hu": 1.0, "certified_share": 1.0,
    "implausible": 0, "worst_rmse_hu": 0.4, "nfe": 0.02, "chi2_per_n": 1.0, "chi2_per_n_scan": 1.0, "sigma_out_hu": 9.0,
    "sigma_noise_hu": 20.0, "eta_min": 0.9, "eta_median": 0.95, "blind": 0, "withheld": 0, "worst_disc_mm": 3.0,
    "unit": "HU",
}  # fmt: skip


def test_a_region_that_fails_is_listed_and_the_others_are_measured(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def fails(*_: Any, **__: Any) -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 2:
            raise ResourceError("no memory for this region.")
        return dict(FIGURES)

    monkeypatch.setattr(running, "measure", fails)
    page = run({"smoothing": smoothing()}, folder, _request(), Results(tmp_path / "p.json"))
    assert len(page["regions"]) == 2
    assert len(page["failed"]) == 1
    assert "no memory" in page["failed"][0]
    assert page["summary"]["smoothing"]["soft tissue"]["d_eff"]["low"] is None  # two patients are left
    assert "No interval" not in markdown(page)  # three patients were read
    assert "no memory" in markdown(page)


def test_page_and_picture_say_what_the_figures_are(page: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    write_page(path, page)
    text = path.read_text()
    assert "3 patients, 3 scans, 3 regions of 16 x 16 pixels" in text
    assert "in 0 of 3 patients (95 % interval 0 to 71 %)" in text
    assert "entry 4" in text
    figure = draw(page, stamp="Research use only.")
    assert len(figure.axes) == 4


def test_slices_ask_for_regions_in_several_parts_of_a_scan() -> None:
    scan = volume(7, slices=4)
    places, absent = _request(kinds=("soft tissue", "bone"), slices=2).places(scan)
    assert {part for part, _ in places} == {0, 1}
    assert all((part == 0) == (box.z < 2) for (part, _), box in places.items())
    assert len(places) + len(absent) == 4
    with pytest.raises(InputError, match="has 4"):
        _request(slices=9).places(scan)


@pytest.mark.parametrize(
    "changes", [{"kinds": ("liver",)}, {"tier": "T9"}, {"n": 0}, {"size": 4}, {"slices": 0}, {"kinds": ()}]
)
def test_requests_that_cannot_be_met_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        _request(**changes)


def test_whatever_decides_a_region_is_in_its_key_and_the_device_is_not() -> None:
    scan, box = volume(1), Box(0, 40, 56, 40, 56)
    key = Case.of(scan, "bone", box, smoothing(), _request()).key
    assert key == Case.of(scan, "bone", box, smoothing(), _request(device="auto")).key
    for changes in ({"tier": "T1"}, {"n": 4}, {"seed": 2}, {"window_hu": 900.0}, {"photons": 1e4}):
        assert Case.of(scan, "bone", box, smoothing(), _request(**changes)).key != key
    assert Case.of(scan, "bone", box, smoothing("other"), _request()).key != key
    assert Case.of(volume(2), "bone", box, smoothing(), _request()).key != key


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"cases": {}}')
    with pytest.raises(InputError, match="no population"):
        Results(tmp_path / "a.json")
