"""Blocks that are read at once give what single records give: rows, numbers, drops, fingerprint."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from silmu.errors import InputError, SilmuError
from silmu.steps.collect import blocks, collect, delimited
from silmu.steps.collect.dataset import Dataset

PIECES = [
    "a", "text", "1", "-0.5", "007", "", "", " ", "가나다", "é", "\ufeff", "NA", '""', '"x"',
    '"a,b"', '"a""b"', '""""', '"line\nbreak"', '"line\r\nbreak"', '"c\td"', "'", "a'b",
]  # fmt: skip
ODD = [
    'a"b', '"a"b', '"open', "\0", "\r", "\n", "\n\n", "x\ry", "\x0b", "\u2028", "\\", '"a\rb"',
    '"" "', '"a" ', ' "a"', ",", ",,", "\t", '"\n',
]  # fmt: skip
BROKEN = [b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98"]


def tables(count: int, delimiter: str = ",") -> Iterator[bytes]:
    """Tables of three columns, most of which are fine and some of which are not."""
    for seed in range(count):
        draw = random.Random(seed)
        end = draw.choice(["\n", "\n", "\r\n"])
        share = draw.choice([0, 0, 0.02, 0.3])
        lines = [delimiter.join(["a", '"b"', "c"])]
        for _ in range(draw.choice([0, 1, 5, 60, 300])):
            cells = [draw.choice(PIECES) for _ in range(3)]
            if draw.random() < share:
                cells[draw.randrange(3)] = draw.choice(ODD)
            if draw.random() < share / 3:
                cells = cells[: draw.randrange(4)]
            lines.append(delimiter.join(cells))
        data = (end.join(lines) + draw.choice(["", end, end * 3])).encode()
        if draw.random() < 0.2:
            at = draw.randrange(len(data))
            data = data[:at] + draw.choice(BROKEN) + data[at:]
        yield draw.choice([b"", b"", b"\xef\xbb\xbf"]) + data


def told(path: Path, folder: Path) -> object:
    """Everything that a dataset says, or why there is none."""
    try:
        found = collect(path, folder, kind="table", target="c")
    except SilmuError as error:
        return type(error), str(error)
    rows = [row for batch in found.batches() for row in batch.to_pylist()]
    return found.fingerprint, found.dropped, found.row_numbers.tolist(), rows


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("size", [16, 200, 1 << 20])
def test_blocks_and_records_are_read_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delimiter: str, size: int
) -> None:
    path = tmp_path / "a.csv"
    at_once = 0
    real = blocks._parsed
    for number, data in enumerate(tables(60, delimiter)):
        path.write_bytes(data)
        with monkeypatch.context() as slowly:
            slowly.setattr(delimited.Table, "_may_be_regular", lambda self: False)
            single = told(path, tmp_path / f"single {number}")
        with monkeypatch.context() as smaller:
            parsed = 0

            def counting(*given: object) -> object:
                nonlocal parsed
                parsed += 1
                return real(*given)  # type: ignore[arg-type]

            smaller.setattr(blocks, "BLOCK", size)
            smaller.setattr(delimited, "BLOCK", size)
            smaller.setattr(blocks, "_parsed", counting)
            assert told(path, tmp_path / f"blocks {number}") == single, data
            at_once += parsed > 0
    # Between tabs a quote may be a letter, so what holds one is read record by record.
    assert at_once >= (1 if delimiter == "\t" else 8)


def test_one_odd_row_costs_its_block_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{n},text {n},{n % 2}" for n in range(100_000)]
    for at in (5, 50_000, 99_999):
        rows[at] = f'{at},"open,{at % 2}'
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["a,b,c", *rows]) + "\n")
    by_record = 0
    real = delimited.Records.__next__

    def counting(records: delimited.Records) -> list[str] | None:
        nonlocal by_record
        by_record += 1
        return real(records)

    monkeypatch.setattr(delimited.Records, "__next__", counting)
    monkeypatch.setattr(blocks, "BLOCK", 1 << 15)
    monkeypatch.setattr(delimited, "BLOCK", 1 << 15)
    found = collect(path, tmp_path / "d", kind="table", target="c")
    assert isinstance(found, Dataset)
    assert [(drop.reason, drop.rows) for drop in found.dropped] == [
        ("its quotes do not match", (6, 50_001, 100_000))
    ]
    assert found.num_rows == 99_997
    assert by_record < 20_000


def test_a_line_without_end_is_refused_in_blocks_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from silmu.steps.collect import streams

    monkeypatch.setattr(blocks, "BLOCK", 1000)
    monkeypatch.setattr(delimited, "BLOCK", 1000)
    path = tmp_path / "a.csv"
    for long, refused in (("가" * 9_000, False), ("가" * 11_000, True), ("x" * 40_000, True)):
        path.write_text("a,b,c\n" + "1,2,3\n" * 60_000 + f"{long},1,2\n" + "1,2,3\n" * 100)
        with monkeypatch.context() as shorter:
            shorter.setattr(streams, "LONGEST_LINE", 10_000)
            if refused:
                with pytest.raises(InputError, match="a line of more than 10,000"):
                    collect(path, tmp_path / "d", kind="table", target="c")
            else:
                assert collect(path, tmp_path / "e", kind="table", target="c").num_rows == 60_101
