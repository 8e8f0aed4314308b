"""TrainForm: the settings of a training as a form shows them, and the table they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.errors import CtinvError, InputError, ModelError
from ctinv.training.standing import STAGES
from napari_ctinv.catalogue import taps_of
from napari_ctinv.session.train_settings import (
    DENOISER,
    NAMED,
    RANDOM,
    listed,
    read_settings,
    shipped_settings,
    stage_steps,
    value_of,
    with_stage,
)

if TYPE_CHECKING:
    from napari_ctinv.session import Session

_BOTH = ("batch", "patch", "seed", "dose", "layout", "subset", "validate_every")
_OF_DENOISER = ("steps", "learning_rate")
_ROLES = {"train_on": "train", "validate_on": "validate", "test_on": "test"}


@dataclass(eq=False)
class TrainForm:
    """What is to be trained, and how.

    Attributes:
        session: The session.
        what: ``"denoiser"`` or ``"generator"``.
        choices: Names of the shipped settings of its kind.
        config: One of them.
        own_config: A TOML file of the user's; goes before `config`.
        name: Of the model; the settings' own where empty.
        split: Rule by which patients are put into sets.
        train_on, validate_on, test_on: Names of pairs between commas, for the rule ``"named"``.
        steps, flow_steps, fibre_steps: Steps; for a generator those of its stages, `steps` being the autoencoder's.
        batch, patch: Patches per step, and their edge in pixels.
        learning_rate: Of Adam at its highest; a generator has its settings' own.
        validate_every: Steps between validations.
        seed: Decides weights, patches and a random split.
        dose: Dose fraction of the low dose, for scans on which it is to be simulated.
        layout, subset: How the data folder is laid out, and which region of the collection is used.
        denoiser, own_denoiser, tap: What a generator is trained for; the bundle of one's own goes before the name.
        problem: Why the settings cannot be used, in one sentence, or empty.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    what: str = DENOISER
    choices: tuple[str, ...] = ()
    config: str = "cnn10"
    own_config: Path | None = None
    name: str = ""
    split: str = RANDOM
    train_on: str = ""
    validate_on: str = ""
    test_on: str = ""
    steps: int = 0
    flow_steps: int = 0
    fibre_steps: int = 0
    batch: int = 0
    patch: int = 0
    learning_rate: float = 0.0
    validate_every: int = 0
    seed: int = 0
    dose: float = 0.25
    layout: str = "auto"
    subset: str = ""
    denoiser: str = "cnn10"
    own_denoiser: Path | None = None
    tap: str = "output"
    problem: str = ""

    def __post_init__(self) -> None:
        self._table: dict[str, Any] = {}
        self.choices = shipped_settings(self.what)
        self.events.what.connect(self._on_what)
        for name in ("config", "own_config"):
            getattr(self.events, name).connect(self.read_settings)
        self.read_settings()

    @property
    def taps(self) -> list[str]:
        """Layers for which a generator can be trained; only the output where the denoiser cannot be read."""
        try:
            return taps_of(self.own_denoiser or self.denoiser)
        except ModelError:
            return ["output"]

    def read_settings(self) -> None:
        """Fill the form from the chosen settings; `problem` says what is wrong with them."""
        try:
            self._table = read_settings(self.what, self.config, self.own_config)
            self._fill(self._table)
            self.problem = ""
        except CtinvError as error:
            self._table, self.problem = {}, str(error)

    def settings(self) -> dict[str, Any]:
        """The table of the config: the chosen settings with what the form changes.

        Raises:
            InputError: The chosen settings cannot be used.
        """
        if not self._table:
            raise InputError(self.problem)
        table = {**self._table, **{name: getattr(self, name) for name in _BOTH}, "split": self.split}
        if self.name:
            table["name"] = self.name
        for field_name, role in _ROLES.items():
            table[role] = listed(getattr(self, field_name)) if self.split == NAMED else []
        if self.what == DENOISER:
            return self._of_denoiser(table)
        for stage, steps in zip(STAGES, (self.steps, self.flow_steps, self.fibre_steps), strict=True):
            table = with_stage(table, stage, steps)
        return {**table, "denoiser": str(self.own_denoiser or self.denoiser), "tap": self.tap}

    def _of_denoiser(self, table: dict[str, Any]) -> dict[str, Any]:
        """The last learning rate keeps its share of the first."""
        before = float(value_of(table, DENOISER, "learning_rate"))
        last = float(table.get("last_learning_rate", 1e-5))
        table |= {name: getattr(self, name) for name in _OF_DENOISER}
        return {**table, "last_learning_rate": last * self.learning_rate / before}

    def _fill(self, table: dict[str, Any]) -> None:
        for name in (*_BOTH, *(_OF_DENOISER if self.what == DENOISER else ())):
            setattr(self, name, value_of(table, self.what, name))
        if self.what != DENOISER:
            self.steps, self.flow_steps, self.fibre_steps = (stage_steps(table, stage) for stage in STAGES)
        for name, role in _ROLES.items():
            setattr(self, name, ", ".join(table.get(role, ())))

    def _on_what(self) -> None:
        self.own_config = None
        self.choices = shipped_settings(self.what)
        first = "cnn10" if self.what == DENOISER else "cvae_cinn"
        if self.config == first:
            self.read_settings()
        else:
            self.config = first
