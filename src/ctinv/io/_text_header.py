"""Text headers of NRRD and MetaImage files: bounded, each field once, and data files only beside the header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import SeriesError
from ctinv.io._files import bare

MAX_HEADER = 2**20
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?nan|[-+]?inf(?:inity)?"


def read_head(path: Path) -> bytes:
    """The first MAX_HEADER bytes of a file.

    Raises:
        SeriesError: The file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_HEADER)
    except OSError as error:
        raise SeriesError(
            f"{bare(path)} cannot be read ({error.strerror or 'input/output error'}); check the disk and rights."
        ) from None


def damaged(path: Path, what: str) -> SeriesError:
    """The error for a header that breaks the rules of its format; `what` is a field or a phrase, never a value."""
    return SeriesError(
        f"the header of {bare(path)} cannot be read: {what} is missing or damaged; export the file again."
    )


def numbers(text: str, count: int, field: str, path: Path) -> NDArray[np.float64]:
    """Exactly this many decimal numbers, separated by white space.

    Raises:
        SeriesError: There are more, fewer or other things.
    """
    words = text.split()
    if len(words) != count or not all(re.fullmatch(_NUMBER, word, re.IGNORECASE) for word in words):
        raise damaged(path, f"the field {field!r}")
    return np.array([float(word) for word in words])


def whole_numbers(text: str, count: int, field: str, path: Path) -> list[int]:
    """Exactly this many whole numbers of up to 18 digits.

    Raises:
        SeriesError: There are more, fewer or other things.
    """
    words = text.split()
    if len(words) != count or not all(re.fullmatch(r"[-+]?\d{1,18}", word) for word in words):
        raise damaged(path, f"the field {field!r}")
    return [int(word) for word in words]


def one_of(fields: Mapping[str, str], names: tuple[str, ...], path: Path) -> str | None:
    """The value of a field that has several names.

    Raises:
        SeriesError: Two of the names are there with different values.
    """
    values = {" ".join(fields[name].split()) for name in names if name in fields}
    if len(values) > 1:
        raise SeriesError(f"{bare(path)} states {names[0]!r} twice and differently; correct its header.")
    return values.pop() if values else None


def beside(path: Path, name: str) -> Path:
    """The data file that a header names, which must lie in the header's own folder, links followed.

    Raises:
        SeriesError: It is elsewhere, missing, no regular file, or the name stands for several files.
    """
    data = path.parent / name
    try:
        fits = (
            Path(name).name == name
            and "\\" not in name
            and data.is_file()
            and data.resolve().parent == path.parent.resolve()
        )
    except (OSError, ValueError):
        fits = False
    if not fits:
        raise SeriesError(
            f"the voxels of {bare(path)} must lie in one file beside it; that file is missing or elsewhere."
        )
    return data
