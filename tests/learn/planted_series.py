"""Series with one planted fault each, and their twins without it."""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Rows = list[dict[str, Any]]


@dataclass
class Planted:
    """Rows, how they are to be read, and where the fault is."""

    rows: Rows
    roles: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    where: set[int] = field(default_factory=set)
    """Numbers of the rows with the fault, from 1; empty where it is not one of rows."""


def shops(seed: int, count: int = 400) -> Planted:
    """What three shops sell a day: a trend, a week, chance."""
    draw = random.Random(seed)
    rows: Rows = []
    for place, shop in enumerate(("north", "south", "west")):
        for n in range(count):
            day = datetime.date(2022, 1, 1) + datetime.timedelta(n)
            level = (60 + 30 * place) * (1 + n / 2000)
            sold = level * (1 + 0.3 * math.sin(2 * math.pi * n / 7) + draw.gauss(0, 0.05))
            rows.append(
                {"date": str(day), "shop": shop, "sold": f"{sold:.2f}",
                 "price": f"{10 + draw.gauss(0, 1):.2f}"}
            )  # fmt: skip
    return Planted(rows, {"target": "sold", "group": "shop", "time": "date"})


def hours(seed: int, count: int = 800, start: str = "2024-03-10") -> Planted:
    """A load by the hour, of a day and a week."""
    draw = random.Random(seed)
    begin = datetime.datetime.fromisoformat(start)
    rows: Rows = []
    for n in range(count):
        load = 500 + 150 * math.sin(2 * math.pi * n / 24) + 60 * math.sin(2 * math.pi * n / 168)
        time = begin + datetime.timedelta(hours=n)
        rows.append({"time": str(time), "load": f"{load + draw.gauss(0, 12):.1f}"})
    return Planted(rows, {"target": "load", "time": "time"})


def walk(seed: int, count: int = 800) -> Planted:
    """A price on business days, which wanders."""
    draw = random.Random(seed)
    price, day = 100.0, datetime.date(2020, 1, 1)
    rows: Rows = []
    while len(rows) < count:
        day += datetime.timedelta(1)
        if day.weekday() < 5:
            price *= math.exp(draw.gauss(0, 0.015) * (2 if draw.random() < 0.05 else 1))
            rows.append({"date": str(day), "close": f"{price:.2f}"})
    return Planted(rows, {"target": "close", "time": "date"})


def cold(seed: int, count: int = 900) -> Planted:
    """A temperature, whose winters are below 0."""
    draw = random.Random(seed)
    rows: Rows = []
    now = 0.0
    for n in range(count):
        now = 0.8 * now + draw.gauss(0, 1.5)
        heat = 9 - 8 * math.cos(2 * math.pi * n / 365) + now
        day = datetime.date(2021, 1, 1) + datetime.timedelta(n)
        rows.append({"date": str(day), "heat": f"{heat:.1f}"})
    return Planted(rows, {"target": "heat", "time": "date"})


def rests(seed: int, count: int = 400) -> Planted:
    """A shop that is closed on Sundays, which is no value that is missing."""
    planted = shops(seed, count)
    planted.rows = [row for row in planted.rows if row["shop"] == "north"]
    for row in planted.rows:
        if datetime.date.fromisoformat(row["date"]).weekday() == 6:
            row["sold"] = "0"
    del planted.roles["group"]
    return planted


def rare(seed: int, count: int = 500) -> Planted:
    """What is hardly ever asked for: mostly nothing, now and then some."""
    draw = random.Random(seed)
    rows: Rows = []
    for n in range(count):
        day = datetime.date(2022, 1, 1) + datetime.timedelta(n)
        sold = draw.randint(1, 9) if draw.random() < 0.15 else 0
        rows.append({"date": str(day), "sold": str(sold)})
    return Planted(rows, {"target": "sold", "time": "date"})


Plant = Callable[[Planted, random.Random], None]


def _target(planted: Planted) -> str:
    return planted.roles["target"]


def _put(planted: Planted, places: list[int], value: str) -> None:
    for place in places:
        planted.rows[place][_target(planted)] = value
    planted.where = {place + 1 for place in places}


def many_gaps(planted: Planted, draw: random.Random) -> None:
    planted.rows = [row for row in planted.rows if draw.random() > 0.4]


def some_gaps(planted: Planted, draw: random.Random) -> None:
    del draw
    del planted.rows[200:209]
    planted.where = {200, 201}


def empty(planted: Planted, draw: random.Random) -> None:
    _put(planted, sorted(draw.sample(range(1, 390), 12)), "")


def uneven(planted: Planted, draw: random.Random) -> None:
    for row in planted.rows:
        time = datetime.datetime.fromisoformat(row["time"])
        row["time"] = str(time + datetime.timedelta(minutes=draw.randint(0, 25)))


def shared(planted: Planted, draw: random.Random) -> None:
    del draw
    planted.settings["step"] = "D"


def repeated(planted: Planted, draw: random.Random) -> None:
    planted.rows += [dict(planted.rows[place]) for place in draw.sample(range(400), 5)]


def unsorted(planted: Planted, draw: random.Random) -> None:
    draw.shuffle(planted.rows)


def constant(planted: Planted, draw: random.Random) -> None:
    del draw
    _put(planted, [n for n, row in enumerate(planted.rows) if row["shop"] == "west"], "7")
    planted.where = set()


def short(planted: Planted, draw: random.Random) -> None:
    del draw
    planted.rows = [
        row for row in planted.rows if row["shop"] != "west" or row["date"] > "2023-01-20"
    ]


