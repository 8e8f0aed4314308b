"""Members of other fibres than that of the scan: certified samples of a re-scan, with a lesion or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ctinv.analysis.subject import Subject
from ctinv.fibre.correct import Corrector
from ctinv.fibre.region import Region
from ctinv.fibre.rows import CANDIDATE
from ctinv.progress import Progress

Images = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Alone(Region):
    """A region whose images go through f one by one: each member has a scan of its own, so no pass could be shared."""

    @property
    def images_per_pass(self) -> int:
        """One."""
        return 1


def fibre_members(
    subject: Subject, scan: Images, rows: Sequence[int], *, seed: int, progress: Progress | None = None
) -> Images:
    """Certified samples of the fibre of another scan of this region.

    They are drawn as the sampler draws them: candidates f(scan) + noise of C given the surroundings, corrected onto
    Φ(scan) with the J and K of the subject, and fed back. J is that of the subject's own scan, as for all its
    samples; where its steps stall, the corrector takes J again.

    Args:
        subject: The region.
        scan: (h, w) HU, what stands on the region in place of x; the surroundings stay.
        rows: Rows to draw.
        seed: The user's seed.
        progress: Called with a phrase and a finished share.

    Returns:
        (m, h, w) HU, those of the rows that hold: certified at the asked tier and plausible by χ²/n.
    """
    corrector, seeds = _moved(subject, scan, alone=len(rows) == 1), subject.seeds(seed)
    noise = corrector.noise
    normal = torch.from_numpy(seeds.normal(rows, noise.latent, CANDIDATE)).to(noise.mean.device)
    candidates = corrector.clean + noise.draw(normal.T).T.reshape(len(rows), 1, *subject.shape)
    x_tilde, _, certificates = corrector.correct(candidates, rows, seeds, progress=progress)
    holds = [one.passed and one.in_band is not False for one in certificates]
    return np.asarray(x_tilde[:, 0].cpu().numpy()[holds], dtype=np.float32)


def _moved(subject: Subject, scan: Images, *, alone: bool) -> Corrector:
    """The subject's corrector at another scan."""
    region = subject.corrector.region.at(torch.from_numpy(np.ascontiguousarray(scan))[None, None])
    rows, columns = region.halo
    clean = region.reference_output[..., rows, columns].contiguous()
    return replace(subject.corrector, region=_Alone(**vars(region)) if alone else region, clean=clean)
