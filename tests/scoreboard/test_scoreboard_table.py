"""The page says what the cases hold, names the winner from numbers, and touches nothing else of its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctinv.errors import InputError
from ctinv.scoreboard.board import TIERS
from ctinv.scoreboard.results import Case, Results, digest
from ctinv.scoreboard.summary import at_tier, mean, winners, with_shares
from ctinv.scoreboard.table import MARK, best_sentence, page, write_page


def case(generator: str, **changes: Any) -> Case:
    facts = {
        "generator": generator,
        "weights": "",
        "denoiser": "cnn10",
        "denoiser_weights": "12345678",
        "tap": "output",
        "patient": "one",
        "scan": "abcdef01",
        "kind": "bone",
        "box": "0,0:8,0:8",
        "tier": "T2",
        "n": 250,
        "seed": 0,
        "method": "2",
    }
    return Case(**{**facts, **changes})


def record(nfe_raw: float, certified: int, *, energy: float | None = 8.0) -> dict[str, Any]:
    likeness = {
        "n": 250,
        "spread_hu": 10.0,
        "noise_ratio": {"low": 1.0, "mid": 1.0, "high": 1.0},
        "energy_hu": 9.0,
        "crps_hu": 7.0,
        "rank_distance": 0.1,
        "coverage": 0.88,
        "chi2_per_n": 1.0,
    }
    corrected = {**likeness, "energy_hu": energy} if energy is not None else {"n": 3, "chi2_per_n": None}
    return {
        "domain": "input",
        "n": 250,
        "nfe_raw": nfe_raw,
        "nfe": 0.02,
        "steps": 1.0,
        "passes": 3.0,
        "certified": certified,
        "in_band": certified,
        "raw": likeness,
        "corrected": corrected,
        "low_hu": {"raw": 4.0, "certified": 0.2} if energy is not None else None,
        "seconds": {"open": 0.0, "propose": 0.001, "correct": 0.05},
        "region": {"chi2_per_n_scan": 0.9},
        "rescans": {"energy_hu": 7.5, "crps_hu": 6.0},
    }


@pytest.fixture
def results(tmp_path: Path) -> Results:
    results = Results(tmp_path / "board.json")
    for kind, nfe, energy in (("bone", 1.0, 8.0), ("lung edge", 3.0, None)):
        for tier in TIERS:
            results.add(case("near", kind=kind, tier=tier), record(0.9, 250))
            results.add(case("far", kind=kind, tier=tier), record(nfe, 25 if energy else 3, energy=energy))
    target = {"domain": "target", "n": 250, "raw": {"n": 250, "spread_hu": 4.0}, "seconds": {"propose": 0.1}}
    for kind in ("bone", "lung edge"):
        results.add(case("vae_y", kind=kind, tier="-"), target)
    return results


def row_of(text: str, name: str, table: int = 0) -> list[str]:
    rows = [line for line in text.splitlines() if line.startswith(f"| {name}")]
    return [cell.strip() for cell in rows[table].strip("|").split("|")]


def test_rows_are_means_over_cases_and_say_where_a_figure_is_partial(results: Results) -> None:
    text = page(results.newest())
    exact, like = row_of(text, "far"), row_of(text, "far", 1)
    assert exact[1:3] == ["5.6% / 5.6% / 5.6%", "2.00 (-)"]
    assert like[1] == "9.000 → 8.000* (7.500)"
    assert "*" not in " ".join(row_of(text, "near"))
    assert row_of(text, "near")[1] == "100.0% / 100.0% / 100.0%"
    assert "bone, lung edge" in text
    assert len(text.splitlines()[4].split("|")) == len(text.splitlines()[5].split("|"))


def test_a_target_domain_has_no_figures_of_feeding_back(results: Results) -> None:
    exact = row_of(page(results.newest()), "vae_y, target domain")
    assert exact[1:4] == ["-", "-", "-"]
    assert exact[5] == "4.0 → -"
    assert row_of(page(results.newest()), "vae_y, target domain", 1)[1:] == ["-"] * 6


def test_the_winner_comes_from_the_numbers_and_partial_figures_do_not_compete(results: Results) -> None:
    rows = {
        name: [
            with_shares(row) for row in at_tier(results.newest(), "T2") if row["case"]["generator"] == name
        ]
        for name in ("near", "far", "vae_y")
    }
    compared = {name: rows[name] for name in ("near", "far")}
    best = winners(compared)
    assert best["nfe_raw"] == ["near"]
    assert best["energy"] == ["near"]  # far scores the same, yet only where it has enough certified samples
    assert best["propose"] == ["near", "far"]
    assert mean(rows["far"], "energy") == (8.0, 1)
    said = best_sentence(rows)
    assert "the lowest raw NFE, near (0.9)" in said
    assert "vae_y" not in said
    assert winners({"near": rows["far"], "far": rows["near"]})["nfe_raw"] == ["far"]


def test_differences_below_one_percent_are_none() -> None:
    rows = {
        name: [with_shares({"case": {"patient": "one", "kind": "bone"}, **record(nfe, 250)})]
        for name, nfe in (("a", 1.0), ("b", 1.005), ("c", 1.02))
    }
    assert winners(rows)["nfe_raw"] == ["a", "b"]


def test_a_generator_that_is_not_measured_everywhere_is_marked_and_not_compared(results: Results) -> None:
    results.add(case("half"), record(0.1, 250))  # the best NFE, yet on the bone alone
    text = page(results.newest())
    assert row_of(text, "half")[1:3] == ["- / 100.0%* / -", "0.10* (-)"]
    assert "the lowest raw NFE, near" in text
    assert "not compared: half." in text
    assert "nothing is compared" in best_sentence(
        {"half": [record(0.1, 250) | {"case": {"patient": 1, "kind": 2}}]}
    )


def test_the_page_takes_the_newest_of_a_case(results: Results) -> None:
    results.add(case("near", weights="0a0a0a0a"), record(0.5, 250))
    newest = [row for row in results.newest() if row["case"]["generator"] == "near"]
    assert len(newest) == 2 * len(TIERS)
    assert min(row["nfe_raw"] for row in newest) == 0.5
    assert len(Results(results.path).cases) == len(results.cases)


def test_only_what_lies_between_the_marks_changes(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "generators.md"
    begin, end = f"<!-- {MARK} -->", f"<!-- /{MARK} -->"
    file.write_text(f"# Title\n\n{begin}\nto be replaced\n{end}\n\nafter\n", encoding="utf-8")
    write_page(file, results.newest())
    once = file.read_text(encoding="utf-8")
    write_page(file, results.newest())
    assert file.read_text(encoding="utf-8") == once
    assert once.startswith(f"# Title\n\n{begin}\n**cnn10, tap output.**")
    assert once.endswith(f"{end}\n\nafter\n")
    assert "to be replaced" not in once
    file.write_text("# Title\n", encoding="utf-8")
    with pytest.raises(InputError, match="marks"):
        write_page(file, results.newest())
    assert file.read_text(encoding="utf-8") == "# Title\n"
    write_page(tmp_path / "new.md", [])
    assert "Nothing has been measured" in (tmp_path / "new.md").read_text(encoding="utf-8")


def test_weights_decide_the_key() -> None:
    one, other = digest({"a": "1" * 64, "b": "2" * 64}), digest({"a": "2" * 64, "b": "1" * 64})
    assert len(one) == 8
    assert one != other
    assert digest({}) == ""
    assert digest({"b": "2" * 64, "a": "1" * 64}) == one
    assert case("a", weights=one).key != case("a", weights=other).key
