"""What is seen of an evaluation while it goes on: every long work of each kind of rows."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("gymnasium")
pytest.importorskip("statsmodels")

from perceptrons import perceptron
from rows import dataset
from series_child import SMALL
from series_child import rows as of_series
from test_evaluate import columns, model_for
from test_evaluate_images import prepared_of
from test_evaluate_images import rows as pictures
from test_evaluate_policies import Shown, collect, policy

import silmu
from silmu import cli
from silmu.steps.evaluate import evaluate, evaluate_data
from silmu.steps.prepare import prepare_texts
from silmu.steps.prepare.environments import prepare
from silmu.steps.train import progress
from silmu.steps.train.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path


PART = re.compile(r"([\d,]+) of ([\d,]+) ([^,]+?)(?:, [\d,]+ steps)?(?:  ends|\s*$)")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal that sees every part of every work, and none of the works without parts."""
    monkeypatch.setattr(progress, "LIVE", -1.0)
    monkeypatch.setenv("COLUMNS", "200")
    return Terminal()


def works(shown: Terminal) -> dict[str, list[tuple[int, int]]]:
    """By what is done, how much of how much was seen."""
    found: dict[str, list[tuple[int, int]]] = {}
    for line in shown.getvalue().split("\r"):
        if told := PART.match(line):
            done, total = (int(told[i].replace(",", "")) for i in (1, 2))
            found.setdefault(told[3], []).append((done, total))
    for name, parts in found.items():
        assert parts == sorted(parts), name
        assert len({total for _, total in parts}) == 1, name
    return found


def test_texts(shown: Terminal, tmp_path: Path, models: Path, monkeypatch: Any) -> None:
    rows = dataset(tmp_path / "1-dataset", columns("single"))
    prepared = prepare_texts(rows, tmp_path / "2-prepared", settings={"test": 0.3})
    model = model_for(prepared, tmp_path / "4-model", models)
    monkeypatch.setattr("silmu.steps.evaluate.test_split.AT_ONCE", 50)
    report = tmp_path / "5-report"
    evaluate(
        model, prepared, report, seconds={}, settings={"seed": 1}, progress=Progress(stream=shown)
    )
    found = works(shown)
    count = len(prepared.rows("test"))
    assert found["texts scored"][-1] == (count, count)
    answered = [name for name in found if name.startswith("rows answered by TF-IDF")]
    assert [done for done, _ in found[answered[0]]] == [*range(50, count, 50), count]
    # The terminal is left as it was.
    assert shown.getvalue().endswith("\r")


def test_pictures(shown: Terminal, tmp_path: Path) -> None:
    prepared = prepared_of(pictures("single"), tmp_path)
    model, report = perceptron(prepared, tmp_path / "4-model"), tmp_path / "5-report"
    evaluate(
        model, prepared, report, seconds={}, settings={"seed": 1}, progress=Progress(stream=shown)
    )
    found = works(shown)
    count = len(prepared.rows("test"))
    assert found["pictures scored"][-1] == (count, count)
    assert len(found["pictures scored"]) > count // 64
    assert [done for done, _ in found["pictures covered part by part"]] == [*range(8)]


def test_series(shown: Terminal, tmp_path: Path) -> None:
    run = silmu.train(
        "time-series-forecasting",
        data=of_series(),
        target="sold",
        output=tmp_path / "run",
        settings={**SMALL, "max_steps": 4},
        until="train",
        quiet=True,
    )
    prepared = silmu.run.task_class(run.task).open_prepared(run.path)
    report = run.path / "5-report"
    evaluate(run.model, prepared, report, seconds={}, settings={}, progress=Progress(stream=shown))
    found = works(shown)
    done, total = found["windows forecast"][-1]
    assert done == total > 0
    done, total = found["series smoothed"][-1]
    assert done == total == 2
    # Every form that is tried is a part of its series.
    assert len(found["series smoothed"]) >= 2 * 6


def test_policies(shown: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SDL_VIDEODRIVER", "dummy"), ("MUJOCO_GL", "egl")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    environment = collect(Shown, tmp_path)
    prepared = prepare(environment, tmp_path / "2-prepared", {})
    policy(environment, tmp_path)
    report = evaluate(
        tmp_path / "4-model",
        prepared,
        tmp_path / "5-report",
        seconds={},
        settings={"network": "mlp", "episodes": 40, "seed": 3},
        progress=Progress(stream=shown),
    )
    found = works(shown)
    for by in ("the policy", "random actions", "doing nothing"):
        assert found[f"episodes played by {by}"][-1] == (40, 40)
    films = report.to_dict()["details"]["environment"]
    steps = sum(one["length"] for one in films["films"])
    steps += sum(one["step"] for one in films["moments"])
    assert found["steps played again to be filmed"][-1] == (steps, steps)


def test_new_rows(shown: Terminal, models: Path, tmp_path: Path) -> None:
    new = dataset(tmp_path / "new", columns("single"))
    evaluate_data(models / "bert-sequence", new, None, progress=Progress(stream=shown))
    assert works(shown)["texts scored"][-1] == (400, 400)


def test_the_verbs_show_it_on_stderr_unless_they_are_quiet(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(progress, "FIRST", -1.0)
    monkeypatch.setattr(progress, "PLAIN", -1.0)
    given = tmp_path / "new.csv"
    given.write_text("text,label\n" + "not bad,LABEL_0\n" * 30)
    asked = ["evaluate", str(models / "bert-sequence"), "--data", str(given), "--json", "--output"]
    assert cli.main([*asked, str(tmp_path / "told")]) == 0
    told = capsys.readouterr()
    assert "30 of 30 texts scored  ends " in told.err
    assert len(told.out.splitlines()) == 1
    assert cli.main([*asked, str(tmp_path / "quiet"), "-q"]) == 0
    quiet = capsys.readouterr()
    assert "texts scored" not in quiet.err
    assert len(quiet.out.splitlines()) == 1
