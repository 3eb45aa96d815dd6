"""A run: the six steps in their order, in one folder, each skipped where it is done.

runs/reviews-text-classification-1/
├── run.toml        every effective setting; given back, it repeats the run
├── 1-dataset/      the rows, by what roles, what was dropped and why
├── 2-prepared/     sealed splits, and what the network reads
├── search/         what was tried, where settings were searched
├── 3-design.json   the network and its cost
├── 4-train/        checkpoints and log.jsonl
├── 4-model/        the model folder
├── 4-backtest/     where a test part of series is short: the same of earlier parts of time
├── 5-report/       metrics.json and report.html
└── seconds.json    how long each step took
"""

from __future__ import annotations

import json
import os
import time
import tomllib
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

from silmu import __version__, extras, registry, store
from silmu.errors import (
    Interrupted,
    LockedError,
    ModelNotFoundError,
    SilmuError,
    UnknownTaskError,
    UsageError,
)
from silmu.runtime import schema
from silmu.runtime.folder import Folder

if TYPE_CHECKING:
    from silmu.steps.design.plan import Design
    from silmu.steps.evaluate.report import Report
    from silmu.tasks._base import Config, Task

T = TypeVar("T")

STEPS = ("collect", "prepare", "design", "train", "evaluate")
SETTINGS = "run.toml"
SECONDS = "seconds.json"
RUNS = Path("runs")
PATIENCE_SECONDS = 3600.0
"""How long a process that is not the first waits for the design."""

IN_MEMORY = "(given in Python)"
"""What run.toml says of data that was no file."""


@final
@dataclass(frozen=True)
class Run:
    """A run folder, and what it holds so far."""

    path: Path
    task: str

    @property
    def model(self) -> Path:
        """The model folder.

        Raises:
            ModelNotFoundError: training has not ended.
        """
        model = self.path / "4-model"
        if not model.is_dir():
            raise ModelNotFoundError(
                f"the run {self.path} has no model yet", hint=f"silmu train {self.path}"
            )
        return model

    @property
    def report(self) -> Report:
        """What evaluation found; `run.report["accuracy"].value` and `.interval`."""
        from silmu.steps.evaluate.report import Report

        return Report.open(self.path / "5-report")

    @property
    def design(self) -> Design | None:
        """The network and its cost; None where the run has not come so far."""
        from silmu.steps.design.plan import Design

        return Design.open(self.path)

    @property
    def settings(self) -> dict[str, Any]:
        """Every effective setting."""
        return _read_settings(self.path / SETTINGS)

    @property
    def seconds(self) -> dict[str, float]:
        """How long each step took, interruptions not counted."""
        path = self.path / SECONDS
        return json.loads(path.read_bytes()) if path.exists() else {}


def train(
    task: str | Path | None = None,
    *,
    data: Any = None,
    query: str | None = None,
    input: str | None = None,
    target: str | None = None,
    group: str | None = None,
    time: str | None = None,
    network: str | None = None,
    budget: str | None = None,
    search: int | None = None,
    output: str | Path | None = None,
    config: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    until: str = "evaluate",
    quiet: bool = False,
) -> Run:
    """From data to a model that answers, and a report that says how well.

    >>> run = train("text-classification", data="reviews.csv")           # doctest: +SKIP
    >>> run.report["accuracy"].interval                                  # doctest: +SKIP
    (0.81, 0.84)

    Args:
        task: a Hub id; or the folder of a run, which goes on where it was interrupted.
        data: a file, a glob, a folder, a hub id, `package:NAME/path`, a data frame, or dicts.
        query: a SELECT over the source, as the table `data`.
        input, target, group, time: columns, with commas between; guessed where not given.
        network: what the task offers, a model folder to fine-tune, `probe`, or `auto`.
        budget: how long training may take, such as `10m`; all trials of a search together.
        search: how many settings are tried on the validation split, the default ones first.
        output: the run folder; `runs/<data>-<task>-<n>`, if not given.
        config: a TOML file of settings: a recipe, or the run.toml of another run.
        settings: any other setting of the task.
        until: the last step that is done.
        quiet: tell nothing of how it goes; else lines go to stderr.

    Started by torchrun, the processes train together; name the run folder then.

    Raises:
        UsageError: a setting is wrong; before any work is done.
        InputError: the data cannot be learnt from.
        MissingExtraError: a package that is needed is not installed.
        LockedError: another process works on the run.
    """
    if until not in STEPS:
        raise UsageError(f"until is {until!r}; it may be {', '.join(STEPS)}")
    # Torch's threads wait for each other by spinning, and as long as they do by default, training
    # becomes ten times slower as soon as anything else runs on the machine. Read when it is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    given = {
        "query": query,
        "input": input,
        "target": target,
        "group": group,
        "time": time,
        "network": network,
        "budget": budget,
        "search": search,
        "device": device,
        "dtype": dtype,
        "seed": seed,
        **(settings or {}),
    }
    given = {name: value for name, value in given.items() if value is not None}
    if data is not None:
        given["data"] = _stored(data)
    if int(os.environ.get("RANK", "0")):
        return _follow(Path(output or task or "."), quiet)
    if task is not None and (Path(task) / SETTINGS).is_file():
        return _resume(Path(task), data, given, until, quiet)
    if config is not None:
        given = {**_read_settings(Path(config)), **given}
    name = _task_name(task, given)
    given = {key: value for key, value in given.items() if key not in ("task", "silmu")}
    kind = task_class(name)
    chosen = kind.Config().changed(given)
    if not chosen.data:
        raise UsageError("no data was given", hint="--data FILE, or data=... in Python")
    source = chosen.data if data is None else data
    chosen = chosen.changed({"data": _stored(chosen.data)})
    _require(kind, chosen, until)
    with _claimed(output, name, source) as folder:
        _write_settings(folder, name, chosen)
        run = Run(folder, name)
        try:
            return _go(run, kind, chosen, source, until, quiet)
        except SilmuError:
            # What cannot be collected leaves no run that could go on.
            if not (folder / "1-dataset").exists():
                store.remove(folder)
            raise


