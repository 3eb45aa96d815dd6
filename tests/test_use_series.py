"""`silmu use` with a model of series: files, stdin, JSON, and the file of a forecast."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import series_models
import silmu
from silmu import cli
from silmu.runtime.series.frame import Layout
from test_series_windows import LAYOUT, LONG, long_rows, rows

COLUMNS = ["time", "mean", *(f"0.{i}" for i in range(1, 10))]


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

    def run(*arguments: str | Path, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = cli.main(["use", *map(str, arguments)])
        out, err = capsys.readouterr()
        return Done(code, out, err)

    yield run
    logger.handlers, logger.level = handlers, level


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Says the last value, of one series."""
    folder = tmp_path_factory.mktemp("series") / "one"
    return series_models.write(folder, series_models.fitted(rows(), LAYOUT))


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Reads covariates of two series."""
    folder = tmp_path_factory.mktemp("series") / "shops"
    return series_models.write(folder, series_models.fitted(long_rows(), LONG), "rnn")


def as_csv(columns: dict[str, list[Any]], delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    table = csv.writer(text, delimiter=delimiter)
    table.writerow(columns)
    table.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def as_lines(columns: dict[str, list[Any]]) -> str:
    several = zip(*columns.values(), strict=True)
    return "".join(f"{json.dumps(dict(zip(columns, row, strict=True)))}\n" for row in several)


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    text = as_lines(columns) if ".jsonl" in path.name else as_csv(columns)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def read(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    if path.suffix == ".json":
        return json.loads(text)
    return list(csv.DictReader(io.StringIO(text)))


def close(found: list[dict[str, Any]], answers: list[dict[str, Any]]) -> bool:
    """Whether rows of a file are the steps of answers."""
    steps = [
        (answer.get("series"), time, [answer["mean"][i], *(q[i] for q in quantiles)])
        for answer in answers
        for quantiles in (answer["quantiles"].values(),)
        for i, time in enumerate(answer["time"])
    ]
    assert len(found) == len(steps)
    return all(
        row.get("series") == series
        and row["time"] == str(time)
        and np.allclose([float(row[name]) for name in COLUMNS[1:]], told, rtol=1e-5)
        for row, (series, time, told) in zip(found, steps, strict=True)
    )


# ── files ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("source", ["a.csv", "a.jsonl", "a.csv.gz", "a.tsv"])
@pytest.mark.parametrize("output", ["b.csv", "b.jsonl", "b.json"])
def test_a_forecast_as_a_file(run: Run, one: str, tmp_path: Path, source: str, output: str) -> None:
    given = write(tmp_path / source, rows(20))
    if source == "a.tsv":
        given.write_text(as_csv(rows(20), "\t"))
    target = tmp_path / output
    done = run(one, "--data", given, "--output", target)
    assert done == Done(0, f"{target}\n", "")
    found = read(target)
    assert list(found[0]) == COLUMNS
    assert close(found, [silmu.pipeline(model=one)(rows(20))])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source, output])


def test_columns_are_called_as_collect_calls_them(
    run: Run, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    layout = Layout(time="column_1", target=("sold",))
    history = {"column_1": rows(20)["day"], "sold": rows(20)["sold"]}
    model = series_models.write(
        tmp_path_factory.mktemp("series") / "unnamed", series_models.fitted(history, layout)
    )
    given, target = tmp_path / "a.csv", tmp_path / "b.csv"
    given.write_text(as_csv({"": history["column_1"], " sold ": history["sold"]}))
    assert run(model, "--data", given, "--output", target) == Done(0, f"{target}\n", "")
    assert close(read(target), [silmu.pipeline(model=model)(history)])
    assert run(model, "-", stdin=given.read_text()).code == 0


def test_several_series_have_their_names(run: Run, shops: str, tmp_path: Path) -> None:
    target = tmp_path / "forecast.csv"
    done = run(shops, "--data", write(tmp_path / "a.csv", long_rows()), "--output", target)
    assert done.code == 0
    found = read(target)
    assert list(found[0]) == ["series", *COLUMNS]
    assert [row["series"] for row in found] == ["A"] * 3 + ["B"] * 3
    assert close(found, silmu.pipeline(model=shops)(long_rows()))


def test_a_file_is_written_as_it_was_before(run: Run, shops: str, tmp_path: Path) -> None:
    given = write(tmp_path / "a.csv", long_rows())
    for name in ("b.csv", "c.csv"):
        assert run(shops, "--data", given, "--output", tmp_path / name).code == 0
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()


def test_the_horizon_and_other_names(run: Run, one: str, tmp_path: Path) -> None:
    columns = rows(20)
    given = write(tmp_path / "a.csv", {"date": columns["day"], "units": columns["sold"]})
    target = tmp_path / "b.csv"
    asked = ("--time", "date", "--target", "units", "--set", "prediction_length=5")
    done = run(one, "--data", given, "--output", target, *asked)
    assert done.code == 0
    assert "warning: prediction_length 5: the model was trained for 3" in done.err
    assert [row["time"] for row in read(target)] == [f"2023-01-{day}" for day in range(22, 27)]
    wrong = run(one, "--data", given, "--output", target, "--time", "date")
    assert (wrong.code, wrong.out) == (2, "")
    assert "there is no `sold`; there are `date`, `units`" in wrong.err


def test_what_is_known_ahead_may_be_a_file(run: Run, shops: str, tmp_path: Path) -> None:
    columns = long_rows()
    past = [i for i in range(60) if columns["sold"][i] is not None]
    ahead = [i for i in range(60) if i not in past]
    history = {name: [cells[i] for i in past] for name, cells in columns.items()}
    future = {name: [columns[name][i] for i in ahead] for name in ("day", "shop", "holiday")}
    given = write(tmp_path / "a.csv", history)
    target = tmp_path / "b.csv"
    lacking = run(shops, "--data", given, "--output", target)
    assert (lacking.code, target.exists()) == (2, False)
    assert "the covariate `holiday` of `A` is not given for 2023-01-27" in lacking.err
    also = f"future={write(tmp_path / 'ahead.csv', future)}"
    assert run(shops, "--data", given, "--output", target, "--set", also).code == 0
    assert close(read(target), silmu.pipeline(model=shops)(long_rows()))


def test_files_that_cannot_be_read(run: Run, one: str, tmp_path: Path) -> None:
    target = tmp_path / "b.csv"
    columns = rows(9)
    columns["sold"][4] = "many"
    for name, given, told in (
        ("bad.csv", columns, "many"),
        ("empty.csv", {"day": [], "sold": []}, "empty"),
        ("twice.csv", {**rows(3), "day": ["2024-01-01"] * 3}, "2024-01-01"),
    ):
        done = run(one, "--data", write(tmp_path / name, given), "--output", target)
        assert (done.code, done.out, target.exists()) == (2, "", False)
        assert told in done.err
        assert "Traceback" not in done.err


# ── lines ──────────────────────────────────────────────────────────────────────────────────────


def test_without_an_output_each_series_is_a_line_of_json(
    run: Run, shops: str, tmp_path: Path
) -> None:
    given = write(tmp_path / "a.csv", long_rows())
    done = run(shops, "--data", given)
    assert (done.code, done.err) == (0, "")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["series"] for line in lines] == ["A", "B"]
    assert run(shops, "--data", given, "--json").out == done.out


@pytest.mark.parametrize("form", [as_csv, as_lines, lambda c: as_csv(c, ";"), json.dumps])
def test_stdin_holds_a_history(run: Run, one: str, form: Callable[[Any], str]) -> None:
    done = run(one, "-", stdin=form(rows(20)))
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert found["time"] == ["2023-01-22", "2023-01-23", "2023-01-24"]
    assert np.allclose(found["mean"], 15)


def test_numbers_of_stdin_and_of_arguments(run: Run, one: str) -> None:
    lines = run(one, "-", "-q", stdin="3\n4.5\n\n6\n")
    assert np.allclose(json.loads(lines.out)["mean"], 6)
    several = run(one, "-", "-q", stdin="[3, 4.5, 6]\n[1]\n")
    firsts = [json.loads(line)["mean"][0] for line in several.out.splitlines()]
    assert np.allclose(firsts, [6, 1])
    assert run(one, "[3, 4.5, 6]", "[1]", "-q").out == several.out


def test_an_empty_line_between_others_is_a_step_without_a_value(run: Run, tmp_path: Path) -> None:
    own = series_models.fitted(
        {"sold": [float(i % 5) for i in range(40)]}, Layout(target=("sold",))
    )
    folder = series_models.write(tmp_path / "m", own, "rnn")
    found = run(folder, "-", stdin="3\n\n4.5\n6\n\n\n").out
    assert found == run(folder, "[3, null, 4.5, 6]").out != run(folder, "[3, 4.5, 6]").out
    assert run(folder, "-", stdin="sold\n3\n\n4.5\n6\n\n").out == found


def test_what_cannot_be_answered_is_told_beside_what_can(run: Run, one: str) -> None:
    done = run(one, "[1, 2]", "3", "[]", '{"sold": [1]}', "--json", "-q")
    assert done.code == 1
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [next(iter(line)) for line in found] == ["time", "error", "error", "error"]
    assert "input 2: `3` is neither a JSON array nor a JSON object" in done.err
    assert "input 3: the history is empty" in done.err
    assert "input 4: there is no `day`; there are `sold`" in done.err
    assert "input 2: `soon` is neither" in run(one, "-", "-q", stdin="[1]\nsoon\n").err
    assert run(one, "-", stdin="").code == 1
    assert run(one, "-", stdin="day,sold\n2024-01-01\n").code == 1


def test_flags_that_are_for_others(run: Run, one: str) -> None:
    done = run(one, "[1]", "--set", "top_k=3")
    assert (done.code, "unexpected keyword top_k" in done.err) == (2, True)
    models = Path(__file__).parent / "models"
    table = run(models / "table-number", '{"a": 1, "b": 2}', "--time", "day")
    assert (table.code, "--time names `day`; it is for models of series" in table.err) == (2, True)


def test_verbs_that_are_for_others(one: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", one, "[1, 2]"]) == 2
    assert "for time-series-forecasting, whose answers are not explained" in capsys.readouterr().err
    assert cli.main(["export", one, "--output", f"{one}-exported"]) == 2
    assert "export is for models of texts and pictures" in capsys.readouterr().err


def test_input_names_nothing(run: Run, one: str, tmp_path: Path) -> None:
    done = run(one, "--data", write(tmp_path / "a.csv", rows(3)), "--input", "sold")
    assert (done.code, "--input names `sold`; the covariates of a series" in done.err) == (2, True)
