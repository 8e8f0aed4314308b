"""What an analysis says: one sentence, figures for JSON, maps on the region, and curves for plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError


@dataclass(frozen=True, eq=False)
class Map:
    """One picture of a finding.

    Attributes:
        values: (h, w) float32 on the region, NaN where nothing is known.
        unit: Unit of the values; ``"1"`` for shares, ``"σ"`` for standard deviations of the null.
        title: A few words for a layer or a panel.
    """

    values: NDArray[np.float32]
    unit: str
    title: str

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float32:
            raise InputError(
                f"a map must be (h, w) float32, got {self.values.shape} {self.values.dtype} for {self.title!r}."
            )


@dataclass(frozen=True, eq=False)
class Finding:
    """The result of one analysis.

    Attributes:
        name: Name in the registry.
        sentence: What was found, in one sentence for people.
        interesting: Whether it stands after the control of false discoveries.
        figures: JSON values; names of lengths and contrasts end in ``_mm`` and ``_hu``.
        maps: Name to map.
        curves: Name to columns of equal length, ready for a plot or a CSV.
    """

    name: str
    sentence: str
    interesting: bool
    figures: dict[str, Any]
    maps: Mapping[str, Map] = field(default_factory=dict)
    curves: Mapping[str, dict[str, list[float]]] = field(default_factory=dict)
