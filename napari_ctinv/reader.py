"""Readers: a DICOM folder or file, NIfTI, NRRD or MetaImage, or one of our studies, to layers.

Each `get_…` looks at names and a few bytes only and answers None for what is not ours.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ctinv.errors import ChoiceError
from napari_ctinv.layers import LayerTuple, study_layers, volume_layer
from napari_ctinv.sniffing import is_dicom, is_image, is_study
from napari_ctinv.telling import NO_LAYERS, tells

PathOrPaths = str | list[str]
Reader = Callable[[PathOrPaths], list[LayerTuple]]

SNIFFED_FILES = 200
"""Files of a folder that are looked at before it counts as one without DICOM."""


def get_reader(path: PathOrPaths) -> Reader | None:
    """The reader for a path, or None at once if it is not ours."""
    paths = [Path(entry) for entry in ([path] if isinstance(path, (str, os.PathLike)) else path)]
    if not paths:
        return None
    first = paths[0]
    if len(paths) == 1 and is_study(first):
        return read_study
    if len(paths) == 1 and is_image(first) and first.is_file():
        return read_image
    if first.is_dir():
        return read_dicom if len(paths) == 1 and any(map(is_dicom, _some_files(first))) else None
    return read_dicom if all(map(is_dicom, islice(paths, SNIFFED_FILES))) else None


@tells
def read_dicom(path: PathOrPaths) -> list[LayerTuple]:
    """The series in a folder, or the series that one of its files belongs to.

    Of several series the user chooses one in a viewer's window; without one they are told.
    """
    from ctinv.io.dicom import read_series

    first = _first(path)
    try:
        volume = read_series(first)
    except ChoiceError:
        window = _window()
        if window is None:
            raise
        number = _ask(first, window)
        if number is None:
            return NO_LAYERS
        volume = read_series(first, number)
    return [volume_layer(volume)]


@tells
def read_image(path: PathOrPaths) -> list[LayerTuple]:
    """A NIfTI, NRRD or MetaImage volume in HU."""
    from ctinv.io import read

    return [volume_layer(read(_first(path)))]


@tells
def read_study(path: PathOrPaths) -> list[LayerTuple]:
    """A stored study: x, f(x), maps and samples, without any network."""
    from ctinv.sampler import Store
    from napari_ctinv.arrival import show_in_current_viewer

    store = Store.open(_first(path))
    show_in_current_viewer()
    return study_layers(store)


def _window() -> Any:
    """The window of the current viewer where one is on the screen, else None; napari is not imported to find out."""
    napari = sys.modules.get("napari")
    if napari is None or threading.current_thread() is not threading.main_thread():
        return None
    viewer = napari.current_viewer()
    window = None if viewer is None else viewer.window._qt_window
    return window if window is not None and window.isVisible() else None


def _ask(path: Path, window: Any) -> str | None:
    """The number of the series that the user chooses, None if none."""
    from ctinv.io.previews import previews
    from napari_ctinv.chooser import choose_series

    return choose_series(list(previews(path)), window)


def _some_files(folder: Path) -> Iterator[Path]:
    """The first files below a folder; links are not followed."""
    files = (Path(parent) / name for parent, _folders, names in os.walk(folder) for name in sorted(names))
    return islice(files, SNIFFED_FILES)


def _first(path: PathOrPaths) -> Path:
    return Path(path if isinstance(path, (str, os.PathLike)) else path[0])
