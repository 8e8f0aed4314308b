"""Previews: what the network makes of a validation slice, step by step."""

from __future__ import annotations

import numpy as np
from magicgui.widgets import Container, Slider
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ctinv.sections._bind import listen
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session
from napari_ctinv.session.train_history import Picture
from napari_ctinv.session.train_layers import CAPTIONS

EDGE = 138
"""Edge of a picture in pixels of the screen: two beside each other fit into the dock."""
_ERRORS_HU = 50.0


class Previews(Section):
    """Low dose, denoised, full dose, and what is left of the error."""

    title = "Validation pictures"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._model = session.train
        self.number = Slider(
            label="picture", min=0, max=1, tooltip="which of the kept pictures, the newest on the right"
        )
        self.add(Container(widgets=[self.number], labels=True))
        self.step = QLabel("the first validation brings the first picture")
        self.step.setWordWrap(True)
        self.add(self.step)
        self.pictures = [QLabel() for _ in range(4)]
        grid = QGridLayout()
        for place, (caption, picture) in enumerate(
            zip((*CAPTIONS, f"denoised − full dose, ±{_ERRORS_HU:.0f} HU"), self.pictures, strict=True)
        ):
            grid.addWidget(_captioned(caption, picture), place // 2, place % 2)
        self.grid = QWidget()
        self.grid.setLayout(grid)
        self.add(self.grid)
        self.as_layers = QPushButton("Show as &layers")
        self.as_layers.setToolTip(
            "low dose, denoised and full dose beside each other in the viewer, a pixel as 1 mm"
        )
        self.as_layers.clicked.connect(self.guard(self._show))
        self.add(self.as_layers)
        self._count = 0
        listen(self, self._model.pictured, self._on_pictured)
        self.number.changed.connect(self._draw)
        self._on_pictured()

    def _on_pictured(self) -> None:
        """Follow the newest picture, unless an older one is looked at."""
        count = len(self._model.history.pictures)
        newest = int(self.number.value) >= self._count - 1
        self._count = count
        self.number.visible = count > 1
        for part in (self.grid, self.as_layers):
            part.setVisible(count > 0)
        with self.number.changed.blocked():
            self.number.max = max(1, count - 1)
            if newest:
                self.number.value = max(0, count - 1)
        self._draw()

    def _draw(self) -> None:
        kept = self._model.history.pictures
        if not kept:
            self.step.setText("the first validation brings the first picture")
            return
        picture = kept[min(int(self.number.value), len(kept) - 1)]
        low, high = self._model.window
        self.step.setText(f"after step {picture.step}, window {low:.0f} to {high:.0f} HU")
        for label, image in zip(self.pictures, _images(picture, (low, high)), strict=True):
            label.setPixmap(image)

    def _show(self) -> None:
        self._model.show_picture(int(self.number.value) if len(self._model.history.pictures) > 1 else -1)


def _images(picture: Picture, window: tuple[float, float]) -> list[QPixmap]:
    low, high = window
    grey = [np.clip((hu - low) / (high - low), 0, 1) for hu in picture.hu]
    return [*(_pixmap(np.repeat(image[..., None], 3, axis=-1)) for image in grey), _pixmap(_signed(picture))]


def _signed(picture: Picture) -> NDArray[np.float32]:
    """(H, W, 3) of denoised − full dose: red where it is too bright, blue where too dark, white where right."""
    error = np.clip((picture.hu[1] - picture.hu[2]) / _ERRORS_HU, -1, 1)
    red, blue = np.array([0.70, 0.09, 0.17], np.float32), np.array([0.13, 0.40, 0.67], np.float32)
    end = np.where(error[..., None] > 0, red, blue)
    return 1 + np.abs(error)[..., None] * (end - 1)


def _pixmap(rgb: NDArray[np.float32]) -> QPixmap:
    """An (H, W, 3) picture of 0 to 1 in the size of the dock."""
    height, width = rgb.shape[:2]
    values = np.ascontiguousarray((255 * rgb).astype(np.uint8))
    image = QImage(values.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(
        image.scaled(
            EDGE, EDGE, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
    )


def _captioned(caption: str, picture: QLabel) -> QWidget:
    picture.setFixedSize(EDGE, EDGE)
    picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
    picture.setToolTip(f"{caption}, a slice of a validation patient")
    text = QLabel(caption)
    text.setWordWrap(True)
    whole = QWidget()
    layout = QVBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(1)
    layout.addWidget(picture)
    layout.addWidget(text)
    return whole
