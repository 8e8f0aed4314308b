"""The Train tab in a real viewer: its real buttons, the real training, and how long the interface is ever held up."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "plugin"))

from train_folders import write_training  # of the folder beside

pytestmark = pytest.mark.gui
PATIENCE_MS = 120_000


class Heart:
    """Beats every 5 ms in the event loop and keeps the gaps between beats, on the clock and in time of this thread."""

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self.gaps: list[tuple[float, float]] = []
        self._last = (time.perf_counter(), time.thread_time())
        self._timer = QTimer()
        self._timer.setInterval(5)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self) -> None:
        now = (time.perf_counter(), time.thread_time())
        self.gaps.append((now[0] - self._last[0], now[1] - self._last[1]))
        self._last = now

    def stop(self) -> tuple[float, float]:
        """The longest gap in seconds, and the most time this thread worked in one."""
        self._timer.stop()
        wall, own = np.array(self.gaps).T
        return float(wall.max()), float(own.max())


def test_start_pause_continue_and_use(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    from napari_ctinv.dock import show

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CTINV_CACHE", str(tmp_path / "cache"))
    viewer = make_napari_viewer(show=True)
    dock = show(viewer, "Train")
    form, curves, previews = (
        dock.section(name, "Train") for name in ("Train", "Curves", "Validation pictures")
    )
    model = form.model
    data, config = write_training(tmp_path, steps=150)
    form.own_config.edit.value, form.data.edit.value, form.out.edit.value = config, data, tmp_path / "run"
    assert form.steps.value == 150
    assert [button.isEnabled() for button in (form.start, form.go_on, form.pause, form.use)] == [
        True,
        *3 * [False],
    ]

    form.checking.button.click()
    qtbot.waitUntil(lambda: model.found is not None, timeout=PATIENCE_MS)
    assert "validate: b (1 patient, 6 slices)" in form.pairs.text()
    qtbot.waitUntil(lambda: model.estimate is not None, timeout=PATIENCE_MS)  # by itself, as data are chosen
    assert all(word in form.needs.text() for word in ("memory", "time: about", "150 steps", "disk"))

    heart = Heart()
    form.start.click()
    qtbot.waitUntil(lambda: len(model.history.pictures) >= 3, timeout=PATIENCE_MS)
    qtbot.wait(300)
    before = len(curves.shown.lines["denoiser"][0])
    qtbot.waitUntil(lambda: len(curves.shown.lines["denoiser"][0]) > before, timeout=PATIENCE_MS)
    form.pause.click()
    qtbot.waitUntil(lambda: not model.activity.running, timeout=PATIENCE_MS)
    step = model.standing.step
    assert f"step {step} of 150, paused" in form.lying.text()
    assert form.go_on.isEnabled()
    assert not form.start.isEnabled()

    form.go_on.click()
    assert form.pause.isEnabled()
    qtbot.waitUntil(lambda: not model.activity.running, timeout=PATIENCE_MS)
    qtbot.wait(300)
    wall, own = heart.stop()
    print(
        f"longest gap of the interface {1000 * wall:.0f} ms, of them its own work at most {1000 * own:.0f} ms"
    )
    assert own < 0.1, "the interface works less than 100 ms at once"
    assert "tiny: finished" in form.lying.text()
    np.testing.assert_array_equal(curves.shown.lines["denoiser"][0], np.arange(1, 151))
    assert curves.figures.lines["RMSE [HU]"][0].tolist() == list(range(5, 151, 5))

    kept = model.history.pictures
    assert len(kept) <= 24
    assert kept[-1].step == 150
    assert previews.step.text().startswith("after step 150")
    shown = previews.pictures[0].pixmap().toImage()
    grey = [
        [shown.pixelColor(x, y).lightness() for x in range(0, shown.width(), 9)]
        for y in range(0, shown.height(), 9)
    ]
    assert np.std(grey) > 30, "the picture shows the anatomy"
    previews.as_layers.click()
    assert [layer.name for layer in viewer.layers] == [
        f"{dose}, step 150" for dose in ("low dose", "denoised", "full dose")
    ]
    form.use.click()
    assert dock.session.network.own == tmp_path / "run" / "tiny"
    curves.log.value = True
    assert curves.logarithmic.isVisible()
    assert list(curves.logarithmic.lines) == ["denoiser"]


def test_what_is_wrong_is_one_sentence(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.utils.notifications import notification_manager

    from napari_ctinv.dock import show

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    form = show(make_napari_viewer(), "Train").section("Train", "Train")
    notification_manager.records.clear()
    form.start.click()
    form.out.edit.value = tmp_path / "run"
    form.start.click()
    form.checking.button.click()
    texts = [record.message for record in notification_manager.records]
    assert [text.split(";")[0] for text in texts] == [
        "no output folder is chosen",
        "no data folder is chosen",
        "no data folder is chosen",
    ]
    assert not (tmp_path / "run").exists()
    form.what.value = "generator"
    assert not form.flow_steps.native.isHidden()
    assert form.learning_rate.native.isHidden()
    assert form.config.value == "cvae_cinn"
    assert set(form.config.choices) >= {"pca", "inn", "vae_y"}
