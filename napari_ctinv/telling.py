"""Errors in the viewer: one sentence, and no trace.

napari answers an exception with a notification whose trace prints the variables of every frame, which hold the header of
the scan and the path of its folder. So inside a viewer a reader tells its sentence and returns no layer.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any

from ctinv import crash
from ctinv.errors import CtinvError
from napari_ctinv.layers import LayerTuple

logger = logging.getLogger(__name__)

NO_LAYERS: list[Any] = [(None,)]
"""What a reader returns that has seen to the path and has nothing to show."""

Read = Callable[[Any], list[LayerTuple]]


def tells(read: Read) -> Read:
    """A reader that says what goes wrong, in a viewer as a notification, elsewhere as an exception without its past."""

    @functools.wraps(read)
    def told(path: Any) -> list[LayerTuple]:
        try:
            return read(path)
        except Exception as error:
            sentence = in_plain_words(error)
            kind = type(error) if isinstance(error, CtinvError) else CtinvError
        if _has_viewer():
            from napari.utils.notifications import show_error

            show_error(sentence)
            return NO_LAYERS
        raise kind(sentence)

    return told


def in_plain_words(error: Exception, kept: str = "") -> str:
    """One sentence for the user; where an error came from that this package did not foresee goes to the log.

    Args:
        error: What was raised.
        kept: A second sentence for what was not foreseen.
    """
    if isinstance(error, CtinvError):
        return str(error)
    logger.error("unforeseen error\n%s", crash.report(error))
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        said = "the memory was not enough; choose a smaller region or the CPU."
    elif isinstance(error, OSError):
        said = f"a file could not be read or written ({error.strerror or type(error).__name__})."
    else:
        said = f"the run failed unexpectedly ({type(error).__name__}); the log has the details."
    return f"{said} {kept}".strip()


def _has_viewer() -> bool:
    """Whether a viewer is open; napari is not imported to find out."""
    napari = sys.modules.get("napari")
    return napari is not None and getattr(napari, "current_viewer", lambda: None)() is not None
