"""AnalyseModel: which analyses are made of the study, and what they found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.analysis.registry import ANALYSES
from ctinv.errors import InputError
from ctinv.sampler import Store
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import finding_layer
from napari_ctinv.session.curves import Plotted, plots_of
from napari_ctinv.work.analyse import Analysed, AnalyseRequest

if TYPE_CHECKING:
    from napari.layers import Layer

    from ctinv.analysis.finding import Finding
    from napari_ctinv.engine.run import Run
    from napari_ctinv.session import Activity, Session


@dataclass(eq=False)
class AnalyseModel:
    """What the Analyse tab does.

    Attributes:
        session: The session.
        chosen: Names of the analyses to run, keys of `ctinv.analysis.registry.ANALYSES`.
        seed: Seed of the null distributions.
        findings: Name to finding, of the study on the screen; a new dict with each one that arrives.
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
        self._layers: dict[tuple[Path, str, str], Layer] = {}
        self._kept: dict[Path, tuple[dict[str, Finding], dict[str, str]]] = {}
        self._path: Path | None = None
        self.session.shown.events.samples.connect(self._on_study)
        self._on_study()

    @property
    def study(self) -> Store:
        """The study to analyse: the one on the screen.

        Raises:
            InputError: There is none on disk, or no sample in it is finished.
        """
        study = self.session.shown.study
        if study is None:
            raise InputError("there is no study to analyse; sample invariances first, or open a study.")
        if not isinstance(study, Store):
            raise InputError("these samples are in memory only; sample them into a study to analyse them.")
        if not study.certificates:
            raise InputError("the study has no finished sample yet; wait for the first ones.")
        return study

    @property
    def unit(self) -> str:
        """Unit of the scan of the study."""
        study = self.session.shown.study
        return "HU" if study is None else study.provenance.unit

    def held(self) -> int:
        """How many samples of the study hold, certified and plausible: only those are analysed."""
        return sum(one.passed and one.in_band is not False for one in self.session.shown.certificates)

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
            loading=network.loading,
        )
        path = study.path
        run = self.activity.start(
            "napari_ctinv.work.analyse:analyse", request, on_item=lambda item: self._arrive(path, item)
        )
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
            InputError: The study is no longer on the screen.
        """
        viewer, study = self.session.viewer, self.study
        asked = (study.path, name, key)
        layer = self._layers.get(asked)
        if layer is None or layer not in viewer.layers:
            made = finding_layer(study, self.findings[name], key, window=self.session.scan.window)
            (layer,) = add_layers(viewer, [made])
            self._layers[asked] = layer
        layer.visible = True
        viewer.layers.selection.active = layer
        return layer

    def _arrive(self, path: Path, item: Analysed) -> None:
        """Add what was found to the findings of its study, whichever is on the screen by now."""
        findings, refused = self._kept.get(path, ({}, {}))
        if item.finding is None:
            refused = {**refused, item.name: item.refused}
        else:
            findings = {**findings, item.name: item.finding}
        self._kept[path] = (findings, refused)
        self._show()

    def _forget(self, names: tuple[str, ...]) -> None:
        """These are being found anew."""
        path = self.study.path
        findings, refused = self._kept.get(path, ({}, {}))
        self._kept[path] = (
            {name: one for name, one in findings.items() if name not in names},
            {name: one for name, one in refused.items() if name not in names},
        )
        self._layers = {key: layer for key, layer in self._layers.items() if key[1] not in names}
        self._show()

    def _on_study(self, _value: Any = None) -> None:
        """Findings are about one study, and come back with it."""
        study = self.session.shown.study
        self._path = study.path if isinstance(study, Store) else None
        self._show()

    def _show(self) -> None:
        findings, refused = ({}, {}) if self._path is None else self._kept.get(self._path, ({}, {}))
        if self.findings != findings:
            self.findings = findings
        if self.refused != refused:
            self.refused = refused
