"""Figure 5: nulls and negative controls: the tests of the samples, raw candidates against corrected ones, validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ctinv.fibre.tiers import NFE_NOT_AN_INVARIANCE, NFE_T3
from ctinv.report.figures import findings, generic
from ctinv.report.figures.style import (
    ALARM,
    BLUE,
    GREEN,
    INK,
    ORANGE,
    QUIET,
    SMALL,
    Panel,
    Plate,
    Table,
    legend,
    plot,
)
from ctinv.report.words import Content, figure, percent

BANDS, FILTER = "noise-consistency", "matched-filter"
_BINS = 24


def nulls(content: Content) -> Plate:
    """I1 and I2 against re-noised scans, NFE before and after correction, and the last validation."""
    panels: tuple[Panel, ...] = ()
    tables: tuple[Table, ...] = ()
    missing: tuple[str, ...] = ()
    if content["summary"]["domain"] == "target":
        missing = ("There is no feed-back error: images of the target domain are not fed back.",)
    elif _nfe(content, "nfe").size:
        panels = (
            Panel("nfe", "NFE of raw candidates and of corrected samples", lambda: _correction(content)),
        )
    for name, parts in ((BANDS, _consistency), (FILTER, _filter)):
        found = content["findings"].get(name, {})
        if "sentence" in found:
            drawn, table = parts(content, found)
            panels, tables = (*panels, *drawn), (*tables, table)
        else:
            missing = (*missing, findings.why_missing(content, name))
    return Plate(
        "Negative controls and null distributions",
        _caption(content),
        panels,
        (*tables, *_validation(content)),
        (*missing, *_not_validated(content)),
    )


def _nfe(content: Content, name: str) -> NDArray[np.float64]:
    values = [one[name] for one in content["certificates"]]
    return np.array([value for value in values if value is not None and value > 0.0])


def _correction(content: Content) -> Figure:
    """Histograms of NFE on a logarithmic axis, raw and corrected, with the two limits of the method."""
    raw, corrected = _nfe(content, "nfe_raw"), _nfe(content, "nfe")
    both = np.concatenate([raw, corrected, [NFE_T3, 1.0]])
    edges = list(np.geomspace(0.8 * float(both.min()), 1.25 * float(both.max()), _BINS + 1))
    picture, axes = plot("NFE before and after correction", across="NFE (1: another scan)", up="samples")
    axes.hist(raw, bins=edges, color=ORANGE, alpha=0.75, label="raw candidates: the negative control")
    axes.hist(corrected, bins=edges, color=BLUE, alpha=0.85, label="corrected samples")
    axes.set_xscale("log")
    for level, colour, text in ((NFE_T3, GREEN, "T3"), (NFE_NOT_AN_INVARIANCE, ALARM, "not an invariance")):
        axes.axvline(level, color=colour, linewidth=1.0, linestyle="--")
        axes.annotate(
            text, (level, 0.99), xycoords=("data", "axes fraction"), fontsize=SMALL, color=colour, rotation=90,
            ha="right", va="top",
        )  # fmt: skip
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="x", visible=False)
    legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.22))
    return picture


def _consistency(content: Content, found: Mapping[str, Any]) -> tuple[tuple[Panel, ...], Table]:
    """I1: power per band over that of noise, one dot per sample, against the range of re-scans."""
    bands = found["figures"]["bands"]
    rows = tuple(
        (
            name,
            figure(band["samples_mean"]),
            figure(band["samples_largest"]),
            figure(band["limit"]),
            f"{band['rejected']} / {band['below']}",
            figure(band["smallest_q"], 2),
            figure(band["scan"]),
            figure(band["null"]["rescans_mean"]),
            percent(band["null"]["rescans_beyond_limit"]),
        )
        for name, band in bands.items()
    )
    head = (
        "power over that of noise", "samples, mean", "samples, largest", "limit", "above / below", "smallest q", "x − f(x)",
        "re-scans, mean", "re-scans beyond limit",
    )  # fmt: skip
    panel = Panel("noise-consistency", "power of samples per band over that of noise", lambda: _powers(found))
    return (panel,), Table(head, rows, found["sentence"] + " " + _terms(found))


def _powers(found: Mapping[str, Any]) -> Figure:
    bands, samples = found["figures"]["bands"], found["curves"]["samples"]
    picture, axes = plot(
        "I1: power per band, noise = 1", across="band", up="power of x̃ − f(x) over that of C"
    )
    for place, (name, band) in enumerate(bands.items()):
        null = band["null"]
        low, high = (max(1.0 + sign * 2.0 * null["std"], 1e-3) for sign in (-1.0, 1.0))
        axes.fill_between([place - 0.32, place + 0.32], low, high, color=QUIET, alpha=0.22, linewidth=0,
                          label="noise of C, ± 2 std" if place == 0 else None)  # fmt: skip
        axes.hlines(band["limit"], place - 0.32, place + 0.32, color=ALARM, linewidth=1.2,
                    label="limit" if place == 0 else "")  # fmt: skip
        values = generic.numbers(samples[f"{name}_relative"])
        shift = np.linspace(-0.22, 0.22, len(values)) if len(values) > 1 else np.zeros(1)
        axes.plot(
            place + shift, values, "o", color=BLUE, markersize=2.2, label="samples" if place == 0 else None
        )
        axes.plot(
            place, band["scan"], "D", color=ORANGE, markersize=4, label="the scan" if place == 0 else None
        )
    axes.set_yscale("log")
    axes.set_xticks(range(len(bands)), labels=list(bands))
    axes.set_xlim(-0.6, len(bands) - 0.4)
    axes.grid(axis="x", visible=False)
    legend(axes, loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=2)
    return picture


def _filter(content: Content, found: Mapping[str, Any]) -> tuple[tuple[Panel, ...], Table]:
    """I2: each sample's strongest disc against the null of the maximum, and the two maps."""
    figures = found["figures"]
    best, mean, change = figures["strongest"], figures["mean"], figures["change_from_scan"]
    rows = tuple(
        (label, figure(spot["sigma"]), f"{figure(spot['diameter_mm'])} mm", f"{spot['y']}, {spot['x']}",
         f"{figure(spot['contrast_hu'])} {content['unit']}", threshold)
        for label, spot, threshold in (
            ("strongest in a sample", best, f"{figure(figures['threshold_sigma'])} σ; q = {figure(best['q'], 2)}"),
            ("in the mean of the samples", mean, f"{figure(figures['threshold_mean_sigma'])} σ"),
            ("largest change from the scan", change, "d′ of the change; not a test"),
        )
    )  # fmt: skip
    head = ("disc", "t, σ", "diameter", "row, column", "contrast", "threshold")
    panels = (
        Panel("matched-filter", "strongest disc of each sample against the null", lambda: _peaks(found)),
        *generic.maps(content, found, group="I2: scanning matched filter, t in σ of one re-scan"),
    )
    return panels, Table(head, rows, found["sentence"] + " " + _terms(found))


