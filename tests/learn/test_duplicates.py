"""Who follows whom: planted copies are found, and nothing that is merely alike."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from silmu.steps.collect import duplicates
from silmu.steps.collect.duplicates import keys, leaders, normalise

_LETTERS = {
    "latin": "abcdefghijklmnopqrstuvwxyz",
    "hangul": "".join(chr(0xAC00 + 28 * number) for number in range(0, 400, 3)),
}


def _texts(count: int, seed: int, script: str = "latin", words: int = 17) -> list[str]:
    draw = random.Random(seed)
    vocabulary = [
        "".join(draw.choices(_LETTERS[script], k=draw.randint(2, 9))) for _ in range(3000)
    ]
    return [" ".join(draw.choices(vocabulary, k=words)) for _ in range(count)]


def _jaccard(one: str, other: str) -> float:
    a, b = ({text[i : i + 5] for i in range(len(text) - 4)} for text in (one, other))
    return len(a & b) / len(a | b)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Good film", "good  FILM\n"),
        ("caf\u00e9", "cafe\u0301"),
        ("ABC \uff11\uff12\uff13", "abc 123"),
        ("\uac00\ub098", "\u1100\u1161\u1102\u1161"),  # a syllable, and its letters
        ("Straße", "STRASSE"),
    ],
)
def test_what_makes_no_difference(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)
    assert keys([one])[0] == keys([other])[0]
    assert leaders([one, "something else", other]).tolist() == [0, 1, 0]


def test_a_key_is_the_same_on_every_machine() -> None:
    # Splits are cut by it: another number would move rows of runs that exist.
    assert keys(["Good  movie", "", "좋은 영화"]).tolist() == [
        3585471905863534193,
        13020603013274838756,
        2302357079451945524,
    ]


def test_nothing_gives_nothing() -> None:
    assert leaders([]).shape == (0,)
    assert keys([]).shape == (0,)
    assert leaders([""]).tolist() == [0]
    assert leaders(["", "x", ""]).tolist() == [0, 1, 0]


def test_odd_letters_are_texts_too() -> None:
    odd = "\ud800 a lone surrogate, and \x00 zero \U0001f600"
    assert leaders([odd, odd + "!", "x" * 30]).tolist() == [0, 0, 2]


@pytest.mark.parametrize("script", ["latin", "hangul"])
def test_a_changed_letter_is_a_near_duplicate(script: str) -> None:
    texts = _texts(1000, 1, script)
    draw = random.Random(2)
    copies: list[str] = []
    for text in texts:
        at = draw.randrange(len(text))
        copies.append(f"{text[:at]}#{text[at + 1 :]}")
    found = leaders(texts + copies)
    assert (found[:1000] == np.arange(1000)).all()
    assert (found[1000:] == np.arange(1000)).mean() > 0.995
    exact = leaders(texts + copies, near=False)
    assert (exact == np.arange(2000)).mean() > 0.98  # `#` in place of a blank stays a change


def test_half_a_text_in_common_is_not_a_duplicate() -> None:
    texts, others = _texts(1000, 3), _texts(1000, 4)
    mixed = [a[: len(a) // 2] + b[len(b) // 2 :] for a, b in zip(texts, others, strict=True)]
    assert (leaders(texts + mixed) == np.arange(2000)).all()


def test_it_draws_the_line_at_the_jaccard_index_it_names() -> None:
    texts = _texts(400, 5, words=40)
    fillers = _texts(400, 6, words=40)
    over = under = found_over = found_under = 0
    for changed in range(1, 16):
        copies = []
        for text, filler in zip(texts, fillers, strict=True):
            words = text.split()
            words[3 : 3 + changed] = filler.split()[3 : 3 + changed]
            copies.append(" ".join(words))
        found = leaders(texts + copies)[400:] == np.arange(400)
        for text, copy, is_found in zip(texts, copies, found, strict=True):
            index = _jaccard(text, copy)
            over, found_over = over + (index >= 0.87), found_over + (index >= 0.87) * is_found
            under, found_under = under + (index <= 0.7), found_under + (index <= 0.7) * is_found
    assert over > 300
    assert under > 300
    assert found_over / over > 0.97
    assert found_under / under < 0.02


def test_short_texts_have_no_near_duplicates() -> None:
    assert leaders(["I liked this film", "I liked this film."]).tolist() == [0, 1]
    long = "I liked this film with all of my heart, and so did my whole family"
    assert leaders([long, long + "."]).tolist() == [0, 0]


def test_followers_of_followers_have_one_leader() -> None:
    words = _texts(1, 7, words=60)[0].split()
    others = _texts(1, 8, words=60)[0].split()
    chain = [" ".join(others[:changed] + words[changed:]) for changed in range(0, 60, 2)]
    found = leaders(chain)
    assert _jaccard(chain[0], chain[-1]) < 0.2
    assert found.tolist() == [0] * len(chain)


def test_a_thousand_near_duplicates_are_one_group() -> None:
    base = _texts(1, 9, words=40)[0]
    copies = [f"{base} {number}" for number in range(1000)]
    assert leaders(copies).tolist() == [0] * 1000


def test_blocks_are_invisible(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = _texts(300, 10)
    texts += [text + "!" for text in texts] + texts
    whole = leaders(texts)
    assert len(set(whole.tolist())) == 300
    for size in (1, 700, 5000):
        monkeypatch.setattr(duplicates, "_BLOCK", size)
        assert leaders(texts).tolist() == whole.tolist()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=40),
            st.integers(0, 9).map(lambda n: f"the same long sentence, up to its number {n}"),
            st.integers(0, 9).map(lambda n: f"{n}{n}{n} beginnings of a sentence that is alike"),
        ),
        max_size=30,
    ),
    st.lists(st.text(max_size=40), max_size=5),
)
def test_rows_that_are_added_move_no_older_one(texts: list[str], added: list[str]) -> None:
    found = leaders(texts)
    assert leaders(texts + texts[::-1] + added)[: len(texts)].tolist() == found.tolist()
    assert (found <= np.arange(len(texts))).all()
    assert (found[found] == found).all()
