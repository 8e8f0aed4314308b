"""Figure 1: where the region lies, the scan, what f makes of it, and what the samples do."""

from __future__ import annotations

from matplotlib.figure import Figure

from ctinv.report.arrays import unpack
from ctinv.report.figures.generic import spacing
from ctinv.report.figures.places import seen_as
from ctinv.report.figures.style import TILE, Panel, Plate, Rect, tile, top
from ctinv.report.words import Content, figure


def overview(content: Content) -> Plate:
    """Context, x, f(x), mean, spread, and the worst error that feeding back left."""
    boxes, target = content["boxes"], content["summary"]["domain"] == "target"
    panels = [
        _gray(content, "context", "region in its slice", seen_as(boxes["region"], boxes["context"])),
        _gray(content, "scan", "scan  $x$"),
        _gray(content, "denoised", "denoised  $f(x)$"),
        _gray(content, "mean", r"mean of  $\tilde{x}$"),
        _map(content, "spread", r"spread of  $\tilde{x}$", "viridis"),
    ]
    if not target:
        inside = seen_as(boxes["region"], boxes["output"])
        panels.append(_map(content, "worst", r"worst  $|f(\tilde{x}) - f(x)|$", "magma", inside))
    return Plate("The region and its samples", _caption(content, target), tuple(panels))


def _gray(content: Content, name: str, title: str, box: Rect | None = None) -> Panel:
    """An image of the scan's kind, all in one window."""
    window = content["window"]
    return _tile(content, name, title, (window["low"], window["high"]), "gray", box)


def _map(content: Content, name: str, title: str, colours: str, box: Rect | None = None) -> Panel:
    """An image that begins at zero."""
    return _tile(content, name, title, (0.0, top(unpack(content["images"][name]))), colours, box)


def _tile(
    content: Content, name: str, title: str, limits: tuple[float, float], colours: str, box: Rect | None
) -> Panel:
    def draw() -> Figure:
        return tile(
            unpack(content["images"][name]),
            title,
            unit=content["unit"],
            limits=limits,
            spacing_mm=spacing(content),
            colours=colours,
            box=box,
        )

    return Panel(name, _ALT[name], draw, TILE)


_ALT = {
    "context": "the scan around the region, the region framed",
    "scan": "the scan x in the region",
    "denoised": "the denoised region f(x)",
    "mean": "mean of the samples",
    "spread": "standard deviation over the samples",
    "worst": "largest feed-back error over the samples",
}


def _caption(content: Content, target: bool) -> str:
    summary, unit, window = content["summary"], content["unit"], content["window"]
    text = (
        f"Images in the {window['name']} window, {figure(window['low'])} to {figure(window['high'])} {unit}; the "
        f"frame is the region {content['boxes']['region']} (slice, rows, columns). Spread: standard deviation over "
        f"{summary['n']} samples, {figure(summary['spread_hu'])} {unit} RMS"
    )
    if any(not one["passed"] or one["in_band"] is False for one in content["certificates"]) and not target:
        text += ", those that do not hold included"
    if target:
        return text + "."
    theory = summary["spread_theory_hu"]
    text += f" ({figure(theory)} {unit} by linear theory)" if theory is not None else ""
    return text + (
        "; the scan outside the region stays as it is, so the spread falls towards the edge, and that says nothing "
        "about the network. Worst error: the largest of all samples in each pixel, on the region and the halo that f "
        f"reaches; {figure(summary['max_hu'])} {unit} at most."
    )
