"""Every analysis says where it is, ends at once when told to, and finds the same whether anybody listens or not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from analysis_subjects import linear_subject, with_samples

from ctinv.analysis.finding import Finding
from ctinv.analysis.registry import ANALYSES, analyse, analyse_each
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.iterative import IterativeGain, TorusNoise
from ctinv.jsonable import dumps, plain
from ctinv.progress import blocks, each, named, part, tell

LIGHT: dict[str, dict[str, Any]] = {"observer": {"members": 10, "bootstrap": 1000}}
MORE: dict[str, tuple[dict[str, Any], ...]] = {
    "lesion-blindness": ({"rescans": 2, "exact": False},),
    "find-blind": ({"rescans": 2, "exact": False},),
    "eigen-invariances": ({"rescans": 2, "count": 2},),
    "observer": ({"scans": "held", "members": 10, "bootstrap": 1000},),
}
LARGE = ("lesion-blindness", "find-blind", "representatives")
"""Those that regions without a dense factor do not refuse."""
CASES = [
    *(
        ("dense", name, options)
        for name in ANALYSES
        for options in (LIGHT.get(name, {}), *MORE.get(name, ()))
    ),
    *(("large", name, {}) for name in LARGE),
]


class Ended(Exception):
    """What a listener raises to end an analysis."""


@dataclass(frozen=True, eq=False)
class Heard:
    """An analysis that was listened to, and how it is run again."""

    finding: Finding
    told: list[tuple[str, float]]
    again: Callable[..., Finding]


@pytest.fixture(scope="module")
def subjects() -> dict[str, Subject]:
    """One region with samples, with a dense factor and, as large ones are, without."""
    bare, _ = linear_subject()
    dense = with_samples(bare, bare.renoised(range(8), seed=3))
    corrector = dense.corrector
    noise = TorusNoise.given(dense.covariance, dense.box, dense.residual, torch.device("cpu"))
    gain = IterativeGain.build(corrector.factor.jacobian, noise, corrector.factor.tolerance)
    large = replace(dense, corrector=replace(corrector, noise=noise, factor=gain))
    return {"dense": dense, "large": large}


@pytest.fixture(scope="module", params=CASES, ids=lambda case: " ".join((*case[:2], *case[2])))
def heard(subjects: dict[str, Subject], request: pytest.FixtureRequest) -> Heard:
    size, name, options = request.param
    subject = subjects[size]
    told: list[tuple[str, float]] = []

    def again(**more: Any) -> Finding:
        return analyse(name, subject, seed=2, **options, **more)

    return Heard(again(progress=lambda phrase, share: told.append((phrase, share))), told, again)


def test_it_says_what_it_does_and_never_goes_back(heard: Heard) -> None:
    assert heard.told
    assert all(phrase.strip() for phrase, _ in heard.told)
    known = [share for _, share in heard.told if not math.isnan(share)]
    assert all(0.0 <= share <= 1.0 for share in known)
    assert known == sorted(known)


def test_what_a_listener_raises_ends_it_there(heard: Heard) -> None:
    for last in sorted({1, 2, len(heard.told) // 2 + 1, len(heard.told)}):
        if last > len(heard.told):
            continue
        calls, raised = [], Ended(f"at call {last}")

        def stop(
            phrase: str, share: float, *, calls: list[str] = calls, last: int = last, raised: Ended = raised
        ) -> None:
            calls.append(phrase)
            if len(calls) == last:
                raise raised

        with pytest.raises(Ended) as caught:
            heard.again(progress=stop)
        assert caught.value is raised
        assert calls == [phrase for phrase, _ in heard.told[:last]], "it went on after it was ended"


def test_it_finds_the_same_with_nobody_listening(heard: Heard) -> None:
    found, silent = heard.finding, heard.again()
    assert silent.sentence == found.sentence
    assert silent.interesting == found.interesting
    assert dumps(plain(silent.figures)) == dumps(plain(found.figures))
    assert dumps(plain(silent.curves)) == dumps(plain(found.curves))
    assert list(silent.maps) == list(found.maps)
    for name, one in silent.maps.items():
        np.testing.assert_array_equal(one.values, found.maps[name].values)


def test_one_after_the_other_what_cannot_be_made_stops_no_other(subjects: dict[str, Subject]) -> None:
    bare = with_samples(subjects["large"], np.zeros((0, 12, 12)))
    names = ("representatives", "eigen-invariances", "lesion-blindness")
    told: list[tuple[str, float]] = []
    results = dict(
        analyse_each(names, bare, seed=2, progress=lambda phrase, share: told.append((phrase, share)))
    )
    assert list(results) == list(names)
    assert "needs at least 6 certified samples" in str(results["representatives"])
    assert isinstance(results["eigen-invariances"], InputError)  # it needs a dense factor
    assert isinstance(results["lesion-blindness"], Finding)
    titles = [ANALYSES[name].title.lower() for name in names]
    assert [(phrase, share) for phrase, share in told if phrase.startswith("analysing: ")] == [
        (f"analysing: {title}", index / 3) for index, title in enumerate(titles)
    ]
    assert all(phrase.startswith(("analysing: ", *titles)) for phrase, _ in told)
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] <= 1.0


def test_a_matrix_that_will_not_be_factorised_is_told_as_a_refusal(
    subjects: dict[str, Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr("ctinv.analysis.eigen.eigen_invariances", fail)
    ((name, result),) = analyse_each(["eigen-invariances"], subjects["dense"])
    assert name == "eigen-invariances"
    assert str(result) == "eigen-invariances cannot be computed in this region: SVD did not converge."


def test_one_after_the_other_ends_where_a_listener_raises(subjects: dict[str, Subject]) -> None:
    def stop(phrase: str, share: float) -> None:
        if phrase == "analysing: search for the largest hidden lesion":
            raise Ended(phrase)

    results = analyse_each(["lesion-blindness", "find-blind"], subjects["large"], progress=stop)
    assert next(results)[0] == "lesion-blindness"
    with pytest.raises(Ended):
        next(results)
    with pytest.raises(InputError, match="there is no analysis 'nothing'"):
        next(analyse_each(["find-blind", "nothing"], subjects["large"]))


def test_parts_fill_the_whole_and_keep_the_last_known_share() -> None:
    told: list[tuple[str, float]] = []

    def listen(phrase: str, share: float) -> None:
        told.append((phrase, share))

    half = part(named(listen, "whole"), 0.5, 1.0)
    for inner, item in each(half, "loop", ("a", "b")):
        tell(inner, item, 0.5)
        tell(inner, item)
        tell(inner, item, 0.1)
    tell(half, "end", 1.0)
    assert [share for _, share in told] == [0.5, 0.625, 0.625, 0.625, 0.75, 0.875, 0.875, 0.875, 1.0]
    assert {phrase for phrase, _ in told} == {"whole: loop", "whole: end"}


def test_with_nobody_listening_nothing_is_said() -> None:
    assert part(None, 0.0, 1.0) is None
    assert named(None, "whole") is None
    assert list(each(None, "loop", "ab")) == [(None, "a"), (None, "b")]


@pytest.mark.parametrize(("count", "most"), [(1, 64), (64, 64), (65, 64), (1000, 128), (257, 256)])
def test_blocks_are_all_there_is_and_nearly_equal(count: int, most: int) -> None:
    runs = blocks(count, most)
    assert [index for run in runs for index in run] == list(range(count))
    sizes = {len(run) for run in runs}
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
