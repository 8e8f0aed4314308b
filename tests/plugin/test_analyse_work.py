"""Work of the computing process on stored studies, run in this one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugin_studies import sample_cnn10

from ctinv.analysis.registry import ANALYSES
from ctinv.errors import InputError, ModelError
from ctinv.io.dicom import read_series
from ctinv.quality.squares import Squares
from ctinv.report.record import Record
from ctinv.resources import ct_folder
from ctinv.sampler import Store
from ctinv.sampler.network import find_denoiser
from ctinv.volume import Box, Volume
from napari_ctinv.engine.codec import decode, encode
from napari_ctinv.engine.messages import Stopped
from napari_ctinv.work import studies
from napari_ctinv.work.analyse import AnalyseRequest, analyse
from napari_ctinv.work.noise import NoiseRequest, noise
from napari_ctinv.work.report import ReportRequest, report

BOX = Box(8, 180, 204, 160, 184)
N = 8


@pytest.fixture(scope="module")
def scan() -> Volume:
    return read_series(ct_folder() / "quarter_dose")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_cnn10(tmp_path_factory.mktemp("made") / "study.zarr", BOX, n=N)


def request(study: Path, *names: str, **options: Any) -> AnalyseRequest:
    return AnalyseRequest(study, names, "cpu", **options)


def quiet(_text: str, _fraction: float) -> None:
    pass


def travelled(items: Iterator[Any]) -> list[Any]:
    """As they arrive in the viewer."""
    return [decode(tree, [bytes(blob) for blob in blobs]) for tree, blobs in map(encode, items)]


def test_every_analysis_arrives_with_its_maps_and_curves(study: Path) -> None:
    phrases: list[str] = []
    found = travelled(analyse(request(study, *ANALYSES), lambda text, _fraction: phrases.append(text)))
    assert [item.name for item in found] == list(ANALYSES)
    for item in found:
        assert item.refused == ""
        assert item.finding.name == item.name
        assert item.finding.sentence.endswith(".")
        assert all(one.values.shape == BOX.shape for one in item.finding.maps.values())
        for columns in item.finding.curves.values():
            assert len({len(column) for column in columns.values()}) == 1
    assert "analysing: noise consistency per band" in phrases


def test_the_prepared_study_serves_again(study: Path) -> None:
    list(analyse(request(study, "matched-filter"), quiet))
    (kept,) = studies._subjects.values()
    list(analyse(request(study, "representatives"), quiet))
    assert list(studies._subjects.values()) == [kept]


def test_an_analysis_that_does_not_fit_stops_no_other(tmp_path: Path) -> None:
    few = sample_cnn10(tmp_path / "few.zarr", BOX, n=3)
    found = list(analyse(request(few, "representatives", "matched-filter"), quiet))
    assert "at least 6 certified samples" in found[0].refused
    assert found[0].finding is None
    assert found[1].finding is not None


def test_a_stop_ends_it_between_two_analyses(study: Path) -> None:
    def stop(text: str, _fraction: float) -> None:
        if "matched" in text:
            raise Stopped

    steps = analyse(request(study, "noise-consistency", "matched-filter"), stop)
    assert next(steps).name == "noise-consistency"
    with pytest.raises(Stopped):
        next(steps)


@pytest.mark.parametrize("name", ["observer", "noise-consistency", "representatives"])
def test_a_stop_is_heard_within_an_analysis(study: Path, name: str) -> None:
    title = ANALYSES[name].title.lower()
    told: list[str] = []

    def stop(text: str, _fraction: float) -> None:
        told.append(text)
        if sum(one.startswith(f"{title}: ") for one in told) == 5:
            raise Stopped

    with pytest.raises(Stopped):
        next(analyse(request(study, name), stop))
    assert told[-1].startswith(f"{title}: ")


def test_the_bar_goes_on_over_all_analyses(study: Path) -> None:
    names, told = ("noise-consistency", "matched-filter", "representatives"), []
    list(analyse(request(study, *names), lambda text, share: told.append((text, share))))
    known = [share for _, share in told if not np.isnan(share)]
    assert known == sorted(known)
    for index, name in enumerate(names):
        shares = [share for text, share in told if text.startswith(f"{ANALYSES[name].title.lower()}: ")]
        assert index / 3 <= shares[0] < shares[-1] <= (index + 1) / 3


def test_a_shipped_denoiser_goes_before_the_users_own(study: Path) -> None:
    weights = Store.open(study).provenance.weights_sha256
    assert studies.source_of(weights, "mine") is None
    assert studies.source_of({"model.safetensors": "0" * 64}, "mine") == "mine"
    assert studies.source_of({}, "mine") == "mine"
    with pytest.raises(ModelError, match="not those"):
        find_denoiser(weights, "redcnn32")


def test_the_report_is_that_of_the_shell(study: Path, tmp_path: Path) -> None:
    asked = ReportRequest(study, tmp_path / "out", "cpu", names=("matched-filter",))
    (written,) = travelled(report(asked, quiet))
    assert written.page == tmp_path / "out" / "report.html"
    assert written.page.read_text().startswith("<!DOCTYPE html>")
    record = Record.read(written.page.with_suffix(".json"))
    assert list(record.content["findings"]) == ["matched-filter"]
    assert written.sentence


def test_noise_of_fx_is_read_where_that_of_x_is(scan: Volume) -> None:
    noisy = replace(scan[6:9], notes=())
    half = noisy.with_hu((noisy.hu / 2).astype(np.float32))
    (found,) = travelled(noise(NoiseRequest(("x", "half"), (noisy, half)), quiet))
    before, after = found.noises
    assert after.std == pytest.approx(before.std / 2, rel=1e-4)
    assert before.distance == 0
    assert after.distance == pytest.approx(np.log10(4), rel=1e-3)
    assert len(found.squares.places) >= 3


def test_noise_of_a_part_is_read_in_the_part(scan: Volume) -> None:
    part = scan[Box(8, 160, 320, 120, 300)]
    region = np.zeros(scan.shape[1:], bool)
    region[150:200, 110:180] = True
    asked = NoiseRequest(("x", "part"), (scan, part), {8: region, 3: region})
    (found,) = list(noise(asked, quiet))
    assert found.noises[0].std == found.noises[1].std
    assert found.squares == Squares(32, ((8, 160, 120),))


def test_images_of_other_voxels_are_refused(scan: Volume) -> None:
    moved = replace(scan, affine=scan.affine + np.array([[0, 0, 0, 0.3]] + [[0] * 4] * 3))
    with pytest.raises(InputError, match="same voxels"):
        next(noise(NoiseRequest(("x", "moved"), (scan, moved)), quiet))
    far = scan[0:2]
    with pytest.raises(InputError, match="do not overlap"):
        next(noise(NoiseRequest(("x", "far"), (scan[5:7], far)), quiet))
