"""ExportModel: the study on the screen, or one from disk, as DICOM, NIfTI, OME-Zarr or a picture for other programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.errors import InputError
from ctinv.export import IMAGES, MAPS, TAKES, Exported, Wanted, parse_rows
from ctinv.volume import Volume, hash_series
from napari_ctinv.engine.run import Run
from napari_ctinv.work.export import ExportRequest

if TYPE_CHECKING:
    from napari_ctinv.session import Activity, Session

PHRASE = "take over the patient's identity"
"""The words by which a user asks for it."""
_ENDINGS = {"ome-zarr": ".ome.zarr", "png": ".png", "svg": ".svg"}


@dataclass(eq=False)
class ExportModel:
    """What the section Export does.

    Attributes:
        session: The session.
        study: Folder of a study; None for the one on the screen.
        format: One of `ctinv.export.FORMATS`.
        samples: ``"all"``, ``"none"``, or rows such as ``"0,3,5"``.
        scan: Whether x is written, over the region.
        denoised: Whether f(x) is written.
        mean: Whether the mean of the samples is written.
        spread: Whether the map of the standard deviation is written.
        worst: Whether the map of the largest feed-back error is written.
        eta: Whether the lesion map is written.
        target: What comes into being; its ending is added where the format has one.
        template: A DICOM file of the scan, to take the patient's identity from.
        words: `PHRASE` where the user wants that; nothing else counts.
        exported: What the last run left, None before there was one.
        said: The same in one sentence.
        activity: The run.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    study: Path | None = None
    format: str = "dicom"
    samples: str = "all"
    scan: bool = True
    denoised: bool = True
    mean: bool = True
    spread: bool = True
    worst: bool = True
    eta: bool = True
    target: Path | None = None
    template: Path | None = None
    words: str = ""
    exported: Exported | None = None
    said: str = ""
    activity: Activity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # A process of its own: an export does not wait until a sampling has ended.
        self.activity = self.session.activity("Export", engine="export")

    @property
    def takes(self) -> tuple[str, ...]:
        """Which of ``samples``, ``images`` and ``maps`` can be chosen for the format."""
        return TAKES[self.format]

    def request(self) -> ExportRequest:
        """What the fields describe.

        Raises:
            InputError: Something is missing, or the identity is not asked for in the right words.
        """
        if self.target is None:
            raise InputError("the export has no target; name the folder or file that shall come into being.")
        return ExportRequest(
            study=self._study(),
            target=_with_ending(self.target, self.format),
            to=self.format,
            wanted=self._wanted(),
            template=self.template,
            take_over_identity=self._asked_in_words(),
            scan=self._scan() if self.format in ("png", "svg") else None,
        )

    def run(self) -> Run:
        """Export; whole or not at all.

        Raises:
            InputError: As for `request`, or an export is under way.
        """
        request = self.request()

        def finish(exported: Exported) -> None:
            self.exported = exported
            self.said = _sentence(request, exported)

        run = self.activity.start("napari_ctinv.work.export:export", request, on_item=finish)
        self.exported, self.said = None, ""
        return run

    def _study(self) -> Path:
        if self.study is not None:
            return self.study
        shown = self.session.invariances.study
        if shown is None:
            raise InputError("there is no study to export; sample one first, or name the folder of a study.")
        return shown.path

    def _scan(self) -> Volume | None:
        """The chosen scan if the study on the screen was drawn from it; a picture then shows its slice."""
        scan, shown = self.session.scan, self.session.invariances.study
        if scan.layer is None or shown is None or self.study not in (None, shown.path):
            return None
        volume = scan.volume()
        return volume if hash_series(volume.uid) == shown.provenance.series else None

    def _wanted(self) -> Wanted:
        """Everything that is ticked; where all is, what a study lacks is left out instead of refused."""
        takes = self.takes
        return Wanted(
            parse_rows(self.samples) if "samples" in takes else None,
            self._ticked(IMAGES) if "images" in takes else None,
            self._ticked(MAPS) if "maps" in takes else None,
        )

    def _ticked(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        chosen = tuple(name for name in names if getattr(self, name))
        return None if chosen == names else chosen

    def _asked_in_words(self) -> bool:
        words = " ".join(self.words.replace("’", "'").split()).casefold()
        if words not in ("", PHRASE):
            raise InputError(
                f'the identity is taken over only on the words "{PHRASE}"; type them, or leave the field empty.'
            )
        if self.template is not None and not words:
            raise InputError(
                f'a file of the scan is named, which holds the patient\'s identity; type "{PHRASE}", or leave the file out.'
            )
        return bool(words)


def _with_ending(target: Path, to: str) -> Path:
    ending = _ENDINGS.get(to, "")
    return target if target.name.lower().endswith(ending[-5:]) else target.with_name(target.name + ending)


def _sentence(request: ExportRequest, exported: Exported) -> str:
    who = "with the patient's identity" if request.take_over_identity else "without identity"
    count = len(exported.files)
    text = f"{request.target.name}: {count} file{'s' * (count != 1)}, {exported.bytes / 1e6:.3g} MB, {who}"
    left = "; ".join(f"{name} left out, {why}" for name, why in exported.left_out.items())
    return f"{text}; {left}." if left else f"{text}."
