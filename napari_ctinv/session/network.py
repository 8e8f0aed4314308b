"""NetworkModel: the denoiser under study, which Denoise and Invariances share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.errors import InputError, ModelError
from ctinv.models.shipped import shipped
from napari_ctinv.catalogue import generators_of, taps_of

if TYPE_CHECKING:
    from napari_ctinv.session import Session


@dataclass(eq=False)
class NetworkModel:
    """A shipped denoiser, or one of the user's own.

    Attributes:
        session: The session.
        name: Name of a shipped denoiser.
        own: Bundle folder or file of the user's own denoiser; goes before `name`.
        trust: sha256 for which the user has allowed that code runs; empty where none does.
        names: The shipped ones.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    name: str = "cnn10"
    own: Path | None = None
    trust: str = ""
    names: tuple[str, ...] = field(default_factory=lambda: tuple(shipped()))

    @property
    def source(self) -> str:
        """What `ctinv.load_denoiser` takes.

        Raises:
            InputError: No denoiser is chosen.
        """
        if self.own is not None:
            return str(self.own)
        if not self.name:
            raise InputError("no denoiser is chosen; choose a shipped one or the folder of a bundle.")
        return self.name

    @property
    def taps(self) -> list[str]:
        """Layers at which invariances can be sampled, ``"output"`` first; only that where the bundle cannot be read."""
        try:
            return taps_of(self.own or self.name)
        except ModelError:
            return ["output"]

    def generators(self, tap: str) -> list[str]:
        """Generators that there are for this denoiser at a tap."""
        return generators_of(self.own or self.name, tap)
