"""Labels: what kind they are, what they are called, and the numbers that stand for them.

`fit` is given the target columns of the training rows and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from silmu.errors import InputError, UnknownNameError, UsageError
from silmu.steps.prepare.numeric import PLAIN, fit_numbers, plain_numbers, read_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = ("single", "multiple", "ordered", "number")
SEPARATORS = (";", "|", ",")
FEW = 20
"""A numeric target of more different values than this is a number and not a label."""
MOST_LABELS = 1000
MOST_PARTS = 200
"""As many labels as a text with separators may be made of, if nobody says that it holds several."""
LEAST = 2
"""Examples of a label that the training split must hold."""


@final
@dataclass(frozen=True)
class Labels:
    """The labels of a training split.

    Attributes:
        kind: one of KINDS.
        names: of the labels, in the order of their numbers; none for numbers.
        columns: the target columns.
        form: how a row says what it is: `value`, `separated` (by `separator`), `list`, `columns`
            (a 0/1 column for each label), or `numbers` (several columns of numbers).
        counts: how many training rows have each label.
        mean: of the training rows' numbers; 0 for labels.
        deviation: of the same; 1 for labels.
        written: of columns of numbers, what stands before the decimals of texts, and their unit.
    """

    kind: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    form: str
    separator: str | None
    counts: tuple[int, ...]
    mean: float = 0.0
    deviation: float = 1.0
    written: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Labels:
        """The labels of what `to_dict` gave, there and back through JSON."""
        plain = dict(values)
        for name in ("names", "columns", "counts"):
            plain[name] = tuple(values[name])
        plain["written"] = tuple((one[0], one[1]) for one in values.get("written", ()))
        return cls(**plain)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        sequences = {"names": [*self.names], "columns": [*self.columns], "counts": [*self.counts]}
        return {**asdict(self), **sequences, "written": [[*one] for one in self.written]}

    def encode(self, table: pa.Table, numbers: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """The targets of rows: int64 (rows,), uint8 (rows, labels), float32 (rows,) or, of several
        columns of numbers, (rows, columns).

        Args:
            table: with the target columns.
            numbers: what to call the rows in an error; their places from 1, if not given.

        Raises:
            InputError: a label that the training split does not have, or what is no number.
        """
        if numbers is None:
            numbers = np.arange(1, table.num_rows + 1, dtype=np.int64)
        if self.form == "columns":
            flags = [_flags(table.column(name)) for name in self.columns]
            _refuse_missing(self.columns, flags, numbers)
            return np.stack(flags, axis=1).astype(np.uint8)
        if self.form == "numbers":
            several = [self._numbers(table, name) for name in self.columns]
            _refuse_missing(self.columns, several, numbers)
            return np.stack(several, axis=1).astype(np.float32)
        (name,) = self.columns
        column = _flat(table.column(name))
        if self.kind == "number":
            values = self._numbers(table, name)
            _refuse_missing([name], [values], numbers)
            return values.astype(np.float32)
        if self.kind != "multiple":
            texts = label_texts(column)
            found = pc.index_in(texts, value_set=pa.array(self.names, pa.string()))
            places = found.fill_null(-1).to_numpy().astype(np.int64)
            bad = np.flatnonzero(places < 0)
            self._refuse_unknown({str(texts[i]) for i in bad[:1000].tolist()}, numbers[bad])
            return places
        distinct, codes = _sets(column, self.form, self.separator)
        place = {label: i for i, label in enumerate(self.names)}
        rows = np.zeros((len(distinct), len(place)), np.uint8)
        unknown: set[str] = set()
        strange = np.zeros(len(distinct), bool)
        for i, labels in enumerate(distinct):
            for label in labels:
                if label in place:
                    rows[i, place[label]] = 1
                else:
                    unknown.add(label)
                    strange[i] = True
        if unknown:
            self._refuse_unknown(unknown, numbers[strange[codes]])
        return rows[codes]

    def _numbers(self, table: pa.Table, name: str) -> NDArray[np.float64]:
        how = dict(zip(self.columns, self.written, strict=False))
        return read_numbers(_flat(table.column(name)), name, how.get(name, PLAIN))

    def _refuse_unknown(self, unknown: set[str], numbers: NDArray[np.int64]) -> None:
        if len(numbers):
            raise InputError(
                f"{len(numbers):,} rows have labels that the training split does not have: "
                f"{_named(sorted(unknown))} (row {_named(map(str, numbers[:5].tolist()), '')})",
                hint="correct them if they are misspelt, leave these rows out with "
                "`--set query=...`, or collect more of them",
            )


def fit(
    table: pa.Table,
    columns: Sequence[str],
    kind: str = "auto",
    order: Sequence[str] | None = None,
) -> Labels:
    """The labels of the training rows.

    Args:
        table: the target columns of the training rows, and of no others.
        columns: their names.
        kind: one of KINDS, or `auto`: several columns of 0 and 1, lists, and texts made of a few
            parts with `;`, `|` or `,` between are `multiple`; numbers of more than 20 different
            values are `number`; all else is `single`. `names` is the same without `number`, and
            `numbers` is `number` for one column or several.
        order: the labels of `ordered` from first to last, where they are not numbers.

    Raises:
        InputError: too few labels, or too few examples of one.
        UsageError: the columns do not hold what is asked for.
    """
    if kind not in ("auto", "names", "numbers", *KINDS):
        raise UnknownNameError(f"labels is {kind!r}; it may be auto, {', '.join(KINDS)}")
    if not columns:
        raise UsageError("no target column is known", hint="name it: --target COLUMN")
    if len(columns) > 1:
        return _of_columns(table, columns, kind)
    (name,) = columns
    column = _flat(table.column(name))
    if column.null_count:
        raise InputError(f"{column.null_count:,} rows have no `{name}`")
    chosen = kind_of(table, columns, kind)
    if chosen == "number":
        return _of_numbers(column, name)
    if chosen == "multiple":
        return _of_sets(column, name)
    return _of_values(column, name, chosen, order)


def kind_of(table: pa.Table, columns: Sequence[str], kind: str) -> str:
    """One of KINDS: what `fit` makes of target columns."""
    if len(columns) > 1:
        return "number" if kind == "numbers" else "multiple"
    if kind in ("auto", "names"):
        found = _kind(_flat(table.column(columns[0])))
        return "single" if kind == "names" and found == "number" else found
    return "number" if kind == "numbers" else kind


def scarce(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the labels of a table are so rare that their rows are left out.

    None, where they are so many that the column hardly is one of labels, which `fit` then tells.

    Args:
        counts: (labels,) rows of each to learn from.
    """
    few = counts < LEAST
    is_of_labels = len(counts) <= MOST_LABELS and few.sum() <= max(FEW, len(counts) // 2)
    return few if is_of_labels and (~few).sum() > 1 else np.zeros(len(counts), bool)


def label_texts(column: Any) -> Any:
    """Labels as texts: 1 and 1.0 as `1`, truth as `true`, and texts without blanks around them.

    >>> label_texts(pa.array([1.0, 0.5])).to_pylist(), label_texts(pa.array([" p"])).to_pylist()
    (['1', '0.5'], ['p'])
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise UsageError(f"a target of the type {kind} cannot be a label")
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    texts = column.cast(pa.string())
    return pc.utf8_trim_whitespace(texts) if is_text else texts


def _of_values(column: Any, name: str, kind: str, order: Sequence[str] | None) -> Labels:
    counted = pc.value_counts(label_texts(column))
    counts = dict(
        zip(
            counted.field("values").to_pylist(),
            map(int, counted.field("counts").to_pylist()),
            strict=True,
        )
    )
    rare = sum(count < LEAST for count in counts.values())
    if len(counts) > MOST_LABELS or rare > max(FEW, len(counts) // 2):
        raise InputError(
            f"`{name}` has {len(counts):,} different values in {len(column):,} rows of the "
            f"training split, of which {rare:,} stand there once: that is too many for labels",
            hint="name the column of the labels with --target; numbers are told with "
            "labels=number, or of a table by tabular-regression",
        )
    names = _in_order(list(counts), name, order) if kind == "ordered" else by_value(counts)
    _refuse_few(name, names, [counts.get(label, 0) for label in names])
    return Labels(kind, tuple(names), (name,), "value", None, tuple(counts[n] for n in names))


def by_value(names: Sequence[str] | Mapping[str, int]) -> list[str]:
    """Label names sorted: by value if all are numbers, else as texts.

    >>> by_value(["10", "9", "-1"])
    ['-1', '9', '10']
    """
    try:
        return sorted(names, key=lambda name: (float(name), name))
    except ValueError:
        return sorted(names)


def _in_order(names: list[str], column: str, order: Sequence[str] | None) -> list[str]:
    if order is not None:
        given = [str(label).strip() for label in order]
        if lacking := sorted(set(names) - set(given)):
            raise UsageError(
                f"order names {_named(given)}, and `{column}` also holds {_named(lacking)}"
            )
        return given
    try:
        [float(name) for name in names]
    except ValueError:
        raise UsageError(
            f"the labels of `{column}` are to be ordered, and {_named(sorted(names))} do not say "
            "their order",
            hint="give it: order=bad,fair,good",
        ) from None
    return by_value(names)


def _of_sets(column: Any, name: str) -> Labels:
    is_list = _is_list(column.type)
    separator = None if is_list else _separator(column, sure=True)
    form = "list" if is_list else "separated"
    distinct, codes = _sets(column, form, separator)
    times = np.bincount(codes, minlength=len(distinct))
    counts: Counter[str] = Counter()
    for labels, count in zip(distinct, times.tolist(), strict=True):
        counts.update(dict.fromkeys(labels, count))
    names = by_value(counts)
    _refuse_few(name, names, [counts[label] for label in names])
    everywhere = [label for label in names if counts[label] == len(column)]
    _refuse_constant(everywhere)
    return Labels(
        "multiple", tuple(names), (name,), form, separator, tuple(counts[one] for one in names)
    )


def _of_columns(table: pa.Table, columns: Sequence[str], kind: str) -> Labels:
    if kind == "numbers":
        several = [_of_numbers(_flat(table.column(name)), name) for name in columns]
        written = tuple(one.written[0] for one in several)
        return Labels("number", (), tuple(columns), "numbers", None, (), written=written)
    if kind not in ("auto", "names", "multiple"):
        raise UsageError(f"labels={kind} takes one target column, and {len(columns)} are named")
    flags = [_flags(table.column(name)) for name in columns]
    _refuse_missing(columns, flags, np.arange(1, table.num_rows + 1, dtype=np.int64))
    counts = [int(one.sum()) for one in flags]
    _refuse_few("the target columns", list(columns), counts)
    _refuse_constant([n for n, count in zip(columns, counts, strict=True) if count == len(table)])
    return Labels("multiple", tuple(columns), tuple(columns), "columns", None, tuple(counts))


def _of_numbers(column: Any, name: str) -> Labels:
    mean, deviation, written = fit_numbers(column, name)
    return Labels("number", (), (name,), "value", None, (), mean, deviation, (written,))


def _kind(column: Any) -> str:
    """What `auto` means for a column."""
    if _is_list(column.type):
        return "multiple"
    values = plain_numbers(column)
    if values is not None:
        return "number" if len(np.unique(values)) > FEW else "single"
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return "multiple" if is_text and _separator(column, sure=False) else "single"


def _separator(column: Any, *, sure: bool) -> str | None:
    """The separator of texts that hold several labels; None if they hold one.

    A separator stands between parts that come again in other values: in "Paris, Texas" none does.
    """
    distinct: list[str] = label_texts(column.unique()).to_pylist()
    for separator in SEPARATORS:
        several = [value for value in distinct if separator in value]
        if not several:
            continue
        if sure:
            return separator
        used = Counter(part for value in distinct for part in set(_parts(value, separator)))
        parts = {part for value in several for part in _parts(value, separator)}
        again = sum(used[part] > 1 for part in parts)
        if len(used) <= MOST_PARTS and len(used) <= len(distinct) and 2 * again >= len(parts):
            return separator
    return None


def _parts(value: str, separator: str | None) -> list[str]:
    parts = [value] if separator is None else value.split(separator)
    return [part for one in parts if (part := one.strip())]


def _sets(
    column: Any, form: str, separator: str | None
) -> tuple[list[list[str]], NDArray[np.int64]]:
    """The different sets of labels that rows have, and which of them each row has."""
    if column.null_count:
        raise InputError(f"{column.null_count:,} rows have no label")
    if form == "list":
        rows = [_named_in(one.values) for one in column]
        place: dict[tuple[str, ...], int] = {}
        codes = np.array([place.setdefault(tuple(row), len(place)) for row in rows], np.int64)
        return [list(one) for one in place], codes
    encoded = label_texts(column).dictionary_encode()
    distinct = [_parts(value, separator) for value in encoded.dictionary.to_pylist()]
    return distinct, encoded.indices.to_numpy().astype(np.int64)


def _flags(column: Any) -> NDArray[np.float64]:
    """A column of 0 and 1, or of truth, as numbers; NaN where a value is missing."""
    column = _flat(column)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    values = plain_numbers(column)
    if values is None:
        lowered = pc.utf8_lower(label_texts(column))
        names = pa.array(["false", "true", "no", "yes"])
        found = pc.index_in(lowered, value_set=names).to_numpy(zero_copy_only=False)
        values = found.astype(np.float64) % 2
    if set(np.unique(values[np.isfinite(values)]).tolist()) - {0.0, 1.0}:
        raise UsageError(
            "several target columns are labels, and each must hold 0 and 1",
            hint="name one column with --target",
        )
    return values


def _named_in(several: Any) -> list[str]:
    """The labels of a list, without what is blank."""
    return [str(label) for label in label_texts(several) if str(label)]


def _refuse_missing(
    columns: Sequence[str], values: Sequence[NDArray[np.float64]], numbers: NDArray[np.int64]
) -> None:
    for name, one in zip(columns, values, strict=True):
        bad = np.flatnonzero(~np.isfinite(one))
        if len(bad):
            raise InputError(
                f"{len(bad):,} rows have a `{name}` that is missing or cannot be read "
                f"(row {_named(map(str, numbers[bad[:5]].tolist()), '')})",
                hint="leave these rows out with `--set query=...`",
            )


def _refuse_few(column: str, names: Sequence[str], counts: Sequence[int]) -> None:
    if len(names) < 2 and column != "the target columns":
        found = f"only the label {names[0]!r}" if names else "no label"
        raise InputError(
            f"`{column}` has {found} in the training split; there must be two or more",
            hint="name the column of the labels with --target",
        )
    few = [name for name, count in zip(names, counts, strict=True) if count < LEAST]
    if few:
        raise InputError(
            f"the training split has fewer than {LEAST} examples of {_named(few)}",
            hint="correct them if they are misspelt, leave these rows out with `--set query=...`, "
            "collect more of them, or take `--set split=stratified`",
        )


def _refuse_constant(names: Sequence[str]) -> None:
    if names:
        raise InputError(f"every row of the training split has the label {_named(names)}")


def _is_list(kind: Any) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _flat(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _named(names: Any, quote: str = "'") -> str:
    listed = list(names)
    shown = ", ".join(f"{quote}{name}{quote}" for name in listed[:5])
    return shown + (f" and {len(listed) - 5:,} more" if len(listed) > 5 else "")
