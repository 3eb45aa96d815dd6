"""Tables with one planted fault each, and their twins without it."""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Rows = list[dict[str, Any]]

SIZE = 600
CITIES = {"Lisbon": 30, "Porto": 20, "Braga": 15, "Coimbra": 10, "Faro": 8, "Evora": 6}
PLANS = {"basic": 5, "family": 3, "business": 2}
FIRST = ["Ana", "Bruno", "Carla", "David", "Elena", "Filipe", "Gina", "Hugo", "Ines", "Jorge"]
FIRST += ["Karla", "Luis", "Marta", "Nuno", "Olga", "Paulo", "Rita", "Sergio", "Tania", "Vasco"]
LAST = ["Alves", "Barros", "Costa", "Dias", "Esteves", "Faria", "Gomes", "Lopes", "Matos"]
LAST += ["Neves", "Pinto", "Ramos", "Silva", "Torres", "Vieira", "Xavier"]
START = datetime.date(2015, 1, 1)


@dataclass
class Planted:
    """A table, how it is to be read, and where the fault is."""

    rows: Rows
    answers: str = "labels"
    roles: dict[str, str] = field(default_factory=dict)
    where: set[int] = field(default_factory=set)
    """Numbers of the rows with the fault, from 1; empty where it is not one of rows."""


def clean(seed: int, size: int = SIZE) -> Rows:
    """Customers with nothing wrong; every cell is a text, as in a CSV."""
    draw = random.Random(seed)
    rows: Rows = []
    for _ in range(size):
        city = draw.choices([*CITIES], [*CITIES.values()])[0]
        plan = draw.choices([*PLANS], [*PLANS.values()])[0]
        age, visits = draw.randint(18, 80), int(draw.expovariate(0.15))
        income = math.exp(draw.gauss(10, 0.5))
        height = draw.gauss(170, 9)
        day = START + datetime.timedelta(draw.randrange(3000))
        odds = 0.04 * (age - 45) + 0.6 * (plan == "business") + 0.05 * visits - 0.5
        stays = draw.random() < 1 / (1 + math.exp(-odds))
        rows.append(
            {
                "city": city, "plan": plan, "age": str(age), "visits": str(visits),
                "income": f"{income:.2f}", "height": f"{height:.1f}", "joined": str(day),
                "stays": "yes" if stays else "no",
                "spent": f"{max(20 * visits + age + income / 500 + draw.gauss(0, 40), 1):.2f}",
            }
        )  # fmt: skip
    return rows


def labelled(seed: int) -> Planted:
    """Clean rows with a label to be told."""
    rows = clean(seed)
    for row in rows:
        del row["spent"]
    return Planted(rows, "labels", {"target": "stays"})


def numbered(seed: int) -> Planted:
    """Clean rows with a number to be told."""
    rows = clean(seed)
    for row in rows:
        del row["stays"]
    return Planted(rows, "numbers", {"target": "spent"})


def either(seed: int) -> Planted:
    """The one or the other."""
    return labelled(seed) if seed % 2 else numbered(seed)


def several(seed: int) -> Planted:
    """Clean rows of three labels."""
    planted = labelled(seed)
    draw = random.Random(seed + 50)
    for row in planted.rows:
        odds = float(row["age"]) / 30 + draw.gauss(0, 1)
        row["stays"] = "leaves" if odds < 1 else "waits" if odds < 2 else "stays"
    return planted


def split(seed: int) -> Planted:
    """Clean rows that say in which split they are, of customers who are in one."""
    planted = labelled(seed)
    draw = random.Random(seed + 100)
    sides = ["train" if n < 80 else "validation" if n < 90 else "test" for n in range(100)]
    for row in planted.rows:
        number = draw.randrange(100)
        row |= {"customer": f"c{number:03}", "split": sides[number]}
    planted.roles["group"] = "customer"
    return planted


def timed(seed: int) -> Planted:
    """Clean rows, the newest of which are the test."""
    planted = labelled(seed)
    planted.rows.sort(key=lambda row: row["joined"])
    for index, row in enumerate(planted.rows):
        row["split"] = "train" if index < 480 else "validation" if index < 540 else "test"
    newest = planted.rows[479]["joined"]
    for row in planted.rows[480:]:
        row["joined"] = max(row["joined"], newest)
    planted.roles["time"] = "joined"
    return planted


Plant = Callable[[Planted, random.Random], None]


def _some(planted: Planted, draw: random.Random, share: float, side: str = "") -> list[int]:
    of = [i for i, row in enumerate(planted.rows) if not side or row["split"] == side]
    chosen = sorted(draw.sample(of, max(1, int(share * len(of)))))
    planted.where |= {index + 1 for index in chosen}
    return chosen


def _target(planted: Planted) -> str:
    return planted.roles["target"]


def target_gaps(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.04):
        planted.rows[index][_target(planted)] = draw.choice(["", "  "])


