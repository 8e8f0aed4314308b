"""From cases to rows: means over regions and patients, and who is best at what.

A figure of certified samples does not exist where fewer than 20 were certified; a mean is then over the cases that have it,
and its row says over how many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctinv.scoreboard.board import TIERS

Record = Mapping[str, Any]
ASKED = TIERS[0]
EQUAL = 0.01
"""Means that differ by less than this share are no difference: the samples are 250, the re-scans 32."""


@dataclass(frozen=True)
class Column:
    """A figure of a case.

    Attributes:
        path: Keys from the record to the figure, dots between them.
        words: What the best one is called in a sentence, or empty where none is best.
        best: From the figure and the record to a number, the best being the least.
    """

    path: str
    words: str = ""
    best: Callable[[float, Record], float] = lambda value, _: value

    def of(self, record: Record) -> float | None:
        """The figure of one case, None where it does not exist."""
        value: Any = record
        for name in self.path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return None if value is None else float(value)


def _most(value: float, _: Record) -> float:
    return -value


COLUMNS = {
    "nfe_raw": Column("nfe_raw", "the lowest raw NFE"),
    "nfe_seamless": Column("nfe_seamless"),
    "certified": Column("shares.certified", f"the most samples certified at {ASKED}", _most),
    "in_band": Column("shares.in_band"),
    "steps": Column("steps"),
    "passes": Column("passes", "the fewest passes"),
    "spread_raw": Column("raw.spread_hu"),
    "spread": Column("corrected.spread_hu", "the widest certified spread", _most),
    "chi2_raw": Column("raw.chi2_per_n"),
    "chi2": Column(
        "corrected.chi2_per_n",
        "the certified χ²/n nearest to the scan's",
        lambda value, record: abs(value - record["region"]["chi2_per_n_scan"]),
    ),
    "chi2_scan": Column("region.chi2_per_n_scan"),
    **{
        f"noise_{side}_{band}": Column(f"{side}.noise_ratio.{band}")
        for side in ("raw", "corrected")
        for band in ("low", "mid", "high")
    },
    "energy_raw": Column("raw.energy_hu", "the lowest raw energy score"),
    "energy": Column("corrected.energy_hu", "the lowest certified energy score"),
    "energy_floor": Column("rescans.energy_hu"),
    "crps_raw": Column("raw.crps_hu", "the lowest raw CRPS"),
    "crps": Column("corrected.crps_hu", "the lowest certified CRPS"),
    "crps_floor": Column("rescans.crps_hu"),
    "rank_raw": Column("raw.rank_distance", "the most uniform ranks of the scan before correction"),
    "rank": Column("corrected.rank_distance", "the most uniform ranks after it"),
    "rank_floor": Column("rescans.rank_distance"),
    "coverage_floor": Column("rescans.coverage"),
    "coverage_raw": Column(
        "raw.coverage", "the raw coverage nearest to 90 %", lambda value, _: abs(value - 0.9)
    ),
    "coverage": Column(
        "corrected.coverage", "the certified coverage nearest to 90 %", lambda value, _: abs(value - 0.9)
    ),
    "low_raw": Column("low_hu.raw"),
    "low": Column("low_hu.certified", "the largest low-frequency change that is certified", _most),
    "low_kept": Column("shares.low_kept"),
    "reconstruction": Column("reconstruction_hu", "the smallest reconstruction error"),
    "propose": Column("seconds.propose", "the quickest proposals"),
    "correct": Column("seconds.correct", "the quickest correction"),
}


def with_shares(record: Record) -> Record:
    """The record with shares: of samples certified, of samples certified with χ²/n in its band, of low-frequency change
    kept; those that exist."""
    shares = {name: record[name] / record["n"] for name in ("certified", "in_band") if name in record}
    low = record.get("low_hu")
    if low and low["raw"] > 0:
        shares["low_kept"] = low["certified"] / low["raw"]
    return {**record, "shares": shares}


def grouped(records: Iterable[Record], *names: str) -> dict[tuple[str, ...], list[Record]]:
    """Records by these fields of their cases, in the order of the first of each."""
    found: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        found.setdefault(tuple(str(record["case"][name]) for name in names), []).append(with_shares(record))
    return found


def at_tier(records: Sequence[Record], tier: str) -> list[Record]:
    """Records corrected at a tier; those of the target domain, which are not corrected, stand with the asked one."""
    stand_in = ("-",) if tier == ASKED else ()
    return [record for record in records if record["case"]["tier"] in (tier, *stand_in)]


def mean(records: Sequence[Record], name: str) -> tuple[float | None, int]:
    """Mean of a column over the cases that have it, and how many those are."""
    values = [value for record in records if (value := COLUMNS[name].of(record)) is not None]
    return (sum(values) / len(values) if values else None), len(values)


def places(records: Iterable[Record]) -> set[tuple[str, str]]:
    """Patients and kinds of region that were measured."""
    return {(record["case"]["patient"], record["case"]["kind"]) for record in records}


def winners(rows: Mapping[str, Sequence[Record]]) -> dict[str, list[str]]:
    """For each column that has a best, the generators that have it in every case and are within 1 % of the best.

    A generator that lacks a figure in some case is not compared: its mean would be over easier regions.

    Args:
        rows: Generator to its records at the asked tier, all at the same places.
    """
    found = {}
    for name, column in COLUMNS.items():
        if not column.words:
            continue
        value = {
            generator: sum(column.best(column.of(one) or 0.0, one) for one in records) / len(records)
            for generator, records in rows.items()
            if records and mean(records, name)[1] == len(records)
        }
        if value:
            first = min(value, key=lambda generator: value[generator])
            near = value[first] + EQUAL * abs(mean(rows[first], name)[0] or 0.0)
            found[name] = [generator for generator, one in value.items() if one <= near]
    return found
