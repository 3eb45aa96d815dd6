"""Steps, zones and stamps: equal times have equal numbers, and every clock is read as it is."""

from __future__ import annotations

import doctest
import importlib
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from silmu.errors import InputError, UsageError
from silmu.runtime.series.infer import infer
from silmu.runtime.series.stamps import TIME, how_written, read_stamps
from silmu.runtime.series.steps import Step
from silmu.runtime.series.zones import absolute, civil, shown_twice, zone_of
from silmu.runtime.times import ORDERS, read_times

NAMES = (
    "1ms 100ms 40ms@37 1500ms 30s 7s 5min 90min 1h 36h D 2D B B@6 W W-SUN 2W M ME M@15 2M Q QE Y "
    "YE 5Y 4Y@3729 1 3"
)
PLACES = (
    "America/New_York Europe/Berlin Asia/Seoul Australia/Lord_Howe Africa/Casablanca "
    "America/Sao_Paulo Africa/Cairo Pacific/Apia Asia/Kathmandu UTC -03:30"
)
HOUR, DAY = 3600.0, 86_400.0


def seconds(*texts: str) -> Any:
    return np.array(texts, "datetime64[s]").astype(np.float64)


def every(start: str, end: str, size: int, unit: str) -> Any:
    stamps = np.arange(np.datetime64(start), np.datetime64(end), np.timedelta64(size, unit))
    return stamps.astype("datetime64[s]").astype(np.float64)


MODULES = ("steps", "infer", "zones", "stamps", "frame", "filling", "said", "measured", "reading")


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_docstrings_hold(module: str) -> None:
    found = importlib.import_module(f"silmu.runtime.series.{module}")
    result = doctest.testmod(found, extraglobs={"np": np})
    assert result.attempted
    assert not result.failed


# ── steps ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", NAMES.split())
def test_times_and_numbers_of_steps_are_each_others_inverse(name: str) -> None:
    step = Step.parse(name)
    assert Step.parse(step.to_text()) == step
    first = int(step.index(seconds("1700-01-01"))[0]) if name not in ("1", "3") else 0
    index = first + np.arange(6000)
    times = step.times(index)
    assert (np.diff(times) > 0).all()
    assert (step.index(times) == index).all()
    if step.unit in ("second", "day"):
        # A step lasts until the next one begins.
        assert (step.index(times[1:] - 1) == index[:-1]).all()


@pytest.mark.parametrize(
    "name", ["", " ", "0", "0D", "D2", "fortnight", "1.5h", "W-XYZ", "D-SUN", "-1h", "M@131"]
)
def test_what_is_no_step_is_refused_with_all_that_are(name: str) -> None:
    with pytest.raises(UsageError, match=r"100ms, 30s, 5min, 1h, D \(days\), B"):
        Step.parse(name)


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (("24h", "day", "daily", "1D"), "D"),
        (("60min", "h", "hourly"), "1h"),
        (("7D", "weeks"), "W"),
        (("12M", "4Q", "YS"), "Y"),
        (("3 months", "QS"), "Q"),
        (("100L", "100 milliseconds", "0100ms"), "100ms"),
        (("60000ms", "60 s", "minute"), "1min"),
        (("86400000 ms", "day"), "D"),
    ],
)
def test_steps_have_several_names(names: tuple[str, ...], same: str) -> None:
    assert {Step.parse(name).to_text() for name in names} == {same}


def test_leap_days_and_the_ends_of_months_are_steps_of_one() -> None:
    ends = seconds("2024-01-31", "2024-02-29", "2024-03-31", "2025-02-28")
    step = Step.parse("ME")
    assert (step.times(step.index(ends)) == ends).all()
    assert np.diff(step.index(ends)).tolist() == [1, 1, 11]
    days = Step.parse("D").index(seconds("2024-02-28", "2024-02-29", "2024-03-01"))
    assert np.diff(days).tolist() == [1, 1]
    last = Step.parse("D").index(seconds("9999-12-30", "9999-12-31"))
    assert np.diff(last).tolist() == [1]


def test_business_days_go_on_after_the_weekend() -> None:
    step = Step.parse("B")
    friday, saturday, monday = step.index(
        seconds("2024-03-01", "2024-03-02", "2024-03-04")
    ).tolist()
    assert (saturday, monday) == (friday, friday + 1)
    assert step.times(np.array([friday + 1])).tolist() == seconds("2024-03-04").tolist()


@pytest.mark.parametrize(
    ("name", "seasons"),
    [
        ("1h", (24, 168)),
        ("5min", (288,)),
        ("15min", (96, 672)),
        ("1s", (60,)),
        ("100ms", ()),
        ("D", (7, 365)),
        ("B", (5,)),
        ("W", (52,)),
        ("M", (12,)),
        ("Q", (4,)),
        ("Y", ()),
        ("1", ()),
    ],
)
def test_seasons_are_those_of_calendars(name: str, seasons: tuple[int, ...]) -> None:
    assert Step.parse(name).seasons[: len(seasons)] == seasons


