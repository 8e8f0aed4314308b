"""The study on the screen: what the models say of it, and what they do to napari's model of a viewer."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from plugin_studies import ORIENTATIONS, make_certificate, make_store, make_volume

from ctinv.errors import InputError
from ctinv.fibre.tiers import Certificate
from ctinv.sampler import Batch, Store
from ctinv.volume import Volume
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import finding_layer, sample_stack, study_layers
from napari_ctinv.session import Session, session_of
from napari_ctinv.session.certificates import COLUMNS, cells, numbers
from napari_ctinv.session.growing import GrowingStudy
from napari_ctinv.session.probe import Probed
from napari_ctinv.viewing.film import Reel
from napari_ctinv.viewing.stamp import STAMP, words
from napari_ctinv.work.sample import Grown


@pytest.fixture
def session() -> Iterator[Session]:
    viewer = ViewerModel()
    session = session_of(viewer)
    yield session
    session.close()


def show(session: Session, store: Store) -> Any:
    return add_layers(session.viewer, study_layers(store))[-1]


def stamp_of(session: Session) -> str:
    overlays = session.viewer.canvas.overlays
    return str(overlays[STAMP].text) if STAMP in overlays and overlays[STAMP].visible else ""


def test_the_study_that_is_seen_is_the_one_that_was_selected_or_came_last(
    session: Session, tmp_path: Path, volume: Volume
) -> None:
    assert session.shown.study is None
    first = show(session, make_store(tmp_path / "a.zarr", volume, rows=3))
    second = show(session, make_store(tmp_path / "b.zarr", volume, rows=4))
    assert (session.shown.samples, session.shown.finished) == (second, 4)
    session.viewer.layers.selection.active = first
    assert (session.shown.samples, session.shown.finished) == (first, 3)
    session.viewer.layers.remove(first)
    assert session.shown.samples is second
    session.viewer.layers.clear()
    assert (session.shown.study, session.shown.finished, session.shown.place) == (None, 0, -1)


def test_a_study_that_was_moved_away_is_told_and_stays_on_the_screen(
    session: Session, tmp_path: Path, volume: Volume
) -> None:
    store = make_store(tmp_path / "a.zarr", volume, rows=3)
    with Store.create(store.path, store.provenance, store.setting, n=3) as writer:
        writer.finish()
    store.refresh()
    first, line = show(session, store), session.certificates.line
    second = show(session, make_store(tmp_path / "b.zarr", volume, rows=4))
    store.path.rename(tmp_path / "elsewhere.zarr")
    session.viewer.layers.remove(second)
    assert (session.shown.samples, session.shown.finished) == (first, 3)
    assert "spread" in line
    assert "a.zarr is damaged" in session.certificates.line

    model = session.invariances
    model.study, model.growing = store, GrowingStudy(model, None, None)
    model.growing.grow(Grown(store.path, rows=3))
    assert "there is no study a.zarr" in model.notice


def test_slider_and_place_follow_each_other(session: Session, store: Store) -> None:
    show(session, store)
    assert session.shown.place == 0
    session.shown.show(5)
    assert session.viewer.dims.point[0] == 5
    session.viewer.dims.set_point(0, 2)
    assert session.shown.place == 2
    assert session.shown.certificate == store.certificates[2]


def test_samples_that_arrive_are_taken_in(session: Session, tmp_path: Path, volume: Volume) -> None:
    store = make_store(tmp_path / "s.zarr", volume, rows=2, n=9)
    samples = show(session, store)
    errors = session.shown.errors()
    assert errors is not None
    seen: list[int] = []
    session.shown.events.finished.connect(seen.append)
    setting = store.setting
    with Store.create(store.path, store.provenance, setting, n=9) as writer:
        images, wrong = setting.volume.hu, np.zeros((1, *setting.output_box.shape), np.float32)
        writer.append(Batch((2,), np.rint(images * 8) / 8, wrong, (make_certificate(2, passed=False),)))
    store.refresh()
    samples.data = sample_stack(store)
    assert seen == [3]
    assert len(errors.data) == 3
    session.shown.show(2)
    assert stamp_of(session).startswith("k = 2: T2 NOT REACHED –\nnot an invariance\n")
    assert samples.bounding_box.visible
    session.shown.show(1)
    assert stamp_of(session) == "k = 1 · T1 · RMSE 0.21 HU"
    assert not samples.bounding_box.visible
    samples.visible = False
    assert stamp_of(session) == "", "what is not seen needs no stamp"


def test_the_stamp_says_what_the_certificate_says() -> None:
    passed, failed = make_certificate(12), make_certificate(3, passed=False)
    assert words(passed, asked="T2", unit="HU") == "k = 12 · T1 · RMSE 0.32 HU"
    assert "T2 NOT REACHED –\nnot an invariance" in words(failed, asked="T2", unit="HU")
    assert "IMPLAUSIBLE" in words(replace(passed, in_band=False), asked="T2", unit="HU")
    assert "not fed back" in words(Certificate.of_target(1), asked="T2", unit="HU")


def test_what_warns_sorts_behind_all_that_holds() -> None:
    strict, loose = make_certificate(0), replace(make_certificate(1), tier="T3")
    failed = make_certificate(2, passed=False)
    odd = replace(strict, in_band=False)
    tier = COLUMNS.index("tier")
    ranks = [numbers(one)[tier] for one in (strict, loose, odd, failed)]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == 4
    assert [cells(one)[-1] for one in (strict, loose, odd, failed)] == [
        "T1",
        "T3",
        "implausible",
        "not reached",
    ]
    assert cells(replace(failed, tier="T3"))[-1] == "only T3"


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_click_probes_the_voxel_under_it(session: Session, tmp_path: Path, name: str) -> None:
    store = make_store(tmp_path / "s.zarr", make_volume(ORIENTATIONS[name]), rows=5)
    samples = show(session, store)
    volume = store.setting.volume
    world = (volume.affine @ [0, 5, 7, 1])[2::-1]
    session.probe.on = True
    click = session.viewer.mouse_drag_callbacks[-1]
    event = type("Event", (), {"type": "mouse_press", "button": 1, "position": (0.0, *world)})()
    steps = click(session.viewer, event)
    next(steps)
    event.type = "mouse_release"
    assert list(steps) == []
    probed = session.probe.wait()
    assert probed.pixel == (5, 7)
    np.testing.assert_array_equal(probed.values, [store.read(k)[5, 7] for k in range(5)])
    assert (probed.x, probed.fx) == (volume.hu[0, 5, 7], store.setting.fx[5, 7])
    (mark,) = [layer for layer in session.viewer.layers if layer.name == "probed pixel"]
    np.testing.assert_allclose(mark.data[0], samples.data_to_world(samples.world_to_data([0, *world]))[-2:])
    session.probe.on = False
    assert click not in session.viewer.mouse_drag_callbacks


def test_a_drag_probes_nothing_and_a_click_outside_is_one_sentence(session: Session, store: Store) -> None:
    show(session, store)
    session.probe.on = True
    click = session.viewer.mouse_drag_callbacks[-1]
    event = type("Event", (), {"type": "mouse_press", "button": 1, "position": (0.0, 0.0, 0.0, 0.0)})()
    for kinds in (["mouse_move", "mouse_release"], ["mouse_release"]):
        event.type = "mouse_press"
        steps = click(session.viewer, event)
        next(steps)
        for event.type in kinds:
            next(steps, None)
        assert session.probe.pixel is None
    assert "lies outside the region" in session.probe.message
    with pytest.raises(InputError, match="outside the region"):
        session.probe.at(0, 99)


def test_the_histogram_holds_every_sample() -> None:
    values = (np.rint(np.random.default_rng(0).normal(40, 8, 250) * 8) / 8).astype(np.float32)
    probed = Probed((3, 4), values, 41.0, 39.5, "HU", 2, 0.125)
    edges, counts = probed.histogram
    assert counts.sum() == 250
    assert len(edges) == len(counts) + 1 <= 45
    np.testing.assert_allclose(np.diff(edges) / 0.125, np.rint(np.diff(edges) / 0.125))
    assert "250 samples, 2 of them not reached" in probed.lines
    assert f"{values.mean():.1f} ± {values.std(ddof=1):.1f} HU" in probed.lines
    same = Probed((0, 0), np.full(3, 7.0, np.float32), 7.0, 7.0, "HU", 0, 0.0)
    assert same.histogram[1].sum() == 3


def test_a_reel_keeps_its_pace_whenever_it_is_looked_at() -> None:
    forth = Reel([0, 2, 5, 7], fps=4, since=10.0)
    assert [forth.due(10 + 0.25 * step) for step in range(6)] == [0, 2, 5, 7, 0, 2]
    assert forth.due(10.76) == 7, "frames that drawing had no time for are left out"
    back = Reel([0, 2, 5, 7], fps=4, ping_pong=True, since=0.0, first=2)
    assert [back.due(0.25 * step) for step in range(7)] == [5, 7, 5, 2, 0, 2, 5]


def test_the_film_skips_what_failed(session: Session, tmp_path: Path, volume: Volume) -> None:
    failing = make_store(tmp_path / "s.zarr", volume, rows=6, failed=(1, 4))
    show(session, failing)
    session.film.passes_only, session.film.fps = True, 1.0
    session.film.playing = True
    seen = []
    for second in range(5):
        session.film.tick(float(second))
        seen.append(session.shown.place)
    assert seen == [0, 2, 3, 5, 0]
    session.shown.show(2)
    session.film.tick(9.0)
    assert session.shown.place == 2, "it goes on from where the slider was put"
    session.film.playing = False
    session.film.tick(20.0)
    assert session.shown.place == 2


def test_the_mean_shares_the_window_of_the_scan_and_errors_are_around_zero(
    session: Session, store: Store
) -> None:
    show(session, store)
    layers = {layer.name: layer for layer in session.viewer.layers}
    mean = layers["mean [HU]"]
    np.testing.assert_array_equal(mean.data[0], store.mean())
    assert mean.contrast_limits == layers["x region"].contrast_limits
    errors: Any = session.shown.errors()
    assert session.shown.errors() is errors, "one is enough"
    low, high = errors.contrast_limits
    assert low == -high <= -0.9
    for k in (0, 6):
        np.testing.assert_array_equal(errors.data[k, 0], store.read_error(k))
    assert copy.deepcopy(errors.data) is errors.data


def test_maps_of_a_finding_have_colours_that_fit_them(store: Store) -> None:
    from ctinv.analysis.finding import Finding, Map

    shape = store.setting.region
    signed = np.linspace(-3, 5, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    maps = {
        "eta": Map(np.full(shape, 0.5, np.float32), "1", "smallest η over diameters"),
        "d_in_5mm": Map(np.abs(signed), "1/HU", "d′ in the scan per HU, disc of 5 mm"),
        "t": Map(signed, "σ", "matched filter"),
    }
    finding = Finding("lesion-blindness", "for a test.", interesting=False, figures={}, maps=maps)
    found = {item[1]["name"]: item[1] for item in (finding_layer(store, finding, key) for key in maps)}
    eta = found["smallest η over diameters"]
    assert (eta["colormap"].name, eta["contrast_limits"]) == ("blindness", (0.0, 1.0))
    assert found["d′ in the scan per HU, disc of 5 mm [1/HU]"]["contrast_limits"] == (0.0, 5.0)
    assert found["matched filter [σ]"]["contrast_limits"] == (-5.0, 5.0)
    assert found["matched filter [σ]"]["colormap"] == "RdBu_r"
