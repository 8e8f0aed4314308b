"""Corruptions of a study: one at a time, of any kind of file, by a seed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ctinv.sampler.manifest import JOURNAL, ROOT


def flip(file: Path, rng: np.random.Generator) -> None:
    content = bytearray(file.read_bytes())
    bit = int(rng.integers(8 * len(content)))
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


def truncate(file: Path, rng: np.random.Generator) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(rng.integers(1, len(content)))])


def empty(file: Path, _: np.random.Generator) -> None:
    file.write_bytes(b"")


def delete(file: Path, _: np.random.Generator) -> None:
    file.unlink()


def edit(file: Path, rng: np.random.Generator) -> None:
    """Another digit in a number."""
    content = file.read_bytes()
    digit = rng.choice(list(re.finditer(rb"(?<![0-9a-zA-Z\"])\d", content)))
    new = (int(digit[0]) + int(rng.integers(1, 10))) % 10
    file.write_bytes(content[: digit.start()] + str(new).encode() + content[digit.end() :])


def duplicate(file: Path, rng: np.random.Generator) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    k = int(rng.integers(len(lines)))
    file.write_bytes(b"".join([*lines[: k + 1], *lines[k:]]))


def cut(file: Path, rng: np.random.Generator) -> None:
    """One to five whole lines gone, from the middle or the end."""
    lines = file.read_bytes().splitlines(keepends=True)
    k, count = int(rng.integers(len(lines))), int(rng.integers(1, 6))
    file.write_bytes(b"".join(lines[:k] + lines[k + count :]))


def reorder(file: Path, rng: np.random.Generator) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    one, other = rng.choice(len(lines), 2, replace=False)
    lines[one], lines[other] = lines[other], lines[one]
    file.write_bytes(b"".join(lines))


ANY: tuple[Callable[[Path, np.random.Generator], None], ...] = (flip, truncate, empty, delete)
LINES = (duplicate, cut, reorder, edit)


def files_of(study: Path) -> list[str]:
    return sorted(path.relative_to(study).as_posix() for path in study.rglob("*") if path.is_file())


def damage(study: Path, rng: np.random.Generator) -> tuple[str, set[str]]:
    """One corruption: what was done, and the files it hit."""
    files = files_of(study)
    kinds = {
        "root": [ROOT],
        "metadata": [name for name in files if name.endswith(f"/{ROOT}")],
        "journal": [JOURNAL],
        "samples": [name for name in files if name.startswith(("x_tilde/c", "feedback_error/c"))],
        "planes": [
            name for name in files if "/c/" in name and not name.startswith(("x_tilde", "feedback_error"))
        ],
    }
    kind = str(rng.choice(list(kinds)))
    name = str(rng.choice(kinds[kind]))
    ways = [*ANY]
    if kind == "journal":
        ways += LINES
    elif kind in ("root", "metadata"):
        ways += [edit]
    if kind != "journal" and rng.random() < 0.25:
        others = [other for other in files if (study / other).read_bytes() != (study / name).read_bytes()]
        same = [other for other in others if other.rpartition("/")[2] == name.rpartition("/")[2]]
        other = str(rng.choice(same))
        one, two = (study / name).read_bytes(), (study / other).read_bytes()
        (study / name).write_bytes(two)
        (study / other).write_bytes(one)
        return f"swap {name} {other}", {name, other}
    way = ways[int(rng.integers(len(ways)))]
    way(study / name, rng)
    return f"{way.__name__} {name}", {name}