# ── the step that times keep ───────────────────────────────────────────────────────────────────

RNG = np.random.default_rng(5)
DAYS = every("2020-01-01", "2024-01-01", 1, "D")
WORK = DAYS[(DAYS // DAY + 3) % 7 < 5]
MONTHS = every("2000-01", "2010-01", 1, "M")
FIVE = every("2020-01-01T00", "2020-01-20T00", 5, "m")
TICKS = 17_040_672_000.0 + np.arange(2000.0)
"""What has passed since 1970, in tenths of a second."""

KEPT = {
    "D": DAYS,
    "D@32400": DAYS + 9 * HOUR,
    "D@86399": DAYS + DAY - 1,
    "2D": DAYS[::2] - DAY * (DAYS[0] // DAY % 2),
    "B": np.delete(WORK, RNG.integers(0, len(WORK), 40)),
    "B@6": DAYS[(DAYS // DAY + 4) % 7 < 5],
    "W@2": DAYS[::7],
    "M": np.delete(MONTHS, [3, 4, 50]),
    "M@0": every("2000-02", "2010-01", 1, "M") - DAY,
    "M@15": MONTHS + 14 * DAY,
    "Q": MONTHS[::3],
    "Q@200": every("2000-04", "2010-01", 3, "M") - DAY,
    "Y": every("1700", "2010", 1, "Y"),
    "1h": every("2020-01-01T00", "2020-02-01T00", 1, "h"),
    "36h@18000": 5 * HOUR + 36 * HOUR * np.arange(60.0, 89.0),  # one time of the day has more
    "36h@25200": np.delete(7 * HOUR + 36 * HOUR * np.arange(60.0, 180.0), range(3, 90, 4)),
    "84h@18000": np.delete(5 * HOUR + 84 * HOUR * np.arange(60.0, 180.0), range(3, 90, 4)),
    "1h@1800": every("2020-01-01T00:30", "2020-02-01T00:30", 1, "h"),
    "5min": FIVE + RNG.integers(-8, 8, len(FIVE)),
    "45s": np.arange(1000) * 45.0,
    "15min": np.sort(RNG.uniform(0, 30 * DAY, 3000)),  # irregular, 10 minutes apart
    "W": DAY * np.sort(RNG.choice(2000, 300, replace=False)).astype(float),  # and days apart
    "1ms": np.arange(1000) / 1000,
    "10ms": np.arange(1000) / 100,
    "100ms@20": TICKS / 10 + 0.02,
    "40ms": np.delete(TICKS / 25, RNG.integers(1, len(TICKS), 40)),
    "100ms": np.sort(TICKS / 10 + RNG.normal(0, 0.006, len(TICKS))),
    "1500ms": TICKS * 1.5,
    "7s": np.sort(TICKS * 7 + RNG.normal(0, 0.1, len(TICKS))),
    "250ms": np.sort(RNG.uniform(0, 300, 1000)),  # irregular, 0.2 s apart
}


@pytest.mark.parametrize("name", KEPT)
def test_the_step_that_times_keep_is_found(name: str) -> None:
    assert infer([KEPT[name]]).to_text() == name


def test_steps_lack_and_times_jitter() -> None:
    sparse = DAYS[RNG.random(len(DAYS)) < 0.4]
    assert infer([sparse]) == Step.parse("D")
    late = DAYS + RNG.integers(-900, 900, len(DAYS))
    assert infer([late]) == Step.parse("D")
    drifting = np.cumsum(RNG.integers(298, 304, 3000)).astype(float)
    assert infer([drifting]) == Step.parse("5min")
    one_day = every("2020-01-01T00", "2020-02-01T00", 1, "h")
    office = one_day[(one_day % DAY // HOUR >= 9) & (one_day % DAY // HOUR < 17)]
    assert infer([office]) == Step.parse("1h")


def test_two_times_tell_a_step_and_one_does_not() -> None:
    assert infer([seconds("2024-01-31"), seconds("2024-01-31", "2024-02-29")]) == Step.parse("ME")
    assert infer([seconds("2024-01-31", "2024-02-01")]) == Step.parse("D")
    with pytest.raises(InputError, match="two different times") as caught:
        infer([seconds("2024-01-31"), seconds("2024-02-29", "2024-02-29")])
    assert "step=D" in str(caught.value)


# ── zones ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("place", PLACES.split())
def test_clocks_show_what_python_says(place: str) -> None:
    moments = np.floor(RNG.uniform(-2e9, 4e9, 500))
    start, zone = datetime(1970, 1, 1, tzinfo=UTC), zone_of(place)
    shown = [(start + timedelta(seconds=one)).astimezone(zone) for one in moments.tolist()]
    wanted = [one.replace(tzinfo=UTC).timestamp() for one in shown]
    assert civil(moments, place).tolist() == wanted


@pytest.mark.parametrize("place", PLACES.split())
@pytest.mark.parametrize("backwards", [False, True])
def test_the_order_of_rows_tells_autumn_nights(place: str, backwards: bool) -> None:
    moments = every("2020-01-01T00", "2023-01-01T00", 30, "m")
    moments = moments[::-1] if backwards else moments
    assert (absolute(civil(moments, place), place) == moments).all()


def test_two_series_have_their_own_autumn_nights() -> None:
    night = every("2024-10-26T22", "2024-10-27T04", 1, "h")
    moments = np.concatenate([night, night])
    whose = np.repeat([0, 1], len(night))
    shown = civil(moments, "Europe/Berlin")
    assert (absolute(shown, "Europe/Berlin", series=whose) == moments).all()
    mixed = np.arange(2 * len(night)).reshape(2, -1).T.reshape(-1)
    found = absolute(shown[mixed], "Europe/Berlin", series=whose[mixed])
    assert (found == moments[mixed]).all()
    assert shown_twice(night, "Europe/Berlin").sum() == 2


def test_hours_that_spring_nights_lack_are_told_with_their_row() -> None:
    shown = seconds("2024-03-10 01:30", "2024-03-10 02:30", "2024-03-10 03:30")
    with pytest.raises(InputError) as caught:
        absolute(shown, "America/New_York", numbers=np.array([7, 8, 9]))
    for words in ("row 8", "2024-03-10 02:30:00", "America/New_York", "02:00 to 03:00", "timezone"):
        assert words in str(caught.value)
    assert np.isnan(absolute(np.array([np.nan]), "America/New_York")).all()


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "+99:00", "Asia", "KST9"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="Asia/Seoul"):
        zone_of(name)


# ── stamps ─────────────────────────────────────────────────────────────────────────────────────

FORMS = (
    "%Y-%m-%d|%Y/%m/%d %H:%M|%Y-%m-%dT%H:%M:%S|%Y-%m-%dT%H:%M:%SZ|%Y-%m-%d %H:%M:%S+09:00|"
    "%d.%m.%Y %H:%M|%m/%d/%Y %I:%M %p|%Y-%m-%d %H:%M:%S.%f|%Y-%m-%d %H:%M-0330|%Y.%m.%d.|%d-%b-%y"
)


@pytest.mark.parametrize("form", FORMS.split("|"))
@pytest.mark.parametrize("order", ORDERS)
def test_columns_are_read_as_cells_are(form: str, order: str) -> None:
    drawn = RNG.integers(-5_000_000_000, 200_000_000_000, 700)
    start = datetime(1970, 1, 1)
    texts: list[Any] = [(start + timedelta(seconds=int(one))).strftime(form) for one in drawn]
    odd = ["2024-02-30", None, "2023-02-29 10:00", "soon", " 2024-01-01 ", "", "2024-13-01", "NaT"]
    texts[: len(odd)] = odd
    at_once, one_by_one = read_stamps(texts, order, TIME), read_times(texts, order)
    assert at_once.bad.tolist() == one_by_one.bad.tolist()
    np.testing.assert_array_equal(at_once.seconds, one_by_one.seconds)
    np.testing.assert_array_equal(at_once.offsets, one_by_one.offsets)


@given(st.lists(st.text(alphabet="0123456789-/.: TZ+apm년月", max_size=30), min_size=3, max_size=8))
def test_odd_texts_are_read_alike_in_columns(texts: list[str]) -> None:
    many = texts * 100
    at_once, one_by_one = read_stamps(many, "dmy", TIME), read_times(many, "dmy")
    assert at_once.bad.tolist() == one_by_one.bad.tolist()
    np.testing.assert_array_equal(at_once.seconds, one_by_one.seconds)


@pytest.mark.parametrize(
    ("cells", "written", "first"),
    [
        ([1700, 1701, 1703], ("year", ""), "1700-01-01"),
        (["2024", "2025"], ("year", ""), "2024-01-01"),
        (["202402", "202403", "202412"], ("month", ""), "2024-02-01"),
        (["20240305", "20240306", "20240309"], TIME, "2024-03-05"),
        ([1_709_596_800.0, 1_709_600_400.0], ("since", "s"), "2024-03-05"),
        ([1_709_596_800_000, 1_709_600_400_000], ("since", "ms"), "2024-03-05"),
        ([datetime(2024, 3, 5), None], TIME, "2024-03-05"),
        (np.array(["2024-03-05", "NaT"], "datetime64[ns]"), TIME, "2024-03-05"),
        (["2024-03", "2024-04"], TIME, "2024-03-01"),
    ],
)
def test_whole_numbers_may_be_times(cells: Any, written: tuple[str, str], first: str) -> None:
    assert how_written(cells) == written
    found = read_stamps(cells, "ymd", written)
    assert found.seconds[0] == seconds(first)[0]
    assert not found.bad.any()


def test_whole_numbers_may_count_steps() -> None:
    assert how_written([0, 1, 2, 3]) == ("count", "")
    found = read_stamps(["0", "1", "x", "-1", "2.5", ""], "ymd", ("count", ""))
    assert found.bad.tolist() == [False, False, True, True, True, False]
    assert how_written([0.25, 0.5]) == TIME
