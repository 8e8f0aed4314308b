"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

from ctinv.errors import ResourceError
from ctinv.statement import png_text


def write_atomic(path: Path, content: bytes, *, parents: bool = False) -> None:
    """Write a file whole or not at all: temporary name in the same folder, fsync, rename.

    Args:
        path: The file.
        content: All of it.
        parents: Whether a missing folder is made.

    Raises:
        ResourceError: The disk is full or the folder cannot be written; an older file stays.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ResourceError(
            f"{path.name} could not be written ({error.strerror}); free some space or choose another folder."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def write_png(path: Path, figure: Any) -> None:
    """Write a figure of matplotlib whole or not at all; a missing folder is made.

    Args:
        path: The file.
        figure: A ``matplotlib.figure.Figure``.

    Raises:
        ResourceError: As for `write_atomic`.
    """
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=100, metadata=png_text())
    write_atomic(path, picture.getvalue(), parents=True)
