"""Silence for the libraries below: their warnings and logs quote header values, which may name a patient."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_LOGGERS = frozenset(
    (
        "pydicom",
        "pylibjpeg",
        "libjpeg",
        "openjpeg",
        "rle",
        "jpeg_ls",
        "gdcm",
        "highdicom",
        "nibabel",
        "itk",
        "zarr",
        "PIL",
    )
)
_ABOVE_ALL = logging.CRITICAL + 1
_LOCK = threading.Lock()
_inside = 0
_restore = ExitStack()


@contextmanager
def quiet() -> Iterator[None]:
    """Swallow warnings and log records of the DICOM and NIfTI libraries inside the block.

    Filters and levels belong to the process: the first thread in saves them, the last one out restores them. A logger
    below one of theirs that was given a level of its own, or whose root had debugging on, is silent too.
    """
    global _inside
    with _LOCK:
        _inside += 1
        if _inside == 1:
            _silence(_restore)
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0:
                _restore.close()


def _silence(restore: ExitStack) -> None:
    restore.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    for name in {*_LOGGERS, *logging.root.manager.loggerDict}:
        if name.partition(".")[0] in _LOGGERS:
            # A level is inherited by loggers that come to be inside the block, a filter is not.
            logger = logging.getLogger(name)
            restore.callback(logger.setLevel, logger.level)
            logger.setLevel(_ABOVE_ALL)
