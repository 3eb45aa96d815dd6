"""How a report words names, numbers and texts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

LABEL = 48
"""So many characters of a label or a column's name are shown,"""

LABEL_OF_SEVERAL = 24
"""and of each of several labels."""

TEXT = 700
"""So many characters of an example are shown,"""

LINES = 12
"""and so many lines."""

NAMES = {
    "top_5_accuracy": "top-5 accuracy",
    "f1_macro": "macro F1",
    "f1_micro": "micro F1",
    "roc_auc": "AUC",
    "expected_calibration_error": "calibration error",
    "quadratic_kappa": "quadratic kappa",
    "hamming_loss": "Hamming loss",
    "r2": "R\u00b2",
    "mean_absolute_scaled_error": "MASE",
    "symmetric_mean_absolute_percentage_error": "sMAPE",
    "crps": "CRPS",
}

MEASURED = {
    "(script)": "writing system",
    "(size)": "shorter side in pixels",
    "(shape)": "shape",
    "(brightness)": "brightness",
    "(colour)": "colour",
    "(format)": "file format",
}
"""What was measured of rows, and is told like a column."""

# Letters that are not seen but change what is: controls, marks of direction, the invisible ones,
# halves of pairs. A line's end and a tab are left.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff0-\uffff\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """A text in which what is not seen is, as its number.

    >>> visible("user\u202egnp")
    'user⟨U+202E⟩gnp'
    """
    return _UNSEEN.sub(lambda found: f"\u27e8U+{ord(found[0]):04X}\u27e9", text)


def shortened(text: object, length: int = LABEL) -> str:
    """A text that is no longer than `length`, with an ellipsis where it was.

    >>> shortened("disappointment", 8)
    'disappo…'
    """
    # Blanks and line ends in a name would only move what stands beside it.
    whole = " ".join(visible(str(text)[: 4 * length]).split()) or "(empty)"
    return whole if len(whole) <= length else whole[: length - 1] + "\u2026"


def figure(value: float | None) -> str:
    """A number as reports write it: three decimals, and fewer of large ones.

    >>> figure(0.81432), figure(15320.25)
    ('0.814', '15,320.2')
    """
    if value is None or not math.isfinite(value):
        return "\u2013"
    size = abs(value)
    if size >= 1e9 or 0 < size < 0.0005:
        text = f"{value:.1e}"
    else:
        text = f"{value:,.1f}" if size >= 100 else f"{value:.3f}"
    return text.replace("-", "\u2212")


def number(value: float) -> str:
    """A number of the data, with the digits that it has, six at most.

    >>> number(18.0), number(0.1 + 0.2), number(1234567.0)
    ('18', '0.3', '1,234,567')
    """
    whole = float(value).is_integer() and abs(value) < 1e9
    return (f"{int(value):,}" if whole else f"{value:,.6g}").replace("-", "\u2212")


def span(metric: Mapping[str, Any]) -> str:
    """The interval of a metric, in words.

    >>> span({"low": 0.793, "high": 0.835})
    '0.793 to 0.835'
    """
    return f"{figure(metric['low'])} to {figure(metric['high'])}"


def part(values: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """What is inside of mappings; empty where one is missing or null."""
    for name in names:
        values = cast("Mapping[str, Any]", values.get(name) or {})
    return values


def listed(values: Mapping[str, Any], name: str) -> list[Any]:
    """A list inside of a mapping; empty where it is missing or null."""
    return list(cast("list[Any]", values.get(name) or []))


def metric_name(name: str) -> str:
    """A metric as it is spoken of.

    >>> metric_name("balanced_accuracy")
    'balanced accuracy'
    """
    return NAMES.get(name, name.replace("_", " "))


def baseline_name(report: Mapping[str, Any], name: str) -> str:
    """A baseline as it is spoken of."""
    return str(part(report, "details", "baselines", name).get("title") or name)


def baselines(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The metrics of each baseline, first of that which the model is compared with."""
    given, against = part(report, "baselines"), part(report, "comparison").get("against")
    names = [*given][::-1]  # the simplest was told first
    return {name: part(given, name) for name in sorted(names, key=lambda name: name != against)}


