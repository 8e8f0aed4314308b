"""The stamp on samples: what the certificate of the sample on the screen says, written over the layer itself.

A picture of a sample that did not reach its tier cannot leave the viewer without the words that it is no invariance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

from napari.components.overlays import TextOverlay

from ctinv.fibre.tiers import NOT_FED_BACK
from ctinv.sampler.words import TARGET_DOMAIN
from napari_ctinv.layers import layer_info

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from ctinv.fibre.tiers import Certificate

STAMP = "ctinv stamp"
RED, WHITE, DARK = (0.78, 0.05, 0.05, 1.0), (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.55)
LARGE, SMALL = 16.0, 10.0

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
        return f"{k}: {asked} NOT REACHED – not an invariance\nRMSE {certificate.rmse_hu:.2f} {unit}"
    if certificate.in_band is False:
        return f"{k}: IMPLAUSIBLE – no scan looks like this\nχ²/n {certificate.chi2_per_n:.2f}"
    return f"{k} · {certificate.tier} · RMSE {certificate.rmse_hu:.2f} {unit}"


def stamp_in(viewer: ViewerModel) -> None:
    """Keep every layer of this viewer that shows samples stamped; asking again changes nothing."""
    if viewer.layers in _stamped:
        return
    _stamped.add(viewer.layers)
    watched = ref(viewer)

    def stamp(_event: Any = None) -> None:
        there = watched()
        if there is not None:
            _stamp_all(there)

    def on_inserted(event: Any) -> None:
        if is_of_samples(event.value):
            event.value.events.data.connect(stamp)
            stamp()

    for layer in viewer.layers:
        if is_of_samples(layer):
            layer.events.data.connect(stamp)
    viewer.layers.events.inserted.connect(on_inserted, position="last")
    viewer.layers.events.removed.connect(stamp, position="last")
    viewer.dims.events.current_step.connect(stamp)
    stamp()


def is_of_samples(layer: Any) -> bool:
    """Whether each plane of a layer belongs to one sample of a study."""
    return layer.ndim == 4 and layer_info(layer.metadata).get("kind") in ("samples", "errors")


def _stamp_all(viewer: ViewerModel) -> None:
    found: dict[str, tuple[str, bool]] = {}
    dims = viewer.dims
    place = round(dims.point[dims.ndim - 4]) if dims.ndim >= 4 else -1
    for layer in viewer.layers:
        info = layer_info(layer.metadata)
        study = info.get("study")
        if study is not None and is_of_samples(layer):
            found[info["key"]] = _said(study, place, len(layer.data))
    for layer in viewer.layers:
        if is_of_samples(layer):
            write(layer, *found.get(layer_info(layer.metadata).get("key", ""), ("", False)))


def _said(study: Any, place: int, count: int) -> tuple[str, bool]:
    """The words and whether they warn; nothing where no sample is shown."""
    certificates = study.certificates
    if not 0 <= place < min(count, len(certificates)):
        return "", False
    provenance, certificate = study.provenance, certificates[place]
    return words(certificate, asked=provenance.tier, unit=provenance.unit), warns(certificate)


def write(layer: Any, text: str, warning: bool) -> None:
    """Put these words over a layer: large on red where they warn, else small."""
    # Not public, but the one way to words that belong to a layer: they follow it into its cell of the grid.
    overlays = layer._overlays
    if STAMP not in overlays:
        if not text:
            return
        overlays[STAMP] = TextOverlay(position="top_center", visible=True)
    stamp = overlays[STAMP]
    wanted = {
        "text": text,
        "color": WHITE,
        "font_size": LARGE if warning else SMALL,
        "box_color": RED if warning else DARK,
        "visible": bool(text),
    }
    stamp.update({name: value for name, value in wanted.items() if not _same(getattr(stamp, name), value)})


def _same(here: Any, wanted: Any) -> bool:
    return tuple(here) == wanted if isinstance(wanted, tuple) and here is not None else here == wanted
