"""The stamp on samples: what the certificate of the sample on the screen says, written over it; what failed has a red frame.

A picture of a sample that did not reach its tier cannot leave the viewer without the words that it is no invariance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

import numpy as np
from napari.components.overlays import TextOverlay

from ctinv.fibre.tiers import NOT_FED_BACK
from ctinv.sampler.words import TARGET_DOMAIN
from napari_ctinv.layers import layer_info

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from ctinv.fibre.tiers import Certificate

STAMP = "ctinv stamp"
RED, WHITE, DARK = (0.78, 0.05, 0.05, 1.0), (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.55)
LARGE, SMALL = 12.0, 10.0
_LETTERS = "".join(chr(code) for code in range(32, 127)) + "·–χ²σε"

_stamped: WeakSet[Any] = WeakSet()


def warns(certificate: Certificate) -> bool:
    """Whether a sample is no plausible invariance; one of the target domain was not judged."""
    return certificate.reached != NOT_FED_BACK and (not certificate.passed or certificate.in_band is False)


def words(certificate: Certificate, *, asked: str, unit: str) -> str:
    """What the stamp says.

    Args:
        certificate: That of the sample.
        asked: The tier that was asked.
        unit: Unit of the scan.
    """
    k = f"k = {certificate.k}"
    if certificate.reached == NOT_FED_BACK:
        return f"{k} · {TARGET_DOMAIN}"
    if not certificate.passed:
        return f"{k}: {asked} NOT REACHED –\nnot an invariance\nRMSE {certificate.rmse_hu:.2f} {unit}"
    if certificate.in_band is False:
        return f"{k}: IMPLAUSIBLE –\nno scan looks like this\nχ²/n {certificate.chi2_per_n:.2f}"
    return f"{k} · {certificate.tier} · RMSE {certificate.rmse_hu:.2f} {unit}"


def stamp_in(viewer: ViewerModel) -> None:
    """Keep what shows samples in this viewer stamped; asking again changes nothing."""
    if viewer.layers in _stamped:
        return
    _stamped.add(viewer.layers)
    watched = ref(viewer)

    def stamp(_event: Any = None) -> None:
        there = watched()
        if there is not None:
            _stamp(there)

    def on_inserted(event: Any) -> None:
        follow(event.value)
        stamp()

    def follow(layer: Any) -> None:
        if is_of_samples(layer):
            layer.events.data.connect(stamp)
            layer.events.visible.connect(stamp)

    for layer in viewer.layers:
        follow(layer)
    viewer.layers.events.inserted.connect(on_inserted, position="last")
    viewer.layers.events.removed.connect(stamp, position="last")
    viewer.dims.events.current_step.connect(stamp)
    if not any(is_of_samples(layer) for layer in viewer.layers):
        _load_glyphs(viewer)
    else:
        stamp()


def _load_glyphs(viewer: ViewerModel) -> None:
    """Have every letter of a stamp drawn once, unseen: vispy makes each at its first use, 10 ms a letter, which would
    stop the interface when the first sample arrives."""
    viewer.canvas.overlays[STAMP] = TextOverlay(
        position="bottom_left", text=_LETTERS, color=(0.0, 0.0, 0.0, 0.0), visible=True
    )


def is_of_samples(layer: Any) -> bool:
    """Whether each plane of a layer belongs to one sample of a study; parts of such layers are, too."""
    return layer.ndim == 4 and layer_info(layer.metadata).get("kind") in ("samples", "errors")


def _stamp(viewer: ViewerModel) -> None:
    """Write what is to be said of the topmost sample that is seen, and frame every one that failed."""
    said: list[tuple[str, bool]] = []
    studies = {
        info["key"]: info["study"]
        for info in (layer_info(layer.metadata) for layer in viewer.layers)
        if info.get("study") is not None
    }
    for layer in filter(is_of_samples, viewer.layers):
        text, warning = _said(studies.get(layer_info(layer.metadata).get("key")), _place(viewer, layer))
        _frame(layer, warning)
        if text and layer.visible:
            said.append((text, warning))
    write(viewer, *(said[-1] if said else ("", False)))


def _place(viewer: ViewerModel, layer: Any) -> int:
    """Where the slider stands in a stack, -1 beyond its end."""
    place = round(viewer.dims.point[viewer.dims.ndim - 4])
    return place if 0 <= place < len(layer.data) else -1


def _said(study: Any, place: int) -> tuple[str, bool]:
    """The words and whether they warn; none where no sample is shown."""
    if study is None or not 0 <= place < len(study.certificates):
        return "", False
    provenance, certificate = study.provenance, study.certificates[place]
    return words(certificate, asked=provenance.tier, unit=provenance.unit), warns(certificate)


def _frame(layer: Any, warning: bool) -> None:
    """A red frame around what failed; it belongs to the layer and follows it into its cell of a grid."""
    box = layer.bounding_box
    if warning:
        box.line_color, box.line_thickness, box.points, box.visible = RED, 3.0, False, True
    elif box.visible and _same(box.line_color, RED):
        box.visible = False


def write(viewer: ViewerModel, text: str, warning: bool) -> None:
    """Put these words over the canvas: large on red where they warn, else small; no words take them away."""
    overlays = viewer.canvas.overlays
    if STAMP not in overlays:
        if not text:
            return
        overlays[STAMP] = TextOverlay(position="bottom_left")
    stamp: Any = overlays[STAMP]
    wanted = {
        "text": text,
        "color": WHITE,
        "font_size": LARGE if warning else SMALL,
        "box_color": RED if warning else DARK,
        "visible": bool(text),
    }
    for name, value in wanted.items():
        if not _same(getattr(stamp, name), value):
            setattr(stamp, name, value)


def _same(here: Any, wanted: Any) -> bool:
    if isinstance(wanted, tuple):
        return here is not None and bool(np.allclose(here, wanted))
    return bool(here == wanted)