def _peaks(found: Mapping[str, Any]) -> Figure:
    values = np.abs(generic.numbers(found["curves"]["samples"]["sigma"]))
    figures = found["figures"]
    picture, axes = plot(
        "I2: strongest disc of each sample", across="largest |t| over places and sizes, σ", up="samples"
    )
    most = max(float(values.max()), figures["threshold_all_samples_sigma"]) * 1.08
    axes.hist(values, bins=list(np.linspace(0.0, most, _BINS + 1)), color=BLUE, alpha=0.85)
    levels = (
        ("one re-scan in 20 beyond", "threshold_sigma"),
        ("of as many re-scans", "threshold_all_samples_sigma"),
    )
    for (text, name), colour in zip(levels, (ALARM, QUIET), strict=True):
        axes.axvline(figures[name], color=colour, linewidth=1.2, linestyle="--")
        axes.annotate(text, (figures[name], 0.98), xycoords=("data", "axes fraction"), fontsize=SMALL, color=colour,
                      rotation=90, ha="right", va="top")  # fmt: skip
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines["bottom"].set_color(INK)
    return picture


def _terms(found: Mapping[str, Any]) -> str:
    """What stands for chance in a finding, and how false discoveries are controlled."""
    figures = found["figures"]
    return f"Null: {figures['null']}. Control: {figures['control']}."


def _validation(content: Content) -> tuple[Table, ...]:
    validated = content["validation"]
    if not validated or not validated["parts"]:
        return ()
    rows = tuple(
        (
            f"{part['name']}: {part['title']}" if part["title"] else part["name"],
            *(
                " of ".join(map(str, part[kind])) if part[kind][1] else "–"
                for kind in ("laws", "calibration", "controls")
            ),
            _result(part),
        )
        for part in validated["parts"]
    )
    failures = [f"{part['name']}: {line}" for part in validated["parts"] for line in part["failures"]]
    note = "Last result of ctinv validate for this version. Laws: rules kept over all seeds; wrong samplers must be caught."
    head = ("known answer", "laws kept", "calibration kept", "wrong samplers caught", "result")
    return (Table(head, rows, " ".join([note, *failures])),)


def _result(part: Mapping[str, Any]) -> str:
    ruled = any(part[kind][1] for kind in ("laws", "calibration", "controls"))
    return "FAILED" if part["failures"] else "passed" if ruled else "measured, no rule"


def _not_validated(content: Content) -> tuple[str, ...]:
    validated = content["validation"]
    if validated and validated["parts"]:
        return ()
    return ("No validation result of this version is at hand; ctinv validate makes one.",)


def _caption(content: Content) -> str:
    summary = content["summary"]
    text = ""
    if summary["domain"] != "target":
        text = (
            "Raw candidates are the negative control of the correction: their mean NFE is "
            f"{figure(summary['nfe_raw'])}, {figure(summary['nfe'], 2)} after it. NFE is the RMSE of f(x̃) − f(x) "
            f"over √2·σ_out, σ_out = {figure(summary['sigma_out_hu'])} {content['unit']} the noise of f(x): 1 is "
            f"another scan of the same patient, {NFE_T3} is tier T3, and what lies above {NFE_NOT_AN_INVARIANCE} is "
            "not an invariance. "
        )
    return text + (
        "The tests of samples are held against re-noised scans, f(x) with noise of C given the surroundings: the "
        "null in which nothing but noise differs."
    )
