"""Noise before and after: standard deviation and power spectrum of scan and denoised image in the very same squares."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox, Container
from qtpy.QtWidgets import QPushButton

from napari_ctinv.sections._bind import bind, listen
from napari_ctinv.sections._plot import Plot, follow_theme
from napari_ctinv.sections._run_bar import RunBar
from napari_ctinv.sections._section import Section
from napari_ctinv.sections._table import Table
from napari_ctinv.session import Session
from napari_ctinv.session.figures import number
from napari_ctinv.session.noise import PLACES
from napari_ctinv.work.noise import NoiseFound

_HEAD = ("image", "std", "mean f", "peak f", "from scan")
_TIPS = (
    "measured in the very same squares",
    "standard deviation of the noise, in the unit of the image",
    "mean frequency of the noise power spectrum in cycles/mm: low is blotchy, high is fine",
    "frequency of its maximum in cycles/mm",
    "mean |log10| of the ratio of its spectrum to that of the scan, in decades; 0 is the same noise",
)


class Noise(Section):
    """Where to measure, the button, a table and the spectra."""

    title = "Noise before and after"
    unfolded = False

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._model = model = session.noise
        self.denoised = ComboBox(
            label="denoised",
            choices=self._offered,
            nullable=True,
            tooltip="the image that is compared with the scan; without a choice the last denoised one",
        )
        self.where = ComboBox(
            label="where",
            choices=PLACES,
            tooltip="homogeneous squares of soft tissue, found in the scan by their flatness (at most 6 HU of structure), "
            "or squares of 12 to 32 pixels that fill what is drawn under ROI statistics",
        )
        self.add(Container(widgets=[self.denoised, self.where], labels=True))
        self.bar = RunBar(
            self,
            model.activity,
            model.run,
            tooltip="standard deviation in the unit of the scan and noise power spectrum, scan and denoised image alike",
        )
        self.add(self.bar)
        self.table = Table(_HEAD, name="noise", csv=model.csv, tips=_TIPS)
        self.add(self.table)
        self.plot = Plot(
            "frequency, 1/mm",
            "NPS, HU² mm²",
            title="Noise power spectrum",
            log="y",
            theme=session.viewer.theme,
        )
        self.add(self.plot)
        self.squares = QPushButton("Show the squares")
        self.squares.setToolTip("outline the squares that were read, over the scan")
        self.squares.clicked.connect(self.guard(model.show_squares))
        self.add(self.squares)
        listen(self, model.events.layers, self._on_layers)
        listen(self, model.events.found, self._on_found)
        bind(model, "denoised", self.denoised)
        bind(model, "where", self.where)
        follow_theme(self, session.viewer)
        self._on_found(model.found)

    def _offered(self, _widget: Any = None) -> list[Any]:
        return [(layer.name, layer) for layer in self.session.noise.layers]

    def _on_layers(self, _layers: Any) -> None:
        self.denoised.reset_choices()
        self.denoised.value = self._model.denoised

    def _on_found(self, found: NoiseFound | None) -> None:
        self.table.set_rows([] if found is None else [_cells(one) for one in found.noises])
        self.plot.setVisible(found is not None)
        self.squares.setVisible(found is not None)
        if found is not None:
            unit = found.noises[0].unit
            self.plot.set_axes("frequency, 1/mm", f"NPS, {unit}² mm²")
            self.plot.set_lines(self._model.spectra())
            n, size = len(found.squares.places), found.squares.size
            self.say(f"Read in {n} squares of {size} x {size} pixels without their quadratic trend.")
            self.reveal(self.squares)


def _cells(one: Any) -> list[str]:
    return [
        one.name,
        f"{number(one.std, 3)} {one.unit}",
        f"{number(one.mean_per_mm, 3)}/mm",
        f"{number(one.peak_per_mm, 3)}/mm",
        number(one.distance, 2),
    ]
