"""The page of a report: one HTML file that holds everything it shows."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ctinv.jsonable import dumps
from ctinv.report import words
from ctinv.report.figures.style import Plate
from ctinv.report.references import REFERENCES

WORST = 10
READERS = {
    "F1": "for every reader",
    "F2": "for the CT physicist",
    "F3": "for the assessor",
    "F4": "for the assessor",
    "F5": "for every reader",
    "F6": "for the ML engineer",
    "F7": "for the ML engineer",
    "F8": "for the assessor",
}


def render(
    content: Mapping[str, Any],
    figures: Mapping[str, Plate],
    pictures: Mapping[str, bytes],
    *,
    seal: str,
    drawn_with: Mapping[str, str],
) -> bytes:
    """The page as UTF-8, a function of its arguments alone.

    Args:
        content: That of the record.
        figures: The figures with their texts.
        pictures: PNG by ``figure/panel``.
        seal: sha256 of the content.
        drawn_with: Versions of what drew the pictures.
    """
    environment = Environment(
        loader=PackageLoader("ctinv.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(number=words.figure, percent=words.percent)
    source, _, _ = environment.loader.get_source(environment, "style.css")  # type: ignore[union-attr]
    text = environment.get_template("page.html").render(
        content=content,
        summary=content["summary"],
        provenance=content["provenance"],
        unit=content["unit"],
        state=words.state(content),
        stamp=words.stamp(content),
        asked=words.asked(content),
        answer=words.answer(content),
        counts=words.counts(content),
        ways=words.ways(content),
        worst=words.by_badness(content)[:WORST],
        failing=words.failing(content),
        figures=figures,
        readers=READERS,
        sources={name: _source(picture) for name, picture in pictures.items()},
        settings=settings(content),
        references=REFERENCES,
        seal=seal,
        drawn_with=drawn_with,
        record=dumps({"provenance": content["provenance"], "scalars": content["scalars"]}, indent=1),
        style=Markup(source),  # nosec B704  # the style sheet of this package
    )
    return text.encode()


def _source(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")


def settings(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was set and used, as label and text; nothing names a person or a place."""
    provenance = content["provenance"]
    versions = ", ".join(f"{name} {version}" for name, version in provenance["versions"].items())
    slices = f"{provenance['slices']} slice{'' if provenance['slices'] == 1 else 's'}"
    return [
        ("network", f"{provenance['denoiser']}, {slices} at a time"),
        *_hashes("weights of the network", provenance["weights_sha256"]),
        ("tap", provenance["tap"]),
        ("generator of candidates", provenance["generator"]),
        *_hashes("weights of the generator", provenance["generator_sha256"]),
        *_tolerances(content),
        ("seed of the samples; of the nulls", f"{provenance['seed']}; {content['report_seed']}"),
        *_scan(content),
        *_plain("acquisition", content["acquisition"]),
        *_plain("C", provenance["noise"]),
        ("sampled with", f"{versions}, on {provenance['device']}"),
        ("study key", content["summary"]["key"]),
    ]


def _tolerances(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    provenance, unit = content["provenance"], content["unit"]
    window = f"{words.figure(provenance['window_hu'])} {unit} ({provenance['window_source']})"
    stored = words.figure(content["quantum"]) + f" {unit}" if content["quantum"] else "float32"
    return [
        ("tier and ε", f"{provenance['tier']}, {words.tolerance(content)}"),
        ("display window of T2", window),
        ("step of stored numbers", f"{words.figure(provenance['step'])} {unit}; of samples {stored}"),
    ]


def _scan(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    provenance = content["provenance"]
    voxels = " × ".join(str(side) for side in provenance["volume_shape"])
    size = " × ".join(words.figure(value, 4) for value in content["spacing_mm"])
    return [
        ("region (slice, rows, columns)", provenance["box"]),
        ("scan", f"{content['modality']}, {voxels} voxels (slices, rows, columns) of {size} mm"),
        ("series, sha256 of its UID", provenance["series"]),
    ]


def _plain(label: str, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Single values only; lists stay in the record."""
    return [
        (f"{label}: {name.replace('_', ' ')}", words.figure(value, 4))
        for name, value in facts.items()
        if isinstance(value, (int, float, str))
    ]


def _hashes(label: str, hashes: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(f"{label}: {name}", f"sha256 {value}") for name, value in hashes.items()]
