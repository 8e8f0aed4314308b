"""Regions to analyse: the linear-Gaussian problem with its closed form, and the shipped CT under cnn10."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ctinv import InvarianceSampler, load_denoiser, read_series
from ctinv.analysis.subject import Subject
from ctinv.resources import ct_folder
from ctinv.validation.problems.gaussian import GaussianProblem
from ctinv.validation.problems.linear import linear_problem
from ctinv.volume import Box

SPACING_MM = (0.7, 0.7)
CT_BOX = Box(8, 176, 208, 152, 184)


def linear_subject(*, size: int = 12, tolerance: float = 0.6) -> tuple[Subject, GaussianProblem]:
    """G1 as a subject, beside its closed form."""
    problem = linear_problem(tolerance=tolerance, size=size)
    return Subject(problem.setup.corrector, problem.covariance, problem.residual, SPACING_MM, "law"), problem


def ct_subject(*, box: Box = CT_BOX, denoiser: str = "cnn10", n: int = 0) -> Subject:
    """A region of the shipped quarter-dose CT, with n samples of it if asked."""
    volume = read_series(ct_folder() / "quarter_dose")
    sampler = InvarianceSampler(load_denoiser(denoiser), cache=False)
    samples = sampler.sample(volume, box, n=n) if n else None
    return Subject.of(sampler.prepare(volume, box), volume, samples=samples)


def with_samples(
    subject: Subject, x_tilde: NDArray[np.floating], rows: Sequence[int] | None = None
) -> Subject:
    """The subject with these (n, h, w) images in place of its samples."""
    images = np.ascontiguousarray(x_tilde, dtype=np.float32)
    return replace(subject, x_tilde=images, rows=tuple(range(len(images)) if rows is None else rows))
