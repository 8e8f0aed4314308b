"""I6: which samples stand for all, by laws of the greedy choice and by planted groups."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from analysis_subjects import linear_subject, with_samples
from scipy.stats import binom

from ctinv.analysis.registry import analyse
from ctinv.analysis.representatives import k_centre, representatives
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.iterative import TorusNoise


@pytest.fixture(scope="module")
def subject() -> Subject:
    return linear_subject()[0]


def slow_patterns(subject: Subject) -> np.ndarray:
    """(4, h, w) orthogonal pictures below 0.1 cycles per pixel, 1 HU RMS each."""
    height, width = subject.shape
    y, x = np.mgrid[:height, :width]
    angles = 2 * np.pi * np.stack([y / height, x / width])
    return np.sqrt(2.0) * np.concatenate([np.cos(angles), np.sin(angles)])


def fast_pattern(subject: Subject) -> np.ndarray:
    y, x = np.mgrid[: subject.shape[0], : subject.shape[1]]
    return np.where((y + x) % 2 == 0, 1.0, -1.0)


def groups(subject: Subject, sizes: tuple[int, ...]) -> np.ndarray:
    """Samples in groups that lie 10 HU from the scan in directions of their own, and 0.1 HU apart within."""
    patterns, rng = slow_patterns(subject), np.random.default_rng(0)
    images = []
    for pattern, size in zip(patterns, sizes, strict=False):
        weights = 0.1 * rng.uniform(-1, 1, size)
        images += [subject.scan + (10.0 + weight) * pattern for weight in weights]
    return np.stack(images)


def test_groups_are_found_with_their_shares(subject: Subject) -> None:
    sizes = (10, 6, 3, 1)
    found = representatives(with_samples(subject, groups(subject, sizes)), count=4)
    shares = sorted(one["share"] for one in found.figures["shown"])
    assert shares == sorted(size / 20 for size in sizes)
    assert sum(shares) == pytest.approx(1.0)
    assert found.figures["radius_hu"] < 0.3
    membership = np.array(found.curves["membership"]["stands_for"])
    for start, stop in ((0, 10), (10, 16), (16, 19), (19, 20)):
        assert len(set(membership[start:stop])) == 1
    for one in found.figures["shown"]:
        assert one["change_hu"] == pytest.approx(10.0, abs=0.2)
        np.testing.assert_allclose(
            np.sqrt(np.mean(found.maps[f"row_{one['row']}"].values ** 2)), one["change_hu"], rtol=1e-4
        )


def test_neither_order_nor_seed_decides(subject: Subject) -> None:
    images, rows = groups(subject, (5, 4, 4, 3)), np.arange(16) * 3
    first = representatives(with_samples(subject, images, rows), seed=0)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(16)
        other = representatives(with_samples(subject, images[order], rows[order]), seed=seed)
        assert other.figures["shown"] == first.figures["shown"]
        assert other.curves == first.curves


def test_only_slow_changes_count(subject: Subject) -> None:
    images = groups(subject, (5, 4, 4, 3))
    noise = np.random.default_rng(0).uniform(-50, 50, len(images))
    loud = images + noise[:, None, None] * fast_pattern(subject)
    plain, disturbed = (representatives(with_samples(subject, one)).figures for one in (images, loud))
    assert [one["row"] for one in disturbed["shown"]] == [one["row"] for one in plain["shown"]]
    assert disturbed["radius_hu"] == pytest.approx(plain["radius_hu"], rel=1e-3)


def test_the_radius_is_at_most_twice_the_best() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        points = rng.standard_normal((10, 2))
        apart = np.linalg.norm(points[:, None] - points[None], axis=2)
        best = min(apart[:, list(chosen)].min(1).max() for chosen in combinations(range(10), 3))
        centres, radii = k_centre(points, 3)
        assert best - 1e-12 <= radii[-1] <= 2 * best + 1e-12
        assert radii[-1] == pytest.approx(apart[:, centres].min(1).max())
        assert sorted(radii, reverse=True) == radii


def test_ties_go_to_the_smaller_row() -> None:
    square = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert k_centre(square, 2)[0] == [0, 3]
    assert k_centre(square[::-1], 2)[0] == [0, 3]


def test_twins_need_one_representative(subject: Subject) -> None:
    images = np.repeat(subject.scan[None] + 1.0, 8, axis=0)
    found = representatives(with_samples(subject, images, range(5, 13)))
    assert found.figures["shown"] == [{"row": 5, "share": 1.0, "change_hu": pytest.approx(1.0, rel=1e-3)}]
    assert found.figures["radius_hu"] == 0.0
    assert not found.interesting
    assert "sample 5 (100%) stands for all" in found.sentence


def test_rescans_are_the_null_and_more_than_rescans_is_interesting(subject: Subject) -> None:
    """Rate of a wrong "interesting" within the binomial bounds; 1.3 times the noise is caught."""
    studies, size, alarms = 100, 12, 0
    for k in range(studies):
        rescans = subject.renoised(range(k * size, (k + 1) * size), seed=77)
        alarms += representatives(with_samples(subject, rescans), seed=k, sets=99).interesting
    low, high = binom.ppf([0.0005, 0.9995], studies, 0.05)
    assert low <= alarms <= high
    rescans = subject.clean + 1.3 * subject.noise(range(60), seed=77)
    wide = representatives(with_samples(subject, rescans))
    assert wide.interesting
    assert wide.figures["radius_hu"] > wide.figures["threshold_hu"]


def test_a_large_region_has_a_null_from_draws(subject: Subject) -> None:
    """Regions too large for a dense C know their noise by draws only; other analyses refuse them."""
    noise = TorusNoise.given(subject.covariance, subject.box, subject.residual, torch.device("cpu"))
    large = replace(subject, corrector=replace(subject.corrector, noise=noise))
    samples = with_samples(large, groups(subject, (5, 4, 4, 3)))
    dense = representatives(with_samples(subject, samples.x_tilde)).figures["null_median_hu"]
    assert representatives(samples).figures["null_median_hu"] == pytest.approx(dense, rel=0.25)
    for name in ("noise-consistency", "matched-filter"):
        with pytest.raises(InputError, match="choose a smaller box"):
            analyse(name, samples)


def test_the_unit_of_the_scan_is_named(subject: Subject) -> None:
    found = representatives(replace(with_samples(subject, groups(subject, (3, 3, 2, 2))), unit="a.u."))
    assert "a.u." in found.sentence
    assert "HU" not in found.sentence
    assert {one.unit for one in found.maps.values()} == {"a.u."}


def test_what_makes_no_sense_is_refused(subject: Subject) -> None:
    with pytest.raises(InputError, match="at least 1 certified samples, this study has 0"):
        representatives(subject)
    with pytest.raises(InputError, match="at least 6 certified"):
        analyse("representatives", with_samples(subject, groups(subject, (2, 1, 1, 1))))
    with pytest.raises(InputError, match="20 sets"):
        representatives(with_samples(subject, groups(subject, (2, 1))), sets=5)
    assert len(representatives(with_samples(subject, subject.scan[None])).figures["shown"]) == 1
