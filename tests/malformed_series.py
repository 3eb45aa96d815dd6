"""Series that no one should send, by name: broken stamps and values, and odd ones that are good.

Each is a table of columns, to be given as it is or written as CSV; what must come of it is an error
that names the row, or a count of rows that are kept and left out.
"""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

ERROR, KEPT, EITHER = "a typed error", "a dataset", "either"
Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Case:
    """What is given, and what must come of it."""

    make: Callable[[], Columns]
    expected: str
    words: str = ""
    """What the error says, in any case."""
    row: int | None = None
    """The number of the row that the error names."""
    dropped: int = 0
    """Rows that are left out of what is kept."""
    roles: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


CASES: dict[str, Case] = {}


def error(
    name: str, make: Callable[[], Columns], words: str = "", row: int | None = None, **roles: Any
) -> None:
    settings = roles.pop("settings", {})
    assert name not in CASES
    CASES[name] = Case(make, ERROR, words, row, roles=roles, settings=settings)


def kept(name: str, make: Callable[[], Columns], dropped: int = 0, **roles: Any) -> None:
    settings, expected = roles.pop("settings", {}), roles.pop("expected", KEPT)
    assert name not in CASES
    CASES[name] = Case(make, expected, dropped=dropped, roles=roles, settings=settings)


# ── good series to spoil ───────────────────────────────────────────────────────────────────────


def days(count: int = 40, start: str = "2024-01-01", step: int = 1) -> list[Any]:
    first = datetime.date.fromisoformat(start)
    return [str(first + datetime.timedelta(step * n)) for n in range(count)]


def clock(count: int, start: str, minutes: int = 60, form: str = "%Y-%m-%d %H:%M") -> list[Any]:
    first = datetime.datetime.fromisoformat(start)
    return [(first + datetime.timedelta(minutes=minutes * n)).strftime(form) for n in range(count)]


def wave(count: int = 40, scale: float = 1.0) -> list[Any]:
    draw = random.Random(count)
    return [f"{scale * (20 + 5 * math.sin(n / 3) + draw.gauss(0, 1)):.2f}" for n in range(count)]


def daily(count: int = 40, **more: Sequence[Any]) -> Columns:
    return {"date": days(count), "value": wave(count), **{k: [*v] for k, v in more.items()}}


def hourly(count: int, start: str, minutes: int = 60) -> Columns:
    return {"time": clock(count, start, minutes), "value": wave(count)}


def long(names: Sequence[Any] = ("Seoul", "Busan", "Jeju"), count: int = 30) -> Columns:
    table: Columns = {"date": [], "city": [], "value": []}
    for place, name in enumerate(names):
        table["date"] += days(count)
        table["city"] += [name] * count
        table["value"] += wave(count, 1.0 + place)
    return table


def spoilt(table: Columns, column: str, row: int, value: Any) -> Columns:
    """With another cell; rows are counted from 1."""
    table[column][row - 1] = value
    return table


def without(table: Columns, *rows: int) -> Columns:
    return {
        name: [one for number, one in enumerate(column, 1) if number not in rows]
        for name, column in table.items()
    }


def repeated(table: Columns, row: int, **other: Any) -> Columns:
    """With a row at the end that repeats one, but for some cells."""
    for name, column in table.items():
        column.append(other.get(name, column[row - 1]))
    return table


def retimed(table: Columns, form: str, column: str = "date") -> Columns:
    """With days written in another way."""
    table[column] = [datetime.date.fromisoformat(one).strftime(form) for one in table[column]]
    return table


def shuffled(table: Columns) -> Columns:
    order = [*range(len(next(iter(table.values()))))]
    random.Random(0).shuffle(order)
    return {name: [column[n] for n in order] for name, column in table.items()}


# ── values ─────────────────────────────────────────────────────────────────────────────────────

