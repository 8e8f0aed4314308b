"""TorchScript and exported programs: code that runs when they are loaded, or when they are asked."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from attack_pickles import Call
from attack_place import Place, attack
from torch import Tensor, nn


class WritesAtLoad(nn.Module):
    """TorchScript runs ``__setstate__`` while it loads."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.table = torch.zeros(8)

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.path = state[0]
        self.training = state[1]
        self.table = torch.from_file(self.path, True, 8).fill_(1.0)

    def forward(self, image: Tensor) -> Tensor:
        return image * self.table[0]


class WritesWhenAsked(nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, image: Tensor) -> Tensor:
        return image * torch.from_file(self.path, True, 8).fill_(1.0)[0]


class ReadsWhenAsked(nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, image: Tensor) -> Tensor:
        return image + torch.from_file(self.path, False, 1)[0]


def script(network: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(network).save(str(path))
    return path


@attack("TorchScript: writes while it is loaded", naive="torch.jit.load", trusted=True)
def at_load(place: Place) -> Path:
    return script(WritesAtLoad(str(place.mark)), place.folder / "net.ts")


@attack("TorchScript: under the name of weights", naive="torch.jit.load")
def as_weights(place: Place) -> Path:
    return script(WritesAtLoad(str(place.mark)), place.folder / "net.pt")


@attack("TorchScript: writes when it is asked", naive="torch.jit.load", trusted=True)
def when_asked(place: Place) -> Path:
    return script(WritesWhenAsked(str(place.mark)), place.folder / "net.torchscript")


@attack("TorchScript: reads when it is asked", trusted=True)
def reads(place: Place) -> Path:
    return script(ReadsWhenAsked(str(place.secret)), place.folder / "net.ts")


@attack("TorchScript: wrong checksums", trusted=True)
def wrong_crc(place: Place) -> Path:
    path = at_load(place)
    content = bytearray(path.read_bytes())
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        content[at + 16] ^= 255
        at = content.find(b"PK\x01\x02", at + 4)
    path.write_bytes(bytes(content))
    return path


@attack("TorchScript: records that lead out", naive="torch.jit.load", trusted=True)
def records(place: Place) -> Path:
    path = at_load(place)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"net/extra/../../../../{place.mark.name}", b"x")
        archive.writestr("net/code/../../../evil.py", place.code)
    return path


@attack("TorchScript: a pickle among its constants")
def constants(place: Place) -> Path:
    return _with(at_load(place), "constants.pkl", _pickled(place))


def _pickled(place: Place) -> bytes:
    file = io.BytesIO()
    torch.save(Call(exec, place.code), file)
    return file.getvalue()


def _with(path: Path, ending: str, content: bytes) -> Path:
    """The archive with one entry replaced."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    names = [name for name in entries if name.endswith(ending)]
    assert names, sorted(entries)
    with zipfile.ZipFile(path, "w") as archive:
        for name, old in entries.items():
            archive.writestr(name, content if name == names[0] else old)
    return path


def exported(place: Place) -> Path:
    path = place.folder / "net.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program: Any = torch.export.export(nn.Conv2d(1, 1, 3, padding=1), (torch.zeros(1, 1, 64, 64),))
        torch.export.save(program, str(path))
    return path


@attack("exported program: a pickle among its sample inputs", naive="torch.export.load", trusted=True)
def sample_inputs(place: Place) -> Path:
    return _with(exported(place), "data/sample_inputs/model.pt", _pickled(place))


@attack("exported program: a pickle as a weight")
def weight(place: Place) -> Path:
    return _with(exported(place), "data/weights/weight_0", _pickled(place))


@attack("exported program: under the name of weights", naive="torch.export.load")
def program_as_weights(place: Place) -> Path:
    return sample_inputs(place).rename(place.folder / "net.pt")


@attack("exported program: the old layout with pickles", trusted=True)
def old_layout(place: Place) -> Path:
    path = place.folder / "net.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", "1.4")
        archive.writestr("serialized_exported_program.json", "{}")
        for name in ("state_dict", "constants", "example_inputs"):
            archive.writestr(f"serialized_{name}.pt", _pickled(place))
    return path


@attack("exported program: os.system in its constants' configuration")
def constants_config(place: Place) -> Path:
    return _with(
        exported(place),
        "model_constants_config.json",
        f'{{"config": {{"a": "{os.sep}{place.shell}"}}}}'.encode(),
    )
