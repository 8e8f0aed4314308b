"""What every widget has: a scrollable form, one button that runs and cancels, progress, results as layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container
from napari.layers import Image, Layer
from napari.utils.notifications import show_error
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ctinv.errors import CtinvError
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import layer_info
from napari_ctinv.worker import Job, Outcome, Work

if TYPE_CHECKING:
    from napari.components import ViewerModel


COLUMN_WIDTH = 320
"""Narrow enough for a laptop, wide enough for the certificate table, in pixels."""


class Panel(QWidget):
    """Base of the widgets.

    To make one: build `form` in `__init__`, call `show_form`, and write `make_work`.

    Args:
        viewer: The napari viewer.
        title: Text of the button.
    """

    def __init__(self, viewer: ViewerModel, *, title: str) -> None:
        super().__init__()
        self.viewer = viewer
        self.title = title
        self.job: Job | None = None
        self.button = QPushButton(title)
        self.button.clicked.connect(self.run_or_cancel)
        self.bar = QProgressBar()
        self.bar.setVisible(False)
        self.status = QLabel("")
        self.status.setWordWrap(True)
        self.status.setVisible(False)

    def make_work(self) -> Work:
        """The work that the form describes.

        Raises:
            CtinvError: The form cannot be carried out; the text is shown to the user.
        """
        raise NotImplementedError

    def on_item(self, item: Any) -> None:
        """A piece is finished; in the main thread."""

    def on_end(self, outcome: Outcome, added: list[Layer]) -> None:
        """The run has ended and its last layers were added; in the main thread."""

    def show_form(self, form: Container, *below: QWidget) -> None:
        """Lay out the form, the button, progress and further widgets in one scrollable column."""
        self.form = form
        _let_shrink(form)
        column = QWidget()
        layout = QVBoxLayout(column)
        layout.setContentsMargins(4, 4, 12, 4)
        buttons = QHBoxLayout()
        buttons.addWidget(self.button)
        form.native.layout().setContentsMargins(0, 0, 0, 0)
        form.native.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        layout.addWidget(form.native)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        for widget in below:
            layout.addWidget(widget)
        if below:
            layout.setStretchFactor(below[-1], 1)
        else:
            layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(column)
        scroll.setMinimumWidth(COLUMN_WIDTH)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def reset_choices(self, *_event: Any) -> None:
        """Bring the layer choices up to date; napari calls this when layers come and go."""
        self.form.reset_choices()

    def image_choices(self, _widget: Any = None) -> list[Layer]:
        """Layers that can be CT images: volumes or images, without maps and sample stacks."""
        return [layer for layer in self.viewer.layers if _may_be_ct(layer)]

    def run_or_cancel(self) -> None:
        """What the button does."""
        if self.job is not None and self.job.running:
            self.cancel()
        else:
            self.run()

    def run(self) -> Job | None:
        """Start what the form describes; None, with the reason shown, if that is not possible."""
        if self.job is not None and self.job.running:
            return self.job
        try:
            work = self.make_work()
        except CtinvError as error:
            self._tell_failure(str(error))
            return None
        self.job = Job(work)
        self.job.progressed.connect(self._on_progress)
        self.job.yielded.connect(self._on_yielded)
        self.job.ended.connect(self._on_ended)
        self.destroyed.connect(self.job.abandon)
        self.button.setText("Cancel")
        self._on_progress("starting", math.nan)
        self.bar.setVisible(True)
        self.job.start()
        return self.job

    def cancel(self) -> None:
        """Stop at the next finished piece; what is finished is kept."""
        if self.job is not None and self.job.running:
            self.button.setText("Cancelling…")
            self.button.setEnabled(False)
            self.job.cancel()

    def event(self, event: QEvent | None) -> bool:
        """A widget that is taken out of its window leaves no run behind."""
        taken_out = event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None
        job: Job | None = getattr(self, "job", None)  # Qt sends events while __init__ still runs
        if taken_out and job is not None:
            job.abandon()
        return bool(super().event(event))

    def _on_progress(self, text: str, fraction: float) -> None:
        self._say(text)
        # No busy animation where the length is unknown: each of its frames would redraw the canvas, see Job.
        self.bar.setValue(0 if math.isnan(fraction) else round(100 * fraction))

    def _on_yielded(self, item: Any) -> None:
        if self.job is not None and not self.job.abandoned:
            self.on_item(item)

    def _on_ended(self, outcome: Outcome) -> None:
        if outcome.state == "abandoned":
            return
        self.button.setText(self.title)
        self.button.setEnabled(True)
        self.bar.setVisible(False)
        self._say("")
        self.on_end(outcome, add_layers(self.viewer, outcome.layers))
        if outcome.state == "failed":
            self._tell_failure(outcome.message)

    def _say(self, text: str) -> None:
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def _tell_failure(self, message: str) -> None:
        self._say(message)
        show_error(message)


def _let_shrink(form: Container) -> None:
    """A long layer name must not make the form wider than its column."""
    for field in form:
        if isinstance(field.native, QComboBox):
            field.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            field.native.setMinimumContentsLength(8)


def _may_be_ct(layer: Layer) -> bool:
    if not isinstance(layer, Image) or layer.rgb or layer.multiscale or layer.ndim not in (2, 3):
        return False
    return layer_info(layer.metadata).get("kind", "ct") in ("ct", "denoised")
