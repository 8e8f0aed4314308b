"""Session: everything the dock shows, as models without an interface. Scripts drive the same models.

There is one session for each viewer::

    session = session_of(viewer)
    session.invariances.n = 20
    session.invariances.run().wait()

Nothing here imports Qt or torch; the models use napari's own models (viewer, layers), and all computing is done by the
engine beside the viewer.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from napari_ctinv.engine.process import Engine
from napari_ctinv.session.activity import Activity
from napari_ctinv.session.settings import Settings, remembered

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ctinv.session.analyse import AnalyseModel
    from napari_ctinv.session.certificates import CertificatesModel
    from napari_ctinv.session.compare import CompareModel
    from napari_ctinv.session.denoise import DenoiseModel
    from napari_ctinv.session.estimate import EstimateModel
    from napari_ctinv.session.export import ExportModel
    from napari_ctinv.session.film import FilmModel
    from napari_ctinv.session.gallery import GalleryModel
    from napari_ctinv.session.invariances import InvariancesModel
    from napari_ctinv.session.network import NetworkModel
    from napari_ctinv.session.noise import NoiseModel
    from napari_ctinv.session.probe import ProbeModel
    from napari_ctinv.session.raw import RawModel
    from napari_ctinv.session.report import ReportModel
    from napari_ctinv.session.roi import RoiModel
    from napari_ctinv.session.scan import ScanModel
    from napari_ctinv.session.shown import ShownModel
    from napari_ctinv.session.train import TrainModel

MODELS = {
    "scan": "scan:ScanModel",
    "network": "network:NetworkModel",
    "denoise": "denoise:DenoiseModel",
    "invariances": "invariances:InvariancesModel",
    "analyse": "analyse:AnalyseModel",
    "gallery": "gallery:GalleryModel",
    "roi": "roi:RoiModel",
    "report": "report:ReportModel",
    "noise": "noise:NoiseModel",
    "shown": "shown:ShownModel",
    "certificates": "certificates:CertificatesModel",
    "probe": "probe:ProbeModel",
    "film": "film:FilmModel",
    "raw": "raw:RawModel",
    "compare": "compare:CompareModel",
    "export": "export:ExportModel",
    "train": "train:TrainModel",
    "estimate": "estimate:EstimateModel",
}
"""Attribute of the session to ``module:class`` below this package; to add a model, write it and its row."""

_WARM = ("ctinv.sampler.store", "pandas")
"""What reads studies, and what napari itself imports for the first points or shapes; half a second and more."""

_sessions: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()


class Session:
    """The models of one viewer, made on first use.

    Args:
        viewer: The viewer, or napari's model of one.

    Attributes:
        settings: Device, number of samples and the like, as in napari's Preferences.
    """

    if TYPE_CHECKING:
        scan: ScanModel
        network: NetworkModel
        denoise: DenoiseModel
        invariances: InvariancesModel
        analyse: AnalyseModel
        gallery: GalleryModel
        roi: RoiModel
        report: ReportModel
        noise: NoiseModel
        shown: ShownModel
        certificates: CertificatesModel
        probe: ProbeModel
        film: FilmModel
        raw: RawModel
        compare: CompareModel
        export: ExportModel
        train: TrainModel
        estimate: EstimateModel

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = ref(viewer)  # the sessions below are kept for as long as their viewers
        self.settings = remembered()
        self._engines: dict[str, Engine] = {}
        self._closings = 0
        self.settings.events.cache.connect(self._configure)
        self.settings.events.threads.connect(self._configure)

    def __getattr__(self, name: str) -> Any:
        if name not in MODELS:
            raise AttributeError(f"a session has no {name!r}")
        module, kind = MODELS[name].split(":")
        model = getattr(importlib.import_module(f"napari_ctinv.session.{module}"), kind)(self)
        setattr(self, name, model)
        return model

    @property
    def viewer(self) -> ViewerModel:
        """The viewer."""
        viewer = self._viewer()
        if viewer is None:
            raise ReferenceError("the viewer of this session is gone.")
        return viewer

    def engine(self, name: str = "compute") -> Engine:
        """The computing process of this name; one computes for the tabs, another one trains."""
        if name not in self._engines:
            self._engines[name] = Engine(self.settings.environment())
        return self._engines[name]

    def activity(self, title: str, *, engine: str = "compute") -> Activity:
        """What one button stands for; its work is done by the engine of this name."""
        return Activity(title=title, engine=lambda: self.engine(engine))

    def later(self, call: Callable[[], None]) -> None:
        """Have this called in a turn of the event loop of its own, unless the session is closed before."""
        closings = self._closings
        self.engine().delivery.post(lambda: call() if self._closings == closings else None)

    def follow(self, work: Future[Any], call: Callable[[Future[Any]], None]) -> None:
        """Have this called once a thread has done its work, unless the session is closed before."""
        closings = self._closings
        self.engine().delivery.follow(work, lambda done: call(done) if self._closings == closings else None)

    def warm(self) -> None:
        """Let the computing process load its libraries while the user looks around, and this one what it will need."""
        self._warm_up  # noqa: B018
        threading.Thread(target=lambda: [importlib.import_module(name) for name in _WARM]).start()

    @cached_property
    def _warm_up(self) -> Any:
        return self.engine().submit("napari_ctinv.work.cached:warm", None)

    def close(self, *, wait: bool = True) -> None:
        """End the computing processes; what runs leaves its files whole first, and what was put off is dropped."""
        self._closings += 1
        for engine in self._engines.values():
            engine.close(wait=wait)

    def _configure(self) -> None:
        for engine in self._engines.values():
            engine.configure(self.settings.environment())


def session_of(viewer: Any) -> Session:
    """The session of a viewer, made on first use; `viewer` may be a napari viewer or a model of one."""
    viewer = getattr(viewer, "__wrapped__", viewer)  # napari hands plugins a proxy
    if viewer not in _sessions:
        _sessions[viewer] = Session(viewer)
    return _sessions[viewer]


__all__ = ["Activity", "Session", "Settings", "session_of"]
