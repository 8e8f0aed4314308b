"""All figures of a report, in their order."""

from __future__ import annotations

from collections.abc import Callable

from ctinv.report.figures.cost import cost
from ctinv.report.figures.lesions import blindness, contrast
from ctinv.report.figures.noise import noise
from ctinv.report.figures.nulls import nulls
from ctinv.report.figures.overview import overview
from ctinv.report.figures.shown import shown
from ctinv.report.figures.spectrum import spectrum
from ctinv.report.figures.style import Plate, png
from ctinv.report.words import Content

FIGURES: dict[str, Callable[[Content], Plate]] = {
    "F1": overview,
    "F2": noise,
    "F3": contrast,
    "F4": blindness,
    "F5": nulls,
    "F6": spectrum,
    "F7": cost,
    "F8": shown,
}


def plates(content: Content) -> dict[str, Plate]:
    """Every figure with its texts; pictures are drawn by `draw`."""
    return {name: figure(content) for name, figure in FIGURES.items()}


def draw(figures: dict[str, Plate]) -> dict[str, bytes]:
    """The PNG of every panel, by ``figure/panel``."""
    return {f"{name}/{panel.name}": png(panel) for name, plate in figures.items() for panel in plate.panels}
