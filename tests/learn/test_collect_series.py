"""Series become a dataset: roles that are guessed, rows that are kept, and what was found."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from malformed_series import clock, daily, days, hourly, long, repeated, retimed, wave, without
from silmu import cli
from silmu.errors import InputError, UnknownNameError, UsageError
from silmu.steps.collect import collect, series
from silmu.steps.collect.dataset import Dataset, Roles


def gathered(source: Any, tmp_path: Path, **options: Any) -> Dataset:
    place = tmp_path / f"dataset-{len([*tmp_path.iterdir()])}"
    return collect(source, place, kind="series", **options)


# ── roles ──────────────────────────────────────────────────────────────────────────────────────

GUESSED: dict[str, tuple[dict[str, list[Any]], Roles]] = {
    "one number": (
        {"date": days(), "co2": wave()},
        Roles((), ("co2",), None, "date"),
    ),
    "a target by its name": (
        {"date": days(), "open": wave(), "high": wave(), "close": wave()},
        Roles((), ("close",), None, "date"),
    ),
    "long": (long(), Roles((), ("value",), "city", "date")),
    "wide": (
        {"ds": days(), "north": wave(), "south": wave(), "west": wave()},
        Roles((), ("north", "south", "west"), None, "ds"),
    ),
    "wide with a number of rows": (
        {"": [str(n) for n in range(40)], "date": days(), "a": wave(), "b": wave()},
        Roles((), ("a", "b"), None, "date"),
    ),
    "two columns tell series apart": (
        {
            "date": days(20) * 4,
            "weather": ["sun", "rain"] * 40,
            "store": ["A"] * 40 + ["B"] * 40,
            "item": (["tea"] * 20 + ["milk"] * 20) * 2,
            "sales": wave(80),
        },
        Roles((), ("sales",), "store,item", "date"),
    ),
    "numbers of stores and items": (
        {
            "date": days(20) * 4,
            "store": ["1"] * 40 + ["2"] * 40,
            "item": (["1"] * 20 + ["2"] * 20) * 2,
            "sales": [str(n % 7) for n in range(80)],
        },
        Roles((), ("sales",), "store,item", "date"),
    ),
    "as other libraries name them": (
        {"unique_id": ["a"] * 20 + ["b"] * 20, "ds": days(20) * 2, "y": wave()},
        Roles((), ("y",), "unique_id", "ds"),
    ),
    "a city and its country": (
        {
            "country": ["KR"] * 40 + ["JP"] * 20,
            "name": ["Seoul"] * 20 + ["Busan"] * 20 + ["Tokyo"] * 20,
            "date": days(20) * 3,
            "demand": wave(60),
        },
        Roles((), ("demand",), "name", "date"),
    ),
    "sensors that never tick together": (
        {
            "timestamp": sorted(clock(30, "2024-01-05 00:00") + clock(30, "2024-01-05 00:13")),
            "sensor": ["a", "b"] * 30,
            "value": wave(60),
        },
        Roles((), ("value",), "sensor", "timestamp"),
    ),
    "korean": (
        {"일자": days(20) * 2, "지점": ["서울"] * 20 + ["부산"] * 20, "판매량": wave()},
        Roles((), ("판매량",), "지점", "일자"),
    ),
    "a column called as splits are, which are none": (
        {"일자": days(20) * 2, "구분": ["소매"] * 20 + ["도매"] * 20, "매출": wave()},
        Roles((), ("매출",), "구분", "일자"),
    ),
    "splits": (
        {"date": days(), "split": ["train"] * 30 + ["test"] * 10, "value": wave()},
        Roles((), ("value",), None, "date"),
    ),
    "years": (
        {"year": [str(1800 + n) for n in range(40)], "spots": wave()},
        Roles((), ("spots",), None, "year"),
    ),
    "days in figures": (
        {"day": [one.replace("-", "") for one in days()], "value": wave()},
        Roles((), ("value",), None, "day"),
    ),
    "a month of the year is no time": (
        {"date": days(), "month": [one[5:7] for one in days()], "value": wave()},
        Roles((), ("value",), None, "date"),
    ),
    "quarters": (
        {"quarter": [f"{2000 + n // 4}Q{n % 4 + 1}" for n in range(40)], "gdp": wave()},
        Roles((), ("gdp",), None, "quarter"),
    ),
    "names of months": (
        {"when": [f"{2000 + n // 2} {('Jan', 'Jul')[n % 2]}" for n in range(40)], "sold": wave()},
        Roles((), ("sold",), None, "when"),
    ),
    "seconds since 1970": (
        {"ts": [1_700_000_000 + 300 * n for n in range(40)], "cpu": wave()},
        Roles((), ("cpu",), None, "ts"),
    ),
    "no time": ({"value": wave()}, Roles((), ("value",), None, None)),
    "one symbol": (
        {"date": days(), "symbol": ["AAPL"] * 40, "close": wave()},
        Roles((), ("close",), None, "date"),
    ),
}


@pytest.mark.parametrize("name", GUESSED)
def test_roles_are_guessed_and_said(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table, roles = GUESSED[name]
    dataset = gathered(table, tmp_path)
    assert dataset.roles == roles
    assert dataset.num_rows == len(next(iter(table.values())))
    told = caplog.text
    assert roles.time is None or f"`{roles.time}` as the time" in told
    assert all(f"`{one}`" in told for one in roles.target[:3])
    assert roles.group is None or all(f"`{one}`" in told for one in roles.group.split(","))
    assert "--target" in told


def test_a_column_that_is_called_a_time_and_is_none_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    months = [f"{('Jan', 'Jul')[n % 2]}-{16 + n // 2}" for n in range(40)]
    assert gathered({"Month": months, "sold": wave()}, tmp_path).roles.time is None
    assert "for `Month` holds no times that can be read, such as 'Jan-16'" in caplog.text


def test_roles_that_are_given_are_taken_and_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = long() | {"rain": wave(90), "weather": ["sun", "rain", "fog"] * 30}
    given = {"time": "date", "group": "city", "target": "value", "input": "rain,weather"}
    dataset = gathered(table, tmp_path, **given)
    assert dataset.roles == Roles(("rain", "weather"), ("value",), "city", "date")
    assert not caplog.text
    read = series.read(dataset)
    assert [one.name for one in read.series] == ["Seoul", "Busan", "Jeju"]
    assert read.series[0].covariates["weather"].tolist()[:3] == ["sun", "rain", "fog"]


def test_a_group_of_columns_with_commas_in_their_names(tmp_path: Path) -> None:
    table = long()
    table = {"date": table["date"], "city, state": table["city"], "value": table["value"]}
    dataset = gathered(table, tmp_path)
    assert dataset.roles.group == '"city, state"'
    assert series.layout_of(dataset).group == ("city, state",)


def test_what_is_known_ahead_is_an_input(tmp_path: Path) -> None:
    table = daily(promo=[str(n % 2) for n in range(40)])
    table["value"][30:] = [None] * 10
    dataset = gathered(table, tmp_path, target="value", series={"known": "promo"})
    assert dataset.roles.input == ("promo",)
    assert dataset.num_rows == 40
    (one,) = series.read(dataset).series
    assert (len(one), one.ahead) == (30, 10)
    assert dataset.series is not None
    assert dataset.series["known"] == ["promo"]
    assert dataset.series["ahead"] == 10


APART: dict[str, tuple[dict[str, list[Any]], str]] = {
    "day and clock": (
        {
            "date": [*["2024-01-05"] * 24, *["2024-01-06"] * 24],
            "time": [f"{n % 24:02}:00:00" for n in range(48)],
            "value": wave(48),
        },
        "1h",
    ),
    "day and clock with blanks in their names": (
        {
            "Obs Date": [*["2024-01-05"] * 24, *["2024-01-06"] * 24],
            "Time of Day": [f"{n % 24:02}:00" for n in range(48)],
            "value": wave(48),
        },
        "1h",
    ),
    "year and month": (
        {
            "year": [str(2000 + n // 12) for n in range(48)],
            "month": [str(n % 12 + 1) for n in range(48)],
            "value": wave(48),
        },
        "M",
    ),
    "year, month and day": (
        {
            "Year": [int(one[:4]) for one in days(48)],
            "Month": [int(one[5:7]) for one in days(48)],
            "Day": [int(one[8:]) for one in days(48)],
            "value": wave(48),
        },
        "D",
    ),
    "year and quarter": (
        {
            "year": [1959 + n // 4 for n in range(48)],
            "quarter": [n % 4 + 1 for n in range(48)],
            "value": wave(48),
        },
        "Q",
    ),
    "year and week": (
        {
            "연도": [str(2020 + n // 24) for n in range(48)],
            "주차": [str(n % 24 + 1) for n in range(48)],
            "value": wave(48),
        },
        "W",
    ),
}


@pytest.mark.parametrize("name", APART)
def test_a_time_in_several_columns_is_one_by_the_query_that_is_told(
    name: str, tmp_path: Path
) -> None:
    table, step = APART[name]
    with pytest.raises(UsageError) as raised:
        gathered(table, tmp_path)
    hint = str(raised.value.hint)
    assert "--time stamp" in hint
    query = hint.partition('query="')[2].rpartition('"')[0].replace('\\"', '"')
    dataset = gathered(table, tmp_path, query=query, time="stamp", target="value")
    assert dataset.series is not None
    assert dataset.series["step"] == step
    assert len(series.read(dataset).series[0]) >= 48


def test_years_across_become_rows_by_the_query_that_is_told(tmp_path: Path) -> None:
    table = {"Country Name": ["Aruba", "Chad"]} | {
        str(1990 + n): [str(4 - n / 20), None if n == 3 else str(n)] for n in range(20)
    }
    with pytest.raises(UsageError, match="in the names of columns, `1990`, `1991`") as raised:
        gathered(table, tmp_path)
    query = str(raised.value.hint).partition('query="')[2].rpartition('"')[0].replace('\\"', '"')
    dataset = gathered(table, tmp_path, query=query, time="time", target="value")
    read = series.read(dataset)
    assert (read.step.to_text(), [one.name for one in read.series]) == ("Y", ["Aruba", "Chad"])


MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@pytest.mark.parametrize("form", [str, str.title, lambda name: f"{name.title()}."])
def test_months_across_become_rows_by_the_query_that_is_told(form: Any, tmp_path: Path) -> None:
    table: dict[str, list[Any]] = {"YEAR": [1950.0 + n for n in range(6)]} | {
        form(name): [20.0 + n + i / 12 for n in range(6)] for i, name in enumerate(MONTHS)
    }
    with pytest.raises(
        UsageError, match=r"stand in the names of columns, .* and 10 more"
    ) as raised:
        gathered(table, tmp_path)
    query = str(raised.value.hint).partition('query="')[2].rpartition('"')[0].replace('\\"', '"')
    read = series.read(gathered(table, tmp_path, query=query, time="time", target="value"))
    [one] = read.series
    assert (read.step.to_text(), len(one)) == ("M", 72)
    assert one.values[:3].tolist() == pytest.approx([20, 20 + 1 / 12, 20 + 2 / 12])
    # Eleven of them are series of a year each, and nobody knows better.
    del table[form("DEC")]
    assert len(gathered(table, tmp_path).roles.target) == 11


def test_a_month_with_two_digits_is_told_to_be_two_things(tmp_path: Path) -> None:
    days = [f"{name.title()}-{year}" for year in (23, 24) for name in MONTHS]
    table: dict[str, list[Any]] = {"date": days, "sold": wave(24)}
    with pytest.raises(
        UsageError, match=r"such as 'Jan-23', which may be a year or a day"
    ) as raised:
        gathered(table, tmp_path)
    query = str(raised.value.hint).partition('query="')[2].rpartition('"')[0].replace('\\"', '"')
    read = series.read(gathered(table, tmp_path, query=query, time="stamp", target="sold"))
    assert (read.step.to_text(), len(read.series[0])) == ("M", 24)


# ── what is kept, and what was found ───────────────────────────────────────────────────────────


def test_what_is_left_out_has_its_reason_and_number(tmp_path: Path) -> None:
    table = long(count=20)
    table["date"][4] = "Total"
    table["date"][7] = None
    table["city"][11] = " "
    dataset = gathered(table, tmp_path)
    assert {drop.reason: drop.rows for drop in dataset.dropped} == {
        "`date` holds no time": (5,),
        "`date` is missing": (8,),
        "`city` is missing": (12,),
    }
    assert dataset.rows_in == 60
    assert dataset.num_rows == 57
    assert dataset.row_numbers.tolist() == [n for n in range(1, 61) if n not in (5, 8, 12)]


def test_gaps_repeats_and_disorder_are_found(tmp_path: Path) -> None:
    table = repeated(without(daily(), 5, 6, 7, 20), 3)
    dataset = gathered(table, tmp_path)
    about = dataset.series
    assert about is not None
    assert about["step"].startswith("D")
    first = series.read(dataset).series[0].first
    assert about["gaps"] == [["", first + 4, 3], ["", first + 19, 1]]
    assert (about["count"], about["steps"], about["missing"]) == (1, 40, 4)
    assert about["repeated"] == 1
    assert about["unsorted"]
    told = "\n".join(series.told(dataset))
    assert "40 steps of 1 day" in told
    assert "steps between others without a value: 4" in told
    assert "rows that repeat an earlier one, which are read once: 1" in told


def test_rows_of_one_step_are_put_together_as_is_asked(tmp_path: Path) -> None:
    table = {"time": clock(48, "2024-01-05 00:00", 30), "value": [str(n) for n in range(48)]}
    for aggregate, first in (("mean", 0.5), ("sum", 1.0), ("last", 1.0)):
        settings = {"step": "1h", "aggregate": aggregate}
        dataset = gathered(table, tmp_path, series=settings)
        read = series.read(dataset)
        assert len(read.series[0]) == 24
        assert read.series[0].values[0] == first
        assert read.found.merged == 24
        assert dataset.num_rows == 48


def test_the_order_of_days_is_told_by_their_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read = {}
    for form in ("%d/%m/%Y", "%m/%d/%Y"):
        table = retimed({"date": days(12), "value": wave(12)}, form)
        dataset = gathered(table, tmp_path)
        assert dataset.series is not None
        assert "could be" in caplog.text  # all of them are 1 to 12 January, or the first of a month
        read[form] = dataset.series["order"], dataset.series["step"]
        caplog.clear()
        table = retimed({"date": days(40), "value": wave(40)}, form)
        assert series.layout_of(gathered(table, tmp_path)).step == series.layout_of(dataset).step
        assert "could be" not in caplog.text
        caplog.clear()
    assert [order for order, _ in read.values()] == ["dmy", "mdy"]


def test_clocks_of_a_zone(tmp_path: Path) -> None:
    table = without(hourly(30, "2024-03-30 12:00"), 15)
    dataset = gathered(table, tmp_path, series={"timezone": "Europe/Berlin"})
    assert dataset.series is not None
    assert dataset.series["zone"] == "Europe/Berlin"
    assert dataset.series["gaps"] == []
    plain = gathered(table, tmp_path)
    assert plain.series is not None
    assert [gap[2] for gap in plain.series["gaps"]] == [1]


# ── sources ────────────────────────────────────────────────────────────────────────────────────


def test_frames_of_pandas_bring_their_index(tmp_path: Path) -> None:
    index = pd.date_range("2024-01-01", periods=40, freq="D")
    frame = pd.DataFrame({"load": np.arange(40.0)}, index=index)
    one = gathered(frame, tmp_path)
    assert one.roles == Roles((), ("load",), None, "date")
    other = gathered(frame["load"].rename_axis("when"), tmp_path)
    assert other.roles == Roles((), ("load",), None, "when")
    months = pd.Series(np.arange(24.0), pd.period_range("2020-01", periods=24, freq="M"), name="x")
    third = gathered(months, tmp_path)
    assert third.series is not None
    assert third.series["step"].startswith("M")
    zoned = frame.tz_localize("Asia/Seoul")
    fourth = gathered(zoned, tmp_path)
    assert fourth.series is not None
    assert fourth.series["zone"] == "Asia/Seoul"
    numbered = gathered(frame.reset_index(names="day"), tmp_path)
    assert numbered.roles.time == "day"


NUMBERS = [float(n % 7) for n in range(40)]
HISTORIES: dict[str, Any] = {
    "a list": NUMBERS,
    "a tuple": tuple(NUMBERS),
    "an array": np.array(NUMBERS),
    "a generator": (one for one in NUMBERS),
    "a column of Arrow": pa.array(NUMBERS),
    "a column of pandas": pd.Series(NUMBERS),
    "texts": [str(one) for one in NUMBERS],
    "a dict": {"value": NUMBERS},
    "rows": [{"value": one} for one in NUMBERS],
    "a stream of rows": ({"value": one} for one in NUMBERS),
}


@pytest.mark.parametrize("given", HISTORIES.values(), ids=HISTORIES)
def test_numbers_alone_are_steps_in_their_order(
    given: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = gathered(given, tmp_path)
    assert dataset.roles == Roles((), ("value",), None, None)
    assert series.read(dataset).series[0].values.tolist() == NUMBERS
    assert "rows as steps in their order" in caplog.text
    assert any("steps are numbered" in line for line in series.told(dataset))


def test_numbers_are_called_what_is_forecast(tmp_path: Path) -> None:
    assert gathered(NUMBERS, tmp_path, target="price").roles.target == ("price",)


@pytest.mark.parametrize(
    "given",
    [
        {"time": days(), "target": NUMBERS},
        {"time": np.array(days(), "datetime64[D]"), "target": np.array(NUMBERS)},
        [{"time": day, "target": one} for day, one in zip(days(), NUMBERS, strict=True)],
        pd.DataFrame({"time": pd.to_datetime(days()), "target": NUMBERS}),
    ],
)
def test_histories_with_times_are_what_they_are_in_use(given: Any, tmp_path: Path) -> None:
    dataset = gathered(given, tmp_path)
    assert dataset.roles == Roles((), ("target",), None, "time")
    assert series.told(dataset) == ["1 series, 40 steps of 1 day"]


@pytest.mark.parametrize(
    "given",
    [
        [NUMBERS, NUMBERS[:30]],
        (np.array(NUMBERS), np.array(NUMBERS[:30])),
        [{"value": NUMBERS}, {"value": NUMBERS[:30]}],
        [pd.Series(NUMBERS), pd.Series(NUMBERS[:30])],
    ],
)
def test_several_histories_are_several_series(given: Any, tmp_path: Path) -> None:
    dataset = gathered(given, tmp_path)
    found = series.read(dataset).series
    assert [(one.name, len(one)) for one in found] == [("series 1", 40), ("series 2", 30)]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([1.0, 2.0, {"value": 3.0}], "numbers, and a dict among them"),
        ([{"a": [1, 2]}, {"b": [1, 2]}], "history 2 has the columns `b`, and history 1 `a`"),
        ([], "has no rows"),
    ],
)
def test_what_is_no_history_is_refused(given: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=told):
        gathered(given, tmp_path)


def test_typed_files_and_texts_become_the_same_series(tmp_path: Path) -> None:
    stamps = [datetime.datetime.fromisoformat(one) for one in days()]
    values = [None if n == 7 else n / 4 for n in range(40)]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"ds": pa.array(stamps, pa.timestamp("ns")), "y": values}), path)
    typed = gathered(path, tmp_path)
    pd.DataFrame({"ds": days(), "y": values}).to_csv(tmp_path / "a.csv", index=False)
    texts = gathered(tmp_path / "a.csv", tmp_path)
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"ds": d, "y": v}) + "\n" for d, v in zip(days(), values, strict=True))
    )
    lines = gathered(tmp_path / "a.jsonl", tmp_path)
    (one,), (two,), (three,) = (series.read(each).series for each in (typed, texts, lines))
    for other in (two, three):
        assert other.first == one.first
        assert np.array_equal(other.values, one.values, equal_nan=True)
    assert math.isnan(one.values[7])


def test_times_of_a_zone_that_nobody_knows(tmp_path: Path) -> None:
    stamps = pa.array(range(40), pa.int64()).cast(pa.timestamp("s", "Mars/Olympus"))
    with pytest.raises(InputError, match="Mars/Olympus"):
        gathered(pa.table({"ds": stamps, "y": list(range(40))}), tmp_path)


def test_covariates_that_never_change_are_told(tmp_path: Path) -> None:
    table = {**long(), "price": [9.9] * len(long()["date"]), "unit": ["kg"] * len(long()["date"])}
    dataset = gathered(table, tmp_path, input="price,unit")
    assert series.told(dataset)[-1] == (
        "covariates that never change, which are ignored: `price`, `unit`"
    )
    levels = [float(len(city)) for city in long()["city"]]
    other = gathered({**long(), "size": levels}, tmp_path, input="size")
    assert len(series.told(other)) == 1


def test_the_dataset_opens_again_with_all_that_was_found(tmp_path: Path) -> None:
    dataset = gathered(long(), tmp_path)
    again = Dataset.open(dataset.path)
    assert again.series == dataset.series
    assert series.layout_of(again) == series.read(again).layout
    assert series.read(again).layout.step == series.layout_of(dataset).step
    table = collect(daily(), tmp_path / "table", kind="table", target="value")
    with pytest.raises(InputError, match="no series"):
        series.read(table)


def test_wrong_settings_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    absent = tmp_path / "absent.csv"
    for settings, error in (
        ({"step": "7x"}, UsageError),
        ({"timezone": "Mars/Olympus"}, UsageError),
        ({"aggregate": "median"}, UsageError),
        ({"windows": 3}, UnknownNameError),
    ):
        with pytest.raises(error) as raised:
            collect(absent, tmp_path / "d", kind="series", series=settings)
        assert str(next(iter(settings.values()))) in str(raised.value) or "windows" in str(
            raised.value
        )


# ── the verb ───────────────────────────────────────────────────────────────────────────────────


def test_the_verb_tells_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = without(long(), 5, 6)
    path = tmp_path / "sales.csv"
    pd.DataFrame(table).to_csv(path, index=False)
    run = tmp_path / "run"
    command = ["collect", "time-series-forecasting", "--data", str(path), "--output", str(run)]
    assert cli.main(command) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(run)
    for line in (
        "collect: 88 rows = 88 kept + 0 dropped",
        "collect: 3 series, 90 steps of 1 day",
        "collect: steps between others without a value: 2",
        "collect: time: date",
        "collect: group: city",
        "collect: target: value",
    ):
        assert line in told.err
    assert cli.main(["collect", str(run), "--json", "-q"]) == 0
    answer = json.loads(capsys.readouterr().out)["dataset"]
    assert (answer["time"], answer["group"], answer["target"]) == ("date", "city", ["value"])
    assert answer["series"]["count"] == 3
