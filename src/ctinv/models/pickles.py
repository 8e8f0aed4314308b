"""What a pickle would call, read off its opcodes: nothing is unpickled.

The opcodes are followed on a stack of their own, on which only texts are known. A scanner can be fooled, so this is for
people to read and no protection: what is allowed is decided by `ctinv.models.weights` and by trust.
"""

from __future__ import annotations

import io
import pickletools  # nosec B403  # reads opcodes, runs none
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

COMPUTED = "a name that is only computed when it is loaded"
_TEXTS = {
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
}
_GETS, _PUTS = {"GET", "BINGET", "LONG_BINGET"}, {"PUT", "BINPUT", "LONG_BINPUT"}
_MOST_PICKLES = 20  # torch's old format has five in a row
_DEPTH = 3  # archives in archives
_UNREADABLE = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    zlib.error,
)


@dataclass
class Calls:
    """What pickles would call.

    Attributes:
        names: In the order of their first appearance, ``"module.name"``.
        complete: Whether the files could be followed to their ends.
    """

    names: list[str] = field(default_factory=list)
    complete: bool = True

    def add(self, name: str) -> None:
        """Note one, once."""
        if name not in self.names:
            self.names.append(name)


def pickle_calls(content: bytes) -> Calls:
    """Everything that the pickles of a file name: a bare pickle, several in a row, or those in a zip archive."""
    calls = Calls()
    _of_file(content, calls, depth=0)
    return calls


def _of_file(content: bytes, calls: Calls, *, depth: int) -> None:
    if content[:4] != b"PK\x03\x04":
        _of_pickles(content, calls)
        return
    for name, inner in archive_files(content, calls):
        if inner[:4] == b"PK\x03\x04":
            if depth < _DEPTH:
                _of_file(inner, calls, depth=depth + 1)
            else:
                calls.complete = False
        elif name.endswith(".pkl") or inner[:1] == b"\x80":
            _of_pickles(inner, calls)


def archive_files(content: bytes, calls: Calls, *, limit: int = 50_000_000) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files of a zip archive that may hold pickles or code; plain numbers are left out.

    Args:
        content: Of the archive.
        calls: Is marked as incomplete where the archive cannot be read to its end.
        limit: Bytes of one file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                try:
                    if not entry.filename.endswith((".pkl", ".pt", ".py", ".json")):
                        with archive.open(entry) as file:
                            if not file.read(4).startswith((b"PK\x03\x04", b"\x80")):
                                continue
                    if entry.file_size > limit:
                        calls.complete = False
                        continue
                    yield entry.filename, archive.read(entry)
                except _UNREADABLE:
                    calls.complete = False  # torch reads archives whose checksums are wrong
    except _UNREADABLE:
        calls.complete = False


def _of_pickles(content: bytes, calls: Calls) -> None:
    stream = io.BytesIO(content)
    for number in range(_MOST_PICKLES):
        if stream.tell() >= len(content):
            return
        try:
            _follow(stream, calls)
        except Exception:  # pickletools raises what it likes for a malformed file
            calls.complete = calls.complete and number > 0  # weights follow the pickles of torch's old format
            return


def _follow(stream: io.BytesIO, calls: Calls) -> None:
    """Follow one pickle to its STOP."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, value, _ in pickletools.genops(stream):
        name, argument = opcode.name, cast(Any, value)
        if name in ("GLOBAL", "INST"):
            calls.add(str(argument).replace(" ", ".", 1))
        elif name == "STACK_GLOBAL":
            pair = stack[-2:]
            known = len(pair) == 2 and all(isinstance(part, str) for part in pair)
            calls.add(".".join(pair) if known else COMPUTED)
        elif name.startswith("EXT"):
            calls.add(f"extension {argument} of the registry")
        if name == "MEMOIZE":
            memo[len(memo)] = stack[-1] if stack else None
        elif name in _PUTS:
            memo[int(argument)] = stack[-1] if stack else None
        elif name == "DUP":
            stack.append(stack[-1] if stack else None)
        else:
            _move(opcode, stack)
            if name in _TEXTS:
                stack[-1] = argument
            elif name in _GETS:
                stack[-1] = memo.get(int(argument))


def _move(opcode: pickletools.OpcodeInfo, stack: list[Any]) -> None:
    """Take from the stack what an opcode takes, and put unknown values for what it gives."""
    before, after = opcode.stack_before, opcode.stack_after
    if pickletools.markobject in before:
        while stack and stack.pop() is not pickletools.markobject:
            pass
        before = before[: before.index(pickletools.markobject)]
    for _ in before:
        if stack:
            stack.pop()
    stack.extend(pickletools.markobject if one is pickletools.markobject else None for one in after)
