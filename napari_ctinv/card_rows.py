"""The card of a network in words: rows of a label and a text, for people to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from napari_ctinv.work.network import NetworkFacts

Row = tuple[str, str]
_HASH_DIGITS = 16
_LONGEST = 600  # characters of what a bundle says of itself


def card_rows(card: NetworkFacts) -> list[Row]:
    """All of it, in the order in which one asks."""
    return [(label, _plain(text)) for label, text in _rows(card)]


def _rows(card: NetworkFacts) -> Iterator[Row]:
    facts, origin = card.facts, card.origin
    unit = facts["unit"]
    yield "name", str(facts["name"])
    yield "class", str(facts["network"])
    yield "parameters", f"{facts['parameters']:,}"
    yield "unit", str(unit)
    mean, std = facts["mean_hu"], facts["std_hu"]
    yield (
        "convention",
        f"sees (x {'+' if mean < 0 else '−'} {_number(abs(mean))} {unit}) / {_number(std)} {unit}",
    )
    yield "known how", "; ".join(facts["how"]) or "the bundle says it"
    yield "slices", f"{facts['slices']}" + (", the middle one is denoised" if facts["slices"] > 1 else "")
    levels = ", ".join(f"{_number(float(level))} → {_number(back)}" for level, back in facts["flat"].items())
    yield "flat images", f"{levels} {unit}"
    flops = facts["flops_per_megapixel"]
    if flops is not None:
        yield "cost", f"{flops / 1e9:.1f} GFLOP per million pixels"
    for tap, about in facts["taps"].items():
        yield f"tap {tap}", _tap(about)
    for name, digest in facts["weights_sha256"].items():
        yield name, f"sha256 {digest[:_HASH_DIGITS]}…"
    yield from _origin(origin)


def _origin(origin: Mapping[str, Any]) -> Iterator[Row]:
    training = origin.get("training", {})
    words = {"train": "trained on", "validate": "validated on", "test": "tested on"}
    for name, label in words.items():
        if isinstance(training.get(name), list) and training[name]:
            yield label, ", ".join(map(str, training[name]))
    rest = {
        name: value
        for name, value in training.items()
        if name not in words and isinstance(value, (int, float, str)) and not isinstance(value, bool)
    }
    if rest:
        yield (
            "training",
            ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in rest.items()),
        )
    for name in ("description", "data_source", "intended_use", "authors", "copyright"):
        if name in origin:
            yield name.replace("_", " "), str(origin[name])
    if "references" in origin:
        yield "references", "; ".join(origin["references"])


def _tap(about: Mapping[str, Any]) -> str:
    radius, shape = about["receptive_radius"], about["shape"]
    grid = " × ".join(map(str, shape)) if shape else "shape unknown"
    if isinstance(radius, str):
        return f"{grid}; sees the {radius}" if radius == "whole image" else f"{grid}; {radius}"
    return f"{grid}; sees {2 * radius + 1} × {2 * radius + 1} pixels"


def _number(value: Any) -> str:
    return f"{value:.4g}".replace("-", "−") if isinstance(value, (int, float)) else str(value)


def _plain(text: str) -> str:
    """Without control characters, and not endless: a stranger's bundle may say anything."""
    shown = "".join(one if one.isprintable() else " " for one in text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
