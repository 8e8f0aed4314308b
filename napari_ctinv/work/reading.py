"""Read a scan, with progress, away from the viewer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctinv.errors import ChoiceError
from ctinv.progress import Progress
from ctinv.volume import Volume
from napari_ctinv.placement import canonical
from napari_ctinv.sniffing import is_image

if TYPE_CHECKING:
    from ctinv.io.previews import Preview


@dataclass(frozen=True)
class ReadRequest:
    """Which scan to read.

    Attributes:
        path: A DICOM folder or file, NIfTI, NRRD or MetaImage.
        uid: Which series of a folder, by its neutral number (``"#2"``); needed only where there are several.
    """

    path: Path
    uid: str | None = None


def read_scan(request: ReadRequest, report: Progress) -> Iterator[Volume | Preview]:
    """Read the scan, or look at each series where a folder holds several and none was named.

    Yields:
        One Volume with its axes in the viewer's order, or one Preview for each series.

    Raises:
        SeriesError: The path holds no scan that can be shown in its right place.
    """
    report("opening", 0.0)
    volume = _volume(request, report)
    if volume is not None:
        yield canonical(volume)
        return
    from ctinv.io.previews import previews

    yield from previews(request.path, progress=report)


def _volume(request: ReadRequest, report: Progress) -> Volume | None:
    """The scan; None where a series must be chosen first."""
    if is_image(request.path):
        from ctinv.io import read

        return read(request.path)
    from ctinv.io.dicom import read_series

    try:
        return read_series(request.path, request.uid, progress=report)
    except ChoiceError:
        if request.uid is not None:
            raise
        return None
