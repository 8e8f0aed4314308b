"""G5: a lesion invariance that is known because it was planted (method §6).

A trained denoiser f is composed with a notch N that takes one disc s out of the image at one place,

    f∘N,   N x = x - s·⟨s, x - ŷ⟩/⟨s, s⟩,

ŷ = f(x). Its Jacobian has s in its null space exactly, whatever f is, so f∘N is blind to s and the analyses must say so:
they must find its place, its size and its shape, and certify an image that holds it. On f alone they must stay silent, on
the scan and on re-scans of it. The disc lies off the pixel grid and has a diameter of no grid.

The notch is tied to one place, so it lives on a slice that is all context of the region: a part of the shipped CT. It is
anchored at the centre of the image, with that centre on the disc's edge: there one pixel moves all that any pixel can move,
and the probing of the receptive field measures what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ctinv.analysis.blindness import lesion_blindness
from ctinv.analysis.eigen import eigen_invariances
from ctinv.analysis.finding import Finding
from ctinv.analysis.ideal_observer import observer_of
from ctinv.analysis.lesion_study import rescanned
from ctinv.analysis.search import BLIND, change_of, find_blind
from ctinv.analysis.subject import Subject
from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import InputError
from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import Covariance, DenseNoise
from ctinv.fibre.discs import Disc
from ctinv.fibre.factor import Factor
from ctinv.fibre.noise import noise_covariance
from ctinv.fibre.probing import probe
from ctinv.fibre.region import Region
from ctinv.fibre.tiers import CT_WINDOW_HU, TierRule
from ctinv.io import read
from ctinv.representation import Representation
from ctinv.resources import ct_folder
from ctinv.validation.checks import Check
from ctinv.volume import Box, Volume

DENOISER, TIER = "cnn10", "T2"
CROP = Box(8, 152, 236, 128, 212)  # of the shipped CT: liver, 84 x 84 pixels
REGION = Box(0, 30, 54, 30, 54)  # of the crop, which is all context that f∘N sees of it
DIAMETER_MM = 5.6
SHIFT = (0.37, 0.21)  # pixels, of the disc's centre row and of its first column's edge against the pixel grid
COSINE, HIDDEN = 0.95, 0.2
_DRAWS = 16


class Notched(nn.Module):
    """A network behind a notch at the centre of its image.

    Args:
        network: Normalised image in and out.
        pattern: (p, q) the disc; the middle pixel of its first column lies at the centre of the image.
        reference: (p, q) the normalised image in the notch's place that it leaves as it is.
    """

    pattern: Tensor
    reference: Tensor

    def __init__(self, network: nn.Module, pattern: Tensor, reference: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("pattern", pattern)
        self.register_buffer("reference", reference)

    def forward(self, x: Tensor) -> Tensor:
        """Take the disc out, then run the network."""
        height, width = self.pattern.shape
        rows, columns = notch_place((x.shape[-2], x.shape[-1]), (height, width))
        there = x[..., rows, columns]
        if there.shape[-2:] != (height, width):
            raise InputError(
                f"a notch of {height} x {width} pixels does not fit on {x.shape[-2]} x {x.shape[-1]}."
            )
        amount = ((there - self.reference) * self.pattern).sum((-2, -1), keepdim=True)
        image = x.clone()
        image[..., rows, columns] = there - amount * self.pattern / self.pattern.square().sum()
        answer: Tensor = self.network(image)
        return answer


def notch_place(shape: tuple[int, int], pattern: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a notch of this size on an image of this (H, W)."""
    top, left = shape[0] // 2 - pattern[0] // 2, shape[1] // 2
    return slice(top, top + pattern[0]), slice(left, left + pattern[1])


@dataclass(frozen=True, eq=False)
class Ground:
    """The part of the shipped CT that a lesion is planted on.

    Attributes:
        scan: (H, W) HU.
        clean: (H, W) HU, f(x).
        covariance: C on all of it.
        spacing_mm: Distance of rows and of columns in mm.
        denoiser: f.
    """

    scan: Tensor
    clean: Tensor
    covariance: Covariance
    spacing_mm: tuple[float, float]
    denoiser: Denoiser

    @classmethod
    def shipped(cls) -> Ground:
        """From the shipped quarter-dose CT; C is that of its whole slice."""
        volume: Volume = read(ct_folder() / "quarter_dose")[CROP.z]
        denoiser = load_denoiser(DENOISER)
        slice_ = torch.from_numpy(volume.hu)[None]
        with torch.inference_mode():
            clean = denoiser(slice_)[0, 0]
        there = Box(0, CROP.y0, CROP.y1, CROP.x0, CROP.x1)
        known, _ = noise_covariance(volume, clean.numpy(), there)
        area = Box(0, 0, *_ends(CROP))
        covariance = Covariance(area, known.sigma, known.spectrum, known.white)
        scan = slice_[0][0][there.slices].contiguous()
        _, dy, dx = volume.spacing
        return cls(scan, clean[there.slices].clone(), covariance, (dy, dx), denoiser)

    @property
    def planted(self) -> Disc:
        """The disc, in pixels of the region: its support begins at the centre of the crop."""
        height, width = CROP.shape
        edge = width // 2 - REGION.x0 - 0.5 + SHIFT[1]
        return Disc(
            height // 2 - REGION.y0 + SHIFT[0], edge + DIAMETER_MM / 2 / self.spacing_mm[1], DIAMETER_MM
        )

    def notched(self) -> Denoiser:
        """f∘N."""
        image = self.planted.image(REGION.shape, self.spacing_mm)
        rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
        pattern = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        place = notch_place(CROP.shape, pattern.shape)
        found = (int(rows[0]) + REGION.y0, int(columns[0]) + REGION.x0)
        if (place[0].start, place[1].start) != found or pattern.shape[0] > pattern.shape[1]:
            raise InputError(f"the disc's support begins at {found}, not at the notch {place}.")
        f = self.denoiser
        reference = (self.clean[place] - f.mean) / f.std
        network = Notched(f.network, torch.from_numpy(np.ascontiguousarray(pattern)), reference)
        return Denoiser(network, name=f"{f.name} with a notch", mean=f.mean, std=f.std)

    def subject(self, denoiser: Denoiser) -> Subject:
        """The region as the product sets it up, for f or f∘N."""
        region = Region.in_slice(Representation(denoiser), self.scan, REGION)
        residual = (self.scan - self.clean).double().numpy()
        noise = DenseNoise.given(self.covariance, REGION, residual)
        patch = self.clean[REGION.slices][None, None].contiguous()
        rule = TierRule(
            TIER, relative=False, window_hu=CT_WINDOW_HU, sigma_out_hu=_sigma_out(region, noise, patch)
        )
        factor = Factor.build(probe(region), noise, rule.tolerance)
        corrector = Corrector(region, factor, noise, patch, rule)
        return Subject(corrector, self.covariance, residual, self.spacing_mm, "planted")


