"""Messages between parent and child: lengths first, then a JSON head and blobs. Nothing is unpickled on either side."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import IO, Any

_MOST_PARTS = 1 << 16


class FramesError(Exception):
    """The other side ended, or sent what is no message."""


def write_frames(
    stream: IO[bytes], head: Mapping[str, Any], blobs: Sequence[bytes | memoryview] = ()
) -> None:
    """Send one message.

    Args:
        stream: A pipe.
        head: JSON values.
        blobs: Bytes that follow.
    """
    parts = [json.dumps(head).encode(), *blobs]
    stream.write(struct.pack(f"<{len(parts) + 1}Q", len(parts), *(memoryview(part).nbytes for part in parts)))
    for part in parts:
        stream.write(part)
    stream.flush()


def read_frames(stream: IO[bytes], *, limit: int) -> tuple[dict[str, Any], list[bytes]]:
    """Receive one message of at most `limit` bytes.

    Raises:
        FramesError: The stream ended, or the message is too large or none.
    """
    (count,) = struct.unpack("<Q", _exactly(stream, 8))
    if not 1 <= count <= _MOST_PARTS:
        raise FramesError("no message")
    lengths = struct.unpack(f"<{count}Q", _exactly(stream, 8 * count))
    if sum(lengths) > limit:
        raise FramesError("too large a message")
    head, *blobs = (_exactly(stream, length) for length in lengths)
    try:
        found = json.loads(head)
    except (ValueError, RecursionError):
        raise FramesError("no JSON") from None
    if not isinstance(found, dict):
        raise FramesError("no JSON object")
    return found, blobs


def _exactly(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if data is None or len(data) != length:
        raise FramesError("the stream ended")
    return data
