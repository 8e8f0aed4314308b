"""Figures 3 and 4: contrast and size of what is passed on, and where f is blind, for the assessor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctinv.report.figures import findings, generic
from ctinv.report.figures.style import Plate, Table
from ctinv.report.words import Content, figure, percent

NAME = "lesion-blindness"
_SHOWN = ("eta", "eta_low", "eta_high")


def contrast(content: Content) -> Plate:
    """The contrast-size curve of I3."""
    title = "Contrast and size: which discs are detectable in the scan, and which behind f"
    found = _found(content)
    if found is None:
        return Plate(title, "", missing=(findings.why_missing(content, NAME),))
    curve, unit = found["curves"]["contrast_size"], content["unit"]
    lines = {
        "d_in_3_median_hu": "seen in the scan, d′ = 3",
        "d_eps_3_median_hu": "seen behind f, d′ = 3",
        "d_eps_1_median_hu": "hidden behind f below, d′ = 1",
        "d_eps_3_worst_hu": "seen behind f, worst place",
    }
    panels = (
        generic.curve(
            "contrast-size",
            curve,
            title="contrast needed, by size",
            across="diameter_mm",
            up=f"contrast, {unit}",
            lines=lines,
            log="xy",
        ),
        generic.curve(
            "eta-size", curve, title="share of detectability passed on", across="diameter_mm", up="η",
            lines={"eta_median": "median place", "eta_min": "worst place"}, log="x", levels={"η = ½": 0.5},
            limits=(0.0, 1.05),
        ),
    )  # fmt: skip
    return Plate(title, _contrast_caption(found), panels, (_sizes(content, found),))


def _found(content: Content) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = content["findings"].get(NAME)
    return None if found is None or "absent" in found else found


def _contrast_caption(found: Mapping[str, Any]) -> str:
    halves = found["figures"]["eta_half"]
    told = "; ".join(
        f"at the {place} place {one['is'] + ' ' if one['is'] != 'crossing' else ''}{figure(one['diameter_mm'])} mm"
        for place, one in halves.items()
    )
    return (
        "Contrast a disc needs for an ideal observer to see it (d′ = 3) in the scan and in what f makes of it at ε, "
        "and below which it is hidden there (d′ = 1), over its diameter. Where the curves of scan and f coincide, f "
        "costs nothing; a disc between the first and the third curve is seen in the scan and hidden behind f. η = "
        f"d′²(f)/d′²(scan) does not depend on contrast. Diameter at η = ½: {told}."
    )


def _sizes(content: Content, found: Mapping[str, Any]) -> Table:
    unit = content["unit"]
    head = (
        "diameter", "places", "η, median", "η, smallest", "η, range over C ± 20 %", f"seen in the scan, {unit}",
        f"seen behind f, {unit}", f"hidden behind f below, {unit}", "contrast f lets vary, most", "blind at",
    )  # fmt: skip
    rows = tuple(
        (
            f"{figure(row['diameter_mm'])} mm",
            str(row["places"]),
            figure(row["eta_median"], 4),
            figure(row["eta_min"], 4),
            " to ".join(figure(end) for end in row["eta_range"]),
            figure(row["d_in_3_median_hu"]),
            figure(row["d_eps_3_median_hu"]),
            figure(row["d_eps_1_median_hu"]),
            percent(row["kept_contrast_max"]),
            f"{row['blind']} of {row['places']}",
        )
        for row in found["figures"]["by_diameter"]
    )
    left_out = found["figures"]["diameters_left_out_mm"]
    note = "Contrasts at the median place." + (
        f" Discs of {', '.join(figure(size) for size in left_out)} mm fit nowhere in this region."
        if left_out
        else ""
    )
    return Table(head, rows, note)


def blindness(content: Content) -> Plate:
    """η over the region with its range over C ± 20 %, and the verdict."""
    title = "Blindness map: the share η of a lesion’s detectability that f passes on"
    found = _found(content)
    if found is None:
        return Plate(title, "", missing=(findings.why_missing(content, NAME),))
    sizes = [name for name in found["maps"] if name.startswith("eta_") and name not in _SHOWN]
    panels = generic.maps(content, found, (*_SHOWN, *sizes))
    figures = found["figures"]
    caption = (
        f"Verdict: {found['sentence']} η is taken at discs centred in each pixel where they fit; white: none fits. "
        f"Low and high are its ends over C ± 20 % per band. Blind means: {figures['null']['threshold']}. Chance: "
        f"{figures['null']['distribution']}; {figures['null']['control']}."
    )
    return Plate(title, caption, panels, (_worst(content, figures["worst"]),))


def _worst(content: Content, worst: Mapping[str, Any]) -> Table:
    unit, eta = content["unit"], " to ".join(figure(end) for end in worst["eta_range"])
    place = f"{figure(worst['y'], 4)}, {figure(worst['x'], 4)}; {figure(worst['diameter_mm'])} mm"
    per_unit = f"{figure(worst['d_in_per_hu'])} / {figure(worst['d_eps_per_hu'])}"
    contrasts = f"{figure(worst['seen_from_hu'])} / {figure(worst['hidden_up_to_hu'])} {unit}"
    rows = (
        ("place: row, column; diameter", place),
        ("η (range over C ± 20 %)", f"{figure(worst['eta'], 4)} ({eta}, {worst['range_is']})"),
        (f"d′ per {unit}, in the scan / behind f", per_unit),
        ("d′ behind f of a disc with d′ = 3 in the scan", figure(worst["d_eps_at_d_in_3"])),
        ("seen in the scan from / hidden behind f up to", contrasts),
        ("share of its contrast that f lets vary", percent(worst["kept_contrast"])),
        ("blind", "yes" if worst["blind"] else ("withheld: C has a hole" if worst["withheld"] else "no")),
    )
    return Table(("least visible disc, place and diameter searched", "value"), rows)
