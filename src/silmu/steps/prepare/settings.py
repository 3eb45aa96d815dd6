"""What may be set of the prepare step, each value checked before any work is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, ClassVar, Self, final

from silmu.errors import UnknownNameError, UsageError, WrongTypeError
from silmu.steps.collect.names import split

NORMALISE = ("auto", "quantile", "standard", "robust")
NORMALISE_WINDOWS = ("standard", "mean", "none")
FILL = ("linear", "last", "mean", "zero", "none")
MOST_STEPS = 10_000
"""Of a window."""
MOST_PARTS = 20
"""Of a backtest."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How rows are split, and what their labels are.

    What holds several names may be given as one text, with commas between.

    Attributes:
        labels: what `labels.fit` knows: `auto`, `single`, `multiple`, `ordered`, `number`, ...
        order: the labels of `ordered` from first to last, where they are not numbers.
        validation: the share of rows that training may look at without learning from them.
        test: the share that only evaluate reads.
        split: `auto`, `hash`, `stratified`, `group`, `time` or `given`.
        seed: another one gives another split.
    """

    leaves_out: ClassVar[bool] = False
    """Whether rows of labels that are too rare are left out, or refused."""

    labels: str = "auto"
    order: tuple[str, ...] | None = None
    validation: float = 0.1
    test: float = 0.1
    split: str = "auto"
    seed: int = 0

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Settings from plain values, each checked.

        Raises:
            UnknownNameError: there is no such setting.
            UsageError: a value that it cannot have.
        """
        names = [field.name for field in fields(cls)]
        if unknown := [name for name in values if name not in names]:
            raise UnknownNameError(
                f"prepare has no setting {', '.join(unknown)}; it has {', '.join(names)}"
            )
        given = dict(values)
        for field in fields(cls):
            value = given.get(field.name)
            if value is not None and str(field.type).startswith("tuple[str"):
                listed = split(value) if isinstance(value, str) else [str(one) for one in value]
                given[field.name] = tuple(listed)
        chosen = cls(**given)
        for name in ("validation", "test"):
            share = getattr(chosen, name)
            if not isinstance(share, int | float) or isinstance(share, bool):
                raise WrongTypeError(f"{name} is {share!r}; it must be a number such as 0.1")
            if not 0 < share < 1:
                raise UsageError(f"{name} is {share}; it must lie between 0 and 1")
        if chosen.validation + chosen.test >= 1:
            raise UsageError(
                f"validation {chosen.validation} and test {chosen.test} leave nothing to train on"
            )
        return chosen


@final
@dataclass(frozen=True, kw_only=True)
class TextSettings(Settings):
    """How texts become token ids.

    Attributes:
        near_duplicates: whether near duplicates, and not only equal texts, stay together.
        max_length: tokens read of a text; None for as many as 99.5 % of the training texts have.
        vocabulary: `auto`, `bpe`, `unigram` or `characters`, where there is no backbone.
        vocabulary_size: tokens at most; None for what suits the vocabulary.
    """

    near_duplicates: bool = True
    max_length: int | None = None
    vocabulary: str = "auto"
    vocabulary_size: int | None = None


@final
@dataclass(frozen=True, kw_only=True)
class TableSettings(Settings):
    """How the columns of a table become numbers and categories.

    Attributes:
        normalise: what is done to numbers: `quantile` makes them normally distributed, `standard`
            subtracts the mean and divides by the deviation, `robust` does so with the median and
            the middle half; `auto` takes `quantile`.
        indicators: whether a number of its own tells that a number was missing.
        categories: columns that are categories although they hold numbers.
        ignore: columns that are not read.
        read: columns that are read although they look like ids.
        max_levels: levels of a category that are told apart at most; the rest are one.
    """

    leaves_out = True

    normalise: str = "auto"
    indicators: bool = True
    categories: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    max_levels: int = 5000

    def __post_init__(self) -> None:
        if self.normalise not in NORMALISE:
            raise UnknownNameError(
                f"normalise is {self.normalise!r}; it may be {', '.join(NORMALISE)}"
            )
        if self.max_levels < 1:
            raise UsageError(f"max_levels is {self.max_levels}; it must be at least 1")

    def check_names(self, inputs: Sequence[str]) -> None:
        """Refuses columns that are named and not there.

        Raises:
            UnknownNameError: `categories`, `ignore` or `read` names what is no input.
        """
        for setting in ("categories", "ignore", "read"):
            for name in getattr(self, setting):
                if name not in inputs:
                    near = get_close_matches(name, [*inputs], n=1)
                    raise UnknownNameError(
                        f"{setting} names `{name}`, which is no column that is read; there are "
                        f"{', '.join(f'`{one}`' for one in inputs)}",
                        hint=f"did you mean `{near[0]}`?" if near else None,
                    )


@final
@dataclass(frozen=True, kw_only=True)
class ImageSettings(Settings):
    """How pictures become pixels.

    Attributes:
        near_duplicates: whether near duplicates, and not only equal pictures, stay together.
        image_size: pixels of the longer side that is read; None for what suits the pictures.
    """

    leaves_out = True

    near_duplicates: bool = True
    image_size: int | None = None

    def __post_init__(self) -> None:
        if self.image_size is not None and not 8 <= self.image_size <= 2048:
            raise UsageError(f"image_size is {self.image_size}; it must be from 8 to 2048 pixels")


@final
@dataclass(frozen=True, kw_only=True)
class SeriesSettings(Settings):
    """How series are cut by time, and into what windows.

    Attributes:
        prediction_length: steps that are told; None for what suits the step.
        context_length: steps that are read for it; None for what suits season and length.
        season: steps after which a series looks alike, 1 for none; None for what the training part
            shows.
        fill: what stands for a step without a value: `linear`, `last`, `mean`, `zero` or `none`.
        normalise: what is done to each window: `standard`, `mean` or `none`.
        known: covariates that are known ahead; None for those that the rows after the last target
            have values of.
        gap: steps before validation and before test that no target lies in.
        backtest: how many earlier parts of time a run is tested on too; None for as many as a short
            test part wants, see `windows.earlier`.
        until: the step number before which all lies that is seen of the series; None for all of it.
    """

    validation: float = 0.15
    test: float = 0.15
    prediction_length: int | None = None
    context_length: int | None = None
    season: int | None = None
    fill: str = "linear"
    normalise: str = "standard"
    known: tuple[str, ...] | None = None
    gap: int = 0
    backtest: int | None = None
    until: int | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("fill", FILL), ("normalise", NORMALISE_WINDOWS)):
            if getattr(self, name) not in allowed:
                raise UnknownNameError(
                    f"{name} is {getattr(self, name)!r}; it may be {', '.join(allowed)}"
                )
        for name, least in (("prediction_length", 1), ("context_length", 1), ("season", 1)):
            value = getattr(self, name)
            if value is not None and not least <= value <= MOST_STEPS:
                raise UsageError(f"{name} is {value}; it must be from {least} to {MOST_STEPS:,}")
        if not 0 <= self.gap <= MOST_STEPS:
            raise UsageError(f"gap is {self.gap}; it must be from 0 to {MOST_STEPS:,}")
        if self.backtest is not None and not 0 <= self.backtest <= MOST_PARTS:
            raise UsageError(f"backtest is {self.backtest}; it must be from 0 to {MOST_PARTS}")
        if self.split not in ("auto", "time"):
            raise UsageError(
                f"split is {self.split!r}; series are split by time, or what is tested on would be "
                "known from the steps around it",
                hint="leave it out",
            )
