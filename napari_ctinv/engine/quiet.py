"""No long stops of Python's garbage collector while the engine works.

With a viewer open, one full collection looks at a million objects and stops the interface for 0.2 s or more. While there is
work, what exists is set aside, so that collections look at new objects only.
"""

from __future__ import annotations

import gc
import threading

_lock = threading.Lock()
_runs = 0


def begin() -> None:
    """Work has begun."""
    global _runs
    with _lock:
        _runs += 1
        if _runs == 1:
            gc.freeze()


def end() -> None:
    """Work has ended; with the last one everything is looked at again."""
    global _runs
    with _lock:
        _runs -= 1
        if _runs == 0:
            gc.unfreeze()
