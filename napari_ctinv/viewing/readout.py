"""What lies under the cursor: x, f(x), and mean ± standard deviation over the samples.

All of it is looked up in arrays in memory, one voxel each. Mean and deviation come from the maps that a run leaves, so that
no stack of samples is read while the mouse moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_ctinv.layers import layer_info

NOTHING = "–"


@dataclass(frozen=True)
class Readout:
    """One place of the scan in words.

    Attributes:
        voxel: Index z, y, x in the layer of the scan.
        place: Position in mm, LPS.
        x: The scan.
        fx: The denoised scan.
        samples: Mean ± standard deviation over the samples.
    """

    voxel: str = NOTHING
    place: str = NOTHING
    x: str = NOTHING
    fx: str = NOTHING
    samples: str = NOTHING


@dataclass
class _Found:
    """Values under the cursor of one kind of layer, those of the topmost layer first."""

    values: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def first(self, key: Any = None) -> float | None:
        """The topmost value, of the study with this key if one is given."""
        fitting = [value for value, info in self.values if key is None or info.get("key") == key]
        return fitting[0] if fitting else None


def read_out(layers: Iterable[Any], scan: Any, position: Sequence[float]) -> Readout:
    """Read every value at a place.

    Args:
        layers: The layers of the viewer, the lowest first.
        scan: The layer of the scan, or None.
        position: The cursor in the viewer's world; the last three numbers are (S, P, L) in mm.
    """
    if scan is None or len(position) < 3:
        return Readout()
    point = tuple(float(value) for value in position[-3:])
    index = _index(scan, point)
    if index is None:
        return Readout()
    unit = str(layer_info(scan.metadata).get("unit", "HU"))
    upper = [layer for layer in reversed(list(layers)) if layer is not scan]
    return Readout(
        voxel="z {} · y {} · x {}".format(*index),
        place="L {2:.1f} · P {1:.1f} · S {0:.1f} mm".format(*point),
        x=_in_words(_value(scan, point), unit),
        fx=_in_words(_kind(upper, "denoised", point, unit).first(), unit),
        samples=_mean_and_spread(upper, point, unit),
    )


def _mean_and_spread(upper: list[Any], point: Sequence[float], unit: str) -> str:
    """Mean ± spread of the topmost study that covers the point."""
    spreads = _map(upper, "spread", point, unit)
    if not spreads.values:
        return NOTHING
    spread, info = spreads.values[0]
    mean = _map(upper, "mean", point, unit).first(info.get("key"))
    return f"{NOTHING if mean is None else f'{mean:.1f}'} ± {spread:.1f} {unit}"


def _map(upper: list[Any], name: str, point: Sequence[float], unit: str) -> _Found:
    return _kind([layer for layer in upper if layer.name.startswith(f"{name} [")], "map", point, unit)


def _kind(upper: list[Any], kind: str, point: Sequence[float], unit: str) -> _Found:
    found = _Found()
    for layer in upper:
        info = layer_info(layer.metadata)
        if info.get("kind") == kind and info.get("unit") == unit:
            value = _value(layer, point)
            if value is not None:
                found.values.append((value, info))
    return found


def _value(layer: Any, point: Sequence[float]) -> float | None:
    """The voxel of a layer at a point; None outside, where it is not finite and where it is not in memory."""
    index = _index(layer, point)
    if index is None or not isinstance(layer.data, np.ndarray):
        return None
    value = float(layer.data[index])
    return value if np.isfinite(value) else None


def _index(layer: Any, point: Sequence[float]) -> tuple[int, int, int] | None:
    """The voxel (z, y, x) of a layer at a point, None outside."""
    shape = layer.data.shape
    if len(shape) != 3:
        return None
    index = tuple(int(value) for value in np.rint(layer.world_to_data(point)))
    inside = all(0 <= value < size for value, size in zip(index, shape, strict=True))
    return index if inside else None  # type: ignore[return-value]


def _in_words(value: float | None, unit: str) -> str:
    return NOTHING if value is None else f"{value:.1f} {unit}"
