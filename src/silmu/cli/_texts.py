"""What a model for texts is asked: texts, or objects of several fields."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

from silmu.cli import _rows, _scoring
from silmu.cli._asked import Asked, Pairs, lines_of_stdin, parsed
from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
    from silmu.cli._rows import Block, Row, Source


@final
class Texts(Asked):
    """Texts, or the objects of a task with several inputs.

    Args:
        pipe: the pipeline.
        settings: what it is asked beside the inputs.
        fields: the names of its inputs where each is an object.
        name: the column that --input names.

    Raises:
        UsageError: a column is named for a task that reads several.
    """

    def __init__(
        self, pipe: Any, settings: Mapping[str, Any], fields: tuple[str, ...], name: str | None
    ) -> None:
        super().__init__(pipe, settings)
        if fields and name is not None:
            raise UsageError(f"--input names one column; this task reads {' and '.join(fields)}")
        self._fields = self._keys = fields
        self._name = name

    def of_texts(self, texts: Sequence[str]) -> Pairs:
        """Each text is shown as it is."""
        for text in texts:
            if text != "-":
                given = parsed(text, self._fields) if self._fields else text
                yield given, given
                continue
            for line in lines_of_stdin():
                if isinstance(line, InputError):
                    yield None, line
                    continue
                text = line.rstrip("\r\n")
                is_object = self._fields and text.strip()
                given = _not_empty(parsed(text, self._fields) if is_object else text)
                yield given, given

    def expect(self, source: Source) -> None:
        """The column that is named, that of the training, or the only one of text."""
        first = source.first()
        self.reads = self._fields
        if first is None:
            self.reads = self._fields or ("",)  # of no rows, nothing is asked
        elif not self._fields:
            self.reads = tuple(_columns(self.pipe, source, first, self._name))
            self._keys = ("text", "text_pair") if len(self.reads) > 1 else ()
        else:
            for field in self._fields:
                _rows.choose_column(source.name, first, field)

    def of_block(self, block: Block) -> Pairs:
        """Each text is shown as it is."""
        return ((one, one) for one in self.given(block))

    def rows_at_once(self, columns: int) -> int:
        """Fewer of a task that takes long."""
        del columns
        is_slow = hasattr(self.pipe, "generation_config")
        return _scoring.SLOW_GROUP if is_slow else _scoring.GROUP

    def given(self, block: Block) -> list[Any]:
        """A list of texts, or of objects."""
        values = [block.values(column) for column in self.reads]
        if not self._keys:
            return [_not_empty(value) for value in values[0]]
        return [dict(zip(self._keys, row, strict=True)) for row in zip(*values, strict=True)]

    def alone(self, given: list[Any]) -> Iterable[Any]:
        """Each in a list."""
        return ([one] for one in given)

    def answered(self, given: list[Any], settings: Mapping[str, Any]) -> list[Any]:
        """Those that can be answered are, whatever else is among them."""
        return _scoring.answered(self.pipe, given, settings)


def _columns(pipe: Any, source: Source, first: Row, name: str | None) -> list[str]:
    """The column that is answered, or the two of a task on pairs of texts."""
    from silmu.runtime.processor import Processor

    trained = Processor.open(pipe.model.folder)
    names = [name] if name is None or name in first else name.split(",")
    if name is None and trained is not None:
        names = list(trained.inputs)
        if missing := [column for column in names if column not in first]:
            raise UsageError(
                f"the model was trained on the column `{missing[0]}`, which `{source.name}` has "
                f"not; it has {', '.join(f'`{column}`' for column in first)}",
                hint="name the column that holds the same: --input COLUMN",
            )
    columns = [_rows.choose_column(source.name, first, column) for column in names]
    if len(columns) > (most := 2 if trained is None else len(trained.inputs)):
        raise UsageError(f"--input names {' and '.join(columns)}; the model reads {most} at most")
    _check_schema(pipe, source, first, columns)
    return columns


def _check_schema(pipe: Any, source: Source, first: Row, columns: list[str]) -> None:
    """Compares the columns with those of the training, where the model folder knows them."""
    from silmu.runtime.schema import Schema

    schema = Schema.open(pipe.model.folder)
    if schema is None:
        return
    types: dict[str, str] = {}
    for one, column in zip(schema.inputs, columns, strict=False):
        if source.schema is not None:
            types[one.name] = str(source.schema.field(column).type)
        else:
            value = first[column]
            types[one.name] = "str" if value is None else type(value).__name__
    for warning in schema.check(types):
        logging.getLogger("silmu").warning("%s", warning)


def _not_empty(given: Any) -> Any:
    # An empty cell is something that is missing, and a label for it would be made up.
    if given is None or given == "" or (isinstance(given, str) and given.isspace()):
        return InputError("the text is empty")
    return given
