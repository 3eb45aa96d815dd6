"""The verbs of the steps: what they pass on, what they print, and where."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

import silmu.run
from silmu import cli
from silmu.cli import _steps
from silmu.steps.collect.dataset import Dataset, Drop, Roles
from silmu.steps.design.plan import Cost, Design, Layer
from silmu.steps.evaluate.report import Report
from silmu.steps.prepare.prepared import Prepared

STEPS = ("collect", "prepare", "design", "train")
UNTIL = {
    "collect": ("collect", "collect"),
    "prepare": ("prepare", "prepare"),
    "design": ("prepare", "design"),  # whose second part is told by the verb itself
    "train": ("evaluate", "evaluate"),
}


def metric(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02, "n": 400}


VALUES = {
    "format": 1,
    "metrics": {"accuracy": metric(0.85), "log_loss": metric(0.4)},
    "baselines": {"majority": {"accuracy": metric(0.5)}, "tfidf": {"accuracy": metric(0.8)}},
    "comparison": {"sentence": "It is better than the simple model."},
    "warnings": ["The test split is small."],
    "seconds": {"train": 12.5},
    "details": {},
}
DESIGN = Design(
    network="gru",
    settings={},
    layers=(Layer("embedding", "Embedding", "100 x 8", 800),),
    parameters=800,
    trainable=800,
    cost=Cost(
        step_seconds={"fp32": 0.01},
        dtype="fp32",
        steps=100,
        train_seconds=61.0,
        answer_seconds=0.001,
        memory=5_000_000,
    ),
)


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    logger = logging.getLogger("silmu")
    handlers, level = logger.handlers, logger.level
    yield lambda *arguments: Done(cli.main([str(one) for one in arguments]), *capsys.readouterr())
    logger.handlers, logger.level = handlers, level


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What silmu.run was called with; it gives a run in which all is done."""
    seen: dict[str, Any] = {}

    def train(task: Any, **options: Any) -> Any:
        seen.update({} if seen else {"task": task, **options})
        seen["last"] = options["until"]
        path = Path("runs/a b-1")
        report = Report(VALUES)
        own = {"task": "text-classification", "report": report, "design": DESIGN}
        return SimpleNamespace(path=path, model=path / "4-model", **own)

    def evaluate(model: Any, **options: Any) -> Report:
        seen.update(model=model, **options)
        return Report(VALUES)

    dataset = SimpleNamespace(
        **{"source": "a.csv", "fingerprint": "f" * 64, "rows_in": 12, "num_rows": 10},
        dropped=(Drop("no label", 2, (3, 4)),),
        roles=Roles(("review",), ("label",)),
        series=None,
    )
    prepared = SimpleNamespace(
        **{"kind": "single", "labels": ("no", "yes"), "moved": 1, "max_length": 64},
        counts={"train": 8, "validation": 1, "test": 1},
    )
    for kind, stand_in in ((Dataset, dataset), (Prepared, prepared)):
        for word in ("facts", "lines"):
            setattr(stand_in, word, partial(getattr(kind, word), stand_in))
    monkeypatch.setattr(silmu.run, "train", train)
    monkeypatch.setattr(silmu.run, "evaluate", evaluate)
    monkeypatch.setattr(Dataset, "open", lambda path: dataset)
    monkeypatch.setattr(Prepared, "open", lambda path, dataset: prepared)
    return seen


@pytest.mark.parametrize("verb", STEPS)
def test_every_option_reaches_the_run(run: Run, asked: dict[str, Any], verb: str) -> None:
    names = ("data", "input", "target", "group", "time", "network", "budget", "output", "config")
    texts = {name: f"a {name}" for name in (*names, "device", "dtype")}
    options = [one for name, value in texts.items() for one in (f"--{name}", value)]
    settings = ["--set", "epochs=3", "--set", "split=hash"]
    own = {"search": 5} if verb == "train" else {}
    options += [f"--{name}={value}" for name, value in own.items()]
    assert run(verb, "text-classification", *options, "--seed", "7", *settings).code == 0
    until, last = UNTIL[verb]
    assert asked == {
        **own,
        **{"task": "text-classification", **texts, "seed": 7, "last": last},
        **{"settings": {"epochs": 3, "split": "hash"}, "until": until, "quiet": False},
    }


@pytest.mark.parametrize("verb", STEPS)
def test_what_is_not_given_is_left_to_the_run(run: Run, asked: dict[str, Any], verb: str) -> None:
    assert run(verb, "runs/a-1", "-q").code == 0
    given = {name: value for name, value in asked.items() if value is not None}
    until, last = UNTIL[verb]
    told = {"task": "runs/a-1", "settings": {}, "quiet": True}
    assert given == {**told, "until": until, "last": last}


def test_a_recipe_names_the_task(run: Run, asked: dict[str, Any]) -> None:
    assert run("train", "--config", "recipe.toml").code == 0
    assert (asked["task"], asked["config"]) == (None, "recipe.toml")


@pytest.mark.usefixtures("asked")
def test_train_tells_the_model_and_how_well_it_does(run: Run) -> None:
    assert run("train", "text-classification") == Done(
        0,
        "runs/a b-1/4-model\n",
        """\
          model                   majority                tfidf
accuracy  0.850 (0.830 to 0.870)  0.500 (0.480 to 0.520)  0.800 (0.780 to 0.820)
log_loss  0.400 (0.380 to 0.420)  -                       -
It is better than the simple model.
note: The test split is small.
report: runs/a b-1/5-report/report.html
next: silmu use 'runs/a b-1/4-model' ...
""",
    )
    assert run("train", "text-classification", "-q") == Done(0, "runs/a b-1/4-model\n", "")
    done = run("train", "text-classification", "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == {
        "run": "runs/a b-1",
        "model": "runs/a b-1/4-model",
        **{name: VALUES[name] for name in ("metrics", "baselines", "seconds")},
    }


