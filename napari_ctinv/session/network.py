"""NetworkModel: the denoiser under study, which Denoise and Invariances share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.errors import InputError, ModelError
from ctinv.generators.kinds import TRAINING_FREE
from ctinv.generators.library import entries_for
from ctinv.models.shipped import shipped
from ctinv.models.trust import remember
from napari_ctinv.catalogue import generators_of, taps_of
from napari_ctinv.engine.run import Run
from napari_ctinv.work.network import InspectRequest, NetworkFacts, TrustQuestion

if TYPE_CHECKING:
    from napari_ctinv.session import Activity, Session

NEVER, ONCE, ALWAYS = "do not load", "run once", "trust this file"
"""Answers to the question whether a network may run code."""


@dataclass(eq=False)
class NetworkModel:
    """A shipped denoiser, or one of the user's own.

    Attributes:
        session: The session.
        name: Name of a shipped denoiser.
        own: Bundle folder, file or ``module:function`` of the user's own denoiser; goes before `name`.
        network_class: Class of a file of weights, where the file does not say; see ``docs/networks.md``.
        card: File with what a file of weights does not say; None for the one beside it.
        trust: sha256 for which the user has allowed that code runs; empty where none does.
        facts: What the network is, once it was looked at; see `inspect`.
        question: What it would run, while the user has not said whether it may.
        names: The shipped ones.
        activity: Looking at it.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    name: str = "cnn10"
    own: Path | None = None
    network_class: str = ""
    card: Path | None = None
    trust: str = ""
    facts: NetworkFacts | None = None
    question: TrustQuestion | None = None
    names: tuple[str, ...] = field(default_factory=lambda: tuple(shipped()))
    activity: Activity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activity = self.session.activity("Look at the network")
        for name in ("name", "own", "network_class", "card"):
            getattr(self.events, name).connect(self._forget)

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
    def loading(self) -> dict[str, Any]:
        """The further arguments of `ctinv.load_denoiser`: ``network``, ``card`` and ``trust``."""
        if self.own is None:
            return {"network": None, "card": None, "trust": None}
        return {"network": self.network_class or None, "card": self.card, "trust": self.trust or None}

    @property
    def taps(self) -> list[str]:
        """Layers at which invariances can be sampled, ``"output"`` first; only the ends of what was not looked at yet."""
        if self.own is not None and self.facts is not None:
            inner = [tap for tap in self.facts.facts["taps"] if tap not in ("input", "output")]
            return ["output", *inner, "input"]
        try:
            return taps_of(self.own or self.name)
        except ModelError:
            return ["output"]

    def generators(self, tap: str) -> list[str]:
        """Generators that there are for this denoiser at a tap."""
        if self.own is not None and self.facts is not None:
            return [*TRAINING_FREE, *entries_for(self.facts.facts["weights_sha256"], tap)]
        return generators_of(self.own or self.name, tap)

    def inspect(self) -> Run:
        """Look at the network in the computing process: `facts` or a `question` follow.

        Raises:
            InputError: No denoiser is chosen.
        """
        self.activity.abandon()
        request = InspectRequest(self.source, self.session.settings.device, **self.loading)
        return self.activity.start("napari_ctinv.work.network:inspect", request, on_item=self._take)

    def reload(self) -> Run:
        """Look at it anew, for a file that was written again; trust is asked for again."""
        self._forget()
        return self.inspect()

    def answer(self, choice: str) -> Run | None:
        """Say whether the network in question may run code.

        Args:
            choice: `NEVER`, which also takes it out of `own`; `ONCE`, for this session; or `ALWAYS`, which keeps its sha256
                in the user's list.

        Raises:
            ModelError: The list is damaged.
        """
        asked, self.question = self.question, None
        if asked is None:
            return None
        if choice == NEVER:
            self.own = None
            return None
        if choice == ALWAYS:
            remember(asked.sha256, kind=asked.kind, name=asked.name)
        self.trust = asked.sha256
        return self.inspect()

    def _take(self, item: NetworkFacts | TrustQuestion) -> None:
        if isinstance(item, TrustQuestion):
            self.question = item
        else:
            self.facts = item

    def _forget(self, _value: Any = None) -> None:
        self.activity.abandon()
        self.trust, self.facts, self.question = "", None, None
