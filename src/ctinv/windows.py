"""Display windows: which values of an image are shown between black and white.

A window is a centre and a width in the unit of the image; it shows ``centre ± width / 2``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_VALUES = 1_000_000


@dataclass(frozen=True)
class Window:
    """What lies between black and white, in the unit of the image."""

    centre: float
    width: float

    @classmethod
    def between(cls, low: float, high: float) -> Window:
        """The window from black at `low` to white at `high`."""
        return cls((low + high) / 2, high - low)

    @property
    def limits(self) -> tuple[float, float]:
        """The values that are shown black and white."""
        return self.centre - self.width / 2, self.centre + self.width / 2


SOFT_TISSUE = Window(40.0, 400.0)
"""HU; the window of a CT whose header names none."""

PRESETS = {
    "soft tissue": SOFT_TISSUE,
    "lung": Window(-600.0, 1500.0),
    "liver": Window(90.0, 150.0),
    "bone": Window(480.0, 2500.0),
    "brain": Window(40.0, 80.0),
}
"""The usual windows of a CT in HU."""


def default_window(values: NDArray[Any], header: tuple[tuple[float, float], ...], unit: str) -> Window:
    """The first window of the header, else soft tissue in HU and percentile 1 to 99 in another unit."""
    if header:
        return Window(*header[0])
    return SOFT_TISSUE if unit == "HU" else percentile_window(values)


def percentile_window(values: NDArray[Any]) -> Window:
    """Percentile 1 to 99 of the values, of some of them where there are more than a million; at least one unit wide."""
    step = max(1, values.size // _MOST_VALUES)
    low, high = (float(value) for value in np.percentile(values.reshape(-1)[::step], [1.0, 99.0]))
    return Window.between(low, high if high > low else low + 1.0)
