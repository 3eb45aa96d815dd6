"""Tables that are broken in every way: a typed error, or rows that are counted as dropped."""

from __future__ import annotations

import bz2
import gzip
import json
import random
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from silmu.errors import InputError, SilmuError, UsageError
from silmu.steps.collect import collect
from silmu.steps.collect.dataset import Dataset

COLUMNS = ["text", "label", "size"]
CELLS = [[f"문장 {n}, with a comma", "ab"[n % 2], str(n)] for n in range(20)]
Case = tuple[str, bytes]


def outcome(path: Path, folder: Path, **options: Any) -> Dataset | SilmuError:
    """A dataset that keeps count of its rows, or an error of silmu; nothing else may happen."""
    started = time.process_time()
    try:
        dataset = collect(path, folder, **{"input": "text", "target": "label", **options})
    except (InputError, UsageError) as error:
        return error
    finally:
        # Of the processor, which others may share; a quadratic step takes minutes.
        assert time.process_time() - started < 10
    dropped = sum(drop.count for drop in dataset.dropped)
    assert dataset.rows_in == dataset.num_rows + dropped
    assert len(dataset.row_numbers) == dataset.num_rows
    for batch in dataset.batches():
        batch.validate(full=True)
    return dataset


# ── seeds ──────────────────────────────────────────────────────────────────────────────────────


def delimited(columns: list[str], rows: list[list[str]], delimiter: str) -> bytes:
    def cell(value: str) -> str:
        odd = any(letter in value for letter in f'{delimiter}"\n\r')
        return '"{}"'.format(value.replace('"', '""')) if odd else value

    return "".join(delimiter.join(map(cell, row)) + "\n" for row in [columns, *rows]).encode()


def csv(columns: list[str], rows: list[list[str]]) -> bytes:
    return delimited(columns, rows, ",")


def tsv(columns: list[str], rows: list[list[str]]) -> bytes:
    return delimited(columns, rows, "\t")


def jsonl(columns: list[str], rows: list[list[str]]) -> bytes:
    # As pairs, since a dict could not have a name twice.
    lines: list[str] = []
    for row in rows:
        pairs = zip(map(json.dumps, columns), row, strict=False)
        cells = ", ".join(f"{name}: {json.dumps(cell or None)}" for name, cell in pairs)
        lines.append("{" + cells + "}")
    return "\n".join(lines).encode()


def parquet(columns: list[str], rows: list[list[str]]) -> bytes:
    sink = pa.BufferOutputStream()
    width = len(columns)
    cells = [[*row, *[""] * width][:width] for row in rows]
    arrays = [pa.array([row[at] or None for row in cells], pa.string()) for at in range(width)]
    pq.write_table(pa.Table.from_arrays(arrays, names=columns), sink)
    return sink.getvalue().to_pybytes()


def sqlite(columns: list[str], rows: list[list[str]]) -> bytes:
    connection = sqlite3.connect(":memory:")
    names = ", ".join(
        '"{}"'.format(name.replace('"', '""') or " " * at) for at, name in enumerate(columns, 1)
    )
    connection.execute(f"CREATE TABLE data ({names})")
    width = len(columns)
    marks = ", ".join("?" * width)
    for row in rows:
        connection.execute(f"INSERT INTO data VALUES ({marks})", [*row, *[None] * width][:width])
    connection.commit()
    try:
        return connection.serialize()
    finally:
        connection.close()


Maker = Callable[[list[str], list[list[str]]], bytes]
SEEDS: dict[str, Maker] = {"csv": csv, "tsv": tsv, "jsonl": jsonl, "parquet": parquet, "db": sqlite}


# ── mutators of what is in a table, and of its bytes ───────────────────────────────────────────


