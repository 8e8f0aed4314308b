"""A population as Markdown: means over patients, every region, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctinv.marks import write_between
from ctinv.population.summary import DRAWS, FEWEST
from ctinv.sampler.words import number

Page = Mapping[str, Any]
MARKS = "population"


def markdown(page: Page) -> str:
    """The page of `ctinv.population.run.run` as tables and sentences."""
    lines = [headline(page), "", *_means(page), "", *sentences(page), "", *_regions(page)]
    for title, items in left_out(page).items():
        lines += ["", f"{title}:", "", *(f"- {item}" for item in items)]
    return "\n".join(lines)


def write_page(path: Path, page: Page) -> None:
    """Write it between the marks ``population`` of a Markdown file.

    Raises:
        InputError: The file has no such marks.
        ResourceError: The disk refuses.
    """
    write_between(path, MARKS, markdown(page))


def headline(page: Page) -> str:
    """How many patients, scans and regions, of what."""
    request, count = page["request"], len(page["patients"])
    regions = len({(one["scan"], one["case"]["box"]) for one in page["regions"]})
    many = "patient" if count == 1 else "patients"
    return (
        f"{count} {many}, {len(page['scans'])} scans, {regions} regions of {request['size']} x {request['size']} pixels, "
        f"tier {request['tier']}, {request['n']} samples of each region; left out: {len(page['unreadable'])} entries."
    )


def sentences(page: Page) -> list[str]:
    """What the intervals are, and what was found of blind lesions."""
    count = len(page["patients"])
    if count < FEWEST:
        said = [f"No interval is given: {count} patients are fewer than {FEWEST}."]
    else:
        said = [
            f"Means over patients of the means of their regions; in brackets the 95 % interval over the {count} patients "
            f"(bootstrap of whole patients, {DRAWS} draws, percentiles). Of few patients it is too narrow: about "
            "80 % hold the mean with 4, 91 % with 10. One without width says that these patients agree."
        ]
    for network, kinds in page["summary"].items():
        blind = list(kinds.values())[-1]["blind"]
        if not blind["patients"]:
            continue
        ends = (
            ""
            if blind["low"] is None
            else f" (95 % interval {100 * blind['low']:.0f} to {100 * blind['high']:.0f} %)"
        )
        said.append(
            f"{network} is blind at ε to {blind['discs']} of the discs examined, in {blind['patients_with']} of "
            f"{blind['patients']} patients{ends}."
        )
    return said


def left_out(page: Page) -> dict[str, list[str]]:
    """What is not in the table, and why; empty lists are left out."""
    lists = {
        "Not readable or not used": [f"{one['name']}: {one['reason']}" for one in page["unreadable"]],
        "Regions that a scan lacks": list(page["absent"]),
        "Regions that could not be measured": list(page["failed"]),
    }
    return {title: items for title, items in lists.items() if items}


def unit_of(page: Page) -> str:
    """Unit of the scans; regions are found by HU, so there is one."""
    return page["regions"][0]["unit"] if page["regions"] else "HU"


def _means(page: Page) -> list[str]:
    unit = unit_of(page)
    head = [
        "network",
        "regions",
        "patients (regions)",
        "d_eff",
        "free share, %",
        f"spread, {unit}",
        "certified, %",
    ]
    head += [f"worst RMSE, {unit}", "η, worst disc", "η, median", "blind discs"]
    lines = []
    for network, kinds in page["summary"].items():
        for kind, one in kinds.items():
            cells = [f"`{network}`", kind, f"{one['patients']} ({one['regions']})"]
            cells += [
                interval(one["d_eff"], digits=5),
                interval(one["free_share"], scale=100.0),
                interval(one["spread_hu"]),
                interval(one["certified_share"], scale=100.0),
                interval(one["worst_rmse_hu"]),
                interval(one["eta_min"], digits=4),
                interval(one["eta_median"], digits=4),
                str(one["blind"]["discs"]) if one["blind"]["patients"] else "-",
            ]
            lines.append(cells)
    return _table(head, lines)


def interval(figure: Mapping[str, Any], *, scale: float = 1.0, digits: int = 3) -> str:
    """A mean with its interval in brackets."""
    if figure["mean"] is None:
        return "-"
    mean = number(scale * figure["mean"], digits)
    if figure["low"] is None:
        return mean
    return f"{mean} [{number(scale * figure['low'], digits)}, {number(scale * figure['high'], digits)}]"


def _regions(page: Page) -> list[str]:
    unit = unit_of(page)
    head = [
        "scan",
        "region",
        "box",
        "network",
        "d_eff of n",
        "free, %",
        f"spread (theory), {unit}",
        "certified, %",
    ]
    head += [f"worst RMSE, {unit}", "η, worst disc (mm)", "η, median", "blind", f"noise, {unit}"]
    lines = [
        [
            one["scan"],
            one["case"]["kind"],
            f"`{one['case']['box']}`",
            f"`{one['network']}`",
            f"{number(one['d_eff'], 5)} of {one['pixels']}",
            number(100.0 * one["free_share"]),
            f"{number(one['spread_hu'])} ({number(one['spread_theory_hu'])})",
            number(100.0 * one["certified_share"]),
            number(one["worst_rmse_hu"]),
            f"{number(one['eta_min'])} ({number(one['worst_disc_mm'], 2)})",
            number(one["eta_median"]),
            "-" if one["blind"] is None else str(one["blind"]),
            number(one["sigma_noise_hu"]),
        ]
        for one in page["regions"]
    ]
    return _table(head, lines)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *rows]
