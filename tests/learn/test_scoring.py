"""`silmu use --data --output`: files larger than memory, the same after a kill at any place."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

import silmu
from silmu import cli, store
from silmu.cli import _outputs, _progress, _rows, _scoring
from silmu.errors import InputError
from silmu.runtime.folder import Folder

MODELS = Path(__file__).parent.parent / "models"
SEQUENCE, SEVERAL, NUMBER, LM = (
    MODELS / name
    for name in ("bert-sequence", "bert-sequence-multilabel", "bert-sequence-regression", "gpt2-lm")
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
KINDS = ["b.csv", "b.tsv", "b.jsonl", "b.json", "b.csv.gz", "b.json.gz", "b.parquet"]


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Echo:
    """Answers at once; what it says of a text depends on that text and nothing else."""

    gives_lists = False
    rows = "text"
    task = "text-classification"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails_at = 1 << 60
        self.error: BaseException = KeyboardInterrupt()
        config = SimpleNamespace(problem_type=None, num_labels=2, id2label={0: "a", 1: "b"})
        folder = Folder(SEQUENCE, "echo")
        self.model = SimpleNamespace(folder=folder, config=config, name_or_path="echo")

    def __call__(self, inputs: Any, **_: Any) -> Iterator[Any]:
        given = list(inputs)
        if len(self.asked) + len(given) >= self.fails_at:
            raise self.error
        if any("bad" in text for text in given):
            raise InputError("it is bad")
        self.asked += given
        return ({"label": f"label {len(text) % 7}", "score": len(text) / 100} for text in given)


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Echo:
    pipe = Echo()
    monkeypatch.setattr(silmu, "pipeline", lambda *_, **__: pipe)
    return pipe


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Parts of 8 rows in groups of 4, so that a small file has many."""
    monkeypatch.setattr(_scoring, "GROUP", 4)
    monkeypatch.setattr(_scoring, "PART_ROWS", 8)
    logger = logging.getLogger("silmu")
    handlers, level = logger.handlers, logger.level
    yield
    logger.handlers, logger.level = handlers, level


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(data: Path, output: Path, *options: str, model: Path | str = SEQUENCE) -> Done:
        command = ["use", str(model), "--data", str(data), "--output", str(output), *options]
        return Done(cli.main(command), *capsys.readouterr())

    return run


def texts(count: int) -> list[str]:
    found = [f"text {i} " + "word " * (i * 7 % 13) for i in range(count)]
    found[2:3], found[11:12] = ["bad"], [""]
    return found


def make(path: Path, count: int = 30) -> Path:
    """A file of rows, two of which cannot be answered."""
    rows = [{"id": f"{i:03}", "text": text} for i, text in enumerate(texts(count))]
    if path.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, ["id", "text"])
        table.writeheader()
        table.writerows(rows)
        path.write_text(text.getvalue(), newline="")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of an output, nulls as None, whatever its kind."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_table(path).to_pylist()
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    kind = [suffix for suffix in path.suffixes if suffix != ".gz"][-1]
    if kind == ".json":
        return json.loads(text)
    if kind == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    rows = csv.DictReader(io.StringIO(text), delimiter="\t" if kind == ".tsv" else ",")
    return [
        {k: (float(v) if k == "score" else v) if v or k == "text" else None for k, v in row.items()}
        for row in rows
    ]


def expected(count: int = 30) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for i, text in enumerate(texts(count)):
        error = {"bad": "it is bad", "": "the text is empty"}.get(text)
        answer = {"prediction": f"label {len(text) % 7}", "score": len(text) / 100, "error": None}
        if error:
            answer = {"prediction": None, "score": None, "error": error}
        rows.append({"id": f"{i:03}", "text": text, **answer})
    return rows


def needs_arrow(name: str) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")


