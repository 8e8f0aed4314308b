"""A path that may stay empty, as a form's field; and the field for a network, which is a file, a folder or a function."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit
from qtpy.QtWidgets import QFileDialog, QPushButton

from napari_ctinv.sections._bind import listen

NETWORK_FILES = "networks (*.safetensors *.pt *.pth *.ckpt *.onnx *.pt2 *.ts *.torchscript);;all files (*)"
_BUTTON = 46  # pixels


class _SourceEdit(FileEdit):
    """A field in which ``module:function`` stays as it is typed."""

    def set_value(self, value: Any) -> None:
        """Set the path, or the name of a function."""
        if value is not None and is_function(Path(value)):
            self.line_edit.value = str(value)
        else:
            super().set_value(value)


def is_function(path: Path) -> bool:
    """Whether a path reads like ``module:function``."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", str(path)) is not None


class PathField:
    """A magicgui field for a path; empty means None.

    Args:
        label: Of the field.
        mode: What may be chosen.
        tooltip: What it is for.

    Attributes:
        edit: The field.
    """

    make: Callable[..., FileEdit] = FileEdit

    def __init__(self, label: str, mode: FileDialogMode, tooltip: str) -> None:
        self.edit = self.make(label=label, mode=mode, nullable=True, value=None)
        self.edit.tooltip = tooltip
        self.edit.choose_btn.text = "…"
        self.edit.choose_btn.max_width = 30

    @property
    def path(self) -> Path | None:
        """The path, None where the field is empty."""
        value = self.edit.value
        return Path(value) if isinstance(value, Path) and str(value) not in ("", ".") else None

    def bind(self, model: Any, name: str) -> None:
        """Let the field show a field of an evented model and change it."""

        def to_field(path: Path | None) -> None:
            if self.path != path:
                self.edit.value = path

        to_field(getattr(model, name))
        listen(self.edit.native, getattr(model.events, name), to_field)
        self.edit.changed.connect(lambda _value: setattr(model, name, self.path))


class SourceField(PathField):
    """A field for a network: a file, the folder of a bundle, or ``module:function``."""

    make = _SourceEdit

    def __init__(self, label: str, tooltip: str) -> None:
        super().__init__(label, FileDialogMode.EXISTING_FILE, tooltip)
        self.edit.filter = NETWORK_FILES
        self.edit.choose_btn.text, self.edit.choose_btn.max_width = "file", _BUTTON
        self.edit.choose_btn.tooltip = "choose a file of weights, ONNX or a program"
        self.folder_button = QPushButton("folder")
        self.folder_button.setToolTip("choose the folder of a MONAI bundle")
        self.folder_button.setMaximumWidth(_BUTTON)
        self.folder_button.clicked.connect(self._choose_folder)
        self.edit.native.layout().addWidget(self.folder_button)

    def _choose_folder(self) -> None:
        found = QFileDialog.getExistingDirectory(self.edit.native, "The folder of a MONAI bundle")
        if found:
            self.edit.value = Path(found)
