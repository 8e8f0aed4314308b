"""Curves and pictures of a training in bounded memory, and what is remembered of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_ctinv.session.train_history import MOST_PICTURES, MOST_POINTS, Curve, History, Picture
from napari_ctinv.session.train_memory import Remembered, note, noted, remember, remembered


def test_a_short_curve_is_kept_as_it_is() -> None:
    curve = Curve()
    curve.add(np.arange(4.0), np.array([1.0, np.nan, 3.0, np.inf]))
    assert [values.tolist() for values in curve.points()] == [[0, 2], [1, 3]]


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_a_long_curve_keeps_its_shape_in_bounded_memory(piece: int) -> None:
    curve, steps = Curve(), 10 * MOST_POINTS + 3
    for first in range(0, steps, piece):
        x = np.arange(first, min(first + piece, steps), dtype=np.float64)
        curve.add(x, 2 * x + 1)
    x, y = curve.points()
    assert MOST_POINTS // 2 <= len(x) <= MOST_POINTS
    np.testing.assert_allclose(y, 2 * x + 1)
    assert x[0] < 16
    assert x[-1] > steps - 32
    assert (np.diff(x) > 0).all()
    assert np.diff(x).max() <= 2 * np.diff(x).min()


def test_of_many_pictures_the_newest_and_a_spread_stay() -> None:
    history = History()
    for step in range(1, 200):
        history.add_picture(Picture(step, np.zeros((3, 2, 2), np.float32)))
        assert history.pictures[-1].step == step
        assert len(history.pictures) <= MOST_PICTURES
    steps = [picture.step for picture in history.pictures]
    assert steps[0] == 1
    assert steps == sorted(steps)


def test_what_is_remembered_lies_with_the_user_and_not_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    out, asked = tmp_path / "run", Remembered("denoiser", {"name": "x", "train": ["a"]}, "/scans/SMITH_JOHN")
    assert remembered(out) is None
    assert noted(out) == ""
    remember(out, asked)
    note(out, "paused")
    assert remembered(out) == asked
    assert remembered(tmp_path / "other") is None
    assert noted(out) == "paused"
    assert all(b"SMITH" not in path.read_bytes() for path in out.rglob("*"))
    (memory,) = (tmp_path / "home").rglob("trainings.json")
    memory.write_text("[damaged")
    assert remembered(out) is None
    (out / "training.json").write_text("{")
    assert noted(out) == ""
