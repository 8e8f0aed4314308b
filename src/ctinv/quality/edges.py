"""Edge response: over how many mm a real edge rises from 10 % to 90 %.

Edges are found in the full-dose slice: places where the gradient is largest and the pixels around follow

    p(d) = low + (high − low) Φ(d/σ),   d = u − (a + b v + c v²),

u (mm) along the gradient, v along the edge, Φ the normal distribution. The curve (a, b, c) fixes the signed distance d
of every pixel once; each image is then read at the same pixels. Binned by d, a slanted or curved edge gives an edge
spread function (ESF) finer than the pixels, as in IEC 62220-1; the ESFs of all edges are averaged and the 10-90 % rise
is read from the average. Its ratio to that of the full-dose image says what a denoiser does to edges; denoisers
are not linear, so it is told apart for high contrast (skin, lung, gas) and low contrast (fat beside muscle or organ).

References:
    IEC 62220-1-1:2015; task transfer function: Towards task-based assessment of CT performance, Richard et al., Med
    Phys 2012, https://doi.org/10.1118/1.4725171.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.optimize import isotonic_regression, least_squares
from scipy.special import ndtr

Array = NDArray[np.float64]

HALF_LENGTH_MM, HALF_WIDTH_MM, PLATEAU_MM = (
    4.0,
    6.0,
    3.5,
)  # along the edge; across it; where the plateaus begin
BIN_MM = 0.2
HIGH_CONTRAST_HU, LOW_CONTRAST_HU = (400.0, 1500.0), (80.0, 250.0)
FAT_HU = -200.0  # darker than any fat
_GRADIENT_MM = 1.0  # σ of the Gaussian derivative that finds edges
_UNEVEN = 0.08  # largest misfit to p(d), and plateau spread, of the smoothed slice as a share of the contrast
_SHARP_MM = 2.0  # largest σ of an edge worth the name


@dataclass(frozen=True, eq=False)
class Edge:
    """Pixels around one edge.

    Attributes:
        z: Slice number.
        rows, columns: (P,) indices of the pixels.
        distance: (P,) signed distances d in mm, positive on the brighter side.
        low_hu, contrast_hu: Level of the darker side, and how much brighter the other is.
    """

    z: int
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    distance: Array
    low_hu: float
    contrast_hu: float

    @property
    def high_contrast(self) -> bool:
        """Whether it is the border of skin, lung or gas."""
        return HIGH_CONTRAST_HU[0] <= self.contrast_hu <= HIGH_CONTRAST_HU[1]

    @property
    def low_contrast(self) -> bool:
        """Whether it is the border of fat and soft tissue; couches and clothes have a darker side of air."""
        return LOW_CONTRAST_HU[0] <= self.contrast_hu <= LOW_CONTRAST_HU[1] and self.low_hu > FAT_HU


def find_edges(image: NDArray[np.float32], *, spacing_mm: float, z: int = 0) -> list[Edge]:
    """Isolated, nearly straight edges of one (H, W) slice in HU."""
    smooth = gaussian_filter(image.astype(np.float64), _GRADIENT_MM / spacing_mm)
    slope = np.stack(np.gradient(smooth, spacing_mm))
    steepness = np.hypot(*slope)
    reach = int(np.ceil(np.hypot(HALF_LENGTH_MM, HALF_WIDTH_MM) / spacing_mm))
    peak = steepness == maximum_filter(steepness, 2 * int(HALF_LENGTH_MM / spacing_mm) + 1)
    # an edge of contrast C and width 1 mm, smoothed by 1 mm, has slope C / (√(4π) mm); half of that is let in
    peak &= steepness > LOW_CONTRAST_HU[0] / np.sqrt(16 * np.pi)
    peak[:reach], peak[-reach:], peak[:, :reach], peak[:, -reach:] = False, False, False, False
    edges = (
        _edge(image, smooth, (int(y), int(x)), slope[:, y, x], reach, spacing_mm, z)
        for y, x in np.argwhere(peak)
    )
    return [edge for edge in edges if edge is not None]


def _edge(
    image: NDArray[np.float32],
    smooth: Array,
    centre: tuple[int, int],
    slope: Array,
    reach: int,
    spacing_mm: float,
    z: int,
) -> Edge | None:
    """The edge at one pixel, or None if it is not isolated, not even or not sharp."""
    across, along = slope / np.hypot(*slope), np.array([-slope[1], slope[0]]) / np.hypot(*slope)
    offsets = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    u, v = across @ offsets * spacing_mm, along @ offsets * spacing_mm
    inside = (np.abs(u) <= HALF_WIDTH_MM) & (np.abs(v) <= HALF_LENGTH_MM)
    u, v, (rows, columns) = u[inside], v[inside], offsets[:, inside] + np.array(centre)[:, None]
    even = smooth[rows, columns]
    low, high = even[u <= -PLATEAU_MM], even[u >= PLATEAU_MM]
    contrast = high.mean() - low.mean()
    if contrast < LOW_CONTRAST_HU[0] or max(low.std(), high.std()) > _UNEVEN * contrast:
        return None
    start = np.array([low.mean(), contrast, 0.0, 0.0, 0.0, 0.8])
    base, height, shift, tilt, bend, sigma = _fit(image[rows, columns].astype(np.float64), u, v, start)
    distance = u - shift - tilt * v - bend * v * v
    sharp = 0 < sigma < _SHARP_MM and np.abs(distance - u).max() < HALF_WIDTH_MM - PLATEAU_MM
    expected = base + height * ndtr(distance / np.hypot(sigma, _GRADIENT_MM))
    if not sharp or np.sqrt(np.mean((even - expected) ** 2)) > _UNEVEN / 2 * contrast:
        return None
    return Edge(z, rows, columns, distance, float(base), float(height))


def _fit(values: Array, u: Array, v: Array, start: Array) -> Array:
    """Least-squares (low, high − low, a, b, c, σ) of p(d) to the values of pixels at (u, v) mm."""
    powers, unit = np.stack([np.ones_like(v), v, v * v]), start[1]

    def misfit(p: Array) -> Array:
        return np.asarray(p[0] + p[1] * ndtr((u - p[2:5] @ powers) / p[5]) - values) / unit

    def jacobian(p: Array) -> Array:
        t = (u - p[2:5] @ powers) / p[5]
        density = p[1] / p[5] * np.exp(-t * t / 2) / np.sqrt(2 * np.pi)
        return np.stack([np.ones_like(t), ndtr(t), *(-density * powers), -density * t], axis=1) / unit

    return np.asarray(least_squares(misfit, start, jac=jacobian, method="lm").x)


def edge_spread(images: list[Array], edges: list[Edge]) -> tuple[Array, Array]:
    """Mean ESF of edges: distance (K,) in mm and value (K,), 0 to 1.

    Args:
        images: For each edge, the values (P,) in HU of an image at the edge's pixels.
        edges: One or more.
    """
    half = HALF_WIDTH_MM - 1.0  # every edge reaches that far
    count = round(2 * half / BIN_MM)
    rise, contrast = np.zeros(count), np.zeros(count)
    for values, edge in zip(images, edges, strict=True):
        low = values[edge.distance <= -PLATEAU_MM].mean()
        high = values[edge.distance >= PLATEAU_MM].mean()
        bins = np.floor((edge.distance + half) / BIN_MM).astype(int)
        kept = (bins >= 0) & (bins < count)
        rise += np.bincount(bins[kept], (values - low)[kept], count)
        contrast += np.bincount(bins[kept], minlength=count) * (high - low)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.asarray(rise / contrast, dtype=np.float64)
    middle = np.arange(count, dtype=np.float64) * BIN_MM + (BIN_MM / 2 - half)
    return middle[np.isfinite(value)], value[np.isfinite(value)]


def rise_mm(distance: Array, value: Array) -> float:
    """10-90 % rise in mm of an ESF, by the monotone curve nearest to it; NaN if it does not rise so far."""
    if len(value) < 2:
        return float("nan")
    curve = np.asarray(isotonic_regression(value).x)
    if not (curve[0] < 0.1 and curve[-1] > 0.9):
        return float("nan")
    at = []
    for level in (0.1, 0.9):
        i = int(np.searchsorted(curve, level))
        share = (level - curve[i - 1]) / (curve[i] - curve[i - 1])
        at.append(distance[i - 1] + share * (distance[i] - distance[i - 1]))
    return float(at[1] - at[0])
