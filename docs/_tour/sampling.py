"""Station 3: samples stream in, each with its certificate."""

from __future__ import annotations

import time
from typing import Any

from _tour.scans import LIVER, Z, the_scan
from _tour.stage import Stage
from ctinv.volume import Box

QUICK_LIVER = Box(Z, 180, 204, 160, 184)
"""A smaller part of the liver, for the quick tour."""


def invariances(stage: Stage) -> None:
    """250 samples of a region of the liver, once from nothing and once with the factor of the region."""
    the_scan(stage)
    model = stage.session.invariances
    section = stage.section("Invariances", "Sampling")
    model.choose(QUICK_LIVER if stage.quick else LIVER)
    section.n.value = 8 if stage.quick else 250
    stage.wait_until(lambda: not stage.session.engine().busy, "the computing process is ready")
    stage.pause(1)
    stage.figures["first_sample_s"] = first_sample(stage, section, seed=0)
    look_at(stage)
    stage.section("Invariances", "Sampling")
    stage.picture("invariances")
    section.n.value = 8 if stage.quick else 50
    stage.figures["first_sample_with_factor_s"] = first_sample(stage, section, seed=1)
    section.n.value = section.n.value + 8
    stage.figures["first_further_sample_s"] = first_sample(stage, section, seed=1, before=section.n.value - 8)


def first_sample(stage: Stage, section: Any, *, seed: int, before: int = 0) -> float:
    """Samples, and gives the seconds from the click to the first new certified sample on the screen.

    Args:
        stage: The stage.
        section: Of the Invariances tab.
        seed: Of the samples.
        before: How many samples the study has already.
    """
    model = stage.session.invariances
    section.seed.value = seed
    with stage.watched("sampling"):
        begin = time.perf_counter()
        stage.press(section, "Sample invariances")
        stage.wait_until(lambda: model.finished > before or not model.activity.running, "a sample")
        if model.activity.message:
            raise RuntimeError(model.activity.message)
        stage.redrawn()
        seconds = time.perf_counter() - begin
        stage.wait_until(lambda: not model.activity.running, "sampling", 1800)
        stage.pause(0.5)
    return round(seconds, 2)


def look_at(stage: Stage) -> None:
    """Moves the camera to the region."""
    layer, camera = stage.session.invariances.samples, stage.viewer.scene.camera
    (top, left), (bottom, right) = layer.extent.world[:, -2:]
    camera.center = (0.0, (top + bottom) / 2, (left + right) / 2)
    camera.zoom = 420 / (bottom - top)
