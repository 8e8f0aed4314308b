"""A path that may stay empty, as a form's field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit

from napari_ctinv.sections._bind import listen


class PathField:
    """A magicgui field for a path; empty means None.

    Args:
        label: Of the field.
        mode: What may be chosen.
        tooltip: What it is for.

    Attributes:
        edit: The field.
    """

    def __init__(self, label: str, mode: FileDialogMode, tooltip: str) -> None:
        self.edit = FileEdit(label=label, mode=mode, nullable=True, value=None)
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
