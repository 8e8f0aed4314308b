"""Every failure is one sentence."""

from __future__ import annotations

import pytest

from ctinv.errors import ResourceError
from napari_ctinv.telling import in_plain_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ResourceError("the region needs 9 GB and 4 GB are free; choose a smaller one."), "needs 9 GB"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "memory was not enough"),
        (MemoryError(), "memory was not enough"),
        (OSError(28, "No space left on device"), "No space left"),
        (RuntimeError("deep inside"), "unexpectedly"),
        (ZeroDivisionError(), "unexpectedly"),
    ],
)
def test_every_failure_is_one_sentence(error: Exception, words: str) -> None:
    message = in_plain_words(error, "What is finished is kept.")
    assert words in message
    assert len(message) <= 200
    assert "\n" not in message
