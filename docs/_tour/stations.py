"""The stations of the tour in their order; each clicks through one part of the plugin."""

from __future__ import annotations

from collections.abc import Callable

from _tour.analysing import analyse
from _tour.comparing import compare
from _tour.denoising import denoise
from _tour.leaving import export, preferences
from _tour.sampling import invariances
from _tour.scans import scan
from _tour.stage import Stage
from _tour.training import train
from napari_ctinv.dock import TABS

STATIONS: dict[str, Callable[[Stage], None]] = {
    "scan": scan,
    "denoise": denoise,
    "invariances": invariances,
    "compare": compare,
    "analyse": analyse,
    "train": train,
    "export": export,
    "preferences": preferences,
}

SECTIONS = {
    "scan": "opening:Opening",
    "compare": "compare:Compare",
    "analyse": "report:Report",
    "train": "training:Training",
    "export": "export:Export",
}
"""What a station needs in the dock; without it the station is left out."""


def offered() -> list[str]:
    """The stations of the dock."""
    there = {section for sections in TABS.values() for section in sections}
    return [name for name in STATIONS if name not in SECTIONS or SECTIONS[name] in there]
