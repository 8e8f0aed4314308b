"""AnalyseModel: which analyses are made of the study, and what they found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.analysis.registry import ANALYSES
from ctinv.errors import InputError
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import finding_layer
from napari_ctinv.session.curves import Plotted, plots_of
from napari_ctinv.work.analyse import Analysed, AnalyseRequest

if TYPE_CHECKING:
    from napari.layers import Layer

    from ctinv.analysis.finding import Finding
    from ctinv.sampler import Store
    from napari_ctinv.engine.run import Run
    from napari_ctinv.session import Activity, Session


@dataclass(eq=False)
class AnalyseModel:
    """What the Analyse tab does.

    Attributes:
        session: The session.
        chosen: Names of the analyses to run, keys of `ctinv.analysis.registry.ANALYSES`.
        seed: Seed of the null distributions.
        findings: Name to finding, of the study that is shown; a new dict with each one that arrives.
        refused: Name to why an analysis could not be made, in one sentence.
        activity: The run.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    chosen: tuple[str, ...] = tuple(ANALYSES)
    seed: int = 0
    findings: dict[str, Finding] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    activity: Activity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activity = self.session.activity("Analyse")
        self._layers: dict[tuple[str, str], Layer] = {}
        self._analysed: Store | None = None
        self.session.invariances.events.study.connect(self._on_study)

    @property
    def study(self) -> Store:
        """The study to analyse.

        Raises:
            InputError: There is none, or no sample in it is finished.
        """
        study = self.session.invariances.study
        if study is None:
            raise InputError("there is no study to analyse; sample invariances first, or open a study.")
        if not study.certificates:
            raise InputError("the study has no finished sample yet; wait for the first ones.")
        return study

    @property
    def unit(self) -> str:
        """Unit of the scan of the study."""
        study = self.session.invariances.study
        return "HU" if study is None else study.provenance.unit

    def held(self) -> int:
        """How many samples of the study hold, certified and plausible: only those are analysed."""
        study = self.session.invariances.study
        if study is None:
            return 0
        return sum(one.passed and one.in_band is not False for one in study.certificates)

    def run(self, *names: str) -> Run:
        """Analyse the study; findings arrive one after the other.

        Args:
            names: Which analyses; those that are chosen by default.

        Raises:
            InputError: There is no study, or nothing is chosen.
        """
        study, wanted = self.study, names or self.chosen
        if not wanted:
            raise InputError("no analysis is chosen; tick one.")
        network = self.session.network
        request = AnalyseRequest(
            study=study.path,
            names=tuple(name for name in ANALYSES if name in wanted),
            device=self.session.settings.device,
            seed=self.seed,
            own=str(network.own) if network.own is not None else None,
            trust=network.trust or None,
        )
        run = self.activity.start("napari_ctinv.work.analyse:analyse", request, on_item=self._arrive)
        self._analysed = study
        self._forget(request.names)
        return run

    def plots(self, name: str) -> list[Plotted]:
        """The curves of a finding, ready to be drawn."""
        return plots_of(self.findings[name], self.unit)

    def show_map(self, name: str, key: str) -> Layer:
        """A map of a finding as a layer over the scan, made on first use.

        Args:
            name: Name of the finding.
            key: Name of the map.

        Raises:
            InputError: The study is gone.
        """
        viewer, study = self.session.viewer, self._analysed
        if study is None:
            raise InputError("the study of this finding is no longer shown; analyse again.")
        layer = self._layers.get((name, key))
        if layer is None or layer not in viewer.layers:
            tuple_ = finding_layer(study, self.findings[name], key, window=self.session.scan.window)
            (layer,) = add_layers(viewer, [tuple_])
            self._layers[name, key] = layer
        layer.visible = True
        viewer.layers.selection.active = layer
        return layer

    def _arrive(self, item: Analysed) -> None:
        if self._analysed is None:  # another study came in between
            return
        if item.finding is None:
            self.refused = {**self.refused, item.name: item.refused}
            return
        self.findings = {**self.findings, item.name: item.finding}

    def _forget(self, names: tuple[str, ...]) -> None:
        self.findings = {name: one for name, one in self.findings.items() if name not in names}
        self.refused = {name: one for name, one in self.refused.items() if name not in names}
        self._layers = {key: layer for key, layer in self._layers.items() if key[0] not in names}

    def _on_study(self, study: Any) -> None:
        """Findings are about one study: they go with it."""
        if study is not self._analysed and (self.findings or self.refused or self._analysed is not None):
            self.activity.abandon()
            self._analysed = None
            self._forget(tuple(ANALYSES))
