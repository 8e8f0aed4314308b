"""The output folder of a training: made, held by one process at a time, and cleared of what killed ones left."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctinv.atomic import sweep
from ctinv.errors import InputError
from ctinv.sampler.lock import WriterLock


@contextmanager
def held_folder(out: Path) -> Iterator[None]:
    """The right to write into an output folder, which is made if needed, for the time of a training.

    Raises:
        InputError: It cannot be made or written.
        StoreError: Another training writes into it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = WriterLock(out)
    except OSError as error:
        raise InputError(
            f"the output folder {out.name} cannot be made or written ({error.strerror}); choose another."
        ) from error
    try:
        sweep(out, older_than_s=-math.inf)  # whoever held the folder before is gone
        yield
    finally:
        lock.release()