for _name, _value in {
    "inf": "inf",
    "minus-infinity": "-Infinity",
    "beyond-floats": "1e400",
    "word": "many",
    "two-points": "1.2.3",
    "formula": "=A1+B1",
    "error-of-a-spreadsheet": "#REF!",
    "date": "2024-01-05",
    "hexadecimal": "0x1F",
    "two-numbers": "3 4",
    "markup": "<b>5</b>",
}.items():
    error(
        f"value-is-{_name}",
        lambda value=_value: spoilt(daily(), "value", 17, value),
        "value",
        17,
        target="value",
    )
error("value-is-inf-in-memory", lambda: spoilt(daily(), "value", 5, math.inf), "value", 5)
error(
    "value-is-numpy-inf",
    lambda: daily() | {"value": [*np.arange(39.0), np.float64("inf")]},
    "value",
    40,
)
error("value-is-a-list", lambda: daily() | {"value": [[1, 2]] * 40}, "no number", 1, target="value")
error("value-is-words-only", lambda: daily() | {"value": ["low", "high"] * 20}, "numbers")
error(
    "value-is-words-only-and-named",
    lambda: daily() | {"value": ["low", "high"] * 20},
    "value",
    1,
    target="value",
)
error("values-are-all-missing", lambda: daily() | {"value": [None] * 40}, target="value")
error("values-are-all-NA", lambda: daily() | {"value": ["NA"] * 40}, target="value")
error(
    "values-of-one-series-are-all-missing",
    lambda: long() | {"value": [*wave(60), *[None] * 30]},
    "Jeju",
)
kept("value-words-for-none", lambda: spoilt(spoilt(daily(), "value", 3, "NA"), "value", 9, "-"))
kept(
    "value-missing-at-the-end", lambda: spoilt(spoilt(daily(), "value", 40, None), "value", 39, "")
)
kept("value-missing-at-the-beginning", lambda: spoilt(daily(), "value", 1, None))
kept("value-every-second", lambda: daily() | {"value": ["1.5", None, "2.5", None] * 10})
kept("value-thousands", lambda: daily() | {"value": [f"1,{n:03},200" for n in range(40)]})
kept("value-comma", lambda: daily() | {"value": [f"{n},5" for n in range(40)]})
kept("value-money", lambda: daily() | {"value": [f"${n + 1},200.50" for n in range(40)]})
kept("value-percent", lambda: daily() | {"value": [f"{n} %" for n in range(40)]})
kept("value-huge", lambda: daily() | {"value": [f"{n}e99" for n in range(40)]})
kept("value-tiny", lambda: daily() | {"value": [f"{n}e-300" for n in range(40)]})
kept("value-constant", lambda: daily() | {"value": ["7"] * 40})
kept("value-integers-in-memory", lambda: daily() | {"value": [*range(40)]})
kept("value-decimals-in-memory", lambda: daily() | {"value": [Decimal(n) / 4 for n in range(40)]},
     target="value")  # fmt: skip
kept("value-truths", lambda: daily() | {"value": [True, False] * 20}, target="value")
kept("value-negative-zero", lambda: daily() | {"value": ["-0.0", "0"] * 20})

# ── stamps ─────────────────────────────────────────────────────────────────────────────────────

for _name, _time in {
    "word": "soon",
    "30-february": "2024-02-30",
    "month-13": "2024-13-05",
    "total": "Total",
    "dash": "--",
    "hour-25": "2024-01-05 25:00",
    "leap-second": "2024-01-05T23:59:60",
    "zero": "0000-00-00",
    "year-10000": "10000-01-01",
    "footnote": "* provisional figures, to be revised",
}.items():
    kept(f"time-is-{_name}", lambda time=_time: spoilt(daily(), "date", 20, time), 1)
