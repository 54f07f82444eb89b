"""Texts become numbers and times, and times become texts, as people write them."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made.table.dates import TIME_FORMATS, find_time_format, text_of_time, times_of
from made.table.parsing import any_leading_zero, has_leading_zero, numbers_of

MOMENTS = st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1.0),
        (" 2.50 ", 2.5),
        ("+3", 3.0),
        ("-.5", -0.5),
        ("4.", 4.0),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        ("1000000000000000000", 1e18),
        ("1e999", np.inf),
        ("007", 7.0),
    ],
)
def test_numbers(text: str, number: float) -> None:
    assert numbers_of([text]).tolist() == [number]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "1,5",
        "1 000",
        "0x10",
        "1_000",
        "inf",
        "nan",
        "--1",
        "+",
        ".",
        "1e",
        "½",
        "\u0661",
    ],
)
def test_what_is_no_number(text: str) -> None:
    assert np.isnan(numbers_of(["1", text])).tolist() == [False, True]


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_every_number_reads_back(numbers: list[float]) -> None:
    assert numbers_of([repr(number) for number in numbers]).tolist() == numbers


def test_zero_has_no_sign() -> None:
    assert str(numbers_of(["-0", "-0.0"]).tolist()) == "[0.0, 0.0]"


@pytest.mark.parametrize("text", ["007", "01069", "-01", "00", " 01.5"])
def test_leading_zeros(text: str) -> None:
    assert has_leading_zero(text)
    assert any_leading_zero(["1", text])


@pytest.mark.parametrize("text", ["0", "0.5", "-0.5", "10", "0e1", "x01"])
def test_no_leading_zeros(text: str) -> None:
    assert not has_leading_zero(text)
    assert not any_leading_zero([text, "1"])


@settings(deadline=None)
@given(MOMENTS, st.sampled_from(TIME_FORMATS))
def test_times_are_read_as_the_standard_library_reads_them(
    moment: datetime.datetime, form: str
) -> None:
    text = text_of_time(np.datetime64(moment, "us"), form)
    expected = datetime.datetime.strptime(text, form).replace(tzinfo=None)
    assert times_of([f" {text} "], form).tolist() == [expected]


@settings(deadline=None)
@given(MOMENTS, st.sampled_from(["%-m/%-d/%Y %-H:%M:%S", "%Y-%-m-%-d", "%-d.%-m.%Y %-I:%M %p"]))
def test_times_without_zeros_in_front(moment: datetime.datetime, form: str) -> None:
    text = text_of_time(np.datetime64(moment, "us"), form)
    assert "%" not in text
    again = times_of([text], form)
    assert text_of_time(again[0], form) == text


BAD_TIMES = [
    ("2020-02-30", "%Y-%m-%d"), ("2019-02-29", "%Y-%m-%d"), ("2020-13-01", "%Y-%m-%d"),
    ("2020-00-01", "%Y-%m-%d"), ("2020-01-00", "%Y-%m-%d"), ("0000-01-01", "%Y-%m-%d"),
    ("20200-01-01", "%Y-%m-%d"), ("2020-01-01x", "%Y-%m-%d"), ("", "%Y-%m-%d"),
    ("2020-01-01 24:00", "%Y-%m-%d %H:%M"), ("2020-01-01 10:60", "%Y-%m-%d %H:%M"),
    ("1/1/2020 13:00 PM", "%m/%d/%Y %I:%M %p"), ("1/1/2020 0:00 AM", "%m/%d/%Y %I:%M %p"),
    ("1 Foo 2020", "%d %b %Y"), ("1 Janu 2020", "%d %B %Y"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "form"), BAD_TIMES)
def test_what_is_no_time(text: str, form: str) -> None:
    assert np.isnat(times_of([text, text], form)).all()


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("12/31/1999 12:05 am", "%m/%d/%Y %I:%M %p", "1999-12-31T00:05"),
        ("12/31/1999 12:05 PM", "%m/%d/%Y %I:%M %p", "1999-12-31T12:05"),
        ("3 MAY 2020", "%d %b %Y", "2020-05-03"),
        ("September 3,  2020", "%B %d, %Y", "2020-09-03"),
        ("2020-01-01T10:00:00.5", "%Y-%m-%dT%H:%M:%S.%f", "2020-01-01T10:00:00.500000"),
        ("31/12/99", "%d/%m/%y", "1999-12-31"),
        ("2020-01-01 00:30 +0100", "%Y-%m-%d %H:%M %z", "2019-12-31T23:30"),
        ("2020-01-01T00:30-08:30", "%Y-%m-%dT%H:%M%z", "2020-01-01T09:00"),
        ("01/01/20 00:30 +0100", "%m/%d/%y %H:%M %z", "2019-12-31T23:30"),
        ("2020-01-01T00:30Z", "%Y-%m-%dT%H:%M%z", "2020-01-01T00:30"),
    ],
)
def test_times(text: str, form: str, expected: str) -> None:
    assert times_of([text], form).tolist() == [np.datetime64(expected, "us").item()]


def test_a_format_that_is_none_reads_nothing() -> None:
    assert np.isnat(times_of(["2020"], "%Q")).all()


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["2020-01-31", "2020-02-01"], "%Y-%m-%d"),
        (["2020/01/31", "2020/02/01"], "%Y/%m/%d"),
        (["2020-01-31 10:00", "2020-02-01 11:30"], "%Y-%m-%d %H:%M"),
        (["2020-01-31T10:00:00Z", "2020-02-01T11:30:00Z"], "%Y-%m-%dT%H:%M:%SZ"),
        (["2020-01-31T10:00:00+01:00", "2020-02-01T11:30:00+01:00"], "%Y-%m-%dT%H:%M:%S%z"),
        (["9/30/1990 0:00:00", "11/2/1993 0:00:00"], "%-m/%-d/%Y %-H:%M:%S"),
        (["31.12.2020", "01.02.2021"], "%d.%m.%Y"),
        # Day or month? Month, unless one of very many says otherwise.
        (["01/02/2020", "03/04/2020"], "%m/%d/%Y"),
        ([f"{d:02d}/{m:02d}/2020" for d in range(1, 13) for m in range(1, 13)] * 20
         + ["31/12/2020"], "%d/%m/%Y"),
        (["5-Jan-2020", "17-Dec-2020"], "%-d-%b-%Y"),
        (["January 5, 2020", "May 17, 2020"], "%B %-d, %Y"),
        (["1/5/2020 1:05 PM", "12/5/2020 11:05 AM"], "%-m/%-d/%Y %-I:%M %p"),
        ([*(f"2020-01-{day:02d}" for day in range(1, 30)), "never"], "%Y-%m-%d"),
        (["10:30", "11:45"], None),
        (["a-b", "c-d"], None),
        (["2020-01-01", "never", "soon"], None),
        (["10115", "20200101"], None),
        ([], None),
    ],
)  # fmt: skip
def test_formats_are_found(texts: list[str], form: str | None) -> None:
    assert find_time_format(texts) == form
