"""Validation pictures as layers: side by side, a pixel drawn as 1 mm, as they belong to no scan that is open."""

from __future__ import annotations

from napari_ctinv.layers import KEY, LayerTuple
from napari_ctinv.session.train_history import Picture

CAPTIONS = ("low dose", "denoised", "full dose")
_GAP = 8


def picture_layers(picture: Picture, window: tuple[float, float]) -> list[LayerTuple]:
    """Low dose, denoised and full dose beside each other.

    Args:
        picture: The validation picture.
        window: Contrast limits in HU.
    """
    width = picture.hu.shape[-1] + _GAP
    return [
        (
            hu,
            {
                "name": f"{caption}, step {picture.step}",
                "contrast_limits": window,
                "translate": (0.0, float(number * width)),
                "units": ("mm", "mm"),
                "metadata": {KEY: {"kind": "validation", "unit": "HU"}},
            },
            "image",
        )
        for number, (caption, hu) in enumerate(zip(CAPTIONS, picture.hu, strict=True))
    ]