def evaluate(
    model: str | Path,
    *,
    data: Any = None,
    query: str | None = None,
    input: str | None = None,
    target: str | None = None,
    output: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Report:
    """How well a model answers: on its run's sealed test split, or on other data.

    Args:
        model: a model folder or a run.
        data: rows that the model has not seen; the test split of its run, if not given.
        output: the folder for the rows and the report, if it is about other data;
            `runs/<data>-evaluation-<n>`, if not given.
        settings: of an environment that `data` names: `kwargs`, `max_episode_steps` and
            `deterministic`, as training takes them.
        quiet: tell nothing of how it goes; else lines go to stderr where it takes long.

    Raises:
        ModelNotFoundError: there is no such model.
        UsageError: no data was given, and the model is not in a run.
    """
    extras.require("report")
    from silmu.steps import evaluate as evaluation
    from silmu.steps.collect import collect
    from silmu.steps.train.progress import Progress

    path = Path(model)
    folder = path if (path / SETTINGS).is_file() else path.parent
    model = path / "4-model" if folder == path else path
    if settings and (data is None or _rows_of(Path(model)) != "environment"):
        raise UsageError(
            f"{next(iter(settings))} is set, which is of an environment that data names",
            hint="leave it out",
        )
    if data is None:
        if not (folder / SETTINGS).is_file():
            raise UsageError(
                f"{model} is not in the folder of a run, so there is no test split to look at",
                hint="give --data FILE with rows that it has not seen",
            )
        run = Run(folder, _read_settings(folder / SETTINGS)["task"])
        prepared = task_class(run.task).open_prepared(folder)
        return evaluation.evaluate(
            run.model,
            prepared,
            folder / "5-report",
            seconds=run.seconds,
            settings=run.settings,
            progress=Progress(quiet=quiet),
        )
    names = _columns_of(Path(model))
    kind = _rows_of(Path(model))
    if kind == "environment":
        named = {"query": query, "input": input, "target": target}
        return _evaluate_in(Path(model), data, output, named, settings, quiet)
    with _claimed(output, "evaluation", data) as place:
        dataset = collect(
            data,
            place / "1-dataset",
            kind=kind,
            query=query,
            input=input or names.get("input"),
            target=target or names.get("target"),
            need_target=False,
            **(_series_of(Path(model)) if kind == "series" else {}),
        )
        progress = Progress(quiet=quiet)
        return evaluation.evaluate_data(Path(model), dataset, place / "5-report", progress=progress)


def _evaluate_in(
    model: Path,
    source: Any,
    output: str | Path | None,
    named: Mapping[str, Any],
    settings: Mapping[str, Any] | None,
    quiet: bool,
) -> Report:
    """How much a policy earns in another environment than that of its run."""
    from silmu.steps import evaluate as evaluation
    from silmu.steps.collect import environments
    from silmu.steps.train.progress import Progress

    if given := [name for name, one in named.items() if one is not None]:
        raise UsageError(
            f"{given[0]} is `{named[given[0]]}`; it is for rows, and this model acts in an "
            "environment",
            hint="leave it out",
        )
    environments.checked(settings)
    with _claimed(output, "evaluation", source) as place:
        environment = environments.collect(source, place / "1-dataset", settings=settings)
        progress = Progress(quiet=quiet)
        return evaluation.evaluate_data(model, environment, place / "5-report", progress=progress)


def _rows_of(model: Path) -> str:
    """What a model reads, as `collect` calls it."""
    architectures: list[str] = Folder(model, str(model)).config.get("architectures") or []
    told = (registry.task_of_architecture(str(one)) for one in architectures)
    learnt = registry.tasks()
    return next((task_class(task).rows for task in told if task in learnt), "text")


def _columns_of(model: Path) -> dict[str, list[str]]:
    """The columns that a model was trained on, by role."""
    known = schema.Schema.open(Folder(model, str(model)))
    columns = () if known is None else known.columns
    named = {
        role: [column.name for column in columns if column.role == role]
        for role in ("input", "target")
    }
    return {role: names for role, names in named.items() if names}


def _series_of(model: Path) -> dict[str, Any]:
    """How rows became the series that a model was trained on, as `collect` is told it."""
    from silmu.runtime.series.processor import SeriesProcessor

    layout = SeriesProcessor.open(Folder(model, str(model))).layout
    step = None if layout.step is None else layout.step.to_text()
    return {
        "time": layout.time,
        "group": ",".join(layout.group) or None,
        "series": {"step": step, "timezone": layout.zone, "aggregate": layout.aggregate},
    }


def _resume(
    folder: Path,
    data: Any,
    given: Mapping[str, Any],
    until: str,
    quiet: bool,
) -> Run:
    from silmu.steps.design.trials import Trials

    stored = _read_settings(folder / SETTINGS)
    tried = Trials.open(folder)
    before = {**({} if tried is None else {"search": tried.asked}), **stored}
    changed = sorted(k for k, v in given.items() if before.get(k) != v and k != "data")
    if changed:
        raise UsageError(
            f"the run {folder} was begun with other settings: {', '.join(changed)}",
            hint="a run keeps its settings; leave them out to go on, or begin a new run",
        )
    name = stored.pop("task")
    stored.pop("silmu", None)
    kind = task_class(name)
    config = kind.Config().changed(stored)
    # A password is not stored, so whoever goes on before the rows are there gives it again.
    is_same = data is not None and _stored(data) in (config.data, IN_MEMORY)
    source = data if is_same else config.data
    _require(kind, config, until)
    with store.lock(folder):
        return _go(Run(folder, name), kind, config, source, until, quiet)


def _require(kind: type[Task[Any]], config: Config, until: str) -> None:
    extras.require(kind.extra(config) if STEPS.index(until) > 1 else "data")


def _stored(data: Any) -> str:
    """What run.toml says of the data."""
    from silmu.steps.collect import without_password

    return without_password(str(data)) if isinstance(data, str | Path) else IN_MEMORY


def _follow(folder: Path, quiet: bool) -> Run:
    """The part of a process that is not the first: it trains with the others, and writes nothing.

    Raises:
        UsageError: the first process has made no design in this folder for an hour.
    """
    extras.require("train")
    from silmu.steps.design.plan import FILE, Design

    end = time.monotonic() + PATIENCE_SECONDS
    while not (folder / FILE).exists():
        if time.monotonic() > end:
            raise UsageError(
                f"no design appeared in {folder}",
                hint="torchrun ... -m silmu train RUN, after `silmu design RUN`",
            )
        time.sleep(0.2)
    stored = _read_settings(folder / SETTINGS)
    run = Run(folder, stored.pop("task"))
    stored.pop("silmu", None)
    kind = task_class(run.task)
    task = kind(kind.Config().changed(stored), folder, quiet=quiet)
    prepared = kind.open_prepared(folder)
    design = Design.open(folder)
    assert design is not None
    task.train(design, prepared)
    return run


def _go(
    run: Run,
    kind: type[Task[Any]],
    config: Config,
    source: Any,
    until: str,
    quiet: bool,
) -> Run:
    """The steps that are not done yet, up to the last one wanted."""
    try:
        return _steps(run, kind(config, run.path, quiet=quiet), source, until)
    except Interrupted:
        raise
    except KeyboardInterrupt as stopped:
        raise Interrupted(f"stopped; `silmu train {run.path}` goes on from there") from stopped


def _steps(run: Run, task: Task[Any], source: Any, until: str) -> Run:
    from silmu import search as searching

    searches = task.config.search is not None and STEPS.index(until) > 1
    if searches:
        searching.check(task, until)
    task.check(trains=STEPS.index(until) > 1)
    dataset = _timed(run, task, "collect", lambda: task.collect(source))
    if until == "collect":
        return run
    prepared = _timed(run, task, "prepare", lambda: task.prepare(dataset))
    _write_settings(run.path, run.task, task.config)
    if until == "prepare":
        return run
    if searches:
        _timed(run, task, "search", lambda: searching.search(task, prepared))
    design = _timed(run, task, "design", lambda: task.design(prepared))
    _write_settings(run.path, run.task, task.config)
    if until == "design":
        return run
    model = _timed(run, task, "train", lambda: task.train(design, prepared))
    if until == "train":
        return run
    if not (run.path / "5-report" / "metrics.json").exists():
        task.evaluate(model, prepared, run.seconds)
    return run


def _timed(run: Run, task: Task[Any], step: str, work: Callable[[], T]) -> T:
    """Does a step, and writes down how long it took where that was its first time."""
    start = time.monotonic()
    result = work()
    if step not in (known := run.seconds):
        known[step] = round(task.spent.get(step, time.monotonic() - start), 3)
        store.write_file(run.path / SECONDS, json.dumps(known).encode())
    return result


@contextmanager
def _claimed(output: str | Path | None, task: str, source: Any) -> Generator[Path]:
    """A run folder that is new, and locked."""
    from silmu.steps.collect import describe

    if output is not None:
        folder = Path(output)
        # A process that was killed at once may have left its lock and a file that was never whole.
        if folder.exists() and not folder.is_dir():
            raise UsageError(
                f"{folder} is a file; a run is a folder", hint="--output takes a new folder"
            )
        if folder.exists() and not all(path.name.startswith(".") for path in folder.iterdir()):
            goes_on = f"`silmu train {folder}` goes on with a run; a new one needs a new name"
            is_run = (folder / SETTINGS).is_file()
            raise UsageError(
                f"{folder} is already there and not empty",
                hint=goes_on if is_run else "--output takes a new folder",
            )
        with store.lock(folder):
            yield folder
        return
    stem = f"{describe(source)}-{task}"
    for folder in (RUNS / f"{stem}-{number}" for number in count(1)):
        with ExitStack() as stack:
            try:
                if folder.exists():
                    continue
                stack.enter_context(store.lock(folder))
            except LockedError:  # another process made it a moment ago
                continue
            if not (folder / SETTINGS).exists():
                yield folder
                return


def _task_name(task: str | Path | None, given: Mapping[str, Any]) -> str:
    named = str(task) if task is not None else given.get("task")
    if named is None:
        raise UsageError(
            "no task was named",
            hint="silmu train text-classification --data FILE; `silmu tasks` lists all",
        )
    try:
        return registry.canonical_task(str(named))
    except UnknownTaskError:
        if not ({os.sep, "/"} & {*str(named)} or Path(named).exists()):
            raise
        there = "holds no run.toml" if Path(named).is_dir() else "is no folder"
        raise UsageError(
            f"`{named}` is neither a task nor a run: it {there}",
            hint="`silmu tasks` lists the tasks; a run is the folder that --output named, or one "
            "of runs/",
        ) from None


def task_class(name: str) -> type[Task[Any]]:
    """The task of a name, a Hub id.

    Raises:
        UnknownTaskError: the task can only be used, with a model that others trained.
    """
    module = registry.task_module(name)
    return getattr(module, "".join(word.capitalize() for word in name.split("-")))


def _read_settings(path: Path) -> dict[str, Any]:
    advice = "settings are TOML, such as the run.toml of a run: lines of `name = value`"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        told = f"{path} cannot be read: {error.strerror or error}"
        raise UsageError(told, hint=advice) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not TOML: it is not UTF-8", hint=advice) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}", hint=advice) from error


def _write_settings(folder: Path, task: str, config: Config) -> None:
    import tomli_w

    values = {k: v for k, v in config.to_dict().items() if v is not None}
    text = tomli_w.dumps({"task": task, "silmu": __version__, **values})
    store.write_file(folder / SETTINGS, text.encode())
