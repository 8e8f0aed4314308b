"""Damage to bytes and trees, drawn from a seeded generator: equal seeds give equal inputs on every machine."""

from __future__ import annotations

import ast
import copy
import math
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

CANARY = "Zebrafink"
DICTIONARIES = Path(__file__).parent / "dictionaries"
LENGTHS = (0, 1, -1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
_FORMATS = ("<H", "<I", "<Q", ">H", ">I", ">Q")
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-300, 1e-40, 1e30, 1e38, 1e300, math.nan, math.inf, -math.inf)
_LARGEST = 200_000  # bytes; a larger input only takes longer

Tokens = Sequence[bytes]
_Step = Callable[[Random, bytearray, Tokens], None]


def read_dictionary(name: str) -> tuple[bytes, ...]:
    """The tokens of a format, from a file as libFuzzer reads it too."""
    lines = (DICTIONARIES / f"{name}.dict").read_text(encoding="ascii").splitlines()
    return tuple(ast.literal_eval(f"b{line}") for line in lines if line.startswith('"'))


def _at(rng: Random, data: bytearray) -> int:
    """A place; the beginning, where headers lie, is as likely as the rest."""
    end = len(data) if rng.random() < 0.5 else min(len(data), 512)
    return rng.randrange(end) if end else 0


def _flip(rng: Random, data: bytearray, _tokens: Tokens) -> None:
    if data:
        data[_at(rng, data)] ^= 1 << rng.randrange(8)


def _set_byte(rng: Random, data: bytearray, _tokens: Tokens) -> None:
    if data:
        data[_at(rng, data)] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))


def _run(rng: Random, data: bytearray, _tokens: Tokens) -> None:
    start, count = _at(rng, data), rng.choice((2, 4, 8, 16, 64, 256))
    end = min(start + count, len(data))
    filler = rng.choice((None, 0, 0xFF))
    data[start:end] = rng.randbytes(end - start) if filler is None else bytes([filler]) * (end - start)


def _truncate(rng: Random, data: bytearray, _tokens: Tokens) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _delete(rng: Random, data: bytearray, _tokens: Tokens) -> None:
    start = _at(rng, data)
    del data[start : start + rng.choice((1, 2, 3, 4, 8, 32, 200))]


def _repeat(rng: Random, data: bytearray, _tokens: Tokens) -> None:
    start = _at(rng, data)
    part = bytes(data[start : start + rng.choice((1, 4, 16, 64, 256))])
    data[start:start] = part * rng.choice((1, 1, 2, 10, 200))


def _length(rng: Random, data: bytearray, _tokens: Tokens) -> None:
    """A number at any place becomes one that is wrong for a length."""
    kind = rng.choice(_FORMATS)
    size = struct.calcsize(kind)
    start = _at(rng, data)
    data[start : start + size] = struct.pack(kind, rng.choice(LENGTHS) % 2 ** (8 * size))


def _float(rng: Random, data: bytearray, _tokens: Tokens) -> None:
    kind = rng.choice(("<f", "<d", ">f", ">d"))
    value = rng.choice(_FLOATS)
    if kind[1] == "f" and math.isfinite(value) and abs(value) > 3e38:
        value = math.inf
    start = _at(rng, data)
    data[start : start + struct.calcsize(kind)] = struct.pack(kind, value)


def _token(rng: Random, data: bytearray, tokens: Tokens) -> None:
    if tokens:
        start, token = _at(rng, data), rng.choice(tokens)
        end = start + (len(token) if rng.random() < 0.5 else 0)
        data[start:end] = token


_STEPS: tuple[_Step, ...] = (
    _flip,
    _flip,
    _set_byte,
    _run,
    _truncate,
    _delete,
    _repeat,
    _length,
    _length,
    _float,
    _token,
    _token,
)


def mutate_bytes(rng: Random, data: bytes, others: Sequence[bytes] = (), tokens: Tokens = ()) -> bytes:
    """One to eight kinds of damage, now and then after a splice with another seed."""
    changed = bytearray(data)
    if others and rng.random() < 0.08:
        other = rng.choice(others)
        cut = rng.randrange(len(other) + 1)
        changed[rng.randrange(len(changed) + 1) :] = other[cut:]
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        rng.choice(_STEPS)(rng, changed, tokens)
    return bytes(changed[:_LARGEST])


LEAVES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 0.5, -0.0, 1e-300, 1e308, -1e308, math.nan, math.inf, -math.inf),
    *(65_536, 2**31, 2**32 - 1, 2**63, 2**64, -(2**63), 10**40),
    *(
        "",
        " ",
        "0",
        "-1",
        "nan",
        "HU",
        "CT",
        "true",
        "a" * 300,
        "é✓\U0001f600",
        "\0",
        "\ud800",
        "../../x",
        "/etc",
    ),
    *(
        "$import os",
        "$__import__('os').system('true')",
        "@network_def",
        "@",
        "%network_def",
        "%x.json::y",
        "_target_",
    ),
    *("ctinv.networks.CNN10", "monai.networks.nets.UNet", "os.system", "1,2:3,4:5", "9" * 400),
    *([], {}, [[]], [{}], [None], [0, 0], [1, 0], [-1], [math.nan] * 4, {"": 0}, {"a": {"a": {}}}),
)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all nodes below the root."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    found = []
    for key, value in inner:
        found += [(*path, key), *_places(value, (*path, key))]
    return found


def mutate_tree(rng: Random, tree: Any, leaves: Sequence[Any] = LEAVES) -> Any:
    """A copy of a JSON tree with one to four nodes replaced, deleted, renamed, moved, wrapped or made huge."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        places = _places(tree)
        if not places:
            return copy.deepcopy(rng.choice(leaves))
        *way, last = rng.choice(places)
        parent = tree
        for key in way:
            parent = parent[key]
        _mutate_node(rng, parent, last, leaves, tree, places)
    return tree


def _mutate_node(
    rng: Random, parent: Any, key: Any, leaves: Sequence[Any], tree: Any, places: list[tuple[Any, ...]]
) -> None:
    step = rng.choice(("replace", "replace", "replace", "delete", "rename", "move", "wrap", "number", "nest"))
    if step == "delete":
        del parent[key]
    elif step == "rename" and isinstance(parent, dict):
        parent[rng.choice((f"{key}x", str(key).upper(), "", "_target_", "$x"))] = parent.pop(key)
    elif step == "move":
        value = tree
        for part in rng.choice(places):
            value = value[part]
        parent[key] = copy.deepcopy(value)
    elif step == "wrap":
        parent[key] = rng.choice(([parent[key]], {"a": parent[key]}, [parent[key]] * 3, str(parent[key])))
    elif step == "number" and isinstance(parent[key], int | float):
        parent[key] = rng.choice((parent[key] + 1, -parent[key], parent[key] * 1e6, parent[key] / 3))
    elif step == "nest":
        value = parent[key]
        for _ in range(rng.choice((3, 30))):
            value = [value] if rng.random() < 0.5 else {"a": value}
        parent[key] = value
    else:
        parent[key] = copy.deepcopy(rng.choice(leaves))