# ── what is written ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("source", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.usefixtures("echo")
def test_every_row_and_column_in_order(run: Run, tmp_path: Path, source: str, name: str) -> None:
    needs_arrow(name)
    output = tmp_path / "out" / name
    done = run(make(tmp_path / source), output, "--input", "text")
    warning = "warning: 2 of 30 rows could not be answered; the column `error` says why\n"
    assert done == Done(1, f"{output}\n", warning)
    assert read(output) == expected()
    assert [path.name for path in output.parent.iterdir()] == [name]


@pytest.mark.usefixtures("echo")
def test_parquet_keeps_types(run: Run, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    import datetime

    noon = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
    columns = {
        "id": pa.array(range(20), pa.int8()),
        "text": pa.array([f"text {i}" for i in range(20)], pa.large_string()),
        "when": pa.array([noon] * 20, pa.timestamp("ms", "Asia/Seoul")),
        "tags": pa.array([["a"], None] * 10, pa.list_(pa.string())),
        "kind": pa.array(["x", "y"] * 10).dictionary_encode(),
        "blob": pa.array([b"\xff\0"] * 20),
    }
    table = pa.table(columns)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    assert run(tmp_path / "a.parquet", tmp_path / "b.parquet", "--input", "text").code == 0
    found = pq.read_table(tmp_path / "b.parquet")
    assert found.select(list(columns)).equals(table)
    assert found.schema.field("prediction").type == pa.string()
    assert found.schema.field("score").type == pa.float64()
    assert run(tmp_path / "a.parquet", tmp_path / "b.csv", "--input", "text").code == 0
    [first, *_] = csv.DictReader((tmp_path / "b.csv").read_text().splitlines())
    assert (first["when"], first["tags"], first["blob"]) == (
        "2024-02-29T21:00:00+09:00",
        '["a"]',
        "ff00",
    )


@pytest.mark.usefixtures("echo")
def test_a_cell_stays_the_text_that_it_was(run: Run, tmp_path: Path) -> None:
    data, output = tmp_path / "a.csv", tmp_path / "b.csv"
    data.write_text("n,text\n007,a\n1e3,b\n 1 ,c\nTrue,d\nNA,e\n", newline="")
    assert run(data, output, "--input", "text").code == 0
    lines = output.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["n", "007", "1e3", " 1 ", "True", "NA"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.usefixtures("echo")
def test_what_spreadsheets_write(run: Run, tmp_path: Path, encoding: str, delimiter: str) -> None:
    data, output = tmp_path / "a.csv", tmp_path / "b.csv"
    rows = [["번호", "글"], ["01", "정말 좋은 영화, 다시 볼래요; 꼭"], ["02", "별로\n였어요"]]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    data.write_bytes(text.getvalue().encode(encoding))
    done = run(data, output, "--input", "글")
    assert done.code == 0
    assert ("is read as CP949" in done.err) == (encoding == "cp949")
    content = output.read_bytes().decode()
    assert content.startswith("\ufeff") == (encoding != "utf-8")
    found = list(csv.reader(io.StringIO(content.lstrip("\ufeff")), delimiter=delimiter))
    assert [row[:2] for row in found] == rows


@pytest.mark.usefixtures("echo")
def test_packed_sources(run: Run, tmp_path: Path) -> None:
    import bz2

    plain = make(tmp_path / "a.csv")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "a.csv.bz2").write_bytes(bz2.compress(plain.read_bytes()))
    for name in ("a.csv.gz", "a.csv.bz2"):
        assert run(tmp_path / name, tmp_path / "b.jsonl", "--input", "text").code == 1
        assert read(tmp_path / "b.jsonl") == expected()
    whole = (tmp_path / "a.csv.gz").read_bytes()
    (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
    done = run(tmp_path / "a.csv.gz", tmp_path / "c.jsonl", "--input", "text")
    assert (done.code, "is cut short or damaged" in done.err) == (2, True)


@pytest.mark.usefixtures("echo")
def test_half_of_a_surrogate_pair_is_written(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "a.jsonl"
    data.write_text('{"text": "half \\ud83d"}\n')
    for name in ("b.jsonl", "b.json", "b.csv"):
        assert run(data, tmp_path / name).code == 0
    assert read(tmp_path / "b.jsonl")[0]["text"] == "half \ud83d"


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.usefixtures("echo")
def test_no_rows_give_a_file_of_no_rows(run: Run, tmp_path: Path, name: str) -> None:
    needs_arrow(name)
    data = tmp_path / "a.csv"
    data.write_text("id,text\n")
    assert run(data, tmp_path / name).code == 0
    assert read(tmp_path / name) == []
    if name == "b.csv":
        assert (tmp_path / name).read_text() == "id,text,prediction,score,error\n"


@pytest.mark.parametrize(
    ("data", "output", "says"),
    [
        ("a.csv", "b.xlsx", "not one of the kinds of file that can be written"),
        ("a.csv", "b.csv.bz2", "not one of the kinds of file that can be written"),
        ("a.csv", "b.parquet.gz", "would be packed twice"),
        ("a.csv", "a.csv", "is both --data and --output"),
        ("a.csv", "folder.csv", "is a folder"),
        ("a.xlsx", "b.csv", "in the spreadsheet, save it as CSV"),
        ("taken.csv", "b.csv", "already has a column `score`, which answers go to"),
        ("taken.parquet", "b.csv", "already has a column `score`, which answers go to"),
        ("twice.csv", "b.csv", "has two columns of the same name"),
        ("none.parquet", "b.csv", "`none.parquet` cannot be read"),
        ("not.parquet", "b.csv", "`not.parquet` cannot be read"),
    ],
)
def test_what_is_refused_before_any_work(
    run: Run,
    echo: Echo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: str,
    output: str,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("a.csv"))
    Path("folder.csv").mkdir()
    Path("taken.csv").write_text("text,score\na,b\n")
    Path("twice.csv").write_text("text,text\na,b\n")
    Path("not.parquet").write_text("PAR1 and nothing more")
    if data == "taken.parquet":
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table({"text": ["a"], "score": [1]}), data)
    needs_arrow(data)
    before = sorted(path.name for path in tmp_path.iterdir())
    done = run(Path(data), Path(output), "--input", "text")
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert "Traceback" not in done.err
    assert echo.asked == []
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_without_the_extra_it_says_what_to_install(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from silmu import extras

    monkeypatch.setattr(extras, "version", lambda _: None)
    for data, output in [("a.parquet", "b.csv"), ("a.csv", "b.parquet"), ("a.json", "b.csv")]:
        (tmp_path / data).write_text("id,text\n1,a\n")
        done = run(tmp_path / data, tmp_path / output)
        assert (done.code, "hint: pip install 'silmu[data]'" in done.err) == (2, True)


@pytest.mark.usefixtures("echo")
def test_other_sources_are_collected(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    rows = [{"id": row["id"], "text": row["text"]} for row in expected()]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    assert run(tmp_path / "a.json", tmp_path / "b.json", "--input", "text").code == 1
    assert read(tmp_path / "b.json") == expected()


# ── what the model says ────────────────────────────────────────────────────────────────────────


def trained(target: Path, source: Path, **processor: Any) -> Path:
    shutil.copytree(source, target)
    values = {"format": 1, "inputs": ["text"], "kind": "single", "max_length": 16, **processor}
    values.setdefault("thresholds", None)
    (target / "processor.json").write_text(json.dumps(values))
    return target


@pytest.mark.parametrize("name", ["b.csv", "b.jsonl", "b.parquet"])
def test_several_labels_are_those_above_their_thresholds(
    run: Run, tmp_path: Path, name: str
) -> None:
    needs_arrow(name)
    data = tmp_path / "a.csv"
    data.write_text("text\none\ntwo words\nthree words here\n")
    pipe = silmu.pipeline("text-classification", str(SEVERAL))
    every = pipe(["one", "two words", "three words here"], top_k=None)
    labels = list(pipe.model.config.id2label.values())
    middle = sorted(one["score"] for one in every[0])[len(labels) // 2]
    thresholds = [middle - 1e-3] * (len(labels) - 1) + [1.0]
    model = trained(tmp_path / "m", SEVERAL, kind="multiple", thresholds=thresholds)
    assert run(data, tmp_path / name, model=model).code == 0
    told = [
        [one["label"] for one in answer if one["score"] >= thresholds[labels.index(one["label"])]]
        for answer in every
    ]
    assert 0 < sum(map(len, told)) < 3 * len(labels)  # or this test would show nothing
    for row, answer in zip(read(tmp_path / name), told, strict=True):
        found = row["prediction"]
        assert (json.loads(found) if isinstance(found, str) else found) == answer
        assert (row["score"], row["error"]) == (None, None)
    assert run(data, tmp_path / "c.jsonl", "--set", "top_k=1", model=model).code == 0
    assert read(tmp_path / "c.jsonl")[0]["prediction"] == every[0][0]["label"]


def test_thresholds_that_do_not_fit_the_labels(run: Run, tmp_path: Path) -> None:
    model = trained(tmp_path / "m", SEVERAL, kind="multiple", thresholds=[0.5])
    done = run(make(tmp_path / "a.csv"), tmp_path / "b.csv", model=model)
    assert (done.code, "has 1 thresholds, and config.json" in done.err) == (2, True)


@pytest.mark.parametrize("name", ["b.jsonl", "b.parquet"])
def test_a_number_is_a_number(run: Run, tmp_path: Path, name: str) -> None:
    needs_arrow(name)
    data = tmp_path / "a.csv"
    data.write_text("text\nfine\n")
    [found] = silmu.pipeline("text-classification", str(NUMBER))(["fine"])
    assert run(data, tmp_path / name, model=NUMBER).code == 0
    [row] = read(tmp_path / name)
    assert row["prediction"] == pytest.approx(found["score"], abs=1e-6)
    assert (row["score"], row["error"]) == (None, None)


def test_the_column_of_the_training_is_answered(run: Run, tmp_path: Path) -> None:
    model = trained(tmp_path / "m", SEQUENCE, inputs=["review"])
    data, output = tmp_path / "a.csv", tmp_path / "b.jsonl"
    data.write_text("title,review\nfirst,fine\n")
    assert run(data, output, model=model).code == 0
    with_name = tmp_path / "c.jsonl"
    assert run(data, with_name, "--input", "title", model=model).code == 0
    assert read(output)[0]["score"] != read(with_name)[0]["score"]
    data.write_text("title,text\nfirst,fine\n")
    done = run(data, output, model=model)
    assert done.code == 2
    assert "the model was trained on the column `review`" in done.err
    assert "it has `title`, `text`" in done.err


def test_two_columns_are_a_pair(run: Run, tmp_path: Path) -> None:
    model = trained(tmp_path / "m", SEQUENCE, inputs=["question", "answer"])
    data, output = tmp_path / "a.csv", tmp_path / "b.jsonl"
    data.write_text("answer,question\nyes,is it so\n")
    pair = {"text": "is it so", "text_pair": "yes"}
    found = silmu.pipeline("text-classification", str(model))([pair])[0]
    assert run(data, output, model=model).code == 0
    assert read(output)[0]["score"] == pytest.approx(found["score"], abs=1e-6)
    assert run(data, output, "--input", "question,answer", model=SEQUENCE).code == 0
    too_many = run(
        data, output, "--input", "question,answer", model=trained(tmp_path / "n", SEQUENCE)
    )
    assert (too_many.code, "the model reads 1 at most" in too_many.err) == (2, True)


def test_the_schema_of_the_training_is_compared(run: Run, tmp_path: Path) -> None:
    model = trained(tmp_path / "m", SEQUENCE)
    columns = [{"name": "text", "role": "input", "type": "text"}]
    (model / "schema.json").write_text(json.dumps({"format": 1, "columns": columns}))
    data = tmp_path / "a.jsonl"
    data.write_text('{"text": "fine"}\n')
    assert run(data, tmp_path / "b.jsonl", model=model) == Done(0, f"{tmp_path / 'b.jsonl'}\n", "")
    data.write_text('{"text": ["fine"]}\n')
    done = run(data, tmp_path / "b.jsonl", model=model)
    assert (done.code, "`text` holds list, and the model reads texts" in done.err) == (2, True)


def test_what_is_drawn_does_not_depend_on_parts(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_scoring, "SLOW_GROUP", 2)
    data = tmp_path / "a.csv"
    data.write_text("text\n" + "Once upon\n" * 5)
    options = ("--set", "max_new_tokens=4", "--seed", "3")
    for rows, name in ((100, "b.csv"), (2, "c.csv")):
        monkeypatch.setattr(_scoring, "PART_ROWS", rows)
        assert run(data, tmp_path / name, *options, model=LM).code == 0
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()
    assert len({row["prediction"] for row in read(tmp_path / "b.csv")}) > 1


# ── parts ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.usefixtures("echo")
def test_where_parts_are_cut_is_not_to_be_seen(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    needs_arrow(name)
    monkeypatch.setattr(_outputs, "GROUP_ROWS", 30)
    data = make(tmp_path / ("a.parquet" if name.endswith("parquet") else "a.csv"), 100)
    contents: set[bytes] = set()
    for rows, seconds in ((1000, 1e9), (8, 1e9), (20, 1e9), (1000, 0.0)):
        monkeypatch.setattr(_scoring, "PART_ROWS", rows)
        monkeypatch.setattr(_scoring, "PART_SECONDS", seconds)
        run(data, tmp_path / name, "--input", "text")
        contents.add((tmp_path / name).read_bytes())
    assert len(contents) == 1
    assert len(read(tmp_path / name)) == 100


def test_answers_of_a_model_do_not_depend_on_parts(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make(tmp_path / "a.csv", 60)
    for rows, name in ((1000, "b.csv"), (4, "c.csv")):
        monkeypatch.setattr(_scoring, "PART_ROWS", rows)
        assert run(data, tmp_path / name, "--input", "text").code == 1
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()


@posix
@pytest.mark.parametrize(
    ("source", "name", "every"),
    [("a.csv", "b.csv", 1), ("a.parquet", "b.parquet", 4), ("a.csv", "b.json.gz", 7)],
)
@pytest.mark.usefixtures("echo")
def test_killed_at_any_operation(
    run: Run, tmp_path: Path, source: str, name: str, every: int
) -> None:
    needs_arrow(name)
    data = make(tmp_path / source, 22)
    assert run(data, tmp_path / name, "--input", "text").code == 1
    whole = (tmp_path / name).read_bytes()
    kills = resumed = 0
    for n in itertools.count(1, every):
        output = tmp_path / f"kill {n}" / name
        code = in_child(data, output, f"*:{n}:kill")
        assert code in (1, -9)
        # Old or new: never the half of it.
        assert not output.exists() or output.read_bytes() == whole
        done = run(data, output, "--input", "text")
        assert done.code == 1
        kills += code == -9
        resumed += "resuming behind" in done.err
        assert output.read_bytes() == whole
        assert [path.name for path in output.parent.iterdir()] == [name]
        if code == 1:
            break
    print(f"{name}: {kills} kill points, {resumed} resumed")
    assert kills > 60 // every
    assert resumed > 20 // every


@posix
def test_killed_again_and_again(run: Run, tmp_path: Path, echo: Echo) -> None:
    data = make(tmp_path / "a.csv", 60)
    run(data, tmp_path / "whole.csv", "--input", "text")
    draw = random.Random(0)
    for trial in range(2):
        output, kills = tmp_path / f"{trial}" / "b.csv", 0
        while in_child(data, output, f"*:{draw.randrange(30, 60)}:kill") != 1:
            kills += 1
        assert kills > 1
        assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def in_child(data: Path, output: Path, spec: str) -> int:
    """The command in a forked child; its exit code, negative for a signal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which it does not use
        pid = os.fork()
    if not pid:
        code = 7
        try:
            os.environ["SILMU_FAILPOINT"] = spec
            sys.stdout = sys.stderr = io.StringIO()
            arguments = ["--data", str(data), "--output", str(output), "--input", "text"]
            code = cli.main(["use", str(SEQUENCE), *arguments])
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


PROGRAM = """
import sys
from silmu import cli
from silmu.cli import _scoring
_scoring.GROUP, _scoring.PART_ROWS = 4, 8
sys.exit(cli.main(["use", *sys.argv[1:]]))
"""


@posix
def test_a_real_model_is_killed(tmp_path: Path) -> None:
    data = make(tmp_path / "a.csv", 40)
    codes: list[int] = []
    for name, spec in (("b.csv", ""), ("c.csv", "write:9:kill"), ("c.csv", "rename:3:kill")):
        codes.append(process(data, tmp_path / name, spec))
    assert process(data, tmp_path / "c.csv", "") == 1
    assert codes == [1, -signal.SIGKILL, -signal.SIGKILL]
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()


def process(data: Path, output: Path, spec: str) -> int:
    options = ["--data", str(data), "--output", str(output), "--input", "text"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} | (
        {"SILMU_FAILPOINT": spec} if spec else {}
    )
    command = [sys.executable, "-c", PROGRAM, str(SEQUENCE), *options]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def test_a_first_run_that_is_unlike_the_later_ones(run: Run, echo: Echo, tmp_path: Path) -> None:
    # As that of an engine's session, which computes before its weights are packed.
    class Cold(Echo):
        def __call__(self, inputs: Any, **settings: Any) -> Iterator[Any]:
            first = not self.asked
            for answer in super().__call__(inputs, **settings):
                yield {**answer, "score": answer["score"] + first * 1e-7}

    echo.__class__ = Cold
    data = make(tmp_path / "a.csv")
    assert run(data, tmp_path / "whole.csv", "--input", "text").code == 1
    echo.asked.clear()
    interrupted(run, echo, data, tmp_path / "b.csv")
    assert run(data, tmp_path / "b.csv", "--input", "text").err.startswith("resuming behind 16")
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert read(tmp_path / "b.csv") == expected()


def interrupted(run: Run, echo: Echo, data: Path, output: Path, at: int = 19) -> Done:
    echo.fails_at, before = at, echo.fails_at
    done = run(data, output, "--input", "text")
    echo.fails_at = before
    echo.asked.clear()
    return done


def test_control_c_keeps_what_is_answered(run: Run, echo: Echo, tmp_path: Path) -> None:
    data, output = make(tmp_path / "a.csv"), tmp_path / "b.csv"
    done = interrupted(run, echo, data, output)
    # Of the first 16 rows two cannot be answered; those of the fifth group were never told.
    assert done == Done(130, "", "the same command goes on behind 16 rows\ninterrupted\n")
    assert not output.exists()
    done = run(data, output, "--input", "text")
    assert done.err.startswith("resuming behind 16 rows\n")
    assert echo.asked == [texts(30)[16], *texts(30)[16:]]  # the first one twice: to warm up
    assert read(output) == expected()
    quiet = interrupted(run, echo, data, output)
    assert quiet.code == 130
    assert "resuming" not in run(data, output, "--input", "text", "-q").err


def test_a_broken_part_is_answered_again(run: Run, echo: Echo, tmp_path: Path) -> None:
    data, output = make(tmp_path / "a.csv"), tmp_path / "b.csv"
    interrupted(run, echo, data, output, at=25)
    parts = sorted(path.name for path in (tmp_path / "b.csv.parts").glob("0*"))
    assert parts == ["000000000000", "000000000008", "000000000016"]
    rows = tmp_path / "b.csv.parts" / parts[1] / "rows"
    content = bytearray(rows.read_bytes())
    content[5] ^= 1
    rows.write_bytes(content)
    done = run(data, output, "--input", "text")
    assert f"warning: `{rows}` has SHA-256" in done.err
    answered_again = [text for text in texts(30)[8:16] if text]
    assert echo.asked[1 : 1 + len(answered_again)] == answered_again
    assert texts(30)[3] not in echo.asked
    assert read(output) == expected()


@pytest.mark.parametrize("change", ["data", "model", "setting", "column", "kind"])
def test_what_was_begun_otherwise_is_not_gone_on_with(
    run: Run, echo: Echo, tmp_path: Path, change: str
) -> None:
    data, output = make(tmp_path / "a.csv"), tmp_path / "b.csv"
    interrupted(run, echo, data, output)
    options = ["--input", "text"]
    says = {
        "data": "another source (not the same: sha256)",
        "model": "another model (not the same: config.json)",
        "setting": "top_k null, now 2",
        "column": '--input "text", now "id"',
        "kind": 'silmu "0.0.1", now',
    }[change]
    if change == "data":
        data.write_bytes(data.read_bytes().replace(b"text 29", b"text 92"))
    elif change == "model":
        shutil.copytree(SEQUENCE, tmp_path / "m")
        config = tmp_path / "m" / "config.json"
        config.write_text(config.read_text() + " ")
        echo.model.folder = Folder(tmp_path / "m", "m")
    elif change == "setting":
        options += ["--set", "top_k=2"]
    elif change == "column":
        options = ["--input", "id"]
    else:
        restate(tmp_path / "b.csv.parts")
    done = run(data, output, *options)
    assert (done.code, done.out, echo.asked) == (2, "", [])
    assert says in done.err
    assert "delete that folder to begin anew" in done.err
    assert not output.exists()


def restate(parts: Path) -> None:
    """Says of the first part that another silmu wrote it."""
    first = min(parts.glob("0*"))
    meta, content = store.verify(first).meta, (first / "rows").read_bytes()
    store.remove(first)
    meta["made"]["settings"]["silmu"] = "0.0.1"
    with store.new_folder(first, meta=meta) as writer:
        writer.write("rows", content)


def test_rows_that_are_others_without_a_file_to_tell(
    run: Run, echo: Echo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As of a data base, which has a name and no content to compare.
    monkeypatch.setattr(_rows, "fingerprint", lambda source: {"name": "the same"})
    data, output = make(tmp_path / "a.csv"), tmp_path / "b.csv"
    interrupted(run, echo, data, output)
    data.write_text(data.read_text().replace("text 9 ", "text 8 "))
    done = run(data, output, "--input", "text")
    assert (done.code, "are not those that were answered before" in done.err) == (2, True)
    make(data, 12)
    done = run(data, output, "--input", "text")
    assert (done.code, "are not those that were answered before" in done.err) == (2, True)


def test_a_source_that_changes_while_it_is_read(run: Run, echo: Echo, tmp_path: Path) -> None:
    data = make(tmp_path / "a.csv")

    class Changing(Echo):
        def __call__(self, inputs: Any, **settings: Any) -> Iterator[Any]:
            os.utime(data, ns=(1, 1))
            return super().__call__(inputs, **settings)

    echo.__class__ = Changing
    done = run(data, tmp_path / "b.csv", "--input", "text")
    assert (done.code, "was changed while it was read" in done.err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_folder_that_is_not_ours_is_left_alone(run: Run, echo: Echo, tmp_path: Path) -> None:
    mine = tmp_path / "b.csv.parts" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")
    done = run(make(tmp_path / "a.csv"), tmp_path / "b.csv", "--input", "text")
    assert (done.code, "holds `thesis.txt`, which is no part" in done.err) == (2, True)
    assert mine.read_text() == "years of work"
    assert echo.asked == []


def test_two_at_once(run: Run, echo: Echo, tmp_path: Path) -> None:
    data, output = make(tmp_path / "a.csv"), tmp_path / "b.csv"
    with store.lock(tmp_path / "b.csv.parts"):
        done = run(data, output, "--input", "text")
    assert (done.code, "is being written by process" in done.err) == (2, True)
    assert echo.asked == []
    assert run(data, output, "--input", "text").code == 1


@pytest.mark.usefixtures("echo")
def test_a_disk_that_is_full_loses_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, output = make(tmp_path / "a.csv"), tmp_path / "b.csv"
    for _ in range(3):  # each time one part more is there
        monkeypatch.setenv("SILMU_FAILPOINT", "write:99:short")  # so that it counts anew
        store.write_file(tmp_path / "note", b"")
        monkeypatch.setenv("SILMU_FAILPOINT", "write:4+:ENOSPC")
        done = run(data, output, "--input", "text")
        assert (done.code, "No space left" in done.err, output.exists()) == (2, True, False)
    monkeypatch.delenv("SILMU_FAILPOINT")
    assert run(data, output, "--input", "text").code == 1
    assert read(output) == expected()


def test_memory_does_not_grow_with_the_file(
    run: Run, echo: Echo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_scoring, "GROUP", 64)
    monkeypatch.setattr(_scoring, "PART_ROWS", 1 << 30)
    monkeypatch.setattr(_scoring, "PART_BYTES", 100_000)

    class Forgetting(list[str]):
        def __iadd__(self, more: Any) -> Forgetting:  # type: ignore[override, misc]
            return self

    echo.asked = Forgetting()
    peaks: list[int] = []
    for rows in (1_000, 16_000):
        data = tmp_path / f"{rows}.csv"
        data.write_text("text\n" + f"{'word ' * 40}\n" * rows)
        tracemalloc.start()
        assert run(data, tmp_path / "b.csv").code == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 500_000
    assert peaks[1] < (tmp_path / "16000.csv").stat().st_size


# ── bad inputs, progress ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "given", [[], ["bad"], ["a"], ["bad"] * 5, ["a", "bad", "b", "c", "bad"], list("abcdefgh")]
)
def test_one_bad_input_spoils_no_other(given: list[str]) -> None:
    inputs: list[Any] = [*given, InputError("empty")]
    found = _scoring.answered(Echo(), inputs, {})
    told = [str(one) if isinstance(one, InputError) else one["label"] for one in found]
    wanted = ["it is bad" if text == "bad" else f"label {len(text)}" for text in given]
    assert told == [*wanted, "empty"]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.usefixtures("echo")
def test_progress(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool) -> None:
    monkeypatch.setattr(_progress, "PAUSE_ON_TERMINAL" if live else "PAUSE", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: live)
    data = make(tmp_path / "a.csv", 40)
    err = run(data, tmp_path / "b.csv", "--input", "text").err
    assert run(data, tmp_path / "b.csv", "--input", "text", "-q").err.startswith("warning: 2 of 40")
    *lines, last = err.rstrip("\n").split("\r" if live else "\n")
    assert last.startswith("warning: 2 of 40 rows")
    told = [line for line in lines if line.strip()]
    assert len(told) == 10
    assert told[4].startswith("20 rows, ")
    assert " a second, " in told[4]
    assert told[4].rstrip().endswith(" left")
    if live:
        assert lines[-1].isspace()
        assert len(lines[-1]) >= len(told[-1].rstrip())


def test_durations() -> None:
    spans = {0.2: "0 s", 59.6: "1 min 0 s", 3599: "59 min 59 s", 7384: "2 h 3 min"}
    assert {seconds: _progress.duration(seconds) for seconds in spans} == spans
