"""The largest lesion that fits into the fibre: inserted, denoised, and what differs (part of figure 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ctinv.report.arrays import unpack
from ctinv.report.figures import findings, generic
from ctinv.report.figures.style import TILE, Panel, Table, ceiling, tile
from ctinv.report.words import Content, figure, percent

_IMAGES = {
    "inserted": r"with lesion  $\tilde{x}$",
    "denoised": "denoised  $f(x)$",
    "denoised_inserted": r"$f(\tilde{x})$",
}
_CHANGES = {"change": r"$\tilde{x} - x$: the lesion", "denoised_change": r"$f(\tilde{x}) - f(x)$"}


def lesion(
    content: Content, found: Mapping[str, Any] | None, name: str
) -> tuple[tuple[Panel, ...], tuple[Table, ...], tuple[str, ...]]:
    """Pictures and figures of the search, or why there are none."""
    if found is None or "sentence" not in found:
        return (), (), (findings.why_missing(content, name),)
    maps = found["maps"]
    shown = [key for key in (*_IMAGES, *_CHANGES) if key in maps and "change" in maps]
    return tuple(_panel(content, key, maps) for key in shown), (_facts(content, found),), ()


def _panel(content: Content, key: str, maps: Mapping[str, Any]) -> Panel:
    """Images in the window of figure 1; both changes on the scale of the lesion."""
    title = {**_IMAGES, **_CHANGES}[key]

    def draw() -> Figure:
        values, window = unpack(maps[key]["values"]), content["window"]
        limits, colours = (window["low"], window["high"]), "gray"
        if key in _CHANGES:
            limit = ceiling(float(np.abs(unpack(maps["change"]["values"])).max()))
            limits, colours = (-limit, limit), "RdBu_r"
        return tile(
            values,
            title,
            unit=content["unit"],
            limits=limits,
            spacing_mm=generic.spacing(content),
            colours=colours,
        )

    return Panel(
        f"search-{generic.slug(key)}",
        maps[key]["title"],
        draw,
        TILE,
        group="the largest lesion that fits into the fibre",
    )


def _facts(content: Content, found: Mapping[str, Any]) -> Table:
    figures, unit = found["figures"], content["unit"]
    disc, fits = figures["lesion"], figures["inserted"]
    searched = " to ".join(
        figure(end)
        for end in (figures["searched"]["diameters_mm"][0], figures["searched"]["diameters_mm"][-1])
    )
    rows = [
        ("verdict", figures["verdict"]),
        (
            "searched",
            f"{figures['searched']['discs']} discs of {searched} mm, then place and diameter continuously",
        ),
        (
            "least visible: row, column; diameter",
            f"{figure(disc['y'], 4)}, {figure(disc['x'], 4)}; {figure(disc['diameter_mm'])} mm",
        ),
        (
            "η (range over C ± 20 %)",
            f"{figure(disc['eta'], 4)} ({' to '.join(figure(end) for end in disc['eta_range'])})",
        ),
    ]
    if fits is not None:
        rows += [
            (
                "largest contrast that fits",
                f"{'at least ' if fits['bounded'] else ''}{figure(fits['contrast_hu'])} {unit}",
            ),
            ("share of it that the image holds", percent(fits["kept"])),
            ("fed back: RMSE, tier met", f"{figure(fits['rmse_hu'])} {unit}, {fits['tier']}"),
            (
                "d′ of an ideal observer, in the scan / behind f",
                f"{figure(fits['d_in'])} / {figure(fits['d_eps'])}",
            ),
        ]
    return Table(("search for the largest hidden lesion", "value"), tuple(rows), found["sentence"])
