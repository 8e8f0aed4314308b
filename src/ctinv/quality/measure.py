"""All figures of several images of one patient, at the same places.

The places, homogeneous squares and edges, are chosen once in the full-dose slices; every image is read there. A figure
that does not exist (no homogeneous square in the patient) is None, in JSON null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctinv.quality.edges import Edge, edge_spread, find_edges, rise_mm
from ctinv.quality.fidelity import HOUNSFIELD, Scale, fidelity
from ctinv.quality.noise import NoisePower, Square, flat_squares, noise_power, nps_distance

SQUARE_PIXELS = 32
MOST_SQUARES = 40
FEWEST_EDGES = 10  # fewer make no ensemble

Image = NDArray[np.float32]
_SHARES = {
    "nps_peak_per_mm": "nps_peak_ratio",
    "nps_mean_per_mm": "nps_mean_ratio",
    "edge_mm": "edge_ratio",
    "low_edge_mm": "low_edge_ratio",
}


@dataclass(frozen=True, eq=False)
class Places:
    """Where one patient is measured: squares, and edges of high and of low contrast."""

    squares: list[Square]
    edges: list[Edge]
    low_edges: list[Edge]

    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        return {"squares": len(self.squares), "edges": len(self.edges), "low_edges": len(self.low_edges)}


def find_places(
    full: NDArray[np.generic], slices: Iterable[int], *, spacing_mm: float, scale: Scale = HOUNSFIELD
) -> Places:
    """The 40 flattest squares of 32 x 32 pixels and all edges in the named slices of a full-dose scan.

    Args:
        full: (Z, Y, X) in HU.
        slices: Slice numbers.
        spacing_mm: Size of the square pixels; NaN if unknown, and then there are no places.
        scale: What the values mean.
    """
    squares: list[Square] = []
    edges: list[Edge] = []
    if scale.tissue is None or not np.isfinite(spacing_mm):
        return Places([], [], [])
    for z in slices:
        image = np.asarray(full[z], dtype=np.float32)
        squares += flat_squares(image, SQUARE_PIXELS, spacing_mm=spacing_mm, tissue=scale.tissue, z=z)
        edges += find_edges(image, spacing_mm=spacing_mm, z=z)
    squares = sorted(squares, key=lambda square: square.roughness_hu)[:MOST_SQUARES]
    high, low = [edge for edge in edges if edge.high_contrast], [edge for edge in edges if edge.low_contrast]
    return Places(squares, high, low)


class _Reading:
    """What one image shows at the places, slice after slice."""

    def __init__(self, places: Places) -> None:
        self.fidelity: list[dict[str, float]] = []
        self.squares: list[NDArray[np.float64]] = []
        self.edges = {"edge_mm": _EdgeValues(places.edges), "low_edge_mm": _EdgeValues(places.low_edges)}
        self.places = places

    def add(self, z: int, image: Image) -> None:
        """Read slice z."""
        for square in self.places.squares:
            if square.z == z:
                part = image[square.y : square.y + SQUARE_PIXELS, square.x : square.x + SQUARE_PIXELS]
                self.squares.append(part.astype(np.float64))
        for values in self.edges.values():
            values.add(z, image)

    def noise(self, spacing_mm: float) -> NoisePower:
        """Ensemble NPS of all squares."""
        squares = np.array(self.squares).reshape(-1, SQUARE_PIXELS, SQUARE_PIXELS)
        return noise_power(squares, spacing_mm=spacing_mm)

    def figures(self, noise: NoisePower) -> dict[str, float]:
        """Means over slices, and ensemble figures."""
        found = {}
        for key in self.fidelity[0] if self.fidelity else ():
            known = [row[key] for row in self.fidelity if np.isfinite(row[key])]
            found[key] = float(np.mean(known)) if known else float("nan")
        found |= {
            "noise_std_hu": noise.std_hu,
            "nps_peak_per_mm": noise.peak_per_mm,
            "nps_mean_per_mm": noise.mean_per_mm,
        }
        return found | {key: values.rise_mm() for key, values in self.edges.items()}


class _EdgeValues:
    """Values of one image at the pixels of edges."""

    def __init__(self, edges: Sequence[Edge]) -> None:
        self.edges, self.values, self.seen = edges, list[NDArray[np.float64]](), list[Edge]()

    def add(self, z: int, image: Image) -> None:
        for edge in self.edges:
            if edge.z == z:
                self.seen.append(edge)
                self.values.append(image[edge.rows, edge.columns].astype(np.float64))

    def rise_mm(self) -> float:
        """10-90 % rise of the mean ESF; NaN for too few edges."""
        enough = len(self.seen) >= FEWEST_EDGES
        return rise_mm(*edge_spread(self.values, self.seen)) if enough else float("nan")


def measure(
    full: NDArray[np.generic],
    images: Mapping[str, Callable[[int], Image]],
    slices: Sequence[int],
    *,
    spacing_mm: float,
    scale: Scale = HOUNSFIELD,
) -> dict[str, dict[str, float | None]]:
    """Figures of the full-dose image and of each named image, at the same slices and places.

    Args:
        full: (Z, Y, X) in HU.
        images: Name to a function from slice number to (Y, X) in HU.
        slices: Slice numbers.
        spacing_mm: Size of the square pixels; NaN if unknown.
        scale: What the values mean.

    Returns:
        ``{"places": counts, "full": figures, name: figures, …}``. Figures: ``rmse_hu``, ``psnr_db``, ``ssim`` (means
        over slices, not for the full dose); ``noise_std_hu``, ``nps_peak_per_mm``, ``nps_mean_per_mm``; ``edge_mm``
        and ``low_edge_mm`` (10-90 % rise at high and low contrast); the last four over those of the full dose as
        ``nps_peak_ratio``, ``nps_mean_ratio``, ``edge_ratio``, ``low_edge_ratio``; and ``nps_distance`` from the full
        dose in decades. None where a figure does not exist.
    """
    places = find_places(full, slices, spacing_mm=spacing_mm, scale=scale)
    readings = {name: _Reading(places) for name in ("full", *images)}
    for z in slices:
        reference = np.asarray(full[z], dtype=np.float32)
        readings["full"].add(z, reference)
        for name, image in images.items():
            found = image(z)
            readings[name].fidelity.append(fidelity(found, reference, scale=scale))
            readings[name].add(z, found)
    noise = {name: reading.noise(spacing_mm) for name, reading in readings.items()}
    rows = {name: reading.figures(noise[name]) for name, reading in readings.items()}
    for name in images:
        rows[name] |= {share: rows[name][key] / rows["full"][key] for key, share in _SHARES.items()}
        rows[name]["nps_distance"] = nps_distance(noise[name], noise["full"])
    return {"places": dict(places.counts()), **{name: _known(row) for name, row in rows.items()}}


def _known(row: Mapping[str, float]) -> dict[str, float | None]:
    return {key: value if np.isfinite(value) else None for key, value in row.items()}