def _ends(box: Box) -> tuple[int, int, int]:
    height, width = box.shape
    return height, 0, width


def _sigma_out(region: Region, noise: DenseNoise, clean: Tensor) -> float:
    """Std of f over re-scans of the region, HU."""
    normal = torch.randn(noise.latent, _DRAWS, generator=torch.Generator().manual_seed(0))
    patches = clean + noise.draw(normal).T.reshape(_DRAWS, 1, *region.shape)
    output, _ = region.errors(patches)
    return float(output[..., region.halo[0], region.halo[1]].var(0).mean().sqrt())


def check(*, seeds: Sequence[int] = range(3), planted: int = 1) -> list[Check]:
    """The planted lesion is found, and nothing is found where none was planted.

    Args:
        seeds: Re-scans of the region on which the bare network must raise no alarm; the scan itself is one more.
        planted: Images on which the planted lesion must be found: the scan, then re-scans.

    Returns:
        The checks of I3 and of the search on each planted image, and the false alarms of both on the bare network.
    """
    ground = Ground.shipped()
    target = torch.from_numpy(ground.planted.image(REGION.shape, ground.spacing_mm).reshape(1, -1))
    checks = []
    for number, subject in enumerate(_scans(ground.subject(ground.notched()), seeds, planted)):
        checks += _found(subject, target, "" if number == 0 else f", re-scan {number}")
    alarms = {"lesion blindness": 0, "search": 0}
    for subject in _scans(ground.subject(ground.denoiser), seeds, len(seeds) + 1):
        alarms["lesion blindness"] += lesion_blindness(subject, exact=False).interesting
        alarms["search"] += find_blind(subject, exact=False).figures["verdict"] == BLIND
    count = len(seeds) + 1
    return checks + [
        Check(f"false alarms of {name} in {count} scans", float(wrong), "none", wrong == 0)
        for name, wrong in alarms.items()
    ]


def _scans(subject: Subject, seeds: Sequence[int], count: int) -> list[Subject]:
    rows = list(seeds)[: count - 1]
    return [subject, *rescanned(subject, rows)] if rows else [subject]


def _found(subject: Subject, target: Tensor, where: str) -> list[Check]:
    """What I3, the search and I5 say of a planted image."""
    seen, search = lesion_blindness(subject, exact=False), find_blind(subject, exact=False)
    direction = torch.from_numpy(eigen_invariances(subject).maps["direction_1"].values.reshape(1, -1))
    change = change_of(search)
    cosines = {
        "lesion blindness": _cosine(_worst(subject, seen), target),
        "search": 0.0 if change is None else _cosine(change, target),
    }
    hidden = {"lesion blindness": seen.figures["worst"]["d_eps_at_d_in_3"]}
    hidden["search"] = np.inf if change is None else _hidden(subject, change)
    verdicts = {"lesion blindness": seen.interesting, "search": search.figures["verdict"] == BLIND}
    checks = []
    for name in cosines:
        said = verdicts[name]
        checks += [
            Check(f"{name} says blind{where}", float(said), "1", bool(said)),
            Check(
                f"cosine of {name} to the lesion{where}",
                cosines[name],
                f"at least {COSINE}",
                cosines[name] >= COSINE,
            ),
            Check(
                f"d'_ε at d'_in = 3 by {name}{where}",
                float(hidden[name]),
                f"at most {HIDDEN}",
                hidden[name] <= HIDDEN,
            ),
        ]
    cosine = _cosine(direction, target)
    bound = f"at least {COSINE}"
    return [
        *checks,
        Check(f"cosine of the first eigen-invariance to the lesion{where}", cosine, bound, cosine >= COSINE),
    ]


def _worst(subject: Subject, finding: Finding) -> Tensor:
    """(1, n) the worst disc of I3."""
    place, box = finding.figures["worst"], subject.box
    disc = Disc(place["y"] - box.y0, place["x"] - box.x0, place["diameter_mm"])
    return torch.from_numpy(disc.image(subject.shape, subject.spacing_mm).reshape(1, -1))


def _hidden(subject: Subject, change: Tensor) -> float:
    """d'_ε of a change at the contrast at which its d'_in is 3."""
    return 3.0 * float(np.sqrt(observer_of(subject.corrector).look(change).eta[0]))


def _cosine(a: Tensor, b: Tensor) -> float:
    return float((a.double() * b.double()).sum() / (a.double().norm() * b.double().norm()))
