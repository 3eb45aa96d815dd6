"""`silmu use` on pictures in Parquet and in many tables, and on folders that only hold some."""

from __future__ import annotations

import base64
import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import silmu
from silmu import cli

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

Capture = pytest.CaptureFixture[str]
MODELS = Path(__file__).parent.parent / "models"
MODEL = str(MODELS / "vit-image")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures, below the folder that silmu is started in."""
    draw = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        path = tmp_path / "shards" / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def best(path: str) -> str:
    return silmu.pipeline(model=MODEL)(path)[0]["label"]


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("column", ["image", "other"])
@pytest.mark.parametrize("kind", [pa.string(), pa.binary()], ids=str)
def test_no_rows(kind: Any, column: str) -> None:
    pq.write_table(pa.table({column: pa.array([], kind)}), "a.parquet")
    for output in ("out.csv", "out.parquet"):
        assert cli.main(["use", MODEL, "--data", "a.parquet", "--output", output, "-q"]) == 0
    assert rows("out.csv") == []
    schema = pq.read_schema("out.parquet")
    assert schema.names == [column, "prediction", "score", "error"]
    assert schema.field(column).type == (pa.string() if column == "image" else kind)


def test_a_first_cell_that_holds_nothing(folder: Path) -> None:
    pq.write_table(pa.table({"n": ["x", "y"], "image": [None, "a.png"]}), "shards/a.parquet")
    assert cli.main(["use", MODEL, "--data", "shards/a.parquet", "--output", "o.csv", "-q"]) == 1
    told = rows("o.csv")
    assert told[0]["error"] == "there is no picture"
    assert told[1]["prediction"] == best("shards/a.png")


def test_paths_begin_where_tables_lie(folder: Path, capsys: Capture) -> None:
    for name, picture in (("1.csv", "a.png"), ("2.csv", "b.png")):
        (folder / "shards" / name).write_text(f"image\n{picture}\n")
    for pattern in ("shards/*.csv", "**/[12].csv", str(folder / "shards" / "?.csv")):
        assert cli.main(["use", MODEL, "--data", pattern, "--output", "o.csv", "-q"]) == 0
        told = [row["prediction"] for row in rows("o.csv")]
        assert told == [best("shards/a.png"), best("shards/b.png")]
    (folder / "3.csv").write_text("image\na.png\n")
    assert cli.main(["use", MODEL, "--data", "**/[1-9].csv", "--output", "o.csv"]) == 2
    assert "the tables lie in several folders" in capsys.readouterr().err


def test_what_begins_nowhere_may_be_in_tables_anywhere(folder: Path) -> None:
    data = (folder / "shards" / "a.png").read_bytes()
    text = base64.b64encode(data).decode()
    (folder / "1.csv").write_text(f"image\n{folder / 'shards' / 'a.png'}\n")
    (folder / "shards" / "2.csv").write_text(f"image\n{text}\n")
    assert cli.main(["use", MODEL, "--data", "**/[1-9].csv", "--output", "o.csv", "-q"]) == 0
    assert [row["prediction"] for row in rows("o.csv")] == [best("shards/a.png")] * 2


def test_a_folder_of_texts_with_a_logo(folder: Path, capsys: Capture) -> None:
    for name in ("good/1.txt", "bad/1.txt"):
        path = folder / "texts" / name
        path.parent.mkdir(parents=True)
        path.write_text(f"This is {path.parent.name}.")
    # Beside the texts of a class and, many of them, outside of any.
    for name in ("logo.png", "icon.png", "big.png", "good/logo.png"):
        shutil.copy(folder / "shards" / "a.png", folder / "texts" / name)
    model = str(MODELS / "bert-sequence")
    command = ["use", model, "--data", "texts", "--input", "text", "--output", "o.csv", "-q"]
    assert cli.main(command) == 0
    told = rows("o.csv")
    assert [row["text"] for row in told] == ["This is bad.", "This is good."]
    classify = silmu.pipeline(model=model)
    assert [row["prediction"] for row in told] == [
        one["label"] for one in classify([row["text"] for row in told])
    ]
    assert cli.main(["use", model, "--data", "shards"]) == 2
    assert "a folder of texts has one sub-folder for each label" in capsys.readouterr().err


def test_a_table_with_a_logo_beside_it(folder: Path) -> None:
    (folder / "shards" / "texts.csv").write_text("review\nI love this.\n")
    model = str(MODELS / "bert-sequence")
    assert cli.main(["use", model, "--data", "shards", "--output", "o.csv", "-q"]) == 0
    assert [row["review"] for row in rows("o.csv")] == ["I love this."]


def test_tables_with_a_few_pictures_beside_them(folder: Path) -> None:
    """Of a folder that is no folder of pictures, a model of pictures reads the tables."""
    for i in (1, 2, 3):
        (folder / "shards" / f"{i}.csv").write_text("image\na.png\n")
    assert cli.main(["use", MODEL, "--data", "shards", "--output", "o.csv", "-q"]) == 0
    assert [row["image"] for row in rows("o.csv")] == ["a.png"] * 3
    assert {row["prediction"] for row in rows("o.csv")} == {best("shards/a.png")}
