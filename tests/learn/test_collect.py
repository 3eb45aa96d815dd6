"""Collect: every kind of source gives the same rows, and says what it left out."""

from __future__ import annotations

import bz2
import gzip
import json
import logging
import os
import pickle
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from silmu import store
from silmu.errors import (
    CorruptError,
    InputError,
    MissingExtraError,
    StoreError,
    UnknownNameError,
    UsageError,
    WrongTypeError,
)
from silmu.steps.collect import collect, describe, rows, streams
from silmu.steps.collect.dataset import BATCH, Dataset
from silmu.steps.collect.streams import Text

Collect = Callable[..., Dataset]

ROWS = [
    {"id": "007", "review": "참 좋았어요, 정말!\n또 볼게요", "label": "good"},
    {"id": "008", "review": 'He said "no", twice', "label": "bad"},
    {"id": "1234567890123456", "review": "돈이 아깝다; 시간도 아깝다", "label": "bad"},
    {"id": None, "review": "NA", "label": "null"},
]


@pytest.fixture
def run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Collect:
    """collect() into a new folder each time."""
    caplog.set_level(logging.INFO, "silmu")
    count = iter(range(1000))

    def collected(source: Any, **options: Any) -> Dataset:
        dataset = collect(source, tmp_path / f"dataset-{next(count)}", **options)
        dropped = sum(drop.count for drop in dataset.dropped)
        assert dataset.rows_in == dataset.num_rows + dropped
        assert len(dataset.row_numbers) == dataset.num_rows
        assert sum(batch.num_rows for batch in dataset.batches()) == dataset.num_rows
        for drop in dataset.dropped if "query" not in options else ():
            assert not {*drop.rows} & {*dataset.row_numbers.tolist()}
        return dataset

    return collected


def content(dataset: Dataset) -> list[dict[str, Any]]:
    return [row for batch in dataset.batches() for row in batch.to_pylist()]


def drops(dataset: Dataset) -> dict[str, tuple[int, ...]]:
    return {drop.reason: drop.rows for drop in dataset.dropped}


def table(delimiter: str = ",", end: str = "\r\n") -> str:
    """ROWS as a spreadsheet saves them."""

    def cell(value: str | None) -> str:
        value = value or ""
        odd = any(letter in value for letter in f'{delimiter}"\n')
        return '"{}"'.format(value.replace('"', '""')) if odd else value

    lines = [delimiter.join(ROWS[0]), *(delimiter.join(map(cell, row.values())) for row in ROWS)]
    return "".join(line + end for line in lines)


# ── every kind of source ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp949", "utf-32"]
)
def test_a_table_is_read_as_it_was_saved(
    run: Collect, tmp_path: Path, delimiter: str, encoding: str
) -> None:
    path = tmp_path / "reviews.csv"
    path.write_bytes(table(delimiter).encode(encoding))
    dataset = run(path)
    assert content(dataset) == ROWS
    assert dataset.dropped == ()
    assert (dataset.roles.input, dataset.roles.target) == (("review",), ("label",))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_any_way(run: Collect, tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f"text,label{end}a b,x{end}c d,y".encode())
    assert content(run(path)) == [{"text": "a b", "label": "x"}, {"text": "c d", "label": "y"}]


