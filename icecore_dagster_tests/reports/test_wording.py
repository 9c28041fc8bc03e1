"""How numbers and places are written for people."""

import pandas as pd
import pytest

from icecore_dagster.reports.wording import chance, count, depth_range, interval, moment, number, share, text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (22.06, "22.1"),
        (0.0391, "0.0391"),
        (123456.0, "123,000"),
        (999.6, "1,000"),
        (-0.5563, "−0.556"),
        (1.3e-9, "1.30·10^−9"),
        (float("nan"), "unknown"),
        (None, "unknown"),
        (pd.NA, "unknown"),
    ],
)
def test_number_keeps_three_digits(value, written):
    assert number(value) == written


def test_counts_shares_intervals_and_chances():
    assert count(12345) == "12,345"
    assert count(None) == "unknown"
    assert share(0.00123) == "0.12\u00a0%"
    assert interval(30.94, 438.4) == "30.9–438"
    assert interval(float("nan"), 1) == ""
    assert chance(1e-9) == "p\u00a0<\u00a00.0001"


@pytest.mark.parametrize(
    ("segment", "written"), [("40_55", "40–55\u00a0cm"), ("0_2.5", "0–2.5\u00a0cm"), ("top", "top")]
)
def test_depth_is_written_as_a_range(segment, written):
    assert depth_range(segment) == written


def test_cells_of_tables():
    assert text(7.0) == "7"
    assert text(pd.NaT) == ""
    assert moment("2021-11-04T10:11:12+00:00") == "2021-11-04 10:11"
    assert moment(None) == "unknown"
