"""Paired low- and full-dose patches, loaded by MONAI's dataset and transforms.

Batch k is a pure function of (seed, k): every patch draws from a random state of its own, made from (seed, k, its place
in the batch) and handed to MONAI's transforms, so that order, resuming and the number of readers change nothing.
Volumes stay in memory maps; a patch reads its own pixels only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.errors import InputError
from ctinv.names import bare
from ctinv.quality.fidelity import AIR_HU
from ctinv.training.digest import digest_of_facts

Target = Literal["full", "independent"]
_TRIES = 50


@dataclass(frozen=True, eq=False)
class Pair:
    """The same slices of one patient at two doses.

    Attributes:
        name: Neutral name.
        low, full: (Z, Y, X) HU, possibly memory-mapped.
        patient: What the split goes by; a neutral name too.
        spacing_mm: In-plane distance of pixels, NaN if unknown.
        photons_low: Photons per ray of the low dose, NaN if unknown.
    """

    name: str
    low: NDArray[np.generic]
    full: NDArray[np.generic]
    patient: str = ""
    spacing_mm: float = float("nan")
    photons_low: float = float("nan")


def open_pair(name: str, low: Path, full: Path) -> Pair:
    """Map two .npy files of equal (Z, Y, X) shape without reading them.

    Raises:
        InputError: A file is missing, is no plain array, the shapes differ, or a ``sha256`` among the facts is another.
    """
    arrays = []
    for path in (low, full):
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"expected {bare(path)} to be a NumPy array of HU for the pair {name}; write the pairs first."
            ) from error
        if array.ndim != 3 or array.dtype.kind not in "fiu":
            raise InputError(
                f"expected {bare(path)} to hold (Z, Y, X) HU, got {array.dtype} of shape {array.shape}."
            )
        arrays.append(array)
    if arrays[0].shape != arrays[1].shape:
        raise InputError(
            f"the doses of {name} have shapes {arrays[0].shape} and {arrays[1].shape}; both need the same."
        )
    facts = low.with_name(f"{name}.json")
    about = json.loads(facts.read_text(encoding="utf-8")) if facts.is_file() else {}
    if "sha256" in about and about["sha256"] != digest_of_facts(about, low, full):
        raise InputError(
            f"the arrays or facts of the pair {name} are not what their sha256 says; make them anew with "
            "scripts/prepare_training_data.py, or delete sha256 if you changed them."
        )
    spacing = about.get("spacing_mm") or [float("nan")] * 3
    patient = str(about.get("patient") or name)
    photons = float(about.get("photons_low") or "nan")
    return Pair(name, arrays[0], arrays[1], patient, float(spacing[-1]), photons)


def neighbours(low: NDArray[np.generic], z: int, slices: int) -> NDArray[np.float32]:
    """(S, H, W) HU: slice z between its neighbours, those at the ends repeated."""
    near = np.clip(np.arange(z - slices // 2, z + slices // 2 + 1), 0, len(low) - 1)
    return np.stack([np.asarray(low[int(n)], dtype=np.float32) for n in near])


def part_of(pair: Pair, first: int, last: int) -> Pair:
    """Slices ``first`` up to but without ``last`` of a pair.

    Raises:
        InputError: There are no such slices.
    """
    if not 0 <= first < last <= len(pair.low):
        raise InputError(
            f"the pair {pair.name} has {len(pair.low)} slices, {first}:{last} was asked for; correct the range."
        )
    return replace(pair, low=pair.low[first:last], full=pair.full[first:last])


def step_seed(seed: int, step: int, place: int = 0) -> int:
    """32 random bits for one patch of one step, independent of every other patch."""
    digest = hashlib.sha256(f"ctinv patches {seed} {step} {place}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


@dataclass(frozen=True)
class Augmentation:
    """What is done to patches besides cropping; all off by default.

    Attributes:
        flip: Flip and turn by 90° at random, both doses alike.
        noise_level: Range of the factor on the inserted noise, low ← full + factor·(low − full).
    """

    flip: bool = False
    noise_level: tuple[float, float] = (1.0, 1.0)


class PairedPatches:
    """Step to a batch of patches, ``(low, full)``, (B, S, P, P) and (B, 1, P, P) float32 HU.

    Slices are drawn with equal probability over all pairs, positions uniformly among patches of which at least the share
    ``body`` is not air.

    Args:
        pairs: At least one; slices must be at least as large as a patch.
        patch: P in pixels.
        batch: B.
        seed: Decides everything together with the step.
        body: Least share of pixels above air at full dose. After 50 misses the last draw is taken.
        air: HU below which a pixel counts as air.
        slices: S, neighbouring slices of the low dose; the last one is repeated at the ends of a scan.
        augmentation: None by default.
        target: ``"full"`` dose as published, or ``"independent"``: full − (low − full)·a/(1 − a), whose noise is
            uncorrelated with that of the low dose if the inserted noise has the scan's own covariance (Pang et al.,
            Recorrupted-to-Recorrupted, CVPR 2021).
        dose: a, the dose fraction of the low-dose side.

    Raises:
        InputError: No pair, or slices smaller than a patch; when called, a patch that is not finite.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        patch: int,
        batch: int,
        seed: int,
        body: float = 0.5,
        air: float = AIR_HU,
        slices: int = 1,
        augmentation: Augmentation | None = None,
        target: Target = "full",
        dose: float = 0.25,
    ) -> None:
        from monai.data import Dataset  # costs seconds, needed by a training only

        if not pairs:
            raise InputError("training needs at least one pair of low- and full-dose volumes.")
        for pair in pairs:
            if min(pair.low.shape[1:]) < patch:
                raise InputError(
                    f"the slices of {pair.name} are smaller than a patch of {patch} pixels; shrink the patch."
                )
        self.batch, self.seed, self._pairs = batch, seed, pairs
        self._transform = _transform(
            pairs, patch, body, air, slices, augmentation or Augmentation(), target, dose
        )
        items = [{"pair": number, "z": z} for number, pair in enumerate(pairs) for z in range(len(pair.low))]
        self._dataset = Dataset(items, self._transform)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Draw the batch of one step."""
        patches = [self._draw(step_seed(self.seed, step, place)) for place in range(self.batch)]
        low, full = (torch.stack([patch[side] for patch in patches]) for side in ("low", "full"))
        return low, full

    def fingerprint(self) -> str:
        """A sha256 of the first batch before any arithmetic but its own: other scans or another choice give another."""
        digest = hashlib.sha256()
        for side in self(0):
            digest.update(f"{tuple(side.shape)}".encode() + side.numpy().tobytes())
        return digest.hexdigest()

    def _draw(self, seed: int) -> dict[str, Tensor]:
        state = np.random.RandomState(seed)
        self._transform.set_random_state(state=state)
        index = int(state.randint(len(self._dataset)))
        found: dict[str, Tensor] = self._dataset[index]
        if not all(bool(torch.isfinite(found[side]).all()) for side in ("low", "full")):
            pair, z = self._pairs[self._dataset.data[index]["pair"]], self._dataset.data[index]["z"]
            raise InputError(
                f"slice {z + 1} of the pair {pair.name} or a neighbour of it holds NaN or infinite HU; mend the scan."
            )
        return found


def _transform(
    pairs: Sequence[Pair],
    patch: int,
    body: float,
    air: float,
    slices: int,
    augmentation: Augmentation,
    target: Target,
    dose: float,
) -> Any:
    """The chain from ``{"pair", "z"}`` to a pair of patches."""
    from monai.transforms import Compose, RandFlipd, RandRotate90d, ToTensord

    keys = ("low", "full")
    turns = [
        RandFlipd(keys, prob=0.5, spatial_axis=0),
        RandFlipd(keys, prob=0.5, spatial_axis=1),
        RandRotate90d(keys, prob=0.5, max_k=1),
    ]
    return Compose(
        [
            crop_of(pairs, patch, body=body, air=air, slices=slices),
            mixed(augmentation.noise_level, target=target, dose=dose),
            *(turns if augmentation.flip else []),
            ToTensord(keys, dtype=torch.float32, track_meta=False),
        ]
    )


def crop_of(
    pairs: Sequence[Pair], patch: int, *, body: float, air: float, slices: int
) -> Callable[[Mapping[Hashable, Any]], dict[Hashable, Any]]:
    """MONAI transform from ``{"pair", "z"}`` to ``{"low", "full"}``, (S, P, P) and (1, P, P) HU, enough of it body."""
    from monai.transforms import Randomizable, Transform

    class BodyCropd(Randomizable, Transform):
        """Reads only the pixels it crops, which MONAI's crops of a loaded image cannot."""

        def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
            pair, z = pairs[data["pair"]], int(data["z"])
            for _ in range(_TRIES):
                y, x = (int(self.R.randint(size - patch + 1)) for size in pair.full.shape[1:])
                place = (slice(y, y + patch), slice(x, x + patch))
                full = np.asarray(pair.full[z][place], dtype=np.float32)
                if float((full > air).mean()) >= body:
                    break
            low = neighbours(pair.low[(slice(None), *place)], z, slices)
            return {"low": low, "full": full[None]}

    return BodyCropd()


def mixed(
    levels: tuple[float, float], *, target: Target, dose: float
) -> Callable[[Mapping[Hashable, Any]], dict[Hashable, Any]]:
    """MONAI transform that scales the inserted noise of the low dose and makes the target; see `PairedPatches`."""
    from monai.transforms import Randomizable, Transform

    class Mixed(Randomizable, Transform):
        def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
            low, full = data["low"], data["full"]
            goal = full
            if target == "independent":
                middle = low[len(low) // 2 : len(low) // 2 + 1]
                goal = full - (middle - full) * (dose / (1 - dose))
            if levels != (1.0, 1.0):
                low = full + np.float32(self.R.uniform(*levels)) * (low - full)
            return {"low": low, "full": goal}

    return Mixed()
