"""What goes wrong in a real viewer: the computing process is killed or short of memory; the user changes his mind."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from ctinv.sampler import Store
from ctinv.volume import Box
from napari_ctinv.dock import show
from napari_ctinv.session import session_of

pytestmark = pytest.mark.gui

PLUGIN = "napari-ctinv"
BOX = Box(8, 180, 204, 160, 184)
LARGE = Box(8, 180, 228, 160, 208)
SPARE_BYTES = 40 * 2**20


@pytest.fixture
def viewer(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A viewer with the shipped CT; studies, factors and trust go to folders of this test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("CTINV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CTINV_CONFIG", str(tmp_path / "config"))
    viewer = make_napari_viewer()
    viewer.open_sample(PLUGIN, "quarter_dose")
    yield viewer
    session_of(viewer).close()


def ready_to_sample(viewer: Any, study: Path, *, n: int, box: Box = BOX) -> Any:
    section = show(viewer, "Invariances").section("Sample")
    section.n.value, section.folder.edit.value = n, study
    section.session.invariances.choose(box)
    return section


def test_a_killed_computation_leaves_the_samples_and_the_next_run_works(
    viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    section = ready_to_sample(viewer, tmp_path / "study.zarr", n=100_000)
    model = section.session.invariances
    section.bar.button.click()
    qtbot.waitUntil(lambda: model.finished > 0, timeout=200_000)
    pid = section.session.engine().pid
    os.kill(pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: model.complete, timeout=120_000)
    assert "ended unexpectedly" in section._said.text()
    assert section.bar.button.text() == "Sample invariances"
    kept = model.finished
    assert len(model.samples.data) == kept > 0
    assert model.samples in viewer.layers
    assert np.isfinite(np.asarray(model.samples.data[kept - 1])).all()
    assert len(model.study.certificates) == kept

    section.n.value = kept + 1
    section.bar.button.click()
    assert model.activity.run.wait(300).state == "done"
    qtbot.waitUntil(lambda: model.complete, timeout=120_000)
    assert section.session.engine().pid != pid
    store = Store.open(tmp_path / "study.zarr")
    assert store.verify() == []
    assert len(store.rows) >= kept + 1


@pytest.mark.skipif(sys.platform != "linux", reason="bounds the memory of another process")
def test_short_memory_takes_fewer_at_once_and_says_so(viewer: Any, tmp_path: Path, qtbot: Any) -> None:
    """The computing process gets a real bound, a little above what it holds once the region is set up."""
    import resource

    section = ready_to_sample(viewer, tmp_path / "study.zarr", n=1, box=LARGE)
    section.tap.value = "conv1"
    model = section.session.invariances
    section.bar.button.click()
    assert model.activity.run.wait(300).state == "done", model.activity.message
    qtbot.waitUntil(lambda: model.complete, timeout=120_000)
    assert model.notice == ""
    pid = section.session.engine().pid
    bound = psutil.Process(pid).memory_info().vms + SPARE_BYTES
    resource.prlimit(pid, resource.RLIMIT_AS, (bound, bound))
    section.n.value = 75
    section.bar.button.click()
    assert model.activity.run.wait(300).state == "done", model.activity.message
    qtbot.waitUntil(lambda: model.complete, timeout=120_000)
    assert "memory was short" in model.notice
    assert section._said.text() == model.notice, "the section says so, and still does after the end"
    store = Store.open(tmp_path / "study.zarr")
    assert len(store.rows) == 75
    assert store.runs[-1]["together"] < 25


def test_denoising_can_be_cancelled(viewer: Any, qtbot: Any) -> None:
    section = show(viewer, "Denoise").section("Denoise")
    model = section.session.denoise
    section.slices.value = "whole scan"
    section.bar.button.click()
    assert section.bar.button.text() == "Cancel"
    qtbot.waitUntil(lambda: model.finished > 1, timeout=120_000)
    section.bar.button.click()
    assert section.bar.button.text() == "Cancelling…"
    qtbot.waitUntil(lambda: not model.activity.running, timeout=120_000)
    removed, fx = model.added
    assert fx.data.shape[0] == model.finished
    assert removed in viewer.layers
    assert np.isfinite(fx.data).all()
    assert section.bar.button.isEnabled()
