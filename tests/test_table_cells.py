"""What stands in cells: one value in many forms is one value, and what is none is said."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from silmu.runtime import cells
from silmu.runtime.times import ORDERS, PARTS, are_days, read_times, taken_apart


class NAType:
    """As pandas.NA, whose truth and comparisons are errors."""

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    def __eq__(self, other: object) -> Any:
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = None  # type: ignore[assignment]


class NaTType(datetime):
    """As pandas.NaT, which is a datetime."""


NA, NAT = NAType(), NaTType(1, 1, 1)
NOTHING = [None, math.nan, np.nan, np.float32("nan"), Decimal("NaN"), NA, NAT]
NOTHING += ["", " ", "\ufeff", "NA", "n/a", "#N/A", "<NA>", "nan", "NaN", "NaT", "null", "None"]
NOTHING += [np.datetime64("NaT"), np.timedelta64("NaT")]


@pytest.mark.parametrize(
    "value", NOTHING, ids=lambda value: f"{value!r:.20}".partition(" object at")[0]
)
def test_nothing_is_nothing_in_every_column(value: Any) -> None:
    assert cells.is_missing(value)
    assert cells.level(value) is None
    assert cells.words(value) == []
    found, bad = cells.numbers([value])
    assert math.isnan(found[0])
    times = read_times([value])
    assert math.isnan(times.seconds[0])
    assert not bad[0]
    assert not times.bad[0]


@pytest.mark.parametrize("value", ["?", "-", ".", "nil"])
def test_marks_are_nothing_among_numbers_and_may_be_levels(value: str) -> None:
    assert cells.level(value) == value
    assert np.isnan(cells.numbers([value, "3"])[0]).tolist() == [True, False]
    assert not cells.numbers([value])[1].any()


NUMBERS: list[tuple[Any, float]] = [
    (3, 3), (3.0, 3), ("3", 3), (" 3 ", 3), ("3.0", 3), ("\ufeff3", 3), ("+3", 3), ("-3.5", -3.5),
    (np.int8(3), 3), (np.float32(0.5), 0.5), (np.uint64(2**63), 2.0**63), (Decimal("3.25"), 3.25),
    (True, 1), (np.bool_(False), 0), ("1e3", 1000), ("1,200", 1200), ("-12,345,678.5", -12345678.5),
    ("\uff11\uff12", 12), (2**70, 2.0**70), (1e300, cells.LARGEST), (-(10**200), -cells.LARGEST),
    ("1e300", cells.LARGEST), (timedelta(minutes=2), 120), (np.timedelta64(2, "m"), 120),
    (time(1, 0, 30), 3630), (np.array(4), 4),
]  # fmt: skip
NO_NUMBERS = ["many", "1,5", "1.200,5", "12%", "$5", "1_000", "0x10", "1 200", "--3", "inf"]
NO_NUMBERS += [
    b"3",
    [3],
    (3,),
    {"a": 3},
    np.array([3]),
    1 + 2j,
    date(2024, 1, 1),
    10**400,
    object(),
]
NO_NUMBERS += [
    math.inf,
    -math.inf,
    "1e999",
    np.datetime64("2024-01-01"),
    Decimal("Infinity"),
    "1,20",
]


@pytest.mark.parametrize(("value", "expected"), NUMBERS, ids=repr)
def test_a_number_in_every_form(value: Any, expected: float) -> None:
    if isinstance(value, np.ndarray):
        value = float(value)
    found, bad = cells.numbers([value])
    assert (found.tolist(), bad.tolist()) == ([expected], [False])


@pytest.mark.parametrize(
    "value", NO_NUMBERS, ids=lambda value: f"{value!r:.20}".partition(" object at")[0]
)
def test_what_is_no_number(value: Any) -> None:
    for values in ([value], [value, "n/a"], [value, "x", None]):
        found, bad = cells.numbers(values)
        assert found.shape == bad.shape == (len(values),)
        assert math.isnan(found[0])
        assert bad[0]


def test_arrays_are_read_at_once() -> None:
    found, bad = cells.numbers(np.array([1.5, math.nan, math.inf, 1e300]))
    assert np.array_equal(found, [1.5, math.nan, math.nan, cells.LARGEST], equal_nan=True)
    assert bad.tolist() == [False, False, True, False]
    assert cells.numbers(np.array([2**63 - 1, -(2**63)]))[0].tolist() == [2.0**63, -(2.0**63)]
    assert cells.numbers(np.array([True, False]))[0].tolist() == [1, 0]
    assert cells.numbers([])[0].shape == (0,)


ANY = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"[-+]?[0-9]{1,4}([,.][0-9]{1,3}){0,2}(e[0-9])?[%$]?", fullmatch=True),
    *(st.integers(), st.floats(), st.booleans(), st.none(), st.decimals(), st.dates()),
    *(st.datetimes(), st.timedeltas(), st.times(), st.binary(max_size=3), st.lists(st.integers())),
)


@given(st.lists(ANY, min_size=1, max_size=6))
def test_what_else_is_in_a_column_changes_no_number(values: list[Any]) -> None:
    # A column that numpy reads by itself, and one that is read cell by cell, are read alike.
    together = cells.numbers(values)
    for i, value in enumerate(values):
        for others in ([value], [value, "n/a"]):
            found, bad = cells.numbers(others)
            assert np.array_equal(found[:1], together[0][i : i + 1], equal_nan=True)
            assert bad[0] == together[1][i]


@given(ANY)
def test_no_cell_is_an_error(value: Any) -> None:
    assert cells.is_missing(value) == (cells.level(value) is None)
    assert isinstance(cells.words(value), list)
    for decimal in ".,":
        found, bad = cells.numbers([value], decimal, "%")
        assert not (bad[0] and not math.isnan(found[0]))
    for order in ORDERS:
        times = read_times([value], order)
        assert not (times.bad[0] and not math.isnan(times.seconds[0]))


@pytest.mark.parametrize(
    ("texts", "expected", "numbers"),
    [
        (["12%", "9 %", "0.5%"], (".", "%"), [12, 9, 0.5]),
        (["$1,200", "-$3.50", "$ 7"], (".", "$"), [1200, -3.5, 7]),
        (["1,200원", "950 원", "3"], (".", "원"), [1200, 950, 3]),
        (["3,14", "2,5", "-0,001"], (",", ""), [3.14, 2.5, -0.001]),
        (["1.200,50 €", "7,5 €", "1 000 €"], (",", "€"), [1200.5, 7.5, 1000]),
        (["180cm", "75 cm"], (".", "cm"), [180, 75]),
        (["USD 12", "USD 1,000"], (".", "USD"), [12, 1000]),
        (["1,234", "0,567"], (",", ""), [1.234, 0.567]),
        (["1,234", "2,345"], (".", ""), [1234, 2345]),
    ],
)
def test_how_the_numbers_of_a_column_are_written(
    texts: list[str], expected: tuple[str, str], numbers: list[float]
) -> None:
    assert cells.writing(texts) == expected
    found, bad = cells.numbers(texts, *expected)
    assert found.tolist() == pytest.approx(numbers)
    assert not bad.any()


def test_another_unit_is_no_number() -> None:
    _, bad = cells.numbers(["$5", "€5", "5 kg", "5", 5, "5%"], ".", "$")
    assert bad.tolist() == [False, True, True, False, False, True]
    assert [cells.unit_of(text) for text in ("A12", "12-34", "x", "", "12 km/h", "1st")] == [
        *("", "", "", "", "km/h", "st")
    ]


LEVELS: list[tuple[Any, str]] = [
    ("red", "red"), (" red\t", "red"), ("RED", "RED"), (3, "3"), (3.0, "3"), ("3", "3"),
    ("3.0", "3"), ("3.50", "3.50"), (3.5, "3.5"), (Decimal("3.0"), "3"), (np.int64(3), "3"),
    (np.float32(0.5), "0.5"), (True, "true"), (np.bool_(True), "true"), ("007", "007"),
    ("서울".encode().decode(), "서울"), ("\u1109\u1165\u110b\u116e\u11af", "서울"), (-0.0, "0"),
    (1e20, "1e+20"), (date(2024, 1, 2), "2024-01-02"), ([1], "[1]"), (b"red", "b'red'"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), LEVELS, ids=repr)
def test_a_level_in_every_form(value: Any, expected: str) -> None:
    assert cells.level(value) == expected


def seconds(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc]


DAY = seconds(2024, 3, 5)
TIMES: list[tuple[Any, str, float]] = [
    *((text, order, DAY) for order in ORDERS for text in (
        "2024-03-05", "2024/3/5", "2024.03.05", "2024. 3. 5.", "2024년 3월 5일", "20240305",
        " 2024-03-05 ", "5-Mar-2024", "5 March 24", "March 5, 2024", "Mar. 5 2024", 20240305,
        20240305.0, date(2024, 3, 5), datetime(2024, 3, 5), np.datetime64("2024-03-05"),
    )),
    ("5/3/2024", "dmy", DAY), ("3/5/2024", "mdy", DAY), ("05.03.24", "dmy", DAY),
    ("1/2/70", "mdy", 86400.0), ("2024-03", "ymd", seconds(2024, 3, 1)),
    ("2024년 3월", "ymd", seconds(2024, 3, 1)),
    ("2024-03-05 9:05", "ymd", DAY + 32700), ("3/5/2024 9:05 pm", "mdy", DAY + 75900),
    ("5/3/2024 12:00 AM", "dmy", DAY), ("2024-03-05T09:05:01.25", "ymd", DAY + 32701.25),
    ("2024-03-05 09:05:00.123456789", "ymd", DAY + 32700.123456),
    ("0001-01-01", "ymd", -62135596800),
    *((text, "ymd", seconds(2024, 3, 1)) for text in (
        "Mar 2024", "March 2024", "Mar. 2024", "mar-2024", "March, 2024", "2024 Mar", "2024-March",
    )),
    *((text, "dmy", seconds(2024, 4, 1)) for text in (
        "2024Q2", "2024 q2", "2024-Q2", "Q2 2024", "Q2/2024", "2024년 2분기", "2024년 2/4분기",
    )),
    ("Sept 2024", "ymd", seconds(2024, 9, 1)),
    *((text, "ymd", seconds(2024, 3, 5)) for text in (
        "Mar-5-2024", "March/5/2024", "Mar 5,2024", "Tue, 5 Mar 2024", "Tuesday, March 5, 2024",
        "2024년 3월 5일 화요일", "24년 3월 5일", "Tue 2024-03-05",
    )),
    *((text, "ymd", seconds(2024, 3, 5, 14)) for text in (
        "2024년 3월 5일 14시", "2024년 3월 5일 화요일 오후 2시 0분", "2024-03-05 14시 00분 00초",
        "Tue, 5 Mar 2024 14:00:00", "2024030514", "202403051400", 20240305140000, 2024030514.0,
    )),
    *((text, "dmy", seconds(2024, 3, 1)) for text in ("2024M03", "2024-M3", "24년 3월")),
    *((text, "mdy", seconds(2024, 4, 1)) for text in ("2Q2024", "2Q 2024")),
]  # fmt: skip
ZONED: list[tuple[Any, float]] = [
    ("2024-03-05T09:00:00+09:00", DAY), ("2024-03-05 00:00Z", DAY), ("2024-03-05 00:00 UTC", DAY),
    ("2024-03-04T19:00:00-0500", DAY), (datetime(2024, 3, 5, tzinfo=UTC), DAY),
    (datetime(2024, 3, 5, 9, tzinfo=timezone(timedelta(hours=9))), DAY),
]  # fmt: skip
NO_TIMES = [
    "soon",
    "2024-02-30",
    "2024-13-01",
    "2024-03-05 25:00",
    "13:00",
    "2024",
    2024,
    1.5,
    True,
]
NO_TIMES += ["13/13/2024", "2024-03-05 13:00 pm", 20249999, b"2024-03-05", [1], "9" * 5000, 10**400]
NO_TIMES += ["2024M13", "24년 13월", "5Q2024", "Sun", "Monday", "Sat 5", "2024-03-05 25시"]
NO_TIMES += ["3분 5초", "월요일", "202403051461", 20240305246060, "Sun 2024", "2024030525"]
NO_TIMES += ["Mark 2000", "2010 Decathlon", "2024Q5", "Q0 2024", "Mar", "Q1", "2024년 5분기"]
NO_TIMES += [time(1, 2), timedelta(1), "12 Foo 2024", "2024-03-05T", -20240305, math.inf, True]


@pytest.mark.parametrize(("value", "order", "expected"), TIMES, ids=repr)
def test_a_time_in_every_form(value: Any, order: str, expected: float) -> None:
    found = read_times([value], order)
    assert found.seconds.tolist() == pytest.approx([expected], abs=1e-6)
    assert (found.bad.tolist(), found.zoned.tolist()) == ([False], [False])


@pytest.mark.parametrize(("value", "expected"), ZONED, ids=repr)
def test_a_time_of_a_zone(value: Any, expected: float) -> None:
    found = read_times([value, None])
    assert found.seconds[0] == expected
    assert found.zoned.tolist() == [True, False]


@pytest.mark.parametrize("value", NO_TIMES, ids=lambda value: f"{value!r:.20}")
def test_what_is_no_time(value: Any) -> None:
    for order in ORDERS:
        assert read_times([value], order).bad.tolist() == [True], order


def test_days_that_are_written_as_numbers() -> None:
    assert are_days([20240101, 20240102, 20231231])
    assert are_days(np.array(["20240101", "20240102", "19991231"], object))
    assert not are_days([20240101, 20240102, 20241301])
    assert not are_days([20240101, 20240101, 20240101])
    assert not are_days([20240101, 20240102, math.inf])
    assert not are_days(["2024-01-01", "2024-01-02", "2024-01-03"])
    assert are_days([2024010122, 2024010123, 2024010200])
    assert are_days(["202401012359", "202401020000", "202401020001"])
    assert not are_days([2024010123, 2024010124, 2024010200])
    assert not are_days([1709596800, 1709596860, 1709596920])


def test_a_time_taken_apart() -> None:
    when = np.array([seconds(2024, 7, 6, 18), seconds(1850, 1, 1)])
    parts = taken_apart(when, float(when.min()), float(when.max()))
    assert set(parts) == set(PARTS)
    assert parts["since"].tolist() == [1, -1]
    assert parts["month"][0] * 3.5 + 5.5 == 6  # July, from 0
    assert parts["day"][0] * 8.8 + 15 == pytest.approx(5)
    assert parts["weekday"][0] * 2 + 3 == 5  # a Saturday, from 0
    assert parts["hour"][0] * 6.9 + 11.5 == pytest.approx(18)
    assert all(np.isfinite(part).all() for part in parts.values())


def test_words_of_scripts_with_and_without_blanks() -> None:
    assert cells.words("It's 3 o'clock_now") == ["it", "s", "3", "o", "clock", "now"]
    assert cells.words("서울특별시") == ["서울특별시", "서울", "울특", "특별", "별시"]
    weights = cells.word_weights(["a", "b", "a", "x"], {"a": 0, "b": 1}, np.array([1.0, 2.0]))
    assert sum(value**2 for value in weights.values()) == pytest.approx(1)
    assert weights[0] / weights[1] == pytest.approx((1 + math.log(2)) / 2)
