"""What stands in the cells of a table: numbers, levels of a category, words.

Cells come from files, databases, data frames and programs, so one value has many forms: 3, 3.0,
"3" and " 3 " are one number; None, NaN, NA and "" are none. Training and serving read them here,
and times in `silmu.runtime.times`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MISSING = frozenset(
    ("", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "nil", "?", "-", ".")
)
"""What says in a column of numbers or times, in any case, that there is none."""

NULLS = MISSING - {"nil", "?", "-", "."}
"""What programs that read files take for none in any column; the rest may be a level."""

LARGEST = 1e100
"""Larger numbers are as large as that: squares of them must be numbers."""

MOST_OF_UNIT = 8
"""Letters that a unit has at most."""

_QUICK = {float, int, bool, str, np.float64}
"""Types whose numbers numpy reads as they are read here."""
_GROUPS = {
    ".": re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?"),
    ",": re.compile(r"[+-]?[1-9]\d{0,2}(?:[. \u00a0\u202f]\d{3})+(?:,\d*)?"),
}
"""Numbers with marks between thousands, by what stands before their decimals."""
_MARKS = {".": str.maketrans("", "", ","), ",": str.maketrans(",", ".", ". \u00a0\u202f")}
_WITH_COMMA = re.compile(r"[+-]?(?:\d+,\d*|,\d+)")
_WHOLE = re.compile(r"([+-]?(?:0|[1-9]\d*))\.0+")
_CURRENCIES = frozenset(("USD", "US$", "EUR", "GBP", "JPY", "CNY", "RMB", "KRW", "CHF", "R$"))
_LONGEST_NULL = 16
"""Letters of what says that there is nothing, with some that are not seen."""
_UNSEEN = "\ufeff\u200b\u200c\u200d\u2060"
_WORD = re.compile(r"[^\W_]+")
_WITHOUT_BLANKS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def is_missing(value: Any) -> bool:
    """Whether a cell is empty, as files, programs and data frames say it."""
    if value is None:
        return True
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _LONGEST_NULL:
            return False
        return text.lower() in NULLS or (not text.isascii() and _visible(text).lower() in NULLS)
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, float | np.generic):
        # Of numbers and times alike, what is none differs from itself.
        return bool(value != value)
    # Of pandas, which is not imported for it.
    return type(value).__name__ in ("NAType", "NaTType")


def numbers(
    values: Sequence[Any] | NDArray[Any], decimal: str = ".", unit: str = ""
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cells as numbers; NaN where there is none, and which of these hold something else.

    >>> found, bad = numbers(["1,200", " 3.5", "n/a", "many", None, True])
    >>> found.tolist(), bad.tolist()
    ([1200.0, 3.5, nan, nan, nan, 1.0], [False, False, False, True, False, False])
    >>> numbers(["1.200,5 €", "12"], ",", "€")[0].tolist()
    [1200.5, 12.0]

    Args:
        values: texts, or what programs hold; a length of time, or a time of day, is its seconds.
        decimal: what stands before the decimals of texts, "." or ","; the other one, or with ","
            a blank, may stand between thousands.
        unit: what may stand before or behind the digits of texts, such as "%" or "$".
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufb":
        return _bounded(values.astype(np.float64))
    plain: list[Any] = [math.nan if value is None else value for value in values]
    if decimal == "." and not unit and (types := {*map(type, plain)}) <= _QUICK:
        try:
            found = np.array(plain, np.float64)
        except (ValueError, OverflowError):
            pass
        else:
            texts = [value for value in plain if isinstance(value, str)] if str in types else []
            if not any("_" in text for text in texts):
                return _bounded(found)
    pairs = [_number(value, decimal, unit) for value in plain]
    found = np.array([number for number, _ in pairs], np.float64)
    return np.clip(found, -LARGEST, LARGEST), np.array([bad for _, bad in pairs], bool)


def writing(texts: Sequence[str]) -> tuple[str, str]:
    """How the numbers of a column are written: what stands before decimals, and their unit.

    >>> writing(["$1,200", "$85.50", "n/a"]), writing(["3,14", "2,5"]), writing(["12 %", "9%"])
    (('.', '$'), (',', ''), ('.', '%'))
    """
    units = Counter(unit_of(text) for text in texts)
    common = next((unit for unit, _ in units.most_common(2) if unit), "")
    forms = [(decimal, unit) for unit in dict.fromkeys(("", common)) for decimal in (".", ",")]
    return min(forms, key=lambda form: int(numbers(texts, *form)[1].sum()))


def unit_of(text: str) -> str:
    """What stands with the digits of a text, if it is a currency or stands behind them.

    >>> unit_of("-$ 1,200"), unit_of("12kg"), unit_of("1,200"), unit_of("A12")
    ('$', 'kg', '', '')
    """
    bare = _visible(text).lstrip("+-").strip()
    places = [i for i, letter in enumerate(bare) if letter.isdigit()]
    if not places:
        return ""
    before, after = bare[: places[0]].strip(" .,+-"), bare[places[-1] + 1 :].strip(" .,")
    if before:
        is_money = before in _CURRENCIES or {*map(unicodedata.category, before)} == {"Sc"}
        return before if is_money and not after else ""
    return after if len(after) <= MOST_OF_UNIT else ""


def level(value: Any) -> str | None:
    """A cell as a level of a category; None where it is empty.

    >>> level(" red "), level(3.0), level("3.0"), level(True), level("NaN")
    ('red', '3', '3', 'true', None)
    """
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if is_missing(value):
        return None
    if isinstance(value, float | np.floating | Decimal):
        number = float(cast("Any", value))
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    text = unicodedata.normalize("NFC", _visible(str(value)))
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def words(text: Any) -> list[str]:
    """The words of a text, of scripts without blanks between words also their pairs of characters.

    >>> words("Mr. Owen Harris"), words("좋은 영화")
    (['mr', 'owen', 'harris'], ['좋은', '영화'])
    """
    if is_missing(text):
        return []
    found: list[str] = _WORD.findall(unicodedata.normalize("NFC", str(text)).lower())
    pairs = [
        word[i : i + 2]
        for word in found
        if len(word) > 2 and _WITHOUT_BLANKS.search(word)
        for i in range(len(word) - 1)
    ]
    return found + pairs


def word_weights(
    words: Iterable[str], place_of: Mapping[str, int], weights: NDArray[np.floating[Any]]
) -> dict[int, float]:
    """The weight of each known word of a text, so that their squares add up to 1."""
    counts: dict[int, int] = {}
    for word in words:
        place = place_of.get(word)
        if place is not None:
            counts[place] = counts.get(place, 0) + 1
    if not counts:
        return {}
    places = np.fromiter(counts, np.int64)
    found = (1 + np.log(np.fromiter(counts.values(), np.float64))) * weights[places]
    found /= np.sqrt((found**2).sum())
    return dict(zip(places.tolist(), found.tolist(), strict=True))


def _visible(text: str) -> str:
    return text.strip().strip(_UNSEEN).strip()


def _bounded(found: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    endless = np.isinf(found)
    return np.clip(np.where(endless, math.nan, found), -LARGEST, LARGEST), endless


def _number(value: Any, decimal: str, unit: str) -> tuple[float, bool]:
    """A number, or NaN and whether something else stands there."""
    if isinstance(value, str):
        text = _visible(value)
        if text.lower() in MISSING:
            return math.nan, False
        number = _read(_without(text, unit) if unit else text, decimal)
    elif is_missing(value):
        return math.nan, False
    elif isinstance(value, timedelta):
        number = value.total_seconds()
    elif isinstance(value, time):
        number = 3600 * value.hour + 60 * value.minute + value.second + value.microsecond / 1e6
    elif isinstance(value, np.timedelta64):
        number = float(value / np.timedelta64(1, "s"))
    elif isinstance(value, np.ndarray | np.datetime64 | bytes):
        return math.nan, True
    else:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return math.nan, True
    return (math.nan, True) if math.isinf(number) else (number, False)


def _read(text: str, decimal: str) -> float:
    """The number that a text is; infinity, if it is none."""
    if _GROUPS[decimal].fullmatch(text) or (decimal == "," and _WITH_COMMA.fullmatch(text)):
        text = text.translate(_MARKS[decimal])
    try:
        return math.inf if "_" in text else float(text)
    except ValueError:
        return math.inf


def _without(text: str, unit: str) -> str:
    """A text without its unit, if it has that."""
    sign = text[0] if text[0] in "+-" else ""
    rest = text[len(sign) :].strip()
    bare = rest.removeprefix(unit)
    return sign + (bare if bare != rest else rest.removesuffix(unit)).strip()
