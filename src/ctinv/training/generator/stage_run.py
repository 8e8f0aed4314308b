"""A generator's run through its stages, each with a checkpoint and a log of its own.

A stage that is finished is never run again; one that was interrupted goes on from its checkpoint.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from ctinv.atomic import refusal
from ctinv.errors import ModelError
from ctinv.jsonable import dumps
from ctinv.training.checkpoint import (
    OTHERWISE,
    all_finite,
    first_difference,
    is_there,
    load_checkpoint,
    save_checkpoint,
)
from ctinv.training.digest import write_digested
from ctinv.training.ending import check_end
from ctinv.training.fit import Batch, Losses, Turn, cosine, fit
from ctinv.training.generator.config import GeneratorConfig
from ctinv.training.generator.judge import judge
from ctinv.training.generator.kept import STATE, read_stage, read_state
from ctinv.training.generator.material import Material, Materials
from ctinv.training.generator.stages import Workshop
from ctinv.training.interrupts import Held, wants_to_end
from ctinv.training.log import RunLog

_logger = logging.getLogger(__name__)


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
        callback: Called after each step; True ends the run, and so does `TrainingStopped`.
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
        self.warnings: list[str] = []
        # What else decides the weights: a checkpoint of other data or another f must not be continued.
        facts = {
            "data_sha256": train.patches.fingerprint(),
            "denoiser_sha256": shop.denoiser.weights_sha256,
        }
        self.decides: dict[str, Any] = {**config.to_json(), **facts}
        self.state: dict[str, Any] = {"stages": {}, "seconds": 0.0}

    @property
    def state_path(self) -> Path:
        """What is finished, and how."""
        return self.out / STATE

    def resume(self) -> None:
        """Take over the finished stages of an earlier run.

        Raises:
            ModelError: It was made under other settings, or one of its files is damaged.
        """
        kept = read_state(self.out)
        if kept is None:
            return
        key = first_difference(kept["config"], self.decides)
        if key is not None:
            how = OTHERWISE.get(key, f"with another {key} than is asked now")
            raise ModelError(f"{self.out.name} was trained {how}; use another output folder.")
        self.state = kept
        for stage in kept["stages"].values():
            tensors = read_stage(self.out, stage["file"])
            for part in stage["parts"]:
                self.put_back(part, tensors)

    def warn(self, text: str) -> None:
        """Say what must be known of how the run was continued."""
        self.warnings.append(text)
        _logger.warning("%s", text)

    def put_back(self, part: str, tensors: Mapping[str, Tensor]) -> None:
        """Load one part of the model from tensors that are named after it."""
        module: nn.Module = getattr(self.shop.model, part)
        module.load_state_dict(
            {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(f"{part}.")}
        )

    def run(self, stage: Stage) -> str:
        """One stage; returns how it ended."""
        if stage.name in self.state["stages"]:
            return "done"
        since = time.monotonic()
        ended = "done"
        try:
            if stage.steps:
                ended = self._loop(stage)
            else:
                stage.prepare()
        finally:
            self.state["seconds"] += time.monotonic() - since
        if ended == "done":
            self.finish(stage)
        return ended

    def _loop(self, stage: Stage) -> str:
        """The steps of a stage, from its checkpoint on; afterwards the model has the best weights."""
        turns = stage.turns(self.shop)
        follow = _Follower(self, stage, turns)
        step = follow.resume()
        if not step:
            stage.prepare()
        folder = self.out / stage.name
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise refusal(folder, error) from error
        follow.log = RunLog(folder, start=step)
        config = self.config
        with closing(follow.log), Held() as follow.held:
            result = fit(
                turns,
                self.batch,
                steps=stage.steps,
                start=step,
                seed=config.seed,
                learning_rate=cosine(last=config.last_rate, steps=stage.steps, warm_up=30),
                clip_norm=config.clip_norm,
                callback=follow,
            )
            check_end(result, follow.save, saved=follow.saved, batch=config.batch, patch=config.patch)
        if result.ended == "done" and stage.best_by:
            for part in stage.parts:
                self.put_back(part, follow.kept)
        return result.ended

    def batch(self, step: int) -> Batch:
        """The loop's batch of one step."""
        material = self.train(step)
        return material.x, material.clean, material.phi

    def tensors(self, parts: Sequence[str]) -> dict[str, Tensor]:
        """A copy of parts of the model on the CPU, named after them."""
        return {
            f"{part}.{name}": value.detach().cpu().contiguous().clone()
            for part in parts
            for name, value in getattr(self.shop.model, part).state_dict().items()
        }

    def finish(self, stage: Stage) -> None:
        """Keep what a stage made, and its figures."""
        for part in stage.parts:
            getattr(self.shop.model, part).eval()
        file = f"{stage.name}.safetensors"
        write_digested(self.out / file, save(self.tensors(stage.parts)))
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
        content = {**self.state, "config": self.decides, "sigma_out_hu": self.shop.sigma_out}
        write_digested(self.state_path, dumps(content, indent=1).encode())


class _Follower:
    """The loop's callback in one stage: validates, keeps the best, writes checkpoints, tells the caller."""

    def __init__(self, run: Run, stage: Stage, turns: list[Turn]) -> None:
        self.run, self.stage, self.turns = run, stage, turns
        self.checkpoint = run.out / f"{stage.name}.checkpoint.safetensors"
        self.best: dict[str, float] = {}
        self.kept: dict[str, Tensor] = {}
        self.saved = 0
        self.log: RunLog | None = None
        self.held: Held | None = None

    def resume(self) -> int:
        """Complete steps of an earlier run of this stage, 0 for none.

        Raises:
            ModelError: It had other settings, is damaged, or came to an end that more steps do not change.
        """
        if not is_there(self.checkpoint):
            return 0
        found = load_checkpoint(self.checkpoint, self.turns, config=self.run.decides)
        if "diverged" in found.notes:
            raise ModelError(found.notes["diverged"])
        self.best, self.kept, self.saved = found.notes["best"], found.best, found.step
        if found.warning:
            self.run.warn(found.warning)
        return found.step

    def save(self, step: int, *, diverged: str = "") -> None:
        """Write the checkpoint of a completed step; ``diverged`` says why more steps are of no use."""
        if self.log is not None:
            self.log.sync()
        notes = {"best": self.best, **({"diverged": diverged} if diverged else {})}
        save_checkpoint(
            self.checkpoint, self.turns, step=step, config=self.run.decides, best=self.kept, notes=notes
        )
        self.saved = step

    def __call__(self, step: int, losses: Losses) -> bool:
        run, stage = self.run, self.stage
        config, last = run.config, step == stage.steps
        figures = None
        if last or step % config.validate_every == 0:
            figures = run.judge(stage)
            self._choose(step, figures)
        if self.log is not None:
            self.log.write(step, {**losses, **(figures or {})})
        event = GeneratorEvent(stage.name, step, stage.steps, losses, figures)
        asked = wants_to_end(run.callback, event, lambda: self.save(step))
        signalled = self.held is not None and self.held.waiting
        if last or asked or signalled or step % config.save_every == 0:
            self.save(step)
        if self.held is not None:
            self.held.deliver()
        return asked

    def _choose(self, step: int, figures: dict[str, float]) -> None:
        """Keep the weights if they are the best so far."""
        value = figures.get(self.stage.best_by, math.nan)
        if self.stage.best_by and not value >= self.best.get(self.stage.best_by, math.inf):
            tensors = self.run.tensors(self.stage.parts)
            if all_finite(tensors):
                self.kept, self.best = tensors, {**figures, "step": step}
