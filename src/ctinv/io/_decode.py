"""Compressed frames are decoded in a child process: codecs crash on damaged streams, and panic in Rust.

A child serves one frame at a time and is kept for the next series; it is given the compressed stream and what the header
says of the matrix, and nothing that identifies anybody.
"""

from __future__ import annotations

import atexit
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from ctinv.child import Child, ChildFailed, Message, TaskError

MEMORY = 2**30
"""Bytes that a codec may take; a frame of 4096 x 4096 takes a tenth of it."""
SECONDS = 15.0
_IDLE = 2
_KINDS = ("i1", "u1", "<i2", "<u2", "<i4", "<u4")

_lock = threading.Lock()
_idle: list[Child] = []


class DecodeError(Exception):
    """The stream cannot be decoded."""


class CodecUnavailable(Exception):
    """No child process could be started."""


def decode_frame(stream: bytes, *, syntax: UID, plugin: str, image: dict[str, Any]) -> NDArray[Any]:
    """Decode one compressed frame.

    Args:
        stream: The frame's codestream.
        syntax: Its transfer syntax.
        plugin: Which of pydicom's decoding plugins to use.
        image: Values of the image pixel attributes by keyword.

    Returns:
        (rows, columns) stored integers, in the shape that the codec found.

    Raises:
        DecodeError: It is damaged, or takes more memory or time than any frame of a CT.
        CodecUnavailable: No child process could be started.
    """
    child = _take()
    try:
        head, (pixels,) = child.call({"syntax": str(syntax), "plugin": plugin, "image": image}, [stream])
        if head["dtype"] not in _KINDS:
            raise DecodeError
        array = np.frombuffer(pixels, dtype=head["dtype"]).reshape(head["shape"])
    except (ChildFailed, TaskError, ValueError, KeyError, TypeError):
        raise DecodeError from None
    finally:
        _give_back(child)
    return array


def _take() -> Child:
    with _lock:
        while _idle:
            child = _idle.pop()
            if child.alive:
                return child
            child.close()
    try:
        return Child("ctinv.io._decode:decode_task", memory=MEMORY, seconds=SECONDS)
    except ChildFailed as error:
        raise CodecUnavailable from error


def _give_back(child: Child) -> None:
    with _lock:
        if child.alive and len(_idle) < _IDLE:
            _idle.append(child)
            return
    child.close()


@atexit.register
def _close_all() -> None:
    with _lock:
        while _idle:
            _idle.pop().close()


def decode_task(head: dict[str, Any], blobs: list[bytes]) -> Message:
    """The child's side of `decode_frame`."""
    dataset = Dataset()
    for keyword, value in head["image"].items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(head["syntax"])
    dataset.NumberOfFrames = 1
    dataset.PixelData = encapsulate([blobs[0]])
    dataset["PixelData"].is_undefined_length = True
    try:
        pixels, _ = get_decoder(dataset.file_meta.TransferSyntaxUID).as_array(
            dataset, index=0, raw=True, decoding_plugin=head["plugin"]
        )
    except BaseException as error:  # panics of codecs in Rust are no Exception
        raise TaskError("damaged") from error
    little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    return {"dtype": little.dtype.str.replace("|", ""), "shape": pixels.shape}, [little.tobytes()]
