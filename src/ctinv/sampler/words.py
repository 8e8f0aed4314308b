"""A summary in words: the same in the shell, in the picture and in the plugin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

TARGET_DOMAIN = "target domain, not fed back"
"""What is said of images as f should make them wherever they are shown."""

_WAYS = {"swap": "swap", "chord": "chord", "relinearised": "J again"}


def verdict(summary: Mapping[str, Any]) -> str:
    """How many samples hold; what does not arrive is given with its value, what no scanner makes is named."""
    if summary["domain"] == "target":
        return f"{summary['n']} images of the {TARGET_DOMAIN}"
    parts = [f"{summary['passed']} of {summary['n']} passed tier {summary['tier']}"]
    late = summary["not_reached"]
    if late["n"]:
        low, high = (number(late["rmse_hu"][end]) for end in ("min", "max"))
        parts.append(
            f"{late['n']} not reached ({100 * late['share']:.3g} %): RMSE {low} to {high} {summary['unit']}"
        )
    if summary["implausible"]:
        parts.append(f"{summary['implausible']} implausible by χ²/n")
    return "; ".join(parts)


def arrivals(summary: Mapping[str, Any]) -> str:
    """By which step how many samples arrived; older studies do not know."""
    reached: Mapping[str, int] | None = summary["reached"]
    if reached is None:
        return "unknown steps"
    return ", ".join(f"{word} {reached[way]}" for way, word in _WAYS.items() if reached[way]) or "none"


def ways(summary: Mapping[str, Any]) -> str:
    """By which step the samples arrived and what one cost."""
    if summary["reached"] is None:
        return arrivals(summary)
    return f"{arrivals(summary)}; {number(summary['passes'])} passes each"


def number(value: float | None, digits: int = 3) -> str:
    """So many significant digits, a dash where there is no finite value."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}g}"
