"""`silmu use` on pictures: paths, lines of stdin, folders and tables of paths."""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

import silmu
from silmu import cli

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(models: Path) -> str:
    return str(models / "vit-image")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four pictures, one of them deeper, one that is broken, and what is none."""
    draw = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "c d.png", "deep/e.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        small = draw.integers(0, 256, (5, 4, 3), np.uint8)
        Image.fromarray(small).resize((50, 40)).save(path)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (tmp_path / "photos" / ".hidden.png").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def best(model: str, path: str) -> dict[str, Any]:
    return silmu.pipeline("image-classification", model)(path)[0]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_paths(model: str, folder: Path, capsys: Capture) -> None:
    assert cli.main(["use", model, "photos/a.png", "photos/c d.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    label = best(model, "photos/a.png")["label"]
    assert len(lines) == 2
    assert lines[0].startswith(label)
    assert lines[0].endswith("photos/a.png")


def test_a_path_that_cannot_be_answered_leaves_the_others(
    model: str, folder: Path, capsys: Capture
) -> None:
    asked = ["photos/none.jpg", "photos", "photos/broken.jpg", "photos/b.jpg"]
    assert cli.main(["use", model, *asked, "--json"]) == 1
    told = capsys.readouterr()
    found = [json.loads(line) for line in told.out.splitlines()]
    assert found[0] == {"error": "there is no file `photos/none.jpg`"}
    assert found[1] == {"error": "`photos` is a folder"}
    assert "photos/broken.jpg` is broken" in found[2]["error"]
    assert found[3][0]["label"] == best(model, "photos/b.jpg")["label"]
    assert told.err.count("error: input") == 3


def test_lines_of_stdin(
    model: str, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = io.TextIOWrapper(io.BytesIO(b"photos/a.png\n\nphotos/c d.png\r\n\xff\xfe.png\n"))
    monkeypatch.setattr(sys, "stdin", lines)
    assert cli.main(["use", model, "-", "--json"]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for one, path in zip(found, ("photos/a.png", "photos/c d.png"), strict=False):
        assert one[0] == {**best(model, path), "score": pytest.approx(one[0]["score"], abs=1e-5)}
    assert "not UTF-8" in found[2]["error"]


def test_a_folder_becomes_a_table(model: str, folder: Path, capsys: Capture) -> None:
    assert cli.main(["use", model, "--data", "photos", "--output", "out.csv", "-q"]) == 1
    told = rows(folder / "out.csv")
    assert [row["path"] for row in told] == [
        "a.png",
        "b.jpg",
        "broken.jpg",
        "c d.png",
        "deep/e.png",
    ]
    assert [*told[0]] == ["path", "prediction", "score", "error"]
    for row in told:
        if row["path"] == "broken.jpg":
            assert row["prediction"] == ""
            assert "is broken" in row["error"]
            continue
        found = best(model, f"photos/{row['path']}")
        assert row["prediction"] == found["label"]
        assert float(row["score"]) == pytest.approx(found["score"], abs=1e-5)
    assert "1 of 5 rows could not be answered" in capsys.readouterr().err


def test_a_folder_is_printed_too(model: str, folder: Path, capsys: Capture) -> None:
    (folder / "photos" / "broken.jpg").unlink()
    assert cli.main(["use", model, "--data", "photos"]) == 0
    assert [line.rsplit("  ", 1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "a.png",
        "b.jpg",
        "c d.png",
        "deep/e.png",
    ]


def test_paths_of_a_table_begin_where_it_lies(model: str, folder: Path) -> None:
    table = folder / "photos" / "rows.csv"
    table.write_text(
        f"id,file\n1,a.png\n2,deep/e.png\n3,\n4,gone.png\n5,{folder / 'photos' / 'b.jpg'}\n"
    )
    assert cli.main(["use", model, "--data", str(table), "--output", "out.csv", "-q"]) == 1
    told = rows(folder / "out.csv")
    assert [*told[0]] == ["id", "file", "prediction", "score", "error"]
    assert told[1]["prediction"] == best(model, "photos/deep/e.png")["label"]
    assert told[2]["error"] == "there is no path"
    assert "there is no file" in told[3]["error"]
    assert told[4]["prediction"] == best(model, "photos/b.jpg")["label"]


def test_the_column_is_named_where_several_hold_pictures(
    model: str, folder: Path, capsys: Capture
) -> None:
    table = folder / "photos" / "rows.csv"
    table.write_text("left,right\na.png,b.jpg\n")
    assert cli.main(["use", model, "--data", str(table), "--output", "out.csv"]) == 2
    assert "2 columns of pictures among `left`, `right`" in capsys.readouterr().err
    command = ["use", model, "--data", str(table), "--input", "right", "--output", "out.csv"]
    assert cli.main([*command, "-q"]) == 0
    assert rows(folder / "out.csv")[0]["prediction"] == best(model, "photos/b.jpg")["label"]


def test_a_folder_with_more_than_pictures(model: str, folder: Path, capsys: Capture) -> None:
    (folder / "photos" / "README.md").write_text("five photographs")
    assert cli.main(["use", model, "--data", "photos", "--output", "out.csv", "-q"]) == 1
    told = rows(folder / "out.csv")
    assert [row["path"] for row in told][:3] == ["README.md", "a.png", "b.jpg"]
    assert "is no picture" in told[0]["error"]
    assert told[1]["prediction"] == best(model, "photos/a.png")["label"]


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("id,image\n1,\n2,a.png\n", "image"),
        ("label,photo\nx.png,\ny.png,a.png\n", "photo"),
        ("image,path\n12,a.png\n13,b.jpg\n", "path"),  # whose `image` is a number of it
        ("name,where\nx,data:x\ny,a.png\n", "where"),
        ("id,image\n1,a\n2,a.png\n", "image"),
    ],
    ids=["empty", "beside-another", "held-by-one", "address", "no-ending"],
)
def test_a_column_is_known_by_its_name(model: str, folder: Path, table: str, column: str) -> None:
    (folder / "photos" / "rows.csv").write_text(table)
    cli.main(["use", model, "--data", "photos/rows.csv", "--output", "out.csv", "-q"])
    answered = {row[column]: row["prediction"] for row in rows(folder / "out.csv")}
    assert answered["a.png"] == best(model, "photos/a.png")["label"]


def test_base64(model: str, folder: Path, capsys: Capture) -> None:
    whole = (folder / "photos" / "a.png").read_bytes()
    text = base64.b64encode(whole).decode()
    assert cli.main(["use", model, text, "n" * 300 + ".jpg"]) == 1
    told = capsys.readouterr()
    assert told.out.startswith(f"{best(model, 'photos/a.png')['label']} ")
    assert len(told.out) < 200
    assert "there is no file `nnn" in told.err
    assert len(told.err) < 200
    (folder / "rows.csv").write_text(f"image\n{text}\n{'n' * 300}.jpg\n{text[:-400]}\n")
    assert cli.main(["use", model, "--data", "rows.csv", "--output", "out.csv", "-q"]) == 1
    cells = rows(folder / "out.csv")
    assert cells[0]["prediction"] == best(model, "photos/a.png")["label"]
    assert "there is no file" in cells[1]["error"]
    assert "is broken" in cells[2]["error"]


def test_a_hub_regressor_writes_its_number(models: Path, folder: Path) -> None:
    shutil.copytree(models / "vit-image", folder / "one")
    config = json.loads((folder / "one" / "config.json").read_text())
    config |= {"problem_type": "regression", "id2label": {"0": "age"}, "label2id": {"age": 0}}
    (folder / "one" / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "one" / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = 100 * weights[name][:1]
    save_file(weights, folder / "one" / "model.safetensors")
    command = ["use", "one", "--data", "photos", "--output"]
    assert cli.main([*command, "out.csv", "-q"]) == 1
    assert cli.main([*command, "squeezed.csv", "--set", "function_to_apply=sigmoid", "-q"]) == 1
    pipe = silmu.pipeline(model=str(folder / "one"))
    for name, function in (("out.csv", "none"), ("squeezed.csv", "sigmoid")):
        number = pipe("photos/a.png", function_to_apply=function)[0]["score"]
        told = rows(folder / name)[0]
        assert float(told["prediction"]) == pytest.approx(number, abs=1e-4)
        assert told["score"] == ""
    assert not 0 <= float(rows(folder / "out.csv")[0]["prediction"]) <= 1


def test_what_was_begun_goes_on(
    model: str, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from silmu.cli import _images, _scoring

    monkeypatch.setattr(_images, "GROUP", 2)
    monkeypatch.setattr(_scoring, "PART_ROWS", 2)
    command = ["use", model, "--data", "photos", "--output", "out.jsonl"]
    assert cli.main(command) == 1
    whole = (folder / "out.jsonl").read_bytes()
    (folder / "out.jsonl").unlink()
    parts: list[str] = []
    keep = _scoring.store.remove
    monkeypatch.setattr(_scoring.store, "remove", lambda path: parts.append(str(path)))
    assert cli.main(command) == 1  # which leaves its parts, as a kill before the end does
    monkeypatch.setattr(_scoring.store, "remove", keep)
    assert parts
    shutil.rmtree(sorted(Path("out.jsonl.parts").glob("0*"))[-1])
    (folder / "out.jsonl").unlink()
    capsys.readouterr()
    assert cli.main(command) == 1
    assert "resuming behind 4 rows" in capsys.readouterr().err
    assert (folder / "out.jsonl").read_bytes() == whole
    assert not Path("out.jsonl.parts").exists()


def test_several_labels_where_they_are_asked_for(model: str, folder: Path) -> None:
    command = ["use", model, "--data", "photos", "--output", "out.jsonl", "--set", "top_k=2", "-q"]
    assert cli.main(command) == 1
    first = json.loads((folder / "out.jsonl").read_text().splitlines()[0])
    found = silmu.pipeline("image-classification", model)("photos/a.png", top_k=2)
    assert [one["label"] for one in first["prediction"]] == [one["label"] for one in found]


def test_export_of_pictures_is_measured_on_them(model: str, folder: Path, capsys: Capture) -> None:
    for data, count in (([], 32), (["--data", "photos"], 4)):
        target = folder / f"exported-{count}"
        assert cli.main(["export", model, "--output", str(target), "--json", *data]) == 0
        out, error = capsys.readouterr()
        told = json.loads(out)
        assert ("of `photos`, 1 could not be read" in error) is bool(data)
        assert told["pictures"] == count
        assert told["difference"]["max"] < 1e-5
        assert told["agreement"] == 1
        assert (target / "preprocessor_config.json").is_file()
        assert not (target / "tokenizer.json").exists()
