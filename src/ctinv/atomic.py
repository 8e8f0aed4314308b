"""Files and folders that are written whole or not at all: temporary name beside, fsync, rename, fsync of the folder.

A process that is killed leaves the older file, and perhaps a hidden ``.NAME.….part`` that nothing reads.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from ctinv.errors import InputError, ResourceError
from ctinv.statement import png_text, statement

PART = ".part"
"""Ending of the temporary name, for who cleans up after a killed process."""
_NO_ROOM = (errno.ENOSPC, errno.EFBIG, *([errno.EDQUOT] if hasattr(errno, "EDQUOT") else []))
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def replacing(path: Path, *, parents: bool = False, size: int | None = None) -> Iterator[Path]:
    """A temporary name whose file takes the place of ``path`` once the block has ended well.

    Args:
        path: The file.
        parents: Whether a missing folder is made.
        size: Bytes that will be written, for the sentence of a full disk.

    Raises:
        ResourceError: The disk is full or the folder cannot be written; an older file stays.
    """
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with _taking_place(path) as part:
            yield part
    except OSError as error:
        raise refusal(path, error, size=size) from error


@contextmanager
def creating(folder: Path, *, parents: bool = False) -> Iterator[Path]:
    """A hidden folder beside that takes the name of ``folder`` once the block has ended well.

    Args:
        folder: The folder; it must not exist or be empty.
        parents: Whether missing folders above are made.

    Raises:
        InputError: Something is there already, or there is no folder to make it in.
        ResourceError: The disk is full or refuses; nothing is left.
    """
    refuse_existing(folder, parents=parents)
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}{PART}")
    try:
        part.mkdir(parents=parents)
        yield part
        for inner, _, files in os.walk(part):
            for name in files:
                flush(Path(inner) / name)
            flush(Path(inner))
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
        flush(folder.parent)
    except OSError as error:
        raise refusal(folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def refuse_existing(path: Path, *, parents: bool = False) -> None:
    """Raise InputError where something would be overwritten, or, unless it may be made, there is no folder for it."""
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise InputError(f"{path.name} exists already; choose another name or delete it first.")
    if not parents and not path.absolute().parent.is_dir():
        raise InputError(
            f"there is no folder {path.absolute().parent.name} to write {path.name} into; make it first."
        )


def write_atomic(path: Path, content: bytes, *, parents: bool = False) -> None:
    """Write a file whole or not at all: temporary name in the same folder, fsync, rename, fsync of the folder.

    Args:
        path: The file.
        content: All of it.
        parents: Whether a missing folder is made.

    Raises:
        ResourceError: The disk is full or the folder cannot be written; an older file stays.
    """
    with replacing(path, parents=parents, size=len(content)) as part:
        part.write_bytes(content)


def replace_file(path: Path, content: bytes) -> None:
    """What `write_atomic` does in a folder that exists, with the operating system's own error.

    Raises:
        OSError: The disk refused; an older file stays.
    """
    with _taking_place(path) as part:
        part.write_bytes(content)


@contextmanager
def _taking_place(path: Path) -> Iterator[Path]:
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{PART}")
    try:
        yield part
        flush(part)
        part.replace(path)
        flush(path.parent)
    finally:
        with suppress(
            OSError
        ):  # the folder has gone, or nothing may be written any more: nothing more can be done
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


def sweep(folder: Path, *, older_than_s: float) -> None:
    """Remove what killed writers left in a folder and below, unless it is so young that its writer may live."""
    for left in list(folder.rglob(f".*{PART}")):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime < older_than_s:
                continue
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()


def refusal(path: Path, error: OSError, *, size: int | None = None) -> ResourceError:
    """What an operating system's refusal to write means, in one sentence.

    Args:
        path: The file that was to be written.
        error: The refusal.
        size: Bytes that it needs.
    """
    text, folder = f"{path.name} could not be written ({error.strerror or 'disk error'})", path.parent
    if error.errno in _NO_ROOM:
        wants = [f"it needs {in_words(size)}"] if size is not None else []
        if error.errno == errno.ENOSPC and folder.is_dir():
            wants.append(f"{in_words(shutil.disk_usage(folder).free)} are free")
        detail = f": {', '.join(wants)}" if wants else ""
        return ResourceError(f"{text}{detail}; free some space or choose another folder.")
    if error.errno in (errno.ENOENT, errno.ENOTDIR) and not folder.is_dir():
        return ResourceError(f"{text}: the folder {folder.name} is gone; begin again in another folder.")
    if error.errno in _NO_RIGHT:
        return ResourceError(f"{text}; allow writing into {folder.name} or choose another folder.")
    return ResourceError(f"{text}; check the disk or choose another folder.")


def in_words(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"


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


def write_svg(path: Path, figure: Any) -> None:
    """Write a figure of matplotlib as SVG, whole or not at all: equal figures make equal files, without a date.

    Args:
        path: The file.
        figure: A ``matplotlib.figure.Figure``.

    Raises:
        ResourceError: As for `write_atomic`.
    """
    from matplotlib import rc_context

    picture = BytesIO()
    facts = {"Date": None, "Creator": "ctinv", "Title": "ctinv", "Description": statement()}
    with rc_context({"svg.hashsalt": "ctinv", "svg.fonttype": "path"}):
        figure.savefig(picture, format="svg", metadata=facts)
    write_atomic(path, picture.getvalue(), parents=True)
