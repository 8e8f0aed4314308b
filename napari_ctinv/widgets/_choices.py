"""Form fields that both widgets share."""

from __future__ import annotations

from pathlib import Path

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, FileEdit

from ctinv.errors import InputError
from ctinv.models.shipped import shipped

DEVICES = ("auto", "cpu", "cuda")


def denoiser_box() -> ComboBox:
    """The shipped denoisers."""
    return ComboBox(label="denoiser", choices=shipped(), tooltip="a shipped network")


def path_edit(label: str, mode: FileDialogMode, tooltip: str) -> FileEdit:
    """A path that may stay empty."""
    edit = FileEdit(label=label, mode=mode, nullable=True, value=None)
    edit.tooltip = tooltip
    edit.choose_btn.text = "…"
    edit.choose_btn.max_width = 30
    return edit


def bundle_edit() -> FileEdit:
    """A denoiser of the user's own; it goes before the shipped ones."""
    tooltip = (
        "your own denoiser: folder of a MONAI bundle, or the typed path of a .safetensors, .pt or .onnx file, with "
        "its card beside it; leave empty to use the one above"
    )
    return path_edit("or bundle", FileDialogMode.EXISTING_DIRECTORY, tooltip)


def generator_edit() -> FileEdit:
    """A generator that the user trained; it goes before the shipped ones."""
    tooltip = "a generator you trained: the bundle folder that ctinv train generator wrote; leave empty to use the one above"
    return path_edit("or its bundle", FileDialogMode.EXISTING_DIRECTORY, tooltip)


def device_box() -> ComboBox:
    """Where to compute; auto is CUDA where there is one."""
    return ComboBox(label="device", choices=DEVICES, value="auto")


def chosen_denoiser(denoiser: ComboBox, bundle: FileEdit) -> str:
    """The bundle folder if one is given, else the shipped name.

    Raises:
        InputError: Neither is there.
    """
    folder = chosen_path(bundle)
    if folder is not None:
        return str(folder)
    if denoiser.value is None:
        raise InputError("no denoiser is chosen; choose a shipped one or the folder of a bundle.")
    return str(denoiser.value)


def chosen_path(edit: FileEdit) -> Path | None:
    """The path in the field, None where it is empty."""
    value = edit.value
    return Path(value) if isinstance(value, Path) and str(value) not in ("", ".") else None
