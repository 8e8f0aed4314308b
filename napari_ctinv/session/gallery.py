"""GalleryModel: the few samples that stand for all, as pictures with their share and certificate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from psygnal import SignalGroupDescriptor

from ctinv.errors import InputError
from ctinv.fibre.tiers import Certificate
from napari_ctinv.layers import window_limits
from napari_ctinv.session.figures import number

if TYPE_CHECKING:
    from napari_ctinv.engine.run import Run
    from napari_ctinv.session import Session

ANALYSIS = "representatives"


@dataclass(frozen=True, eq=False)
class Card:
    """One sample of the gallery.

    Attributes:
        row: Its row.
        share: Share of all samples that it stands for.
        x_tilde: (h, w) in the unit of the scan.
        change: (h, w) x̃ − x.
        certificate: Its certificate.
        unit: Unit of the scan.
    """

    row: int
    share: float
    x_tilde: NDArray[np.float32]
    change: NDArray[np.float32]
    certificate: Certificate
    unit: str

    @property
    def caption(self) -> str:
        """Row, share and what feeding back has shown."""
        one = self.certificate
        return (
            f"sample {self.row}: {self.share:.0%}\n{one.tier} {'✓' if one.passed else '✗'} "
            f"{number(one.rmse_hu, 2)} {self.unit}"
        )

    @property
    def words(self) -> str:
        """The certificate in full."""
        one = self.certificate
        return (
            f"Sample {self.row} stands for {self.share:.0%} of the samples. Tier {one.tier}, fed back: RMSE "
            f"{number(one.rmse_hu, 3)} {self.unit}, largest error {number(one.max_hu, 3)} {self.unit}, NFE "
            f"{number(one.nfe, 3)}, χ²/n {number(one.chi2_per_n, 3)}. Click to see it in the viewer."
        )


@dataclass(eq=False)
class GalleryModel:
    """Which few samples stand for all, and for what share each.

    Attributes:
        session: The session.
        cards: What is shown, the first centre first.
        shown: Row of the sample that was chosen last, −1 before one is.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    cards: tuple[Card, ...] = ()
    shown: int = -1

    def __post_init__(self) -> None:
        self.session.analyse.events.findings.connect(self._on_findings)
        self._on_findings(self.session.analyse.findings)

    def run(self) -> Run:
        """Choose the representatives.

        Raises:
            InputError: There is no study.
        """
        return self.session.analyse.run(ANALYSIS)

    @property
    def window(self) -> tuple[float, float]:
        """Contrast limits of x̃: those of the scan."""
        return self.session.scan.window or window_limits(self.session.analyse.study.setting.volume)

    @property
    def limit(self) -> float:
        """Largest change of any card, the end of their common colours."""
        largest = [float(np.abs(card.change).max()) for card in self.cards]
        return max(largest, default=1.0) or 1.0

    def show(self, row: int) -> None:
        """Go to a sample in the viewer.

        Args:
            row: Its row.

        Raises:
            InputError: The sample is not in the study.
        """
        study, viewer, shown = self.session.analyse.study, self.session.viewer, self.session.shown
        layer = shown.samples
        if row not in study.rows[: shown.finished] or layer is None:
            raise InputError(f"sample {row} is not among the {shown.finished} samples on the screen.")
        shown.show(study.rows.index(row))
        viewer.dims.set_point(viewer.dims.ndim - 3, layer.data_to_world([0, 0, 0, 0])[-3])
        layer.visible = True
        viewer.layers.selection.active = layer
        self.shown = row

    def _on_findings(self, findings: Any) -> None:
        finding = findings.get(ANALYSIS)
        if finding is None:
            self.cards = ()
            return
        study = self.session.analyse.study
        certificates = dict(zip(study.rows, study.certificates, strict=True))
        scan, unit = study.setting.volume.hu[0], study.setting.volume.unit
        cards = []
        for one in finding.figures["shown"]:
            image = study.read(one["row"])
            cards.append(Card(one["row"], one["share"], image, image - scan, certificates[one["row"]], unit))
        self.cards = tuple(cards)
