"""One training loop for every model: ``θ ← θ − Adam(∇ loss(model, batch_k))`` for k = start … steps.

The loop knows neither files nor loggers. Data are a function ``step -> batch``, the learning rate is a
function ``step -> lr``: with both pure, a run that stopped and continued is the run that never stopped.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

Batch = tuple[Tensor, ...]
Loss = Callable[[nn.Module, Batch], Tensor]


@dataclass(frozen=True)
class FitResult:
    """How a run ended.

    Attributes:
        step: Completed steps, those before ``start`` included; after ``"nan"`` those of the restored state.
        loss: Last finite loss, NaN if there was none.
        ended: ``"done"``, ``"stopped"`` by the callback, or ``"nan"``: the last good state is back.
    """

    step: int
    loss: float
    ended: Literal["done", "stopped", "nan"]


class Ema:
    """Exponential moving average of a model's floating-point state, ``s ← d s + (1 − d) θ``.

    Args:
        model: The model to follow; its present state is the start.
        decay: d, below 1; the first steps use (1 + step) / (10 + step) where that is smaller.
    """

    def __init__(self, model: nn.Module, *, decay: float = 0.999) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Follow the model after its ``step``-th step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


def cosine(*, first: float, last: float, steps: int, warm_up: int = 0) -> Callable[[int], float]:
    """Step to learning rate: linear over ``warm_up`` steps, then half a cosine down to ``last``."""

    def rate(step: int) -> float:
        if step < warm_up:
            return first * (step + 1) / warm_up
        share = min(1.0, (step - warm_up) / max(1, steps - warm_up))
        return last + 0.5 * (first - last) * (1 + math.cos(math.pi * share))

    return rate


@dataclass
class _LastGood:
    """A copy of model, optimizer and average whose loss was finite."""

    step: int
    states: list[dict[str, Any]]

    @classmethod
    def of(cls, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, ema: Ema | None) -> _LastGood:
        parts = [model.state_dict(), optimizer.state_dict(), ema.state if ema else {}]
        return cls(step, [copy.deepcopy(dict(part)) for part in parts])

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer, ema: Ema | None) -> None:
        model.load_state_dict(self.states[0])
        optimizer.load_state_dict(self.states[1])
        if ema:
            ema.state = self.states[2]


def fit(
    model: nn.Module,
    batches: Callable[[int], Batch],
    *,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    steps: int,
    start: int = 0,
    learning_rate: Callable[[int], float] | None = None,
    clip_norm: float | None = None,
    ema: Ema | None = None,
    callback: Callable[[int, float], bool | None] | None = None,
    keep_every: int = 50,
) -> FitResult:
    """Train ``model`` in place.

    Args:
        model: Any module; it is put in training mode.
        batches: Step to batch, a pure function; the batch lies on the model's device.
        loss: (model, batch) to a scalar.
        optimizer: Over the model's parameters.
        steps: The run ends when this many steps are complete.
        start: Steps already complete, of a run that is continued.
        learning_rate: Step to learning rate; None leaves the optimizer's own.
        clip_norm: Largest norm of the whole gradient; None does not clip.
        ema: Updated after every step.
        callback: Called as ``callback(step, loss)`` after each complete step; True ends the run, an exception
            passes through with model and optimizer in the state of that step.
        keep_every: Steps between two copies of the last good state, to which a loss or gradient that is not
            finite returns.
    """
    model.train()
    step, last_loss = start, math.nan
    good = _LastGood.of(start, model, optimizer, ema)
    while step < steps:
        if learning_rate is not None:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step)
        optimizer.zero_grad(set_to_none=True)
        value = loss(model, batches(step))
        number = float(value.detach())
        if math.isfinite(number):
            value.backward()
            norm = nn.utils.clip_grad_norm_(
                model.parameters(), clip_norm if clip_norm is not None else math.inf
            )
        if not math.isfinite(number) or not bool(torch.isfinite(norm)):
            good.restore(model, optimizer, ema)
            return FitResult(good.step, last_loss, "nan")
        if step - good.step >= keep_every:  # the loss of exactly these weights has just proved finite
            good = _LastGood.of(step, model, optimizer, ema)
        optimizer.step()
        step, last_loss = step + 1, number
        if ema is not None:
            ema.update(model, step)
        if callback is not None and callback(step, number):
            return FitResult(step, last_loss, "stopped")
    return FitResult(step, last_loss, "done")
