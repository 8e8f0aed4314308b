"""Memory that was not enough for a training, said in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ctinv.errors import ResourceError
from ctinv.fibre.memory import is_out_of_memory


def ran_out(error: BaseException) -> bool:
    """Whether an error, or one that it wraps, says that memory was not enough; MONAI wraps what its transforms raise."""
    cause: BaseException | None = error
    while cause is not None and not is_out_of_memory(cause):
        cause = cause.__cause__
    return cause is not None


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
        if not ran_out(error):
            raise
        raise too_little(batch, patch, "The last checkpoint, if there is one, is kept.") from None
