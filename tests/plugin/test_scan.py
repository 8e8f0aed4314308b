"""The scan of a session: opening in the engine, the window it shares with its results, and the read-out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from plugin_studies import make_store, make_volume

from ctinv.errors import SeriesError
from ctinv.io.dicom_write import write_series
from ctinv.resources import ct_folder
from ctinv.sampler.stack import ImageStack
from ctinv.volume import Volume
from ctinv.windows import PRESETS, Window
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import denoised_layer, study_layers, volume_layer
from napari_ctinv.session import Session, session_of
from napari_ctinv.session.scan import CUSTOM
from napari_ctinv.viewing.readout import NOTHING
from napari_ctinv.viewing.window_drag import dragged, window_drag
from napari_ctinv.viewing.windows import PERCENTILES


@pytest.fixture
def session() -> Iterator[Session]:
    viewer = ViewerModel()
    session = session_of(viewer)
    yield session
    session.close()


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A folder of two series of different length."""
    volume = make_volume()
    write_series(volume, tmp_path / "a", description="one")
    write_series(volume[:2], tmp_path / "b", description="two")
    return tmp_path


def test_a_folder_is_read_in_the_engine_with_progress(session: Session) -> None:
    run = session.scan.open(ct_folder() / "quarter_dose")
    assert run is not None
    phrases: set[str] = set()
    run.progressed.connect(lambda text, _fraction: phrases.add(text))
    assert run.wait(60).state == "done"
    layer = session.scan.layer
    assert layer is not None
    assert layer.data.shape == (16, 512, 512)
    assert layer.name == "CT 25 % dose"
    assert phrases & {"reading headers", "reading slices"}
    assert session.scan.volume().uid == layer.metadata["ctinv"]["volume"].uid
    assert session.scan.choices == ()


def test_of_several_series_one_is_chosen_by_its_picture(session: Session, several: Path) -> None:
    run = session.scan.open(several)
    assert run is not None
    assert run.wait(60).state == "done"
    first, second = session.scan.choices
    assert [first.info.slices, second.info.slices] == [9, 2]
    assert first.image is not None
    assert max(first.image.shape) == 128
    assert not session.viewer.layers
    again = session.scan.open(several, "#2")
    assert again is not None
    assert again.wait(60).state == "done"
    assert session.scan.layer is not None
    np.testing.assert_allclose(session.scan.layer.data, make_volume().hu[:2], atol=0.5)
    assert session.scan.choices == ()