def contents(make: Maker) -> Iterator[Case]:
    def with_text(text: str) -> list[list[str]]:
        return [[text, "a", "1"], *CELLS]

    yield "header only", make(COLUMNS, [])
    yield "a blank name", make(["text", "label", ""], CELLS)
    yield "only blank names", make(["", "", ""], CELLS)
    yield "a long name", make(["text", "label", "x" * 1_000_000], CELLS)
    yield "odd names", make(["text", "label", "😀\u202e\u0301\n\t'\";--"], CELLS)
    yield "ragged rows", make(COLUMNS, [row[: n % 4] for n, row in enumerate(CELLS)])
    yield "a long field", make(COLUMNS, with_text("x" * 1_000_000))
    yield "only nulls", make(COLUMNS, [["", "", ""]] * 20)
    yield "constant", make(COLUMNS, [["same", "same", "same"]] * 20)
    yield "all unique", make(COLUMNS, [[f"t {n}", f"l {n}", f"{n}"] for n in range(20)])
    yield "one row", make(COLUMNS, CELLS[:1])
    odd = ["1e309", "-0.0", "NaN", "inf", "NULL", "N/A", "007", "1234567890123456", "1.234,5",
           "0001-01-01", "9999-12-31", "2024-02-30", "TRUE", "yes", "=1+1", "@x", "٣"]  # fmt: skip
    yield "odd values", make(COLUMNS, [[f"text {one}", one, one] for one in odd])
    yield "controls", make(COLUMNS, with_text("".join(map(chr, range(1, 32))) + "\x7f\x85\u2028"))
    yield (
        "bidi and joins",
        make(COLUMNS, with_text("\u202eabc\u2066\u200d" + "e" + "\u0301" * 9999)),
    )


