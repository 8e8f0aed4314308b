"""Estimating what a request will take; what that finds out and reads, sampling need not."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ctinv.progress import Progress
from ctinv.sampler.cost import KEPT, Cost
from napari_ctinv.work.sample import SampleRequest, default_study, rows_in, sampler_for


def estimate(request: SampleRequest, report: Progress) -> Iterator[Cost]:
    """Yields the cost; a factor that lies on disk is then read, and the cost of what is left follows.

    Looking at the region and reading a factor are not broken off, as whoever asks for samples needs them next.

    Raises:
        CtinvError: The request cannot be met; a region that is too large says so.
    """
    report("loading the network", math.nan)
    from ctinv.sampler.estimate import estimate as estimate_run

    sampler = sampler_for(request)
    report("looking at the region", math.nan)
    provenance = sampler.provenance(request.volume, request.box, n=request.n, seed=request.seed)
    report("estimating time and memory", math.nan)
    rows = rows_in(request.study or default_study(provenance.key()), provenance.key())
    left = sum(row not in rows for row in range(request.n))
    cost = estimate_run(sampler, request.volume, request.box, n=left, progress=report)
    yield cost
    if cost.factor == KEPT:
        report("reading the factor", math.nan)
        sampler.prepare(request.volume, request.box)
        yield cost.prepared()
