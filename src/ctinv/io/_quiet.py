"""Silence for the libraries below: their warnings and logs quote header values, which may name a patient."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("pydicom", "pylibjpeg", "libjpeg", "openjpeg", "rle", "jpeg_ls", "highdicom", "nibabel")
_ABOVE_ALL = logging.CRITICAL + 1


@contextmanager
def quiet() -> Iterator[None]:
    """Swallow warnings and log records of the DICOM and NIfTI libraries inside the block."""
    # A level is inherited by the loggers of submodules, a filter is not.
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(_ABOVE_ALL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
