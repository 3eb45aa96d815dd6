"""Korean answers without the particles behind them: 서울에서 becomes 서울, and 제주도 stays.

A particle (조사) is written together with its noun, and many nouns and names end like one. What
decides is the rest of the text, where it says something: a stem that also stands alone or with
another particle is a noun, and a word that has a particle of its own is one as a whole. Where the
text is silent, short lists of words do.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from functools import lru_cache
from itertools import accumulate

from silmu.runtime import korean_words as known

MAX_TAIL = 8
"""How many syllables several particles in a row may have."""

_MEDIALS = re.compile("[\u1160-\u11ff\ud7b0-\ud7ff]")
_RUN = re.compile("[가-힣]*")
_LETTER = re.compile(r"[^\W_]")
_ENDINGS, _DOUBTFUL_ENDINGS = tuple(known.ENDINGS), tuple(known.DOUBTFUL_ENDINGS)


def whole_syllables(text: str, start: int, end: int) -> tuple[int, int]:
    """A span widened so that it cuts no syllable of a text in which each is several characters.

    Such a text (NFD) comes from the file names of macOS, for instance.

    >>> whole_syllables("\\u1112\\u1161\\u11ab", 0, 1)
    (0, 3)
    """
    if start >= end:
        return start, end
    while start > 0 and _MEDIALS.match(text, start):
        start -= 1
    while end < len(text) and _MEDIALS.match(text, end):
        end += 1
    return start, end


def without_particles(text: str, start: int, end: int) -> int:
    """Where a span of a text ends without the particles behind its last word.

    >>> text = "철수는 학교에서는 조용하다."
    >>> text[4 : without_particles(text, 4, 9)]
    '학교'

    Args:
        text: all of it: it is what tells a particle from the end of a word.
        start, end: the span, which may end in the middle of a word.
    """
    if start >= end:
        return end
    given_end, places = end, None
    if not unicodedata.is_normalized("NFC", text):
        text, places = _composed(text)
        start, end = bisect_left(places, start), bisect_left(places, end)
    end_of_stem = _end_of_stem(text, start, end)
    return end_of_stem if places is None else min(places[end_of_stem], given_end)


def _composed(text: str) -> tuple[str, list[int]]:
    """The text in NFC, and where each of its characters begins in the one that was given."""
    pieces: list[str] = []
    places: list[int] = []
    at = 0
    while at < len(text):
        after = at + 1
        while after < len(text) and (
            _MEDIALS.match(text, after) or unicodedata.combining(text[after])
        ):
            after += 1
        piece = unicodedata.normalize("NFC", text[at:after])
        pieces.append(piece)
        places += [at] * len(piece)
        at = after
    return "".join(pieces), [*places, len(text)]


def _end_of_stem(text: str, start: int, end: int) -> int:
    last = end
    while last > start and not _LETTER.match(text[last - 1]):
        last -= 1  # a full stop or a quote behind the word
    word = start + max((i + 1 for i, c in enumerate(text[start:last]) if c.isspace()), default=0)
    while word < last and not _LETTER.match(text[word]):
        word += 1
    behind = last if last < end else _run_end(text, last)
    for cut in range(max(word + 1, behind - MAX_TAIL), behind):
        if cut > last:
            break
        tail = text[cut:behind]
        if _particles(tail, _final(text[cut - 1])) and _is_stem(text, word, cut, behind):
            return cut if cut < last else end
    return end


def _is_stem(text: str, start: int, cut: int, end: int) -> bool:
    """Whether a word of the text is a noun up to `cut`, and particles from there."""
    stem, tail = text[start:cut], text[cut:end]
    particles = _particles(tail, _final(stem[-1]))
    first = particles[0]
    if stem[-1].isdigit():
        return first not in ("도", "만", "가")  # 30도, 5만, 종로3가
    if not _is_syllable(stem[-1]):
        return True
    # 결과는 could be 결 with 과 and 는.
    words = [stem + part for part in accumulate(particles)]
    if any(word in known.WORDS or word.endswith(_ENDINGS) for word in words):
        return _is_counted(text, start, stem)
    found = _evidence(text, stem, tail)
    if found:
        return found > 0
    if first in known.DOUBTFUL or any(word.endswith(_DOUBTFUL_ENDINGS) for word in words):
        return False
    if first == "로" and re.match(r"\s?\d|\s?\S{0,3}길", text[end:]):
        return False  # the name of a street, with a number
    if tail == "은" and _may_be_name(stem):
        return False
    return len(stem) > 1 or first not in known.SHORT_DOUBTS or stem in known.SHORT


def _may_be_name(stem: str) -> bool:
    """Whether a name could end with the 은 behind a stem, as 김정은 does."""
    return (
        len(stem) == 2
        and stem not in known.NOT_NAMES
        and stem[0] in known.SURNAMES
        and stem[1] in known.GIVEN_BEFORE_EUN
    )


def _is_counted(text: str, start: int, stem: str) -> bool:
    """Whether the stem counts something, as 명 does in 두 명의."""
    before = text[:start].split()[-1:]
    return stem in known.SHORT and bool(before) and before[0] in known.NUMBERS


def _evidence(text: str, stem: str, tail: str) -> int:
    """What the rest of the text says: 1 for a stem with particles, -1 for one word, 0 for nothing.

    It says that there is one word if that has particles of its own, which cannot also be read as
    more particles of the stem; and that there is a stem if that stands alone or with others.
    """
    after = _final(stem[-1])
    rests = _rests(text, stem)
    for rest in rests:
        further = rest[len(tail) :] if rest.startswith(tail) else ""
        if further and _particles(further, _final(tail[-1])) and not _particles(rest, after):
            return -1
    if len(stem) < 2:
        return 0
    return int(any(rest != tail and (not rest or _particles(rest, after)) for rest in rests))


def _rests(text: str, stem: str) -> list[str]:
    """What is written behind a stem wherever a word begins with it, as far as the word goes."""
    found: list[str] = []
    at = text.find(stem)
    while at >= 0:
        end = at + len(stem)
        if at == 0 or not _LETTER.match(text[at - 1]):
            behind = _run_end(text, end)
            if not _LETTER.match(text[behind : behind + 1]):
                found.append(text[end:behind])
        at = text.find(stem, end)
    return found


@lru_cache(maxsize=4096)
def _particles(tail: str, after: str) -> tuple[str, ...]:
    """The particles that a run of syllables is made of; none if it is something else.

    Args:
        tail: what is behind the stem.
        after: how the stem ends, as `_final` says it.
    """
    return _read(tail, after, None, "") if _RUN.fullmatch(tail) else ()


def _read(tail: str, after: str, place: str | None, before: str) -> tuple[str, ...]:
    for size in range(min(len(tail), 5), 0, -1):
        form = tail[:size]
        if form not in known.PARTICLES:
            continue
        next_place, follows = known.PARTICLES[form]
        if not _agrees(follows, after) or not _may_follow(form, next_place, place, before):
            continue
        if size == len(tail):
            return (form,)
        rest = _read(tail[size:], _final(form[-1]), next_place, form)
        if rest:
            return (form, *rest)
    return ()


def _may_follow(form: str, place: str, before_place: str | None, before: str) -> bool:
    if before_place is None:
        return True
    if before_place == known.LAST or form in known.NOT_BEHIND_ANOTHER:
        return False
    if before_place == known.CASE:
        if place == known.CASE:
            return known.BEHIND_CASE.get(before) == form
        return form not in known.ONLY_BEHIND_DELIMITERS
    return place != known.CASE or (before == "만" and form.startswith("으로"))


def _agrees(follows: str, after: str) -> bool:
    if not follows or after == "?":
        return True
    if follows == known.OPEN:
        return after == "-"
    if follows == known.CLOSED:
        return after != "-"
    return (after in "-ㄹ") == (follows == known.OPEN_OR_L)


_DIGITS = dict(zip("0123456789", "ㄱㄹ-ㄱ--ㄱㄹㄹ-", strict=True))


def _final(character: str) -> str:
    """The final consonant: ㄹ, ㄱ for any other one, `-` for none, `?` where it is not known."""
    if not _is_syllable(character):
        return _DIGITS.get(character, "?")
    index = (ord(character) - ord("가")) % 28
    return "-" if index == 0 else "ㄹ" if index == 8 else "ㄱ"


def _is_syllable(character: str) -> bool:
    return "가" <= character <= "힣"


def _run_end(text: str, at: int) -> int:
    """Where the run of Hangul syllables that begins at a place ends."""
    found = _RUN.match(text, at)
    return found.end() if found else at
