"""One training loop for every model: in each step every *turn* moves its own module, θ ← θ − optimiser(∇ loss(batch_k)).

A plain loss is one turn. An adversarial training has several: the critic's, perhaps repeated, then the generator's. The
loop knows neither files nor loggers. Data are a function ``step -> batch``, the learning rate a function
``step -> factor``, and the random numbers of a loss come from a generator of their own for each step and turn, those of
dropout from the global one, seeded alike and put back afterwards: with all of them pure, a run that stopped and continued is
the run that never stopped.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from ctinv.training.memory import ran_out
from ctinv.training.randomness import seeded, turn_generator

Batch = tuple[Tensor, ...]
Loss = Callable[[Batch, torch.Generator], Tensor]
Losses = dict[str, float]


@dataclass(frozen=True, eq=False)
class Turn:
    """One module's part of a step.

    Attributes:
        name: In logs and checkpoints.
        module: What is moved; the modules of the other turns are frozen meanwhile.
        optimizer: Over the module's parameters; its learning rate now is the one that the schedule scales.
        loss: (batch, random generator) to a scalar.
        repeats: How often the turn is taken in a step, on the same batch.
        begins: Complete steps after which the turn is first taken, so that a critic can learn before anyone listens to it.
    """

    name: str
    module: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Loss
    repeats: int = 1
    begins: int = 0


@dataclass(frozen=True)
class FitResult:
    """How a run ended.

    Attributes:
        step: Completed steps, those before ``start`` included; after ``"nan"`` and ``"memory"`` those of the state that the
            modules are in.
        losses: Last finite loss of each turn.
        ended: ``"done"``, ``"stopped"`` by the callback, ``"nan"`` where something was not finite, or ``"memory"`` where
            there was not enough. After the last two the modules are in a state between two steps.
        problem: What was not finite: ``"the batch"``, ``"the loss of …"`` or ``"a gradient of …"``; else empty.
        failed: The step, counted from 1, that could not be made; 0 for none.
    """

    step: int
    losses: Losses
    ended: Literal["done", "stopped", "nan", "memory"]
    problem: str = ""
    failed: int = 0


class Ema:
    """Exponential moving average of a model's floating-point state, ``s ← d s + (1 − d) θ``.

    Args:
        model: The model to follow; its present state is the start.
        decay: d, below 1; the first steps use (1 + step) / (10 + step) where that is smaller.
    """

    def __init__(self, model: nn.Module, *, decay: float = 0.999) -> None:
        self.model = model
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the model after its ``step``-th step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


def cosine(*, last: float, steps: int, warm_up: int = 0) -> Callable[[int], float]:
    """Step to the factor on the learning rate: linear over ``warm_up`` steps, then half a cosine from 1 to ``last``."""

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        share = min(1.0, (step - warm_up) / max(1, steps - warm_up))
        return last + 0.5 * (1 - last) * (1 + math.cos(math.pi * share))

    return factor


@dataclass
class _LastGood:
    """A copy of all modules, optimisers and the average, whose losses were finite."""

    step: int
    states: list[tuple[dict[str, Any], dict[str, Any]]]
    average: dict[str, Tensor]

    @classmethod
    def of(cls, step: int, turns: Sequence[Turn], ema: Ema | None) -> _LastGood:
        states = [copy.deepcopy((turn.module.state_dict(), turn.optimizer.state_dict())) for turn in turns]
        return cls(step, states, copy.deepcopy(ema.state) if ema else {})

    def restore(self, turns: Sequence[Turn], ema: Ema | None) -> None:
        for turn, (module, optimizer) in zip(turns, self.states, strict=True):
            turn.module.load_state_dict(module)
            turn.optimizer.load_state_dict(optimizer)
        if ema:
            ema.state = self.average


def fit(
    turns: Sequence[Turn],
    batches: Callable[[int], Batch],
    *,
    steps: int,
    start: int = 0,
    seed: int = 0,
    learning_rate: Callable[[int], float] | None = None,
    clip_norm: float | None = None,
    ema: Ema | None = None,
    callback: Callable[[int, Losses], bool | None] | None = None,
    keep_every: int = 50,
) -> FitResult:
    """Train the modules of ``turns`` in place.

    Args:
        turns: At least one; they are taken in order in every step. Their modules are put in training mode.
        batches: Step to batch, a pure function; the batch lies on the modules' device.
        steps: The run ends when this many steps are complete.
        start: Steps already complete, of a run that is continued.
        seed: Of the random generators that the losses receive.
        learning_rate: Step to the factor on every optimiser's learning rate; None for 1.
        clip_norm: Largest norm of a turn's whole gradient; None does not clip.
        ema: Updated after every step.
        callback: Called as ``callback(step, losses)`` after each complete step; True ends the run, an exception
            passes through with everything in the state of that step.
        keep_every: Steps between two copies of the last good state, to which a loss or gradient that is not
            finite returns.
    """
    loop = _Loop(turns, batches, seed, learning_rate, clip_norm, ema)
    step, losses = start, dict.fromkeys((turn.name for turn in turns), math.nan)
    good = _LastGood.of(start, turns, ema)
    while step < steps:
        loop.moved = False
        problem, ended = "", cast("Literal['nan', 'memory'] | None", None)
        try:
            # A copy of now counts as good once this step's losses prove finite.
            candidate = _LastGood.of(step, turns, ema) if step - good.step >= keep_every else good
            found, problem = loop.take(step)
            ended = "nan" if problem else None
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            ended = "memory"
        if ended is not None:  # outside of the except block, whose traceback holds the batch and its graph
            loop.free()
            blameless = not loop.moved and (ended == "memory" or problem == "the batch")
            if not blameless:  # the weights are between two steps, or they are what was wrong
                good.restore(turns, ema)
            return FitResult(step if blameless else good.step, losses, ended, problem, step + 1)
        good = candidate
        step, losses = step + 1, found
        if callback is not None and callback(step, losses):
            return FitResult(step, losses, "stopped")
    return FitResult(step, losses, "done")


class _Loop:
    """What is done in every step of one run."""

    def __init__(
        self,
        turns: Sequence[Turn],
        batches: Callable[[int], Batch],
        seed: int,
        learning_rate: Callable[[int], float] | None,
        clip_norm: float | None,
        ema: Ema | None,
    ) -> None:
        self.turns, self.batches, self.seed, self.ema = turns, batches, seed, ema
        self.factor, self.clip_norm = learning_rate, clip_norm
        self.moved = False  # whether the present step has changed anything yet
        # Running means and the like move with every look at a batch.
        self.remembers = any(True for turn in turns for _ in turn.module.buffers())
        self.rates = [
            [float(group.get("initial_lr", group["lr"])) for group in turn.optimizer.param_groups]
            for turn in turns
        ]
        for turn in turns:
            turn.module.train()

    def take(self, step: int) -> tuple[Losses, str]:
        """Make one step; its losses, and what was not finite, if anything."""
        factor = 1.0 if self.factor is None else self.factor(step)
        batch, found = self.batches(step), {}
        self.moved = self.remembers
        for turn, rate in zip(self.turns, self.rates, strict=True):
            if step < turn.begins:
                continue
            _freeze_others(self.turns, turn)
            for group, base in zip(turn.optimizer.param_groups, rate, strict=True):
                group["initial_lr"], group["lr"] = base, base * factor
            for repeat in range(turn.repeats):
                key = (self.seed, step, turn.name, repeat)
                with seeded(*key, device=batch[0].device):
                    found[turn.name], problem = self._gradient(turn, batch, *key)
                    if problem:
                        return found, problem
                    self.moved = True
                    turn.optimizer.step()
        if self.ema is not None:
            self.ema.update(step + 1)
        return found, ""

    def _gradient(
        self, turn: Turn, batch: Batch, seed: int, step: int, name: str, repeat: int
    ) -> tuple[float, str]:
        """The loss of a turn, its gradient in the parameters, and what of these was not finite, if anything."""
        turn.optimizer.zero_grad(set_to_none=True)
        value = turn.loss(batch, turn_generator(seed, step, name, repeat, batch[0].device))
        number = float(value.detach())
        if not math.isfinite(number):
            whole = all(bool(torch.isfinite(part).all()) for part in batch)
            return number, f"the loss of {name}" if whole else "the batch"
        value.backward()
        norm = nn.utils.clip_grad_norm_(
            turn.module.parameters(), self.clip_norm if self.clip_norm is not None else math.inf
        )
        return number, "" if bool(torch.isfinite(norm)) else f"a gradient of {name}"

    def free(self) -> None:
        """Let go of all gradients and of what the allocator of a GPU keeps."""
        for turn in self.turns:
            turn.optimizer.zero_grad(set_to_none=True)
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _freeze_others(turns: Sequence[Turn], mine: Turn) -> None:
    for turn in turns:
        turn.module.requires_grad_(turn is mine)


def named(turns: Sequence[Turn]) -> tuple[Mapping[str, nn.Module], Mapping[str, torch.optim.Optimizer]]:
    """Modules and optimisers by the names of their turns, as checkpoints keep them."""
    return (
        {turn.name: turn.module for turn in turns},
        {turn.name: turn.optimizer for turn in turns},
    )
