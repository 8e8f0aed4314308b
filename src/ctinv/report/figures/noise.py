"""Figure 2: noise and its power spectrum, for the CT physicist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from ctinv.report.figures.generic import numbers
from ctinv.report.figures.style import BLUE, GREEN, ORANGE, QUIET, Panel, Plate, Table, legend, plot
from ctinv.report.words import Content, figure

_SERIES = {
    "x - f(x)": ("x − f(x), one scan", ORANGE, 4.0),  # wide, as samples may cover it
    "samples - f(x)": ("x̃ − f(x), mean of samples", BLUE, 1.4),
    "samples - x": ("x̃ − x, mean of samples", GREEN, 1.4),
}
_BELOW = 1e-5  # of the largest: further down a log axis shows rounding only


def noise(content: Content) -> Plate:
    """NPS of what f removes, of the samples and of C, and the variance of each in three bands."""
    found = content["noise"]
    missing = (f"Re-scans of C are not shown: {found['absent']}",) if found["absent"] else ()
    if "model" not in found:
        missing = (*missing, "The study does not keep C: it was made before studies did.")
    panels = (Panel("nps", "radial noise power spectra of scan, samples and C", lambda: _draw(content)),)
    return Plate("Noise and noise power spectrum", _caption(content), panels, (_table(content),), missing)


def _draw(content: Content) -> Figure:
    found, unit = content["noise"], content["unit"]
    picture, axes = plot(
        "noise power spectrum", across="radial frequency, 1/mm", up=f"NPS, {unit}² mm²", size=(3.5, 3.1)
    )
    across = numbers(found["frequency_per_mm"])
    null = found.get("null")
    if null is not None:
        axes.fill_between(
            across, numbers(null["nps_low"]), numbers(null["nps_high"]), color=QUIET, alpha=0.22, linewidth=0,
            label="C, single re-scans, 5 to 95 %",
        )  # fmt: skip
        axes.plot(across, numbers(null["nps"]), color=QUIET, linewidth=1.6, label="C, mean of re-scans")
    if "model" in found:
        axes.plot(
            across,
            numbers(found["model"]["nps"]),
            color=QUIET,
            linestyle=":",
            linewidth=1.4,
            label="C, as modelled",
        )
    drawn = []
    for name, (label, colour, width) in _SERIES.items():
        if name in found["series"]:
            values = numbers(found["series"][name]["nps"])
            drawn.append(values)
            axes.plot(
                across, values, color=colour, linewidth=width, alpha=0.55 if width > 2.0 else 1.0, label=label
            )
    axes.set_yscale("log")
    largest = max(float(values.max()) for values in drawn)
    axes.set_ylim(bottom=max(axes.get_ylim()[0], _BELOW * largest))
    legend(axes, loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=2)
    return picture


def _table(content: Content) -> Table:
    found, unit = content["noise"], content["unit"]
    shown = [(name, label) for name, (label, *_) in _SERIES.items() if name in found["series"]]
    null: Mapping[str, Any] | None = found.get("null")
    head = [f"variance in {unit}²", *(label for _, label in shown)]
    head += ["C, mean of re-scans", "C, 5 to 95 % of single re-scans"] if null else []
    rows = []
    for band in (*found["bands_per_pixel"], "total"):
        cells = [_band(content, band), *(figure(_variance(found["series"][name], band)) for name, _ in shown)]
        if null:
            low, high = null["ranges_hu2"][band]
            cells += [figure(null["bands_hu2"][band]), f"{figure(low)} to {figure(high)}"]
        rows.append(tuple(cells))
    return Table(tuple(head), tuple(rows))


def _variance(series: Mapping[str, Any], band: str) -> float:
    return float(series["total_hu2"] if band == "total" else series["bands_hu2"][band])


def _band(content: Content, band: str) -> str:
    """A band in cycles per pixel, and in 1/mm where pixels are square."""
    if band == "total":
        return "all"
    found, (_, _, dx) = content["noise"], content["spacing_mm"]
    low, high = found["bands_per_pixel"][band]
    end = f"{high:g}" if high < 1.0 else "corner"
    text = f"{band}, {low:g} to {end} cycles/pixel"
    if not found["isotropic"]:
        return text
    top = f"{high / dx:.2g}" if high < 1.0 else f"{0.5**0.5 / dx:.2g}"
    return f"{text} ({low / dx:.2g} to {top} 1/mm)"


def _caption(content: Content) -> str:
    found, provenance, unit = content["noise"], content["provenance"], content["unit"]
    text = (
        "Periodograms of the region, mean over rings; Σ over all frequencies is the variance (Parseval). x − f(x) is "
        "one realisation and is to be read against the band of single re-scans; it lacks the noise that f keeps, so "
        "it may lie below C. Certified samples share with x what f sees: where f sees all, x̃ − f(x) follows x − "
        "f(x), where f is blind, C. x̃ − x is what the network leaves open."
    )
    if found["rescans"]:
        text += f" C given the surroundings: {found['rescans']} re-scans, f(x) with noise of C."
    if "model" in found:
        text += (
            f" As modelled: the spectrum of C at the region, σ = {figure(found['model']['sigma'])} {unit}, not given "
            "the surroundings."
        )
    return f"{text} Source of C: {provenance['noise'].get('source', 'not stated')}."
