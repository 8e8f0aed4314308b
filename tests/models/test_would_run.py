"""The list of what a file would run, made from its opcodes and entries alone."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from ctinv.models.pickles import COMPUTED, pickle_calls
from ctinv.models.would_run import printable, what_would_run
from ctinv.training.start import build


class Call:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


CASES: dict[str, tuple[bytes, list[str], bool]] = {
    "protocol 0": (b"cposix\nsystem\n(S'x'\ntR.", ["posix.system"], True),
    "an instance": (b"(S'x'\nios\nsystem\n.", ["os.system"], True),
    "names from the memo": (
        b"\x80\x04"
        + text("system")
        + b"\x940"
        + text("posix")
        + b"\x94"
        + b"h\x00\x93"
        + text("x")
        + b"\x85R.",
        ["posix.system"],
        True,
    ),
    "names in another order": (
        b"\x80\x04" + text("posix") + text("system") + b"\x940\x94" + b"0" + b"h\x01" + b"h\x00\x93.",
        ["posix.system"],
        True,
    ),
    "a name that is doubled": (b"\x80\x04" + text("os") + b"2\x93.", ["os.os"], True),
    "a name that is computed": (
        b"\x80\x04" + text("os") + b"cbuiltins\nchr\nK\x61\x85R\x93.",
        ["builtins.chr", COMPUTED],
        True,
    ),
    "the registry": (b"\x80\x02\x82\x07.", ["extension 7 of the registry"], True),
    "two in a row": (b"K\x01.cos\nsystem\n.", ["os.system"], True),
    "no end": (b"cos\nsystem\n(", ["os.system"], False),
    "no pickle": (b"\xff\xff", [], False),
}


@pytest.mark.parametrize("case", CASES)
def test_the_names_of_a_pickle_are_found_without_running_it(case: str) -> None:
    content, names, complete = CASES[case]
    calls = pickle_calls(content)
    assert (calls.names, calls.complete) == (names, complete)


def test_names_are_those_that_the_unpickler_asks_for(tmp_path: Path) -> None:
    """The list against the real machine, for what Python itself writes."""
    asked: list[str] = []

    class Asking(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            asked.append(f"{module}.{name}")
            return lambda *_: None

    for protocol in range(6):
        content = pickle.dumps(
            [Call(print, Path("a")), Call(max, 1, 2), complex(1, 2), {3}], protocol=protocol
        )
        asked.clear()
        Asking(io.BytesIO(content)).load()
        assert pickle_calls(content).names == list(dict.fromkeys(asked))


def test_a_file_of_weights_has_nothing_to_tell(tmp_path: Path) -> None:
    state = build("CNN10", seed=3).state_dict()
    for old in (True, False):
        torch.save(
            {"state_dict": state, "epoch": 3}, tmp_path / "net.pt", _use_new_zipfile_serialization=not old
        )
        found = what_would_run(tmp_path / "net.pt")
        assert (found.kind, found.globals, found.code, found.complete) == ("pickle", (), {}, True)


def test_a_pickle_in_an_archive_in_an_archive_is_found(tmp_path: Path) -> None:
    inner = io.BytesIO()
    torch.save({"x": Call(print, "x")}, inner)
    with zipfile.ZipFile(tmp_path / "net.pt2", "w") as archive:
        archive.writestr("net/archive_format", "pt2")
        archive.writestr("net/data/sample_inputs/model.pt", inner.getvalue())
        archive.writestr("net/data/weights/weight_0", pickle.dumps(Call(max, 1, 2)))
    found = what_would_run(tmp_path / "net.pt2")
    assert found.kind == "exported program"
    assert {"__builtin__.print", "builtins.max"} <= set(found.globals)


def test_text_of_a_stranger_is_harmless_for_a_terminal() -> None:
    assert printable("a\x1b[1m\n\u202eb\u0430") == "a\\x1b[1m\\n\\u202eb\\u0430"
    assert printable("abcdef", most=4) == "abc…"
