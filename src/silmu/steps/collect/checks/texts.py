"""The texts: their lengths, scripts and damage, and words that give the label away."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from silmu.steps.collect.checks import columns
from silmu.steps.collect.checks.reading import Column
from silmu.steps.collect.checks.view import Finding, View, number, quoted, share
from silmu.steps.collect.duplicates import normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MUCH = 0.01  # of the rows: from here damage is wrong
_FAR = 20  # times the length of all but a hundredth of the texts
_LONGEST = 512  # tokens that most encoders read
_TOKEN = {"Hangul": 1.6, "Chinese": 1.2, "Japanese": 1.4, "Thai": 2.0}  # characters, about
_MAIN, _STRAY = 0.9, 0.05  # shares of scripts
_GONE = "\ufffd"
# What UTF-8 becomes where it is read as Latin-1 or Windows-1252.
_MOJIBAKE = re.compile(
    "[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac[\u0153\u009d\u2122\u02dc\u201c\u201d\u00a6]"
    "|(?:[\u00ea-\u00ed][\u0080-\u00bf\u0152-\u017e\u2013-\u2122]{2}){2}"
)
_WORD = re.compile(r"\w+|[^\w\s]")
_WORDS = 50_000  # of a text that are looked at
_FEWEST = 20  # texts of a label before a word can be said to tell it
_SCRIPTS = {
    "Latin": ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF)),
    "Greek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "Cyrillic": ((0x400, 0x52F),),
    "Hebrew": ((0x590, 0x5FF),),
    "Arabic": ((0x600, 0x6FF), (0x750, 0x77F), (0xFB50, 0xFDFF), (0xFE70, 0xFEFF)),
    "Devanagari": ((0x900, 0x97F),),
    "Bengali": ((0x980, 0x9FF),),
    "Tamil": ((0xB80, 0xBFF),),
    "Thai": ((0xE00, 0xE7F),),
    "Hangul": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7A3)),
    "Japanese": ((0x3040, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F)),
    "Chinese": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x2FA1F)),
}
_NAMES = tuple(_SCRIPTS)
_BLOCK = 1 << 18  # characters looked at once


def check(view: View) -> list[Finding]:
    """Everything about the texts themselves."""
    if not view.rows:
        return []
    scripts, damaged = _read(view)
    length = _telling_length(view)
    return [
        *_lengths(view, scripts),
        *length,
        *_written(view, scripts),
        *_damage(view, damaged),
        *([] if length else _given_away(view)),  # in longer texts every word is more frequent
    ]


def _read(view: View) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """For each row its script (-1: no letter) and whether letters of it are damaged."""
    scripts: list[NDArray[np.int8]] = []
    damaged: list[bool] = []
    block: list[str] = []
    size = 0
    for text in view.texts():
        damaged.append(not text.isascii() and (_GONE in text or _MOJIBAKE.search(text) is not None))
        block.append(text)
        size += len(text) + 1
        if size >= _BLOCK:
            scripts.append(_scripts(block))
            block, size = [], 0
    scripts.append(_scripts(block))
    return np.concatenate(scripts), np.array(damaged, bool)


def _scripts(texts: list[str]) -> NDArray[np.int8]:
    if not texts:
        return np.empty(0, np.int8)
    lengths = np.array([len(text) + 1 for text in texts])
    joined = "\n".join(texts) + "\n"
    letters = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4")
    kinds = _table()[np.minimum(letters, 0x2FFFF)]
    starts = np.cumsum(lengths) - lengths
    counts = np.zeros((len(_NAMES), len(texts)), np.int64)
    for index in np.unique(kinds[kinds >= 0]):
        counts[index] = np.add.reduceat((kinds == index).astype(np.int64), starts)
    japanese, chinese = _NAMES.index("Japanese"), _NAMES.index("Chinese")
    is_japanese = counts[japanese] * 4 > counts[chinese]  # kana among its characters
    counts[japanese] += np.where(is_japanese, counts[chinese], 0)
    return np.where(counts.any(axis=0), counts.argmax(axis=0), -1).astype(np.int8)


@cache
def _table() -> NDArray[np.int8]:
    table = np.full(0x30000, -1, np.int8)
    for index, ranges in enumerate(_SCRIPTS.values()):
        for first, last in ranges:
            table[first : last + 1] = index
    return table


def _lengths(view: View, scripts: NDArray[np.int8]) -> list[Finding]:
    lengths = view.lengths
    found: list[Finding] = []
    bare = np.flatnonzero(scripts < 0)
    if len(bare):
        found.append(
            view.finding(
                "texts without a letter",
                "note",
                f"{number(len(bare), 'text')} of {view.rows:,} ({share(len(bare), view.rows)}) "
                f"{'has' if len(bare) == 1 else 'have'} no letter that is known: figures, signs, "
                "emoji or nothing",
                "delete those that tell nothing",
                bare,
            )
        )
    letters = np.array([_TOKEN.get(name, 4.0) for name in (*_NAMES, "")])
    tokens = lengths / letters[scripts]
    long = np.flatnonzero(tokens > _LONGEST)
    if len(long):
        middle = int(np.median(lengths))
        found.append(
            view.finding(
                "long texts",
                "note",
                f"{number(len(long), 'text')} of {view.rows:,} ({share(len(long), view.rows)}) "
                f"{'has' if len(long) == 1 else 'have'} more than about {_LONGEST} tokens, the "
                f"most that many encoders read (half have up to {middle:,} characters, the "
                f"longest {lengths.max():,}): what comes after is cut off",
                "cut them to what matters, or split them",
                long,
            )
        )
    usual = np.quantile(lengths, 0.99)
    far = np.flatnonzero((lengths > _FAR * max(usual, 50)) & (lengths > 2000))
    if len(far):
        found.append(
            view.finding(
                "far too long texts",
                "note",
                f"{number(len(far), 'text')} {'is' if len(far) == 1 else 'are'} more than {_FAR} "
                f"times as long as 99 % of the rest (the longest has {lengths.max():,} characters, "
                f"99 % have up to {int(usual):,}): an unclosed quote swallows the rows after it",
                "look at them in the source",
                far,
            )
        )
    return found


def _telling_length(view: View) -> list[Finding]:
    lengths = view.lengths
    values, first, codes = np.unique(lengths, return_index=True, return_inverse=True)
    column = Column(
        "length",
        codes.astype(np.int64),
        len(values),
        first,
        lengths.astype(np.float64),
        odd=None,
        words=None,
        is_time=False,
        is_whole=True,
        is_text=False,
        mean_length=0,
        has_blanks=False,
        has_digits=True,
    )
    message = columns.telling(view, column) if len(values) > 1 else None
    if message is None:
        return []
    return [
        view.finding(
            "gives the target away",
            "wrong",
            f"the length of the text alone tells the target: {message}",
            "texts of different labels were written or cut differently; make them alike",
        )
    ]


def _written(view: View, scripts: NDArray[np.int8]) -> list[Finding]:
    counts = np.bincount(scripts[scripts >= 0], minlength=len(_NAMES))
    total = counts.sum()
    if not total or counts.max() == total:
        return []
    order = np.argsort(-counts, kind="stable")
    main = int(order[0])
    parts = [
        f"{_NAMES[index]} {share(int(counts[index]), int(total))}"
        for index in order
        if counts[index]
    ]
    stray = np.flatnonzero((scripts >= 0) & (scripts != main))
    if counts[main] >= _MAIN * total and len(stray) <= _STRAY * total:
        message = (
            f"{number(len(stray), 'text')} {'is' if len(stray) == 1 else 'are'} written in another "
            f"script than the rest ({', '.join(parts[:6])})"
        )
        return [view.finding("another script", "note", message, "delete what is not meant", stray)]
    return [
        view.finding(
            "several scripts",
            "note",
            f"the texts are written in several scripts: {', '.join(parts[:6])}",
            "choose a network that was trained on all of these languages",
            stray,
        )
    ]


def _damage(view: View, damaged: NDArray[np.bool_]) -> list[Finding]:
    rows = np.flatnonzero(damaged)
    if not len(rows):
        return []
    return [
        view.finding(
            "damaged letters",
            "wrong" if len(rows) >= _MUCH * view.rows else "note",
            f"{number(len(rows), 'text')} of {view.rows:,} ({share(len(rows), view.rows)}) "
            f"{'has' if len(rows) == 1 else 'have'} letters that a wrong encoding has spoilt, "
            "such as \ufffd or \u00c3\u00a9 for \u00e9",
            "save the source again as UTF-8, from where it was whole",
            rows,
        )
    ]


def _given_away(view: View) -> list[Finding]:
    """A word that alone sorts the texts, or the label written out in its own text."""
    if view.kind not in ("single", "multiple") or len(view.labels) < 2:
        return []
    rows, texts = view.sample
    place = np.full(view.rows, -1, np.int64)
    place[rows] = np.arange(len(rows))
    pair_rows, pair_codes = view.pairs
    of: list[list[int]] = [[] for _ in range(len(rows))]
    places: list[int] = place[pair_rows].tolist()
    codes: list[int] = pair_codes.tolist()
    for row, code in zip(places, codes, strict=True):
        if row >= 0:
            of[row].append(code)
    plain = [normalise(text) for text in texts]
    said = "" if len(rows) == view.rows else f" (of a sample of {len(rows):,})"
    found = _words(view, plain, of, said)
    return found or _literals(view, rows, plain, of, said)


def _words(view: View, texts: list[str], of: list[list[int]], said: str) -> list[Finding]:
    size = Counter(code for codes in of for code in codes)
    with_word: Counter[tuple[str, int]] = Counter()
    anywhere: Counter[str] = Counter()
    for text, codes in zip(texts, of, strict=True):
        words = set(_WORD.findall(text)[:_WORDS])
        anywhere.update(words)
        for code in codes:
            with_word.update((word, code) for word in words)
    best: dict[int, tuple[float, str, float, float]] = {}
    for (word, code), count in with_word.items():
        rest = len(texts) - size[code]
        if size[code] < _FEWEST or rest < _FEWEST:
            continue
        inside, outside = count / size[code], (anywhere[word] - count) / rest
        if inside - outside > best.get(code, (0.0,))[0]:
            best[code] = (inside - outside, word, inside, outside)
    found: list[Finding] = []
    for code, (gain, word, inside, outside) in sorted(best.items()):
        if (1 + gain) / 2 >= columns.TELLING_AUC:
            found.append(
                view.finding(
                    "text gives the label away",
                    "wrong",
                    f"the word `{word}` alone tells `{view.labels[code]}`: it stands in "
                    f"{share(inside, 1)} of its texts and {share(outside, 1)} of others{said}",
                    "take the word out, if it was put there with the label",
                )
            )
    return found[:3]


def _literals(
    view: View, rows: NDArray[np.int64], texts: list[str], of: list[list[int]], said: str
) -> list[Finding]:
    written = {
        code: _spaced(normalise(label))
        for code, label in enumerate(view.labels[:50])
        if len(label.strip()) >= 3 and any(letter.isalpha() for letter in label)
    }
    if len(written) < 2:
        return []
    own = np.zeros(len(texts), bool)
    other = np.zeros(len(texts), bool)
    for row, (text, codes) in enumerate(zip(texts, of, strict=True)):
        spaced = _spaced(text)
        for code, name in written.items():
            if name in spaced:
                (own if code in codes else other)[row] = True
    told, right = own.mean(), own.sum() / max((own | other).sum(), 1)
    if told < 0.3 or right < 0.9:
        return []
    wrong = bool(told >= 0.9 and right >= 0.95)
    return [
        view.finding(
            "text gives the label away",
            "wrong" if wrong else "note",
            f"{share(told, 1)} of the texts hold the name of their own label (such as "
            f"{quoted(view.labels[:2])}), and {share(other.mean(), 1)} that of another{said}",
            "take it out of the text, if it was put there with the label",
            rows[own],
        )
    ]


def _spaced(text: str) -> str:
    """The words with a blank on each side, so that none is found within another."""
    return f" {' '.join(_WORD.findall(text)[:_WORDS])} "
