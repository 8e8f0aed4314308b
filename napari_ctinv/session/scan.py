"""The scan that is looked at: opening it, its window, and what lies under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.errors import InputError
from ctinv.volume import Volume
from ctinv.windows import Window
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import layer_info, study_layers, volume_layer
from napari_ctinv.selection import volume_of
from napari_ctinv.sniffing import is_study
from napari_ctinv.viewing.letters import mark
from napari_ctinv.viewing.planes import AXIAL, OTHER, plane_of, show_plane
from napari_ctinv.viewing.readout import Readout, read_out
from napari_ctinv.viewing.window_drag import window_drag
from napari_ctinv.viewing.windows import presets_of, sharing_window, show_window, window_of
from napari_ctinv.work.reading import ReadRequest

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from ctinv.io.previews import Preview
    from napari_ctinv.engine.messages import Outcome
    from napari_ctinv.engine.run import Run
    from napari_ctinv.session import Activity, Session

READING = "napari_ctinv.work.reading:read_scan"
CUSTOM = "custom"


@dataclass(eq=False)
class ScanModel:
    """The scan under study; a scan that is opened is chosen by itself.

    Attributes:
        session: The session.
        layer: The chosen layer, None where there is no scan.
        layers: All layers that can be scans, in the order of the layer list.
        levels: Centre and width of the window in the unit of the scan, None without a scan; setting it shows the scan and
            everything in its unit so.
        presets: The windows to choose from, by name; those of the header first.
        dragging: Whether a drag with the left button changes the window.
        plane: One of `napari_ctinv.viewing.planes.PLANES`, or ``"other"``; it follows the viewer.
        marks: Whether the scale bar and the letters of the patient's sides are shown.
        choices: The series of the folder that was opened, where one must be chosen.
        folder: What was opened last.
        activity: The reading of a scan.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    layer: Image | None = None
    layers: tuple[Image, ...] = ()
    levels: Window | None = None
    presets: dict[str, Window] = field(default_factory=dict)
    dragging: bool = False
    plane: str = AXIAL
    marks: bool = True
    choices: tuple[Preview, ...] = ()
    folder: Path | None = None
    activity: Activity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activity = self.session.activity("Open a scan", engine="reading")
        self._showing = False
        viewer = self.session.viewer
        # Last, so that the viewer has taken the change in before anybody answers it.
        viewer.layers.events.inserted.connect(self._on_inserted, position="last")
        viewer.layers.events.removed.connect(self._on_removed, position="last")
        viewer.mouse_drag_callbacks.append(window_drag(self))
        self.events.layer.connect(self._on_chosen)
        self.events.levels.connect(self._on_levels)
        self.events.marks.connect(self._on_marks)
        self.events.plane.connect(self._on_plane)
        for signal in ("order", "ndim"):
            getattr(viewer.dims.events, signal).connect(self._on_order)
        for layer in viewer.layers:
            self._take(layer)

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
        return None if self.levels is None else self.levels.limits

    def open(self, path: str | Path, uid: str | None = None) -> Run | None:
        """Open a DICOM folder or file, NIfTI, NRRD, MetaImage or a study.

        A scan is read in the engine and becomes a layer and the chosen scan; where the folder holds several series,
        `choices` holds them at the end, and this is called again with the number of one (``"#2"``).

        Returns:
            The run that reads; None for a study, which opens at once.

        Raises:
            CtinvError: There is no such study, or another scan is being read.
        """
        path = Path(path)
        if is_study(path):
            from ctinv.sampler import Store

            add_layers(self.session.viewer, study_layers(Store.open(path)))
            return None
        found: list[Preview] = []

        def on_item(item: Volume | Preview) -> None:
            if isinstance(item, Volume):
                add_layers(self.session.viewer, [volume_layer(item)])
            else:
                found.append(item)

        def on_end(outcome: Outcome) -> None:
            if outcome.state == "done":
                self.choices = tuple(found)

        self.choices, self.folder = (), path
        return self.activity.start(READING, ReadRequest(path, uid), on_item=on_item, on_end=on_end)

    @property
    def unit(self) -> str:
        """The unit of the scan."""
        info = {} if self.layer is None else layer_info(self.layer.metadata)
        return str(info.get("unit", "HU"))

    @property
    def preset(self) -> str:
        """The name of the window that is shown, `CUSTOM` where it has none."""
        return next((name for name, window in self.presets.items() if window == self.levels), CUSTOM)

    def facts(self) -> list[tuple[str, str]]:
        """What is known of the scan, in words: matrix, spacing, kernel, dose and what the reader noted."""
        return [] if self.layer is None else facts_of(self.layer)

    def readout(self, position: Sequence[float]) -> Readout:
        """Values of x, f(x) and the samples at a place of the viewer's world."""
        viewer = self.session.viewer
        scan = self.layer if viewer.dims.ndisplay == 2 else None
        return read_out(viewer.layers, scan, position)

    def _on_inserted(self, event: Any) -> None:
        self._take(event.value)

    def _take(self, layer: Layer) -> None:
        """A whole scan becomes the chosen one; the region of a study or a foreign image only where there is none yet.

        What a run adds is shown in the window of its scan.
        """
        self._list()
        info = layer_info(layer.metadata)
        kind = info.get("kind")
        if layer in self.layers and kind != "denoised":
            if self.layer is None or (kind == "ct" and "provenance" not in info):
                self.layer = layer
        elif self.levels is not None and layer in sharing_window([layer], self.layer):
            self._show([layer], self.levels)

    def _on_removed(self, event: Any) -> None:
        self._list()
        if event.value is self.layer:
            scans = [layer for layer in self.layers if layer_info(layer.metadata).get("kind", "ct") == "ct"]
            self.layer = scans[-1] if scans else None

    def _list(self) -> None:
        self.layers = tuple(layer for layer in self.session.viewer.layers if may_be_scan(layer))

    def _on_chosen(self, layer: Image | None, before: Image | None) -> None:
        if before is not None:
            before.events.contrast_limits.disconnect(self._on_limits)
        self.presets = {} if layer is None else presets_of(layer)
        self.levels = None if layer is None else window_of(layer)
        if layer is not None:
            layer.events.contrast_limits.connect(self._on_limits)
            mark(self.session.viewer, visible=self.marks)

    def _on_levels(self, levels: Window | None) -> None:
        if levels is not None:
            self._show(sharing_window(self.session.viewer.layers, self.layer), levels)

    def _show(self, layers: list[Layer], levels: Window) -> None:
        """Show these layers so; what they say of it meanwhile is no news."""
        self._showing = True
        try:
            show_window(layers, levels)
        finally:
            self._showing = False

    def _on_limits(self, _event: Any = None) -> None:
        """The viewer's own slider was moved."""
        if not self._showing and self.layer is not None:
            self.levels = window_of(self.layer)

    def _on_plane(self, plane: str) -> None:
        if plane != OTHER and plane != plane_of(self.session.viewer):
            show_plane(self.session.viewer, plane)

    def _on_order(self, _event: Any = None) -> None:
        if self.session.viewer.dims.ndim >= 3:
            self.plane = plane_of(self.session.viewer)

    def _on_marks(self, marks: bool) -> None:
        mark(self.session.viewer, visible=marks)


