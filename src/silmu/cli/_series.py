"""What a model for series is asked: a whole file, stdin, or JSON; and the steps it then tells."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain, islice
from typing import Any, cast, final

from silmu.cli import _rows, _scoring
from silmu.cli._asked import Asked, Pairs, lines_of_stdin
from silmu.cli._rows import Block, Listed, Row, Source
from silmu.errors import InputError, UsageError
from silmu.runtime import row_files

SERIES, TIME = "series", "time"
"""The columns that tell which series and which step a row of a forecast is of."""

_READ_AT_ONCE = 8192


@final
class Series(Asked):
    """Histories: each file is one, of as many series as it names.

    Args:
        pipe: the pipeline.
        settings: what it is asked; `future` may name a file of what is known ahead.
        columns: what --time, --target and --group name.
        name: what --input names.

    Raises:
        UsageError: --input names something.
    """

    tells_json = True

    def __init__(
        self,
        pipe: Any,
        settings: Mapping[str, Any],
        columns: Mapping[str, str | None],
        name: str | None,
    ) -> None:
        super().__init__(pipe, settings)
        if name is not None:
            raise UsageError(
                f"--input names `{name}`; the covariates of a series are found by their names",
                hint="leave --input out",
            )
        self.settings.update({k: v for k, v in columns.items() if v is not None})
        if isinstance(future := self.settings.get("future"), str):
            with closing(_rows.open_source(future)) as source:
                self.settings["future"] = _columns(source)

    def of_texts(self, texts: Sequence[str]) -> Pairs:
        """JSON arrays and objects, each a history; stdin holds those, or one table."""
        for text in texts:
            for given in _of_stdin() if text == "-" else (_parsed(text),):
                yield from self._each(given)

    def of_source(self, source: Source) -> Pairs:
        """The series of a file, each answered already."""
        return self._each(_columns(source))

    def turned(self, source: Source) -> Source:
        """The steps after the ends of a file's series, to be answered in their order."""
        return _Steps(source, self.pipe(_columns(source), **self.settings))

    def expect(self, source: Source) -> None:
        """What a history lacks, the pipeline has refused."""

    def of_block(self, block: Block) -> Pairs:
        """None: a block is no history."""
        raise NotImplementedError

    def rows_at_once(self, columns: int) -> int:
        """Steps, which are forecast already."""
        del columns
        return _scoring.TABLE_GROUP

    def given(self, block: Block) -> list[Any]:
        """What is told of steps."""
        return cast("_Forecast", block).told

    def alone(self, given: Any) -> Iterable[Any]:
        """None: nothing is computed any more."""
        return ()

    def answered(self, given: Any, settings: Mapping[str, Any]) -> list[Any]:
        """What is told already."""
        return given

    def _each(self, given: Any) -> Pairs:
        """The forecast of each series of a history."""
        if isinstance(given, InputError):
            yield None, given
            return
        try:
            found = self.pipe(given, **self.settings)
        except InputError as error:
            yield None, error
            return
        for one in _each_series(found):
            yield None, one


@final
class _Forecast(Listed):
    """Some steps of forecasts."""

    def __init__(self, steps: list[tuple[Row, dict[str, float]]]) -> None:
        super().__init__([row for row, _ in steps])
        self.told = [told for _, told in steps]


@final
class _Steps(Source):
    """The steps that were forecast, as rows: `series`, where there are several, and `time`."""

    def __init__(self, source: Source, found: Any) -> None:
        answers = _each_series(found)
        self.name, self.folder = source.name, source.folder
        # A spreadsheet that separates by semicolons reads no commas.
        self.delimiter = ";" if source.delimiter == ";" else None
        self.marked = source.marked
        self.columns = [TIME] if isinstance(found, dict) else [SERIES, TIME]
        self._source = source
        self._steps = [step for answer in answers for step in _steps(answer, self.columns)]

    def first(self) -> Row | None:
        return self._steps[0][0] if self._steps else None

    def blocks(self, size: int) -> Iterator[Block]:
        steps = iter(self._steps)
        while some := list(islice(steps, size)):
            yield _Forecast(some)

    def share(self) -> float | None:
        return self._source.share()

    def has_changed(self) -> bool:
        return self._source.has_changed()


