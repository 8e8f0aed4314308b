"""Station 6: a denoiser is trained, paused and continued, while its curves are drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from _tour.stage import Stage
from ctinv.io.dicom import read_series
from ctinv.resources import ct_folder


def train(stage: Stage) -> None:
    """CNN-10 on a few slices, for its curves and not for its weights."""
    model = stage.session.train
    section = stage.section("Train", "Training")
    section.data.edit.value, section.out.edit.value = write_pairs(stage.home / "pairs"), stage.home / "run"
    section.config.value = "cnn10"
    steps = 40 if stage.quick else 600
    section.steps.value, section.validate_every.value = steps, steps // 4
    section.batch.value, section.patch.value = (2, 32) if stage.quick else (4, 64)
    stage.run(section, model.checking)
    stage.wait_until(lambda: model.estimate is not None, "the estimate")
    stage.scroll_to(section.checking)
    stage.picture("train")
    with stage.watched("training"):
        stage.press(section, "Start")
        stage.wait_until(lambda: _points(model) >= steps // 4, "a quarter of the training", 1800)
        stage.press(section, "Pause")
        stage.wait_until(lambda: not model.activity.running, "the training is paused")
        stage.figures["paused_at_step"] = _points(model)
        stage.press(section, "Continue")
        stage.section("Train", "Curves")
        stage.wait_until(lambda: not model.activity.running, "training", 3600)
        stage.pause(1)
    if model.bundle is None:
        raise RuntimeError(f"the training left no bundle: {model.activity.message}")
    stage.section("Train", "Curves")
    stage.picture("curves")
    stage.section("Train", "Previews")
    stage.picture("previews")


def write_pairs(folder: Path) -> Path:
    """Two halves of the shipped CT as two patients, which only a tour may call so."""
    folder.mkdir()
    low, full = (read_series(ct_folder() / name) for name in ("quarter_dose", "full_dose"))
    for name, part in (("lower", slice(0, 8)), ("upper", slice(8, 16))):
        np.save(folder / f"{name}_low.npy", low.hu[part])
        np.save(folder / f"{name}_full.npy", full.hu[part])
        facts = {"name": name, "patient": name, "spacing_mm": [float(value) for value in low.spacing]}
        (folder / f"{name}.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def _points(model: Any) -> int:
    """How many steps the curves show."""
    return max((len(curve.points()[0]) for curve in model.history.losses.values()), default=0)
