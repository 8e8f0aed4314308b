"""The card: what a file of weights does not say of itself, in a small TOML or JSON file.

    network = "REDCNN"            # a class of this package, or monai.networks.nets.…; not where the file is a network itself
    arguments = { channels = 96 } # of the class; literals
    range_hu = [-1024, 3071]      # the network sees this window as 0 to 1; or mean_hu and std_hu; or offset_hu = 1024
    clip_hu = [-1024, 3071]       # the input is clipped to this before the network sees it
    slices = 3                    # neighbouring slices as channels
    multiple = 16                 # the image is padded to a multiple of this, padding = "edge" or "reflect"
    predicts = "noise"            # the network's output is subtracted from its input
    taps = { bottom = "model.1" } # names for layers; those that can be tapped are found where none is given
    unit = "HU"                   # of the images; for another one read that unit wherever HU stands here
    name = "my_network"
    flat_check = false            # for a network that moves flat levels on purpose

Every way of writing a convention comes down to two numbers: the network sees ``(HU - mean) / std``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctinv.errors import ModelError
from ctinv.models.files import inside, read_object
from ctinv.models.found import NAME, SLICES, SMALLEST_STD, is_number
from ctinv.models.literals import Definition

_SUFFIXES = (".card.toml", ".card.json")
_BESIDE = ("card.toml", "card.json")
_PADDINGS = {"edge": "replicate", "reflect": "reflect"}


@dataclass(frozen=True)
class Convention:
    """The network sees (HU - mean) / std; said in words by ``text``."""

    mean: float
    std: float
    text: str


@dataclass(frozen=True)
class Card:
    """What is declared of a network; everything may be left out.

    Attributes:
        network: Class of the weights.
        arguments: Literal arguments of the class.
        convention: How HU become what the network sees; None where nothing is declared.
        clip: (low, high) HU that the input is clipped to.
        slices: Neighbouring slices as channels.
        multiple: Multiple that sides are padded to; None where nothing is declared.
        padding: ``"replicate"`` or ``"reflect"``, as torch calls them.
        predicts: ``"image"`` or ``"noise"``.
        taps: Tap name to submodule path; None where they are to be found.
        name: Short name; None where the file's is to be used.
        unit: Of the images.
        flat_check: Whether flat levels must be kept.
    """

    network: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    convention: Convention | None = None
    clip: tuple[float, float] | None = None
    slices: int = 1
    multiple: int | None = None
    padding: str = "replicate"
    predicts: str = "image"
    taps: dict[str, str] | None = None
    name: str | None = None
    unit: str = "HU"
    flat_check: bool = True


def read_card(card: str | Path | Mapping[str, Any] | None, source: Path | None) -> Card:
    """The card that is given, or else the one beside the source, or else an empty one.

    ``net.pt`` has its card in ``net.card.toml`` or ``net.card.json``, a folder in ``card.toml`` or ``card.json`` inside.

    Raises:
        ModelError: The card is no valid file, or says something that no card can say.
    """
    if isinstance(card, Mapping):
        return parse_card(card)
    path = Path(card) if card is not None else _beside(source)
    return Card() if path is None else parse_card(read_object(path))


def _beside(source: Path | None) -> Path | None:
    if source is None:
        return None
    places = (
        [source / name for name in _BESIDE]
        if source.is_dir()
        else [source.with_name(source.stem + suffix) for suffix in _SUFFIXES]
    )
    there = [place for place in places if inside(place.parent, place.name).is_file()]
    if len(there) > 1:
        raise ModelError(f"there are two cards, {there[0].name} and {there[1].name}; keep one of them.")
    return there[0] if there else None


def parse_card(said: Mapping[str, Any]) -> Card:
    """A card from what its file holds.

    Raises:
        ModelError: A key is unknown or a value is none that the key can have.
    """
    unknown = sorted(said.keys() - _KEYS)
    if unknown:
        raise ModelError(
            f"the card has the unknown key {unknown[0][:16]!r}; it may have {', '.join(sorted(_KEYS))}."
        )
    multiple = _get(
        said, "multiple", lambda v: _is_whole(v) and 1 <= v <= 256, "a whole number from 1 to 256", None
    )
    padding = _get(said, "padding", lambda v: _is_text(v) and v in _PADDINGS, "'edge' or 'reflect'", "edge")
    return Card(
        network=_get(said, "network", _is_text, "the name of a class", None),
        arguments=_arguments(said.get("arguments", {})),
        convention=_convention(said),
        clip=_pair(said, "clip_hu"),
        slices=_get(said, "slices", lambda v: _is_whole(v) and v in SLICES, "1, 3, 5 or 7", 1),
        multiple=multiple,
        padding=_PADDINGS[padding],
        predicts=_get(said, "predicts", lambda v: v in ("image", "noise"), "'image' or 'noise'", "image"),
        taps=_get(said, "taps", _is_names, "a table of tap names and layer paths", None),
        name=_get(
            said, "name", lambda v: _is_text(v) and NAME.fullmatch(v), "1 to 40 letters, digits, - or _", None
        ),
        unit=_get(said, "unit", lambda v: _is_text(v) and len(v) <= 20, "a short text such as HU", "HU"),
        flat_check=_get(said, "flat_check", lambda v: isinstance(v, bool), "true or false", True),
    )


_KEYS = {
    "network",
    "arguments",
    "mean_hu",
    "std_hu",
    "range_hu",
    "offset_hu",
    "clip_hu",
    "slices",
    "multiple",
    "padding",
    "predicts",
    "taps",
    "name",
    "unit",
    "flat_check",
}


def _get(said: Mapping[str, Any], key: str, fits: Callable[[Any], Any], expected: str, default: Any) -> Any:
    if key not in said:
        return default
    if not fits(said[key]):
        raise ModelError(f"{key} in the card must be {expected}, got {str(said[key])[:40]!r}.")
    return said[key]


def _arguments(given: Any) -> dict[str, Any]:
    """Arguments as literals, by the rules for a bundle's."""
    if not isinstance(given, Mapping):
        raise ModelError("arguments in the card must be a table of names and values.")
    return Definition({"network_def": {"_target_": "card", **given}}).read()[1]


def _convention(said: Mapping[str, Any]) -> Convention | None:
    ways = [key for key in ("mean_hu", "std_hu", "range_hu", "offset_hu") if key in said]
    if not ways:
        return None
    if ways == ["mean_hu", "std_hu"]:
        mean = _get(said, "mean_hu", is_number, "a number of HU", None)
        std = _get(
            said, "std_hu", lambda v: is_number(v) and v >= SMALLEST_STD, "a positive number of HU", None
        )
        return Convention(float(mean), float(std), f"(HU − ({mean:g})) / {std:g}, as the card says")
    if ways == ["range_hu"]:
        window = _pair(said, "range_hu")
        assert window is not None
        low, high = window
        return Convention(low, high - low, f"{low:g} to {high:g} HU as 0 to 1, as the card says")
    if ways == ["offset_hu"]:
        offset = _get(said, "offset_hu", is_number, "a number of HU", None)
        return Convention(-float(offset), 1.0, f"HU + {offset:g}, as the card says")
    raise ModelError(
        f"the card says {' and '.join(ways)}; say mean_hu and std_hu, or range_hu, or offset_hu."
    )


def _pair(said: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    pair = _get(said, key, _is_window, "two rising numbers of HU", None)
    return None if pair is None else (float(pair[0]), float(pair[1]))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 120


def _is_window(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(map(is_number, value))
        and value[1] - value[0] >= SMALLEST_STD
    )


def _is_names(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(path, str) for name, path in value.items()
    )
