"""The scoreboard as Markdown: one row per generator, a second table per patient, and who is best at what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ctinv.marks import write_between
from ctinv.scoreboard.summary import ASKED, COLUMNS, Record, at_tier, grouped, mean, places, winners

MARK = "scoreboard"
NO_FIGURE, PARTLY = "-", "*"
SHOWN_TIERS = ("T1", "T2", "T3")

Rows = Mapping[str, Sequence[Record]]

EXACTNESS = {
    "NFE raw (without seam)": "{nfe_raw:.2f} ({nfe_seamless:.2f})",
    f"χ²/n in band, {ASKED}": "{in_band:.0%}",
    f"steps (passes) to {ASKED}": "{steps:.1f} ({passes:.1f})",
    "spread raw → certified, HU": "{spread_raw:.1f} → {spread:.1f}",
    "χ²/n raw → certified (scan)": "{chi2_raw:.2f} → {chi2:.2f} ({chi2_scan:.2f})",
    "low-frequency change raw → certified, HU (kept)": "{low_raw:.2f} → {low:.2f} ({low_kept:.0%})",
    "D(E(x)) - x, HU": "{reconstruction:.1f}",
    "s per sample: propose + correct": "{propose:.2g} + {correct:.2g}",
}
LIKENESS = {
    "energy score raw → certified (floor), HU": "{energy_raw:.3f} → {energy:.3f} ({energy_floor:.3f})",
    "CRPS raw → certified (floor), HU": "{crps_raw:.3f} → {crps:.3f} ({crps_floor:.3f})",
    "rank distance raw → certified (floor)": "{rank_raw:.3f} → {rank:.3f} ({rank_floor:.3f})",
    "90 % interval holds x, raw → certified (re-scans)": "{coverage_raw:.0%} → {coverage:.0%} ({coverage_floor:.0%})",
    "raw NPS over C: low / mid / high": "{noise_raw_low:.2f} / {noise_raw_mid:.2f} / {noise_raw_high:.2f}",
    "certified NPS over C": "{noise_corrected_low:.2f} / {noise_corrected_mid:.2f} / {noise_corrected_high:.2f}",
}
PER_PATIENT = {
    "NFE raw (without seam)": EXACTNESS["NFE raw (without seam)"],
    **{name: LIKENESS[name] for name in list(LIKENESS)[:4]},
}
_CERTIFIED = f"certified {' / '.join(SHOWN_TIERS)}"


def page(records: Sequence[Record]) -> str:
    """The Markdown of all records (`Results.newest`), one part per network and tap."""
    parts = [_part(key[0], key[1], rows) for key, rows in grouped(records, "denoiser", "tap").items()]
    return "\n\n".join(parts) if parts else "Nothing has been measured yet."


def write_page(path: Path, records: Sequence[Record]) -> None:
    """Put the page between its two marks in a Markdown file; a file that is not there is begun.

    Raises:
        InputError: The file has no such marks.
        ResourceError: The disk refuses.
    """
    write_between(path, MARK, page(records))


def _part(denoiser: str, tap: str, records: Sequence[Record]) -> str:
    by_name = {key[0]: rows for key, rows in grouped(records, "generator").items()}
    lines = [
        f"**{denoiser}, tap {tap}.** {_measured(records)}",
        "",
        *_rows("generator", by_name, {_CERTIFIED: "", **EXACTNESS}, len(places(records))),
        "",
        *_rows("generator", by_name, LIKENESS, len(places(records))),
        "",
        "NFE raw 1: fed back no nearer than a re-scan. Rank distance: 0 where the scan could be a sample, up to 9. "
        f"Certified figures are those of the samples that {ASKED} certifies. {PARTLY}: not of all regions, as fewer than 20 "
        "samples were certified in some or they are not measured yet. Floor: the re-scans themselves, each against the "
        "others, and the scan's rank among them. Means within 1 % of each other count as equal. Seconds are those of the "
        "machine that measured.",
        "",
        best_sentence({name: at_tier(rows, ASKED) for name, rows in by_name.items()}),
    ]
    for (patient,), rows in grouped(records, "patient").items():
        named = {key[0]: some for key, some in grouped(rows, "generator").items()}
        lines += ["", *_rows(patient, named, {_CERTIFIED: "", **PER_PATIENT}, len(places(rows)))]
    return "\n".join(lines)


def best_sentence(rows: Rows) -> str:
    """Who is best at what, from the records at the asked tier; only generators measured everywhere are compared."""
    inputs = {name: some for name, some in rows.items() if some and some[0]["domain"] == "input"}
    everywhere = {place for some in inputs.values() for place in places(some)}
    compared = {name: some for name, some in inputs.items() if places(some) == everywhere}
    left = [name for name in inputs if name not in compared]
    tail = f" Not measured everywhere, so not compared: {', '.join(left)}." if left else ""
    if len(compared) < 2:
        return f"Fewer than two generators are measured everywhere, so nothing is compared.{tail}"
    parts = []
    for column, names in winners(compared).items():
        if len(names) < len(compared):
            value, _ = mean(compared[names[0]], column)
            parts.append(f"{COLUMNS[column].words}, {' and '.join(names)} ({value:.3g})")
    return f"Best by column: {'; '.join(parts)}.{tail}" if parts else f"All are equal.{tail}"


def _measured(records: Sequence[Record]) -> str:
    """Patients, regions and samples in one sentence."""
    patients = [key[0] for key in grouped(records, "patient")]
    kinds = [key[0] for key in grouped(records, "kind")]
    counts = sorted({record["n"] for record in records})
    shown = " to ".join(str(n) for n in (counts[:1] + counts[-1:] if len(counts) > 1 else counts))
    return f"Means over {', '.join(patients)} ({', '.join(kinds)}), {shown} samples per region."


def _rows(heading: str, named: Rows, cells: Mapping[str, str], regions: int) -> list[str]:
    """A table with one row per generator; figures that are not of all regions are marked."""
    lines = [f"| {heading} | {' | '.join(cells)} |", f"|---|{'---|' * len(cells)}"]
    for name, records in named.items():
        asked = at_tier(records, ASKED)
        target = bool(asked) and asked[0]["domain"] == "target"
        filled = [
            _filled(template, asked, regions) if template else _certified(records, regions)
            for template in cells.values()
        ]
        lines.append(f"| {name}{', target domain' if target else ''} | {' | '.join(filled)} |")
    return lines


def _certified(records: Sequence[Record], regions: int) -> str:
    """Shares certified at each tier."""
    cells = [_filled("{certified:.1%}", at_tier(records, tier), regions) for tier in SHOWN_TIERS]
    return " / ".join(cells) if set(cells) != {NO_FIGURE} else NO_FIGURE


def _filled(template: str, records: Sequence[Record], regions: int) -> str:
    """A cell: every {name:format} replaced by the mean over the records, marked where a region lacks it."""

    def figure(match: re.Match[str]) -> str:
        value, count = mean(records, match[1])
        if value is None:
            return NO_FIGURE
        return f"{value:{match[2]}}{PARTLY if count < regions else ''}"

    text = re.sub(r"\{(\w+):([^}]*)\}", figure, template)
    return text if re.search(r"\d", text) else NO_FIGURE
