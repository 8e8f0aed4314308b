"""What a training has told so far: its curves in bounded memory, its validations, and some of its pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctinv.training.curves import read_curves

MOST_POINTS = 4096
MOST_PICTURES = 24
FIGURES = {
    "rmse_hu": "RMSE [HU]",
    "texture": "texture distance",
    "reconstruction_hu": "reconstruction RMSE [HU]",
    "kl_bits": "KL [bits per pixel]",
    "loss": "loss without critic",
    "bits": "bits per dimension",
    "bits_diagonal": "bits of independent Gaussians",
    "spread_hu": "spread [HU]",
    "nfe_raw": "NFE, raw",
}
"""Figures of validations, and what they are called."""

Values = NDArray[np.float64]


class Curve:
    """Values over steps. When there are too many, neighbours are averaged, so that the shape stays."""

    def __init__(self) -> None:
        self._x, self._y = np.empty(MOST_POINTS), np.empty(MOST_POINTS)
        self._count, self._each = 0, 1
        self._waiting, self._sums = 0, (0.0, 0.0)

    def add(self, x: Values, y: Values) -> None:
        """Append points; what is not finite is left out."""
        known = np.isfinite(y)
        for across, up in zip(x[known].tolist(), y[known].tolist(), strict=True):
            self._waiting, self._sums = self._waiting + 1, (self._sums[0] + across, self._sums[1] + up)
            if self._waiting >= self._each:
                self._push()

    def points(self) -> tuple[Values, Values]:
        """(N,) steps and (N,) values."""
        return self._x[: self._count].copy(), self._y[: self._count].copy()

    def _push(self) -> None:
        if self._count == MOST_POINTS:
            for values in (self._x, self._y):
                values[: MOST_POINTS // 2] = values.reshape(-1, 2).mean(axis=1)
            self._count, self._each = MOST_POINTS // 2, 2 * self._each
            return  # what waits is half of a point by now
        self._x[self._count], self._y[self._count] = (total / self._waiting for total in self._sums)
        self._count += 1
        self._waiting, self._sums = 0, (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Picture:
    """A validation picture: (3, H, W) HU of low dose, denoised and full dose after a step."""

    step: int
    hu: NDArray[np.float32]


@dataclass
class History:
    """Curves by name, over the steps of all stages.

    Attributes:
        losses: Of each turn.
        figures: Of each figure of the validations.
        pictures: Up to `MOST_PICTURES`, evenly thinned, the newest always among them.
    """

    losses: dict[str, Curve] = field(default_factory=dict)
    figures: dict[str, Curve] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)

    def add_losses(self, step: Values, losses: dict[str, Values]) -> None:
        """Append losses of so many steps."""
        for name, values in losses.items():
            self.losses.setdefault(name, Curve()).add(step, values)

    def add_figures(self, step: float, figures: dict[str, float]) -> None:
        """Append the figures of a validation."""
        for name, value in figures.items():
            self.figures.setdefault(name, Curve()).add(np.array([step]), np.array([value]))

    def add_picture(self, picture: Picture) -> None:
        """Keep a picture; every second older one goes when there are too many."""
        self.pictures.append(picture)
        if len(self.pictures) > MOST_PICTURES:
            self.pictures = self.pictures[:-1][::2] + self.pictures[-1:]


def history_in(folder: Path, lengths: dict[str, int], until: int) -> History:
    """The curves of a training that lies in a folder, up to the step from which it would go on.

    Args:
        folder: Of the training.
        lengths: Steps of each stage in their order; of a denoiser ``{"": steps}``.
        until: Complete steps over all stages: later rows belong to an attempt whose steps are made again.
    """
    found, before = History(), 0
    for stage, length in lengths.items():
        table = read_curves(
            folder / stage / "losses.csv" if stage else folder / "losses.csv", most=MOST_POINTS
        )
        step = table.pop("step", np.empty(0)) + before
        kept = step <= until
        for name, values in table.items():
            if name == "learning_rate":
                continue
            curves = found.figures if name in FIGURES else found.losses
            curves.setdefault(name, Curve()).add(step[kept], values[kept])
        before += length
    return found
