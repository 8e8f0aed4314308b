"""Settings of a denoiser's training, read from a TOML file in ``configs/``."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctinv.errors import InputError
from ctinv.networks import NETWORKS


@dataclass(frozen=True)
class DenoiserConfig:
    """Everything that decides a training run; two equal configs give the same weights on the same machine.

    Attributes:
        name: Name of the denoiser and of its bundle.
        network: A key of ``ctinv.networks.NETWORKS``.
        mean, std: HU the network sees as 0, and HU it sees as 1.
        train, validate, test: Names of pairs; the split is by patient.
        dose: Dose fraction of the low-dose side, for the record.
        steps, batch, patch: Length of the run; patches per step; edge of a patch in pixels.
        body: Least share of a patch above air.
        margin: Pixels cut off each side before the loss, the receptive-field radius: zero padding teaches
            nothing.
        learning_rate, last_learning_rate, warm_up: Cosine schedule of Adam; warm-up in steps.
        clip_norm: Largest gradient norm, 0 for none.
        ema: Decay of the averaged weights that are validated and kept, 0 for the raw weights.
        validate_every, validate_slices: Steps between validations; evenly spaced slices of each pair.
        save_every: Steps between checkpoints.
        seed: Of the initial weights and of the patches.
    """

    name: str
    network: str
    mean: float
    std: float
    train: tuple[str, ...]
    validate: tuple[str, ...]
    test: tuple[str, ...] = ()
    dose: float = 0.25
    steps: int = 5000
    batch: int = 16
    patch: int = 64
    body: float = 0.5
    margin: int = 8
    learning_rate: float = 1e-3
    last_learning_rate: float = 1e-5
    warm_up: int = 100
    clip_norm: float = 1.0
    ema: float = 0.0
    validate_every: int = 250
    validate_slices: int = 4
    save_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise InputError(f"the network {self.network!r} is unknown; choose one of {', '.join(NETWORKS)}.")
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
        if not self.train or not self.validate:
            raise InputError("a training needs at least one pair to train on and one to validate on.")
        if set(self.train) & {*self.validate, *self.test}:
            raise InputError("a patient must not be in train and in validate or test; split by patient.")

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON-able values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def read(cls, path: Path) -> DenoiserConfig:
        """Read a TOML file whose keys are the attributes.

        Raises:
            InputError: The file is no TOML, a key is unknown or missing, or a value has the wrong type.
        """
        try:
            with path.open("rb") as file:
                table = tomllib.load(file)
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise InputError(
                f"expected {path.name} to be a readable TOML file with the settings of a training."
            ) from error
        return cls.from_table(table, where=path.name)

    @classmethod
    def from_table(cls, table: dict[str, Any], *, where: str = "the settings") -> DenoiserConfig:
        """Check names and types of the keys of a parsed table; see `read`."""
        fields = {field.name: field for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for key, value in table.items():
            if key not in fields:
                raise InputError(f"{where} has the unknown key {key!r}; known are {', '.join(fields)}.")
            values[key] = _checked(key, value, str(fields[key].type), where)
        missing = [
            name
            for name, field in fields.items()
            if field.default is dataclasses.MISSING and name not in values
        ]
        if missing:
            raise InputError(f"{where} lacks {', '.join(missing)}.")
        return cls(**values)


def _checked(key: str, value: Any, kind: str, where: str) -> Any:
    """The value as its field wants it; ``True`` is no number here."""
    if kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind == "str" and isinstance(value, str):
        return value
    if kind.startswith("tuple") and isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise InputError(
        f"{where}: {key} must be of type {kind.replace('tuple[str, ...]', 'list of texts')}, got {value!r}."
    )
