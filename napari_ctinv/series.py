"""Which series of a folder to open: what there is to choose from, in words, and the layer of the one chosen."""

from __future__ import annotations

from pathlib import Path

from napari_ctinv.layers import LayerTuple, volume_layer
from napari_ctinv.reader import is_study


def choices(folder: Path) -> list[str]:
    """One line for each series where a folder holds several, else nothing: count, matrix, spacing, kernel, time, warning.

    Raises:
        SeriesError: A file or a folder cannot be opened.
    """
    from ctinv.io.dicom import list_series

    infos = [] if is_study(folder) else list_series(folder)
    return [str(info) for info in infos] if len(infos) > 1 else []


def chosen_layer(folder: Path, choice: str) -> LayerTuple:
    """The layer of the series that a line of `choices` stands for.

    Raises:
        SeriesError: The series cannot be read.
    """
    from ctinv.io.dicom import read_series

    return volume_layer(read_series(folder, choice.partition(":")[0]))
