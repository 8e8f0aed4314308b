"""A comparison as Markdown: what each network leaves free, the matrix, and how the networks' own C differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctinv.comparison.words import percent
from ctinv.marks import write_between
from ctinv.sampler.words import number

Page = Mapping[str, Any]

LEGEND = """Matrix: mean RMSE of the row's certified samples fed through the column, the share that meets the tier there, in
brackets the RMSE of noise as large; *sees*: the share of what the row ignores that the column sees by linear theory, 0 %
where it leaves as much free or more. Diagonal: the certificates."""


def markdown(page: Page) -> str:
    """The tables and sentences of a page (`ctinv.comparison.compare.Comparison.to_json`)."""
    unit, tier = page["unit"], page["tier"]
    head = (
        f"Region `{page['box']}`, tier {tier}, {page['n']} samples of each network, seed {page['seed']}; C: "
        f"{page['noise']['source']}, {page['noise'].get('anatomy', '')}."
    )
    return "\n".join(
        [
            head,
            "",
            *_networks(page, unit, tier),
            "",
            *_matrix(page, unit, tier),
            "",
            LEGEND,
            "",
            *page["sentences"][:1],
        ]
    )


def write_page(path: Path, page: Page) -> None:
    """Write it between the marks ``comparison BOX`` of a Markdown file.

    Raises:
        InputError: The file has no such marks.
        ResourceError: The disk refuses.
    """
    write_between(path, f"comparison {page['box']}", markdown(page))


def _networks(page: Page, unit: str, tier: str) -> list[str]:
    """One row per network."""
    lesions = {
        name: (one["lesions"] or {"by_diameter": []})["by_diameter"] for name, one in page["networks"].items()
    }
    diameters = [row["diameter_mm"] for row in next(iter(lesions.values()))]
    head = ["network", f"σ_out, {unit}", f"d_eff of {_pixels(page)}", "free T1 / T2 / T3, %"]
    head += [f"free noise power at {tier}: low / mid / high, %", f"spread (theory), {unit}", "certified"]
    head += [
        f"η, worst place, {' / '.join(f'{size:g}' for size in diameters)} mm",
        "blind discs",
        "own σ / common σ",
    ]
    lines = []
    for name, one in page["networks"].items():
        tiers = {row["name"]: row for row in one["dimension"]}
        own = page["noise"]["own"][name]
        lines.append(
            [
                f"`{name}`",
                number(one["sigma_out_hu"]),
                f"{one['d_eff']:.1f}",
                _joined(100.0 * tiers[which]["free_share"] for which in ("T1", "T2", "T3")),
                _joined(100.0 * share for share in tiers[tier]["bands"].values()),
                f"{number(one['spread_hu'])} ({number(one['spread_theory_hu'])})",
                f"{one['passed']} of {page['n']}",
                " / ".join(f"{row['eta_min']:.3f}" for row in lesions[name]) or "-",
                str(sum(row["blind"] for row in lesions[name])) if lesions[name] else "-",
                f"{own['sigma_ratio']:.4f}",
            ]
        )
    return _table(head, lines)


def _matrix(page: Page, unit: str, tier: str) -> list[str]:
    """Rows: whose samples; columns: who sees them."""
    names = list(page["networks"])
    entries = {(one["samples_of"], one["seen_by"]): one for one in page["matrix"]}
    lines = [[f"`{j}`", *(_cell(entries[j, i], tier) for i in names)] for j in names]
    return _table([f"samples of ↓ fed through →, RMSE, {unit}", *(f"`{i}`" for i in names)], lines)


def _cell(entry: Mapping[str, Any], tier: str) -> str:
    if entry["rmse_hu"] is None:
        return "none certified"
    text = f"{number(entry['rmse_hu']['mean'])}, {percent(entry['share']['value'])} meet {tier}"
    if entry["null_rmse_hu"] is None:
        return f"**{text}**"
    return f"{text} (noise {number(entry['null_rmse_hu'])}); sees {percent(entry['seen_by_theory'])}"


def _pixels(page: Page) -> int:
    one = next(iter(page["networks"].values()))
    return round(one["d_eff"] / (1.0 - one["free_share"]))


def _joined(values: Any) -> str:
    return " / ".join(number(value, 2) for value in values)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *rows]
