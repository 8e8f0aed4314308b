"""Figure 8: six samples that stand for all, eigen-invariances, and the largest lesion that fits into the fibre."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ctinv.report.arrays import unpack
from ctinv.report.figures import findings, generic, observed, search
from ctinv.report.figures.style import TILE, Panel, Plate, Table, ceiling, tile
from ctinv.report.words import Content, figure, percent

REPRESENTATIVES = "representatives"
SEARCH = "find-blind"
TABLES: dict[str, Callable[[Content, Mapping[str, Any]], Table]] = {
    "eigen-invariances": observed.eigen,
    "observer": observed.observer,
}


def shown(content: Content) -> Plate:
    """What to look at."""
    found = content["findings"].get(REPRESENTATIVES, {})
    chosen = "sentence" in found
    panels = _samples(content, found if chosen else None)
    missing = () if chosen else (findings.why_missing(content, REPRESENTATIVES),)
    lesion, searched, not_searched = search.lesion(content, content["findings"].get(SEARCH), SEARCH)
    shares = (_shares(content, found),) if chosen else ()
    others, tables, absent = _others(content)
    return Plate(
        "What to look at",
        _caption(content, chosen),
        (*panels, *lesion, *others),
        (*shares, *searched, *tables),
        (*missing, *not_searched, *absent),
    )


def _others(content: Content) -> tuple[tuple[Panel, ...], tuple[Table, ...], tuple[str, ...]]:
    """Eigen-invariances and the observer: maps, tables, and why one of them is missing."""
    panels: tuple[Panel, ...] = ()
    tables: tuple[Table, ...] = ()
    missing: tuple[str, ...] = ()
    for name, table in TABLES.items():
        found = content["findings"].get(name, {})
        if "sentence" in found:
            panels, tables = (
                (*panels, *generic.maps(content, found, group=found["title"].lower())),
                (*tables, table(content, found)),
            )
        else:
            missing = (*missing, findings.why_missing(content, name))
    return panels, tables, missing


def _samples(content: Content, found: Mapping[str, Any] | None) -> tuple[Panel, ...]:
    """Each sample in the window of figure 1, then how it differs from the scan, all on one scale."""
    shares = {} if found is None else {one["row"]: one["share"] for one in found["figures"]["shown"]}
    scan = unpack(content["images"]["scan"])
    images = {row["row"]: unpack(row["image"]) for row in content["shown_samples"]}
    limit = ceiling(3.0 * float(np.std([image - scan for image in images.values()]))) if images else 1.0
    pictures = [_sample(content, row, image, shares.get(row)) for row, image in images.items()]
    return (*pictures, *(_change(content, row, image - scan, limit) for row, image in images.items()))


def _sample(content: Content, row: int, image: Any, share: float | None) -> Panel:
    window = content["window"]
    title = f"sample {row}" + ("" if share is None else f": {100 * share:.0f} %")

    def draw() -> Figure:
        return tile(
            image, title, unit=content["unit"], limits=(window["low"], window["high"]), spacing_mm=generic.spacing(content)
        )  # fmt: skip

    return Panel(f"sample-{row}", f"sample {row}", draw, TILE, group="samples")


def _change(content: Content, row: int, change: Any, limit: float) -> Panel:
    rms = float(np.sqrt(np.mean(change.astype(np.float64) ** 2)))

    def draw() -> Figure:
        return tile(
            change, rf"$\tilde{{x}} - x$, sample {row}", unit=content["unit"], limits=(-limit, limit),
            spacing_mm=generic.spacing(content), colours="RdBu_r",
        )  # fmt: skip

    note = f"RMS {figure(rms)} {content['unit']}"
    return Panel(
        f"change-{row}",
        f"difference of sample {row} from the scan",
        draw,
        TILE,
        note,
        "differences of these samples from the scan",
    )


def _shares(content: Content, found: Mapping[str, Any]) -> Table:
    unit, figures = content["unit"], found["figures"]
    rows = tuple(
        (f"sample {one['row']}", percent(one["share"]), figure(one["change_hu"])) for one in figures["shown"]
    )
    head = ("stands for the others", "share", f"slow change from the scan, {unit} RMS")
    note = f"{found['sentence']} Null: {figures['null']}; p = {figure(figures['p'], 2)}. Control: {figures['control']}."
    return Table(head, rows, note)


def _caption(content: Content, chosen: bool) -> str:
    if content["summary"]["domain"] == "target":
        return "The first images, in order and not selected, in the window of figure 1, and how they differ from the scan."
    which = (
        "Samples chosen so that every other one is near to one of them in the low band, where anatomy lies, with the "
        "share of all that each stands for"
        if chosen
        else "The first samples that hold, in order and not selected"
    )
    return (
        f"{which}; in the window of figure 1, and below how each differs from the scan. Then the worst plausible "
        "changes that the network does not pass on: directions of the fibre (eigen-invariances) and the largest "
        "lesion that fits into it."
    )
