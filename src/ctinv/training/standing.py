"""How far the training in a folder is, read from its files without torch.

A checkpoint begins with a header of JSON, which says the step, the settings and the best figures; the tensors behind it
are not read. What is said here is for people to look at: whoever continues a training checks its files against their
sha256 first (`ctinv.training.checkpoint`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ctinv.sampler.lock import is_held_here

CHECKPOINT = "checkpoint.safetensors"
STAGES = ("autoencoder", "flow", "fibre")
_LONGEST_HEADER = 2**26
_FACTS = ("data_sha256", "start_sha256", "denoiser_sha256")


@dataclass(frozen=True)
class Standing:
    """What lies in the folder of a training.

    Attributes:
        what: A denoiser or a generator.
        name: Of the model.
        config: Its settings, as ``to_json`` of the config gave them; folders by their bare names.
        stage: Of a generator, the one it is in; empty for a denoiser.
        step, steps: Complete steps with a checkpoint, and of how many; over all stages.
        best: Step and figures of the best weights so far.
        seconds: Time it took.
        problem: Why more steps are of no use; empty where they are.
        bundle: Folder of the trained model, None before there is one.
        finished: Whether all is done.
        running: Whether a process of this machine trains in the folder now.
    """

    what: Literal["denoiser", "generator"]
    name: str
    config: dict[str, Any] = field(repr=False)
    stage: str
    step: int
    steps: int
    best: dict[str, float]
    seconds: float
    problem: str
    bundle: Path | None
    finished: bool
    running: bool


def standing_of(folder: Path) -> Standing | None:
    """What lies in a folder, None where no training has left a checkpoint."""
    try:
        header = _header(folder / CHECKPOINT)
        state = _json(folder / "state.json")
        if header is not None:
            return _of_denoiser(folder, header)
        return _of_generator(folder, state) if state is not None else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # not the files of a training, or damaged ones; continuing would say which


def _of_denoiser(folder: Path, header: dict[str, Any]) -> Standing:
    config, notes, step = _settings(header["config"]), header["notes"], int(header["step"])
    steps, name = int(config["steps"]), str(config["name"])
    report, bundle = _json(folder / "report.json"), _bundle(folder, name)
    told = report is not None and report.get("steps") == step
    return Standing(
        what="denoiser",
        name=name,
        config=config,
        stage="",
        step=step,
        steps=steps,
        best={str(key): float(value) for key, value in notes["best"].items()},
        seconds=float(notes["seconds"]),
        problem=str(notes.get("diverged", "")),
        bundle=bundle if told else None,
        finished=told and bundle is not None and step >= steps,
        running=is_held_here(folder),
    )


def _of_generator(folder: Path, state: dict[str, Any]) -> Standing:
    config = _settings(state["config"])
    lengths = {stage: _length(config, stage) for stage in STAGES}
    step, stage, best, problem = 0, "", dict[str, float](), ""
    for one in STAGES:
        if one in state["stages"]:
            step, stage, best = step + lengths[one], one, dict(state["stages"][one]["figures"])
            continue
        header = _header(folder / f"{one}.checkpoint.safetensors")
        if header is not None:
            step, stage, best = step + int(header["step"]), one, dict(header["notes"]["best"])
            problem = str(header["notes"].get("diverged", ""))
        break
    name, steps = str(config["name"]), sum(lengths.values())
    bundle = _bundle(folder, name)
    return Standing(
        what="generator",
        name=name,
        config=config,
        stage=stage,
        step=step,
        steps=steps,
        best={str(key): float(value) for key, value in best.items()},
        seconds=float(state["seconds"]),
        problem=problem,
        bundle=bundle,
        finished=bundle is not None and step >= steps,
        running=is_held_here(folder),
    )


def _length(config: dict[str, Any], stage: str) -> int:
    """Steps of a stage; an autoencoder that is taken from elsewhere has none."""
    table = config[stage]
    return 0 if table.get("start") else int(table["steps"])


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """The settings alone, without the hashes of what else decides a training."""
    return {key: value for key, value in config.items() if key not in _FACTS}


def _header(path: Path) -> dict[str, Any] | None:
    """The header of a checkpoint, or of the one before it; None where there is neither."""
    for file in (path, path.with_name(f"{path.stem}.previous{path.suffix}")):
        if not file.is_file():
            continue
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > _LONGEST_HEADER:
                continue
            try:
                found: dict[str, Any] = json.loads(json.loads(stream.read(length))["__metadata__"]["ctinv"])
            except (ValueError, LookupError, TypeError):
                continue
        return found
    return None


def _json(path: Path) -> dict[str, Any] | None:
    found = json.loads(path.read_bytes()) if path.is_file() else None
    return found if isinstance(found, dict) else None


def _bundle(folder: Path, name: str) -> Path | None:
    bundle = folder / name
    return bundle if (bundle / "configs" / "metadata.json").is_file() else None
