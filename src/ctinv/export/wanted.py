"""What of a study is exported: which samples, images and maps, checked against what the study holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctinv.errors import InputError

if TYPE_CHECKING:
    from ctinv.report import Study

IMAGES = ("scan", "denoised", "mean")
"""x, f(x) and the mean of x̃, over the region."""
MAPS = ("spread", "worst", "eta")
"""σ of x̃, the largest feed-back error with its halo, and the lesion map η."""


@dataclass(frozen=True)
class Wanted:
    """A choice; None stands for whatever the study holds and the format takes.

    Attributes:
        samples: Rows k.
        images: Names of `IMAGES`.
        maps: Names of `MAPS`.
    """

    samples: tuple[int, ...] | None = None
    images: tuple[str, ...] | None = None
    maps: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for kind, names, known in (("image", self.images, IMAGES), ("map", self.maps, MAPS)):
            for name in names or ():
                if name not in known:
                    raise InputError(f"there is no {kind} {name!r}; choose from {', '.join(known)}.")
        for chosen in (self.samples, self.images, self.maps):
            if chosen is not None and len(set(chosen)) != len(chosen):
                raise InputError(
                    "something is chosen twice for the export; name each sample, image and map once."
                )


@dataclass(frozen=True)
class Choice:
    """What will be written, in this order, and why something is not.

    Attributes:
        samples: Rows k.
        images: Names of `IMAGES`.
        maps: Names of `MAPS`.
        left_out: Name to reason, of what was not asked for by name.
    """

    samples: tuple[int, ...]
    images: tuple[str, ...]
    maps: tuple[str, ...]
    left_out: dict[str, str]


def choose(study: Study, wanted: Wanted, takes: Sequence[str]) -> Choice:
    """The choice for a format that takes some of ``samples``, ``images`` and ``maps``.

    Raises:
        InputError: What was asked for by name is not there or not taken, or nothing is left to write.
    """
    for kind in ("samples", "images", "maps"):
        if kind not in takes and getattr(wanted, kind):
            raise InputError(f"this format holds no {kind}; it takes {' and '.join(takes)}.")
    there = tuple(certificate.k for certificate in study.certificates)
    samples = there if wanted.samples is None else wanted.samples
    for k in samples:
        if k not in there:
            raise InputError(f"the study has no sample {k}; it holds {len(there)} samples.")
    absent = _absent(study)
    maps = MAPS if wanted.maps is None else wanted.maps
    images = IMAGES if wanted.images is None else wanted.images
    asked = {*(wanted.maps or ()), *(wanted.images or ())}
    for name in (*images, *maps):
        if name in absent and name in asked:
            raise InputError(f"the study has no {name}: {absent[name]}.")
    choice = Choice(
        samples if "samples" in takes else (),
        tuple(name for name in images if name not in absent and "images" in takes),
        tuple(name for name in maps if name not in absent and "maps" in takes),
        {name: why for name, why in absent.items() if name in (*images, *maps) and _taken(name, takes)},
    )
    if not (choice.samples or choice.images or choice.maps):
        raise InputError("nothing is chosen that the study holds; name samples, images or maps to export.")
    return choice


def _taken(name: str, takes: Sequence[str]) -> bool:
    return ("images" if name in IMAGES else "maps") in takes


def _absent(study: Study) -> dict[str, str]:
    """What this study cannot give, with the reason."""
    absent = {}
    count = len(study.certificates)
    if count == 0:
        absent["mean"] = absent["worst"] = "it has no finished sample yet"
    if count < 2:
        absent["spread"] = "that takes two samples or more"
    if study.provenance.domain == "target":
        absent["worst"] = "its samples are images of the target domain and are not fed back"
    if study.setting.eta is None:
        absent["eta"] = "the lesion map was not evaluated"
    return absent


def parse_rows(text: str) -> tuple[int, ...] | None:
    """Rows from ``"0,3,5"``, none from ``"none"`` or nothing, and None, for all, from ``"all"``.

    Raises:
        InputError: It is something else.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == ["all"]:
        return None
    if words == ["none"]:
        return ()
    if not all(word.isascii() and word.isdigit() for word in words):
        raise InputError(f"expected sample numbers such as 0,3,5, or all, or none, got {text[:40]!r}.")
    return tuple(int(word) for word in words)
