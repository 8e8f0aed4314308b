"""The model of the Train tab with the real training in the real computing process; no window, no Qt."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from train_folders import write_discs, write_training

from ctinv.errors import InputError
from napari_ctinv.session import Session, session_of
from napari_ctinv.session.train import TrainModel


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CTINV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    viewer = ViewerModel()
    session = session_of(viewer)
    yield session
    session.close()


def asked(session: Session, folder: Path, out: str = "run", *, steps: int = 20) -> TrainModel:
    """The model with everything chosen."""
    model = session.train
    model.data, model.own_config = write_training(folder, steps=steps)
    model.out = folder / out
    return model


def newest_step(model: TrainModel) -> float:
    return float(model.history.losses["denoiser"].points()[0][-1]) if model.history.losses else 0.0


def stop_at(model: TrainModel, step: int, how: str) -> None:
    """Pause or cancel once, when a step has been told."""
    done: list[float] = []

    def look() -> None:
        if not done and model.activity.state == "running" and newest_step(model) >= step:
            done.append(step)
            getattr(model, how)()

    model.grew.connect(look)


def files(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in ("best.safetensors", "losses.csv")}


def test_settings_fill_the_form_and_the_form_makes_the_settings(session: Session, tmp_path: Path) -> None:
    model = session.train
    assert "cnn10" in model.choices
    assert (model.steps, model.batch, model.patch, model.learning_rate) == (1400, 8, 80, 1e-3)
    model.steps, model.learning_rate = 70, 2e-3
    table = model.settings()
    assert (table["steps"], table["last_learning_rate"], table["objective"]) == (70, 2e-5, {"name": "L2"})
    assert (table["split"], table["train"], table["validate"]) == ("random", [], [])
    model.split = "named"
    assert model.settings()["train"] == ["chest_lidc1", "chest_lung1"]
    model.what = "generator"
    assert (model.config, model.steps, model.flow_steps, model.fibre_steps) == ("cvae_cinn", 600, 800, 250)
    model.flow_steps = 30
    assert model.settings()["flow"]["steps"] == 30
    assert model.settings()["denoiser"] == "cnn10"
    model.own_config = tmp_path / "none.toml"
    assert "readable TOML" in model.problem
    with pytest.raises(InputError, match="readable TOML"):
        model.settings()


def test_data_are_checked_before_a_training(session: Session, tmp_path: Path) -> None:
    model = asked(session, tmp_path)
    assert model.check().wait(120).state == "done"
    assert model.found is not None
    assert [(pair.name, pair.shape) for pair in model.found.pairs] == [
        ("a", (6, 40, 36)), ("b", (6, 40, 36)),
    ]  # fmt: skip
    assert (model.found.count("train"), model.found.count("validate"), model.found.slices("validate")) == (
        1,
        1,
        6,
    )
    model.seed = 5
    assert model.found is None
    for path in (tmp_path / "pairs").glob("b_*"):
        path.unlink()
    outcome = model.check().wait(60)
    assert (outcome.state, outcome.message) == ("failed", model.checking.message)
    assert "one patient only" in outcome.message
    assert not (tmp_path / "run").exists()


def test_the_estimate_says_what_it_takes_and_writes_nothing(session: Session, tmp_path: Path) -> None:
    model = asked(session, tmp_path)
    assert model.measure().wait(120).state == "done"
    found = model.estimate
    assert found is not None
    assert found.steps == 20
    assert found.step_s > 0
    assert found.total_s > 20 * found.step_s
    assert found.fits
    assert not (tmp_path / "run").exists()
    model.batch = 4
    assert model.estimate is None


def test_a_training_from_start_to_use(session: Session, tmp_path: Path) -> None:
    model = asked(session, tmp_path)
    assert model.start().wait(120).state == "done"
    x, y = model.history.losses["denoiser"].points()
    np.testing.assert_array_equal(x, np.arange(1, 21))
    assert np.isfinite(y).all()
    assert model.history.figures["rmse_hu"].points()[0].tolist() == [5, 10, 15, 20]
    assert model.standing is not None
    assert model.standing.finished
    assert not model.can_go_on
    assert model.bundle == tmp_path / "run" / "tiny"
    low, denoised, full = model.show_picture()
    assert low.data.shape == denoised.data.shape == full.data.shape == (40, 36)
    model.use()
    assert session.network.own == model.bundle
    with pytest.raises(InputError, match="holds a training already"):
        model.start()
    with pytest.raises(InputError, match="no training that can go on"):
        model.go_on()


def test_paused_and_continued_after_a_restart_it_is_the_run_that_never_stopped(
    session: Session, tmp_path: Path
) -> None:
    whole = asked(session, tmp_path, "whole", steps=200)
    assert whole.start().wait(120).state == "done"
    model = asked(session, tmp_path, "parts", steps=200)
    stop_at(model, 3, "pause")
    assert model.start().wait(120).state == "cancelled"
    assert model.left == "paused"
    assert model.standing is not None
    step = model.standing.step
    assert 3 <= step < 200
    assert model.history.losses["denoiser"].points()[0][-1] == step

    run = model.go_on()
    session.engine("train").delivery.wait(lambda: newest_step(model) >= step + 5 or not run.running, 120)
    assert run.running
    session.close()  # as when the viewer is closed: the step is finished and its checkpoint written
    other = session_of(ViewerModel())
    try:
        again = other.train
        again.out = tmp_path / "parts"
        assert again.standing is not None
        assert again.standing.step >= step + 5
        assert (again.standing.steps, again.left) == (200, "interrupted")
        assert newest_step(again) == again.standing.step
        assert again.can_go_on
        assert again.go_on().wait(120).state == "done"
        assert again.history.losses["denoiser"].points()[0].tolist() == list(range(1, 201))
    finally:
        other.close()
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_a_killed_engine_leaves_a_training_that_goes_on(session: Session, tmp_path: Path) -> None:
    whole = asked(session, tmp_path, "whole", steps=200)
    assert whole.start().wait(120).state == "done"
    model = asked(session, tmp_path, "killed", steps=200)

    def kill() -> None:
        pid = session.engine("train").pid
        if pid is not None and model.activity.running and newest_step(model) >= 12:
            os.kill(pid, signal.SIGKILL)

    model.grew.connect(kill)
    outcome = model.start().wait(120)
    model.grew.disconnect(kill)
    assert outcome.state == "failed"
    assert "ended unexpectedly" in model.activity.message
    assert model.standing is not None
    assert 10 <= model.standing.step < 200
    assert not model.standing.running
    assert model.left == "failed"
    assert model.can_go_on
    assert model.go_on().wait(120).state == "done"
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_cancelled_it_keeps_its_checkpoint_and_names_nothing_of_the_data(
    session: Session, tmp_path: Path
) -> None:
    model = asked(session, tmp_path, steps=5000)
    stop_at(model, 2, "cancel")
    assert model.start().wait(120).state == "cancelled"
    assert model.left == "cancelled"
    assert model.standing is not None
    assert model.standing.step > 0
    assert json.loads((tmp_path / "run" / "training.json").read_text()) == {"state": "cancelled"}
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or b"pairs" not in path.read_bytes(), path.name


def test_a_generator_is_trained_through_its_stages(session: Session, tmp_path: Path) -> None:
    model = session.train
    model.data = write_discs(tmp_path)
    model.what, model.out = "generator", tmp_path / "run"
    model.config = "cvae_cinn"
    model.patch, model.batch, model.validate_every = 16, 2, 3
    model.steps, model.flow_steps, model.fibre_steps = 4, 4, 2
    assert model.start().wait(200).state == "done", model.activity.message
    assert model.history.losses["flow"].points()[0].tolist() == [5, 6, 7, 8]
    assert model.history.losses["fibre"].points()[0].tolist() == [9, 10]
    assert model.standing is not None
    assert (model.standing.step, model.standing.steps, model.standing.finished) == (10, 10, True)
    model.use()
    assert session.invariances.own_generator == tmp_path / "run" / "cvae_cinn_cnn10_output"


def test_the_viewer_process_loads_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, napari_ctinv.session.train, napari_ctinv.session.train_history\n"
        "from napari.components import ViewerModel\nfrom napari_ctinv.session import session_of\n"
        "viewer = ViewerModel(); session_of(viewer).train\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'monai')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