def damaged(good: bytes) -> Iterator[Case]:
    yield "empty", b""
    for part in (1, 10, 50, 99):
        yield f"cut to {part} %", good[: max(1, len(good) * part // 100)]
    for seed in range(6):
        chance = random.Random(seed)
        data = bytearray(good)
        for _ in range((1, 20)[seed % 2]):
            data[chance.randrange(len(data))] = chance.randrange(256)
        yield f"flipped {seed}", bytes(data)
    yield "NUL within", good[: len(good) // 2] + b"\0" + good[len(good) // 2 :]
    yield "only NUL", bytes(5000)
    yield "noise", random.Random(0).randbytes(5000)
    yield "twice", good + good
    yield "gzip", gzip.compress(good)
    yield "gzip cut", gzip.compress(good)[:-20]
    yield "gzip flipped", gzip.compress(good)[:30] + b"\xff" + gzip.compress(good)[31:]
    yield "gzip and rubbish", gzip.compress(good) + b"rubbish"
    yield "bz2 cut", bz2.compress(good)[:-5]
    yield "zstd cut", pa.compress(good, "zstd", asbytes=True)[:-5]
    yield "zstd flipped", pa.compress(good, "zstd", asbytes=True)[:9] + b"\xff" * 50
    yield "packed twice", gzip.compress(bz2.compress(good))


CATALOGUE = [
    pytest.param(kind, name, data, id=f"{kind}-{name}".replace(" ", "-"))
    for kind, make in SEEDS.items()
    for name, data in [*contents(make), *damaged(make(COLUMNS, CELLS))]
]


def test_the_catalogue_is_large() -> None:
    assert len(CATALOGUE) >= 170


@pytest.mark.parametrize(("kind", "name", "data"), CATALOGUE)
def test_a_broken_table_ends_in_a_count_or_an_error(
    tmp_path: Path, kind: str, name: str, data: bytes
) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(data)
    found = outcome(path, tmp_path / "dataset")
    if name in (
        "empty",
        "header only",
        "only NUL",
        "only nulls",
        "gzip cut",
        "bz2 cut",
        "zstd cut",
    ):
        assert isinstance(found, SilmuError)
    if name in ("constant", "all unique", "one row", "odd values", "a long field", "odd names"):
        assert isinstance(found, Dataset), found
        assert found.dropped == ()
    if name == "odd values":
        assert isinstance(found, Dataset)
        values = found.column("size").to_pylist()
        assert values[:8] == [
            "1e309",
            "-0.0",
            "NaN",
            "inf",
            "NULL",
            "N/A",
            "007",
            "1234567890123456",
        ]
    if name == "gzip" and kind in ("csv", "tsv", "jsonl"):
        assert isinstance(found, Dataset)
        assert found.num_rows == 20


# ── ways to write the same table wrongly ───────────────────────────────────────────────────────

GOOD = csv(COLUMNS, CELLS)
OPEN = csv(COLUMNS, []) + b'"never closed,a,1\n' + GOOD.split(b"\n", 1)[1]
HALF = b"\xff\xfe" + "text,label\na,b\n".encode("utf-16-le") + b"\x00\xd8"
TWICE = GOOD.replace(b"size", b"text", 1)
LATIN = "text;label\ncafé;a\ntrès bien;b\n"

# What is kept of how many rows; None where the table is refused.
TABLES: dict[str, tuple[bytes, tuple[int, int] | None]] = {
    "duplicate names": (TWICE, None),
    "100,000 columns": (b",".join(b"c%d" % n for n in range(100_000)) + b"\n", None),
    "unclosed quote in the header": (b'"text,label\na,b\n', None),
    "unclosed quote at the end": (GOOD + b'"never closed,a,1\n', (20, 21)),
    "unclosed quote at the start": (OPEN, (20, 21)),
    "quotes only": (b"text,label\n" + b'"\n' * 2001, None),
    "three quotes a line": (b"text,label\n" + b'"""\n' * 2001, None),
    "quote in each row": (b'text,label\n' + b'"a "b" c",x\n' * 9 + b"ok,x\n", (1, 10)),
    "mixed line ends": (b"text,label\r\na b,x\nc d,y\re f,x\n", (3, 3)),
    "only line ends": (b"\n\r\n\r\r\n", None),
    "blanks": (b"   \n  ", None),
    "mark only": (b"\xef\xbb\xbf", None),
    "mark twice": (b"\xef\xbb\xbf\xef\xbb\xbftext,label\na,b\n", None),
    "UTF-16": (GOOD.decode().encode("utf-16"), (20, 20)),
    "UTF-16, odd": (GOOD.decode().encode("utf-16")[:-1], None),
    "UTF-16, lone surrogate": (HALF, None),
    "UTF-16, no mark": (GOOD.decode().encode("utf-16-le"), (20, 20)),
    "latin-1": (LATIN.encode("latin-1"), (2, 2)),
    "overlong": (GOOD + b"\xc0\xaf overlong,a,1\n", (20, 21)),
    "surrogates in UTF-8": (GOOD + b"\xed\xa0\x80 surrogate,a,1\n", (20, 21)),
    "invalid bytes": (GOOD + b"\xff\xfe invalid,a,1\n", (20, 21)),
    "NUL in a row": (GOOD + b"NUL \0 within,a,1\n", (20, 21)),
    "a Zip": (b"PK\x03\x04" + bytes(100), None),
    "an old workbook": (b"\xd0\xcf\x11\xe0" + bytes(100), None),
    "a PDF": (b"%PDF-1.7\n" + bytes(100), None),
    "spreadsheet's empty cells": (b"text,label,,\na b,x,,\nc d,y,,,,\n", (2, 2)),
    "formula cells": (b'text,label\n="007",x\n=cmd|x,y\n', (2, 2)),
    "blank before quote": (b'text, label\n"a, b", "x"\n"c, d", "y"\n', (2, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_is_written_wrongly(tmp_path: Path, name: str) -> None:
    data, wanted = TABLES[name]
    (tmp_path / "a.csv").write_bytes(data)
    found = outcome(tmp_path / "a.csv", tmp_path / "dataset")
    if wanted is None:
        assert isinstance(found, SilmuError), found
    else:
        assert isinstance(found, Dataset), found
        assert (found.num_rows, found.rows_in) == wanted


FINE = '{"text": "a", "label": "x"}'
JSONS: dict[str, tuple[str, tuple[int, int] | None]] = {
    "an array": (f"[{FINE}, {FINE}]", (2, 2)),
    "an empty array": ("[]", None),
    "an open array": ("[", None),
    "an array that is not closed": (f"[{FINE}", None),
    "a comma at the end": (f"[{FINE},]", None),
    "no comma": (f"[{FINE} {FINE}]", None),
    "more after the array": (f"[{FINE}] x", None),
    "two arrays": (f"[{FINE}]\n[{FINE}]", None),
    "an array of others": (f'[1, "a", null, [], {FINE}]', (1, 5)),
    "a number cut": (f"[{FINE}, 12", None),
    "depth 100,000": ("[" * 100_000, None),
    "depth 100,000 in a cell": (f'[{{"text": {"[" * 100_000}', None),
    "one object over lines": ('{\n"text": "a",\n"label": "x"\n}', None),
    "a key twice in an array": ('[{"text": "a", "text": "b", "label": "x"}]', None),
    "a key twice in a line": ('{"text": "a", "text": "b", "label": "x"}\n' + FINE, (1, 2)),
    "a number of 100,000 digits": (f'{FINE}\n{{"text": "a", "label": {"1" * 100_000}}}', (1, 2)),
    "NaN and Infinity": (f'{FINE}\n{{"text": "a", "label": "x", "n": [NaN, -Infinity]}}', (2, 2)),
    "half a character": (f'{FINE}\n{{"text": "\\ud800", "label": "x"}}', (1, 2)),
    "half a character as a name": (f'{FINE}\n{{"text": "a", "label": "x", "\\ud800": 1}}', None),
    "two halves": (f'{FINE}\n{{"text": "\\ud83d\\ude00", "label": "x"}}', (2, 2)),
    "a comma after a line": (f"{FINE},\n{FINE}", (1, 2)),
    "single quotes": (f"{FINE}\n{{'text': 'a'}}", (1, 2)),
    "texts of several kinds": ('{"text": "a", "label": 1}\n{"text": 7, "label": "x"}', (2, 2)),
    "other names in each row": ("\n".join(f'{{"n{n}": 1}}' for n in range(10_001)), None),
    "an empty name": (f'{FINE}\n{{"text": "a", "label": "x", "": 1}}', (2, 2)),
    "empty objects": ("{}\n{}", None),
    "a control in a text": (f'{FINE}\n{{"text": "a\tb", "label": "x"}}', (1, 2)),
    "a scalar": ("7", None),
}


@pytest.mark.parametrize("name", JSONS)
def test_json_that_is_written_wrongly(tmp_path: Path, name: str) -> None:
    text, wanted = JSONS[name]
    (tmp_path / "a.json").write_text(text)
    found = outcome(tmp_path / "a.json", tmp_path / "dataset")
    if wanted is None:
        assert isinstance(found, SilmuError), found
    else:
        assert isinstance(found, Dataset), found
        assert (found.num_rows, found.rows_in) == wanted


def test_a_long_array_is_read_across_blocks(tmp_path: Path) -> None:
    rows = [{"text": "x" * (n % 5000), "label": str(n)} for n in range(1, 2000)]
    rows[7]["text"] = "y" * 3_000_000
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=3))
    found = outcome(tmp_path / "a.json", tmp_path / "dataset")
    assert isinstance(found, Dataset), found
    assert [row for batch in found.batches() for row in batch.to_pylist()] == rows


# ── typed files ────────────────────────────────────────────────────────────────────────────────


class _Point(pa.ExtensionType):
    def __init__(self) -> None:
        super().__init__(pa.string(), "planted.point")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: Any, data: bytes) -> _Point:
        return cls()


def typed() -> Iterator[tuple[str, Any, bool]]:
    text, label = pa.array(["a b", "c d"]), pa.array(["x", "y"])
    deep: Any = pa.int64()
    for _ in range(30):
        deep = pa.list_(deep)
    yield (
        "nested 30 deep",
        pa.table({"text": text, "label": label, "d": pa.array([None, None], deep)}),
        True,
    )
    yield (
        "an extension",
        pa.table({"text": pa.ExtensionArray.from_storage(_Point(), text), "label": label}),
        True,
    )
    yield (
        "duplicate names",
        pa.Table.from_arrays([text, label, label], ["text", "label", "label"]),
        False,
    )
    yield "no columns", pa.table({}), False
    yield "no rows", pa.table({"text": text[:0], "label": label[:0]}), False
    yield "binary", pa.table({"text": text.cast(pa.binary()), "label": label}), False
    yield "dates and decimals", pa.table({
        "text": text, "label": label,
        "d": pa.array([0, 2932896], pa.date32()),
        "t": pa.array([-62135596800000, 253402300799000], pa.timestamp("ms", "Asia/Seoul")),
        "n": pa.array([1, None], pa.decimal128(38, 10)),
    }), True  # fmt: skip
    yield "a struct and a map", pa.table({
        "text": text, "label": label, "s": pa.array([{"a": 1}, None]),
        "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    }), True  # fmt: skip
    yield (
        "many levels",
        pa.table(
            {
                "text": pa.array(["a b", "c d"]).dictionary_encode(),
                "label": label.dictionary_encode(),
            }
        ),
        True,
    )
    yield (
        "half floats",
        pa.table({"text": text, "label": label, "h": pa.array([1.5, None], pa.float16())}),
        True,
    )
    yield "nulls", pa.table({"text": text, "label": label, "n": pa.nulls(2)}), True


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("name", [name for name, _, _ in typed()])
def test_a_typed_file_with_odd_columns(tmp_path: Path, kind: str, name: str) -> None:
    table, good = {name: (table, good) for name, table, good in typed()}[name]
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(str(path), table.schema) as file:
            file.write_table(table)
    found = outcome(path, tmp_path / "dataset")
    assert isinstance(found, Dataset if good else SilmuError), f"{name}: {found}"
    if isinstance(found, Dataset):
        assert found.num_rows == 2
        assert outcome_of_table(table, tmp_path / "again").fingerprint == found.fingerprint


def outcome_of_table(table: Any, folder: Path) -> Dataset:
    return collect(table, folder, input="text", target="label")


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_typed_files_with_flipped_bytes(tmp_path: Path, kind: str) -> None:
    table = pa.table(
        {
            "text": [f"text {n} 한글" for n in range(300)],
            "label": [["a", "b", None][n % 3] for n in range(300)],
            "tags": [["x", "y"][: n % 3] for n in range(300)],
        }
    )
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=100)
    else:
        with pa.ipc.new_file(str(path), table.schema) as file:
            file.write_table(table)
    good = path.read_bytes()
    refused = 0
    for seed in range(60):
        chance = random.Random(seed)
        data = bytearray(good)
        for _ in range((1, 3, 20)[seed % 3]):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        refused += isinstance(outcome(path, tmp_path / f"d{seed}"), SilmuError)
    assert refused > 20


def test_what_unpacks_to_far_more_than_it_is_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from silmu.steps.collect import streams

    monkeypatch.setattr(streams, "_BOMB_BYTES", 1 << 20)
    (tmp_path / "a.csv.bz2").write_bytes(bz2.compress(b"text,label\n" + b"a b,x\n" * 1_000_000))
    found = outcome(tmp_path / "a.csv.bz2", tmp_path / "dataset")
    assert "unpacks to more than 250 times its size" in str(found)


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from silmu.steps.collect import streams

    monkeypatch.setattr(streams, "LONGEST_LINE", 10_000)
    (tmp_path / "a.csv").write_bytes(b"text,label\n" + b"x" * 20_000)
    assert "a line of more than 10,000" in str(outcome(tmp_path / "a.csv", tmp_path / "dataset"))


def test_a_quote_that_is_never_closed_costs_one_row_of_a_long_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from silmu.steps.collect import records

    monkeypatch.setattr(records, "LONGEST_ROW", 100_000)
    rows = b"".join(b"some words %d,x\n" % n for n in range(50_000))
    (tmp_path / "a.csv").write_bytes(b'text,label\n"never closed,x\n' + rows)
    found = outcome(tmp_path / "a.csv", tmp_path / "dataset")
    assert isinstance(found, Dataset)
    assert found.num_rows == 50_000
    assert [drop.rows for drop in found.dropped] == [(1,)]


@pytest.mark.timeout(20)
def test_what_is_not_a_file_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    sources = [str(tmp_path / name) for name in ("a.csv", "*.csv", "loop.csv", "gone.csv", "empty")]
    for source in [*sources, "/dev/zero", "/dev/null"]:
        assert isinstance(outcome(Path(source), tmp_path / "dataset"), UsageError), source


def test_a_workbook_is_told_what_to_do(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as file:
        file.writestr("xl/workbook.xml", "<workbook/>")
    found = outcome(tmp_path / "a.xlsx", tmp_path / "dataset")
    assert "workbook" in str(found)
    assert "save it as CSV" in str(found)
