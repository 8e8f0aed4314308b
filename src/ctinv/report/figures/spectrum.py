"""Figure 6: the singular values of A = J C^½ and d_eff(ε), for the ML engineer."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ctinv.report.arrays import unpack
from ctinv.report.figures.generic import numbers
from ctinv.report.figures.style import BLUE, ORANGE, QUIET, SMALL, Panel, Plate, Table, plot
from ctinv.report.words import Content, figure, percent

_FLOOR = 1e-6


def spectrum(content: Content) -> Plate:
    """s_k with the tiers, d_eff over ε with the tiers, and both as a table."""
    found, title = content["fibre"], "What the network fixes: spectrum of J C^½ and d_eff(ε)"
    if "absent" in found:
        return Plate(title, "The directions that f fixes at ε.", missing=(found["absent"],))
    panels = (
        Panel(
            "singular-values",
            "singular values of J C^½ with the tolerance of each tier",
            lambda: _values(content),
        ),
        Panel(
            "dimensions", "effective dimension over the tolerance, tiers marked", lambda: _dimensions(content)
        ),
    )
    return Plate(title, _caption(content), panels, (_table(content),))


def _unit(content: Content) -> str:
    relative = content["provenance"]["tolerance_unit"] == "relative"
    return "share of the noise response" if relative else str(content["unit"])


def _tiers(content: Content) -> list[tuple[int, dict[str, Any], str]]:
    """Whether a name is set aside, the tier, and its colour: neighbouring tiers may lie close together."""
    asked = content["provenance"]["tier"]
    rows = enumerate(content["fibre"]["tiers"])
    return [(index % 2, row, ORANGE if row["name"] == asked else QUIET) for index, row in rows]


def _values(content: Content) -> Figure:
    found = content["fibre"]
    title = "singular values of $J\\,C^{1/2}$"
    picture, axes = plot(title, across="direction k", up=f"$s_k$, {_unit(content)}")
    values = unpack(found["singular_values"]).astype(np.float64)
    directions = np.arange(1, len(values) + 1)
    axes.plot(directions, np.maximum(values, _FLOOR * values[0]), color=BLUE, linewidth=1.6)
    axes.set_yscale("log")
    for aside, row, colour in _tiers(content):
        axes.axhline(row["eps"], color=colour, linewidth=1.1, linestyle="--")
        axes.annotate(
            f"ε {row['name']}",
            (0.5 + 0.16 * aside, row["eps"]),
            xycoords=("axes fraction", "data"),
            fontsize=SMALL,
            color=colour,
            ha="right",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )
    return picture


def _dimensions(content: Content) -> Figure:
    found = content["fibre"]
    up = "$d_{eff}(\\varepsilon)$, directions"
    picture, axes = plot("effective dimension", across=f"ε, {_unit(content)}", up=up)
    axes.plot(numbers(found["eps"]), numbers(found["d_eff"]), color=BLUE, linewidth=1.6)
    axes.set_xscale("log")
    axes.set_ylim(0.0, 1.12 * found["pixels"])
    axes.axhline(found["pixels"], color=QUIET, linewidth=0.9, linestyle=":")
    inside: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "fontsize": SMALL, "color": QUIET}
    axes.annotate(f"n = {found['pixels']}", (0.02, found["pixels"]), va="bottom", **inside)
    for aside, row, colour in _tiers(content):
        place = (row["eps"], row["d_eff"])
        axes.plot(*place, "o", color=colour, markersize=5)
        below: dict[str, Any] = {"xytext": (0, -11 - 9 * aside), "textcoords": "offset points"}
        axes.annotate(row["name"], place, fontsize=SMALL, ha="center", **below)
    return picture


def _table(content: Content) -> Table:
    found, unit = content["fibre"], content["unit"]
    bands = list(found["tiers"][0]["bands"])
    head = (
        "tier",
        f"ε, {_unit(content)}",
        "d_eff",
        "free dimensions",
        f"spread, {unit}",
        *(f"free noise, {name}" for name in bands),
    )
    rows = tuple(
        (
            row["name"] + (" (asked)" if row["name"] == content["provenance"]["tier"] else ""),
            figure(row["eps"]),
            figure(row["d_eff"], 4),
            percent(row["free_share"]),
            figure(row["spread_hu"]),
            *(percent(row["bands"][name]) for name in bands),
        )
        for row in found["tiers"]
    )
    note = (
        "Spread: of the law at ε for a linear network, RMS over the region; of the noise itself "
        f"{figure(found['noise_spread_hu'])} {unit}. Free noise: share of the power of C in the band that stays free; "
        "low below 0.1, mid to 0.25, high above, in cycles/pixel."
    )
    return Table(head, rows, note)


def _caption(content: Content) -> str:
    found, scalars = content["fibre"], content["scalars"]
    radius, of, error = (scalars.get(name) for name in ("jacobian_radius", "jacobian_of", "jacobian_error"))
    text = (
        "J is the Jacobian at the scan, C the noise covariance given the surroundings. A direction with s above ε is "
        f"seen and fixed, one below is free: d_eff(ε) = Σ s²/(s² + ε²), of n = {found['pixels']} pixels."
    )
    if radius is not None and of is not None:
        text += f" J was taken up to {radius:.0f} of {of:.0f} pixels of the receptive field's radius"
        epsilon = content["provenance"]["tolerance"] * (scalars.get("noise_rms") or 1.0)
        text += (
            f", which misses {percent(error / epsilon, 2)} of ε on the noise of the scan." if error else "."
        )
    return text
