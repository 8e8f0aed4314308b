"""A generator's run through its stages, each with a checkpoint and a log of its own.

A stage that is finished is never run again; one that was interrupted goes on from its checkpoint.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import nn

from ctinv.atomic import write_atomic
from ctinv.errors import ModelError
from ctinv.jsonable import dumps
from ctinv.training.checkpoint import load_checkpoint, previous, save_checkpoint
from ctinv.training.fit import Batch, Losses, Turn, cosine, fit
from ctinv.training.generator.config import GeneratorConfig
from ctinv.training.generator.judge import judge
from ctinv.training.generator.material import Material, Materials
from ctinv.training.generator.stages import Workshop
from ctinv.training.log import RunLog


@dataclass(frozen=True)
class GeneratorEvent:
    """News after each complete step.

    Attributes:
        stage: ``"autoencoder"``, ``"flow"`` or ``"fibre"``.
        step, steps: Complete steps of the stage, and of how many.
        losses: Of each turn.
        figures: As of `judge`, after a validation, else None.
    """

    stage: str
    step: int
    steps: int
    losses: Losses
    figures: dict[str, float] | None


Callback = Callable[[GeneratorEvent], bool | None]


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Attributes:
        name: ``"autoencoder"``, ``"flow"`` or ``"fibre"``.
        steps: Its length; 0 where preparing it is all.
        prepare: Makes the parts ready before the first step.
        turns: Of the loop.
        parts: Attributes of the model that it changes.
        best_by: Figure of `judge` whose smallest value on the validation patients decides; the last step without.
    """

    name: str
    steps: int
    prepare: Callable[[], None]
    turns: Callable[[Workshop], list[Turn]]
    parts: tuple[str, ...]
    best_by: str = ""


class Run:
    """A training under way.

    Args:
        config: The settings.
        shop: Model, denoiser and σ_out.
        train: Batches to learn from.
        check: The batch of the validation patients.
        out: Folder of the run.
        callback: Called after each step; True ends the run.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        shop: Workshop,
        train: Materials,
        check: Material,
        out: Path,
        callback: Callback | None,
    ) -> None:
        self.config, self.shop, self.train, self.check = config, shop, train, check
        self.out, self.callback = out, callback
        self.state: dict[str, Any] = {"stages": {}, "seconds": 0.0}

    @property
    def state_path(self) -> Path:
        """What is finished, and how."""
        return self.out / "state.json"

    def resume(self) -> None:
        """Take over the finished stages of an earlier run.

        Raises:
            ModelError: It was made under other settings.
        """
        if not self.state_path.is_file():
            return
        kept = json.loads(self.state_path.read_text(encoding="utf-8"))
        now, then = self.config.to_json(), kept["config"]
        for key in sorted(now.keys() | then.keys()):
            if now.get(key) != then.get(key):
                raise ModelError(
                    f"{self.out.name} was trained with another {key} than is asked now; use another output folder."
                )
        self.state = kept
        for stage in kept["stages"].values():
            for part in stage["parts"]:
                self.put_back(part, stage["file"])

    def put_back(self, part: str, file: str) -> None:
        """Load one part of the model from a stage's file."""
        module: nn.Module = getattr(self.shop.model, part)
        tensors = load_file(self.out / file)
        module.load_state_dict(
            {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(f"{part}.")}
        )

    def run(self, stage: Stage) -> str:
        """One stage; returns how it ended."""
        if stage.name in self.state["stages"]:
            return "done"
        since = time.monotonic()
        if not stage.steps:
            stage.prepare()
        checkpoint = self.out / f"{stage.name}.checkpoint.safetensors"
        best: dict[str, float] = {}
        ended, step = "done", 0
        if stage.steps:
            turns = stage.turns(self.shop)
            if checkpoint.exists() or previous(checkpoint).exists():
                found = load_checkpoint(checkpoint, turns, config=self.config.to_json())
                step, best = found.step, found.notes["best"]
            else:
                stage.prepare()
            log = RunLog(self.out / stage.name, start=step)
            follow = _Follower(self, stage, turns, checkpoint, best, log)
            try:
                result = fit(
                    turns,
                    self.batch,
                    steps=stage.steps,
                    start=step,
                    seed=self.config.seed,
                    learning_rate=cosine(last=self.config.last_rate, steps=stage.steps, warm_up=30),
                    clip_norm=self.config.clip_norm,
                    callback=follow,
                )
            finally:
                log.close()
            if result.ended == "nan":
                raise ModelError(
                    f"the loss of {stage.name} was not finite soon after step {result.step}; lower its learning rate."
                )
            ended = result.ended
            if ended == "done" and stage.best_by:
                for part in stage.parts:
                    self.put_back(part, f"{stage.name}.best.safetensors")
        self.state["seconds"] += time.monotonic() - since
        if ended == "done":
            self.finish(stage)
        return ended

    def batch(self, step: int) -> Batch:
        """The loop's batch of one step."""
        material = self.train(step)
        return material.x, material.clean, material.phi

    def write(self, file: str, parts: Sequence[str]) -> None:
        """Parts of the model into a safetensors file."""
        tensors = {
            f"{part}.{name}": value.detach().cpu().contiguous()
            for part in parts
            for name, value in getattr(self.shop.model, part).state_dict().items()
        }
        write_atomic(self.out / file, save(tensors))

    def finish(self, stage: Stage) -> None:
        """Keep what a stage made, and its figures."""
        for part in stage.parts:
            getattr(self.shop.model, part).eval()
        file = f"{stage.name}.safetensors"
        self.write(file, stage.parts)
        figures = self.judge(stage)
        self.state["stages"][stage.name] = {
            "file": file,
            "parts": list(stage.parts),
            "steps": stage.steps,
            "figures": figures,
        }
        self.keep_state()

    def judge(self, stage: Stage) -> dict[str, float]:
        """Figures on the validation patients, as far as the model is by this stage."""
        return judge(self.shop, self.check, flow_ready=stage.name != "autoencoder")

    def keep_state(self) -> None:
        """Write the state of the run."""
        content = {**self.state, "config": self.config.to_json(), "sigma_out_hu": self.shop.sigma_out}
        write_atomic(self.state_path, dumps(content, indent=1).encode())


class _Follower:
    """The loop's callback in one stage: validates, keeps the best, writes checkpoints, tells the caller."""

    def __init__(
        self, run: Run, stage: Stage, turns: list[Turn], checkpoint: Path, best: dict[str, float], log: RunLog
    ) -> None:
        self.run, self.stage, self.turns = run, stage, turns
        self.checkpoint, self.best, self.log = checkpoint, best, log

    def __call__(self, step: int, losses: Losses) -> bool:
        run, stage = self.run, self.stage
        config, last = run.config, step == stage.steps
        figures = None
        if last or step % config.validate_every == 0:
            figures = run.judge(stage)
            value = figures.get(stage.best_by, math.nan)
            if stage.best_by and not value >= self.best.get(stage.best_by, math.inf):
                run.write(f"{stage.name}.best.safetensors", stage.parts)
                self.best.update(figures, step=step)
        self.log.write(step, {**losses, **(figures or {})})
        event = GeneratorEvent(stage.name, step, stage.steps, losses, figures)
        asked = run.callback is not None and bool(run.callback(event))
        if last or asked or step % config.save_every == 0:
            notes = {"best": self.best}
            save_checkpoint(self.checkpoint, self.turns, step=step, config=config.to_json(), notes=notes)
        return asked
