"""What every image, figure and page of this package says about itself, in the same words."""

from __future__ import annotations

USE = "Research use only, not for diagnosis."
WHAT = "Derived or synthetic image, not for diagnosis"


def statement() -> str:
    """What it is, what it is not for, and the version that made it; at most 79 ASCII characters, as NIfTI has room for."""
    from ctinv import __version__

    return f"{WHAT}; napari-ctinv {__version__}"[:79]


def png_text() -> dict[str, str]:
    """Text chunks of a picture as matplotlib takes them."""
    return {"Software": "ctinv", "Comment": statement()}
