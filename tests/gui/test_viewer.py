"""The few tests that open a real viewer, on the shipped CT and the shipped CNN-10; nothing is a stand-in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctinv.denoiser import load_denoiser
from ctinv.io.dicom import read_series
from ctinv.resources import ct_folder
from ctinv.sampler import InvarianceSampler, Store
from ctinv.sampler.run import sample_into
from ctinv.volume import Box
from napari_ctinv.dock import TABS, WIDTH, show
from napari_ctinv.engine.messages import Outcome
from napari_ctinv.sections._section import Section
from napari_ctinv.session import session_of

pytestmark = pytest.mark.gui

PLUGIN = "napari-ctinv"
BOX = Box(8, 180, 204, 160, 184)
DOCS = Path(__file__).parent.parent.parent / "docs" / "plugin.md"


@pytest.fixture
def viewer(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A viewer; studies without a place of their own go to a folder of this test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    viewer = make_napari_viewer()
    yield viewer
    session_of(viewer).close()


@pytest.fixture
def low_dose(viewer: Any) -> Any:
    (layer,) = viewer.open_sample(PLUGIN, "quarter_dose")
    return layer


def ready_to_sample(viewer: Any, study: Path, *, n: int) -> Any:
    """The Sample section, set up as a user would; the region is drawn by the model."""
    section = show(viewer, "Invariances").section("Sample")
    section.n.value, section.folder.edit.value = n, study
    section.session.invariances.choose(BOX)
    return section


def explained(control: Any) -> bool:
    """Whether the mouse over it shows words; Qt asks the parts it belongs to where it has none."""
    while control is not None and not isinstance(control, Section):
        if control.toolTip():
            return True
        control = control.parentWidget()
    return False


def press(section: Any, timeout_s: float = 300) -> Outcome:
    """Click the section's button and wait for the end of the run."""
    section.bar.button.click()
    run = section.bar._activity.run
    outcome = run.wait(timeout_s)
    return outcome


def test_sample_data_and_a_folder_lie_at_their_millimetres(viewer: Any, low_dose: Any) -> None:
    (opened,) = viewer.open(str(ct_folder() / "quarter_dose"), plugin=PLUGIN)
    affine = np.array(low_dose.metadata["ctinv"]["affine"])
    corner = (affine @ [15, 511, 511, 1])[2::-1]
    for layer in (low_dose, opened):
        np.testing.assert_allclose(layer.extent.world[0], affine[2::-1, 3])
        np.testing.assert_allclose(layer.extent.world[1], corner)
    assert [str(unit) for unit in viewer.layers.extent.units] == ["millimeter"] * 3
    assert low_dose.name == "quarter dose"
    assert not re.search(r"LIDC|\d\.\d+\.\d", opened.name)


def test_a_study_opens_at_its_slice_with_colour_bars(viewer: Any, low_dose: Any, tmp_path: Path) -> None:
    """As `ctinv demo` opens it: the samples are what one sees first."""
    sampler = InvarianceSampler(load_denoiser("cnn10"), device="cpu")
    volume = read_series(ct_folder() / "quarter_dose")
    list(sample_into(tmp_path / "study.zarr", sampler, volume, Box(12, 200, 216, 150, 166), n=2))
    layers = viewer.open(str(tmp_path / "study.zarr"), plugin=PLUGIN)
    height = low_dose.data_to_world([12, 0, 0])[0]
    assert viewer.dims.point[viewer.dims.ndim - 3] == pytest.approx(height)
    for layer in layers:
        layer.visible = True  # a bar is made when its map is first seen
    bars = {layer.name: layer.colorbar.visible for layer in layers}
    assert bars["spread [HU]"]
    assert not any(shown for name, shown in bars.items() if name.startswith("x̃"))


