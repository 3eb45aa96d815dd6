"""An answer of any task as JSON, as a line for a person, and as cells of a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

WIDTH = 60
"""How many characters of an input are shown beside its answer."""


def as_json(value: Any) -> str:
    """One line of JSON; arrays become nested lists.

    >>> as_json({"label": "좋음", "score": 0.5})
    '{"label": "좋음", "score": 0.5}'
    """
    return json.dumps(value, ensure_ascii=False, default=plain)


def plain(value: Any) -> Any:
    """A value that JSON has no word for, in one that it has: arrays as lists, dates as texts.

    >>> import datetime
    >>> plain(datetime.date(2024, 2, 29))
    '2024-02-29'
    """
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def as_line(answer: Any, given: Any) -> str:
    """What a person reads: the answer, and beside it the beginning of what was asked.

    >>> as_line([{"label": "POSITIVE", "score": 0.9998}], "I love this")
    'POSITIVE 0.9998  I love this'
    >>> as_line([{"entity_group": "PER", "score": 0.99, "word": "Kim"}], "It was Kim.")
    'PER (Kim) 0.9900  It was Kim.'
    >>> as_line({"prediction": 21.4, "low": 18.0, "high": 25.1}, "cyl=4, hp=88")
    '21.4 (18 to 25.1)  cyl=4, hp=88'
    """
    if answer == []:
        return f"(nothing)  {_beginning(given)}"
    records = _records(answer)
    if records is None and isinstance(answer, list):
        parts = [_records(part) for part in cast("list[Any]", answer)]
        if None not in parts:
            told = " / ".join(", ".join(map(_told, part or ())) for part in parts)
            return f"{told}  {_beginning(given)}"
    if records is None:
        return f"{_shape(answer)}  {_beginning(given)}"
    told = [_told(record) for record in records]
    if all("score" in record or "prediction" in record for record in records):
        return f"{', '.join(told)}  {_beginning(given)}"
    return "\n".join(told)


def as_cells(answer: Any) -> dict[str, Any]:
    """`prediction`, a plain value if there is one, and `score`, None where there is none.

    >>> as_cells([{"label": "POSITIVE", "score": 0.9998}])
    {'prediction': 'POSITIVE', 'score': 0.9998}
    """
    records = _records(answer)
    if records is not None and isinstance(answer, Mapping):
        records = records[:1]  # the likeliest label of several
    if records is None or len(records) != 1:
        return {"prediction": answer, "score": None}
    rest = dict(records[0])
    score = rest.pop("score", None)
    return {"prediction": next(iter(rest.values())) if len(rest) == 1 else rest, "score": score}


def as_list(answer: Any) -> dict[str, Any]:
    """Cells of an answer that is a list of things found, even if it is one, or none.

    >>> as_list([])
    {'prediction': [], 'score': None}
    """
    records = _records(answer)
    return {"prediction": answer if records is None else records, "score": None}


def _records(answer: Any) -> list[Mapping[str, Any]] | None:
    """The answer as a list of dicts; None if it is something else, such as vectors."""
    several = cast("Mapping[str, Any]", answer if isinstance(answer, Mapping) else {})
    if "labels" in several and "scores" in several:
        pairs = zip(several["labels"], several["scores"], strict=True)
        return [{"label": label, "score": score} for label, score in pairs]
    records = cast("list[Any]", answer if isinstance(answer, list) else [answer])
    return records if records and all(isinstance(record, Mapping) for record in records) else None


def _told(record: Mapping[str, Any]) -> str:
    if "prediction" in record:
        return _number(*(record.get(name) for name in ("prediction", "low", "high")))
    texts = [value for value in record.values() if isinstance(value, str)]
    value = texts[0] if texts else as_json({k: v for k, v in record.items() if k != "score"})
    if "word" in record:
        value = f"{value} ({record['word']})"
    score = record.get("score")
    return value if score is None else f"{_one_line(value) or '(no answer)'} {score:.4f}"


def _number(value: Any, low: Any, high: Any) -> str:
    """A number and its interval, or those of several targets."""
    if isinstance(value, Mapping):
        ends = cast("list[Mapping[str, float] | None]", [value, low, high])
        names = list(cast("Mapping[str, float]", value))
        told = [_number(*(one and one[name] for one in ends)) for name in names]
        return ", ".join(f"{name} {number}" for name, number in zip(names, told, strict=True))
    return f"{value:.6g}" if low is None else f"{value:.6g} ({low:.6g} to {high:.6g})"


def _beginning(given: Any) -> str:
    """The first words of an input; of one with several fields, those of its first field."""
    if isinstance(given, Mapping):
        given = next(iter(cast("Mapping[str, Any]", given).values()), "")
    text = _one_line(str(given))
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _shape(answer: Any) -> str:
    sizes: list[str] = []
    while isinstance(answer, list):
        sizes.append(str(len(cast("list[Any]", answer))))
        answer = cast("list[Any]", answer)[0] if answer else None
    return f"{' by '.join(sizes)} numbers"
