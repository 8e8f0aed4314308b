"""Analyses, gallery, regions, noise and report as models, on a real small study; the real engine, no window."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from plugin_studies import sample_cnn10

from ctinv.analysis.registry import ANALYSES
from ctinv.errors import InputError
from ctinv.volume import Box
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import layer_info
from napari_ctinv.sample_data import quarter_dose
from napari_ctinv.session import Session, session_of
from napari_ctinv.session.roi import HEAD

BOX = Box(8, 180, 204, 160, 184)
N = 8


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_cnn10(tmp_path_factory.mktemp("made") / "study.zarr", BOX, n=N)


@pytest.fixture
def session(made: Path) -> Iterator[Session]:
    viewer = ViewerModel()  # a session does not keep its viewer
    session = session_of(viewer)
    add_layers(session.viewer, quarter_dose())
    session.scan.open(made)
    yield session
    session.close()


def test_findings_stream_in_and_their_maps_lie_over_the_region(session: Session) -> None:
    model = session.analyse
    model.chosen = ("noise-consistency", "matched-filter", "lesion-blindness")
    seen: list[int] = []
    model.events.findings.connect(lambda findings: seen.append(len(findings)))
    assert model.run().wait(300).state == "done"
    assert seen == [1, 2, 3]
    assert list(model.findings) == list(model.chosen)
    eta = model.show_map("lesion-blindness", "eta")
    assert model.show_map("lesion-blindness", "eta") is eta
    assert eta.visible
    assert eta.colormap.name == "blindness"
    assert tuple(eta.contrast_limits) == (0, 1)
    scan = session.scan.layer
    np.testing.assert_allclose(
        eta.data_to_world((0, 0, 0)), scan.data_to_world((BOX.z, BOX.y0, BOX.x0)), atol=1e-3
    )
    assert eta.data.shape == (1, *BOX.shape)
    assert layer_info(eta.metadata)["finding"] == "lesion-blindness"
    strongest = model.show_map("matched-filter", next(iter(model.findings["matched-filter"].maps)))
    assert strongest.colormap.name == "RdBu_r"
    assert strongest.contrast_limits[0] == -strongest.contrast_limits[1]


def test_cancel_is_heard_within_an_analysis_that_evaluates_no_network(session: Session) -> None:
    model = session.analyse
    seen: list[str] = []

    def cancel(text: str) -> None:
        seen.append(text)
        if text.startswith("lesion blindness: "):
            model.activity.cancel()

    model.activity.events.text.connect(cancel)
    assert model.run("lesion-blindness").wait(300).state == "cancelled"
    assert any(text.startswith("lesion blindness: ") for text in seen)
    assert model.findings == {}
    assert not model.activity.running


def test_curves_say_their_units(session: Session) -> None:
    model = session.analyse
    assert model.run("noise-consistency", "lesion-blindness").wait(300).state == "done"
    spectrum = model.plots("noise-consistency")[0]
    assert spectrum.across == "frequency, 1/mm"
    assert spectrum.up == "power, HU² mm²"
    assert list(spectrum.lines) == ["noise of C", "x − f(x)", "x̃ − f(x)"]
    contrast, share = model.plots("lesion-blindness")
    assert (contrast.log, contrast.across, contrast.up) == ("xy", "diameter, mm", "contrast, HU")
    assert share.levels == {"η = ½": 0.5}
    x, y = contrast.lines["seen in the scan, d′ = 3"]
    assert x.shape == y.shape
    assert (y > 0).all()


def test_findings_go_and_come_with_their_study(session: Session, made: Path, tmp_path: Path) -> None:
    model, first = session.analyse, session.shown.samples
    assert model.run("matched-filter").wait(300).state == "done"
    finding = model.findings["matched-filter"]
    session.scan.open(shutil.copytree(made, tmp_path / "other.zarr"))
    assert model.study.path == tmp_path / "other.zarr"
    assert model.findings == {}
    session.viewer.layers.selection.active = first
    assert model.findings == {"matched-filter": finding}
    session.viewer.layers.clear()
    assert model.findings == {}
    with pytest.raises(InputError, match="no study"):
        model.run()


def test_the_gallery_shows_shares_and_goes_to_the_sample(session: Session) -> None:
    gallery, store = session.gallery, session.shown.study
    assert gallery.run().wait(300).state == "done"
    assert 1 <= len(gallery.cards) <= 6
    assert sum(card.share for card in gallery.cards) == pytest.approx(1)
    for card in gallery.cards:
        assert (card.x_tilde == store.read(card.row)).all()
        assert (card.change == card.x_tilde - store.setting.volume.hu[0]).all()
        assert card.certificate.k == card.row
        assert f"sample {card.row}" in card.caption
    row = gallery.cards[-1].row
    gallery.show(row)
    viewer = session.viewer
    assert viewer.dims.point[-4] == store.rows.index(row)
    assert layer_info(viewer.layers.selection.active.metadata)["kind"] == "samples"
    assert viewer.dims.point[-3] == pytest.approx(session.scan.layer.data_to_world((BOX.z, 0, 0))[0])


def test_a_region_is_measured_at_one_place_in_every_image(session: Session) -> None:
    model, store, scan = session.roi, session.shown.study, session.scan.layer
    layer = model.draw("ellipse")
    assert layer.mode == "add_ellipse"
    corners = [(183.5, 163.5), (183.5, 171.5), (191.5, 171.5), (191.5, 163.5)]
    layer.add(np.array([(BOX.z, *corner) for corner in corners]), shape_type="rectangle")
    session.viewer.dims.set_point(session.viewer.dims.ndim - 4, 5)
    rows = {row.image: row.statistics for row in model.measure()}
    inside = (slice(4, 12), slice(4, 12))
    assert rows[scan.name].voxels == 64
    assert rows[scan.name].mean == pytest.approx(scan.data[BOX.z, 184:192, 164:172].mean(), rel=1e-5)
    dy, dx = scan.scale[-2:]
    assert rows[scan.name].area_mm2 == pytest.approx(64 * abs(dy * dx))
    assert rows["f(x) cnn10"].mean == pytest.approx(store.setting.fx[inside].mean(), rel=1e-5)
    assert rows["x̃ cnn10 output, sample 5"].mean == pytest.approx(store.read(5)[inside].mean(), rel=1e-4)
    assert rows["mean [HU]"].mean == pytest.approx(store.mean()[inside].mean(), rel=1e-4)
    assert rows["spread [HU]"].mean == pytest.approx(store.spread()[inside].mean(), rel=1e-4)
    table = list(csv.DictReader(io.StringIO(model.csv())))
    assert list(table[0]) == list(HEAD)
    assert len(table) == len(model.rows)
    assert float(table[0]["mean"]) == pytest.approx(rows[table[0]["image"]].mean)


def test_labels_count_as_regions(session: Session) -> None:
    scan = session.scan.layer
    labels = np.zeros(scan.data.shape, np.uint8)
    labels[BOX.z, 190:195, 170:180] = 4
    layer = Labels(labels, scale=scan.scale, translate=scan.translate)
    session.viewer.add_layer(layer)
    session.viewer.dims.set_point(session.viewer.dims.ndim - 3, scan.data_to_world((BOX.z, 0, 0))[0])
    rows = {row.image: row.statistics for row in session.roi.measure()}
    assert rows[scan.name].mean == pytest.approx(scan.data[BOX.z, 190:195, 170:180].mean(), rel=1e-5)
    assert session.roi.drawing() is layer
    session.viewer.dims.set_point(session.viewer.dims.ndim - 3, scan.data_to_world((2, 0, 0))[0])
    with pytest.raises(InputError, match="no region here"):
        session.roi.measure()


def test_noise_before_and_after_in_the_same_squares(session: Session) -> None:
    session.denoise.slices = "visible slice"
    session.viewer.dims.set_point(
        session.viewer.dims.ndim - 3, session.scan.layer.data_to_world((BOX.z, 0, 0))[0]
    )
    assert session.denoise.run().wait(120).state == "done"
    session.engine().delivery.wait(
        lambda: "f(x) cnn10" in [layer.name for layer in session.noise.layers], 120
    )
    model = session.noise
    model.denoised = [layer for layer in model.layers if layer.data.shape == (1, 512, 512)][-1]
    assert model.run().wait(120).state == "done"
    before, after = model.found.noises
    assert after.std < 0.8 * before.std
    assert after.mean_per_mm < before.mean_per_mm, "denoised noise is blotchier"
    assert {z for z, _, _ in model.found.squares.places} == {BOX.z}
    assert len(list(csv.reader(io.StringIO(model.csv())))) == 3
    drawn = model.show_squares()
    assert len(drawn.data) == len(model.found.squares.places)
    model.where = "drawn region"
    with pytest.raises(InputError, match="nothing is drawn"):
        model.run()


def test_the_report_goes_beside_the_study(session: Session, tmp_path: Path) -> None:
    model = session.report
    model.folder = tmp_path / "report"
    run = model.run()
    model.activity.cancel()
    assert run.wait(300).state == "cancelled"
    assert model.page is None
    assert not (tmp_path / "report").exists()


def test_what_is_offered_is_the_registry(session: Session) -> None:
    assert session.analyse.chosen == tuple(ANALYSES)
    assert session.analyse.held() == N
