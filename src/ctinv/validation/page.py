"""The result of a validation as Markdown: the laws, the wrong samplers, the calibration, and what is approximate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ctinv.marks import write_between
from ctinv.validation.words import TITLES

_MEASURES = {
    "c2st": "C2ST",
    "mahalanobis": "Mahalanobis² / pixels",
    "std_ratio": "std ratio",
    "mean_shift": "mean shift / std",
}

Records = Mapping[str, Mapping[str, Any]]
Checks = Mapping[str, Mapping[str, Any]]


def page(records: Records) -> str:
    """The Markdown of all parts of a `ctinv.validation.results.Results`."""
    if not records:
        return "Nothing has been run yet."
    parts = (_head, _laws, _controls, _calibration, _planted, _nonlinear)
    return "\n\n".join(text for part in parts if (text := part(records)))


def write_page(path: Path, records: Records) -> None:
    """Put the page between the marks ``validation`` of a Markdown file; a file that is not there is begun.

    Raises:
        InputError: The file has no such marks.
        ResourceError: The disk refuses.
    """
    write_between(path, "validation", page(records))


def verdict(records: Records) -> str:
    """One sentence: what failed, or that nothing did."""
    failures = [f"{name}: {line}" for name, record in records.items() for line in record["failures"]]
    wrong = sum(len(record.get("controls") or ()) for record in records.values())
    if failures:
        return f"{len(failures)} checks fail: {'; '.join(failures)}."
    return f"All checks of {', '.join(records)} pass, and all {wrong} wrong samplers are caught."


def _head(records: Records) -> str:
    decided_by = [record["decided_by"] for record in records.values()]
    found = {name: {one["versions"][name] for one in decided_by} for name in decided_by[0]["versions"]}
    versions = ", ".join(f"{name} {' and '.join(sorted(values))}" for name, values in found.items())
    seconds = sum(record["seconds"] for record in records.values())
    seeds = ", ".join(map(str, decided_by[0]["seeds"]))
    return f"**{verdict(records)}** Seeds {seeds}; {versions}; {seconds:.0f} s on the machine that measured."


def _laws(records: Records) -> str:
    chosen = {name: record for name, record in records.items() if "laws" in record}
    names = list(
        dict.fromkeys(name for one in chosen.values() for checks in one["laws"].values() for name in checks)
    )
    rows = []
    for name, record in chosen.items():
        cells = [_cell(list(record["laws"].values()), check) for check in names]
        share = record["effective_share"]
        cells.append("-" if share is None else f"{share:.0%}")
        sliced = record["sliced"]
        cells.append(f"{sliced['hu']:.2g} ({sliced['chance_hu']:.2g})")
        rows.append([_title(name), str(record["dimension"]), *cells])
    bounds = {
        check: found[check]["bound"]
        for one in chosen.values()
        for found in one["laws"].values()
        for check in found
    }
    headings = [f"{check}: {bounds[check]}" for check in names]
    table = _table(["problem", "pixels", *headings, "effective share", "sliced distance (chance), HU"], rows)
    return (
        f"{table}\n\nEach cell is the worst of all seeds; p-values are adjusted after Holm." if rows else ""
    )


def _cell(seeds: Sequence[Checks], name: str) -> str:
    """The worst value of a check over the seeds that measured it, marked where it fails."""
    found = [checks[name] for checks in seeds if name in checks]
    if not found:
        return "-"
    worst = max(found, key=lambda check: (not check["passed"], _badness(check)))
    return f"{_number(worst['value'])}{'' if worst['passed'] else ' **fails**'}"


def _badness(check: Mapping[str, Any]) -> float:
    """Larger for worse: a value near its only bound, or far from the middle of two."""
    value = float(check["value"])
    if " to " in check["bound"]:
        return abs(value - 1.0)
    return -value if check["bound"].startswith("above") else value


def _controls(records: Records) -> str:
    rows = []
    for name, record in records.items():
        for control, checks in (record.get("controls") or {}).items():
            broken = {check: one for check, one in checks.items() if not one["passed"]}
            shown = ", ".join(f"{check} {_number(one['value'])}" for check, one in broken.items())
            rows.append([name, control, shown or "**not caught**"])
    return _table(["problem", "wrong sampler", "breaks"], rows)


def _calibration(records: Records) -> str:
    rows = []
    for name, record in records.items():
        found = record.get("calibration")
        if found:
            narrow = found["narrowed"]["checks"]
            rows.append(
                [
                    _title(name),
                    f"{found['simulations']} x {found['draws']}",
                    *_ranked(found["checks"], len(found["quantities"])),
                    ", ".join(_ranked(narrow, len(found["quantities"]))),
                ]
            )
    headings = ["calibration", "scans x samples", "quantities inside 99 % bands", "SBC p", "TARP p"]
    return _table([*headings, "the same samples pulled in by a fifth"], rows)


def _ranked(checks: Checks, quantities: int) -> list[str]:
    inside, *rest = checks.values()
    return [
        f"{inside['value']:.0f} of {quantities}",
        *(f"{_number(one['value'])}{'' if one['passed'] else ' (fails)'}" for one in rest),
    ]


def _planted(records: Records) -> str:
    rows = [
        [one["name"], f"{_number(one['value'])} {one['unit']}".strip(), one["bound"], "yes" if one["passed"] else "**no**"]
        for record in records.values()
        for one in record.get("planted", ())
    ]  # fmt: skip
    return _table(["planted lesion (G5)", "value", "bound", "kept"], rows)


def _nonlinear(records: Records) -> str:
    if "nonlinear" not in records:
        return ""
    found = records["nonlinear"]["deviation"]
    rows = []
    for tier, one in found["tiers"].items():
        first = [tier, f"{one['tolerance_hu']:.3f}", f"{one['d_eff']:.1f}", f"{one['curvature']:.2f}"]
        for index, (sampler, figures) in enumerate(one["samplers"].items()):
            head = first if index == 0 else ["", "", "", ""]
            share = f"{one['effective_share']:.1%}" if sampler == "weighted" else "-"
            rows.append([*head, sampler, *(_number(figures[name]) for name in _MEASURES), share])
    headings = ["tier", "ε, HU", "pinned directions", "curvature", "sampler", *_MEASURES.values()]
    where = f"{found['denoiser']}, box `{found['box']}` of the shipped CT, {found['pixels']} pixels, {found['n']} samples."
    return f"**A real network, against HMC.** {where}\n\n{_table([*headings, 'effective share'], rows)}"


def _title(name: str) -> str:
    return f"{name}: {TITLES[name]}" if name in TITLES else name


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    line: Callable[[Sequence[str]], str] = lambda cells: f"| {' | '.join(cells)} |"  # noqa: E731
    return "\n".join([line(headings), f"|{'---|' * len(headings)}", *map(line, rows)])


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value != 0 and abs(value) < 1e-4:
        return "< 0.0001"
    return f"{value:.3g}"
