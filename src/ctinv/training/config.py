"""Settings of a denoiser's training, read from a TOML file in ``configs/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctinv.errors import InputError
from ctinv.networks import NETWORKS
from ctinv.training.objectives import Objective, objective_from, objective_table
from ctinv.training.start import blank
from ctinv.training.typed import from_table, read_toml, to_table

CHOICES = {
    "target": ("full", "independent"),
    "schedule": ("cosine", "constant"),
    "choose_by": ("rmse", "texture", "last"),
    "split": ("named", "random", "ldct-benchmark"),
}


@dataclass(frozen=True)
class DenoiserConfig:
    """Everything that decides a training run; two equal configs give the same weights on the same machine.

    Attributes:
        name: Name of the denoiser and of its bundle.
        network: A key of ``ctinv.networks.NETWORKS``.
        mean, std: Value the network sees as 0, and what it sees as 1, in HU or the image's own unit.
        unit: Of the image's numbers, for figures and the model card.
        arguments: Of the network's class, a table; the published size without.
        published: What is narrower or other than published, in words, for the model card.
        objective: A table ``[objective]`` with ``name`` and the settings of `ctinv.training.objectives`.
        start: ``"identity"``, or a shipped denoiser or bundle folder of the same network whose weights are the start.
        layout, split, subset: How the data folder is laid out and split; see `ctinv.training.sources`.
        train, validate, test: Names of pairs, for the split ``"named"``; the split is by patient.
        dose: Dose fraction of the low-dose side; simulated where a folder holds full dose only.
        photons: Of that simulation; a number, ``"fit"``, or none for the scan's own tags.
        target: ``"full"`` dose, or ``"independent"`` of the low dose's noise; see `ctinv.training.data.PairedPatches`.
        slices: Neighbouring slices the network sees.
        steps, batch, patch: Length of the run; patches per step; edge of a patch in pixels.
        body, air: Least share of a patch above ``air`` (HU or the image's own unit).
        flip, noise_level: Augmentation, off by default; see `ctinv.training.data.Augmentation`.
        margin: Pixels cut off each side before the loss, as zero padding teaches nothing.
        learning_rate, last_learning_rate, warm_up, schedule: Of Adam; warm-up in steps.
        clip_norm: Largest gradient norm, 0 for none.
        ema: Decay of the averaged weights that are validated and kept, 0 for the raw weights.
        validate_every, validate_slices: Steps between validations; evenly spaced slices of each pair.
        choose_by: What the kept weights are best at on the validation patients: ``"rmse"``; ``"texture"``, the
            distance of the noise power spectrum from full dose; or ``"last"`` for the last step.
        patience: Validations without a better one after which the run ends, 0 for never.
        save_every: Steps between checkpoints.
        seed: Of the initial weights, the patches and the losses.
    """

    name: str
    network: str
    mean: float
    std: float
    unit: str = "HU"
    train: tuple[str, ...] = ()
    validate: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    arguments: dict[str, Any] = field(default_factory=dict)
    published: str = ""
    objective: dict[str, Any] = field(default_factory=dict)
    start: str = "identity"
    layout: str = "auto"
    split: str = "named"
    subset: str = ""
    dose: float = 0.25
    photons: float | str | None = None
    target: str = "full"
    slices: int = 1
    steps: int = 5000
    batch: int = 16
    patch: int = 64
    body: float = 0.5
    air: float = -950.0
    flip: bool = False
    noise_level: tuple[float, float] = (1.0, 1.0)
    margin: int = 8
    learning_rate: float = 1e-3
    last_learning_rate: float = 1e-5
    warm_up: int = 100
    schedule: str = "cosine"
    clip_norm: float = 1.0
    ema: float = 0.0
    validate_every: int = 250
    validate_slices: int = 4
    choose_by: str = "rmse"
    patience: int = 0
    save_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise InputError(f"the network {self.network!r} is unknown; choose one of {', '.join(NETWORKS)}.")
        blank(self.network, self.arguments)
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise InputError(f"{key} must be one of {', '.join(allowed)}, got {getattr(self, key)!r}.")
        if min(self.steps, self.batch, self.validate_every, self.validate_slices, self.save_every) < 1:
            raise InputError(
                "steps, batch, validate_every, validate_slices and save_every must be at least 1."
            )
        if self.std <= 0 or self.learning_rate <= 0 or not 0 <= self.ema < 1 or self.clip_norm < 0:
            raise InputError(
                "std and learning_rate must be positive, ema in [0, 1) and clip_norm at least 0."
            )
        if not 0 <= self.margin < self.patch / 2:
            raise InputError(
                f"margin {self.margin} leaves nothing of a patch of {self.patch} pixels; enlarge the patch."
            )
        if self.slices < 1 or self.slices % 2 == 0 or not 0 < self.dose < 1:
            raise InputError("slices must be odd and dose between 0 and 1.")
        if self.split == "named" and not (self.train and self.validate):
            raise InputError("a training needs at least one pair to train on and one to validate on.")
        self.objective_settings()

    def objective_settings(self) -> Objective:
        """The objective with its settings; L2 where the config names none."""
        return objective_from(self.objective, where=self.name)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON-able values, those of the objective complete."""
        return {**to_table(self), "objective": objective_table(self.objective_settings())}

    @classmethod
    def read(cls, path: Path) -> DenoiserConfig:
        """Read a TOML file whose keys are the attributes.

        Raises:
            InputError: The file is no TOML, a key is unknown or missing, or a value has the wrong type.
        """
        return from_table(cls, read_toml(path), where=path.name)
