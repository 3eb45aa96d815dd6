"""`silmu use` with a model of tables: rows as arguments, from stdin, and from files."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import silmu
from silmu import cli
from silmu.cli import _scoring
from silmu.cli._table import Table

MODELS = Path(__file__).parent / "models"
GOLDEN = json.loads((Path(__file__).parent / "golden" / "tables.json").read_bytes())
SINGLE, ORDERED, MULTIPLE, NUMBER, NUMBERS = (
    MODELS / f"table-{kind}" for kind in ("single", "ordered", "multiple", "number", "numbers")
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="kills a process by a signal")
Row = dict[str, Any]


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """One command in this process; `stdin` is what it reads."""
    logger = logging.getLogger("silmu")
    handlers, level = logger.handlers, logger.level

    def run(*arguments: str | Path, stdin: str | bytes = b"") -> Done:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        code = cli.main(["use", *map(str, arguments)])
        return Done(code, *capsys.readouterr())

    yield run
    logger.handlers, logger.level = handlers, level


def rows_of(model: Path) -> list[Row]:
    return GOLDEN[model.name]["rows"]


def as_csv(rows: list[Row], delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def write(path: Path, rows: list[Row]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    else:
        path.write_text(as_csv(rows), encoding="utf-8", newline="")
    return path


def read(path: Path) -> list[Row]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(io.StringIO(text)))


def lines_of_json(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def close(found: Any, expected: Any) -> bool:
    """Equal but for the last bits of numbers, which depend on what is computed together."""
    if isinstance(expected, float):
        return float(found) == pytest.approx(expected, rel=1e-5)
    if isinstance(expected, dict):
        return list(found) == list(expected) and close([*found.values()], [*expected.values()])
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(close, found, expected))
    return found == expected


# ── rows as arguments and lines ────────────────────────────────────────────────────────────────


def test_a_row_on_a_line(run: Run) -> None:
    [row] = rows_of(SINGLE)[1:2]
    found = silmu.pipeline(model=str(SINGLE))(row)
    done = run(SINGLE, json.dumps(row))
    assert done == Done(0, done.out, "")
    assert done.out.startswith(f"{found['label']} {found['score']:.4f}  number=1, same=x, age=")
    assert close(json.loads(run(SINGLE, json.dumps(row), "--json").out), found)


def test_numbers_on_a_line(run: Run) -> None:
    row = {"a": 0.5, "b": 50}
    tell = silmu.pipeline(model=str(NUMBER))
    found = tell(row)
    told = "{prediction:.6g} ({low:.6g} to {high:.6g})".format(**found)
    assert run(NUMBER, json.dumps(row)) == Done(0, f"{told}  a=0.5, b=50\n", "")
    several = silmu.pipeline(model=str(NUMBERS))(row)
    done = run(NUMBERS, json.dumps(row))
    names = [part.split()[0] for part in done.out.partition("  ")[0].split(", ")]
    assert names == list(several["prediction"]) == ["sum", "other"]
    assert close(json.loads(run(NUMBERS, json.dumps(row), "--json").out), several)


def test_what_is_odd_is_told_beside_the_answer(run: Run) -> None:
    row = json.dumps({"a": 0.5, "b": 5e6})
    flag = "`b`: 5000000.0 is far outside of "
    done = run(NUMBER, json.dumps({"a": 0, "b": 50}), row)
    assert (done.code, len(done.out.splitlines())) == (0, 2)
    assert done.err.startswith(f"warning: input 2: {flag}")
    assert run(NUMBER, row, "-q").err == ""
    as_json = run(NUMBER, row, "--json")
    assert as_json.err == ""
    assert json.loads(as_json.out)["flags"][0].startswith(flag)
    refused = run(NUMBER, row, "--set", "odd=error")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith(f"error: input 1: {flag}")
    assert "flags" not in run(NUMBER, row, "--json", "--set", "odd=impute").out
    assert "odd is 'maybe'; it may be" in run(NUMBER, row, "--set", "odd=maybe").err


def test_a_row_that_lacks_a_column(run: Run) -> None:
    done = run(NUMBER, '{"b": 50}', '{"a": 1, "b": null}', "b=50", "--json")
    assert done.code == 1
    lacking, null, no_row = lines_of_json(done.out)
    assert lacking == {"error": "there is no `a`; there is `b`"}
    assert null["flags"] == ["`b`: it is missing, and never was"]
    assert no_row == {"error": "`b=50` is not a JSON object"}
    assert "hint: the model was trained on it; give null where nothing is known" in done.err
    assert run(NUMBER, '{"b": 50}', "--set", "odd=impute").code == 0


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_csv_on_stdin(run: Run, delimiter: str) -> None:
    rows = rows_of(SINGLE)
    answers = silmu.pipeline(model=str(SINGLE))(rows)
    # `height, m` has a comma in its name.
    done = run(SINGLE, "-", "--json", stdin="\ufeff" + as_csv(rows, delimiter))
    assert (done.code, done.err) == (0, "")
    assert close(lines_of_json(done.out), answers)


def test_lines_of_json_on_stdin(run: Run) -> None:
    rows = rows_of(ORDERED)
    answers = silmu.pipeline(model=str(ORDERED))(rows)
    lines = "\n\n".join(json.dumps(row) for row in rows)
    done = run(ORDERED, "-", "--json", stdin=f"\n{lines}\n[1]")
    assert done.code == 1
    assert close(lines_of_json(done.out), [*answers, {"error": "`[1]` is not a JSON object"}])
    assert '{"age": "...", "fare": "...", ' in run(ORDERED, "-", stdin="{").err
    assert run(ORDERED, "-", stdin="") == Done(0, "", "")


def test_one_bad_line_of_a_csv_spoils_no_other(run: Run) -> None:
    lines = [b"b,a", b"50,1", b"", b"51", b'5"2,1', b'"52"x,1', b"\xff,1", b"50,1", b'"5']
    done = run(NUMBER, "-", "--json", stdin=b"\n".join(lines))
    assert done.code == 1
    found = lines_of_json(done.out)
    assert found[0] == found[-2]
    errors = [one.get("error", "") for one in found]
    assert errors[1] == "line 4 of stdin has 1 cells, and the first line names 2 columns"
    assert found[2]["flags"] == ["`b`: '5\"2' is no number"]
    assert errors[3].startswith("line 6 of stdin: ',' expected after '\"'")
    assert errors[4].startswith("a line is not UTF-8")
    assert errors[-1].startswith("line 9 of stdin: unexpected end of data")


def test_a_csv_on_stdin_without_a_column(run: Run) -> None:
    done = run(NUMBER, "-", "--json", stdin="c,b\n1,2\n")
    assert (done.code, done.out) == (2, "")
    assert "stdin has no column `a`, which the model was trained on; it has `c`, `b`" in done.err
    assert "two columns of the same name: a, b, a" in run(NUMBER, "-", stdin="a,b,a\n").err
    filled = run(NUMBER, "-", "--json", "--set", "odd=impute", stdin="c,b\n1,50\n")
    assert filled.code == 0
    assert "no column `a`, which the model was trained on: taken for missing" in filled.err
    nothing = run(NUMBER, "-", "--set", "odd=impute", stdin="c,d\n1,50\n")
    assert "stdin has no columns `a`, `b`" in nothing.err


@posix
def test_a_line_is_answered_as_soon_as_it_is_there() -> None:
    options = ["-", "--json", "--set", "batch_size=1"]
    command = [sys.executable, "-m", "silmu", "use", str(NUMBER), *options]
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout")}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"a,b\n")
        for number in (1, 2, 3):
            process.stdin.write(b"%d,50\n" % number)
            process.stdin.flush()
            assert "prediction" in json.loads(process.stdout.readline())


# ── files ──────────────────────────────────────────────────────────────────────────────────────

ADDED = {
    SINGLE: ["prediction", "score", "flags", "error"],
    MULTIPLE: ["prediction", "score", "flags", "error"],
    NUMBER: ["prediction", "low", "high", "flags", "error"],
    NUMBERS: ["prediction", "low", "high", "flags", "error"],
}


@pytest.mark.parametrize("model", list(ADDED), ids=lambda model: model.name)
@pytest.mark.parametrize("source", ["a.csv", "a.jsonl"])
@pytest.mark.parametrize("name", ["b.csv", "b.jsonl"])
def test_every_row_comes_back_with_its_answer(
    run: Run, tmp_path: Path, model: Path, source: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_scoring, "TABLE_GROUP", 5)
    rows = [dict(row) for row in rows_of(model)]
    # What is odd is answered, and said.
    odd = "colour" if model == MULTIPLE else "age" if model == SINGLE else "b"
    rows[3][odd] = "many"
    data = write(tmp_path / source, rows)
    done = run(model, "--data", data, "--output", tmp_path / name)
    assert done == Done(0, f"{tmp_path / name}\n", "")
    found = read(tmp_path / name)
    assert list(found[0]) == [*rows[0], *ADDED[model]]
    given = read(data)
    assert [{k: row[k] for k in rows[0]} for row in found] == [
        {k: "" if v is None and name == "b.csv" else v for k, v in row.items()} for row in given
    ] or (source, name) == ("a.jsonl", "b.csv")
    answers = silmu.pipeline(model=str(model))(given)
    flagged = [i for i, row in enumerate(found) if row["flags"]]
    assert flagged == [3]
    flags = found[3]["flags"]
    assert (json.loads(flags) if name == "b.csv" else flags) == answers[3]["flags"]
    for row, answer in zip(found, answers, strict=True):
        assert row["error"] in (None, "")
        if model == SINGLE:
            assert row["prediction"] == answer["label"]
            assert close(row["score"], answer["score"])
        elif model == NUMBER:
            for key in ("prediction", "low", "high"):
                assert close(row[key], answer[key])
        elif model == NUMBERS:
            for key in ("prediction", "low", "high"):
                told = json.loads(row[key]) if name == "b.csv" else row[key]
                assert close(told, answer[key])


def test_several_labels_are_those_above_their_thresholds(run: Run, tmp_path: Path) -> None:
    rows = [{"colour": c, "size": s} for c in ("red", "green") for s in ("S", "L", None, "XL")]
    classify = silmu.pipeline(model=str(MULTIPLE))
    assert classify.thresholds is not None
    limits = dict(zip(classify.model.config.id2label.values(), classify.thresholds, strict=True))
    data, output = write(tmp_path / "a.jsonl", rows), tmp_path / "b.jsonl"
    assert run(MULTIPLE, "--data", data, "--output", output).code == 0
    told = [
        [one["label"] for one in answer if one["score"] >= limits[one["label"]]]
        for answer in classify(rows, top_k=None)
    ]
    assert [row["prediction"] for row in read(output)] == told
    assert {len(labels) for labels in told} >= {0, 1, 2}, "or this test would show little"
    assert [bool(row["flags"]) for row in read(output)] == [row["size"] == "XL" for row in rows]


def test_all_labels_of_a_row(run: Run, tmp_path: Path) -> None:
    rows = [{**rows_of(SINGLE)[0], "sex": "robot"}]
    data, output = write(tmp_path / "a.jsonl", rows), tmp_path / "b.jsonl"
    assert run(SINGLE, "--data", data, "--output", output, "--set", "top_k=2").code == 0
    [row] = read(output)
    first, second = silmu.pipeline(model=str(SINGLE))(rows[0], top_k=2)
    assert row["flags"] == first.pop("flags")
    second.pop("flags")
    assert close(row["prediction"], [first, second])


def test_odd_rows_may_be_refused(run: Run, tmp_path: Path) -> None:
    rows = [{"a": 0.1 * i, "b": 50 if i % 3 else 9e9} for i in range(10)]
    data, output = write(tmp_path / "a.csv", rows), tmp_path / "b.csv"
    done = run(NUMBER, "--data", data, "--output", output, "--set", "odd=error")
    assert done.code == 1
    assert done.err.startswith("warning: 4 of 10 rows could not be answered")
    found = read(output)
    assert [bool(row["error"]) for row in found] == [i % 3 == 0 for i in range(10)]
    assert found[0]["error"].startswith("`b`: '9000000000.0' is far outside of ")
    assert (found[0]["prediction"], found[0]["flags"]) == ("", "")
    assert float(found[1]["low"]) < float(found[1]["high"])


def test_columns_are_found_by_name_in_any_order(run: Run, tmp_path: Path) -> None:
    rows = rows_of(SINGLE)
    turned = [{"extra": "?", **dict(reversed(row.items()))} for row in rows]
    for name, given in (("a", rows), ("b", turned)):
        data = write(tmp_path / f"{name}.csv", given)
        assert run(SINGLE, "--data", data, "--output", tmp_path / f"{name}.out.csv").code == 0
    first, second = (read(tmp_path / f"{name}.out.csv") for name in "ab")
    keys = ADDED[SINGLE]
    assert [[row[k] for k in keys] for row in first] == [[row[k] for k in keys] for row in second]


def test_a_file_without_a_column(run: Run, tmp_path: Path) -> None:
    data, output = write(tmp_path / "a.csv", [{"b": 50, "c": 1}]), tmp_path / "b.csv"
    done = run(NUMBER, "--data", data, "--output", output)
    assert (done.code, done.out) == (2, "")
    assert (
        f"`{data}` has no column `a`, which the model was trained on; it has `b`, `c`" in done.err
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert "has no column `a`" in run(NUMBER, "--data", data).err
    done = run(NUMBER, "--data", data, "--output", output, "--set", "odd=impute")
    assert (done.code, "has no column `a`, which the model was trained on: taken" in done.err) == (
        0,
        True,
    )
    named = run(NUMBER, "--data", data, "--input", "b")
    assert (named.code, "--input names `b`; the columns of a table" in named.err) == (2, True)


def test_lines_of_json_may_leave_out_what_is_not_known(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Row] = [{"b": 50.0}, {"a": 1.0, "b": 50.0}, {"a": 1.0}]
    data, output = write(tmp_path / "a.jsonl", rows), tmp_path / "b.jsonl"
    assert run(NUMBER, "--data", data, "--output", output).code == 0
    found = read(output)
    never = "it is missing, and never was"
    assert [row["flags"] for row in found] == [[f"`a`: {never}"], None, [f"`b`: {never}"]]
    assert [{k: row[k] for k in row if k in "ab"} for row in found] == rows
    # Which columns there are is told by the first rows, for the last may be far.
    monkeypatch.setattr(_scoring, "TABLE_GROUP", 1)
    done = run(NUMBER, "--data", data, "--output", tmp_path / "c.jsonl")
    assert (done.code, "has no column `a`" in done.err) == (2, True)


def test_a_column_that_the_model_reads_keeps_its_name(run: Run, tmp_path: Path) -> None:
    model = tmp_path / "m"
    shutil.copytree(NUMBER, model)
    processor = (model / "processor.json").read_text()
    (model / "processor.json").write_text(processor.replace('"name": "a"', '"name": "low"'))
    data = write(tmp_path / "a.csv", [{"b": 50, "low": 1}])
    output = tmp_path / "b.csv"
    assert run(model, "--data", data, "--output", output).code == 0
    [row] = read(output)
    assert list(row) == ["b", "low", "prediction", "prediction_low", "high", "flags", "error"]
    found = silmu.pipeline(model=str(NUMBER))({"a": 1, "b": 50})
    assert (row["low"], close(row["prediction_low"], found["low"])) == ("1", True)
    for taken in ("high", "prediction_low"):
        data = write(tmp_path / "a.csv", [{"b": 50, "low": 1, taken: 2}])
        done = run(model, "--data", data, "--output", tmp_path / "c.csv")
        assert (done.code, f"already has a column `{taken}`" in done.err) == (2, True)
    data = write(tmp_path / "a.jsonl", [{"b": 50, "low": 1}, {"b": 50, "low": 1, "flags": 0}])
    done = run(model, "--data", data, "--output", tmp_path / "c.jsonl")
    assert (done.code, "already has a column `flags`" in done.err) == (2, True)


def test_rows_without_an_output_are_printed(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "a.csv", [{"b": 50, "a": 1}, {"b": 50, "a": 1e9}])
    done = run(NUMBER, "--data", data)
    first, second = done.out.splitlines()
    assert first.endswith(")  b=50, a=1")
    assert second.endswith(")  b=50, a=1000000000.0")
    assert done.err.startswith("warning: input 2: `a`: '1000000000.0' is far outside of ")


def test_no_rows(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n")
    (tmp_path / "a.jsonl").write_text("")
    for name in ("a.csv", "a.jsonl"):
        done = run(NUMBER, "--data", tmp_path / name, "--output", tmp_path / "b.csv")
        assert done == Done(0, f"{tmp_path / 'b.csv'}\n", "")
        assert read(tmp_path / "b.csv") == []


@pytest.mark.parametrize(("columns", "rows"), [(1, 4096), (64, 4096), (1024, 256), (10**6, 1)])
def test_of_a_wide_table_fewer_rows_are_asked_at_once(columns: int, rows: int) -> None:
    assert Table(silmu.pipeline(model=str(NUMBER)), {}, None).rows_at_once(columns) == rows


PROGRAM = """
import sys
from silmu import cli
from silmu.cli import _scoring
_scoring.TABLE_GROUP, _scoring.PART_ROWS = 8, 16
sys.exit(cli.main(["use", *sys.argv[1:]]))
"""


@posix
def test_what_was_killed_goes_on(tmp_path: Path) -> None:
    data = write(tmp_path / "a.csv", rows_of(SINGLE) * 9)

    def process(name: str, spec: str, *options: str) -> subprocess.CompletedProcess[str]:
        told = ["--data", str(data), "--output", str(tmp_path / name), *options]
        more = {"OMP_NUM_THREADS": "1"} | ({"SILMU_FAILPOINT": spec} if spec else {})
        command = [sys.executable, "-c", PROGRAM, str(SINGLE), *told]
        environment = {**os.environ, **more}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert process("whole.csv", "").returncode == 0
    assert process("b.csv", "rename:3:kill").returncode == -signal.SIGKILL
    other = process("b.csv", "", "--set", "odd=error")
    assert (other.returncode, 'odd null, now "error"' in other.stderr) == (2, True)
    done = process("b.csv", "")
    assert (done.returncode, done.stderr.startswith("resuming behind ")) == (0, True)
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