def test_what_cannot_be_read_is_one_sentence(session: Session, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    run = session.scan.open(tmp_path)
    assert run is not None
    assert run.wait(60).state == "failed"
    assert session.scan.activity.message.startswith("no CT slice was found")
    missing = session.scan.open(tmp_path / "missing.nii")
    assert missing is not None
    assert "there is no file" in missing.wait(60).message


def test_an_oblique_series_is_refused_in_one_sentence(session: Session, tmp_path: Path) -> None:
    turn = np.array([[1, 0, 0], [0, np.cos(0.2), -np.sin(0.2)], [0, np.sin(0.2), np.cos(0.2)]])
    volume = make_volume()
    affine = volume.affine.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
    write_series(Volume(volume.hu, affine, volume.uid), tmp_path / "oblique", description="oblique")
    run = session.scan.open(tmp_path / "oblique")
    assert run is not None
    outcome = run.wait(60)
    assert outcome.state == "failed"
    assert "oblique to the patient's axes" in outcome.message
    with pytest.raises(SeriesError, match="oblique"):
        volume_layer(Volume(volume.hu, affine, volume.uid))


def test_a_study_opens_at_once(session: Session, tmp_path: Path) -> None:
    store = make_store(tmp_path / "study.zarr", make_volume(), rows=3)
    assert session.scan.open(store.path) is None
    assert session.scan.layer is session.viewer.layers["x region"]


def test_a_new_scan_is_chosen_and_a_removed_one_is_not(session: Session) -> None:
    scan = session.scan
    (first,) = add_layers(session.viewer, [volume_layer(make_volume(), name="first")])
    (second,) = add_layers(session.viewer, [volume_layer(make_volume(), name="second")])
    assert scan.layer is second
    session.viewer.layers.remove(second)
    assert scan.layer is first
    session.viewer.layers.remove(first)
    assert scan.layer is None
    assert scan.window is None
    assert scan.facts() == []
    assert scan.readout((0.0, 0.0, 0.0)).x == "–"


def test_the_region_of_a_study_does_not_take_the_place_of_its_scan(session: Session, tmp_path: Path) -> None:
    volume = make_volume()
    (whole,) = add_layers(session.viewer, [volume_layer(volume)])
    assert session.scan.layer is whole
    add_layers(session.viewer, study_layers(make_store(tmp_path / "study.zarr", volume, rows=3)))
    assert session.scan.layer is whole


@pytest.fixture
def studied(session: Session, tmp_path: Path) -> dict[str, Any]:
    """A scan, f(x) and a study over it, by the names of their layers."""
    volume = make_volume()
    add_layers(session.viewer, [volume_layer(volume, name="x")])
    _ = session.scan
    add_layers(session.viewer, [denoised_layer(volume, volume.hu - 1, denoiser="cnn10")])
    add_layers(session.viewer, study_layers(make_store(tmp_path / "study.zarr", volume, rows=7)))
    return {layer.name: layer for layer in session.viewer.layers}


def test_one_window_for_all_that_is_in_the_unit_of_the_scan(
    session: Session, studied: dict[str, Any]
) -> None:
    scan = session.scan
    assert scan.preset == "header", "the header's own window is shown first"
    assert scan.levels == Window(-600.0, 1500.0)
    maps = {
        name: tuple(layer.contrast_limits)
        for name, layer in studied.items()
        if "[HU]" in name and "mean" not in name
    }
    for name, window in PRESETS.items():
        scan.levels = scan.presets[name]
        assert scan.presets[name] == window
        for image in ("x", "f(x) cnn10", "x̃ cnn10 output", "x region", "mean [HU]"):
            assert tuple(studied[image].contrast_limits) == window.limits
    assert {name: tuple(studied[name].contrast_limits) for name in maps} == maps
    assert scan.window == PRESETS["brain"].limits


def test_the_viewers_own_slider_moves_all(session: Session, studied: dict[str, Any]) -> None:
    studied["x"].contrast_limits = (-100.0, 200.0)
    assert session.scan.levels == Window(50.0, 300.0)
    assert session.scan.preset == CUSTOM
    assert tuple(studied["x̃ cnn10 output"].contrast_limits) == (-100.0, 200.0)


def test_what_a_run_adds_comes_in_the_window_of_the_scan(session: Session, tmp_path: Path) -> None:
    volume = make_volume()
    add_layers(session.viewer, [volume_layer(volume)])
    session.scan.levels = PRESETS["bone"]
    add_layers(session.viewer, study_layers(make_store(tmp_path / "study.zarr", volume, rows=3)))
    assert tuple(session.viewer.layers["x̃ cnn10 output"].contrast_limits) == PRESETS["bone"].limits


def test_another_modality_has_percentiles_and_no_windows_of_ct(session: Session) -> None:
    volume = make_volume()
    values = np.arange(volume.hu.size, dtype=np.float32).reshape(volume.shape)
    scan = Volume(values, volume.affine, "sha256:1", modality="MR")
    add_layers(session.viewer, [volume_layer(scan)])
    assert list(session.scan.presets) == [PERCENTILES]
    low, high = np.percentile(values, [1, 99])
    np.testing.assert_allclose(session.scan.window, (low, high))
    assert session.scan.unit == "a.u."


def test_the_readout_is_the_voxel_under_the_cursor(session: Session, studied: dict[str, Any]) -> None:
    x, z, y, col = studied["x"], 4, 15, 17
    place = x.data_to_world((z, y, col))
    found = session.scan.readout((3.0, *place))  # with the axis of the samples
    assert found.voxel == f"z {z} · y {y} · x {col}"
    assert found.place == f"L {place[2]:.1f} · P {place[1]:.1f} · S {place[0]:.1f} mm"
    assert found.x == f"{x.data[z, y, col]:.1f} HU"
    assert found.fx == f"{x.data[z, y, col] + 1:.1f} HU", "of the study, which lies on top"
    spread = studied["spread [HU]"]
    at = spread.world_to_data(place)
    assert found.samples.endswith(f"± {spread.data[tuple(np.rint(at).astype(int))]:.1f} HU")
    beside = session.scan.readout(x.data_to_world((z, 2, 3)))
    assert beside.fx == f"{x.data[z, 2, 3] - 1:.1f} HU", "of the whole scan, beside the study"
    assert beside.samples == "–"
    assert session.scan.readout(x.data_to_world((z, -3, 3))).voxel == "–"


def test_the_readout_reads_no_sample(
    session: Session, studied: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any) -> None:
        raise AssertionError("a sample was read while the mouse moved")

    samples = studied["x̃ cnn10 output"]
    place = studied["spread [HU]"].data_to_world((0, 3, 3))
    assert isinstance(samples.data, ImageStack)
    monkeypatch.setattr(ImageStack, "__getitem__", read)
    monkeypatch.setattr(ImageStack, "__array__", read)
    with pytest.raises(AssertionError, match="was read"):
        np.asarray(samples.data[0, 0])
    found = session.scan.readout((0.0, *place))
    assert NOTHING not in (found.x, found.fx, found.samples)


def test_the_mean_is_that_of_the_same_study(session: Session, studied: dict[str, Any]) -> None:
    spread, mean = studied["spread [HU]"], studied["mean [HU]"]
    other = {**mean.metadata["ctinv"], "key": "other"}
    session.viewer.add_image(
        np.full_like(mean.data, 99.0),
        name="mean [HU]",
        scale=mean.scale,
        translate=mean.translate,
        units=mean.units,
        metadata={"ctinv": other},
    )
    found = session.scan.readout(spread.data_to_world((0, 3, 3)))
    assert found.samples == f"{mean.data[0, 3, 3]:.1f} ± {spread.data[0, 3, 3]:.1f} HU"
    session.viewer.layers.remove(mean)
    assert session.scan.readout(spread.data_to_world((0, 3, 3))).samples.startswith("– ± ")


def drag(model: Any, viewer: Any, **press: Any) -> tuple[bool, Any]:
    """Whether the press was taken, after a move by 40 pixels to the right and 10 down."""
    event = SimpleNamespace(type="mouse_press", pos=(100, 100), button=1, modifiers=(), handled=False, **{})
    event.__dict__.update(press)
    steps = window_drag(model)(viewer, event)
    if next(steps, "not taken") == "not taken":
        return event.handled, event
    event.type, event.pos, event.handled = "mouse_move", (140, 110), False
    next(steps)
    event.type = "mouse_release"
    list(steps)
    return event.handled, event


def test_a_drag_changes_width_and_level(session: Session, studied: dict[str, Any]) -> None:
    scan, viewer = session.scan, session.viewer
    scan.levels = PRESETS["soft tissue"]
    viewer.layers.selection.active = studied["x"]
    assert not drag(scan, viewer)[0], "the left button pans"
    assert scan.levels == PRESETS["soft tissue"]
    assert drag(scan, viewer, button=2, modifiers=("Control",))[0]
    assert scan.levels == Window(60.0, 480.0)
    scan.dragging = True
    assert drag(scan, viewer)[0]
    assert scan.levels == Window(84.0, 576.0)
    assert not drag(scan, viewer, modifiers=("Shift",))[0]
    assert tuple(studied["x̃ cnn10 output"].contrast_limits) == scan.window
    viewer.layers.selection.active = viewer.add_shapes(name="drawn")
    viewer.layers["drawn"].mode = "add_rectangle"
    assert not drag(scan, viewer)[0], "a tool that draws keeps its mouse"


def test_a_drag_never_turns_the_window_over() -> None:
    assert dragged(Window(40.0, 80.0), -4000.0, 0.0) == Window(40.0, 1.0)


def test_facts_hold_what_is_known_and_no_more(session: Session) -> None:
    run = session.scan.open(ct_folder() / "quarter_dose")
    assert run is not None
    run.wait(60)
    facts = dict(session.scan.facts())
    assert facts["Matrix"] == "512 × 512 × 16"
    assert facts["Spacing"] == "0.703 × 0.703 × 2.5 mm"
    assert facts["Kernel"] == "STANDARD"
    assert "25 % of the original, simulated" in facts["Dose"]
    session.viewer.add_image(np.zeros((3, 20, 30), np.float32), scale=(2, 1, 1), units="mm", name="foreign")
    session.scan.layer = session.viewer.layers["foreign"]
    assert dict(session.scan.facts())["Matrix"] == "30 × 20 × 3"


def test_the_windows_of_the_header_carry_its_names(session: Session) -> None:
    volume = make_volume()
    windows = ((40.0, 400.0), (-600.0, 1500.0))
    acquisition = replace(volume.acquisition, window=windows, window_names=("MEDIASTINUM", ""))
    add_layers(session.viewer, [volume_layer(replace(volume, acquisition=acquisition))])
    assert list(session.scan.presets)[:2] == ["header 1 (mediastinum)", "header 2"]
    assert list(session.scan.presets)[2:] == list(PRESETS)
    assert session.scan.preset == "header 1 (mediastinum)"
