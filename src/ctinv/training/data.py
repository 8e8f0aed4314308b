"""Paired low- and full-dose patches from memory-mapped volumes.

Batch k is a pure function of (seed, k): it has a generator of its own, so that order, resuming and the number
of readers change nothing. Cropping is one index into a memory map; MONAI's random crops keep hidden random
state and are therefore not used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.errors import InputError

AIR_HU = -950.0  # between air (-1000 HU and its noise) and aerated lung (about -850 HU)
_TRIES = 50


@dataclass(frozen=True, eq=False)
class Pair:
    """The same slices of one patient at two doses: low and full, (Z, Y, X) HU, and a neutral name."""

    name: str
    low: NDArray[np.generic]
    full: NDArray[np.generic]


def open_pair(name: str, low: Path, full: Path) -> Pair:
    """Map two .npy files of equal (Z, Y, X) shape without reading them.

    Raises:
        InputError: A file is missing, is no plain array, or the shapes differ.
    """
    arrays = []
    for path in (low, full):
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"expected {path.name} to be a NumPy array of HU for the pair {name}; write the pairs first."
            ) from error
        if array.ndim != 3 or array.dtype.kind not in "fiu":
            raise InputError(
                f"expected {path.name} to hold (Z, Y, X) HU, got {array.dtype} of shape {array.shape}."
            )
        arrays.append(array)
    if arrays[0].shape != arrays[1].shape:
        raise InputError(
            f"the doses of {name} have shapes {arrays[0].shape} and {arrays[1].shape}; both need the same."
        )
    return Pair(name, arrays[0], arrays[1])


def open_pairs(folder: Path, names: Sequence[str]) -> list[Pair]:
    """Map the named pairs, files ``NAME_low.npy`` and ``NAME_full.npy`` of a data folder.

    Raises:
        InputError: A pair is not there; the message lists those that are.
    """
    there = {path.name.removesuffix("_low.npy") for path in folder.glob("*_low.npy")}
    for name in names:
        if name not in there:
            known = ", ".join(sorted(there)) or "none"
            raise InputError(f"the data folder has no pair {name}; it has {known}.")
    return [open_pair(name, folder / f"{name}_low.npy", folder / f"{name}_full.npy") for name in names]


def step_generator(seed: int, step: int) -> torch.Generator:
    """The random generator of one step, independent of every other step."""
    digest = hashlib.sha256(f"ctinv patches {seed} {step}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


class PairedPatches:
    """Step to a batch of patches, ``(low, full)``, each (B, 1, P, P) float32 HU.

    Slices are drawn with equal probability over all pairs, positions uniformly among patches of which at
    least the share ``body`` is not air; each patch is flipped and transposed at random, both doses alike.

    Args:
        pairs: At least one; slices must be at least as large as a patch.
        patch: P in pixels.
        batch: B.
        seed: Decides everything together with the step.
        body: Least share of pixels above air (-950 HU) at full dose. After 50 misses the last draw is taken.

    Raises:
        InputError: No pair, or slices smaller than a patch.
    """

    def __init__(
        self, pairs: Sequence[Pair], *, patch: int, batch: int, seed: int, body: float = 0.5
    ) -> None:
        if not pairs:
            raise InputError("training needs at least one pair of low- and full-dose volumes.")
        for pair in pairs:
            if min(pair.low.shape[1:]) < patch:
                raise InputError(
                    f"the slices of {pair.name} are smaller than a patch of {patch} pixels; shrink the patch."
                )
        self.pairs, self.patch, self.batch, self.seed, self.body = list(pairs), patch, batch, seed, body
        self._ends = np.cumsum([pair.low.shape[0] for pair in pairs])

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Draw the batch of one step."""
        generator = step_generator(self.seed, step)
        patches = [self._draw(generator) for _ in range(self.batch)]
        low, full = (torch.from_numpy(np.stack(side)[:, None]) for side in zip(*patches, strict=True))
        return low, full

    def _draw(self, generator: torch.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        for _ in range(_TRIES):
            slice_number = self._integer(int(self._ends[-1]), generator)
            which = int(np.searchsorted(self._ends, slice_number, side="right"))
            pair = self.pairs[which]
            z = slice_number - (int(self._ends[which - 1]) if which else 0)
            y, x = (self._integer(size - self.patch + 1, generator) for size in pair.low.shape[1:])
            place = (z, slice(y, y + self.patch), slice(x, x + self.patch))
            full = np.asarray(pair.full[place], dtype=np.float32)
            if float((full > AIR_HU).mean()) >= self.body:
                break
        low = np.asarray(pair.low[place], dtype=np.float32)
        symmetry = self._integer(8, generator)
        return _turned(low, symmetry), _turned(full, symmetry)

    @staticmethod
    def _integer(below: int, generator: torch.Generator) -> int:
        return int(torch.randint(below, (1,), generator=generator))


def _turned(image: NDArray[np.float32], symmetry: int) -> NDArray[np.float32]:
    """One of the eight symmetries of the square."""
    if symmetry & 1:
        image = image[::-1]
    if symmetry & 2:
        image = image[:, ::-1]
    return image.T if symmetry & 4 else image
