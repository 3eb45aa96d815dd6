"""Series in the files that people have: dates, numbers, rows and columns in many hands."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from silmu.errors import UsageError
from silmu.runtime.series.calendar import written
from silmu.runtime.series.frame import Read
from silmu.steps.collect import collect, series
from silmu.steps.collect.checks import check
from silmu.steps.collect.dataset import Dataset

DAYS = [datetime.date(2023, 1, 1) + datetime.timedelta(n) for n in range(60)]
WEEKS = [datetime.date(2021, 1, 4) + datetime.timedelta(weeks=n) for n in range(60)]
HOURS = [datetime.datetime(2024, 1, 1, 1) + datetime.timedelta(hours=n) for n in range(72)]
VALUES = [round(100 + 20 * math.sin(2 * math.pi * n / 7) + n / 10, 1) for n in range(60)]
ZERO = datetime.date(1899, 12, 30)


def halves(hour: datetime.datetime) -> str:
    half = "오전" if hour.hour < 12 else "오후"
    return f"{hour:%Y-%m-%d} {half} {hour.hour % 12 or 12}:00"


def of_stations(hour: datetime.datetime) -> str:
    """Midnight is the last hour of a day."""
    before = hour - datetime.timedelta(hours=1)
    return f"{before:%Y-%m-%d} {before.hour + 1:02}:00"


def dated(name: str, write: Callable[[Any], Any], times: list[Any] = DAYS) -> str:
    rows = [f"{write(one)},{VALUES[n % 60]}" for n, one in enumerate(times)]
    return "\n".join([f"{name},value", *rows, ""])


FORMS = {
    "Korean": (dated("날짜", lambda d: f"{d.year}년 {d.month}월 {d.day}일"), "D"),
    "dots": (dated("일자", lambda d: f"{d.year}. {d.month}. {d.day}."), "D"),
    "weekdays": (dated("날짜", lambda d: f"{d}({'월화수목금토일'[d.weekday()]})"), "D"),
    "years of two digits": (dated("date", lambda d: f"{d:%y/%m/%d}"), "D"),
    "weekdays of a spreadsheet": (
        dated(
            "날짜",
            lambda d: f"{d.year}년 {d.month}월 {d.day}일 {'월화수목금토일'[d.weekday()]}요일",
        ),
        "D",
    ),
    "months by name": (dated("DATE", lambda d: f"{d:%b}-{d.day}-{d.year}"), "D"),
    "as mails have it": (dated("date", lambda d: f"{d:%a %d %b %Y}"), "D"),
    "hours in digits": (dated("tm", lambda h: f"{h:%Y%m%d%H}", HOURS), "1h"),
    "minutes in digits": (dated("tm", lambda h: f"{h:%Y%m%d%H%M}", HOURS), "1h"),
    "Korean hours": (
        dated("일시", lambda h: f"{h:%m/%d/%Y} {h.hour}시", HOURS),
        "1h",
    ),
    "days first": (dated("date", lambda d: f"{d:%d/%m/%Y}"), "D"),
    "months first": (dated("date", lambda d: f"{d:%m/%d/%Y}"), "D"),
    "days of a spreadsheet": (dated("date", lambda d: (d - ZERO).days), "D"),
    "weeks of ISO": (dated("week", lambda d: f"{d:%G-W%V}", WEEKS), "W"),
    "Korean weeks": (dated("주차", lambda d: f"{d:%G}년 {int(f'{d:%V}')}주차", WEEKS), "W"),
    "halves of a day": (dated("일시", halves, HOURS), "1h"),
    "an hour 24": (dated("time", of_stations, HOURS), "1h"),
    "a clock of the zone": (dated("timestamp", lambda h: f"{h.isoformat()}+09:00", HOURS), "1h"),
}
STARTS = {"D": "2023-01-01", "W": "2021-01-04", "1h": "2024-01-01T01:00:00"}


def gathered(text: str, tmp_path: Path, encoding: str = "utf-8", **options: Any) -> Dataset:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding)
    return collect(path, tmp_path / "dataset", kind="series", **options)


def first(read: Read) -> str:
    return written(read.step, read.layout.zone, np.array([read.series[0].first]))[0]


@pytest.mark.parametrize("name", FORMS)
def test_times_are_read_as_they_are_written(name: str, tmp_path: Path) -> None:
    text, step = FORMS[name]
    read = series.read(gathered(text, tmp_path))
    assert read.step.to_text() == step
    assert first(read).removesuffix("+09:00") == STARTS[step]
    assert [len(one) for one in read.series] == [text.count("\n") - 1]
    assert read.series[0].values[:5].tolist() == VALUES[:5]
    assert read.found.irregular == 0


@pytest.mark.parametrize("encoding", ["cp949", "utf-16", "utf-8-sig"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    dataset = gathered(FORMS["Korean"][0].replace("value", "판매량"), tmp_path, encoding)
    assert (dataset.roles.time, dataset.roles.target) == ("날짜", ("판매량",))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("write", "order"), [("%d/%m/%Y", "dmy"), ("%m/%d/%Y", "mdy")])
def test_ambiguous_months_are_told_by_their_order_in_time(
    write: str, order: str, backwards: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    firsts = [datetime.date(2018 + n // 12, n % 12 + 1, 5) for n in range(48)]
    text = dated("date", lambda d: f"{d:{write}}", firsts[::-1] if backwards else firsts)
    read = series.read(gathered(text, tmp_path))
    assert (read.layout.order, read.step.to_text()) == (order, "M@5")
    assert "to be sure" in caplog.text


def test_months_as_numbers_with_a_dot(tmp_path: Path) -> None:
    months = [f"{2018 + n // 12}.{n % 12 + 1:02}" for n in range(60)]
    read = series.read(gathered(dated("월", str, months), tmp_path))
    assert (read.step.to_text(), first(read), len(read.series[0])) == ("M", "2018-01-01", 60)


@pytest.mark.parametrize(
    ("cell", "value"),
    [("{:,.0f}", 12345.0), ("{:.1f} kg", 12345.0), ("${:,.2f}", 12345.0), ("{:,.0f}원", 12345.0)],
)
def test_numbers_are_read_as_they_are_written(cell: str, value: float, tmp_path: Path) -> None:
    rows = [f'{day},"{cell.format(12345 + n)}"' for n, day in enumerate(DAYS)]
    read = series.read(gathered("\n".join(["date,sales", *rows, ""]), tmp_path))
    assert read.series[0].values[:2].tolist() == [value, value + 1]


def test_empty_rows_and_totals_are_left_out(tmp_path: Path) -> None:
    rows = dated("date", str).splitlines()
    with_blanks = [part for n, row in enumerate(rows) for part in ([",", row] if n % 9 else [row])]
    dataset = gathered("\n".join([*with_blanks, "Total,7020", ""]), tmp_path)
    assert {drop.reason: drop.count for drop in dataset.dropped} == {
        "the row is empty": 54,
        "`date` holds no time": 1,
    }
    assert len(series.read(dataset).series[0]) == 60
    assert {one.severity for one in check(dataset, kind="series")} == {"note"}


def subtotals() -> str:
    rows = dated("date", str).splitlines()
    return "\n".join(
        part for n, row in enumerate(rows) for part in ([row, "소계,1"][: 1 + (n % 6 == 1)])
    )


REFUSED = {
    "no names": (dated("date", str).partition("\n")[2], "the first row holds values, `2023-01-01`"),
    "subtotals": (subtotals(), "of the cells of `date` hold no times, such as '소계'"),
    "losses in brackets": (
        "date,profit\n"
        + "".join(f"{d},{'(3.5)' if n % 5 else '3.5'}\n" for n, d in enumerate(DAYS[::-1])),
        "no column holds numbers that could be forecast",
    ),
    "losses among gains": (
        "date,profit\n"
        + "".join(f"{d},{'3.5' if n % 5 else '(3.5)'}\n" for n, d in enumerate(DAYS)),
        r"`profit` has '\(3.5\)' among them",
    ),
    "a title": ("Monthly report\n\n" + dated("date", str), "delete the lines above them"),
    "days without a year": (dated("date", lambda d: f"{d:%m-%d}"), "such as '01-01'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_told_is_refused_and_shown(name: str, tmp_path: Path) -> None:
    text, told = REFUSED[name]
    with pytest.raises(UsageError, match=told):
        gathered(text, tmp_path)
    if name == "subtotals":
        assert len(series.read(gathered(text, tmp_path, time="date")).series[0]) == 60


def test_times_across_become_rows_by_the_query_that_is_told(tmp_path: Path) -> None:
    names = [f"{2022 + n // 12}-{n % 12 + 1:02}" for n in range(24)]
    rows = [",".join([shop, *(str(n) for n in range(24))]) for shop in ("A", "B")]
    text = "\n".join([",".join(["the shop", *names]), *rows, ""])
    with pytest.raises(UsageError, match="in the names of columns, `2022-01`, `2022-02`") as told:
        gathered(text, tmp_path)
    assert told.value.hint is not None
    query = told.value.hint.partition('query="')[2][:-1].replace('\\"', '"')
    dataset = gathered(text, tmp_path, query=query, time="time", target="value")
    read = series.read(dataset)
    assert [(one.name, len(one)) for one in read.series] == [("A", 24), ("B", 24)]
    assert read.step.to_text() == "M"
