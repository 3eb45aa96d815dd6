"""What a model for tables is asked: rows, from a file, from stdin, or as JSON objects."""

from __future__ import annotations

import csv
import logging
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

from silmu.cli import _cells, _rows, _scoring
from silmu.cli._asked import Asked, Pairs, lines_of_stdin, parsed
from silmu.errors import InputError, UsageError
from silmu.runtime import row_files

if TYPE_CHECKING:
    from silmu.cli._rows import Block, Row, Source

Columns = Mapping[str, list[Any]]
SHOWN = 4
"""How many columns of a row are named where one is no row."""


@final
class Table(Asked):
    """The rows of a table, whose columns are found by their names.

    Args:
        pipe: the pipeline.
        settings: what it is asked; `odd` tells also what becomes of a column that is not there.
        name: what --input names.

    Raises:
        UsageError: --input names something.
    """

    def __init__(self, pipe: Any, settings: Mapping[str, Any], name: str | None) -> None:
        super().__init__(pipe, settings)
        if name is not None:
            raise UsageError(
                f"--input names `{name}`; the columns of a table are found by their names",
                hint="leave --input out",
            )
        self.reads = tuple(one.name for one in pipe.table.read)
        odd = settings.get("odd")
        self._fills = odd == "impute"
        # Of many rows those that are odd are told by their flags; none is computed twice.
        self._refuses = odd == "error"
        if self._refuses:
            self.settings["odd"] = "flag"

    def judged(self, found: Any) -> Any:
        """An answer, or what was odd about its row, where odd rows are refused."""
        flags = _cells.flags_of(found) if self._refuses else []
        return InputError("; ".join(flags)) if flags else found

    def expect(self, source: Source) -> None:
        """Refuses a source without all columns of the training."""
        names = source.names(_scoring.TABLE_GROUP)
        if names:
            self._expect(names, f"`{source.name}`")

    def _expect(self, names: Sequence[str], what: str) -> None:
        lacking = self._lacking(names)
        if not lacking:
            return
        kind = "column" if len(lacking) == 1 else "columns"
        told = f"{what} has no {kind} {_named(lacking)}, which the model was trained on"
        if self._fills and len(lacking) < len(self.reads):
            logging.getLogger("silmu").warning("%s: taken for missing in every row", told)
            return
        raise UsageError(
            f"{told}; it has {_named(names)}",
            hint="name the columns as in the training; --set odd=impute takes one that is not "
            "there for missing",
        )

    def _lacking(self, names: Container[str]) -> list[str]:
        return [name for name in self.reads if name not in names]

    def rows_at_once(self, columns: int) -> int:
        """Fewer of a wide table."""
        return max(1, min(_scoring.TABLE_GROUP, _scoring.TABLE_CELLS // max(columns, 1)))

    def given(self, block: Block) -> Columns:
        """The cells of some rows, by column."""
        return {name: block.values(name) for name in self.reads}

    def alone(self, given: Columns) -> Iterable[Columns]:
        """The first, for none is refused."""
        return ({name: values[:1] for name, values in given.items()},)

    def answered(self, given: Columns, settings: Mapping[str, Any]) -> list[Any]:
        """All at once."""
        return [self.judged(found) for found in self.pipe(given, **settings)]

    def of_block(self, block: Block) -> Pairs:
        """Rows by the names of their columns."""
        for row in block.rows():
            yield _shown(row), {name: row.get(name) for name in self.reads}

    def of_texts(self, texts: Sequence[str]) -> Pairs:
        """JSON objects; stdin holds one a line, or a CSV."""
        for text in texts:
            yield from self._of_stdin() if text == "-" else (self._row(text),)

    def _row(self, text: str) -> tuple[Any, Any]:
        given = parsed(text, self.reads[:SHOWN])
        return (None, given) if isinstance(given, InputError) else self._whole(given)

    def _whole(self, row: Row) -> tuple[Any, Any]:
        if not self._fills and (lacking := self._lacking(row)):
            return None, InputError(
                f"there is no {_named(lacking)}; there is {_named(row) or 'nothing'}",
                hint="the model was trained on it; give null where nothing is known, or "
                "--set odd=impute, which takes it for missing",
            )
        return _shown(row), row

    def _of_stdin(self) -> Pairs:
        lines = lines_of_stdin()
        for line in lines:
            if isinstance(line, InputError):
                yield None, line
            elif line.lstrip().startswith("{"):
                yield self._row(line)
                for more in lines:
                    if isinstance(more, InputError):
                        yield None, more
                    elif more.strip():
                        yield self._row(more)
            elif line.strip():
                yield from self._of_csv(line, lines)

    def _of_csv(self, header: str, lines: Iterator[str | InputError]) -> Pairs:
        """Rows under their header, as they come."""
        wrong: InputError | None = None

        def texts() -> Iterator[str]:
            nonlocal wrong
            for line in lines:
                if isinstance(line, InputError):
                    wrong = line
                yield "" if isinstance(line, InputError) else line

        # A name may hold a comma: what parts a header is what its names come of.
        headers = {
            mark: row_files.named(next(csv.reader([header.rstrip("\r\n")], delimiter=mark)))
            for mark in f",{_rows.OTHERS}"
        }
        mark = max(headers, key=lambda one: len({*headers[one]} & {*self.reads}))
        names = headers[mark]
        if len({*names}) < len(names):
            raise UsageError(f"stdin has two columns of the same name: {', '.join(names)}")
        self._expect(names, "stdin")
        csv.field_size_limit(2**31 - 1)
        table = csv.reader(texts(), delimiter=mark, strict=True)
        while True:
            try:
                cells = next(table, None)
            except csv.Error as error:
                yield None, InputError(f"line {table.line_num + 1} of stdin: {error}")
                continue
            if wrong is not None:
                yield None, wrong
                wrong = None
            elif cells is None:
                return
            elif cells and len(cells) != len(names):
                yield (
                    None,
                    InputError(
                        f"line {table.line_num + 1} of stdin has {len(cells)} cells, and the first "
                        f"line names {len(names)} columns"
                    ),
                )
            elif cells:
                row = dict(zip(names, cells, strict=True))
                yield _shown(row), row


def _shown(row: Row) -> str:
    return ", ".join(f"{name}={'' if row[name] is None else row[name]}" for name in row)


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
