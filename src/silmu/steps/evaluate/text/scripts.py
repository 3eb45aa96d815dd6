"""What texts are told apart by: their writing system, and their length."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

LENGTH_BINS = 5
LONGEST_WORD = 15
"""Characters of a word in the mean at most, where words stand between blanks."""
SCRIPT = "(script)"

SCRIPTS = {
    "Latin": re.compile("[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]"),
    "Hangul": re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]"),
    "Han": re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f]"),
    "Kana": re.compile("[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d]"),
    "Cyrillic": re.compile("[\u0400-\u052f]"),
    "Greek": re.compile("[\u0370-\u03ff\u1f00-\u1fff]"),
    "Arabic": re.compile("[\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc]"),
    "Hebrew": re.compile("[\u0590-\u05ff]"),
    "Devanagari": re.compile("[\u0900-\u097f]"),
    "Bengali": re.compile("[\u0980-\u09ff]"),
    "Tamil": re.compile("[\u0b80-\u0bff]"),
    "Thai": re.compile("[\u0e00-\u0e7f]"),
    "Georgian": re.compile("[\u10a0-\u10ff]"),
    "Armenian": re.compile("[\u0530-\u058f]"),
}
"""The letters of writing systems."""

BLANKLESS = re.compile(
    "[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f"
    "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d\u0e00-\u0e7f]"
)
"""Letters of scripts where a word between blanks is no good unit."""


def script(text: str) -> str:
    """The writing system of most letters of a text.

    >>> script("배송이 빨라요 OK"), script("3/10"), script("Fine.")
    ('Hangul', 'none', 'Latin')
    """
    if text.isascii():
        return "Latin" if SCRIPTS["Latin"].search(text) else "none"
    text = text[:2000]
    counts = Counter({name: len(one.findall(text)) for name, one in SCRIPTS.items()})
    # Japanese is Han and kana together, and the kana tell it from Chinese.
    if counts["Kana"]:
        counts["Kana"] += counts.pop("Han")
    name, most = counts.most_common(1)[0]
    if most:
        return name
    return "other" if any(map(str.isalpha, text)) else "none"


def by_length(
    words: NDArray[np.int64], characters: NDArray[np.int64]
) -> tuple[str, list[tuple[int, int, NDArray[np.int64]]]]:
    """The unit, and shortest, longest and rows of each of about five parts of equal size.

    Counted in words; in characters, where blanks do not tell words apart.
    """
    blankless = characters.sum() > LONGEST_WORD * words.sum()
    unit, lengths = ("characters", characters) if blankless else ("words", words)
    if not len(lengths):
        return unit, []
    inner = np.quantile(lengths, np.arange(1, LENGTH_BINS) / LENGTH_BINS, method="higher")
    place = np.searchsorted(np.unique(inner), lengths, side="left")
    parts = [np.flatnonzero(place == number) for number in range(int(place.max()) + 1)]
    return unit, [
        (int(lengths[rows].min()), int(lengths[rows].max()), rows) for rows in parts if len(rows)
    ]
