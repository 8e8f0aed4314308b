"""CompareModel: which layers are compared, and how. One comparison at a time; leaving it puts back what was there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.errors import InputError
from napari_ctinv.layers import layer_info
from napari_ctinv.viewing.compare import (
    Blink,
    Comparison,
    CutIn,
    SideBySide,
    SwipeOver,
    check_pair,
    checkerboard,
)

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from napari_ctinv.session import Session

OFF, GRID, RAW, BLINK, SWIPE, CHECKERBOARD = "off", "grid", "raw", "blink", "swipe", "checkerboard"
PAIRED = (BLINK, SWIPE, CHECKERBOARD)


@dataclass(eq=False)
class CompareModel:
    """Ways to look at two or four layers together.

    Attributes:
        session: The session.
        mode: ``"off"``, ``"grid"`` (x, f(x), x̃, f(x̃) − f(x)), ``"raw"`` (the sample and its error before and after
            correction), or ``"blink"``, ``"swipe"`` and ``"checkerboard"`` of two layers. Set by `enter` and `leave`.
        below: The first of the two layers.
        above: The second one.
        rate: Changes per second of blink.
        share: Where the divider of swipe stands, as a share of the upper layer's width.
        tile: Edge of a tile of the checkerboard in mm.
        layers: Layers that can be compared.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    mode: str = OFF
    below: Image | None = None
    above: Image | None = None
    rate: float = 2.0
    share: float = 0.5
    tile: float = 10.0
    layers: tuple[Image, ...] = ()

    def __post_init__(self) -> None:
        self._now: Comparison | None = None
        layers = self.session.viewer.layers.events
        layers.inserted.connect(self._look, position="last")
        layers.removed.connect(self._on_removed, position="last")
        self.events.share.connect(self._on_share)
        self.events.tile.connect(self._on_tile)
        for name in ("below", "above"):
            getattr(self.events, name).connect(self._on_pair)
        self._look()

    def enter(self, mode: str) -> None:
        """Begin to compare, leaving what was on; "off" only leaves.

        Raises:
            InputError: The layers that this needs are not there.
        """
        self.leave()
        if mode == OFF:
            return
        self._now = self._make(mode)
        self.mode = mode

    def leave(self) -> None:
        """Put back what was there."""
        now, mode = self._now, self.mode
        self._now, self.mode = None, OFF  # at once: layers that go now must not begin a comparison anew
        if now is not None:
            now.leave()
        if mode == RAW:
            self.session.raw.hide()

    def tick(self) -> None:
        """Let blink show its other layer; whoever has a clock calls this."""
        if isinstance(self._now, Blink):
            self._now.tick()

    def _make(self, mode: str) -> Comparison:
        viewer = self.session.viewer
        if mode == GRID:
            layers = self._preset()
            return SideBySide(viewer, layers, fit=layers[1:])
        if mode == RAW:
            return SideBySide(viewer, self.session.raw.show())
        if mode not in PAIRED:
            raise InputError(
                f"there is no comparison {mode!r}; choose one of {GRID}, {RAW}, {', '.join(PAIRED)}."
            )
        below, above = self._pair()
        if mode == BLINK:
            return Blink(viewer, below, above)
        if mode == SWIPE:
            return SwipeOver(viewer, below, above, self.share, self._on_drag)
        return CutIn(viewer, below, above, checkerboard(above, self.tile))

    def _preset(self) -> list[Image]:
        """x, f(x), x̃ and f(x̃) − f(x), as far as there are such.

        Raises:
            InputError: No study is shown.
        """
        shown = self.session.shown
        if shown.samples is None:
            raise InputError("there is no study to show; sample a region or open a study first.")
        scan = self._scan_of(shown.samples)
        fx, errors = shown.layer("denoised"), shown.errors()
        return [layer for layer in (scan, fx, shown.samples, errors) if layer is not None]

    def _scan_of(self, samples: Image) -> Image | None:
        """The region of the scan that came with the study, else the chosen scan."""
        provenance = layer_info(samples.metadata).get("provenance")
        for layer in self.layers:
            info = layer_info(layer.metadata)
            if info.get("kind") == "ct" and info.get("provenance") == provenance:
                return layer
        return self.session.scan.layer

    def _pair(self) -> tuple[Image, Image]:
        if self.below is None or self.above is None:
            raise InputError("choose the two layers to compare.")
        check_pair(self.below, self.above)
        return self.below, self.above

    def _look(self, _event: Any = None) -> None:
        self.layers = tuple(layer for layer in self.session.viewer.layers if can_compare(layer))
        if self.below not in self.layers:
            self.below = self.layers[0] if self.layers else None
        if self.above not in self.layers or self.above is self.below:
            others = [layer for layer in self.layers if layer is not self.below]
            self.above = others[-1] if others else None

    def _on_removed(self, event: Any) -> None:
        if self._now is not None and event.value in self._now.layers:
            self.leave()
        self._look()

    def _on_pair(self, _layer: Layer | None) -> None:
        if self.mode in PAIRED:
            try:
                self.enter(self.mode)
            except InputError:  # a pair that does not fit ends the comparison; the button says why
                self.leave()

    def _on_share(self, share: float) -> None:
        if isinstance(self._now, SwipeOver) and abs(self._now.share - share) > 1e-6:
            self._now.share = share

    def _on_drag(self, share: float) -> None:
        self.share = share

    def _on_tile(self, tile: float) -> None:
        if self.mode == CHECKERBOARD and isinstance(self._now, CutIn):
            self._now.cut = checkerboard(self._now.layers[1], tile)


def can_compare(layer: Layer) -> bool:
    """Whether a layer is a grey-value image of its own, not a part that a comparison has made."""
    from napari.layers import Image

    if not isinstance(layer, Image) or layer.rgb or layer.multiscale or layer.ndim not in (2, 3, 4):
        return False
    return "whole" not in layer_info(layer.metadata)
