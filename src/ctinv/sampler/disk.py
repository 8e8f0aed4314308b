"""Folders and room: a study appears as a whole or not at all, and a full disk is said in one sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ctinv.atomic import flush
from ctinv.errors import ResourceError, StoreError

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MARGIN = 1.1


def is_free(folder: Path) -> bool:
    """Whether a study may be started here: nothing there, or an empty folder."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def check_room(folder: Path, needed: int) -> None:
    """Raise ResourceError unless the disk has this many bytes and a tenth more."""
    free = _free(folder)
    if free < needed * _MARGIN:
        raise ResourceError(
            f"{folder.name} needs about {megabytes(needed * _MARGIN)} of disk, {megabytes(free)} are free; "
            "free some or choose another disk or fewer samples."
        )


def create_folder(folder: Path, fill: Callable[[Path], None], *, needed: int = 0) -> None:
    """Let `fill` write into a hidden folder beside, then give it its name: nobody sees it half-written.

    Raises:
        StoreError: The disk is full or refuses.
    """
    with disk_errors(folder, needed=needed):
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
        try:
            fill(beside)
            _flush(beside)
            beside.chmod(0o777 & ~_umask())  # mkdtemp is private, a study is as readable as other folders
            with contextlib.suppress(FileNotFoundError):
                folder.rmdir()  # an empty one; a filled one makes this fail
            beside.rename(folder)
            flush(folder.parent)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise


@contextlib.contextmanager
def disk_errors(folder: Path, *, needed: int = 0, kept: int | None = None) -> Iterator[None]:
    """Say in one sentence what the disk refused, how much room was needed and what is kept."""
    try:
        yield
    except OSError as error:
        kept_text = "" if kept is None else f"; the {kept} finished samples are kept"
        if error.errno in _FULL:
            room = f"{megabytes(needed)} more are needed, " if needed else ""
            raise StoreError(
                f"the disk is full: {room}{megabytes(_free(folder))} are free for {folder.name}; "
                f"free some and repeat the same command{kept_text}."
            ) from error
        if error.errno in _GONE and kept is not None:
            raise StoreError(vanished(folder)) from error
        raise StoreError(f"{folder.name} cannot be written: {error.strerror or error}{kept_text}.") from error


def vanished(folder: Path) -> str:
    """What is said where a study is no longer at its place."""
    return (
        f"{folder.name} was moved, replaced or lost its disk while it was in use; bring it back and repeat the same "
        "command, which goes on from what it holds."
    )


def stays(folder: Path) -> Callable[[], None]:
    """A check that what is there now, a study or the folder it goes into, is there later: it is not begun anew unasked."""
    there = [path for path in (folder, folder.absolute().parent) if path.is_dir()]

    def check() -> None:
        if not all(path.is_dir() for path in there):
            raise StoreError(vanished(folder))

    return check


def megabytes(count: float) -> str:
    """Bytes in MB, for messages."""
    return f"{count / 1e6:.1f} MB"


def _flush(folder: Path) -> None:
    """fsync every file and folder below, and the folder itself."""
    for inner, _, files in os.walk(folder):
        for name in files:
            flush(Path(inner) / name)
        flush(Path(inner))


def _free(folder: Path) -> int:
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
