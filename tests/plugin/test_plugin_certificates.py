"""The certificate table's words."""

from __future__ import annotations

from dataclasses import replace

from plugin_studies import make_certificate

from ctinv.fibre.tiers import Certificate
from ctinv.sampler import Store
from napari_ctinv.session.certificates import cells, progress_line, summary_line
from napari_ctinv.viewing.stamp import warns


def test_the_table_says_what_was_not_reached() -> None:
    assert cells(make_certificate(12)) == ("12", "0.320", "0.99", "0.030", "0.860", "-", "T1")
    assert cells(make_certificate(3, passed=False))[-1] == "not reached"
    odd = replace(make_certificate(3), reached="chord", passes=4, in_band=False)
    assert cells(odd)[-2:] == ("4", "implausible")
    assert (warns(odd), warns(make_certificate(3)), warns(Certificate.of_target(3))) == (True, False, False)
    assert (
        progress_line([make_certificate(0), make_certificate(1, passed=False)], tier="T2") == "1 of 2 at T2"
    )


def test_the_summary_stands_over_the_table(store: Store) -> None:
    line = summary_line(store.summary())
    spread = store.summary()["spread_hu"]
    assert line.startswith(
        "7 of 7 passed tier T2\nRMSE 0.230 HU, worst 0.260 HU\nNFE 0.99 raw, 0.030 corrected\n"
    )
    assert f"\nreached by unknown steps\nspread {spread:.1f} HU" in line
    assert line.endswith("linear theory unknown\nχ²/n 0.860, the scan itself 0.860")