def _each_series(found: Any) -> list[dict[str, Any]]:
    """The answers that a history has: one, or one for each series."""
    return cast("list[dict[str, Any]]", found if isinstance(found, list) else [found])


def _steps(
    answer: Mapping[str, Any], columns: Sequence[str]
) -> Iterator[tuple[Row, dict[str, float]]]:
    told = {"mean": answer["mean"], **answer["quantiles"]}
    for i, time in enumerate(answer[TIME]):
        row = {SERIES: answer.get(SERIES), TIME: str(time)}
        yield (
            {column: row[column] for column in columns},
            {name: values[i] for name, values in told.items()},
        )


def _columns(source: Source) -> dict[str, list[Any]]:
    """All rows of a source, by column."""
    if source.columns is None:
        rows = [row for block in source.blocks(_READ_AT_ONCE) for row in block.rows()]
        names = list(dict.fromkeys(name for row in rows for name in row))
        return {name: [row.get(name) for row in rows] for name in names}
    found: dict[str, list[Any]] = {name: [] for name in source.columns}
    for block in source.blocks(_READ_AT_ONCE):
        for name, cells in found.items():
            cells += block.values(name)
    return found


def _of_stdin() -> Iterator[Any]:
    """The histories that stdin holds: JSON, one a line; else one, as rows of JSON or of CSV."""
    lines = lines_of_stdin()
    first = next((line for line in lines if isinstance(line, InputError) or line.strip()), None)
    if first is None or isinstance(first, InputError):
        yield first or InputError("stdin is empty", hint="give rows, or a list of numbers")
        return
    whole = chain([first], lines)
    if not first.lstrip().startswith(("[", "{")):
        yield _table(whole)
        return
    given = [one if isinstance(one, InputError) else _parsed(one) for one in whole if _is_some(one)]
    are_rows = all(isinstance(one, dict) and not _is_columns(cast("Any", one)) for one in given)
    yield from [given] if are_rows else given


def _table(lines: Iterable[str | InputError]) -> Any:
    """A CSV whose first line names the columns, or a number in each line."""
    texts: list[str] = []
    for line in lines:
        if isinstance(line, InputError):
            return line
        texts.append(line)
    while not texts[-1].strip():  # what is empty between others is a step without a value
        texts.pop()
    if _is_number(texts[0]):
        return [text.strip() for text in texts]
    marks = f",{_rows.OTHERS}"
    mark = max(marks, key=texts[0].count)
    csv.field_size_limit(2**31 - 1)
    table = csv.reader(texts, delimiter=mark, strict=True)
    columns: dict[str, list[str]] = {}
    try:
        names = row_files.named(next(table))
        if len({*names}) < len(names):
            return InputError(f"stdin has two columns of the same name: {', '.join(names)}")
        columns = {name: [] for name in names}
        for cells in table:
            if not cells:
                if len(names) > 1:
                    continue
                cells = [""]
            if len(cells) != len(names):
                return InputError(
                    f"line {table.line_num} of stdin has {len(cells)} cells, and the first line "
                    f"names {len(names)} columns"
                )
            for name, cell in zip(names, cells, strict=True):
                columns[name].append(cell)
    except csv.Error as error:
        return InputError(f"line {table.line_num} of stdin: {error}")
    return columns


def _parsed(text: str) -> Any:
    try:
        given: Any = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if isinstance(given, list | dict):
        return cast("Any", given)
    return InputError(
        f"`{text.strip():.40}` is neither a JSON array nor a JSON object",
        hint='a history is [21.3, 22.0, ...], or {"time": [...], "price": [...]}; a file goes to '
        "--data",
    )


def _is_some(line: str | InputError) -> bool:
    return isinstance(line, InputError) or bool(line.strip())


def _is_columns(given: Mapping[str, Any]) -> bool:
    return any(isinstance(value, list) for value in given.values())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
