"""Where pairs lie on disk: the folder of arrays that `scripts/prepare_training_data.py` writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ctinv.errors import InputError
from ctinv.training.data import Pair, open_pair, part_of

_RANGE = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<first>\d+):(?P<last>\d+)\])?")


def open_pairs(folder: Path, names: Sequence[str]) -> list[Pair]:
    """Map the named pairs, files ``NAME_low.npy`` and ``NAME_full.npy`` of a data folder.

    Args:
        folder: The data folder.
        names: ``"NAME"``, or ``"NAME[0:40]"`` for some of its slices.

    Raises:
        InputError: A pair is not there; the message lists those that are.
    """
    there = {path.name.removesuffix("_low.npy") for path in folder.glob("*_low.npy")}
    pairs = []
    for text in names:
        match = _RANGE.fullmatch(text)
        name = match["name"] if match else text
        if match is None or name not in there:
            known = ", ".join(sorted(there)) or "none"
            raise InputError(f"the data folder has no pair {text}; it has {known}.")
        pair = open_pair(name, folder / f"{name}_low.npy", folder / f"{name}_full.npy")
        pairs.append(part_of(pair, int(match["first"]), int(match["last"])) if match["first"] else pair)
    return pairs
