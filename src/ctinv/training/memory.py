"""Memory that was not enough: recognised whoever says so, and said in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ctinv.errors import ResourceError

# The GPU's allocators, the CPU's on Linux and on Windows, and the libraries that ask for workspace themselves.
_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was not enough: Python's, NumPy's, or that of one of torch's allocators."""
    cause: BaseException | None = error
    while cause is not None:  # MONAI wraps what its transforms raise
        if isinstance(cause, MemoryError):
            return True
        if isinstance(cause, RuntimeError) and any(word in str(cause).lower() for word in _WORDS):
            return True
        cause = cause.__cause__
    return False


def too_little(batch: int, patch: int, kept: str) -> ResourceError:
    """The sentence of a training that memory was not enough for.

    Args:
        batch: Patches per step.
        patch: Their edge in pixels.
        kept: What of the run is kept.
    """
    return ResourceError(
        f"memory was not enough for batches of {batch} patches of {patch} pixels; free some, or lower batch or patch and "
        f"begin anew. {kept}"
    )


@contextmanager
def enough(batch: int, patch: int) -> Iterator[None]:
    """Turn whatever says that memory was not enough into the one sentence.

    Raises:
        ResourceError: It was not.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise too_little(batch, patch, "The last checkpoint, if there is one, is kept.") from None
