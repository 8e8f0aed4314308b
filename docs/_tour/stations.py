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
from _tour.trusting import trust

STATIONS: dict[str, Callable[[Stage], None]] = {
    "scan": scan,
    "trust": trust,
    "denoise": denoise,
    "invariances": invariances,
    "compare": compare,
    "analyse": analyse,
    "train": train,
    "export": export,
    "preferences": preferences,
}
