"""The estimate beside the button, and what the study has already on the screen, without a window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from napari.components import ViewerModel

from ctinv.sampler.cost import ABSENT, KEPT, READY, Cost
from ctinv.volume import Box
from napari_ctinv.arrival import add_layers
from napari_ctinv.sample_data import quarter_dose
from napari_ctinv.session import Session, session_of
from napari_ctinv.session.estimate import duration, in_words

BOX = Box(8, 180, 204, 160, 184)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("CTINV_CACHE", str(tmp_path / "cache"))
    viewer = ViewerModel()  # a session does not keep its viewer
    session = session_of(viewer)
    yield session
    session.close()


def estimated(session: Session) -> Cost:
    """The cost of what is asked now."""
    run = session.estimate.update()
    assert run is not None
    assert run.wait(300).state == "done", session.estimate.text
    assert session.estimate.cost is not None
    return session.estimate.cost


def test_the_words() -> None:
    cost = Cost((64, 48), 250, 2**30, 20 * 2**30, ABSENT, {"factor": 9.0, "samples": 3.0})
    said = "64 × 48 voxels, 250 samples: about 1.0 of 20.0 GiB free, about 12 s"
    assert in_words(cost, 250) == f"{said}."
    assert in_words(replace(cost, factor=KEPT), 250) == f"{said} (prepared before)."
    assert in_words(cost.prepared(), 250).endswith("about 3 s (prepared already).")
    assert "250 of 300 samples" in in_words(cost, 300)
    assert "all 250 samples are there" in in_words(replace(cost, n=0), 250)
    assert [duration(s) for s in (0.1, 42.4, 180, 7200)] == ["1 s", "42 s", "3 min", "2 h"]


def test_an_estimate_follows_the_request_and_what_is_there(session: Session, tmp_path: Path) -> None:
    assert session.estimate.update() is None
    assert "no scan is chosen" in session.estimate.text
    add_layers(session.viewer, quarter_dose())
    model = session.invariances
    model.n, model.folder = 25, tmp_path / "study"
    model.choose(BOX)
    first = estimated(session)
    assert (first.factor, first.n, first.shape) == (ABSENT, 25, BOX.shape)
    assert session.estimate.update() is None, "nothing has changed"

    assert model.run().wait(300).state == "done"
    session.engine().delivery.wait(lambda: model.complete, 120)
    assert estimated(session).n == 0
    model.n = 30
    later = estimated(session)
    assert (later.factor, later.n) == (READY, 5)
    assert later.seconds < first.seconds

    seen: list[int] = []
    model.events.finished.connect(seen.append)
    assert model.run().wait(300).state == "done"
    assert seen == [0, 25, 30], "what the study holds is on the screen before anything is computed"

    session.engine().close()
    states: list[str] = []
    session.estimate.events.cost.connect(lambda cost: states.append(cost.factor) if cost else None)
    model.n = 35
    estimated(session)
    assert states == [KEPT, READY], "a factor on disk is read while the user still looks"


def test_a_region_that_is_too_large_says_so_before_the_run(session: Session) -> None:
    add_layers(session.viewer, quarter_dose())
    session.invariances.choose(Box(8, 10, 14, 10, 14))
    run = session.estimate.update()
    assert run is not None
    assert run.wait(120).state == "failed"
    assert "at least 8 x 8" in session.estimate.text
    assert session.estimate.cost is None


def test_a_newer_estimate_and_a_run_go_before_an_older_one(session: Session, tmp_path: Path) -> None:
    add_layers(session.viewer, quarter_dose())
    model = session.invariances
    model.n, model.folder = 3, tmp_path / "study"
    model.choose(BOX)
    older = session.estimate.update()
    model.choose(Box(8, 180, 196, 160, 176))
    newer = session.estimate.update()
    assert older is not None
    assert newer is not None
    assert model.run().wait(300).state == "done"
    assert older.wait(10).state == newer.wait(10).state == "abandoned"
    assert session.estimate.cost is None
    assert not session.estimate.activity.running