def sources(folder: Path) -> Iterator[tuple[str, Any]]:
    """ROWS in everything that can hold them."""
    frame = pd.DataFrame(ROWS)
    arrow = pa.Table.from_pylist(ROWS)
    text = table().encode()
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    files = {
        "a.csv": text,
        "a.tsv": table("\t").encode(),
        "a.csv.gz": gzip.compress(text),
        "named-wrongly.csv": gzip.compress(text),
        "a.csv.bz2": bz2.compress(text),
        "a.csv.zst": pa.compress(text, "zstd", asbytes=True),
        "two-parts.csv.gz": gzip.compress(text[:50]) + gzip.compress(text[50:]),
        "a.jsonl": lines,
        "a.jsonl.gz": gzip.compress(lines),
        "a.json": json.dumps(ROWS).encode(),
        "indented.json": json.dumps(ROWS, indent=2, ensure_ascii=False).encode("utf-8-sig"),
        "no-ending": json.dumps(ROWS).encode("utf-16"),
        "columns.json": json.dumps(
            {name: [row[name] for row in ROWS] for name in ROWS[0]}
        ).encode(),
        "under-a-name.json": json.dumps({"version": 1, "data": ROWS}, indent=1).encode(),
        "of-pandas.json": str(frame.to_json()).encode(),
        "of-pandas-split.json": str(frame.to_json(orient="split")).encode(),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
        yield name, folder / name
    pq.write_table(arrow, folder / "a.parquet", row_group_size=2)
    yield "parquet", str(folder / "a.parquet")
    pq.write_table(arrow, folder / "wrongly.csv", use_dictionary=True)
    yield "parquet, named csv", str(folder / "wrongly.csv")
    with pa.ipc.new_file(str(folder / "a.arrow"), arrow.schema) as file:
        file.write_table(arrow, max_chunksize=3)
    yield "arrow", folder / "a.arrow"
    connection = sqlite3.connect(folder / "a.db")
    connection.execute("CREATE TABLE reviews (id TEXT, review TEXT, label TEXT)")
    connection.executemany("INSERT INTO reviews VALUES (:id, :review, :label)", ROWS)
    connection.commit()
    connection.close()
    yield "sqlite", folder / "a.db"
    yield "sqlite by name", f"sqlite:///{folder}/a.db"
    yield "sqlite by query", f"sqlite:///{folder}/a.db?SELECT * FROM reviews"
    yield "pandas", frame
    yield "pandas, filtered", pd.concat([frame, frame]).iloc[:4][lambda f: f.label != ""]
    yield "pandas, categories", frame.astype({"label": "category"})
    yield "arrow table", arrow
    yield "arrow batch", arrow.to_batches()[0]
    yield "arrow, large", arrow.cast(pa.schema([(name, pa.large_string()) for name in ROWS[0]]))
    yield "list", ROWS
    yield "iterator", iter(ROWS)
    yield "generator", (row for row in ROWS)
    yield "columns", {name: [row[name] for row in ROWS] for name in ROWS[0]}
    yield (
        "columns of numpy",
        {name: np.array([row[name] for row in ROWS], object) for name in ROWS[0]},
    )


def test_the_same_rows_have_the_same_fingerprint_wherever_they_are(
    run: Collect, tmp_path: Path
) -> None:
    found = {}
    for name, source in sources(tmp_path):
        dataset = run(source)
        assert content(dataset) == ROWS, name
        found[name] = dataset.fingerprint
    assert len(found) > 25
    assert len({*found.values()}) == 1, found


@pytest.mark.parametrize(("row", "name"), [(0, "id"), (3, "review"), (3, "id"), (2, "label")])
def test_a_changed_cell_changes_the_fingerprint(run: Collect, row: int, name: str) -> None:
    changed = [dict(one) for one in ROWS]
    changed[row][name] = (changed[row][name] or "") + "x"
    assert run(changed).fingerprint != run(ROWS).fingerprint


def test_text_that_moves_to_the_next_cell_changes_the_fingerprint(run: Collect) -> None:
    one = [{"text": "ab", "label": "x"}, {"text": "c", "label": "x"}]
    other = [{"text": "a", "label": "x"}, {"text": "bc", "label": "x"}]
    assert run(one).fingerprint != run(other).fingerprint
    assert run(one).fingerprint != run([*reversed(one)]).fingerprint
    assert (
        run(one).fingerprint != run([{"texts": r["text"], "label": "x"} for r in one]).fingerprint
    )


def test_where_a_value_is_missing_changes_the_fingerprint(run: Collect) -> None:
    one = [{"text": "a", "label": "x", "id": None}, {"text": "b", "label": "x", "id": "7"}]
    other = [{**row, "id": id} for row, id in zip(one, ["7", None], strict=True)]
    assert run(one).fingerprint != run(other).fingerprint
    assert run(one).fingerprint != run([{**row, "id": row["id"] or ""} for row in one]).fingerprint


def test_chunks_do_not_change_the_fingerprint(run: Collect) -> None:
    whole = pa.table(
        {
            "text": [f"text {n}" for n in range(1000)],
            "label": pa.array([None if n % 7 == 0 else ["a", "b"][: n % 3] for n in range(1000)]),
            "size": pa.array([None if n % 5 == 0 else n / 3 for n in range(1000)]),
            "seen": pa.array([bool(n % 2) for n in range(1000)]),
        }
    )
    cut = pa.concat_tables([whole.slice(0, 1), whole.slice(1, 500), whole.slice(501)])
    options = {"input": "text", "target": "label"}
    one = run(whole, **options)
    assert one.fingerprint == run(cut, **options).fingerprint
    assert one.fingerprint == run(whole.slice(0), **options).fingerprint
    assert one.fingerprint != run(whole.slice(2), **options).fingerprint


def test_values_of_json_keep_their_types(run: Collect) -> None:
    given = [
        {"text": "a b c", "label": 1, "tags": ["x", "y"], "n": 1, "deep": {"a": [1]}, "odd": 1},
        {"text": "d e f", "label": 0, "tags": [], "n": 2.5, "deep": None, "odd": "one"},
        {"text": "g", "label": 1, "n": float("nan"), "big": 2**70, "far": 1e309, "odd": True},
    ]
    dataset = run(given, input="text", target="label")
    assert [str(field.type) for field in dataset.schema] == [
        "string", "int64", "list<item: string>", "double", "string", "string", "string", "double"
    ]  # fmt: skip
    assert content(dataset)[0]["deep"] == '{"a": [1]}'
    assert [row["odd"] for row in content(dataset)] == ["1", "one", "true"]
    assert [row["n"] for row in content(dataset)] == [1.0, 2.5, None]
    assert content(dataset)[2]["big"] == str(2**70)
    assert content(dataset)[1]["tags"] == []
    assert content(dataset)[2]["tags"] is None


def test_a_long_number_beside_fractions_keeps_its_digits(run: Collect) -> None:
    given = [
        {"text": "a", "label": "x", "id": 9007199254740993},
        {"text": "b", "label": "y", "id": 0.5},
    ]
    assert [row["id"] for row in content(run(given))] == ["9007199254740993", "0.5"]


def test_files_of_one_pattern_are_read_one_after_another(run: Collect, tmp_path: Path) -> None:
    (tmp_path / "p-1.csv").write_text("text,label\na b,x\n,y\nc d,y\n")
    (tmp_path / "p-2.csv").write_bytes("label;text\nx;한글 문장\n;e f\n".encode("cp949"))
    dataset = run(f"{tmp_path}/p-*.csv")
    assert [row["text"] for row in content(dataset)] == ["a b", "c d", "한글 문장"]
    assert dataset.row_numbers.tolist() == [1, 3, 4]
    assert drops(dataset) == {"`text` is missing": (2,), "`label` is missing": (5,)}
    assert run(tmp_path / "p-*.csv").fingerprint == dataset.fingerprint
    (tmp_path / "p-3.csv").write_text("text,mark\na,x\n")
    with pytest.raises(InputError, match=r"p-3\.csv.*same columns.*`label`, `mark`"):
        run(f"{tmp_path}/p-*.csv")
    (tmp_path / "p-3.csv").unlink()
    (tmp_path / "p-4.jsonl").write_text('{"text": "a", "label": "x"}\n')
    with pytest.raises(UsageError, match="different kinds"):
        run(f"{tmp_path}/p-*")


def test_a_folder_of_tables_is_read_as_one(run: Collect, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    for number in range(3):
        pq.write_table(
            pa.table({"text": [f"part {number}"], "label": ["x"]}), parts / f"{number}.parquet"
        )
    assert [row["text"] for row in content(run(parts))] == ["part 0", "part 1", "part 2"]


def test_many_tiny_files_become_few_batches(run: Collect, tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}.jsonl").write_text(f'{{"text": "t {number}", "label": "x"}}\n')
    dataset = run(f"{tmp_path}/*.jsonl")
    assert dataset.num_rows == 300
    assert len(list(dataset.batches())) == 1


def test_a_file_inside_a_package_is_read_without_importing_it(
    run: Collect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "planted_reviews"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('it was imported')")
    (package / "data" / "a.csv").write_bytes(table().encode())
    (tmp_path / "site" / "secret.csv").write_bytes(table().encode())
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert content(run("package:planted_reviews/data/a.csv")) == ROWS
    assert "planted_reviews" not in sys.modules
    for name in ("../secret.csv", "data/../../secret.csv", "/etc/passwd"):
        with pytest.raises(UsageError):
            run(f"package:planted_reviews/{name}")


# ── the hub ────────────────────────────────────────────────────────────────────────────────────


def cached(root: Path, files: dict[str, int], revision: str = "main") -> None:
    """A data set as huggingface_hub leaves it in its cache."""
    top = root / "datasets--me--reviews"
    commit = ("a" if revision == "main" else "b") * 40
    (top / "refs" / revision).parent.mkdir(parents=True, exist_ok=True)
    (top / "refs" / revision).write_text(commit)
    (top / "blobs").mkdir(exist_ok=True)
    for name, count in files.items():
        blob = top / "blobs" / name.replace("/", "-")
        pq.write_table(pa.table({"text": [name] * count, "label": [0, 1] * (count // 2)}), blob)
        link = top / "snapshots" / commit / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))


def test_a_hub_data_set_is_its_parquet_files(
    run: Collect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cached(tmp_path / "hub", {"data/train-0-of-1.parquet": 4, "data/test-0-of-1.parquet": 2})
    dataset = run("me/reviews")
    assert [row["split"] for row in content(dataset)] == ["test"] * 2 + ["train"] * 4
    assert dataset.roles.split == "split"
    assert dataset.name == "reviews"
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE"):
        run("me/others")
    # A link that leads out of the cache is none of its own.
    (tmp_path / "secret.parquet").write_bytes(
        (tmp_path / "hub/datasets--me--reviews/blobs/data-test-0-of-1.parquet").read_bytes()
    )
    snapshot = tmp_path / "hub/datasets--me--reviews/snapshots" / ("a" * 40)
    (snapshot / "data" / "validation.parquet").symlink_to(tmp_path / "secret.parquet")
    assert run("me/reviews").num_rows == 6


def test_the_parts_of_a_hub_data_set(
    run: Collect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cached(
        tmp_path / "hub",
        {"ko/train/0000.parquet": 2, "ko/test/0000.parquet": 2, "en/train/0000.parquet": 4},
        "refs/convert/parquet",
    )
    with pytest.raises(UsageError, match="several parts: `en`, `ko`"):
        run("me/reviews")
    assert [row["split"] for row in content(run("me/reviews/ko"))] == ["test"] * 2 + ["train"] * 2
    with pytest.raises(UsageError, match="has no part `fr`"):
        run("me/reviews/fr")


def test_what_the_cache_lacks_is_fetched(
    run: Collect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    asked: list[tuple[str, dict[str, Any]]] = []

    def download(name: str, **options: Any) -> str:
        asked.append((name, options))
        cached(tmp_path / "hub", {"data/train.parquet": 4})
        return str(tmp_path / "hub/datasets--me--reviews/snapshots" / ("a" * 40))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert run("me/reviews").num_rows == 4
    assert run("me/reviews").num_rows == 4
    assert len(asked) == 1, "what the cache holds is not asked for again"
    assert asked[0][1]["repo_type"] == "dataset"
    assert asked[0][1]["allow_patterns"] == ["*.parquet"]


# ── folders of texts ───────────────────────────────────────────────────────────────────────────


def texts(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return root


def test_a_folder_has_a_sub_folder_for_each_label(run: Collect, tmp_path: Path) -> None:
    root = texts(tmp_path / "mail", {"spam/2.txt": "buy", "spam/1.txt": "win", "ham/a": "안녕"})
    dataset = run(root)
    assert content(dataset) == [
        {"text": "안녕", "label": "ham", "file": "ham/a"},
        {"text": "win", "label": "spam", "file": "spam/1.txt"},
        {"text": "buy", "label": "spam", "file": "spam/2.txt"},
    ]
    assert dataset.name == "mail"


def test_a_folder_may_hold_splits(run: Collect, tmp_path: Path) -> None:
    root = texts(tmp_path / "m", {"train/pos/1": "a", "train/neg/1": "b", "test/pos/1": "c"})
    dataset = run(root)
    assert dataset.roles.split == "split"
    assert [(row["split"], row["label"]) for row in content(dataset)] == [
        ("test", "pos"), ("train", "neg"), ("train", "pos")
    ]  # fmt: skip
    # `train` and `test` with files in them are labels, for want of others.
    assert run(texts(tmp_path / "n", {"train/1": "a", "test/1": "b"})).roles.split is None


@pytest.mark.timeout(20)
def test_what_is_no_text_in_a_folder_is_counted(run: Collect, tmp_path: Path) -> None:
    root = texts(
        tmp_path / "mail",
        {
            "ham/.DS_Store": "x",
            "ham/Thumbs.db": "x",
            "ham/a-empty": "",
            "ham/b-blank": " \u200b\n",
            "ham/c": "good",
            "ham/__MACOSX/c": "x",
            ".git/config": "x",
            "empty/.gitkeep": "",
        },
    )
    (tmp_path / "secret").write_text("secret")
    ham = root / "ham"
    (ham / "d-binary").write_bytes(b"\x00\x01\x02text")
    (ham / "d-broken").write_bytes("좋은 문장 ".encode() * 9 + b"\xff\xff")
    (ham / "e-link-out").symlink_to(tmp_path / "secret")
    (ham / "f-link-inside").symlink_to(ham / "c")
    (ham / "g-loop").symlink_to(root)
    (ham / "h-self").symlink_to(ham / "h-self")
    (ham / "i-nowhere").symlink_to(ham / "nothing")
    os.mkfifo(ham / "j-pipe")
    with socket.socket(socket.AF_UNIX) as unix:
        here = Path.cwd()
        os.chdir(ham)  # the name of a socket must be short
        unix.bind("k-socket")
        os.chdir(here)
    with (ham / "l-sparse").open("wb") as file:
        file.truncate(2**40)
    (root / "linked-class").symlink_to(tmp_path)
    dataset = run(root)
    assert [row["file"] for row in content(dataset)] == ["ham/c", "ham/f-link-inside"]
    assert {drop.reason: drop.count for drop in dataset.dropped} == {
        "the file is hidden": 4,
        "`text` is blank": 2,
        "the file is not text": 2,
        "it is a link that leads out of the folder, to a folder or nowhere": 4,
        "it is not a regular file": 2,
        "the file has more than 64 MB": 1,
    }
    assert b"secret" not in (dataset.path / "data.arrow").read_bytes()


NAMES = ["-rf", "CON", "😀", "가" * 80, "line\nbreak", " blank ", "a,b", '"', "A", "a", "..."]


def test_names_of_classes_are_only_data(run: Collect, tmp_path: Path) -> None:
    root = texts(
        tmp_path / "odd", {f"{name}/1.txt": f"text of {n}" for n, name in enumerate(NAMES)}
    )
    Path(os.fsdecode(os.fsencode(root) + b"/\xff")).mkdir()
    Path(os.fsdecode(os.fsencode(root) + b"/\xff/1")).write_text("of no name")
    labels = {row["label"] for row in content(run(root))}
    assert labels == {*NAMES, "\\udcff"} - {"..."}


# ── roles ──────────────────────────────────────────────────────────────────────────────────────

LONG = ["a text that goes on for a while", "and another one that does so too", "a third one, long"]


@pytest.mark.parametrize(
    ("columns", "input", "target"),
    [
        (["id", "review", "label"], "review", "label"),
        (["리뷰", "라벨"], "리뷰", "라벨"),
        (["라벨", "문장"], "문장", "라벨"),
        (["Content", "Category"], "Content", "Category"),
        (["id", "comment", "emotions"], "comment", "emotions"),
        (["sentence1", "sentence2", "label"], "sentence1,sentence2", "label"),
        (["what", "kind"], "what", "kind"),
        (["kind", "what"], "what", "kind"),
    ],
)
def test_roles_are_guessed_and_said(
    run: Collect, caplog: pytest.LogCaptureFixture, columns: list[str], input: str, target: str
) -> None:
    long = {*input.split(","), "what"}
    data = [
        {name: LONG[n % 3] + str(n) if name in long else f"{n % 2}" for name in columns}
        for n in range(20)
    ]
    if "id" in columns:
        data = [{**row, "id": str(n)} for n, row in enumerate(data)]
    roles = run(data).roles
    assert roles.input == tuple(input.split(","))
    assert roles.target == (target,)
    assert "give --input and --target to change that" in caplog.text
    caplog.clear()
    assert run(data, input=input, target=target).roles == roles
    assert "reading" not in caplog.text


def test_a_name_that_is_not_there_is_answered_with_the_nearest(run: Collect) -> None:
    with pytest.raises(
        UnknownNameError, match=r"(?s)no column `Reviw` .*did you mean `review`"
    ) as told:
        run(ROWS, input="Reviw")
    assert "`id`, `review`, `label`" in str(told.value)
    for role in ("target", "group", "time"):
        with pytest.raises(UnknownNameError, match=f"to be the {role}"):
            run(ROWS, **{role: "nothing"})
    with pytest.raises(UsageError, match="both the input and the target"):
        run(ROWS, input="review", target="review")
    with pytest.raises(UsageError, match="named twice"):
        run(ROWS, input="review,review")
    with pytest.raises(UsageError, match="kind is 'sound'"):
        run(ROWS, kind="sound")


def test_a_title_above_a_table_is_told(run: Collect, tmp_path: Path) -> None:
    path = tmp_path / "titled.csv"
    path.write_text("Reviews of 2024\n\nreview,label\ngood,p\nbad,n\n")
    with pytest.raises(UsageError) as raised:
        run(path)
    assert "and no title" in str(raised.value)


def test_roles_that_cannot_be_told_are_asked_for(run: Collect) -> None:
    with pytest.raises(UsageError, match="which column holds the labels"):
        run([{"text": f"text {n}", "n": f"{n}"} for n in range(10)])
    with pytest.raises(UsageError, match="which column holds the texts"):
        run([{"a": f"w{n}", "b": f"v{n}", "label": "x"} for n in range(10)])
    with pytest.raises(UsageError, match="holds int64, not texts"):
        run([{"n": n, "label": "x"} for n in range(10)], input="n")


def test_a_group_is_suggested_and_not_taken(run: Collect, caplog: pytest.LogCaptureFixture) -> None:
    data = [{"text": f"text {n}", "label": f"{n % 2}", "movie_id": f"{n // 4}"} for n in range(40)]
    assert run(data).roles.group is None
    assert "--group movie_id" in caplog.text
    caplog.clear()
    assert run(data, group="movie_id").roles.group == "movie_id"
    assert "looks like" not in caplog.text
    run([{**row, "movie_id": str(n)} for n, row in enumerate(data)])
    assert "looks like" not in caplog.text, "a number for each row is no group"


def test_a_split_is_one_by_name_and_by_values(run: Collect) -> None:
    data = [{"text": f"t {n}", "label": f"{n % 2}", "split": "train"} for n in range(5)]
    assert run(data).roles.split == "split"
    assert run([*data, {**data[0], "split": "banana"}]).roles.split is None


# ── what is dropped ────────────────────────────────────────────────────────────────────────────


def test_rows_without_a_text_or_a_label_are_dropped_by_reason(
    run: Collect, caplog: pytest.LogCaptureFixture
) -> None:
    data = [
        {"text": "a", "label": "x"},
        {"text": None, "label": "x"},
        {"text": " \u3000\u200b\ufeff\t", "label": "x"},
        {"text": "b", "label": None},
        {"text": "c", "label": "  "},
        {"text": None, "label": None},
        {"text": "d", "label": "y"},
    ]
    dataset = run(data)
    assert drops(dataset) == {
        "`text` is missing": (2, 6),
        "`text` is blank": (3,),
        "`label` is missing": (4,),
        "`label` is blank": (5,),
    }
    assert dataset.row_numbers.tolist() == [1, 7]
    assert "5 of 7 rows were dropped: 2 because `text` is missing" in caplog.text
    assert run(data, input="text", target="label", need_target=False).num_rows == 4


def test_rows_of_a_table_that_do_not_fit_are_dropped(run: Collect, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "text,label\n"
        "one,x\n"
        "two\n"
        "three,x,y\n"
        '"four "quoted" here",x\n'
        "five,x,,\n"
        "\n"
        '"never closed,x\n'
        "seven,x\n"
        '"eight, with a comma",y\n'
        "nine\0,y\n"
        "ten,y\n"
        '"the last is never closed,y\n'
        "\n\n"
    )
    dataset = run(path)
    assert [row["text"] for row in content(dataset)] == [
        "one", "five", "seven", "eight, with a comma", "ten"
    ]  # fmt: skip
    assert drops(dataset) == {
        "it has fewer cells than there are columns": (2,),
        "it has more cells than there are columns": (3,),
        "its quotes do not match": (4, 7, 12),
        "the line is empty": (6,),
        "it holds the character NUL": (10,),
    }


def test_quotes_between_tabs_may_be_letters(run: Collect, tmp_path: Path) -> None:
    """As in sets of Korean reviews, which quote nothing: one quote may seem to close another."""
    path = tmp_path / "ratings.txt"
    path.write_text(
        'id\tdocument\tlabel\n1\t"굿\t1\n2\t별로다\t0\n3\t"최고" 라더니 좋다"\t1\n4\t좋다"\t1\n'
        '5\t"양쪽 따옴표"\t1\n6\t"두 줄\n입니다"\t0\n7\t"끝\t0\n'
    )
    dataset = run(path)
    assert [row["document"] for row in content(dataset)] == [
        '"굿', "별로다", '"최고" 라더니 좋다"', '좋다"', "양쪽 따옴표", "두 줄\n입니다", '"끝'
    ]  # fmt: skip
    assert dataset.dropped == ()


def test_bytes_that_do_not_fit_the_encoding_cost_their_row_only(
    run: Collect, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    for encoding in ("utf-8", "cp949"):
        lines = [f"문장 {n},좋음".encode(encoding) for n in range(50)]
        lines[10] = b"broken \xff\xff here,x"
        path.write_bytes(b"text,label\n" + b"\n".join(lines))
        dataset = run(path)
        assert drops(dataset) == {f"it holds bytes that are not {encoding.upper()}": (11,)}
        assert content(dataset)[0]["text"] == "문장 0"


def test_rows_of_json_lines_that_are_broken_are_dropped(run: Collect, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    good = '{"text": "fine", "label": "x"}'
    lines = [
        good, "{", "[1]", "null", '"text"', '{"text": "a", "text": "b", "label": "x"}',
        '{"text": "\\ud800", "label": "x"}', '{"text": "a", "label": "x"},', "", good,
        '{"text": "a", "label": ' + "[" * 100000, '{"text": ' + "1" * 10000 + "}",
        '{"text": "n", "label": NaN}', "{'text': 'a'}", good,
    ]  # fmt: skip
    path.write_text("\n".join(lines))
    dataset = run(path)
    assert dataset.row_numbers.tolist() == [1, 9, 14]
    assert drops(dataset) == {
        "it is not JSON": (2, 8, 10, 11, 13),
        "it is not a JSON object": (3, 4, 5),
        "it names a key twice": (6,),
        "it holds half a character (a lone surrogate)": (7,),
        "`label` is missing": (12,),
    }


ONE_OBJECT = [
    ('{"text": "a", "label": "x"}', [{"text": "a", "label": "x"}]),
    ('{"text": "a", "of": [{"b": 1}]}', [{"text": "a", "of": '[{"b": 1}]'}]),
    ('{"text": ["a", "b"],\n "label": ["x", null]}', [{"text": "a", "label": "x"}]),
]


@pytest.mark.parametrize(("text", "rows"), ONE_OBJECT)
def test_one_object_is_a_row_or_a_table(
    run: Collect, tmp_path: Path, text: str, rows: list[Any]
) -> None:
    (tmp_path / "a.json").write_text(text)
    assert content(run(tmp_path / "a.json", target=[*rows[0]][1])) == rows


def test_an_object_that_is_no_table_is_refused_with_what_would_be_one(
    run: Collect, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text('{\n"text": ["a", "b"],\n"label": ["x"]\n}')
    with pytest.raises(InputError, match=r"(?s)neither an array.*as columns of one length"):
        run(tmp_path / "a.json")


def test_nothing_left_is_an_error_that_says_why(run: Collect, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of the 3 rows .*3 because `text` is missing"):
        run([{"text": None, "label": "x"}] * 3, input="text", target="label")
    with pytest.raises(InputError, match="has no rows"):
        run([])
    (tmp_path / "a.csv").write_text("text,label\n")
    with pytest.raises(InputError, match="has no rows"):
        run(tmp_path / "a.csv")
    left = [path.name for path in tmp_path.iterdir() if path.is_dir()]
    assert left == [], "a collection that failed leaves no folder"


def test_many_dropped_rows_are_all_counted_and_some_named(run: Collect) -> None:
    data = [{"text": "a" if n % 3 == 0 else None, "label": "x"} for n in range(9000)]
    (drop,) = run(data, input="text", target="label").dropped
    assert drop.count == 6000
    assert len(drop.rows) == 1000
    assert drop.rows[:3] == (2, 3, 5)


# ── queries ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "list", "generator"])
def test_a_query_chooses_rows(run: Collect, tmp_path: Path, kind: str) -> None:
    data = [{"text": f"text {n}", "category": ["good", "bad", "plot"][n % 3]} for n in range(30000)]
    frame = pd.DataFrame(data)
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    source = {"list": data, "generator": (row for row in data)}.get(kind, path)
    dataset = run(source, query="SELECT * FROM data WHERE category <> 'plot'")
    assert content(dataset) == [row for row in data if row["category"] != "plot"]
    assert dataset.query == "SELECT * FROM data WHERE category <> 'plot'"


def test_a_query_may_read_its_table_twice(run: Collect, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,x\nbroken\nb,x\nc,y\n")
    query = """
        SELECT text, label, size FROM data
        JOIN (SELECT label, count(*) AS size FROM data GROUP BY label) USING (label)
        ORDER BY text
    """
    dataset = run(tmp_path / "a.csv", query=query, input="text", target="label")
    assert [row["size"] for row in content(dataset)] == [2, 2, 1]
    reason = "before the query, it has fewer cells than there are columns"
    assert drops(dataset) == {reason: (2,)}


FORBIDDEN = """
SELECT 1; SELECT 2|DROP TABLE data|DELETE FROM data|ATTACH '{0}' AS x|COPY data TO '{0}.out'
INSTALL httpfs|LOAD httpfs|PRAGMA database_list|SET threads = 1|CREATE TABLE x AS FROM data
SELECT * FROM read_csv('{0}')|SELECT * FROM '{0}'|SELECT * FROM read_text('{0}')
SELECT * FROM glob('/*')|SELECT * FROM read_parquet('{0}')|SELECT * FROM read_blob('{0}')
SELECT * FROM sqlite_scan('{0}', 'x')|SELECT * FROM 'https://example.com/x.csv'
COPY (SELECT 1) TO '{0}.out'|EXPORT DATABASE '{0}.out'|CALL pragma_version()|EXPLAIN SELECT 1
SELEC|SELECT nothing FROM data|SELECT * FROM nothing|SELECT * FROM secret_frame||;|-- only
SELECT getenv('HOME')|SELECT text, text FROM data|WITH x AS (DELETE FROM data RETURNING *) FROM x
"""


@pytest.mark.parametrize("query", FORBIDDEN.strip().replace("\n", "|").split("|"))
def test_a_query_can_only_select_from_the_data(run: Collect, tmp_path: Path, query: str) -> None:
    secret_frame = pd.DataFrame({"text": ["canary"], "label": ["x"]})
    (tmp_path / "secret.csv").write_text(secret_frame.to_csv(index=False))
    before = sorted(tmp_path.iterdir())
    with pytest.raises((UsageError, InputError)):
        run(ROWS, query=query.format(tmp_path / "secret.csv"))
    assert sorted(tmp_path.iterdir()) == before


def test_what_fails_in_a_source_is_told_through_a_query(run: Collect, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"text": "a", "label": "x"}, {"text": ')
    with pytest.raises(InputError, match=r"row 2 of .* is not JSON"):
        run(tmp_path / "a.json", query="SELECT * FROM data")
    with pytest.raises(UsageError, match="cannot be answered: Conversion"):
        run(ROWS, query="SELECT review AS text, review::INT AS label FROM data")


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM reviews", "ATTACH '{0}' AS x", "SELECT 1; SELECT 2", "PRAGMA user_version = 3",
        "SELECT load_extension('x')", "CREATE TABLE x (y)", "UPDATE reviews SET label = 'x'",
        "SELECT 1 AS a, 2 AS a", "VACUUM INTO '{0}'", "nonsense", "SELECT * FROM nothing", ";",
    ],
)  # fmt: skip
def test_a_database_is_only_read(run: Collect, tmp_path: Path, query: str) -> None:
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE reviews (review TEXT, label TEXT)")
    connection.execute("INSERT INTO reviews VALUES ('a text', 'good')")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises((UsageError, InputError)):
        run(path, query=query.format(tmp_path / "new.db"))
    assert path.read_bytes() == before
    assert not (tmp_path / "new.db").exists()
    assert content(run(path, query="SELECT label AS label, review AS text FROM reviews")) == [
        {"label": "good", "text": "a text"}
    ]


def test_a_database_with_two_tables_asks_which(run: Collect, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("CREATE TABLE one (text)")
    connection.execute("CREATE TABLE two (text)")
    connection.close()
    with pytest.raises(UsageError, match="2 tables: one, two"):
        run(tmp_path / "a.db")


# ── what is written, and what is not ───────────────────────────────────────────────────────────


def test_a_dataset_gives_its_rows(run: Collect) -> None:
    data = [{"text": f"text {n}", "label": f"{n % 3}"} for n in range(3 * BATCH + 5)]
    data[1]["text"] = ""
    dataset = run(data)
    assert dataset.num_rows == len(data) - 1
    assert dataset.schema.names == ["text", "label"]
    wanted = np.array([0, dataset.num_rows - 1, 5, 5, BATCH, BATCH - 1, 2 * BATCH])
    taken = dataset.take(wanted).to_pylist()
    assert taken == [data[dataset.row_numbers[n] - 1] for n in wanted]
    assert dataset.take(np.array([], np.int64)).num_rows == 0
    assert dataset.take(np.array([3]), ["label"]).to_pylist() == [{"label": data[4]["label"]}]
    assert dataset.column("text").to_pylist()[1] == "text 2"
    sizes = [batch.num_rows for batch in dataset.batches(["label"], size=1000)]
    assert max(sizes) == 1000
    with pytest.raises(UnknownNameError, match="no column `nothing`"):
        dataset.column("nothing")
    for wrong in (-1, dataset.num_rows):
        with pytest.raises(IndexError):
            dataset.take(np.array([wrong]))
    sent = pickle.loads(pickle.dumps(dataset))  # as loaders do
    assert sent.take(wanted).to_pylist() == taken
    again = Dataset.open(dataset.path)
    assert (again.roles, again.dropped) == (dataset.roles, dataset.dropped)
    assert again.fingerprint == dataset.fingerprint


def test_a_dataset_that_was_changed_is_not_opened(run: Collect) -> None:
    dataset = run(ROWS)
    data = dataset.path / "data.arrow"
    data.write_bytes(data.read_bytes().replace(b"good", b"evil"))
    with pytest.raises(CorruptError):
        Dataset.open(dataset.path)


def test_a_sealed_folder_that_is_no_dataset_is_told(tmp_path: Path) -> None:
    with store.new_folder(tmp_path / "x") as writer:
        writer.write("dataset.json", b"{}")
    with pytest.raises(CorruptError, match="not a dataset"):
        Dataset.open(tmp_path / "x")
    with pytest.raises((CorruptError, StoreError)):
        Dataset.open(tmp_path / "nothing")


def test_a_folder_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(StoreError, match="already there"):
        collect(ROWS, tmp_path / "d")


@pytest.mark.parametrize(
    "source",
    [
        "postgresql://me:canary@/db?host=/nothing&sslpassword=canary",
        "postgres://me:ca?canary#@/db?host=/nothing",
        "https://me:canary@example.com/data.csv?token=canary",
        "mysql+driver://me:canary@host:1/db#canary",
        "https://[canary@/x",
    ],
)
def test_passwords_are_never_told(run: Collect, caplog: Any, source: str) -> None:
    with pytest.raises((UsageError, MissingExtraError)) as told:
        run(source)
    assert "canary" not in str(told.value) + caplog.text


@pytest.mark.parametrize(
    "source", [7, None, b"path", [1], ["a"], {"text": "a"}, object(), {"a": 1}]
)
def test_what_is_no_source_is_told(run: Collect, source: Any) -> None:
    with pytest.raises(WrongTypeError):
        run(source)


@pytest.mark.parametrize(
    "source", ["", "nothing.csv", "a\0b", "./x", "*.nothing", "~/nothing/x.csv"]
)
def test_what_is_not_there_is_told(run: Collect, source: str) -> None:
    with pytest.raises(UsageError):
        run(source)


def test_columns_of_different_lengths_are_told(run: Collect) -> None:
    with pytest.raises(UsageError, match="`text` 2, `label` 1"):
        run({"text": ["a", "b"], "label": ["x"]})


def test_a_file_that_changes_while_it_is_read_is_refused(
    run: Collect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(table().encode())
    real = Text.lines

    def lines(self: Text) -> Iterator[str]:
        yield from real(self)
        with path.open("ab") as file:
            file.write(b"9,late,good\r\n")

    with monkeypatch.context() as patch:
        patch.setattr(Text, "lines", lines)
        with pytest.raises(InputError, match="changed while it was read"):
            run(path)
    run(path)


def test_a_file_that_is_replaced_while_it_is_read_is_refused(run: Collect, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(table().encode())
    _, batches = rows(path)
    (tmp_path / "b.csv").write_bytes(table().encode())
    os.utime(tmp_path / "b.csv", ns=(0, path.stat().st_mtime_ns))
    (tmp_path / "b.csv").replace(path)
    with pytest.raises(InputError, match="changed while it was read"):
        list(batches)


# ── larger than memory ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_no_more_is_read_than_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    count = 6 * BATCH
    path = tmp_path / f"a.{kind}"
    lines = [json.dumps({"text": f"text {n} {'x' * 60}", "label": "y"}) for n in range(count)]
    if kind == "json":
        path.write_text("[" + ",\n".join(lines) + "]")
    else:
        path.write_text("\n".join(lines))
    if kind == "csv":
        path.write_text("text,label\n" + "".join(f"text {n} {'x' * 60},y\n" for n in range(count)))
    schema, batches = rows(path)
    read: list[int] = []
    monkeypatch.setattr(streams, "BLOCK", 1 << 16)
    real = streams._Unpacked.readinto  # type: ignore[attr-defined]

    def readinto(self: Any, buffer: Any) -> int:
        read.append(real(self, buffer))
        return read[-1]

    monkeypatch.setattr(streams._Unpacked, "readinto", readinto)  # type: ignore[attr-defined]
    first = next(batches)
    assert first.num_rows == BATCH
    assert sum(read) < path.stat().st_size / 3
    assert BATCH + sum(batch.num_rows for batch in batches) == count
    assert schema.names == ["text", "label"]


def test_memory_is_bounded_whatever_the_size_of_the_file(tmp_path: Path) -> None:
    """In a process of its own, so that it starts from little."""
    import subprocess

    code = """
import resource, sys
from pathlib import Path
from silmu.steps.collect import collect
folder, count = Path(sys.argv[1]), int(sys.argv[2])
path = folder / f"{count}.csv"
with path.open("w") as file:
    file.write("text,label\\n")
    for n in range(count):
        file.write(f"{n} {'some words ' * 40},{n % 2}\\n")
assert collect(path, folder / f"d{count}", input="text", target="label").num_rows == count
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""

    def peak(count: int) -> int:
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), str(count)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return int(done.stdout)

    # 36 MB and 92 MB.
    assert peak(200_000) - peak(80_000) < 25


def test_a_stream_is_not_held(run: Collect) -> None:
    alive = 0
    most = 0

    class Row(dict[str, str]):
        def __init__(self, n: int) -> None:
            nonlocal alive, most
            super().__init__(text=f"text {n}", label="x")
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    dataset = run(Row(n) for n in range(12 * BATCH))
    assert dataset.num_rows == 12 * BATCH
    assert most < 4 * BATCH


def test_a_stream_that_changes_its_types_is_refused(run: Collect) -> None:
    def stream() -> Iterator[dict[str, Any]]:
        for n in range(2 * BATCH):
            yield {"text": f"t {n}", "label": "x", "n": n if n < BATCH + 10 else "odd"}

    with pytest.raises(InputError, match=f"row {BATCH + 11:,}: `n` holds 'odd'"):
        run(stream())


# ── names ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("reviews.csv", "reviews"),
        ("data/리뷰 모음.csv.gz", "리뷰-모음"),
        (Path("/x/a.b.jsonl"), "a.b"),
        ("parts/*.parquet", "parts"),
        ("*.csv", "data"),
        ("me/reviews", "reviews"),
        ("package:some/data/x.csv.bz2", "x"),
        ("package:some", "some"),
        ("sqlite:////x/shop.db?SELECT '/a.csv'", "shop"),
        ("mail/", "mail"),
        ([], "data"),
        ("../..", "data"),
        ("a" * 300, "a" * 60),
    ],
)
def test_a_source_has_a_short_name(source: Any, name: str) -> None:
    assert describe(source) == name


def test_an_encoding_that_cannot_be_told_is_refused(run: Collect, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for text, encoding in [
        ("感想,標籤\n" + "這部電影非常好看。,好\n" * 9, "gb18030"),
        ("城市,销量\n" + "北京,3\n天津,4\n" * 9, "gbk"),
        ("text,label\n" + "とても面白かった,良い\n" * 9, "shift_jis"),
        ("都市,売上\n" + "東京,3\n大阪,4\n" * 9, "euc-jp"),
        ("text,label\n" + "Очень хороший фильм,да\n" * 9, "koi8-r"),
    ]:
        path.write_bytes(text.encode(encoding))
        with pytest.raises(InputError, match="neither UTF-8, UTF-16, CP949 nor Latin-1"):
            run(path)


@pytest.mark.parametrize(
    "names", ["강남 부산", "충북 전북", "딸기 녹차", "빵", "긍정 부정", "맑음 흐림"]
)
def test_few_korean_names_are_enough(run: Collect, tmp_path: Path, names: str) -> None:
    rows = [f"2023. 01. {n + 1:02}.,{name},1" for n in range(9) for name in names.split()]
    (tmp_path / "a.csv").write_bytes("\n".join(["날짜,품목,수량", *rows]).encode("cp949"))
    dataset = run(tmp_path / "a.csv", input="품목", target="수량")
    assert {row["품목"] for row in content(dataset)} == set(names.split())


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_western_letters_are_read(run: Collect, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    rows = "Né à Genève, très bien.;gut\nDas war schön für mich.;gut\nÄrger über Öl;schlecht\n"
    path.write_bytes(f"text;label\n{rows}".encode(encoding))
    assert content(run(path))[2] == {"text": "Ärger über Öl", "label": "schlecht"}


def test_a_first_line_may_name_the_delimiter(run: Collect, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sep=;\ntext;label\na, b;x\n")
    assert content(run(tmp_path / "a.csv")) == [{"text": "a, b", "label": "x"}]


def test_quotes_may_be_escaped_by_a_backslash(run: Collect, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\n"he said \\"no\\", twice",x\nplain,y\n')
    assert content(run(tmp_path / "a.csv"))[0]["text"] == 'he said "no", twice'


def test_a_table_of_one_column_keeps_its_commas(run: Collect, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nhello, world\ngood; bye\n")
    dataset = run(tmp_path / "a.csv", need_target=False)
    assert [row["text"] for row in content(dataset)] == ["hello, world", "good; bye"]
