"""Tables of eigen-invariances and of the channelised Hotelling observer (parts of figure 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctinv.report.figures.style import Table
from ctinv.report.words import Content, figure, percent


def eigen(content: Content, found: Mapping[str, Any]) -> Table:
    """One row for each direction: how large it may be by theory, and how far feeding back follows."""
    unit, figures = content["unit"], found["figures"]
    head = (
        "direction",
        f"plausible change, {unit} RMS",
        f"peak, {unit}",
        "d′ in the scan",
        "d′ behind f",
        f"followed to, {unit} RMS",
        f"fed back, {unit} RMSE",
        "tier",
    )
    rows = tuple(_direction(index, row) for index, row in enumerate(figures["directions"], start=1))
    null = figures["null"]
    note = (
        f"{found['sentence']} Change: the part that counts as anatomy, at a length of {figure(figures['length'])} in "
        f"the law’s metric; the noise itself has {figure(figures['noise_rms_hu'])} {unit} RMS of it. Followed: x + "
        f"αv, moved onto the fibre and certified, as far as the tier holds. Threshold: {null['threshold']}. Chance: "
        f"{null['distribution']}; {null['control']}."
    )
    return Table(head, rows, note)


def _direction(index: int, row: Mapping[str, Any]) -> tuple[str, ...]:
    followed = row["followed"]
    found = [figure(row[name]) for name in ("rms_hu", "peak_hu", "d_in", "d_eps")]
    if followed is None:
        return (str(index), *found, "not at all", "–", "–")
    reach = ("at least " if followed["bounded"] else "") + figure(followed["rms_hu"])
    return (str(index), *found, reach, figure(followed["rmse_hu"]), str(followed["tier"]))


def observer(content: Content, found: Mapping[str, Any]) -> Table:
    """What the observer saw in the scans and in members of the fibre."""
    figures = found["figures"]
    low, high = (figure(end) for end in figures["interval"])
    members = " and ".join(str(count) for count in figures["members"])
    rows = (
        ("disc", f"{figure(figures['diameter_mm'])} mm, {figure(figures['contrast_hu'])} {content['unit']}"),
        ("place: row, column", f"{figures['y']}, {figures['x']}"),
        (
            "d′ in the scans, same channels / ideal observer",
            _pair(figures, "d_prime_scan", "d_prime_ideal_scan"),
        ),
        ("d′ in members of the fibre (95 % interval)", f"{figure(figures['d_prime'])} ({low} to {high})"),
        ("d′ by linear theory", figure(figures["d_prime_theory"])),
        ("area under the curve / on held-out members", _pair(figures, "auc", "auc_held_out")),
        ("share of d′² passed on", percent(figures["kept"])),
        ("members without / with; left out", f"{members}; {sum(figures['left_out'])}"),
    )
    terms = f"Null: {figures['null']}; p = {figure(figures['p'], 2)}. Control: {figures['control']}."
    return Table(("channelised Hotelling observer", "value"), rows, f"{found['sentence']} {terms}")


def _pair(figures: Mapping[str, Any], one: str, other: str) -> str:
    return f"{figure(figures[one])} / {figure(figures[other])}"