def may_be_scan(layer: Layer) -> bool:
    """Whether a layer can be a CT: a volume or an image, no map and no stack of samples."""
    from napari.layers import Image

    if not isinstance(layer, Image) or layer.rgb or layer.multiscale or layer.ndim not in (2, 3):
        return False
    return layer_info(layer.metadata).get("kind", "ct") in ("ct", "denoised")


def facts_of(layer: Any) -> list[tuple[str, str]]:
    """What is known of a scan, as pairs of words; nothing that names anyone."""
    volume = layer_info(layer.metadata).get("volume")
    size, spacing = layer.data.shape[::-1], [abs(float(step)) for step in layer.scale[::-1]]
    facts = [
        ("Matrix", " × ".join(str(count) for count in size)),
        ("Spacing", f"{' × '.join(f'{step:.3g}' for step in spacing)} mm"),
    ]
    if not isinstance(volume, Volume):
        return [*facts, ("Unit", "taken as HU; the layer does not say")]
    known = volume.acquisition
    dose = [f"{known.kvp:g} kV"] if known.kvp else []
    dose += [f"{known.exposure_mas:.3g} mAs"] if known.exposure_mas else []
    dose += [f"{100 * known.dose_fraction:.3g} % of the original, simulated"] if known.dose_fraction else []
    facts += [("Modality", f"{volume.modality}, {volume.unit}")]
    facts += [("Kernel", known.kernel)] if known.kernel else []
    facts += [("Slice", f"{known.slice_thickness_mm:g} mm thick")] if known.slice_thickness_mm else []
    facts += [("Dose", ", ".join(dose))] if dose else []
    return [*facts, *(("Note", note) for note in volume.notes)]
