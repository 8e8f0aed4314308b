"""Figure 7: what the study cost, and what every layer leaves free."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ctinv.report.figures.style import BLUE, GREEN, SMALL, Panel, Plate, Table, plot
from ctinv.report.words import Content, figure, percent

_MIB = 2**20


def cost(content: Content) -> Plate:
    """Seconds per stage, passes per sample, memory, and d_eff at every tap that was measured."""
    seconds = _seconds(content)
    panels: tuple[Panel, ...] = ()
    if seconds:
        panels = (Panel("seconds", "time of each stage in seconds", lambda: _stages(content)),)
    if _passes(content):
        panels = (*panels, Panel("passes", "evaluations of f for each sample", lambda: _histogram(content)))
    missing: tuple[str, ...] = () if seconds else ("The study keeps no times: no run of it came to its end.",)
    layers = content["layers"]
    if layers is None:
        missing = (
            *missing,
            f"d_eff is given at the tap of this study, {content['provenance']['tap']}, only: no layer study was given "
            "(--layers with the JSON of ctinv layers).",
        )
    else:
        panels = (*panels, Panel("taps", "free share at every tap", lambda: _taps(content)))
    return Plate("Cost", _caption(content), panels, _tables(content), missing)


def _seconds(content: Content) -> dict[str, float]:
    return {name: value for name, value in content["cost"]["seconds"].items() if value is not None}


def _passes(content: Content) -> list[int]:
    """Passes per sample; older studies and the target domain know none."""
    return [int(one["passes"]) for one in content["certificates"] if one["passes"]]


def _stages(content: Content) -> Figure:
    seconds = _seconds(content)
    names, values = list(seconds), list(seconds.values())
    picture, axes = plot("time per stage", across="s", up="", size=(3.5, 0.9 + 0.24 * len(names)))
    bars = axes.barh(range(len(names)), values, color=BLUE, height=0.62)
    axes.bar_label(
        bars,
        labels=[f"{value:.2g}" if value < 100 else f"{value:.0f}" for value in values],
        fontsize=SMALL,
        padding=2,
    )
    axes.set_yticks(range(len(names)), labels=names)
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.grid(axis="y", visible=False)
    return picture


def _histogram(content: Content) -> Figure:
    passes = Counter(_passes(content))
    picture, axes = plot("passes per sample", across="evaluations and derivatives of f", up="samples")
    axes.bar(list(passes), list(passes.values()), color=GREEN, width=max(0.8, 0.02 * max(passes)))
    axes.set_xlim(min(0, min(passes)), max(passes) + 2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return picture


def _taps(content: Content) -> Figure:
    layers = content["layers"]
    names = [row["tap"] for row in layers["taps"]]
    picture, axes = plot(
        "directions fixed at every tap", across="tap, in the order of the data flow", up="$d_{eff}/n$, %"
    )
    for tier, colour in zip(
        layers["taps"][0]["tiers"], ("#08306b", "#2879b9", "#41ab5d", "#9e9ac8"), strict=False
    ):
        values = [100.0 * (1.0 - row["tiers"][tier]["free_share"]) for row in layers["taps"]]
        axes.plot(
            range(len(names)), values, marker="o", markersize=3, color=colour, linewidth=1.4, label=tier
        )
    axes.set_xticks(range(len(names)), labels=names, rotation=40 if len(names) > 4 else 0)
    axes.legend(fontsize=SMALL, frameon=False)
    return picture


def _tables(content: Content) -> tuple[Table, ...]:
    costs = content["cost"]
    memory = costs["memory_bytes"] or {}
    rows: list[tuple[str, str]] = [("device", str(costs["device"]))]
    seconds, passes = _seconds(content), _passes(content)
    if seconds:
        rows.append(("time, all stages", f"{figure(sum(seconds.values()))} s"))
        if content["summary"]["n"] and "samples" in seconds:
            rows.append(
                (
                    "time per sample, once set up",
                    f"{figure(1000.0 * seconds['samples'] / content['summary']['n'])} ms",
                )
            )
    if passes:
        rows.append(("passes per sample, mean / most", f"{figure(float(np.mean(passes)))} / {max(passes)}"))
    if memory:
        rows.append(("memory of the set-up, estimated", f"{figure(memory['set_up_estimate'] / _MIB)} MiB"))
        rows.append(("the factor kept for all samples", f"{figure(memory['factor'] / _MIB)} MiB"))
    if costs["stored_bytes"] is not None:
        rows.append(("study on disk", f"{figure(costs['stored_bytes'] / _MIB)} MiB"))
    return (Table(("cost", "value"), tuple(rows)), *_layer_table(content))


def _layer_table(content: Content) -> tuple[Table, ...]:
    layers: dict[str, Any] | None = content["layers"]
    if layers is None:
        return ()
    tiers = list(layers["taps"][0]["tiers"])
    head = (
        "tap",
        "channels",
        *(f"free, {tier}" for tier in tiers),
        f"spread at {layers['tier']}, {content['unit']}",
    )
    rows = tuple(
        (
            row["tap"],
            str(row["channels"]),
            *(percent(row["tiers"][tier]["free_share"]) for tier in tiers),
            figure(row["theory_hu"]),
        )
        for row in layers["taps"]
    )
    return (Table(head, rows, f"Share of the {layers['voxels']} dimensions that each tap leaves free."),)


def _caption(content: Content) -> str:
    return (
        "The set-up (f(x), C, Jacobian, factor) is done once for a region and serves every seed; a factor that was "
        "found in the cache costs no Jacobian. A pass is one evaluation or differentiation of f for one sample, the "
        "feed-back of its candidate included."
    )
