"""I4: how well an observer tells fibre members with a lesion from fibre members without one (method §7)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.analysis.channel_theory import ChannelTheory
from ctinv.analysis.channels import Hotelling, observe
from ctinv.analysis.finding import Finding, Map
from ctinv.analysis.members import fibre_members
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.discs import Disc
from ctinv.progress import Progress, each, part, tell

DIAMETER_MM = 5.0
MEMBERS = 100
CHANNELS = 6
BOOTSTRAP = 2000
LEVEL = 0.95
SEEN, UNSEEN = 3.0, 1.0
"""d' that an observer sees, and d' that it does not (method §7)."""
CLEAR = 4.0
"""d' in the scans of a disc whose contrast is not given."""
FRESH, HELD = "fresh", "held"
SCANS = (FRESH, HELD)
_DRAWING = "drawing members of fibres"

Images = NDArray[np.float32]
Array = NDArray[np.float64]


def hotelling_observer(
    subject: Subject,
    *,
    seed: int = 0,
    diameter_mm: float = DIAMETER_MM,
    contrast_hu: float | None = None,
    place: tuple[float, float] | None = None,
    members: int = MEMBERS,
    scans: str = FRESH,
    channels: int = CHANNELS,
    bootstrap: int = BOOTSTRAP,
    progress: Progress | None = None,
) -> Finding:
    """Let a channelised Hotelling observer look for a disc in certified fibre members.

    Class "without": members of the fibres of scans of this anatomy. Class "with": members of the fibres of scans into
    which the disc was inserted. f and ε decide how much of the disc the members still show.

    An observer is limited by noise, so each member belongs to a scan of its own, f(x) + noise of C, with or without
    the disc (``scans="fresh"``). Were one scan held for all members of a class (``scans="held"``), both classes would
    share its noise, and d' would say how far two fibres lie apart in units of what ε leaves free. That grows beyond
    all bounds as ε shrinks, also for a disc that no one sees in the noise; it is kept as an option, to ask whether
    the two fibres overlap.

    A member costs a few passes through f; where f is so curved that J must be taken again at each scan, about 55, which
    makes minutes of a region of 64 x 64 voxels.

    d' of the scans themselves for the same channels follows from C; its ratio to d' of the members, squared, is the
    share of the disc's detectability that f passes on at ε. The finding is interesting where the observer sees the
    disc in the scans, d' ≥ 3, and not in the members: the upper end of the 95 % interval is at most 1. The null is
    that both classes are one: ``p`` is that of Hotelling's T². One lesion is tested, so nothing needs correction.

    Args:
        subject: The region; its own samples are not used.
        seed: Seed of scans, members and bootstrap.
        diameter_mm: Diameter of the disc.
        contrast_hu: Its contrast in the unit of the scan; by default that at which the observer's d' in the scans is 4, so
            that the disc is seen there, whatever the unit and the noise.
        place: Row and column of its centre in the voxels of the scan; the centre of the region by default.
        members: Members drawn per class; those that do not hold are left out and counted.
        scans: ``"fresh"`` or ``"held"``.
        channels: Number of Laguerre-Gauss channels.
        bootstrap: Resamples.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: The disc does not fit, too few members hold, an option makes no sense, or the region is too large
            for a dense C.
    """
    disc = _disc(subject, diameter_mm, place)
    _check(contrast_hu, members, scans, channels, bootstrap)
    tell(progress, "setting the channels up", 0.0)
    theory = ChannelTheory.of(subject, disc, 1.0 if contrast_hu is None else contrast_hu, channels)
    if contrast_hu is None:
        contrast_hu = CLEAR / theory.in_scan
        theory = ChannelTheory.of(subject, disc, contrast_hu, channels)
    absent, present = _classes(subject, theory.lesion, members, scans, seed, part(progress, 0.0, 0.9))
    outputs = [images.reshape(len(images), -1) @ theory.bank for images in (absent, present)]
    rng = subject.seeds(seed).generator(0, "observer")
    training = part(progress, 0.9, 0.95)
    seen = observe(outputs[0], outputs[1], rng=rng, bootstrap=bootstrap, level=LEVEL, progress=training)
    tell(progress, "comparing it with theory", 0.95)
    figures: dict[str, Any] = {
        **asdict(seen),
        "d_prime_scan": theory.in_scan,
        "d_prime_theory": theory.in_members(held=scans == HELD),
        "d_prime_ideal_scan": theory.ideal_in_scan,
        **_kept(seen, theory.in_scan, scans),
        "left_out": [members - count for count in seen.members],
        "diameter_mm": diameter_mm,
        "contrast_hu": contrast_hu,
        "y": disc.y + subject.box.y0,
        "x": disc.x + subject.box.x0,
        "scans": scans,
        "channels": channels,
        "channel_width_mm": theory.width_mm,
        "bootstrap": bootstrap,
        "level": LEVEL,
        "null": "both classes are one: Hotelling's T² for Gaussian channel outputs",
        "threshold": f"d' of the scans at least {SEEN:g}, upper end of the interval at most {UNSEEN:g}",
        "control": "one lesion, one test",
    }
    return Finding(
        "observer",
        _sentence(figures, seen, subject.unit),
        bool(theory.in_scan >= SEEN and seen.interval[1] <= UNSEEN),
        figures,
        {"difference": _difference(subject, absent, present)},
        {"channels": _table(outputs)},
    )


