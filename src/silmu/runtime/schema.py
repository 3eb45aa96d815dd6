"""What a model was trained on, and whether what it is given looks like it: schema.json.

{"format": 1, "columns": [
  {"name": "review", "role": "input", "type": "text", "characters": [1, 812]},
  {"name": "label", "role": "target", "type": "text", "labels": ["negative", "positive"]}]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, final

from silmu.errors import InputError, InvalidModelError, MissingKeyError, UnsupportedModelError

if TYPE_CHECKING:
    from silmu.runtime.folder import Folder

FILE = "schema.json"
FORMAT = 1
TYPES = ("text", "number", "truth", "time", "list", "other")
ROLES = ("input", "target", "group", "time", "split", "other")

_TYPES = {
    "text": ("string", "large_string", "string_view", "varchar", "str"),
    "number": ("int", "uint", "float", "double", "decimal", "integer", "bigint", "hugeint"),
    "truth": ("bool", "boolean"),
    "time": ("date", "time", "timestamp", "datetime"),
    "list": ("list", "large_list", "fixed_size_list"),
}


def type_of(name: str) -> str:
    """One of TYPES, for the name that Arrow, DuckDB or Python gives to a type.

    >>> type_of("int64"), type_of("timestamp[us]"), type_of("large_string")
    ('number', 'time', 'text')
    """
    lowered = name.lower()
    if lowered.startswith("dictionary<values="):
        lowered = lowered.removeprefix("dictionary<values=").partition(",")[0]
    if lowered.endswith("[]"):  # as DuckDB writes a list
        return "list"
    # int64, timestamp[us], decimal128(5, 2), list<item: string>
    for bracket in "[(<":
        lowered = lowered.partition(bracket)[0]
    plain = lowered.rstrip("0123456789")
    return next((kind for kind, names in _TYPES.items() if plain in names), "other")


@final
@dataclass(frozen=True)
class Column:
    """One column that a model was trained on.

    Attributes:
        name: as in the source.
        role: one of ROLES.
        type: one of TYPES.
        labels: the labels that a target may have.
        characters: how short and how long the texts of an input were in training.
        written: of a target of numbers, what stands before the decimals of its texts, and their
            unit.
    """

    name: str
    role: str
    type: str
    labels: tuple[str, ...] = ()
    characters: tuple[int, int] | None = None
    written: tuple[str, str] = (".", "")

    def to_dict(self) -> dict[str, Any]:
        """As it stands in schema.json."""
        values: dict[str, Any] = {"name": self.name, "role": self.role, "type": self.type}
        if self.labels:
            values["labels"] = list(self.labels)
        if self.characters is not None:
            values["characters"] = list(self.characters)
        if self.written != (".", ""):
            values["written"] = list(self.written)
        return values


@final
@dataclass(frozen=True)
class Schema:
    """The columns that a model was trained on."""

    columns: tuple[Column, ...]

    @classmethod
    def open(cls, folder: Folder) -> Schema | None:
        """The schema of a model folder; None where it has none.

        Raises:
            InvalidModelError: schema.json is broken.
            UnsupportedModelError: it is of a newer silmu.
        """
        if not folder.has(FILE):
            return None
        values = folder.json(FILE)
        version = values.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise UnsupportedModelError(
                f"{FILE} of `{folder.name}` has format {version}; this silmu reads {FORMAT}",
                hint="pip install --upgrade silmu",
            )
        try:
            if version != FORMAT:
                raise ValueError(f"its format is {version!r}")
            return cls(tuple(_column(one) for one in values["columns"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidModelError(
                f"{FILE} of `{folder.name}` is not what silmu writes: {error!r}"
            ) from error

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The columns that are read."""
        return tuple(column for column in self.columns if column.role == "input")

    @property
    def targets(self) -> tuple[Column, ...]:
        """The columns that are told."""
        return tuple(column for column in self.columns if column.role == "target")

    def to_bytes(self) -> bytes:
        """What schema.json holds."""
        values = {"format": FORMAT, "columns": [column.to_dict() for column in self.columns]}
        return json.dumps(values, ensure_ascii=False, indent=1).encode() + b"\n"

    def check(self, types: Mapping[str, str], *, need_target: bool = False) -> list[str]:
        """Refuses a source that the model cannot read, and says what is odd about one that it can.

        Args:
            types: the columns of the source with the names of their types.
            need_target: whether the targets must be there too, to judge answers by.

        Returns:
            Sentences, each a warning.

        Raises:
            MissingKeyError: a column is not there.
            InputError: a column of texts holds none.
        """
        needed = (*self.inputs, *(self.targets if need_target else ()))
        if missing := [column.name for column in needed if column.name not in types]:
            have = ", ".join(f"`{name}`" for name in types) or "none"
            raise MissingKeyError(
                f"the source has no column {', '.join(f'`{name}`' for name in missing)}; "
                f"it has {have}",
                hint="the model was trained on it: rename a column, or name yours with --input",
            )
        for column in self.inputs:
            kind = type_of(types[column.name])
            if column.type == "text" and kind in ("list", "other", "time", "truth"):
                raise InputError(
                    f"`{column.name}` holds {types[column.name]}, and the model reads texts",
                    hint="name the column of the texts with --input",
                )
        return [
            f"`{column.name}` was {column.type} in training, and is {kind} ({types[column.name]})"
            for column in needed
            if (kind := type_of(types[column.name])) != column.type
        ]

    def unseen(self, labels: Iterable[str]) -> list[str]:
        """Which of some labels the model cannot give, sorted; each answer to them is wrong."""
        known = {label for column in self.targets for label in column.labels}
        return sorted(set(labels) - known) if known else []

    def odd(self, row: Mapping[str, object]) -> list[str]:
        """What is odd about one row that the model can read: texts far longer than in training.

        Raises:
            MissingKeyError: an input is not there.
            InputError: an input is not a text.
        """
        found: list[str] = []
        for column in self.inputs:
            if column.name not in row:
                raise MissingKeyError(f"a row has no `{column.name}`; it has {', '.join(row)}")
            value = row[column.name]
            if column.type == "text" and not isinstance(value, str):
                raise InputError(
                    f"`{column.name}` must be a text, and this is a {type(value).__name__}"
                )
            longest = column.characters[1] if column.characters else None
            if longest is not None and isinstance(value, str) and len(value) > 2 * longest:
                found.append(
                    f"`{column.name}` has {len(value):,} characters; the longest text of the "
                    f"training had {longest:,}"
                )
        return found


def _column(values: Any) -> Column:
    given = cast("dict[str, Any]", values)
    labels, span = given.get("labels", []), given.get("characters")
    decimal, unit = given.get("written", (".", ""))
    column = Column(
        given["name"],
        given["role"],
        given["type"],
        tuple(labels),
        None if span is None else (int(span[0]), int(span[1])),
        (decimal, unit),
    )
    sound = isinstance(cast("object", column.name), str) and all(
        isinstance(label, str) for label in cast("list[object]", [*labels, unit])
    )
    sound = sound and decimal in (".", ",")
    if not sound or column.role not in ROLES or column.type not in TYPES:
        raise ValueError(f"the column {given!r:.200}")
    return column