kept("time-is-missing", lambda: spoilt(spoilt(daily(), "date", 20, None), "date", 21, "  "), 2)
error("times-are-all-words", lambda: daily() | {"date": ["soon", "late"] * 20}, "date")
error(
    "times-are-all-words-and-named",
    lambda: daily() | {"date": ["soon", "late"] * 20},
    "holds no time",
    time="date",
)
error("times-are-all-equal", lambda: daily() | {"date": ["2024-01-05"] * 40}, "same time")
error("time-twice", lambda: repeated(daily(), 12, value="99"), "one time", 41)
error("time-twice-in-memory", lambda: repeated(daily(), 12, value=99.0), "one time", 41)
error("time-twice-written-otherwise",
      lambda: repeated(daily(), 12, date="2024/1/12", value="99"), "one time", 41)  # fmt: skip
error("time-twice-in-one-series", lambda: repeated(long(), 40, value="99"), "Busan", 91)
error(
    "time-twice-once-missing-twice-told",
    lambda: repeated(repeated(daily(), 12, value=None), 12, value="99"),
    "one time",
    42,
)
error(
    "time-equal-with-other-offsets",
    lambda: {
        "time": [
            *clock(30, "2024-01-05T00:00", form="%Y-%m-%dT%H:%M+00:00"),
            "2024-01-05T12:00+09:00",
        ],
        "value": wave(31),
    },
    "time",
    31,
)
error(
    "time-of-the-year-9999",
    lambda: spoilt(hourly(40, "2024-01-05", 5), "time", 40, "9999-01-01"),
    "steps of 5 minutes",
    40,
)
error("time-of-the-year-1", lambda: spoilt(hourly(40, "2024-01-05", 5), "time", 1, "0001-01-01"),
      "steps of 5 minutes", 1)  # fmt: skip
error("one-row", lambda: daily(1), "only row", 1)
error("one-row-of-each", lambda: long(count=1), time="date", group="city")
error("no-rows", lambda: {"date": [], "value": []})
kept("two-rows", lambda: daily(2))
kept("times-reversed", lambda: {name: column[::-1] for name, column in daily().items()})
kept("times-shuffled", lambda: shuffled(daily()))
kept("times-shuffled-in-a-long-table", lambda: shuffled(long()))
kept("row-repeated-whole", lambda: repeated(repeated(daily(), 12), 12))
kept("times-with-gaps", lambda: without(daily(), 5, 6, 7, 20, 33))
kept("times-with-a-gap-of-a-century", lambda: spoilt(daily(), "date", 40, "2124-01-01"))
kept("times-that-jitter", lambda: hourly(60, "2024-01-05") | {
    "time": clock(60, "2024-01-05 00:02", 61, "%Y-%m-%d %H:%M:%S")})  # fmt: skip
kept("times-at-random", lambda: {
    "time": sorted(clock(1, f"2024-01-{d:02} {h:02}:{m:02}")[0]
                   for d, h, m in {(n * 7 % 27 + 1, n * 5 % 24, n * 13 % 60) for n in range(60)}),
    "value": wave(60)})  # fmt: skip
