"""The series of a folder with one small picture each, to choose by eye; one file of each series is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import SeriesError
from ctinv.io import _pixels
from ctinv.io._choose import Group
from ctinv.io._headers import Header
from ctinv.io._quiet import quiet
from ctinv.io.dicom import SeriesInfo, listed
from ctinv.progress import Progress
from ctinv.windows import Window, default_window


@dataclass(frozen=True, eq=False)
class Preview:
    """One choice in a folder, to look at.

    Attributes:
        info: What the headers say.
        image: (H, W) uint8, the middle slice in its window with square pixels; None if it cannot be decoded.
        window: That window, in the unit of the series; None without an image.
    """

    info: SeriesInfo
    image: NDArray[np.uint8] | None = None
    window: Window | None = None


def previews(
    folder: str | Path, *, edge: int = 128, modality: str | None = None, progress: Progress | None = None
) -> Iterator[Preview]:
    """The series that `ctinv.io.dicom.list_series` lists, in its order, each as soon as its picture is made.

    Args:
        folder: A folder, or a file in it.
        edge: Longer edge of the pictures in pixels.
        modality: What is looked for, as in `read_series`.
        progress: Called with a phrase and the share that is done.

    Raises:
        SeriesError: There is no such folder, or a file in it cannot be opened.
    """
    with quiet():
        found = listed(Path(folder), modality, progress)
    for done, (group, info) in enumerate(found):
        if progress is not None:
            progress("reading pictures", done / len(found))
        with quiet():
            preview = _preview(group, info, edge)
        yield preview


def _preview(group: Group, info: SeriesInfo, edge: int) -> Preview:
    header = _middle(group)
    if header.problem:
        return Preview(info)
    try:
        values = _slice(header)
    except SeriesError:  # said in full when this series is chosen
        return Preview(info)
    window = default_window(values, header.acquisition.window, header.unit)
    shown = np.clip((values - window.limits[0]) / window.width, 0.0, 1.0)
    image = np.rint(255 * _thumbnail(shown, header, edge)).astype(np.uint8)
    return Preview(info, image, window)


def _middle(group: Group) -> Header:
    """The slice in the middle along the normal; of slices without a place the middle one in file order."""
    headers = group.headers
    first = headers[0].orientation
    along = np.array([header.position for header in headers]) @ np.cross(first[:3], first[3:])
    order = np.argsort(along) if np.isfinite(along).all() else np.arange(len(headers))
    return headers[order[len(order) // 2]]


def _slice(header: Header) -> NDArray[np.float32]:
    """(rows, columns) in the unit of the series."""
    _pixels.check_claims([header])
    values = np.empty((header.rows, header.columns), dtype=np.float32)
    for _, stored in _pixels.slices([header]):
        _pixels.stored_to_hu(stored, header, values)
    return values


def _thumbnail(shown: NDArray[np.float32], header: Header, edge: int) -> NDArray[np.float32]:
    """At most edge x edge, in the true proportions; each pixel is the mean around it, so noise does not alias."""
    from scipy import ndimage

    rows_mm, columns_mm = (float(value) for value in header.pixel_spacing)
    if not (isfinite(rows_mm) and isfinite(columns_mm)):
        rows_mm = columns_mm = 1.0
    size = np.array([header.rows * rows_mm, header.columns * columns_mm])
    target = np.maximum(np.rint(size * edge / size.max()).astype(int), 1)
    step = np.array(shown.shape) / target
    smooth = ndimage.uniform_filter(shown, np.maximum(np.rint(step).astype(int), 1), mode="nearest")
    rows, columns = ((np.arange(n) + 0.5) * s for n, s in zip(target, step, strict=True))
    return smooth[np.ix_(rows.astype(int), columns.astype(int))]