def kept(data: Mapping[str, Any]) -> int:
    """How many rows of the source were not dropped."""
    return int(data.get("rows_in", 0)) - dropped(data)


def left_out(data: Mapping[str, Any]) -> int:
    """How many rows were kept, but are in no split."""
    counts = part(data, "counts")
    return max(0, kept(data) - sum(counts.values())) if counts and "rows_in" in data else 0


def dropped(data: Mapping[str, Any]) -> int:
    """How many rows of the source were dropped."""
    return sum(int(drop["count"]) for drop in listed(data, "dropped"))


def parameters(run: Mapping[str, Any]) -> str:
    """How many numbers a network has, and how many of them were learnt.

    >>> parameters({"parameters": 22714371, "trainable": 771})
    '22,714,371 parameters, 771 of them learnt here'
    """
    every, learnt = run["parameters"], run.get("trainable")
    if learnt is None:
        return f"{every:,} parameters"
    return (
        f"{every:,} parameters, {'all' if learnt == every else f'{learnt:,}'} of them learnt here"
    )


def setting(value: Any) -> str:
    """A setting's value, in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def length(one: Mapping[str, Any]) -> str:
    """From what length to what length texts are.

    >>> length({"from": 7, "to": 2100, "unit": "words"})
    '7 to 2,100 words'
    """
    ends = f"{one['from']:,}" if one["from"] == one["to"] else f"{one['from']:,} to {one['to']:,}"
    return f"{ends} {one['unit']}"


def time(seconds: float) -> str:
    """A time as its day.

    >>> time(0.0)
    '1970-01-01'
    """
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def conversion(units: Mapping[str, Any]) -> str:
    """What a column looks to have gone through, in words.

    >>> conversion({"factor": 1000.0, "offset": 0.0, "told": "", "left": 0.02})
    'perhaps in another unit: as if times 1,000'
    """
    how = "" if units["factor"] == 1 else f"times {number(units['factor'])}"
    if units["offset"]:
        sign = "plus" if units["offset"] > 0 else "minus"
        how = f"{how} {sign} {number(abs(units['offset']))}".strip()
    named = f" ({units['told']})" if units["told"] else ""
    return f"perhaps in another unit: as if {how}{named}"


def column_name(name: str) -> str:
    """A column as it is spoken of, also one that is none of the data's own.

    >>> column_name("(script)"), column_name("store")
    ('writing system', 'store')
    """
    return MEASURED.get(name, name)


def labels_told(value: Any) -> str:
    """A label, several of them, a number, or several by the names of their targets."""
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, Mapping):
        numbers = cast("Mapping[str, float]", value).items()
        return ", ".join(f"{shortened(k, LABEL_OF_SEVERAL)} {figure(x)}" for k, x in numbers)
    if isinstance(value, list | tuple):
        several = cast("Sequence[str]", value)
        return ", ".join(shortened(one, LABEL_OF_SEVERAL) for one in several) or "(none)"
    return figure(value)


def label_of(kind: str, names: Sequence[str], target: Any) -> str:
    """What is true of a row, from its target: a label, those that it has, or numbers."""
    if kind in ("single", "ordered"):
        return names[int(target)]
    if kind == "multiple":
        return ", ".join(name for name, has in zip(names, target, strict=True) if has) or "(none)"
    several: list[float] = target.ravel().tolist()
    return ", ".join(f"{one:.4g}" for one in several)


def sentence(text: str) -> str:
    """With a capital, and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def cut(text: str) -> tuple[str, str]:
    """What is shown of a text, and what is said of the rest."""
    shown = "\n".join(text[: TEXT + 1].splitlines()[:LINES])[:TEXT]
    rest = len(text) - len(shown)
    # A line's end that splitlines took away is no loss.
    if not text[len(shown) :].strip():
        return shown, ""
    return shown, f"\u2026 {rest:,} more characters"