@pytest.mark.usefixtures("asked")
def test_of_several_processes_the_first_tells(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert run("train", "text-classification", "--json") == Done(0, "", "")


@pytest.mark.usefixtures("asked")
def test_collect_tells_what_was_dropped(run: Run, tmp_path: Path) -> None:
    own = "collect: input: review\ncollect: target: label\nnext: silmu prepare 'runs/a b-1'\n"
    assert run("collect", "text-classification") == Done(0, "runs/a b-1\n", own)
    (tmp_path / "1-dataset").mkdir()
    before = "collect: 12 rows = 10 kept + 2 dropped\ncollect: dropped 2: no label\n"
    assert run("collect", tmp_path) == Done(0, "runs/a b-1\n", before + own)
    told = json.loads(run("collect", "text-classification", "--json").out)
    assert told["dataset"]["rows_in"] == told["dataset"]["rows"] + 2
    assert told["dataset"]["dropped"] == {"no label": 2}


@pytest.mark.usefixtures("asked")
def test_prepare_tells_how_rows_were_split(run: Run, tmp_path: Path) -> None:
    own = (
        "prepare: labels (single): no, yes\nprepare: texts are read up to 64 tokens\n"
        "next: silmu design 'runs/a b-1'\n"
    )
    assert run("prepare", "text-classification") == Done(0, "runs/a b-1\n", own)
    (tmp_path / "2-prepared").mkdir()
    before = "prepare: 8 train, 1 validation, 1 test; 1 duplicates kept with their first\n"
    assert run("prepare", tmp_path) == Done(0, "runs/a b-1\n", before + own)
    told = json.loads(run("prepare", "runs/a-1", "--json").out)
    assert told["prepared"]["counts"] == {"train": 8, "validation": 1, "test": 1}


@pytest.mark.usefixtures("asked")
def test_design_tells_the_cost(run: Run) -> None:
    done = run("design", "runs/a-1")
    assert done.code == 0
    assert done.err.startswith("design: building the network")
    assert done.err.endswith("\nnext: silmu train 'runs/a b-1'\n")
    assert done.out == f"{DESIGN.told()}\n"
    told = json.loads(run("design", "runs/a-1", "--json").out)
    assert told["design"]["layers"][0]["parameters"] == 800
    assert told["design"]["cost"]["train_seconds"] == 61.0


def test_evaluate(run: Run, asked: dict[str, Any]) -> None:
    options = ("--data", "b.csv", "--input", "text", "--target", "label", "--output", "out")
    done = run("evaluate", "runs/a-1/4-model", *options, "--set", "query=SELECT 1")
    assert asked == {
        **{"model": "runs/a-1/4-model", "data": "b.csv", "input": "text", "target": "label"},
        **{"output": "out", "query": "SELECT 1", "settings": {}, "quiet": False},
    }
    assert done == Done(0, "".join(f"{line}\n" for line in _steps.findings(Report(VALUES))), "")
    own = ("--set", 'kwargs={"g": 5}', "--set", "max_episode_steps=9")
    told = json.loads(run("evaluate", "m", "--json", *own).out)
    assert asked["settings"] == {"kwargs": {"g": 5}, "max_episode_steps": 9}
    assert told == {
        "model": "m",
        **{name: VALUES[name] for name in ("metrics", "baselines", "seconds")},
    }


def test_without_truth_nothing_is_judged() -> None:
    told = _steps.findings(Report({"metrics": {}, "warnings": ["`age` is in another unit"]}))
    assert told == [
        "nothing is judged: the data does not tell what is true",
        "note: `age` is in another unit",
    ]


def test_it_is_told_where_the_report_is(
    run: Run, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silmu.run, "evaluate", lambda *_, **__: Report(VALUES, Path("out")))
    assert run("evaluate", "m").err == f"report: {Path('out', 'report.html')}\n"


@pytest.mark.usefixtures("asked")
def test_a_metric_below_what_is_asked_ends_with_1(run: Run) -> None:
    assert run("evaluate", "m", "--set", "fail_under=accuracy:0.85", "--json").code == 0
    done = run("evaluate", "m", "--set", "fail_under=accuracy:0.86", "--json")
    assert done.code == 1
    assert done.err == "accuracy is 0.850 (0.830 to 0.870), and 0.86 is asked of it\n"
    assert json.loads(done.out)["metrics"] == VALUES["metrics"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("fail_under=0.8", "fail_under is 0.8; it must be METRIC:NUMBER"),
        ("fail_under=accuracy:high", "it must be METRIC:NUMBER"),
        ("fail_under=:0.8", "it must be METRIC:NUMBER"),
        ("fail_under=acuracy:0.8", "the report has no 'acuracy'; its metrics are accuracy"),
        ("fail_under=log_loss:0.3", "log_loss is the better the lower"),
        ("fail_over=accuracy:0.8", "evaluate has no setting `fail_over`"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_what_cannot_be_asked_of_a_metric(run: Run, setting: str, says: str) -> None:
    done = run("evaluate", "m", "--set", setting)
    assert (done.code, done.out, says in done.err) == (2, "", True)


@pytest.mark.parametrize("verb", STEPS)
def test_faults_of_the_user_are_one_line(run: Run, verb: str, tmp_path: Path) -> None:
    done = run(verb, "text-classification", "--output", tmp_path / "r")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: no data was given")
    done = run(verb)
    assert (done.code, "no task was named" in done.err) == (2, True)
    assert list(tmp_path.iterdir()) == []