def ended(planted: Planted, draw: random.Random) -> None:
    del draw
    planted.rows = [
        row for row in planted.rows if row["shop"] != "west" or row["date"] < "2022-09-01"
    ]


def twice(planted: Planted, draw: random.Random) -> None:
    del draw
    planted.rows += [row | {"shop": "copy"} for row in planted.rows if row["shop"] == "west"]


def slip(planted: Planted, draw: random.Random) -> None:
    place = draw.randrange(50, 350)
    _put(planted, [place], f"{10 * float(planted.rows[place][_target(planted)]):.2f}")


def shifted(planted: Planted, draw: random.Random) -> None:
    place = draw.randrange(300, 500)
    for row in planted.rows[place:]:
        row[_target(planted)] = f"{float(row[_target(planted)]) / 4:.2f}"
    planted.where = {place + 1}


def coded(planted: Planted, draw: random.Random) -> None:
    _put(planted, sorted(draw.sample(range(390), 6)), "-999")


def noughts(planted: Planted, draw: random.Random) -> None:
    _put(planted, sorted(draw.sample(range(390), 6)), "0")


def still(planted: Planted, draw: random.Random) -> None:
    start = draw.randrange(100, 300)
    _put(planted, [*range(start, start + 60)], "512.3")
    planted.where = {place + 1 for place in range(start + 1, start + 60)}


def returned(planted: Planted, draw: random.Random) -> None:
    _put(planted, [draw.randrange(50, 350)], "-20")


def later(planted: Planted, draw: random.Random) -> None:
    del draw
    for n in range(5):
        planted.rows.append({"date": f"{datetime.date.today().year + 2}-01-0{n + 1}", "heat": "9"})
        planted.where.add(len(planted.rows))


def alone(planted: Planted, draw: random.Random) -> None:
    del draw
    planted.rows.insert(0, planted.rows[0] | {"date": "1970-01-01"})
    planted.where = {1}


def spring(planted: Planted, draw: random.Random) -> None:
    del draw
    planted.rows = [row for row in planted.rows if row["time"] != "2024-03-31 02:00:00"]


def unreadable(planted: Planted, draw: random.Random) -> None:
    for place in draw.sample(range(390), 30):
        planted.rows[place]["date"] = "total"
        planted.where.add(place + 1)


def same(planted: Planted, draw: random.Random) -> None:
    del draw
    for row in planted.rows:
        row["sold in cents"] = f"{100 * float(row['sold']):.0f}"
    planted.roles["input"] = "sold in cents,price"


def known(planted: Planted, draw: random.Random) -> None:
    same(planted, draw)
    planted.settings["known"] = "sold in cents"


def ahead(planted: Planted, draw: random.Random) -> None:
    del draw
    for row, after in zip(planted.rows, planted.rows[1:], strict=False):
        row["next"] = after["sold"]
    planted.roles["input"] = "next"


def unknown(planted: Planted, draw: random.Random) -> None:
    del draw
    planted.roles["input"] = planted.settings["known"] = "price"


def nothing(planted: Planted, draw: random.Random) -> None:
    """None: most steps are 0 already."""


def same_price(planted: Planted, draw: random.Random) -> None:
    del draw
    planted.roles["input"] = "price"
    for row in planted.rows:
        row["price"] = "9.90"


FAULTS: dict[str, tuple[Callable[[int], Planted], Plant, str, str]] = {
    "many gaps": (shops, many_gaps, "gaps", "wrong"),
    "some gaps": (shops, some_gaps, "gaps", "note"),
    "empty": (shops, empty, "missing values", "note"),
    "uneven": (hours, uneven, "irregular steps", "note"),
    "shared": (hours, shared, "several rows in a step", "note"),
    "repeated": (shops, repeated, "repeated stamps", "note"),
    "unsorted": (shops, unsorted, "unsorted", "note"),
    "constant": (shops, constant, "constant series", "note"),
    "short": (shops, short, "short series", "note"),
    "ended": (shops, ended, "ended series", "note"),
    "twice": (shops, twice, "same series twice", "note"),
    "slip": (shops, slip, "outliers", "note"),
    "slip of a load": (hours, slip, "outliers", "note"),
    "shifted": (walk, shifted, "level shifts", "note"),
    "shifted load": (hours, shifted, "level shifts", "note"),
    "coded": (shops, coded, "missing as a number", "wrong"),
    "coded load": (hours, coded, "missing as a number", "wrong"),
    "noughts": (shops, noughts, "zeros that may be missing", "note"),
    "still": (hours, still, "values that stand still", "note"),
    "returned": (shops, returned, "negative among positive", "note"),
    "later": (cold, later, "future rows", "wrong"),
    "alone": (cold, alone, "stamps far from the others", "wrong"),
    "spring": (hours, spring, "daylight saving", "wrong"),
    "unreadable": (shops, unreadable, "rows left out", "wrong"),
    "same": (shops, same, "target as an input", "note"),
    "known": (shops, known, "gives the target away", "wrong"),
    "ahead": (shops, ahead, "from the future", "wrong"),
    "unknown": (shops, unknown, "not known ahead", "note"),
    "mostly nothing": (rare, nothing, "mostly zeros", "note"),
    "same price": (shops, same_price, "constant covariate", "note"),
}

CLEAN = (shops, hours, walk, cold, rests)


def make(fault: str, seed: int) -> Planted:
    base, plant, _, _ = FAULTS[fault]
    planted = base(seed)
    plant(planted, random.Random(seed))
    return planted