def test_denoise_puts_fx_over_the_scan(viewer: Any, low_dose: Any) -> None:
    import torch

    from ctinv.denoiser import load_denoiser

    dock = show(viewer, "Denoise")
    assert dock.session.scan.layer is low_dose
    section = dock.section("Denoise")
    dock.section("Network").name.value, section.slices.value = "cnn10", "visible slice"
    viewer.dims.set_point(0, low_dose.data_to_world([BOX.z, 0, 0])[0])
    outcome = press(section)
    assert outcome.state == "done", outcome.message
    removed, fx = viewer.layers[-2:]
    with torch.inference_mode():
        expected = load_denoiser("cnn10")(torch.from_numpy(low_dose.data[BOX.z].copy())[None, None])[
            0, 0
        ].numpy()
    np.testing.assert_allclose(fx.data[0], expected, atol=0.01)
    np.testing.assert_allclose(removed.data[0], low_dose.data[BOX.z] - expected, atol=0.01)
    np.testing.assert_allclose(fx.data_to_world([0, 7, 9]), low_dose.data_to_world([BOX.z, 7, 9]))
    assert fx.name == "f(x) cnn10"
    removed.visible = False
    assert not removed.colorbar.visible, "a hidden map that is hidden again has no bar yet"
    removed.visible = True
    assert removed.colorbar.visible


def test_invariances_arrive_exactly_over_the_scan(
    viewer: Any, low_dose: Any, tmp_path: Path, qtbot: Any
) -> None:
    section = ready_to_sample(viewer, tmp_path / "study.zarr", n=4)
    model = section.session.invariances
    assert press(section).state == "done"
    qtbot.waitUntil(lambda: model.complete, timeout=120_000)
    store = Store.open(tmp_path / "study.zarr")
    assert store.rows == (0, 1, 2, 3)
    samples = model.samples
    assert samples.data.shape == (4, 1, *BOX.shape)
    np.testing.assert_allclose(samples.data_to_world([2, 0, 5, 7])[1:], low_dose.data_to_world([8, 185, 167]))
    assert np.array_equal(np.asarray(samples.data[2, 0]), store.read(2))
    maps = {
        layer.name: layer for layer in viewer.layers if layer.metadata.get("ctinv", {}).get("kind") == "map"
    }
    assert set(maps) == {"mean [HU]", "spread [HU]", "worst feed-back error [HU]", "lesion map η"}
    for layer in maps.values():
        layer.visible = True
    assert all(layer.colorbar.visible for layer in maps.values())
    before = list(viewer.layers)
    assert press(section).state == "done", "the same request finds its samples"
    qtbot.waitUntil(lambda: model.complete, timeout=120_000)
    assert all(layer in viewer.layers for layer in before), "older results stay"
    assert len({layer.name for layer in viewer.layers}) == len(before) + 6, "new ones have names of their own"
    (x, *_rest) = viewer.open(str(store.path), plugin=PLUGIN)
    np.testing.assert_allclose(x.data_to_world([0, 5, 7]), low_dose.data_to_world([8, 185, 167]))


def test_cancel_keeps_what_is_finished(viewer: Any, low_dose: Any, tmp_path: Path, qtbot: Any) -> None:
    section = ready_to_sample(viewer, tmp_path / "study.zarr", n=100_000)
    model, button = section.session.invariances, section.bar.button
    button.click()
    assert button.text() == "Cancel"
    qtbot.waitUntil(lambda: model.finished > 0, timeout=120_000)
    button.click()
    assert button.text() == "Cancelling…"
    assert not button.isEnabled()
    qtbot.waitUntil(lambda: model.complete, timeout=120_000)
    kept = len(Store.open(tmp_path / "study.zarr").rows)
    assert 0 < kept < 100_000
    assert len(model.samples.data) == model.finished == kept
    assert button.text() == "Sample invariances"
    assert button.isEnabled()


