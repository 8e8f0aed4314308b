"""Settings of trainings as tables: those that are shipped, a file of the user's, and what a form changes in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctinv.errors import InputError
from ctinv.resources import configs_folder
from ctinv.training.standing import STAGES, Standing
from ctinv.training.typed import read_toml

DENOISER, GENERATOR = "denoiser", "generator"
NAMED, RANDOM, BENCHMARK = "named", "random", "ldct-benchmark"
SPLITS = (RANDOM, NAMED, BENCHMARK)
_DEFAULTS: dict[str, dict[str, Any]] = {
    DENOISER: {"steps": 5000, "batch": 16, "patch": 64, "learning_rate": 1e-3, "validate_every": 250},
    GENERATOR: {"batch": 8, "patch": 64, "validate_every": 200},
}
_BOTH: dict[str, Any] = {"seed": 0, "dose": 0.25, "layout": "auto", "subset": ""}
_STAGES = {"autoencoder": 600, "flow": 800, "fibre": 0}


def shipped_settings(what: str) -> tuple[str, ...]:
    """Names of the settings that come with the package."""
    folder = configs_folder() / "generators" if what == GENERATOR else configs_folder()
    return tuple(sorted(path.stem for path in folder.glob("*.toml")))


def read_settings(what: str, name: str, own: Path | None = None) -> dict[str, Any]:
    """The table of shipped settings, or of a file of the user's.

    Raises:
        InputError: It cannot be read, or belongs to the other kind of model.
    """
    folder = configs_folder() / "generators" if what == GENERATOR else configs_folder()
    table = read_toml(own if own is not None else folder / f"{name}.toml")
    key = "kind" if what == GENERATOR else "network"
    if key not in table:
        raise InputError(
            f"these settings name no {key}, so that they are not those of a {what}; choose others."
        )
    return table


def value_of(table: dict[str, Any], what: str, name: str) -> Any:
    """A value that a form shows: what the table says, else the default of trainings."""
    return table.get(name, (_DEFAULTS[what] | _BOTH)[name])


def stage_steps(table: dict[str, Any], stage: str) -> int:
    """Steps of a generator's stage, as far as its table says."""
    part = table.get(stage, {})
    missing = 0 if table.get("kind") == "pca" else _STAGES[stage]
    return int(part.get("steps", missing)) if isinstance(part, dict) else missing


def with_stage(table: dict[str, Any], stage: str, steps: int) -> dict[str, Any]:
    """The table with another length of a stage; one that the table leaves to its kind stays so where nothing changes."""
    if stage_steps(table, stage) == steps:
        return table
    return {**table, stage: {**table.get(stage, {}), "steps": steps}}


def stage_lengths(what: str, settings: dict[str, Any]) -> dict[str, int]:
    """Steps of each stage in their order, of a denoiser under the empty name; a part that is taken over has none."""
    if what == DENOISER:
        return {"": int(value_of(settings, DENOISER, "steps"))}
    taken = {stage: bool(settings.get(stage, {}).get("start")) for stage in STAGES}
    return {stage: 0 if taken[stage] else stage_steps(settings, stage) for stage in STAGES}


def done_steps(standing: Standing | None) -> dict[str, int]:
    """Steps of each stage that need not be made again."""
    if standing is None:
        return {}
    done, left = dict[str, int](), standing.step
    for stage, length in stage_lengths(standing.what, standing.config).items():
        done[stage] = min(left, length)
        left -= done[stage]
    return done


def listed(text: str) -> list[str]:
    """Names between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]
