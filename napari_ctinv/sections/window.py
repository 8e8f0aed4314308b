"""Window: presets, numbers and the mouse; the plane, scale bar and letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox
from qtpy.QtWidgets import QPushButton

from ctinv.windows import Window as Levels
from napari_ctinv.sections._bind import bind, listen
from napari_ctinv.sections._section import Section
from napari_ctinv.session.scan import CUSTOM
from napari_ctinv.viewing.planes import OTHER, PLANES

if TYPE_CHECKING:
    from napari_ctinv.session import Session

FARTHEST = 1e6


class Window(Section):
    """Over the levels of `napari_ctinv.session.scan.ScanModel`."""

    title: ClassVar[str] = "Window"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model = session.scan
        self.preset = ComboBox(label="preset", choices=[CUSTOM])
        self.level = FloatSpinBox(label="level", min=-FARTHEST, max=FARTHEST, step=10)
        self.span = FloatSpinBox(label="width", min=1, max=FARTHEST, step=10)
        self.plane = ComboBox(
            label="plane",
            choices=[*PLANES, OTHER],
            tooltip="which plane of the patient is seen; head on top, the patient's right on the left",
        )
        self.marks = CheckBox(
            text="scale bar and letters",
            tooltip="a scale bar in mm, and R, L, A, P, I or S where this side of the patient lies",
        )
        self.drag = QPushButton("&Drag on the image")
        self.drag.setCheckable(True)
        self.drag.setToolTip(
            "drag with the left button: sideways for the width, up and down for the level, 200 pixels for one width;\n"
            "without this mode the same with Ctrl and the right button"
        )
        self.drag.toggled.connect(self._on_drag)
        self.add(Container(widgets=[self.preset, self.level, self.span, self.plane, self.marks]))
        self.add(self.drag)
        bind(self.model, "plane", self.plane)
        bind(self.model, "marks", self.marks)
        self.preset.changed.connect(self._on_preset)
        for box in (self.level, self.span):
            box.changed.connect(self._on_numbers)
        listen(self, self.model.events.presets, self._on_presets)
        listen(self, self.model.events.levels, self._show)
        listen(self, self.model.events.dragging, self._on_dragging)
        self._on_presets()

    def _on_presets(self, _presets: Any = None) -> None:
        """Those of another scan, perhaps in another unit."""
        unit, presets = self.model.unit, self.model.presets
        with self.preset.changed.blocked():
            self.preset.choices = [
                *(
                    (f"{name}  {window.centre:g} / {window.width:g}", name)
                    for name, window in presets.items()
                ),
                (CUSTOM, CUSTOM),
            ]
        self.preset.tooltip = f"level / width in {unit}, for the scan, f(x) and the samples together"
        self.level.tooltip = f"the value that is shown in the middle grey, in {unit}"
        self.span.tooltip = f"how many {unit} lie between black and white"
        self._show(self.model.levels)

    def _show(self, levels: Levels | None) -> None:
        """Numbers and preset follow the model; what they say of it meanwhile is no news."""
        on = levels is not None
        for widget in (self.preset, self.level, self.span):
            widget.enabled = on
        self.drag.setEnabled(on)
        if levels is None:
            return
        with self.preset.changed.blocked(), self.level.changed.blocked(), self.span.changed.blocked():
            self.preset.value = self.model.preset
            self.level.value, self.span.value = levels.centre, max(levels.width, 1.0)

    def _on_preset(self, name: str) -> None:
        levels = self.model.presets.get(name)
        if levels is not None:
            self.model.levels = levels

    def _on_numbers(self) -> None:
        if self.model.levels is not None:
            self.model.levels = Levels(float(self.level.value), float(self.span.value))

    def _on_drag(self, on: bool) -> None:
        self.model.dragging = on

    def _on_dragging(self, on: bool) -> None:
        self.drag.setChecked(on)
