"""A search for settings: what it may change, how trials are judged, and what it leaves."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")

import sample_report as sample
import train_child
from test_run import reviews as rows

import silmu
from silmu import extras, search, store
from silmu import run as runs
from silmu.errors import CorruptError, MissingExtraError, TrainingError, UsageError
from silmu.networks.tables import TableNetworkConfig
from silmu.networks.texts import TextNetworkConfig
from silmu.search import _proposals
from silmu.steps.collect.dataset import Dataset
from silmu.steps.design import spaces, tables, texts
from silmu.steps.design.plan import FROM_NOTHING
from silmu.steps.design.spaces import Choice, Range
from silmu.steps.design.trials import DONE, FAILED, STOPPED, Trial, Trials
from silmu.steps.evaluate import searched as searched_page
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.train.loop import fit
from silmu.steps.train.progress import Progress
from silmu.steps.train.settings import Training
from silmu.tasks.tabular_regression import TabularRegression
from silmu.tasks.text_classification import TextClassification, TextClassificationConfig

SMALL = {
    "epochs": 2,
    "batch_size": 16,
    "embedding_size": 8,
    "num_buckets": 64,
    "bag_weights": 256,
    "vocabulary_size": 120,
    "near_duplicates": False,
    "dtype": "fp32",
    "threads": 1,
}


def noisy(count: int) -> list[dict[str, object]]:
    """Reviews of which no settings get all right."""
    found = rows(count)
    for review in found[::7]:
        review["label"] = "bad"
    return found


def begun(folder: Path, *, data: Any = None, **options: Any) -> runs.Run:
    """A run whose search is about to begin."""
    settings = {**SMALL, **options.pop("settings", {})}
    return silmu.train(
        "text-classification",
        data=noisy(90) if data is None else data,
        network="perceptron",
        output=folder,
        until="prepare",
        quiet=True,
        **{"search": 3, **options, "settings": settings},
    )


def prepared(run: runs.Run) -> Prepared:
    return Prepared.open(run.path / "2-prepared", Dataset.open(run.path / "1-dataset"))


# ── what may be changed ────────────────────────────────────────────────────────────────────────

ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
TEXTS = [(network, kind) for network in (*FROM_NOTHING, ENCODER) for kind in ("single", "number")]


def corners(space: spaces.Space) -> list[dict[str, Any]]:
    """Its lowest and highest values together, and each choice."""
    ends: dict[str, tuple[Any, ...]] = {}
    for name, one in space.items():
        ends[name] = one.of if isinstance(one, Choice) else (one.low, one.high)
    picked = [{name: values[i] for name, values in ends.items()} for i in (0, -1)]
    for name, one in space.items():
        if isinstance(one, Choice):
            picked += [{**picked[0], name: value} for value in one.of]
    return picked


def holds(space: spaces.Space, values: dict[str, Any]) -> bool:
    return all(
        values[name] in one.of if isinstance(one, Choice) else one.low <= values[name] <= one.high
        for name, one in space.items()
    )


@pytest.mark.parametrize(("network", "kind"), TEXTS)
@pytest.mark.parametrize("tune", ["all", "lora"])
def test_spaces_of_texts(network: str, kind: str, tune: str) -> None:
    given = TextClassificationConfig(tune=tune).to_dict()
    for count in (50, 2000, 10**6):
        settings = texts.decided(network, given, count)
        space = spaces.for_texts(network, settings, kind)
        assert holds(space, settings), "the defaults are in it"
        assert ("label_smoothing" in space) == (kind == "single")
        for values in corners(space):
            TextClassificationConfig().changed(values)
            Training.of({**settings, **values, "dtype": "fp32"}, fingerprint="")
            if network in FROM_NOTHING:
                sizes = {"kind": network, "vocab_size": 100, "num_outputs": 2}
                TextNetworkConfig.from_dict({**settings, **values, **sizes})
    # What is open can be told from what is given.
    assert all(given[name] is None for name in space)
    assert "epochs" not in spaces.for_texts(network, {**settings, "max_steps": 9}, kind)


@pytest.mark.parametrize("network", ["tabm", "perceptron"])
def test_spaces_of_tables(network: str) -> None:
    given = TabularRegression.Config().to_dict()
    for count in (50, 2000, 10**6):
        settings = tables.decided(given, count)
        space = spaces.for_tables(network, settings)
        assert holds(space, settings)
        for values in corners(space):
            Training.of({**settings, **values, "dtype": "fp32"}, fingerprint="")
            sizes = {"num_numbers": 3, "category_sizes": (4,), "num_outputs": 2}
            named = {"kind": network, "mean": "number", **sizes}
            TableNetworkConfig.from_dict({**settings, **values, **named})
    assert all(given[name] is None for name in space)


def test_three_digits_are_tried() -> None:
    assert Range(0.0003, 0.006, log=True).rounded(0.00123456) == 0.00123
    assert Range(0.1, 0.7).rounded(0.70000001) == 0.7
    assert Range(1, 6, whole=True).rounded(3) == 3


# ── how trials are judged ──────────────────────────────────────────────────────────────────────


def trial(number: int, metric: float | None, state: str = DONE, **more: Any) -> Trial:
    curve = () if metric is None else ((0.5, metric - 0.1), (1.0, metric))
    given = {"values": {"learning_rate": 0.01}, "curve": curve, "seconds": 1.0, "steps": 8}
    return Trial(number=number, metric=metric, state=state, **{**given, **more})


def test_the_best_is_the_first_of_the_best() -> None:
    found = (trial(0, 0.7), trial(1, None, FAILED), trial(2, 0.8), trial(3, 0.9, STOPPED))
    trials = Trials(asked=9, trials=(*found, trial(4, 0.8)))
    assert [one.number for one in trials.ranked()] == [2, 4, 0, 3, 1]
    assert trials.best is found[2]
    fewer = dataclasses.replace(trials, higher_is_better=False)
    assert [one.number for one in fewer.ranked()] == [0, 2, 4, 3, 1]
    assert Trials(asked=9, trials=found[1:2]).best is None


@pytest.mark.parametrize("sign", [1, -1])
def test_a_trial_is_hopeless_below_the_median(sign: int) -> None:
    def of(*finals: float) -> Trials:
        curves = [((0.4, sign * (one - 0.2)), (1.0, sign * one)) for one in finals]
        found = [trial(i, 0.0, curve=curve) for i, curve in enumerate(curves)]
        return Trials(asked=9, higher_is_better=sign > 0, trials=tuple(found))

    trials = of(0.6, 0.7, 0.8, 0.9)
    # After 40 % of their steps they had 0.4, 0.5, 0.6 and 0.7.
    assert trials.is_hopeless(0.5, sign * 0.54)
    assert not trials.is_hopeless(0.5, sign * 0.56)
    assert trials.is_hopeless(1.0, sign * 0.74)
    assert not trials.is_hopeless(0.2, sign * 0.1), "too early"
    assert not trials.is_hopeless(0.35, sign * 0.1), "nothing to compare with yet"
    assert not of(0.6, 0.7, 0.8).is_hopeless(0.9, sign * 0.1), "too few"


def test_trials_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert Trials.open(tmp_path) is None
    settled = {"device": "cpu", "dtype": "bf16", "threads": 2}
    values = {"learning_rate": 0.1 + 0.2, "batch_size": 32}
    trials = Trials(asked=3, metric="accuracy", settled=settled)
    trials = trials.with_trial(trial(0, 1 / 3, values=values)).with_trial(trial(1, None, FAILED))
    trials.leave(tmp_path)
    assert Trials.open(tmp_path) == trials
    path = tmp_path / "search" / "trials.json"
    for broken in (path.read_bytes()[:-40], b"{}", path.read_bytes().replace(b": 1,", b": 2,", 1)):
        store.write_file(path, broken)
        with pytest.raises(CorruptError, match="trials of a search"):
            Trials.open(tmp_path)


def test_a_hopeless_training_ends_and_stays_ended(tmp_path: Path) -> None:
    asked: list[float] = []

    def hopeless(share: float, best: float) -> bool:
        assert 0 < best <= 1
        asked.append(share)
        return share >= 0.5

    quiet = Progress(quiet=True)
    outcomes = []
    for _ in range(2):
        objective = train_child.Sequences()
        plan = train_child.training(epochs=4)
        outcomes.append(fit(objective, plan, tmp_path, progress=quiet, hopeless=hopeless))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].stopped == "hopeless"
    assert outcomes[0].steps == 6
    assert set(asked) == {2 / 12, 3 / 12, 5 / 12, 6 / 12}
    assert objective.losses == 0, "the second only gives back"


# ── what is tried next ─────────────────────────────────────────────────────────────────────────

SPACE: spaces.Space = {
    "learning_rate": Range(1e-4, 1.0, log=True),
    "dropout": Range(0.0, 0.5),
    "epochs": Range(1, 6, whole=True),
    "batch_size": Choice((16, 32)),
}


def searched(count: int, score: Callable[[dict[str, Any]], float], seed: int = 0) -> Trials:
    """A search whose trials take no time."""
    values: dict[str, Any] = {"learning_rate": 0.5, "dropout": 0.1, "epochs": 3, "batch_size": 16}
    trials = Trials(asked=count)
    for number in range(count):
        if number:
            values = _proposals.proposed(SPACE, trials, seed)
            assert holds(SPACE, values)
        state = FAILED if number == 2 else STOPPED if number % 5 == 4 else DONE
        metric = None if state == FAILED else score(values)
        trials = trials.with_trial(trial(number, metric, state, values=values))
    return trials


def test_what_is_tried_follows_from_seed_and_trials_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def score(values: dict[str, Any]) -> float:
        return -values["dropout"]

    trials = searched(8, score)
    assert trials == searched(8, score)
    trials.leave(tmp_path)
    again = Trials.open(tmp_path)
    assert again is not None
    following = _proposals.proposed(SPACE, trials, 0)
    assert _proposals.proposed(SPACE, again, 0) == following
    assert _proposals.proposed(SPACE, trials, 1) != following
    assert trials.trials[3].values != trials.trials[4].values
    assert capsys.readouterr() == ("", ""), "Optuna says nothing"


def test_it_comes_near_to_what_is_good() -> None:
    def score(values: dict[str, Any]) -> float:
        return -abs(math.log10(values["learning_rate"]) + 2) - abs(values["dropout"] - 0.3)

    found = [
        [one.metric for one in searched(40, score, seed).trials if one.metric is not None]
        for seed in range(3)
    ]
    early = [value for one in found for value in one[:10]]
    late = [value for one in found for value in one[-10:]]
    assert sum(late) / len(late) > sum(early) / len(early) + 0.2


# ── a whole search ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    run = begun(tmp_path_factory.mktemp("search") / "run", data=noisy(200), search=6)
    return silmu.train(run.path, quiet=True)


def test_a_search_leaves_its_best(done: runs.Run) -> None:
    trials = Trials.open(done.path)
    assert trials is not None
    assert trials.best is not None
    assert len(trials.trials) == trials.asked == 6
    assert trials.taken == trials.best.number
    assert trials.best.metric == max(one.metric or 0 for one in trials.trials)
    assert trials.trials[0].values["learning_rate"] == 0.0015, "the default"
    assert all(one.curve[-1][1] == one.metric for one in trials.trials)
    assert [path.name for path in (done.path / "search").iterdir()] == ["trials.json"]
    settings = done.settings
    assert {name: settings[name] for name in trials.best.values} == trials.best.values
    assert "search" not in settings
    # What is given is not searched.
    assert not {*trials.best.values} & {"epochs", "batch_size"}
    assert {*done.seconds} == {"collect", "prepare", "search", "design", "train"}
    assert done.design is not None
    assert "the best of 6 on the validation split" in done.design.told()


def test_its_settings_given_back_repeat_it(done: runs.Run, tmp_path: Path) -> None:
    config = done.path / "run.toml"
    again = silmu.train(
        config=config, data=noisy(200), output=tmp_path / "again", until="train", quiet=True
    )
    weights = [run.model / "model.safetensors" for run in (done, again)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert not (again.path / "search").exists()


def test_the_report_and_the_card_tell_of_it(done: runs.Run) -> None:
    report = done.report
    assert report.look == 1
    told = report.to_dict()["run"]["search"]
    trials = Trials.open(done.path)
    assert trials is not None
    assert trials.best is not None
    assert [one["number"] for one in told["trials"]] == [one.number for one in trials.ranked()]
    page = (done.path / "5-report" / "report.html").read_text(encoding="utf-8")
    assert "Search for settings" in page
    assert page.count("(defaults)") == 1
    card = (done.model / "README.md").read_text(encoding="utf-8")
    assert "Settings were chosen by search on the validation split: the best of 6 trials" in card


def test_a_search_that_is_over_is_passed_over(done: runs.Run) -> None:
    before = (done.path / "search" / "trials.json").stat().st_mtime_ns
    silmu.train(done.path, search=6, quiet=True)
    assert (done.path / "search" / "trials.json").stat().st_mtime_ns == before
    assert done.report.look == 1
    with pytest.raises(UsageError, match="begun with other settings: search"):
        silmu.train(done.path, search=7, quiet=True)


def test_the_test_split_decides_nothing(tmp_path: Path) -> None:
    data = noisy(90)
    run = begun(tmp_path / "one", data=data)
    silmu.train(run.path, until="train", quiet=True)
    for place in prepared(run).rows("test"):
        data[place]["label"] = {"good": "bad", "bad": "good"}[str(data[place]["label"])]
    other = begun(tmp_path / "other", data=data)
    silmu.train(other.path, until="train", quiet=True)
    found = [Trials.open(one.path) for one in (run, other)]
    metrics = [[one.metric for one in trials.trials] for trials in found if trials is not None]
    values = [[one.values for one in trials.trials] for trials in found if trials is not None]
    assert metrics[0] == metrics[1]
    assert values[0] == values[1]


# ── trials that fail, or are stopped ───────────────────────────────────────────────────────────


class Wild(TextClassification):  # type: ignore[misc]
    """Texts whose search may take a learning rate with which nothing can be learnt."""

    def space(self, prepared: Prepared | None) -> spaces.Space:
        return {"learning_rate": Choice((0.0015, 1e30))}


class Huge(TextClassification):  # type: ignore[misc]
    """Texts whose search may take a network that no memory holds."""

    def space(self, prepared: Prepared | None) -> spaces.Space:
        return {"num_layers": Choice((1, 2)), "hidden_size": Choice((128, 10**13))}


@pytest.mark.parametrize(("kind", "why"), [(Wild, "at step"), (Huge, "memory")])
def test_a_trial_that_fails_is_not_the_end(
    tmp_path: Path, kind: type[TextClassification], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begun(tmp_path / "run", search=6, settings={"clip": None})
    config = TextClassificationConfig().changed(
        {k: v for k, v in run.settings.items() if k not in ("task", "silmu")}
    )
    search.search(kind(config, run.path), prepared(run))
    trials = Trials.open(run.path)
    assert trials is not None
    assert trials.best is not None
    failed = [one for one in trials.trials if one.state == FAILED]
    assert 0 < len(failed) < 6
    assert all(why in one.why for one in failed)
    lines = capsys.readouterr().err
    assert lines.count("failed: ") == len(failed)
    assert (run.path / "4-train" / "finished").is_dir()


def test_all_failed(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", settings={"learning_rate": 1e30})
    with pytest.raises(TrainingError, match="all 3 trials of the search failed; the first: the"):
        silmu.train(run.path, quiet=True)


def test_a_hopeless_trial_is_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = begun(tmp_path / "run", search=6)
    config = TextClassificationConfig(network="perceptron")
    space = search.open_space(TextClassification(config, run.path))
    values = {n: one.of[0] if isinstance(one, Choice) else one.low for n, one in space.items()}
    curve = ((0.3, 1.0), (1.0, 1.0))
    perfect = [trial(i, 1.0, values=values, curve=curve, steps=10) for i in range(4)]
    settled = {"device": "cpu", "dtype": "fp32", "threads": 1}
    Trials(asked=6, metric="accuracy", settled=settled, trials=tuple(perfect)).leave(run.path)
    silmu.train(run.path, until="train")
    trials = Trials.open(run.path)
    assert trials is not None
    assert [one.state for one in trials.trials] == [DONE] * 4 + [STOPPED] * 2
    assert "of its steps; the best is 1 of trial 0" in capsys.readouterr().err
    # Whose folder is gone is trained again, with the steps that it had.
    assert trials.taken == 0
    assert run.design is not None
    assert run.design.cost.steps == 10
    assert run.model.is_dir()


# ── the budget, and what is refused ────────────────────────────────────────────────────────────


def test_a_budget_is_for_all_trials_together(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", budget="1.5s", settings={"epochs": 10_000})
    silmu.train(run.path, until="train", quiet=True)
    trials = Trials.open(run.path)
    assert trials is not None
    assert trials.trials
    assert all(one.steps < 10_000 for one in trials.trials)
    assert run.settings["budget"] == "1.5s"
    assert run.settings["max_steps"] == next(
        one.steps for one in trials.trials if one.number == trials.taken
    )


def test_beyond_the_budget_no_trial_is_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begun(tmp_path / "run", budget="60s", settings={"epochs": 1})
    silmu.train(run.path, until="train", quiet=True)
    whole = Trials.open(run.path)
    assert whole is not None
    other = begun(tmp_path / "other", budget="60s", settings={"epochs": 1})
    slow = dataclasses.replace(whole.trials[0], seconds=51.0)
    dataclasses.replace(whole, trials=(slow,), taken=None).leave(other.path)
    silmu.train(other.path, until="train")
    assert "the budget is used up after 1 of 3 trials" in capsys.readouterr().err
    found = Trials.open(other.path)
    assert found is not None
    assert found.trials == (slow,)
    assert found.taken == 0


GIVEN = {"learning_rate": 0.01, "weight_decay": 0.01, "label_smoothing": 0.0, "dropout": 0.1}
GIVEN |= {"embedding_dropout": 0.1, "feature_dropout": 0.1, "hidden_size": 8}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"search": 1}, "search is 1; it must be at least 2"),
        ({"search": 3, "network": "probe"}, "which finds its settings on the validation split"),
        ({"search": 3, "until": "design"}, "the design of this run is what its search will find"),
        ({"search": 3, "settings": {**SMALL, **GIVEN}}, "nothing is left to search: batch_size"),
    ],
)
def test_what_cannot_be_searched_is_told_before_work(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    given = {"network": "perceptron", "settings": SMALL, **options}
    with pytest.raises(UsageError, match=message):
        silmu.train(
            "text-classification", data=noisy(90), output=tmp_path / "run", quiet=True, **given
        )
    assert not (tmp_path / "run").exists()


def test_several_processes_do_not_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(tmp_path / "run")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="one process"):
        silmu.train(run.path, quiet=True)


def test_without_optuna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = extras.version
    monkeypatch.setattr(extras, "version", lambda name: None if name == "optuna" else version(name))
    begun(tmp_path / "run")  # collect and prepare need nothing of it
    with pytest.raises(MissingExtraError, match="this needs optuna") as told:
        silmu.train(tmp_path / "run", quiet=True)
    assert told.value.hint == "pip install 'silmu[search]'"


# ── what is told of it ─────────────────────────────────────────────────────────────────────────


def test_every_trial_is_shown_the_best_first() -> None:
    table = str(searched_page.table(sample.run()))
    named = re.findall(r'<th scope="row">([^<]*)', table)
    assert named == ["2", "0 (defaults)", "1", "3"]
    assert "stopped after 40%" in table
    assert "failed <small>the loss is nan</small>" in table
    assert "lower is better" not in table
    run = sample.run()
    run["search"] |= {"metric": "loss", "higher_is_better": False}
    assert "loss on validation <small>lower is better" in str(searched_page.table(run))
    assert searched_page.table({"search": None}) is None


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (0.79, "accuracy 0.813 there, 0.790 with the default ones."),
        (None, "accuracy 0.813 there. No trial"),
        (0.9, "accuracy 0.900 there, which are the default ones."),
    ],
)
def test_the_card_says_what_the_defaults_reached(first: float | None, says: str) -> None:
    run = sample.run()
    trials = run["search"]["trials"]
    trials[1]["metric"] = first
    if first == 0.9:
        trials.insert(0, trials.pop(1))
    told = searched_page.sentence(run)
    assert told is not None
    assert "chosen by search on the validation split: the best of 4 trials" in told
    assert says in told
