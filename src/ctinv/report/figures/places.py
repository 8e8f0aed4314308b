"""Boxes as rectangles on an image."""

from __future__ import annotations

from ctinv.volume import Box


def seen_as(box: str, around: str) -> tuple[float, float, float, float]:
    """Left, top, width and height of a box in the pixels of an image of the box around it."""
    inner, outer = Box.parse(box), Box.parse(around)
    height, width = inner.shape
    return inner.x0 - outer.x0 - 0.5, inner.y0 - outer.y0 - 0.5, float(width), float(height)
