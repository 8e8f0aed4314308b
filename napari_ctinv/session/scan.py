"""ScanModel: which layer is the scan under study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.errors import InputError
from ctinv.volume import Volume
from napari_ctinv.layers import layer_info
from napari_ctinv.selection import volume_of

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from napari_ctinv.session import Session


@dataclass(eq=False)
class ScanModel:
    """The scan under study; the first one that is opened is chosen by itself.

    Attributes:
        session: The session.
        layer: The chosen layer, None where there is no scan.
        layers: All layers that can be scans, in the order of the layer list.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    layer: Image | None = None
    layers: tuple[Image, ...] = ()

    def __post_init__(self) -> None:
        for signal in ("inserted", "removed"):
            # Last, so that the viewer has taken the change in before anybody answers it.
            getattr(self.session.viewer.layers.events, signal).connect(self._look, position="last")
        self._look()

    def volume(self) -> Volume:
        """The scan.

        Raises:
            InputError: There is none, or the layer is no CT in HU along the patient's axes.
        """
        if self.layer is None:
            raise InputError("no scan is chosen; open a CT first, for example by File > Open Sample.")
        return volume_of(self.layer)

    @property
    def window(self) -> tuple[float, float] | None:
        """Contrast limits of the scan in its unit."""
        return (
            None
            if self.layer is None
            else (float(self.layer.contrast_limits[0]), float(self.layer.contrast_limits[1]))
        )

    def _look(self, _event: Any = None) -> None:
        self.layers = tuple(layer for layer in self.session.viewer.layers if may_be_scan(layer))
        if self.layer not in self.layers:
            scans = [layer for layer in self.layers if layer_info(layer.metadata).get("kind", "ct") == "ct"]
            self.layer = scans[0] if scans else None


def may_be_scan(layer: Layer) -> bool:
    """Whether a layer can be a CT: a volume or an image, no map and no stack of samples."""
    from napari.layers import Image

    if not isinstance(layer, Image) or layer.rgb or layer.multiscale or layer.ndim not in (2, 3):
        return False
    return layer_info(layer.metadata).get("kind", "ct") in ("ct", "denoised")
