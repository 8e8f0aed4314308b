"""Station 5: what the samples show: analyses, those that stand for all, regions, and the report."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QPoint

from _tour.scans import Z, the_scan
from _tour.stage import Stage

QUICK = ("noise-consistency", "lesion-blindness")
"""What the quick tour asks."""


def analyse(stage: Stage) -> None:
    """Every analysis of the samples, in the quick tour two; gallery, region of interest, report."""
    section = stage.section("Analyse", "Analyse")
    for name, tick in section.ticks.items():
        if tick.isChecked() != (name in QUICK if stage.quick else name != "find-blind"):
            stage.click(tick, QPoint(8, tick.height() // 2))
    with stage.watched("analysing"):
        stage.run(section, stage.session.analyse.activity, timeout_s=1800)
        stage.pause(1)
    stage.scroll_to(next(iter(section.findings.values())))
    stage.picture("analyse")
    gallery(stage)
    regions(stage)
    report(stage)


def gallery(stage: Stage) -> None:
    """The samples that stand for all."""
    section = stage.section("Analyse", "Gallery")
    stage.press(section, "Choose the representatives")
    stage.wait_until(lambda: bool(section.cards), "representatives", 600)
    stage.pause(1)
    stage.section("Analyse", "Gallery")
    stage.picture("gallery")


def regions(stage: Stage) -> None:
    """A rectangle drawn on the liver with the mouse, and its numbers."""
    ct = the_scan(stage)
    section = stage.section("Analyse", "RoiStatistics")
    stage.press(section, "Rectangle")
    stage.drag(ct, (Z, 184, 165), (Z, 198, 180))
    stage.press(section, "Measure")
    stage.wait_until(lambda: bool(stage.session.roi.rows), "the numbers of the region")
    stage.section("Analyse", "RoiStatistics")
    stage.picture("roi")


def report(stage: Stage) -> None:
    """The page to sign."""
    section: Any = stage.section("Analyse", "Report")
    with stage.watched("reporting"):
        stage.run(section, stage.session.report.activity, timeout_s=1800)
    stage.section("Analyse", "Report")
    stage.picture("report")
