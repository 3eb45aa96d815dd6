"""Which columns are the time, the series, what is forecast and what goes with it.

As they are given, or guessed: the time by type, name and contents; the series by what tells rows of
one time apart; the target by its name, as the only number, or all columns of a table that holds
nothing but numbers.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from silmu.errors import UsageError
from silmu.runtime import cells
from silmu.steps.collect import roles
from silmu.steps.collect import series_across as across
from silmu.steps.collect.dataset import Roles
from silmu.steps.collect.names import join
from silmu.steps.collect.roles import Wanted
from silmu.steps.collect.series_across import quoted
from silmu.steps.collect.series_columns import (
    PARTS,
    TIMES,
    Columns,
    Pairs,
    folded,
    has_clock,
    is_time_text,
    known_in,
    listed,
)

logger = logging.getLogger("silmu")

GROUPS = (
    "unique id", "series", "series id", "item id", "id", "group", "symbol", "ticker", "name",
    "item", "product", "sku", "store", "shop", "station", "sensor", "site", "device", "meter",
    "customer", "city", "region", "country", "state", "source", "variable", "code",
    "종목", "종목명", "종목코드", "지점", "지점명", "지역", "도시", "매장", "점포", "상품", "품목",
    "제품", "센서", "측정소", "측정소명", "구분",
)  # fmt: skip
TARGETS = (
    "y", "target", "value", "values", "close", "adj close", "sales", "demand", "quantity", "units",
    "consumption", "load", "orders", "revenue", "amount", "price", "observation",
    "측정값", "관측값", "값", "종가", "판매량", "매출", "매출액", "수요", "수요량", "사용량",
    "발전량", "생산량", "가격",
)  # fmt: skip
_ROW_NUMBERS = ("", "index", "unnamed: 0", "column 1", "row", "no", "번호", "순번")
_MONTHS, _DAYS = ("month", "mon", "월"), ("day", "dayofmonth", "day of month", "일")
_LETTERS = {
    "Q": ("quarter", "qtr", "q", "분기"),
    "W": ("week", "isoweek", "iso week", "weekofyear", "week of year", "주차", "주"),
}
"""Parts of a year, by what comes before their number in a text."""
_MONTH_AND_DIGITS = re.compile(r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)-\d\d")
_GROUP_NAME = re.compile(r"(?i:^id|[_ ]id|code|코드|번호|[_ ]no)$|[a-z]I[dD]$")
_MOST_COLUMNS = 3
"""That tell series apart together, if they are guessed."""
_FEW, _LEFT = 0.05, 0.1
"""The share of rows, and of those that repeat a time, that may do so within a series by fault."""
_MANY, _MOST_FAULTS = 0.1, 0.3
"""From which share of rows that repeat a time on there are several series, surely if so many."""
_MOST_TRIED = 12
_ROWS_OF_SERIES = 2.0
_SHOWN = 4


def settle(table: pa.Table, wanted: Wanted, known: Sequence[str] = ()) -> Roles:
    """The roles of the columns, those that are not given guessed from all rows.

    Args:
        table: all rows.
        wanted: the roles as they are given.
        known: covariates that are known ahead, which are inputs also if no input is named.

    Raises:
        UnknownNameError: a column that is named is not there; the nearest is named.
        UsageError: a role cannot be guessed, or a column has two roles.
    """
    names = [str(name) for name in table.schema.names]
    targets = roles.given(wanted.target, "target", names)
    inputs = roles.given(wanted.input, "input", names)
    inputs += tuple(one for one in roles.given(known, "known", names) if one not in inputs)
    group = roles.given(wanted.group, "group", names)
    if wanted.time is not None and wanted.time not in names:
        roles.unknown("time", wanted.time, names)
    looked = Columns(table)
    told: list[str] = []
    time = wanted.time
    if time is not None and looked.has_passed(time):
        raise UsageError(f"{_passed(looked, time)}, and no times", hint=_as_times(time))
    if time is None:
        taken = {*targets, *inputs, *group}
        time = _guess_time(looked, [name for name in names if name not in taken])
        if time is None:
            told.append(f"rows as steps in their order, for {_no_times(looked, names)}")
        else:
            told.append(f"`{time}` as the time")
    _refuse_no_header(looked, time)
    if not targets:
        across.refuse_months(looked)
        if time is None:
            across.refuse_times(looked)
    free = [name for name in names if name not in {time, *targets, *inputs, *group}]
    free = [name for name in free if not _tells_splits(looked, name)]
    named = known_in(TARGETS, [name for name in free if looked.is_number(name)])
    if not group:
        apart = [name for name in free if targets or name not in named[:1]]
        group = _guess_group(looked, time, apart)
        if group:
            group = tuple(sorted(group, key=names.index))
            told.append(f"{listed(group)} as what tells series apart")
        free = [name for name in free if name not in group]
    if not targets:
        targets = tuple(named[:1]) or _guess_target(looked, free)
        told.append(f"{_some(targets)} as what is forecast")
    _check_apart(targets=targets, inputs=inputs, group=group, time=(time,) if time else ())
    for name in targets:
        if not looked.may_be_number(name):
            raise UsageError(
                f"`{name}` holds {looked.type(name)}, not numbers",
                hint=f"name a column of numbers: --target; there are {listed(names)}",
            )
    if told:
        logger.warning(
            "reading %s; give --time, --group and --target to change that", ", ".join(told)
        )
    return Roles(inputs, targets, join(group) if group else None, time, None)


def _tells_splits(looked: Columns, name: str) -> bool:
    """Whether a column says which rows are train and test, which the times say here."""
    values = {str(value).strip().casefold() for value in looked.some(name)}
    return folded(name) in roles.SPLIT_NAMES and values <= roles.SPLIT_VALUES


def _guess_time(looked: Columns, free: Sequence[str]) -> str | None:
    typed = [name for name in free if looked.is_typed_time(name)]
    if len(typed) == 1:
        return typed[0]
    found = typed or [name for name in free if looked.is_time(name)]
    named = known_in(TIMES, found)
    if not named and len(found) > 1:
        raise UsageError(
            f"several columns hold times: {listed(found)}", hint="name the one to go by: --time"
        )
    chosen = (named or found or [None])[0]
    if chosen is None:
        _refuse_unreadable(looked, free)
        return None
    codes = looked.codes(chosen)
    if len(np.unique(codes)) < len(codes):
        _refuse_parts(looked, chosen, [name for name in looked.names if name != chosen])
    return chosen


def _refuse_parts(looked: Columns, chosen: str, others: Sequence[str]) -> None:
    """Tells how a day and its clock, or a year and its month, become one column."""
    clocks = [name for name in others if looked.is_clock(name)]
    if clocks and not has_clock(looked.some(chosen)):
        what = f"the day stands in `{chosen}` and the time of day in `{clocks[0]}`"
        made = f"concat_ws(' ', {quoted(chosen)}, {quoted(clocks[0])})"
    elif looked.is_number(chosen) and (months := known_in(_MONTHS, others)):
        days = known_in(_DAYS, others)
        parts = [chosen, months[0], *days[:1]]
        what = f"the time stands in several columns, {listed(parts)}"
        told = [f"CAST({quoted(name)} AS INT)" for name in parts]
        made = f"make_date({', '.join([*told, '1'][:3])})"
    elif looked.is_number(chosen) and (parts := _lettered(chosen, others)):
        letter, part = parts
        what = f"the time stands in several columns, {listed([chosen, part])}"
        told = [f"CAST({quoted(name)} AS INT)" for name in (chosen, part)]
        made = f"concat({told[0]}, '-{letter}', {told[1]})"
    else:
        return
    raise UsageError(
        what,
        hint=f'make one column of them: --time stamp --set query="SELECT *, {made} AS stamp '
        f'FROM data"',
    )


def _lettered(chosen: str, others: Sequence[str]) -> tuple[str, str] | None:
    """The column that counts the quarters or weeks of a year, after the letter of them."""
    found = ((letter, known_in(names, others)) for letter, names in _LETTERS.items())
    return next(((letter, columns[0]) for letter, columns in found if columns), None)


def _refuse_unreadable(looked: Columns, free: Sequence[str]) -> None:
    """Nothing is guessed where a column is called a time and cannot be read as one."""
    for name in known_in(TIMES, free):
        if folded(name) not in ("ds", "date", "datetime", "timestamp", "날짜", "일자", "일시"):
            continue
        some = looked.some(name)
        if not some:
            raise UsageError(f"`{name}` is empty", hint="name the column of times: --time")
        odd = looked.no_times(name)
        if len(odd) < len(some):
            raise UsageError(
                f"{len(odd) / len(some):.0%} of the cells of `{name}` hold no times, such as "
                f"{odd[0]!r}",
                hint=f"`--time {name}` leaves these rows out; or write times as 2026-01-31",
            )
        if all(_MONTH_AND_DIGITS.fullmatch(str(one).strip()) for one in odd):
            raise UsageError(
                f"`{name}` holds months with two digits, such as {some[0]!r}, which may be a year "
                "or a day",
                hint='if they are years: --time stamp --set query="SELECT * EXCLUDE '
                f"({quoted(name)}), strptime({quoted(name)}, '%b-%y') AS stamp FROM data\"",
            )
        raise UsageError(
            f"`{name}` holds no times that can be read, such as {some[0]!r}",
            hint="write times as 2026-01-31 or 2026-01-31 13:05, or name their column: --time",
        )


def _refuse_no_header(looked: Columns, time: str | None) -> None:
    """Nothing is read where the first row has values for names."""
    if time is None or not is_time_text(time):
        return
    found = cells.numbers(looked.names)[0]
    if not np.isnan(found).all():
        raise UsageError(
            f"the first row holds values, {listed(looked.names[:_SHOWN])}, and no names of columns",
            hint="write names above it, such as date,value",
        )


def _no_times(looked: Columns, names: Sequence[str]) -> str:
    """Why no column is taken for the time."""
    for name in known_in(TIMES, names):
        if looked.has_passed(name):
            return f"{_passed(looked, name)}, and no times ({_as_times(name)})"
    for name in known_in(TIMES, [name for name in names if not looked.is_number(name)]):
        if some := looked.some(name):
            return f"`{name}` holds no times that can be read, such as {some[0]!r:.40}"
    return "no column holds times"


def _passed(looked: Columns, name: str) -> str:
    first, *_, last = looked.some(name)
    return f"`{name}` holds numbers from {first} to {last} that tell what has passed"


def _as_times(name: str) -> str:
    """How seconds that have passed become times."""
    made = f"make_timestamp(CAST(round(CAST({quoted(name)} AS DOUBLE) * 1e6) AS BIGINT))"
    return (
        "if they are seconds, make times of them, which begin in 1970: --time stamp --set "
        f'query="SELECT * EXCLUDE ({quoted(name)}), {made} AS stamp FROM data"'
    )


def _guess_group(looked: Columns, time: str | None, free: Sequence[str]) -> tuple[str, ...]:
    """The fewest columns by which rows of one time are told apart."""
    candidates = _candidates(looked, free)
    named = [one for one in candidates if _is_named(one)]
    if time is None:
        return tuple(one for one in named[:1] if not looked.is_number(one))
    if not looked.is_time(time) and not looked.is_number(time):
        return ()  # of which reading tells the rows
    whole = Pairs(looked, time)
    repeats = whole.repeats()
    if not repeats:
        # Clocks of sensors that never tick together.
        split_up = [one for one in named if 1 < whole.series([one]) <= 0.1 * looked.rows]
        return tuple(one for one in split_up[:1] if not looked.is_number(one))
    # A column that happens to differ where a few times stand twice tells no series apart.
    sets = _sets(candidates if repeats >= _MANY * looked.rows else named)
    sets = [one for one in sets if whole.series(one) * _ROWS_OF_SERIES <= looked.rows]
    left = {one: whole.repeats(one) for one in sets}
    best = min(left, key=lambda one: left[one], default=())
    if best and (not left[best] or left[best] <= min(_LEFT * repeats, _FEW * looked.rows)):
        return best
    if repeats < _MOST_FAULTS * looked.rows:
        return ()
    one, other = whole.first
    raise UsageError(
        f"`{time}` has the same time in several rows, as in rows {one:,} and {other:,}, and no "
        "column tells their series apart",
        hint=f"name the columns that do: --group; there are {listed(looked.names)}. If they are "
        f'one series, make one row of a time: --set query="SELECT {time}, sum(...) FROM data GROUP '
        f'BY {time}"',
    )


def _candidates(looked: Columns, free: Sequence[str]) -> list[str]:
    """Columns that may tell series apart, the likeliest first."""
    texts = [
        name
        for name in free
        if not looked.is_number(name)
        and not looked.is_time(name)
        and not pa.types.is_nested(looked.type(name))
    ]
    codes = [
        name
        for name in free
        if looked.is_number(name)
        and _is_named(name)
        and not pa.types.is_floating(looked.type(name))
    ]
    both = [*texts, *codes]
    named = known_in(GROUPS, both)
    return [*named, *(name for name in both if name not in named)]


def _is_named(name: str) -> bool:
    """Whether a column is called as what tells series apart is."""
    return folded(name) in GROUPS or _GROUP_NAME.search(name) is not None


def _sets(candidates: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """One column after another, then two and three together."""
    yield from ((name,) for name in candidates)
    for size in range(2, _MOST_COLUMNS + 1):
        yield from itertools.combinations(candidates[:_MOST_TRIED], size)


def _guess_target(looked: Columns, free: Sequence[str]) -> tuple[str, ...]:
    rest = [name for name in free if folded(name) not in _ROW_NUMBERS]
    numbers = [
        name
        for name in rest
        if looked.is_number(name) and folded(name) not in PARTS and not _is_named(name)
    ]
    others = [name for name in rest if not looked.is_number(name) and looked.some(name)]
    if len(numbers) == 1 or (numbers and not others):
        return tuple(numbers)
    if numbers:
        told = "it cannot be told which column is to be forecast"
    else:
        told = "no column holds numbers that could be forecast"
        if half := next((found for name in others if (found := looked.no_numbers(name))), None):
            told += f"; `{half[0]}` has {half[1]!r:.40} among them"
    raise UsageError(
        told,
        hint=f"name it, or several with commas between: --target; there are {listed(looked.names)}"
        + ("" if numbers else "; if these are no names, delete the lines above them"),
    )


def _check_apart(**given: Sequence[str]) -> None:
    spoken = {"targets": "forecast", "inputs": "an input", "group": "the group", "time": "the time"}
    for (role, names), (other, others) in itertools.combinations(given.items(), 2):
        if both := {*names} & {*others}:
            raise UsageError(f"`{both.pop()}` cannot be both {spoken[role]} and {spoken[other]}")


def _some(names: Sequence[str]) -> str:
    """The first of them, if they are many."""
    more = len(names) - _SHOWN
    return listed(names) if more < 2 else f"{listed(names[:_SHOWN])} and {more:,} more"
