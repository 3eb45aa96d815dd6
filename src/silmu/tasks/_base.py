"""What every task is: a frozen config, and the six steps from a source to a model that answers."""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
from abc import ABC, abstractmethod
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Self,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from silmu.errors import UnknownNameError, UsageError, WrongTypeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from silmu.pipelines import Pipeline
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.design.plan import Design
    from silmu.steps.design.spaces import Space
    from silmu.steps.evaluate.report import Report
    from silmu.steps.prepare.prepared import Prepared

DTYPES = ("auto", "fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of a run that every task has. `None` is decided by the run, and then written."""

    data: str = ""
    """The source, as it was given."""
    query: str | None = None
    """A SELECT over the source, which it sees as the table `data`."""
    input: str | None = None
    """The columns that are read, with commas between."""
    target: str | None = None
    """The columns that are to be told."""
    group: str | None = None
    """The column whose rows stay together in one split."""
    time: str | None = None
    """The column that orders the rows; the newest are tested on."""
    network: str = "auto"
    """One of the task's networks, a model folder, `probe`, `probe:MODEL`, or `auto`."""
    budget: str | None = None
    """How long the steps of training may take, such as `10m`; all trials of a search together."""
    search: int | None = None
    """How many settings are tried on the validation split, the default ones first."""
    device: str = "auto"
    """Where to train: `auto`, `cpu`, `cuda` or `mps`."""
    dtype: str = "auto"
    """How to train: `fp32`, `bf16`, or `auto`, which measures."""
    seed: int = 0
    """What all that is drawn by chance comes from."""

    def __post_init__(self) -> None:
        if self.budget is not None:
            seconds(self.budget)
        if self.search is not None and self.search < 2:
            raise UsageError(
                f"search is {self.search}; it must be at least 2",
                hint="the first trial has the default settings; without --search nothing is tried",
            )
        if self.dtype not in DTYPES:
            raise UsageError(
                f"dtype is {self.dtype!r}; it must be {', '.join(DTYPES[:-1])} or {DTYPES[-1]}",
                hint="others, such as q8, are for a trained model: `silmu use`, `silmu export`",
            )
        if self.device.partition(":")[0] not in DEVICES:
            raise UsageError(
                f"device is {self.device!r}; it must be {', '.join(DEVICES[:-1])} or {DEVICES[-1]}"
            )

    @property
    def training_seconds(self) -> float | None:
        """How long one training may take by the budget; in a search each has its part of it."""
        return None if self.budget is None else seconds(self.budget) / (self.search or 1)

    def changed(self, values: Mapping[str, Any]) -> Self:
        """This config with other values, each checked.

        Raises:
            UnknownNameError: there is no such setting; the nearest is named.
            WrongTypeError: a value is of another type than the setting.
        """
        allowed = get_type_hints(type(self))
        for name, value in values.items():
            if name not in allowed:
                near = difflib.get_close_matches(name, allowed, n=1)
                raise UnknownNameError(
                    f"there is no setting `{name}`; there are {', '.join(sorted(allowed))}",
                    hint=f"did you mean `{near[0]}`?" if near else "`silmu tasks` tells of each",
                )
            if not _fits(value, allowed[name]):
                raise WrongTypeError(f"{name} is {value!r}; it must be {_spoken(allowed[name])}")
        given = {name: _fitted(value, allowed[name]) for name, value in values.items()}
        return dataclasses.replace(self, **given)

    def to_dict(self) -> dict[str, Any]:
        """Every setting by name."""
        return dataclasses.asdict(self)


C = TypeVar("C", bound=Config)


class Task(ABC, Generic[C]):
    """One kind of problem, on one run folder.

    Args:
        config: the settings, of the task's own `Config`.
        folder: the run folder, in which each step leaves what it made.
        quiet: whether to tell nothing of how it goes; else lines go to stderr.
    """

    name: ClassVar[str]
    rows: ClassVar[str]
    """What it learns from, as `collect` calls it: `text`, `table`, `image` or `series`."""
    answers: ClassVar[str] = "auto"
    """What it tells: `labels`, `numbers`, or `auto`, where the target decides."""
    Config: ClassVar[type[Config]]

    def __init__(self, config: C, folder: Path, *, quiet: bool = False) -> None:
        self.config = config
        self.folder = folder
        self.quiet = quiet
        self.spent: dict[str, float] = {}
        """Seconds of a step that was interrupted, all its sittings together."""

    @classmethod
    def open_dataset(cls, folder: Path) -> Any:
        """What collect left in a run folder."""
        from silmu.steps.collect.dataset import Dataset

        return Dataset.open(folder / "1-dataset")

    @classmethod
    def open_prepared(cls, folder: Path) -> Any:
        """What prepare left in a run folder."""
        from silmu.steps.prepare.prepared import Prepared

        return Prepared.open(folder / "2-prepared", cls.open_dataset(folder))

    @classmethod
    def extra(cls, config: Config) -> str:
        """Which extra design and train need: `report` for a probe, which needs no torch."""
        from silmu.steps.design.plan import probed

        return "train" if probed(config.network) is None else "report"

    def tell(self, line: str) -> None:
        """A line for who waits."""
        if not self.quiet:
            sys.stderr.write(f"{line}\n")

    def check(self, *, trains: bool) -> None:
        """Refuses settings that a later step could not follow, before any work is done.

        Args:
            trains: whether the run goes as far as a network, so that torch may be asked.
        """

    def of_collect(self) -> dict[str, Any]:
        """What collect is told beside the columns; nothing, unless a task says."""
        return {}

    def collect(self, source: Any) -> Dataset:
        """1: the source's rows, as `1-dataset/`."""
        from silmu.steps.collect import collect
        from silmu.steps.collect.dataset import Dataset
        from silmu.steps.collect.image.opening import telling

        config, folder = self.config, self.folder / "1-dataset"
        if folder.exists():
            return Dataset.open(folder)
        self.tell(f"collect: reading {config.data}")
        pictures = telling(lambda line: self.tell(f"collect: {line}"))
        dataset = collect(
            source,
            folder,
            kind=self.rows,
            query=config.query,
            input=config.input or None,  # "" of series without covariates, by an older silmu
            target=config.target,
            group=config.group,
            time=config.time,
            progress=pictures,
            **self.of_collect(),
        )
        for line in dataset.lines():
            self.tell(f"collect: {line}")
        return dataset

    @abstractmethod
    def prepare(self, dataset: Dataset) -> Prepared:
        """2: sealed splits and what the network reads, as `2-prepared/`."""

    def space(self, prepared: Prepared | None) -> Space:
        """What a search may change of the settings that are open; nothing, unless a task says.

        Args:
            prepared: what is learnt from; None before that is known, when names are all that
                counts.
        """
        return {}

    @abstractmethod
    def design(self, prepared: Prepared) -> Design:
        """3: a network and its cost, as `3-design.json`."""

    @abstractmethod
    def train(self, design: Design, prepared: Prepared) -> Path:
        """4: checkpoints in `4-train/`, and the model folder `4-model/`."""

    @abstractmethod
    def evaluate(self, model: Path, prepared: Prepared, seconds: Mapping[str, float]) -> Report:
        """5: the sealed test split through the pipeline, as `5-report/`."""

    def use(self, model: Path) -> Pipeline:
        """6: the callable that answers, which needs no torch."""
        from silmu.pipelines import pipeline

        return pipeline(self.name, str(model))


def seconds(text: str) -> float:
    """A length of time such as `90s`, `10m` or `2h`, in seconds.

    >>> seconds("10m")
    600.0
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text and text[-1] in units else (text, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise UsageError(
            f"budget is {text!r}; it must be a length of time", hint="such as 90s, 10m or 2h"
        )
    return value


def _fits(value: Any, kind: Any) -> bool:
    if isinstance(kind, types.UnionType):
        return any(_fits(value, one) for one in get_args(kind))
    if get_origin(kind) is not None:
        return isinstance(value, list | tuple)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _fitted(value: Any, kind: Any) -> Any:
    kinds = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if float in kinds and int not in kinds and isinstance(value, int) and type(value) is int:
        return float(value)
    return tuple(value) if isinstance(value, list) else value


def _spoken(kind: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    if isinstance(kind, types.UnionType):
        return " or ".join(_spoken(one) for one in get_args(kind))
    return "left out" if kind is type(None) else words.get(kind, "a list of texts")