kept("times-before-1970", lambda: daily() | {"date": days(40, "1890-03-01")})
kept("times-of-the-first-century", lambda: daily() | {"date": days(40, "0033-04-03")})
kept("times-last-of-february", lambda: daily(36) | {
    "date": [str(np.datetime64(f"2020-{1 + n % 12:02}", "M") + 12 * (n // 12) + 1
                 - np.timedelta64(0, "M")) for n in range(36)]})  # fmt: skip
kept("days-first", lambda: retimed(daily(), "%d.%m.%Y"))
kept("months-first", lambda: retimed(daily(), "%m/%d/%Y"))
kept("days-first-of-short-years", lambda: retimed(daily(), "%d/%m/%y"))
kept("days-in-figures", lambda: retimed(daily(), "%Y%m%d"))
kept("days-in-korean", lambda: retimed(daily(), "%Y년 %m월 %d일"))
kept("days-in-words", lambda: retimed(daily(), "%d-%b-%Y"))
kept("days-in-memory", lambda: daily() | {
    "date": [datetime.date.fromisoformat(one) for one in days()]})  # fmt: skip
kept("days-of-numpy", lambda: daily() | {"date": [np.datetime64(one) for one in days()]})
kept("days-and-times-in-memory", lambda: daily() | {
    "date": [datetime.date(2024, 1, 1 + n) if n % 2 else datetime.datetime(2024, 1, 1 + n)
             for n in range(30)], "value": wave(30)})  # fmt: skip
kept("no-times-at-all", lambda: {"value": wave(40)})
kept("years", lambda: {"year": [str(1900 + n) for n in range(60)], "value": wave(60)})
kept("business-days", lambda: {
    "date": [one for one in days(60) if datetime.date.fromisoformat(one).weekday() < 5],
    "value": wave(44)})  # fmt: skip

# ── clocks ─────────────────────────────────────────────────────────────────────────────────────

BERLIN = {"settings": {"timezone": "Europe/Berlin"}}
error("spring-night-has-an-hour-that-is-not", lambda: hourly(12, "2024-03-30 22:00"),
      "2024-03-31 02:00", 5, **BERLIN)  # fmt: skip
kept("spring-night", lambda: without(hourly(12, "2024-03-30 22:00"), 5), **BERLIN)
kept("autumn-night", lambda: {
    "time": ["2024-10-27 00:00", "2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 02:00",
             "2024-10-27 03:00", "2024-10-27 04:00"], "value": wave(6)}, **BERLIN)  # fmt: skip
error("autumn-night-without-a-zone", lambda: {
    "time": [*clock(40, "2024-10-25 12:00"), "2024-10-27 02:00"], "value": wave(41)},
    "time", 41)  # fmt: skip
error(
    "autumn-night-shown-three-times",
    lambda: {
        "time": [*clock(10, "2024-10-26 17:00"), "2024-10-27 02:00", "2024-10-27 02:00"],
        "value": wave(12),
    },
    "one time",
    12,
    **BERLIN,
)
kept("autumn-night-with-offsets", lambda: {
    "time": ["2024-10-27T02:00+02:00", "2024-10-27T02:00+01:00", "2024-10-27T03:00+01:00",
             "2024-10-27T04:00+01:00"], "value": wave(4)}, **BERLIN)  # fmt: skip
kept("offsets-of-all-kinds", lambda: {
    "time": ["2024-01-05T00:00Z", "2024-01-05T10:00+09:00", "2024-01-04T21:00-05:00",
             "2024-01-05T03:00:00+00:00", "2024-01-05T09:30+05:30"], "value": wave(5)})  # fmt: skip
kept("offsets-in-memory", lambda: {
    "time": [datetime.datetime(2024, 3, 30, n % 24, tzinfo=ZoneInfo("Asia/Seoul"))
             for n in range(24)], "value": wave(24)})  # fmt: skip
kept("zone-of-some-only", lambda: {
    "time": ["2024-01-05T00:00Z", *clock(20, "2024-01-05T01:00")], "value": wave(21)},
    expected=EITHER)  # fmt: skip
error("zone-unknown", lambda: hourly(40, "2024-01-05"), "timezone",
      settings={"timezone": "Mars/Olympus"})  # fmt: skip

# ── which series a row is of ───────────────────────────────────────────────────────────────────

kept("series-missing-in-a-row", lambda: spoilt(long(), "city", 7, None), 1)
kept("series-blank-in-a-row", lambda: spoilt(long(), "city", 7, " "), 1)
error("series-missing-everywhere", lambda: long() | {"city": [None] * 90}, group="city")
error("series-not-told", lambda: {"date": days() * 2, "value": wave(80)}, "same time")
error("series-told-by-none", lambda: {
    "date": days() * 4, "kind": ["a", "b"] * 80, "value": wave(160)}, "same time")  # fmt: skip
kept("series-of-two-columns", lambda: {
    "date": days(20) * 4, "store": ["A"] * 40 + ["B"] * 40,
    "item": (["tea"] * 20 + ["milk"] * 20) * 2, "value": wave(80)})  # fmt: skip
kept("series-with-commas", lambda: long(["Paris, Texas", 'the "other" one', "서울"]))
kept("series-of-numbers", lambda: long([1, 2, 3]), group="city")
kept("series-of-odd-letters", lambda: long(["a\u0301", "\u200b", "🙂"]), expected=EITHER)
kept("series-with-blanks-around", lambda: long(["A", " A ", "B"]), expected=EITHER)
kept("series-that-never-meet", lambda: {
    "date": [*days(30), *days(30, "2030-01-01")], "city": ["a"] * 30 + ["b"] * 30,
    "value": wave(60)}, group="city")  # fmt: skip
kept("series-of-one-value-each", lambda: long([f"s{n}" for n in range(50)], 2), group="city")
kept("series-called-NA", lambda: long(["KR", "NA", "DE"]), expected=EITHER)

# ── roles and settings ─────────────────────────────────────────────────────────────────────────

error("column-unknown", daily, "there is no column `day`", time="day")
error("target-unknown", daily, "there is no column `sales`", target="sales")
error("group-unknown", daily, "there is no column `city`", group="city")
error("input-unknown", daily, "there is no column `rain`", input="rain")
error("known-unknown", daily, "there is no column `rain`", settings={"known": "rain"})
error("time-is-the-target", daily, "cannot be both", time="value", target="value")
error("target-is-the-group", long, "cannot be both", target="value", group="value")
error("target-is-an-input", daily, "cannot be both", target="value", input="value")
error("target-named-twice", daily, "twice", target="value,value")
error("nothing-to-forecast", lambda: {"date": days()}, "no column holds numbers")
error(
    "several-to-forecast",
    lambda: {"date": days(), "wind": wave(), "heat": wave(), "weather": ["sun", "rain"] * 20},
    "--target",
)
error("several-times", lambda: {
    "started": days(), "finished": days(40, "2025-01-01"), "value": wave()},
    "several columns")  # fmt: skip
error("day-and-clock-apart", lambda: {
    "date": [*["2024-01-05"] * 24, *["2024-01-06"] * 24],
    "time": [f"{n % 24:02}:00" for n in range(48)], "value": wave(48)}, "query")  # fmt: skip
error("step-unknown", daily, "step", settings={"step": "7x"})
error("step-of-nothing", daily, "step", settings={"step": "0D"})
error("step-that-is-none", daily, "step", settings={"step": "often"})
error("step-is-a-number", daily, "step", settings={"step": 5})
error("aggregate-unknown", daily, "aggregate", settings={"aggregate": "median"})
error("setting-unknown", daily, "no setting", settings={"window": 5})
error("step-too-short", lambda: daily() | {"date": days(40, step=200)}, "steps of 1 second",
      settings={"step": "1s"})  # fmt: skip
kept("step-longer", lambda: hourly(100, "2024-01-05", 7), settings={"step": "1h"})
kept("step-longer-sum", lambda: daily(60), settings={"step": "W", "aggregate": "sum"})
kept("step-longer-last", lambda: daily(60), settings={"step": "M", "aggregate": "last"})
kept("covariate-of-words", lambda: daily(weather=["sun", "rain"] * 20), input="weather")
kept("covariate-missing", lambda: daily(rain=[None] * 40), input="rain", target="value")
kept("covariate-of-mixed-cells", lambda: daily(rain=["1", "many", None, "2"] * 10), input="rain",
     target="value")  # fmt: skip
kept("covariate-infinite", lambda: daily(rain=["1", "inf"] * 20), input="rain", target="value",
     expected=EITHER)  # fmt: skip
error("covariate-differs-in-a-repeated-row", lambda: repeated(daily(rain=wave()), 12, rain="99"),
      "one time", 41, input="rain", target="value")  # fmt: skip