def test_closing_the_dock_or_the_viewer_ends_a_run_and_loses_nothing(
    viewer: Any, low_dose: Any, tmp_path: Path, qtbot: Any
) -> None:
    for what in ("dock", "viewer"):
        section = ready_to_sample(viewer, tmp_path / f"{what}.zarr", n=100_000)
        model = section.session.invariances
        section.bar.button.click()
        run = model.activity.run
        qtbot.waitUntil(lambda model=model: model.finished > 0, timeout=120_000)
        seen = model.finished
        viewer.close() if what == "viewer" else viewer.window.remove_dock_widget("all")
        assert run.wait(30).state == "abandoned"
        store = Store.open(tmp_path / f"{what}.zarr")
        assert len(store.rows) >= seen
        assert store.verify() == []


def test_bad_requests_are_one_sentence(viewer: Any) -> None:
    from napari.utils.notifications import notification_manager

    dock = show(viewer, "Invariances")
    section = dock.section("Sample")
    notification_manager.records.clear()
    section.bar.button.click()
    assert section.session.invariances.activity.run is None
    viewer.add_image(np.zeros((3, 80, 80), np.float32), units="mm", contrast_limits=(-160, 240))
    viewer.dims.set_point(0, 1)
    dock.section("Network").own.edit.value = ct_folder()
    assert press(section, 60).state == "failed"
    texts = [record.message for record in notification_manager.records]
    assert len(texts) == 2
    assert all(len(text) <= 200 and "\n" not in text and "Traceback" not in text for text in texts)
    assert "no scan is chosen" in texts[0]


def test_the_dock_fits_a_small_screen(viewer: Any, qtbot: Any) -> None:
    """1280 x 720: every tab scrolls instead of growing, and every control says what it is."""
    from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox

    dock = show(viewer, "Scan")
    viewer.window._qt_window.resize(1280, 720)
    for name in TABS:
        dock.show_tab(name)
        qtbot.wait(50)
        assert dock.minimumSizeHint().height() < 500
        assert dock.tabs.currentWidget().widget().minimumSizeHint().width() <= WIDTH
        for control in (
            dock.tabs.currentWidget().widget().findChildren((QAbstractButton, QAbstractSpinBox, QComboBox))
        ):
            assert explained(control), (name, control)


def test_the_session_of_the_docs(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ten lines run as they stand; only the viewer is the test's, and its window is not waited for."""
    import napari

    made = make_napari_viewer()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(napari, "Viewer", lambda: made)
    monkeypatch.setattr(napari, "run", lambda: None)
    (session,) = re.findall(r"<!-- session -->\n```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    assert len([line for line in session.splitlines() if line.strip()]) <= 10
    exec(compile(session, "docs/plugin.md", "exec"), {})
    (samples,) = [layer for layer in made.layers if layer.metadata["ctinv"].get("kind") == "samples"]
    assert samples.data.shape[0] == 20
    (study,) = (tmp_path / "data").rglob("*.zarr")
    assert Store.open(study).summary()["passed"] == 20


def test_the_picture_shows_bone_brighter_than_lung(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer(show=True)
    (ct,) = viewer.open_sample(PLUGIN, "full_dose")
    z = 8
    viewer.dims.set_point(0, ct.data_to_world([z, 0, 0])[0])
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].mean(axis=2)
    assert picture.std() > 30
    bone, lung = ct.data[z] > 400, (ct.data[z] > -950) & (ct.data[z] < -700)
    camera = viewer.scene.camera

    def seen(mask: np.ndarray) -> float:
        """Mean brightness of the pixels that show these voxels, by the camera's centre and zoom."""
        rows, columns = np.nonzero(mask)
        world = np.array(
            [ct.data_to_world([z, y, x])[1:] for y, x in zip(rows[::50], columns[::50], strict=True)]
        )
        pixel = (world - camera.center[-2:]) * camera.zoom + np.array(picture.shape) / 2
        y, x = np.rint(pixel).astype(int).T
        return float(picture[y, x].mean())

    assert seen(bone) > 200
    assert seen(lung) < 20
