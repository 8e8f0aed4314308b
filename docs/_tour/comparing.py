"""Station 4: certificates, one pixel of all samples, the film, and layers beside or in each other."""

from __future__ import annotations

from functools import partial
from typing import Any

from _tour.sampling import look_at
from _tour.stage import Stage


def compare(stage: Stage) -> None:
    """The table, the probe, the film and every comparison."""
    look_at(stage)
    certificates(stage)
    probe(stage)
    film(stage)
    comparisons(stage)


def certificates(stage: Stage) -> None:
    """A click on a row shows its sample."""
    table = stage.section("Invariances", "Certificates").table
    stage.click(table.viewport(), table.visualRect(table.model().index(3, 0)).center())
    stage.wait_until(lambda: stage.session.shown.place == 3, "the sample of the row is shown")
    stage.section("Invariances", "Certificates")
    stage.picture("certificates")


def probe(stage: Stage) -> None:
    """A click on a voxel draws its histogram."""
    section = stage.section("Invariances", "Probe")
    stage.press(section, "Probe a pixel")
    layer = stage.session.shown.samples
    height, width = layer.data.shape[-2:]
    place = (3, 0, height // 2, width // 2)
    with stage.watched("probing"):
        stage.touch(layer, place)
        stage.wait_until(lambda: stage.session.probe.probed is not None, "the pixel is probed")
        stage.pause(0.3)
    stage.section("Invariances", "Probe")
    stage.picture("probe")
    stage.press(section, "Probe a pixel")


def film(stage: Stage) -> None:
    """The samples run for two seconds."""
    section: Any = stage.section("Invariances", "Film")
    section.unfold()
    seen = set()
    with stage.watched("film"):
        stage.click(section.button)
        for _look in range(20):
            stage.pause(0.1)
            seen.add(stage.session.shown.place)
        stage.click(section.button)
    section.unfold(False)
    stage.figures["film_frames_per_s"] = len(seen) / 2


def comparisons(stage: Stage) -> None:
    """The grid, raw beside corrected, swipe; and out of each again."""
    section = stage.section("Invariances", "Compare")
    layers = list(stage.viewer.layers)
    for mode, picture in (("grid", "compare"), ("raw", "raw"), ("swipe", "swipe"), ("checkerboard", "")):
        with stage.watched("comparing"):
            stage.click(section.buttons[mode])
            stage.wait_until(partial(_is_on, stage, mode), mode)
            stage.pause(0.3)
        if picture:
            stage.section("Invariances", "Compare")
            stage.picture(picture)
        stage.click(section.buttons[mode])
        stage.wait_until(partial(_is_on, stage, "off"), "the comparison is over")
    left = [layer for layer in stage.viewer.layers if layer not in layers and layer.visible]
    if left:
        raise RuntimeError(f"a comparison left {left} on the screen.")


def _is_on(stage: Stage, mode: str) -> bool:
    return bool(stage.session.compare.mode == mode)
