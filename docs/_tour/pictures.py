"""Pictures small enough for a repository: a palette instead of true colours, no time and no path inside."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

LIMIT = 200_000
"""Largest size of a picture, bytes."""

COLOURS = (256, 128, 64, 32, 16)


def save(picture: np.ndarray, path: Path) -> int:
    """Writes a picture as PNG with as many colours as its size allows; the same pixels give the same bytes.

    Args:
        picture: (H, W, 3 or 4) uint8.
        path: Where to.

    Returns:
        Its size in bytes.
    """
    image = Image.fromarray(np.ascontiguousarray(picture[..., :3]))
    for colours in COLOURS:
        packed = _png(image.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))
        if len(packed) <= LIMIT:
            break
    path.write_bytes(packed)
    return len(packed)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
