"""Samples, scan, f(x) and mean as derived CT series, and maps as Parametric Map objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.export.content import QUANTITIES, TITLES, facts_of, image_of, map_of, sample_facts, standing
from ctinv.export.wanted import Choice
from ctinv.io.dicom_write import Source, source_of, write_series
from ctinv.io.parametric_map import Grid, write_parametric_map
from ctinv.progress import Progress
from ctinv.report import Study
from ctinv.volume import Volume, uid_of

_NUMBERS = {"scan": 1, "denoised": 2, "mean": 3, "spread": 11, "worst": 12, "eta": 13}
_FIRST_SAMPLE = 100
_HIGHEST, _LOWEST = 32767, -32768


@dataclass(frozen=True, eq=False)
class Series:
    """One image on its way into a folder of DICOM files."""

    name: str
    hu: NDArray[np.float32]
    description: str
    number: int
    facts: dict[str, object]


def check_template(study: Study, template: Path) -> Source:
    """The scan a file belongs to, if it is the scan of this study.

    Raises:
        SeriesError: It is no readable DICOM file.
        InputError: It is a file of another series: its patient's name must not come onto this study.
    """
    source = source_of(template)
    assert source is not None
    if source.series != study.provenance.series:
        raise InputError(
            "the file to take the identity from belongs to another series than this study's scan; name a file of that "
            "scan."
        )
    return source


def write_images(
    study: Study,
    choice: Choice,
    folder: Path,
    *,
    template: Source | None,
    seed_text: str | None,
    progress: Progress,
) -> None:
    """One folder with a derived CT series for each image and each sample."""
    for series, share in _series(study, choice):
        progress(f"writing {series.name.replace('_', ' ')}", share)
        write_series(
            _volume(study, series),
            folder / series.name,
            description=series.description,
            template=template,
            derived={**series.facts, **facts_of(study)},
            slope=slope_for(series.hu, study.setting.quantum),
            seed_text=_seed(seed_text, series.name),
            number=series.number,
        )


def write_maps(
    study: Study,
    choice: Choice,
    folder: Path,
    *,
    template: Source | None,
    seed_text: str | None,
    progress: Progress,
) -> None:
    """One Parametric Map for each map; without a template the scan's region as a series, which they name as their source."""
    source = None
    if template is None and study.setting.volume.modality == "CT":
        scan = replace(choice, samples=(), images=("scan",))
        write_images(study, scan, folder, template=None, seed_text=seed_text, progress=progress)
        source = source_of(folder / "scan" / "IM0001.dcm")
    for index, name in enumerate(choice.maps):
        progress(f"writing {name}", index / len(choice.maps))
        values, affine, unit = map_of(study, name)
        write_parametric_map(
            Grid(np.ascontiguousarray(values), affine, unit, uid_of(study.provenance.series)),
            folder / f"{name}.dcm",
            quantity=QUANTITIES[name],
            description=f"{TITLES[name]}, research use only"[:64],
            template=template,
            computed_from=source,
            derived=facts_of(study),
            seed_text=_seed(seed_text, name),
            number=_NUMBERS[name],
        )


def slope_for(hu: NDArray[np.float32], quantum: float) -> float:
    """HU per stored step: the step of the study, or the next of its doubles with which all values fit 16 bits."""
    slope = quantum or 0.125
    while hu.max() / slope > _HIGHEST or hu.min() / slope < _LOWEST:
        slope *= 2
    return slope


def _series(study: Study, choice: Choice) -> Iterator[tuple[Series, float]]:
    """What is written, each with the share of the work before it."""
    total, asked = len(choice.images) + len(choice.samples), study.provenance.tier
    for index, name in enumerate(choice.images):
        words = f"{TITLES[name]}, research use only"
        yield Series(name, image_of(study, name), words, _NUMBERS[name], {"image": name}), index / total
    known = {one.k: one for one in study.certificates}
    for index, k in enumerate(choice.samples):
        words = f"Sample {k} of {len(known)}: {standing(known[k], asked)}"
        facts = sample_facts(known[k], asked)
        series = Series(f"sample_{k:04d}", study.read(k)[None], words, _FIRST_SAMPLE + k, facts)
        yield series, (len(choice.images) + index) / total


def _volume(study: Study, series: Series) -> Volume:
    """The series in the place of the region; of f(x) and the mean the dose, which tells the noise, does not hold."""
    region = study.setting.volume
    facts = region.acquisition
    if series.name in ("denoised", "mean"):
        facts = replace(facts, dose_fraction=None, photons=None)
    uid = uid_of(study.provenance.series)  # what comes from one scan shares study and frame of reference
    return replace(region, hu=np.ascontiguousarray(series.hu), acquisition=facts, uid=uid)


def _seed(seed_text: str | None, name: str) -> str | None:
    return None if seed_text is None else f"{seed_text}/{name}"