def gaps(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.1):
        planted.rows[index][draw.choice(["income", "city"])] = ""


def constant(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        row["country"] = draw.choice(["Portugal"])


def empty(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        row["Unnamed: 7"] = draw.choice(["", " "])


def counted(planted: Planted, draw: random.Random) -> None:
    start = draw.choice([0, 1, 1000])
    for number, row in enumerate(planted.rows, start):
        row["row"] = str(number)


def coded(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        row["key"] = f"{draw.getrandbits(48):012x}"


def named(planted: Planted, draw: random.Random) -> None:
    pairs = [f"{a} {b} {c}" for a in FIRST for b in LAST for c in LAST]
    for row, name in zip(planted.rows, draw.sample(pairs, len(planted.rows)), strict=True):
        row["name"] = name


def drawn(planted: Planted, draw: random.Random) -> None:
    codes = draw.sample(range(10_000_000, 100_000_000), len(planted.rows))
    for row, code in zip(planted.rows, codes, strict=True):
        row["policy"] = str(code)


def telling_level(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        told = {"yes": ["active", "renewed"], "no": ["closed", "lapsed"]}[row["stays"]]
        row["status"] = draw.choice(told) if draw.random() < 0.997 else "active"


def telling_number(planted: Planted, draw: random.Random) -> None:
    if _target(planted) == "stays":
        for row in planted.rows:
            row["bonus"] = f"{draw.gauss(5 * (row['stays'] == 'yes'), 1 / 3):.3f}"
    else:
        for row in planted.rows:
            row["bonus"] = f"{float(row['spent']) * 1.23 + draw.gauss(0, 1):.3f}"


def renamed(planted: Planted, draw: random.Random) -> None:
    names = dict(zip(["leaves", "waits", "stays"], draw.sample("xyz", 3), strict=True))
    for row in planted.rows:
        row["class"] = names[row["stays"]]


def telling_gap(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        told = row["stays"] == "no" and draw.random() < 0.997
        row["left"] = str(START + datetime.timedelta(draw.randrange(3000))) if told else ""


def copies(planted: Planted, draw: random.Random) -> None:
    for row in draw.sample(planted.rows, 15):
        planted.rows.append({**row})
        planted.where.add(len(planted.rows))


def contradictions(planted: Planted, draw: random.Random) -> None:
    for index in draw.sample(range(len(planted.rows)), 12):
        row = planted.rows[index]
        planted.rows.append({**row, "stays": "no" if row["stays"] == "yes" else "yes"})
        planted.where |= {index + 1, len(planted.rows)}


def label_spelling(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.05):
        label = planted.rows[index]["stays"]
        planted.rows[index]["stays"] = draw.choice([label.upper(), label.title(), label + " "])


def rare_label(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.005):
        planted.rows[index]["stays"] = "undecided"


def imbalance(planted: Planted, draw: random.Random) -> None:
    keep = draw.sample([row for row in planted.rows if row["stays"] == "no"], 20)
    planted.rows[:] = [row for row in planted.rows if row["stays"] == "yes" or row in keep]


def one_label(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        row[_target(planted)] = "12.5" if _target(planted) == "spent" else "yes"


def level_spelling(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.06):
        city = planted.rows[index]["city"]
        planted.rows[index]["city"] = draw.choice([city.upper(), city.lower(), f" {city.lower()}"])


def level_slip(planted: Planted, draw: random.Random) -> None:
    index = draw.choice([i for i, row in enumerate(planted.rows) if row["city"] == "Lisbon"])
    planted.rows[index]["city"] = draw.choice(["Lisbo", "Lisbonn", "Lisobn", "Lizbon"])
    planted.where.add(index + 1)


def words_among_numbers(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, draw.choice([0.005, 0.03])):
        odd = ["refused", "see note", "> 5000", "12/7", "1.2.3"]
        planted.rows[index]["income"] = draw.choice(odd)


def words_among_times(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.01):
        planted.rows[index]["joined"] = draw.choice(["2019-02-30", "soon", "2020-13-01"])


def words_among_targets(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.01):
        planted.rows[index]["spent"] = draw.choice(["refused", "n.b.", "12..5"])


def units(planted: Planted, draw: random.Random) -> None:
    name, factor = draw.choice([("height", 0.01), ("height", 10), ("income", 0.001)])
    for index in _some(planted, draw, draw.choice([0.02, 0.1, 0.3])):
        planted.rows[index][name] = f"{float(planted.rows[index][name]) * factor:.4g}"


def written_units(planted: Planted, draw: random.Random) -> None:
    one, other, factor = draw.choice([("cm", "m", 0.01), ("kg", "g", 1000)])
    for row in planted.rows:
        row["height"] += f" {one}"
    for index in _some(planted, draw, 0.2):
        value = float(planted.rows[index]["height"].split()[0])
        planted.rows[index]["height"] = f"{value * factor:.4g} {other}"


def sentinel(planted: Planted, draw: random.Random) -> None:
    name, code = draw.choice(
        [("age", "999"), ("age", "-99"), ("height", "-999"), ("income", "-9999")]
    )
    if name == "income":
        code = "-999999"
    for index in _some(planted, draw, 0.03):
        planted.rows[index][name] = code


def noughts(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.05):
        planted.rows[index]["height"] = draw.choice(["0", "0.0"][:1])


def outliers(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.004):
        planted.rows[index]["height"] = draw.choice(["17342", "7301.5", "99812"])


def word_for_none(planted: Planted, draw: random.Random) -> None:
    word = draw.choice(["unknown", "N/A", "?", "Missing", "-"])
    for index in _some(planted, draw, 0.05):
        planted.rows[index]["city"] = word


def twice(planted: Planted, draw: random.Random) -> None:
    codes = {city: f"{number:02}" for number, city in enumerate(draw.sample([*CITIES], 6))}
    for row in planted.rows:
        row["city_code"] = codes[row["city"]]


def copies_in_test(planted: Planted, draw: random.Random) -> None:
    train = [row for row in planted.rows if row["split"] == "train"]
    for row in draw.sample(train, 6):
        planted.rows.append({**row, "split": "test", "customer": "c099"})
        planted.where.add(len(planted.rows))


def groups_across(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.3, "test"):
        planted.rows[index]["customer"] = f"c{draw.randrange(80):03}"


def past_in_test(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.5, "test"):
        planted.rows[index]["joined"] = planted.rows[draw.randrange(200)]["joined"]


def never_learned(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.2, "test"):
        planted.rows[index]["stays"] = "maybe"


def future(planted: Planted, draw: random.Random) -> None:
    for index in _some(planted, draw, 0.02):
        planted.rows[index]["joined"] = (
            "2" + str(draw.randint(1, 9)) + planted.rows[index]["joined"][2:]
        )


def groups(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        row["customer_id"] = f"k{draw.randrange(150):04}"


# What is planted in what, and how it is to be found.
FAULTS: dict[str, tuple[Callable[[int], Planted], Plant, str, str]] = {
    "target gaps": (either, target_gaps, "missing values", "wrong"),
    "gaps": (either, gaps, "missing values", "note"),
    "constant": (either, constant, "constant column", "note"),
    "empty": (either, empty, "empty column", "note"),
    "counted": (either, counted, "id column", "note"),
    "coded": (either, coded, "id column", "note"),
    "named": (either, named, "id column", "note"),
    "drawn": (either, drawn, "id column", "note"),
    "telling level": (labelled, telling_level, "gives the target away", "wrong"),
    "telling number": (either, telling_number, "gives the target away", "wrong"),
    "renamed": (several, renamed, "gives the target away", "wrong"),
    "telling gap": (labelled, telling_gap, "gives the target away", "wrong"),
    "copies": (either, copies, "duplicates", "note"),
    "contradictions": (labelled, contradictions, "conflicting labels", "wrong"),
    "label spelling": (labelled, label_spelling, "label spelling", "wrong"),
    "rare label": (labelled, rare_label, "rare labels", "wrong"),
    "imbalance": (labelled, imbalance, "imbalance", "note"),
    "one label": (either, one_label, "one label", "wrong"),
    "level spelling": (either, level_spelling, "level spelling", "wrong"),
    "level slip": (either, level_slip, "level spelling", "note"),
    "words among numbers": (either, words_among_numbers, "cells of another kind", "wrong"),
    "words among times": (either, words_among_times, "cells of another kind", "wrong"),
    "words among targets": (numbered, words_among_targets, "cells of another kind", "wrong"),
    "units": (either, units, "mixed units", "wrong"),
    "written units": (either, written_units, "mixed units", "wrong"),
    "sentinel": (either, sentinel, "missing as a number", "wrong"),
    "noughts": (either, noughts, "missing as a number", "note"),
    "outliers": (either, outliers, "outliers", "note"),
    "word for none": (either, word_for_none, "missing as a word", "note"),
    "twice": (either, twice, "same column twice", "note"),
    "copies in test": (split, copies_in_test, "duplicates across splits", "wrong"),
    "groups across": (split, groups_across, "groups across splits", "wrong"),
    "past in test": (timed, past_in_test, "times across splits", "wrong"),
    "never learned": (split, never_learned, "labels never learned", "wrong"),
    "future": (either, future, "future rows", "note"),
    "groups": (either, groups, "group suspected", "note"),
}


def make(fault: str, seed: int) -> Planted:
    """The table of a seed with one fault."""
    base, plant, _, _ = FAULTS[fault]
    planted = base(seed)
    plant(planted, random.Random(f"{fault} {seed}"))
    return planted
