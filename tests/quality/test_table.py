"""Tables and sentences say what was measured, and no more."""

from __future__ import annotations

from ctinv.quality.table import absolute, full_row, table, verdict

FULL = {
    "noise_std_hu": 9.0,
    "nps_mean_per_mm": 0.25,
    "nps_peak_per_mm": 0.2,
    "edge_mm": 1.9,
    "low_edge_mm": None,
}
LOW = {"rmse_hu": 12.0}
FILTERS = {
    "one": {"rmse_hu": 10.0, "nps_distance": 0.5},
    "two": {"rmse_hu": 9.5, "nps_distance": 0.3},
}


def test_a_missing_figure_is_a_dash_and_the_full_dose_has_no_error():
    text = table({"full": full_row(FULL), "low": LOW})
    head, rule, full, low = text.splitlines()
    assert {line.count("|") for line in (head, rule, full, low)} == {11}
    assert full == "| full | – | – | – | 9.0 | 1.00 | 1.00 | 0.00 | 1.00 | – |"
    assert low.startswith("| low | 12.00 | – |")
    assert absolute(FULL) == "Full dose: NPS mean 0.250 and peak 0.200 cycles/mm, edge 1.90 mm."
    assert absolute({}) == ""


def test_a_network_that_loses_to_a_filter_is_said_to():
    worse = " ".join(verdict({"rmse_hu": 9.6}, LOW, FILTERS))
    assert "-20% against the low dose" in worse
    assert "**not below** the best classical filter (two, 9.50 HU)" in worse
    assert "below the best classical filter (two" in " ".join(verdict({"rmse_hu": 9.4}, LOW, FILTERS))
    assert "not" not in " ".join(verdict({"rmse_hu": 9.4}, LOW, FILTERS))


def test_texture_is_compared_with_full_dose_and_filters():
    said = verdict({"noise_std_hu": 5.0, "nps_mean_ratio": 0.7, "nps_distance": 0.4}, LOW, FILTERS)
    assert said[0] == "Noise of 5.0 HU, blotchier than at full dose (NPS mean frequency -30%)."
    assert said[1] == "NPS nearer than one and farther than two to that of the full dose."
    assert "as fine as" in verdict({"noise_std_hu": 9.0, "nps_mean_ratio": 1.03}, LOW, {})[0]
    assert "finer than" in verdict({"noise_std_hu": 9.0, "nps_mean_ratio": 1.2}, LOW, {})[0]


def test_nothing_measured_nothing_said():
    assert verdict({}, {}, {}) == []
    assert verdict({"rmse_hu": 1.0}, {}, {"one": {}}) == []
