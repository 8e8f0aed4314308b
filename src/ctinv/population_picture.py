"""The picture of a population, drawn from its page with matplotlib's figure objects and no global state.

One panel per figure: each patient a point, the mean of its regions of one kind; the mean over patients with its interval.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ctinv.population.table import headline, sentences, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _QUIET, _ALARM = "#1a1a1a", "#5c5c5c", "#b00020"
_COLOURS = ("#1f5fa8", "#c2410c", "#2f7d32", "#6a4c93", "#8a6d00", "#0f766e", "#9d174d", "#4b5563")
_MARKERS = "osD^vPX*"
_SIZE_IN = (16.0, 6.2)
_LEFT, _STEP, _WIDTH, _BOTTOM, _HEIGHT = 0.045, 0.242, 0.195, 0.245, 0.55
_WRAP, _LINES = 205, 5

Page = Mapping[str, Any]


def draw(page: Page, *, stamp: str) -> Figure:
    """The figure of a page of `ctinv.population.run.run`; `stamp` says what it may be used for."""
    figure = Figure(figsize=_SIZE_IN, facecolor="white")
    FigureCanvasAgg(figure)
    names = ", ".join(page["request"]["networks"])
    figure.text(
        0.012, 0.94, f"What {names} ignore, patient by patient", fontsize=17, color=_INK, weight="bold"
    )
    figure.text(0.988, 0.94, stamp, fontsize=11, color=_ALARM, weight="bold", ha="right")
    figure.text(0.012, 0.885, headline(page), fontsize=11, color=_QUIET)
    unit = unit_of(page)
    panels = (
        ("free_share", "free share of the directions, %", 100.0),
        ("spread_hu", f"spread of the certified samples, {unit}", 1.0),
        ("worst_rmse_hu", f"worst RMSE of f(x̃) − f(x), {unit}", 1.0),
        ("eta_min", "η of the worst disc", 1.0),
    )
    for index, (name, title, scale) in enumerate(panels):
        _panel(figure, index, page, name, title, scale)
    _legend(figure, page)
    lines = [line for sentence in sentences(page) for line in textwrap.wrap(sentence, _WRAP)]
    for row, line in enumerate(lines[:_LINES]):
        figure.text(0.012, 0.128 - 0.029 * row, line, fontsize=10, color=_INK, va="center")
    return figure


def _panel(figure: Figure, index: int, page: Page, name: str, title: str, scale: float) -> None:
    axes = figure.add_axes((_LEFT + index * _STEP, _BOTTOM, _WIDTH, _HEIGHT))
    axes.set_title(title, fontsize=12, color=_INK, loc="left", pad=8)
    axes.grid(axis="y", color="#e3e3e3", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    kinds = [
        kind for kind in page["request"]["kinds"] if any(kind in one for one in page["summary"].values())
    ]
    networks = list(page["summary"])
    for place, kind in enumerate(kinds):
        for order, network in enumerate(networks):
            if kind not in page["summary"][network]:
                continue
            at = place + (order - (len(networks) - 1) / 2) * min(0.26, 0.8 / len(networks))
            _points(axes, at, page, network, kind, name, scale, _COLOURS[order % len(_COLOURS)])
    axes.set_xticks(range(len(kinds)), labels=kinds)
    axes.set_xlim(-0.5, len(kinds) - 0.5)
    if name != "eta_min":
        axes.set_ylim(bottom=0.0)


def _points(
    axes: Axes, at: float, page: Page, network: str, kind: str, name: str, scale: float, colour: str
) -> None:
    """Patients as points, their mean as a bar, its interval as a line."""
    for patient, marker in _marked(page["patients"]):
        values = [
            scale * one[name]
            for one in page["regions"]
            if (one["network"], one["case"]["kind"], one["patient"]) == (network, kind, patient)
            and one[name] is not None
        ]
        if values:
            axes.plot(
                at - 0.03, float(np.mean(values)), marker, color=colour, markersize=6, alpha=0.75, mew=0
            )
    figure = page["summary"][network][kind][name]
    if figure["mean"] is None:
        return
    axes.plot(at + 0.07, scale * figure["mean"], "_", color=_INK, markersize=13, mew=2)
    if figure["low"] is not None:
        axes.vlines(at + 0.07, scale * figure["low"], scale * figure["high"], color=_INK, linewidth=1.4)


def _marked(patients: Sequence[str]) -> list[tuple[str, str]]:
    """Patients with their markers, which repeat after eight."""
    return [(patient, _MARKERS[index % len(_MARKERS)]) for index, patient in enumerate(patients)]


def _legend(figure: Figure, page: Page) -> None:
    """Colours of the networks, markers of the patients, and what the bar is."""
    left = 0.045
    for order, network in enumerate(page["summary"]):
        figure.text(left, 0.165, network, fontsize=10.5, color=_COLOURS[order % len(_COLOURS)], weight="bold")
        left += 0.0078 * len(network) + 0.02
    if len(page["patients"]) <= len(_MARKERS):
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], color=_QUIET, marker=marker, linestyle="none", label=patient)
            for patient, marker in _marked(page["patients"])
        ]
        handles.append(
            Line2D(
                [], [], color=_INK, marker="_", markersize=12, linestyle="none", label="mean, 95 % interval"
            )
        )
        figure.legend(
            handles=handles,
            loc="lower right",
            bbox_to_anchor=(0.99, 0.135),
            ncols=len(handles),
            fontsize=9.5,
            frameon=False,
        )
