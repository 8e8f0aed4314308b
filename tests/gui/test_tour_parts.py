"""The heartbeat finds what blocks the window's thread and knows waiting from computing; pictures keep their size."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.gui

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def tour_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))


def computing(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize(("blocks", "computed"), [(time.sleep, False), (computing, True)])
def test_the_heartbeat_finds_what_blocks_the_window(qtbot: Any, blocks: Any, computed: bool) -> None:
    from _tour.heartbeat import Heartbeat
    from qtpy.QtCore import QObject, QTimer

    parent = QObject()
    heartbeat = Heartbeat(parent)
    with heartbeat.stretch("blocked"):
        QTimer.singleShot(50, lambda: blocks(0.2))
        qtbot.wait(400)
    gaps = heartbeat.figures()["blocked"]
    assert gaps["wall_ms"] >= 190
    assert gaps["over_100_ms"] >= 1
    assert any(
        blocks.__name__ in call or "lambda" in call for calls in gaps["late"][0]["in"] for call in calls
    )
    assert (gaps["thread_ms"] >= 190) == computed
    assert gaps["seconds"] >= 0.3


def test_a_stretch_counts_only_what_is_inside_it(qtbot: Any) -> None:
    from _tour.heartbeat import Heartbeat
    from qtpy.QtCore import QObject

    parent = QObject()
    heartbeat = Heartbeat(parent)
    with heartbeat.stretch("before") as gaps:
        qtbot.waitUntil(lambda: gaps.beats >= 3, timeout=120_000)
    time.sleep(0.3)
    since = time.perf_counter()
    with heartbeat.stretch("after"):
        qtbot.wait(50)
    whole = time.perf_counter() - since
    assert set(heartbeat.figures()) == {"before", "after"}
    assert heartbeat.figures()["after"]["seconds"] <= whole + 0.05  # it is told in tenths
    assert heartbeat.figures()["before"]["beats"] >= 3


def test_pictures_are_small_and_the_same_each_time(tmp_path: Path) -> None:
    from _tour.pictures import LIMIT, save
    from PIL import Image

    noisy = np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)
    flat = np.zeros((360, 640, 4), np.uint8)
    flat[100:200, 100:300] = 255
    for name, picture in (("noisy", noisy), ("flat", flat)):
        sizes = {save(picture, tmp_path / f"{name}{k}.png") for k in range(2)}
        assert len(sizes) == 1
        assert sizes.pop() <= LIMIT
        assert (tmp_path / f"{name}0.png").read_bytes() == (tmp_path / f"{name}1.png").read_bytes()
        with Image.open(tmp_path / f"{name}0.png") as written:
            assert written.size == (640, 360)
            assert not {"date", "Software"} & set(written.info)
    with Image.open(tmp_path / "flat0.png") as written:
        np.testing.assert_array_equal(np.asarray(written.convert("RGB")), flat[..., :3])
