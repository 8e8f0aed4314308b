"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from io import BytesIO
from pathlib import Path
from typing import Any

from ctinv.errors import ResourceError

PART = ".part"
"""Ending of the temporary name, for who cleans up after a killed process."""


def write_atomic(path: Path, content: bytes, *, parents: bool = False) -> None:
    """Write a file whole or not at all: temporary name in the same folder, fsync, rename, fsync of the folder.

    Args:
        path: The file.
        content: All of it.
        parents: Whether a missing folder is made.

    Raises:
        ResourceError: The disk is full or the folder cannot be written; an older file stays.
    """
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        raise ResourceError(
            f"{path.name} could not be written ({error.strerror}); free some space or choose another folder."
        ) from error


def replace_file(path: Path, content: bytes) -> None:
    """What `write_atomic` does in a folder that exists, with the operating system's own error.

    Raises:
        OSError: The disk refused; an older file stays.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        flush(path.parent)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file or a folder's list of names is on the disk (fsync)."""
    if os.name == "nt" and path.is_dir():
        return  # Windows has no fsync for folders
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_png(path: Path, figure: Any) -> None:
    """Write a figure of matplotlib whole or not at all; a missing folder is made.

    Args:
        path: The file.
        figure: A ``matplotlib.figure.Figure``.

    Raises:
        ResourceError: As for `write_atomic`.
    """
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    write_atomic(path, picture.getvalue(), parents=True)
