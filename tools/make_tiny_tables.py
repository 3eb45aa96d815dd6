"""Makes the tiny models for tables of tests/models, and what their networks answer.

    python tools/make_tiny_tables.py

Run it in .venv-train. Each is trained for some steps on rows that are drawn here, so that what they
answer depends on every column; the graphs are left out, since silmu builds them from the weights.
tests/golden/tables.json holds rows, and the logits of the network of torch itself.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

import silmu
from silmu.runtime.folder import Folder
from silmu.runtime.table import Table
from silmu.steps.collect.dataset import Dataset
from silmu.steps.design import tables as design
from silmu.steps.prepare.prepared import Prepared

TESTS = Path(__file__).resolve().parent.parent / "tests"
GOLDEN = TESTS / "golden" / "tables.json"
NUM_ROWS, NUM_GOLDEN = 300, 12
SMALL = {"members": 3, "hidden_size": 12, "number_bins": 5, "number_size": 3, "category_size": 4}
TRAINING = {"max_steps": 400, "learning_rate": 0.01, "dtype": "fp32", "threads": 1}
FILES = ("config.json", "model.safetensors", "processor.json", "processor.safetensors")
WORDS = [
    "red",
    "blue",
    "old",
    "new",
    "warm",
    "cold",
    "quick",
    "slow",
    "bright",
    "dark",
    "좋은",
    "나쁜",
    "작은",
    "큰",
    "film",
    "song",
]
Row = dict[str, Any]


def of_every_kind(draw: random.Random, number: int) -> Row:
    """A row with a column of each kind that there is, as a CSV holds it."""
    day = datetime(2024, 1, 1) + timedelta(hours=draw.randrange(8000))
    age, fare, share = draw.randrange(1, 80), draw.uniform(5, 300), draw.randrange(101)
    sex, deck = draw.choice(["male", "female"]), draw.choice(["A", "B", "C", None])
    told = age / 40 + fare / 150 - share / 50 + (sex == "male") - (deck == "A") + day.month / 6
    return {
        "number": str(number),
        "same": "x",
        "age": None if number % 9 == 0 else str(age),
        "fare": f"{fare:.2f}",
        "share": f"{share}%",
        "price": f"${draw.randrange(1, 9)},{draw.randrange(100, 1000)}",
        "height, m": f"{draw.uniform(1, 2):.2f}".replace(".", ","),
        "sex": sex,
        "deck": "Z" if number == 50 else deck,
        "member": draw.choice(["true", "false"]),
        "seen": f"{day:%Y-%m-%d %H:%M}",
        "born": f"{draw.randrange(13, 29)}/{draw.randrange(1, 13)}/{draw.randrange(1950, 2000)}",
        "due": f"{day + timedelta(days=draw.randrange(99)):%Y-%m-%dT%H:%M:00}+09:00",
        "note": " ".join(draw.choices(WORDS, k=5)),
        "grade": str(max(1, min(4, round(told) + 1))),
    }


def of_categories(draw: random.Random, number: int) -> Row:
    """A row of categories, with two columns to be told."""
    colour, size = draw.choice(["red", "green", "blue"]), draw.choice(["S", "M", "L", None])
    return {
        "colour": colour,
        "size": size,
        "warm": int((colour == "red") ^ (draw.random() < 0.1)),
        "large": int((size == "L") ^ (number % 13 == 0)),
    }


def of_numbers(draw: random.Random, number: int) -> Row:
    """A row of numbers, with two columns to be told."""
    del number
    a, b = draw.gauss(0, 1), draw.gauss(50, 10)
    return {"a": a, "b": b, "sum": 10 * a + b + draw.gauss(0, 1), "other": 1000 - 5 * b}


MODELS: dict[str, tuple[Callable[[random.Random, int], Row], str, Row]] = {
    "table-single": (of_every_kind, "grade", {}),
    "table-ordered": (of_every_kind, "grade", {"labels": "ordered", "network": "perceptron"}),
    "table-multiple": (of_categories, "warm,large", {}),
    "table-number": (of_numbers, "sum", {"input": "a,b", "number_bins": 0}),
    "table-numbers": (of_numbers, "sum,other", {"normalise": "standard"}),
}


def main() -> None:
    torch.set_num_threads(1)
    golden: dict[str, Any] = {}
    for name, (row, target, changed) in MODELS.items():
        draw = random.Random(name)
        rows = [row(draw, number) for number in range(NUM_ROWS)]
        kind = "regression" if "number" in name else "classification"
        with tempfile.TemporaryDirectory() as place:
            run = silmu.train(
                f"tabular-{kind}",
                data=rows,
                target=target,
                output=Path(place) / name,
                until="train",
                settings={**SMALL, **TRAINING, **changed},
                quiet=True,
            )
            golden[name] = {
                "rows": rows[:NUM_GOLDEN],
                "logits": answered(run, rows[:NUM_GOLDEN]),
            }
            folder = TESTS / "models" / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for file in (*FILES, "schema.json"):
                if (run.model / file).exists():
                    shutil.copyfile(run.model / file, folder / file)
        size = sum(file.stat().st_size for file in folder.iterdir())
        sys.stdout.write(f"{name:20} {size / 1000:6.1f} kB\n")
    text = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
    GOLDEN.write_text(text.replace("},{", "},\n{") + "\n", encoding="utf-8")


def answered(run: silmu.Run, rows: list[Row]) -> list[list[float]]:
    """What the network of torch makes of rows, which no graph had a part in."""
    prepared = Prepared.open(run.path / "2-prepared", Dataset.open(run.path / "1-dataset"))
    network: Any = design.build(run.settings["network"], prepared, run.settings)
    network.load_state_dict(
        safetensors.torch.load_file(run.model / "model.safetensors"), strict=False
    )
    table = Table.open(Folder(run.model, run.model.name))
    columns = {one.name: [row[one.name] for row in rows] for one in table.read}
    inputs = {k: torch.from_numpy(v) for k, v in table.arrays(columns).arrays.items()}
    with torch.inference_mode():
        return network.eval().told(network(**inputs)).numpy().round(6).tolist()


if __name__ == "__main__":
    main()