def _kept(seen: Hotelling, in_scan: float, scans: str) -> dict[str, Any]:
    """Share of the scans' d'² that the members keep; it has a meaning only where both have the noise of a scan."""
    if scans == HELD:
        return {"kept": None, "kept_interval": None}
    share = max(seen.d_prime_squared, 0.0) / in_scan**2
    return {"kept": share, "kept_interval": [(end / in_scan) ** 2 for end in seen.interval]}


def _table(outputs: list[Array]) -> dict[str, list[float]]:
    """Mean and standard deviation of each channel in each class."""
    table = {"channel": [float(index) for index in range(outputs[0].shape[1])]}
    for name, one in zip(("without", "with"), outputs, strict=True):
        table |= {name: one.mean(0).tolist(), f"{name}_std": one.std(0, ddof=1).tolist()}
    return table


def _disc(subject: Subject, diameter_mm: float, place: tuple[float, float] | None) -> Disc:
    if not diameter_mm > 0:
        raise InputError(f"expected a diameter above 0 mm, got {diameter_mm}.")
    box, (height, width) = subject.box, subject.shape
    row, column = (box.y0 + height // 2, box.x0 + width // 2) if place is None else place
    disc = Disc(row - box.y0, column - box.x0, diameter_mm)
    if not disc.fits(subject.shape, subject.spacing_mm):
        raise InputError(
            f"a disc of {diameter_mm:g} mm at row {row:g}, column {column:g} does not fit on the region {box}; choose "
            "another place, a smaller disc or a larger box."
        )
    return disc


def _check(contrast_hu: float | None, members: int, scans: str, channels: int, bootstrap: int) -> None:
    if contrast_hu is not None and (not np.isfinite(contrast_hu) or contrast_hu == 0):
        raise InputError(f"expected a contrast other than 0, got {contrast_hu}.")
    if scans not in SCANS:
        raise InputError(f"expected scans to be one of {', '.join(SCANS)}, got {scans!r}.")
    if channels < 1 or bootstrap < 1000 or members < channels + 2:
        raise InputError(
            f"expected at least one channel, 1000 resamples and two members more than channels, got {channels}, {bootstrap} "
            f"and {members}."
        )


def _classes(
    subject: Subject, lesion: Images, members: int, scans: str, seed: int, progress: Progress | None
) -> tuple[Images, Images]:
    """(m, h, w) members without the lesion and with it; the rows of the two classes differ."""
    found = []
    inserts = each(progress, _DRAWING, (np.zeros_like(lesion), lesion))
    for index, (inner, insert) in enumerate(inserts):
        rows = range(index * members, (index + 1) * members)
        if scans == HELD:
            found.append(fibre_members(subject, subject.scan + insert, rows, seed=seed, progress=inner))
            continue
        rescans = subject.renoised(rows, seed=seed)
        parts = [
            fibre_members(subject, scan + insert, [row], seed=seed, progress=one)
            for row, (one, scan) in zip(rows, each(inner, _DRAWING, list(rescans)), strict=True)
        ]
        found.append(np.concatenate(parts))
    return found[0], found[1]


def _difference(subject: Subject, absent: Images, present: Images) -> Map:
    difference = (present.mean(0) - absent.mean(0)).astype(np.float32)
    return Map(difference, subject.unit, "mean member with the lesion, less without")


def _sentence(figures: dict[str, Any], seen: Hotelling, unit: str) -> str:
    low, high = seen.interval
    if figures["kept"] is None:
        passed = "one scan is held, so this is the distance of two fibres, not what an observer sees in noise"
    else:
        share, (least, most) = figures["kept"], figures["kept_interval"]
        passed = f"f passes on {share:.0%} of its d'² ({least:.0%} to {most:.0%})"
    return (
        f"A disc of {figures['diameter_mm']:g} mm and {figures['contrast_hu']:.3g} {unit} at row {figures['y']:g}, column "
        f"{figures['x']:g} has d' = {figures['d_prime_scan']:.2f} in the scans for a channelised Hotelling observer, and "
        f"{seen.d_prime:.2f} (95 % interval {low:.2f} to {high:.2f}) in {seen.members[0]} and {seen.members[1]} members of "
        f"the fibres: {passed}."
    )
