"""Numbers and sentences of the report."""

from __future__ import annotations

import pytest

from ctinv.report.words import figure, percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.35812, "0.358"),
        (1020.4, "1\u2009020"),
        (-11.42, "−11.4"),
        (85166.0, "85\u2009166"),
        (1.27e-7, "1.27\u2009×\u200910⁻⁷"),
        (3.2e12, "3.2\u2009×\u200910¹²"),
        (30, "30"),
        (0.0, "0"),
        (None, "–"),
        (float("nan"), "–"),
        (True, "yes"),
        ("hann", "hann"),
    ],
)
def test_numbers_are_printed_as_a_reader_expects(value: object, text: str) -> None:
    assert figure(value) == text


def test_shares_are_percent() -> None:
    assert percent(0.0041) == "0.41\u2009%"
    assert percent(None) == "–"
