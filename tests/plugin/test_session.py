"""The session's models on napari's model of a viewer: no window, no Qt, the real engine and the shipped CT."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from ctinv.errors import InputError
from ctinv.sampler import Store
from ctinv.volume import Box
from napari_ctinv.arrival import add_layers
from napari_ctinv.sample_data import quarter_dose
from napari_ctinv.session import Session, session_of

BOX = Box(8, 180, 204, 160, 184)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("CTINV_CACHE", str(tmp_path / "cache"))
    viewer = ViewerModel()
    session = session_of(viewer)
    yield session
    session.close()


def test_there_is_one_session_for_each_viewer(session: Session) -> None:
    assert session_of(session.viewer) is session
    assert session_of(ViewerModel()) is not session


def test_a_whole_study_without_a_window(session: Session, tmp_path: Path) -> None:
    (scan,) = add_layers(session.viewer, quarter_dose())
    assert session.scan.layer is scan
    model = session.invariances
    model.n, model.folder = 30, tmp_path / "study"
    model.choose(BOX)
    seen: list[int] = []
    model.events.finished.connect(seen.append)
    assert model.run().wait(300).state == "done"
    session.engine().delivery.wait(lambda: model.complete, 120)
    assert len(model.results) == 6
    store = Store.open(tmp_path / "study.zarr")
    assert store.rows == tuple(range(30))
    assert seen == [25, 30], "samples stream in"
    names = [layer.name for layer in session.viewer.layers]
    assert names.index("spread [HU]") < names.index("x̃ cnn10 output")
    assert model.samples is not None
    assert model.samples.data.shape == (30, 1, *BOX.shape)
    assert session.viewer.layers.selection.active is model.samples


def test_denoising_a_slice(session: Session) -> None:
    (scan,) = add_layers(session.viewer, quarter_dose())
    session.viewer.dims.set_point(0, scan.data_to_world([BOX.z, 0, 0])[0])
    session.denoise.slices = "visible slice"
    assert session.denoise.run().wait(120).state == "done"
    removed, fx = session.denoise.added
    np.testing.assert_allclose(removed.data + fx.data, scan.data[BOX.z : BOX.z + 1], atol=1e-3)


def test_without_a_scan_there_is_one_sentence(session: Session) -> None:
    with pytest.raises(InputError, match="no scan is chosen"):
        session.invariances.run()
    assert not session.invariances.activity.running


def click(session: Session, position: tuple[float, ...], *, moved: bool = False) -> None:
    """A click on the canvas, as napari passes it to the newest callback; with a move in between it is a drag."""
    event = SimpleNamespace(type="mouse_press", button=1, position=position)
    steps = session.viewer.mouse_drag_callbacks[-1](session.viewer, event)
    next(steps)
    for event.type in ["mouse_move", "mouse_release"] if moved else ["mouse_release"]:
        next(steps, None)


def test_a_click_places_the_square(session: Session) -> None:
    (scan,) = add_layers(session.viewer, quarter_dose())
    session.viewer.dims.set_point(0, scan.data_to_world([8, 0, 0])[0])
    model = session.invariances
    model.edge, model.picking = 32, True
    click(session, tuple(scan.data_to_world([8, 200, 170])), moved=True)
    assert model.shapes is None, "a drag moves the view"
    click(session, tuple(scan.data_to_world([8, 200, 170])))
    assert not model.picking
    assert model.box(session.scan.volume()) == Box(8, 184, 216, 154, 186)
    first = model.shapes
    model.picking = True
    click(session, tuple(scan.data_to_world([8, 300, 250])))
    assert model.box(session.scan.volume()) == Box(8, 284, 316, 234, 266)
    assert first not in session.viewer.layers, "the square moves"
    model.picking = True
    click(session, (1e4, 1e4, 1e4))
    assert not model.picking
    assert model.box(session.scan.volume()).shape == (32, 32)


def test_a_second_start_is_refused(session: Session) -> None:
    add_layers(session.viewer, quarter_dose())
    session.invariances.choose(BOX)
    run = session.invariances.run()
    with pytest.raises(InputError, match="under way already"):
        session.invariances.run()
    session.invariances.activity.cancel()
    assert run.wait(120).state == "cancelled"


def test_models_need_neither_qt_nor_torch() -> None:
    script = (
        "import sys\n"
        "from napari.components import ViewerModel\n"
        "from napari_ctinv.session import MODELS, session_of\n"
        "viewer = ViewerModel()\n"
        "session = session_of(viewer)\n"
        "for name in MODELS: getattr(session, name)\n"
        "print(*(m for m in ('torch', 'monai', 'qtpy.QtWidgets', 'PyQt6.QtWidgets') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == ""
