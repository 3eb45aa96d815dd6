"""Tables of series are read as regular series, and broken ones are refused with their rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from silmu.errors import InputError, MissingKeyError, UnknownNameError, UsageError
from silmu.runtime.series.filling import RULES, filled
from silmu.runtime.series.frame import Layout, Read
from silmu.runtime.series.reading import read_series
from silmu.runtime.series.steps import Step

Columns = dict[str, Any]
TIMED = Layout(time="time", target=("y",))
LONG = Layout(time="time", group=("city",), target=("y",))


def stamps(start: str, count: int, **apart: int) -> list[str]:
    first = datetime.fromisoformat(start)
    return [str(first + i * timedelta(**apart)) for i in range(count)]


def months(count: int) -> list[str]:
    return [f"{2015 + i // 12}-{i % 12 + 1:02}-01" for i in range(count)]


def cities() -> Columns:
    """Ten days of two cities, one of which begins later, rows of a day together."""
    rows = [
        (day, city, f"{base + i}", f"{i / 2}", "wet" if i % 3 else "dry")
        for i, day in enumerate(stamps("2024-02-25", 10, days=1))
        for city, base in (("Seoul", 1), ("Busan", 20))
        if city == "Seoul" or i >= 3
    ]
    names = ("time", "city", "y", "rain", "sky")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def some(columns: Columns, rows: Sequence[int]) -> Columns:
    return {name: [column[i] for i in rows] for name, column in columns.items()}


def by_name(read: Read) -> dict[str, list[float]]:
    return {one.name: one.values.tolist() for one in read.series}


def refused(columns: Columns, layout: Layout = TIMED, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_series(columns, layout, **options)
    assert caught.value.hint is not None
    return str(caught.value)


# ── what is read ───────────────────────────────────────────────────────────────────────────────


def test_long_tables_are_a_series_for_each_group() -> None:
    columns = cities()
    read = read_series(columns, Layout("time", ("city",), ("y",), ("rain", "sky")))
    assert by_name(read) == {
        "Seoul": [1.0 + i for i in range(10)],
        "Busan": [20.0 + i for i in range(3, 10)],
    }
    seoul, busan = read.series
    assert busan.first - seoul.first == 3
    assert busan.covariates["rain"].tolist() == [i / 2 for i in range(3, 10)]
    assert busan.covariates["sky"].tolist()[:2] == ["dry", "wet"]
    assert read.step == Step.parse("D")
    assert read.names.tolist()[:5] == [0, 0, 0, 0, 1]
    assert read.places.tolist()[3:5] == [seoul.first + 3] * 2
    assert read.found.gaps == ()
    assert not read.found.unsorted


def test_wide_tables_are_a_series_for_each_target_and_may_have_groups() -> None:
    columns = cities() | {"z": [str(i) for i in range(17)]}
    wide = Layout("time", ("city",), ("y", "z"))
    assert [one.name for one in read_series(columns, wide).series] == [
        "Seoul, y",
        "Seoul, z",
        "Busan, y",
        "Busan, z",
    ]
    own = some(columns, [i for i, city in enumerate(columns["city"]) if city == "Seoul"])
    read = read_series(own, Layout("time", (), ("y", "z")))
    assert [one.name for one in read.series] == ["y", "z"]


def test_several_columns_may_name_a_series() -> None:
    columns = {
        "time": ["2024-01-01", "2024-01-02"] * 3,
        "shop": [1, 1, 1.0, 1, "2", "2"],
        "item": ["a", "a", "b", "b", "a", "a"],
        "y": range(6),
    }
    read = read_series(columns, Layout("time", ("shop", "item"), ("y",)))
    assert by_name(read) == {"1, a": [0, 1], "1, b": [2, 3], "2, a": [4, 5]}


def test_rows_without_times_are_steps_in_their_order() -> None:
    read = read_series({"y": [3, 1, None, 2]}, Layout(target=("y",)))
    np.testing.assert_array_equal(read.series[0].values, [3, 1, np.nan, 2])
    assert (read.step, read.series[0].name) == (Step("count"), "")
    assert read.found.gaps == (("", 2, 1),)


def test_times_may_be_numbers_of_steps() -> None:
    read = read_series({"time": ["10", "20", "40"], "y": [1, 2, 3]}, TIMED)
    assert read.step == Step("count", 10)
    assert read.series[0].values[[0, 1, 3]].tolist() == [1, 2, 3]
    layout = Layout.of(json.loads(json.dumps(read.layout.to_plain())))
    assert layout == read.layout
    again = read_series({"time": ["50"], "y": [5]}, layout)
    assert again.series[0].first == read.series[0].end


@given(st.permutations(range(17)))
def test_the_order_of_rows_does_not_matter(rows: list[int]) -> None:
    layout = Layout("time", ("city",), ("y",), ("rain", "sky"))
    one, other = read_series(cities(), layout), read_series(some(cities(), rows), layout)
    first = {series.name: series for series in one.series}
    for series in other.series:
        wanted = first[series.name]
        assert series.first == wanted.first
        assert series.values.tolist() == wanted.values.tolist()
        for name, column in series.covariates.items():
            assert column.tolist() == wanted.covariates[name].tolist()
    assert other.places.tolist() == one.places[rows].tolist()


def test_rows_after_the_last_target_are_the_future() -> None:
    columns = cities()
    for i in range(13, 17):
        columns["y"][i] = ""
    read = read_series(columns, Layout("time", ("city",), ("y",), ("rain", "sky")))
    assert [(len(one), one.ahead) for one in read.series] == [(8, 2), (5, 2)]
    assert read.series[0].covariates["rain"].tolist()[-2:] == [4.0, 4.5]
    assert read.found.ahead == 4
    assert read.found.gaps == ()
    shorter = read.series[0].until(3)
    assert (shorter.values.tolist(), shorter.ahead) == ([1, 2, 3], 7)


def test_gaps_are_found_and_values_before_the_first_are_none() -> None:
    times = stamps("2024-01-01", 8, hours=1)
    columns = {"time": times, "y": ["", "1", "2", "", "4", "5", "6", ""]}
    read = read_series(some(columns, [0, 1, 2, 3, 4, 6, 7]), TIMED)
    one = read.series[0]
    np.testing.assert_array_equal(one.values, [1, 2, np.nan, 4, np.nan, 6])
    assert read.found.gaps == (("", one.first + 2, 1), ("", one.first + 4, 1))
    assert one.observed.tolist() == [True, True, False, True, False, True]


def test_numbers_are_read_as_tables_write_them_and_later_rows_likewise() -> None:
    columns = {"time": stamps("2024-01-01", 4, days=1), "y": ["1.200,5 €", "3,5", "", "1.100"]}
    read = read_series(columns, TIMED)
    np.testing.assert_array_equal(read.series[0].values, [1200.5, 3.5, np.nan, 1100])
    later = {"time": stamps("2024-02-01", 2, days=1), "y": ["1.100", "2.200"]}
    assert read_series(later, TIMED).series[0].values.tolist() == [1.1, 2.2]
    assert read_series(later, read.layout).series[0].values.tolist() == [1100, 2200]


def test_covariates_of_levels_stay_texts_in_later_rows() -> None:
    columns = cities() | {"code": ["1", "2", "A", "B"] * 4 + ["1"]}
    read = read_series(columns, Layout("time", ("city",), ("y",), ("code",)))
    assert read.series[0].covariates["code"].dtype == object
    some_rows = some(columns, [0, 1])
    later = read_series(some_rows, read.layout).series[0].covariates["code"]
    assert later.tolist() == ["1", "2"]


def test_rows_of_one_step_are_put_together() -> None:
    columns = {
        "time": stamps("2024-01-01", 48, minutes=30),
        "y": [float(i) for i in range(48)],
        "x": [float(i) for i in range(48)],
        "sky": ["wet", None] * 24,
    }
    for aggregate, wanted in (("mean", 0.5), ("sum", 1.0), ("last", 1.0)):
        layout = Layout(
            "time", (), ("y",), ("x", "sky"), step=Step.parse("1h"), aggregate=aggregate
        )
        read = read_series(columns, layout)
        one = read.series[0]
        assert (len(one), one.values[0], read.found.merged) == (24, wanted, 24)
        assert one.covariates["x"][0] == (1.0 if aggregate == "last" else 0.5)
        assert one.covariates["sky"].tolist() == ["wet"] * 24


def test_sums_and_last_ones_are_of_equal_times_too() -> None:
    columns = {"time": ["2024-01-01"] * 2 + ["2024-01-02"], "y": [1, 2, 4]}
    for aggregate, wanted in (("sum", [3, 4]), ("last", [2, 4])):
        read = read_series(columns, Layout("time", (), ("y",), aggregate=aggregate))
        assert read.series[0].values.tolist() == wanted
        assert read.found.merged == 1


def test_a_row_that_is_there_twice_is_one() -> None:
    columns = some(cities(), [*range(17), 4, 4])
    read = read_series(columns, Layout("time", ("city",), ("y",), ("rain", "sky")))
    assert by_name(read) == by_name(read_series(cities(), LONG))
    assert (read.found.repeated, read.found.merged) == (2, 0)
    assert read.places[-1] == read.places[4]


def test_times_that_jitter_lie_on_the_grid() -> None:
    late = np.random.default_rng(1).integers(-20, 20, 300)
    first = datetime(2024, 1, 1)
    times = [str(first + timedelta(seconds=300 * i + int(late[i]))) for i in range(300)]
    read = read_series({"time": times, "y": range(300)}, TIMED)
    assert read.series[0].values.tolist() == list(range(300))
    assert (read.step.words, read.found.irregular) == ("5 minutes", 0.0)


def test_an_hour_in_the_evening_is_of_the_same_day() -> None:
    hours = stamps("2024-01-01", 72, hours=1)
    layout = Layout("time", (), ("y",), step=Step.parse("D"), aggregate="sum")
    read = read_series({"time": hours, "y": [1] * 72}, layout)
    assert read.series[0].values.tolist() == [24, 24, 24]


def test_business_days_and_ends_of_months() -> None:
    ends = ["2023-11-30", "2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31"]
    read = read_series({"time": ends, "y": range(5)}, TIMED)
    assert (read.step.to_text(), read.found.irregular) == ("M@0", 0.0)
    assert len(read.series[0]) == 5
    days = [
        day for day in stamps("2024-01-01", 60, days=1) if datetime.fromisoformat(day).weekday() < 5
    ]
    read = read_series({"time": days[:20] + days[21:], "y": range(len(days) - 1)}, TIMED)
    assert read.step == Step("business day")
    assert [gap[2] for gap in read.found.gaps] == [1]


def test_a_step_that_is_asked_for_takes_its_place_from_the_times() -> None:
    columns = {"time": stamps("2024-01-01 00:30", 30, hours=1), "y": range(30)}
    read = read_series(columns, Layout("time", (), ("y",), step=Step.parse("1h")))
    assert read.step == Step("second", 3600, 1800)
    assert read_series(some(columns, [0]), read.layout).step == read.step


# ── zones ──────────────────────────────────────────────────────────────────────────────────────


def local(start: datetime, count: int, zone: str) -> list[str]:
    from zoneinfo import ZoneInfo

    moments = [start.replace(tzinfo=UTC) + i * timedelta(hours=1) for i in range(count)]
    return [str(one.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for one in moments]


def test_nights_of_summer_time_are_regular_in_their_zone() -> None:
    shown = local(datetime(2024, 10, 26, 12), 36, "Europe/Berlin")
    layout = Layout("time", (), ("y",), zone="Europe/Berlin")
    read = read_series({"time": shown, "y": range(36)}, layout)
    assert read.series[0].values.tolist() == list(range(36))
    assert (read.found.nights, read.step.words) == (2, "1 hour")
    spring = local(datetime(2024, 3, 30, 12), 36, "Europe/Berlin")
    read = read_series({"time": spring, "y": range(36)}, layout)
    assert read.series[0].values.tolist() == list(range(36))
    # As days of the place, the hours of the long and the short day are together.
    days = Layout("time", (), ("y",), step=Step.parse("D"), zone="Europe/Berlin", aggregate="sum")
    whole = local(datetime(2024, 10, 25, 22), 73, "Europe/Berlin")
    found = read_series({"time": whole, "y": [1] * 73}, days)
    assert found.series[0].values.tolist() == [24, 25, 24]
    mean = read_series(
        {"time": whole, "y": range(73)},
        Layout("time", (), ("y",), step=Step.parse("D"), zone="Europe/Berlin"),
    )
    assert len(mean.series[0]) == 3


def test_without_its_zone_an_autumn_night_is_refused_with_the_cure() -> None:
    shown = local(datetime(2024, 10, 26, 12), 36, "Europe/Berlin")
    told = refused({"time": shown, "y": range(36)})
    for words in ("rows 13 and 14", "2024-10-27 02:00:00", "`12.0` and `13.0`", "timezone"):
        assert words in told


def test_an_hour_that_spring_lacks_is_refused_with_its_row() -> None:
    times = stamps("2024-03-31 00:00", 5, hours=1)
    told = refused({"time": times, "y": range(5)}, Layout("time", (), ("y",), zone="Europe/Berlin"))
    for words in ("row 3", "2024-03-31 02:00:00", "Europe/Berlin", "02:00 to 03:00", "timezone"):
        assert words in told


def test_days_that_have_no_midnight_are_days() -> None:
    days = stamps("2024-04-20", 14, days=1)  # clocks in Cairo skip midnight of the 26th
    layout = Layout("time", (), ("y",), zone="Africa/Cairo")
    read = read_series({"time": days, "y": range(14)}, layout)
    assert read.series[0].values.tolist() == list(range(14))
    assert read.step == Step.parse("D")


def test_offsets_tell_moments_and_a_single_one_the_zone() -> None:
    days = [f"{day}T00:00:00+09:00" for day in ("2024-01-01", "2024-01-02", "2024-01-03")]
    read = read_series({"time": days, "y": range(3)}, TIMED)
    assert (read.layout.zone, read.step) == ("+09:00", Step.parse("D"))
    assert read.series[0].first == Step.parse("D").index(np.array([1_704_067_200.0]))[0]
    mixed = ["2024-01-01T00:00Z", "2024-01-01T02:00+01:00", "2024-01-01T11:00+09:00"]
    read = read_series({"time": mixed, "y": range(3)}, TIMED)
    assert read.series[0].values.tolist() == [0, 1, 2]
    assert (read.layout.zone, read.step.words) == ("UTC", "1 hour")


def test_days_of_a_zone_with_summer_time_are_days() -> None:
    texts = [f"2024-03-{day}T00:00:00{'+01:00' if day < 32 else ''}" for day in range(28, 32)]
    texts += [f"2024-04-0{day}T00:00:00+02:00" for day in range(1, 4)]
    read = read_series({"time": texts, "y": range(7)}, TIMED)
    assert read.step == Step.parse("D")
    assert read.series[0].values.tolist() == list(range(7))


def test_rows_are_read_again_as_they_were_found() -> None:
    texts = [f"2024-03-{day}T00:00:00+01:00" for day in range(28, 32)]
    texts += [f"2024-04-0{day}T00:00:00+02:00" for day in range(1, 4)]
    for times in (texts, [text[:19] for text in texts], [text[:19] + "Z" for text in texts]):
        columns = {"time": times, "y": range(7)}
        read = read_series(columns, TIMED)
        again = read_series(columns, read.layout)
        assert again.series[0].first == read.series[0].first
        assert again.places.tolist() == read.places.tolist()
        assert (again.step, again.layout) == (read.step, read.layout)


def test_a_single_time_has_a_place_on_the_grid_of_a_zone() -> None:
    layout = Layout("time", (), ("y",), step=Step.parse("1h"), zone="Europe/Berlin")
    read = read_series({"time": ["2024-07-01 12:00"], "y": ["1"]}, layout)
    assert read.step.times(read.places).tolist() == [1_719_828_000.0]


def test_what_clocks_show_counts_where_training_knew_no_zone() -> None:
    hours = stamps("2024-01-01", 48, hours=1)
    read = read_series({"time": hours, "y": range(48)}, TIMED)
    later = read_series({"time": ["2024-01-03 00:00+09:00"], "y": [48]}, read.layout)
    assert later.series[0].first == read.series[0].end


# ── what is refused ────────────────────────────────────────────────────────────────────────────


def spoilt(name: str, row: int, value: Any) -> Columns:
    columns = cities()
    columns[name][row] = value
    return columns


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (spoilt("time", 4, "soon"), ("row 5 of `Busan`", "`soon`", "no time", "2024-03-05")),
        (spoilt("time", 4, "2024-02-30"), ("row 5 of `Busan`", "2024-02-30")),
        (spoilt("time", 4, ""), ("row 5 of `Busan`", "no time", "fill it in")),
        (spoilt("time", 4, "2024-02-28T00:00Z"), ("row 5", "row 1", "offset", "timezone")),
        (spoilt("y", 4, "many"), ("row 5 of `Busan`", "`many`", "no number", "empty")),
        (spoilt("y", 4, "inf"), ("row 5 of `Busan`", "`inf`", "infinite", "empty")),
        (spoilt("y", 4, -np.inf), ("row 5 of `Busan`", "infinite")),
        (spoilt("rain", 4, np.inf), ("row 5 of `Busan`", "`rain`", "infinite")),
        (spoilt("y", 4, Decimal("-Infinity")), ("row 5 of `Busan`", "infinite")),
        (spoilt("city", 4, None), ("row 5", "`city`")),
        (spoilt("time", 4, "9999-12-31"), ("row 5 of `Busan`", "9999-12-31", "steps of 1 day")),
        (spoilt("time", 16, "9999-12-31"), ("row 17 of `Busan`", "9999-12-31", "nearest")),
        (spoilt("time", 0, "0001-01-01"), ("row 1 of `Seoul`", "0001-01-01", "later")),
    ],
)
def test_a_broken_cell_is_told_with_row_series_and_cure(
    columns: Columns, words: Sequence[str]
) -> None:
    told = refused(columns, Layout("time", ("city",), ("y",), ("rain", "sky")))
    for word in words:
        assert word in told, told


def test_all_broken_rows_are_counted_by_their_own_numbers() -> None:
    columns = cities()
    for row in (2, 5, 7, 9, 11, 12):
        columns["y"][row] = "x"
    told = refused(columns, LONG, numbers=np.arange(100, 117))
    assert "row 102 of `Seoul`" in told
    assert "rows 105, 107, 109, 111 and 1 more likewise" in told


def test_one_time_with_two_values_is_refused() -> None:
    columns = some(cities(), [*range(17), 4])
    columns["y"][-1] = "7"
    told = refused(columns, LONG)
    for words in ("rows 5 and 18 of `Busan`", "2024-02-28", "`23.0` and `7.0`", "aggregate"):
        assert words in told, told
    alone = {"time": ["2024-01-01", "2024-01-01", "2024-01-02"], "y": [1, 2, 3]}
    assert "group" in refused(alone)
    skies = some(cities(), [*range(17), 4])
    skies["sky"][-1] = "fog"
    assert "different `sky`" in refused(skies, Layout("time", ("city",), ("y",), ("sky",)))


def test_a_repeated_row_without_a_value_takes_the_one_that_is_there() -> None:
    columns = {"time": ["2024-01-01", "2024-01-01", "2024-01-02"], "y": ["", "2", "3"]}
    assert read_series(columns, TIMED).series[0].values.tolist() == [2, 3]


def test_a_single_row_or_time_is_refused_unless_the_step_is_known() -> None:
    assert "only row 1" in refused({"time": ["2024-01-01"], "y": ["1"]})
    same = {"time": ["2024-01-01"] * 2, "y": ["1", "2"], "city": ["a", "b"]}
    assert "rows 1 and 2" in refused(same, LONG)
    known = Layout("time", (), ("y",), step=Step.parse("D"))
    assert read_series({"time": ["2024-01-01"], "y": ["1"]}, known).series[0].values.tolist() == [1]


def test_a_series_without_any_value_is_refused() -> None:
    columns = cities()
    for row in [i for i, city in enumerate(columns["city"]) if city == "Busan"]:
        columns["y"][row] = "NaN"
    told = refused(columns, LONG)
    for words in ("no value of `y`", "`Busan`", "rows 5, 7, 9, 11 and 3 more", "leave"):
        assert words in told, told
    assert "no value" in refused({"time": stamps("2024-01-01", 3, days=1), "y": [None] * 3})


def test_nothing_at_all_is_refused() -> None:
    assert "no rows" in refused({"time": [], "y": []})
    with pytest.raises(InputError, match="different lengths"):
        read_series({"time": ["2024-01-01"], "y": []}, TIMED)
    with pytest.raises(MissingKeyError, match="there is no `y`; there are `time`"):
        read_series({"time": ["2024-01-01"]}, TIMED)


def test_series_of_different_steps_are_refused_and_a_longer_step_takes_both() -> None:
    columns = {
        "time": stamps("2024-01-01", 240, hours=1) + stamps("2024-01-01", 10, days=1),
        "city": ["a"] * 240 + ["b"] * 10,
        "y": [1.0] * 250,
    }
    told = refused(columns, LONG)
    for words in ("1 hour", "`b`", "row 241", "every 1 day", "step", "aggregate"):
        assert words in told, told
    layout = Layout("time", ("city",), ("y",), step=Step.parse("D"))
    assert [len(one) for one in read_series(columns, layout).series] == [10, 10]
    # Series with gaps are not of another step.
    rows = [i for i in range(240) if i % 7 != 3] + list(range(240, 250))
    gappy = some(
        columns | {"time": columns["time"][:240] + stamps("2024-01-01", 10, hours=1)}, rows
    )
    assert read_series(gappy, LONG).step.words == "1 hour"


def test_too_many_steps_are_refused() -> None:
    columns = {"time": stamps("2024-01-01", 300, days=1), "y": range(300)}
    told = refused(columns, Layout("time", (), ("y",), step=Step.parse("1s")))
    assert "steps of 1 second" in told
    assert "longer step" in told


def test_a_grid_that_is_nearly_empty_all_over_is_refused() -> None:
    columns = {"time": stamps("2024-01-01", 30, days=7), "y": range(30)}
    told = refused(columns, Layout("time", (), ("y",), step=Step.parse("1min")))
    assert "1,000 for each row" in told
    assert "longer step" in told


@pytest.mark.parametrize("cell", ["-0400-01-01", "12024-01-01"])
def test_years_that_python_has_not_are_no_times(cell: str) -> None:
    alone = {"time": [np.datetime64(cell), np.datetime64("2024-01-01")], "y": [1, 2]}
    assert "row 1" in refused(alone)
    assert "no time" in refused(alone | {"time": np.array([cell, "2024-01-01"], "datetime64[s]")})


def test_dates_of_another_order_are_told() -> None:
    columns = {"time": ["13/1/2024", "14/1/2024"], "y": [1, 2]}
    assert "these are dmy" in refused(columns)
    layout = Layout("time", (), ("y",), order="dmy")
    assert len(read_series(columns, layout).series[0]) == 2


def test_layouts_that_fit_nothing_are_refused() -> None:
    days = {"time": stamps("2024-01-01", 3, days=1), "y": range(3)}
    with pytest.raises(UsageError, match="timezone"):
        read_series(days, Layout("time", (), ("y",), zone="Mars/Olympus"))
    with pytest.raises(UsageError, match="step is 1, and `time` holds times"):
        read_series(days, Layout("time", (), ("y",), step=Step("count")))
    with pytest.raises(UsageError, match="step is D, and there is no column of times"):
        read_series(days, Layout(None, (), ("y",), step=Step.parse("D")))
    with pytest.raises(UnknownNameError, match="mean, sum, last"):
        Layout("time", (), ("y",), aggregate="median")
    with pytest.raises(UsageError, match="several parts"):
        Layout("time", (), ("y",), ("y",))
    with pytest.raises(UsageError, match="no target"):
        Layout("time")


# ── filling ────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=20), st.sampled_from(RULES))
def test_filled_values_are_numbers_and_what_was_observed_stays(
    values: list[float | None], rule: str
) -> None:
    given_values = np.array([np.nan if one is None else one for one in values], np.float64)
    found = filled(given_values, rule)
    there = ~np.isnan(given_values)
    assert np.isfinite(found).all()
    assert (found[there] == given_values[there]).all()
    if rule != "linear":
        # No step tells of later ones, but that before the first value that one stands.
        for end in range(1, len(found)):
            if there[:end].any():
                np.testing.assert_allclose(filled(given_values[:end], rule), found[:end])


def test_rules_fill_as_they_are_called() -> None:
    gaps = np.array([np.nan, 1, np.nan, np.nan, 4, np.nan])
    assert filled(gaps, "linear").tolist() == [1, 1, 2, 3, 4, 4]
    assert filled(gaps, "last").tolist() == [1, 1, 1, 1, 4, 4]
    assert filled(gaps, "mean").tolist() == [1, 1, 1, 1, 4, 2.5]
    assert filled(gaps, "zero").tolist() == filled(gaps, "none").tolist() == [0, 1, 0, 0, 4, 0]
    with pytest.raises(UnknownNameError, match="linear, last, mean, zero, none"):
        filled(gaps, "spline")
