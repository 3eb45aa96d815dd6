"""Rows for tests of what comes after collect: a dataset of columns, and texts in two languages."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pyarrow as pa

from silmu import store
from silmu.steps.collect.dataset import ABOUT, DATA, ROWS, Dataset, Roles, about_bytes

GOOD = ["good", "fine", "lovely", "좋은", "재미있는", "훌륭한", "멋진", "great"]
BAD = ["bad", "awful", "dull", "나쁜", "지루한", "형편없는", "아쉬운", "poor"]
REST = ["영화", "배우", "이야기", "음악", "정말", "너무", "10점", "!", "the", "film", "was", "a"]
REST += ["story", "with", "music", "acting", "plot", "scene", "and"]


def dataset(folder: Path, columns: dict[str, Any], batch: int = 100, **roles: Any) -> Dataset:
    """A collected dataset of columns, in record batches of a size that divides nothing."""
    table = pa.table(columns)
    given = Roles(
        tuple(roles.pop("input", "text").split(",")),
        tuple(roles.pop("target", "label").split(",")),
        **roles,
    )
    fingerprint = hashlib.sha256(repr(table.to_pydict()).encode()).hexdigest()
    with store.new_folder(folder) as writer:
        with writer.open(DATA) as file, pa.ipc.new_file(file, table.schema) as out:
            out.write_table(table, batch)
        numbers = pa.table({"row": pa.array(range(1, len(table) + 1), pa.int64())})
        with writer.open(ROWS) as file, pa.ipc.new_file(file, numbers.schema) as out:
            out.write_table(numbers)
        about = about_bytes(
            name="rows",
            source="rows.csv",
            query=None,
            roles=given,
            fingerprint=fingerprint,
            rows_in=len(table),
            dropped=[],
        )
        writer.write(ABOUT, about)
    return Dataset.open(folder)


def reviews(count: int, seed: int = 0, words: int = 9) -> tuple[list[str], list[str]]:
    """Texts, no two of which are alike, and whether they are good or bad."""
    draw = random.Random(seed)
    texts: list[str] = []
    labels: list[str] = []
    for number in range(count):
        label = draw.choice(["good", "bad"])
        own = draw.choices(GOOD if label == "good" else BAD, k=3)
        some = own + draw.choices(REST, k=draw.randint(words - 5, words + 5))
        draw.shuffle(some)
        # Two words that nobody else has keep even short texts apart.
        marks = hashlib.sha256(f"{seed}/{number}".encode()).hexdigest()
        texts.append(f"{marks[:14]} {' '.join(some)} {marks[14:28]}")
        labels.append(label)
    return texts, labels
