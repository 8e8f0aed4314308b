"""ReportModel: the report of the study, written to a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from napari_ctinv.work.report import ReportRequest, Written

if TYPE_CHECKING:
    from napari_ctinv.engine.run import Run
    from napari_ctinv.session import Activity, Session


@dataclass(eq=False)
class ReportModel:
    """The report in one click.

    Attributes:
        session: The session.
        folder: Where it goes; None for a folder beside the study.
        page: The finished HTML file of the study that is shown, None before there is one.
        verdict: What it says, in one sentence.
        activity: The run.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    folder: Path | None = None
    page: Path | None = None
    verdict: str = ""
    activity: Activity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activity = self.session.activity("Write the report")
        self.session.shown.events.samples.connect(self._on_study)

    def run(self) -> Run:
        """Write ``report.html`` and its record.

        Raises:
            InputError: There is no study.
        """
        study, network = self.session.analyse.study, self.session.network
        request = ReportRequest(
            study=study.path,
            folder=self.folder or study.path.with_name(f"{study.path.stem}-report"),
            device=self.session.settings.device,
            seed=self.session.analyse.seed,
            own=str(network.own) if network.own is not None else None,
            loading=network.loading,
        )
        run = self.activity.start("napari_ctinv.work.report:report", request, on_item=self._arrive)
        self.page, self.verdict = None, ""
        return run

    def _arrive(self, item: Written) -> None:
        self.page, self.verdict = item.page, f"{item.stamp}: {item.sentence}"

    def _on_study(self, _study: Any) -> None:
        self.page, self.verdict = None, ""
