"""Step 2, prepare: sealed splits, labels, and token ids of what training may see.

The order is what keeps it honest: first the rows are split, then everything that is fitted is
given the training rows alone, and the test rows are not read again until evaluate.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu import extras, store
from silmu.errors import InputError, UnknownNameError, UsageError, WrongTypeError
from silmu.runtime.folder import Folder
from silmu.runtime.processor import FILE as PROCESSOR_FILE
from silmu.runtime.processor import Processor
from silmu.runtime.text import Tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.prepare.labels import Labels
    from silmu.steps.prepare.prepared import Prepared
    from silmu.steps.prepare.splits import Keys, Split
    from silmu.steps.prepare.texts import Texts

logger = logging.getLogger("silmu")

MOST_INPUTS = 2


@final
@dataclass(frozen=True)
class Settings:
    """What may be set of this step.

    Attributes:
        labels: `auto`, `single`, `multiple`, `ordered` or `number`.
        order: the labels of `ordered` from first to last, where they are not numbers.
        validation: the share of rows that training may look at without learning from them.
        test: the share that only evaluate reads.
        split: `auto`, `hash`, `stratified`, `group`, `time` or `given`.
        near_duplicates: whether near duplicates, and not only equal texts, stay together.
        seed: another one gives another split.
        max_length: tokens read of a text; None for as many as 99.5 % of the training texts have.
        vocabulary: `auto`, `bpe`, `unigram` or `characters`, where there is no backbone.
        vocabulary_size: tokens at most; None for what suits the vocabulary.
    """

    labels: str = "auto"
    order: tuple[str, ...] | None = None
    validation: float = 0.1
    test: float = 0.1
    split: str = "auto"
    near_duplicates: bool = True
    seed: int = 0
    max_length: int | None = None
    vocabulary: str = "auto"
    vocabulary_size: int | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
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
        order = given.get("order")
        if order is not None:
            parts = order.split(",") if isinstance(order, str) else order
            given["order"] = tuple(str(part).strip() for part in parts)
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


def prepare_texts(
    dataset: Dataset,
    folder: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    backbone: str | Path | None = None,
) -> Prepared:
    """Splits a dataset, and makes the texts of training and validation into token ids.

    Args:
        dataset: of one column of texts, or two for pairs, and one or more targets.
        folder: where to leave it, which must not exist.
        settings: by the names of `Settings`.
        backbone: a model folder whose tokenizer is used; else a vocabulary is made here.

    Raises:
        UsageError: a setting that does not fit the columns.
        InputError: too few rows, labels, or examples of a label.
        MissingExtraError: `silmu[data]` is not installed.
    """
    extras.require("data")
    from silmu.steps.prepare import prepared, splits, texts
    from silmu.steps.prepare import schema as schemas

    chosen = Settings.of(settings or {})
    roles = dataset.roles
    if not 1 <= len(roles.input) <= MOST_INPUTS:
        raise UsageError(
            f"{len(roles.input)} input columns are named; a text is one, and a pair is two",
            hint="name one or two: --input COLUMN,COLUMN",
        )
    pairs = len(roles.input) > 1
    everything = np.ones(dataset.num_rows, bool)
    keys = splits.keys(prepared.chosen_texts(dataset, everything), near=chosen.near_duplicates)
    split, labels = _split_and_labels(dataset, keys, chosen)
    counts = {name: int((split.sides == i).sum()) for i, name in enumerate(prepared.SPLITS)}
    placed = np.flatnonzero(split.sides != splits.OUT).astype(np.int64)
    numbers = dataset.row_numbers[placed]
    told = labels.encode(dataset.take(placed, roles.target), numbers)
    targets = np.zeros((dataset.num_rows, *told.shape[1:]), told.dtype)
    targets[placed] = told
    _say_split(split, counts, labels, targets)

    # From here on the training rows are all that a fitting function is given.
    in_train = split.sides == splits.TRAIN

    def training() -> Iterator[tuple[str, ...]]:
        return prepared.chosen_texts(dataset, in_train)

    with store.new_folder(folder, meta={"dataset": dataset.fingerprint}) as writer:
        tokenizer, max_length = _fit_tokenizer(
            writer, training, counts["train"], chosen, backbone, pairs=pairs
        )
        # As in use: a network is told of segments only where its tokenizer names them.
        segments = pairs and "token_type_ids" in tokenizer.model_input_names
        home = f"{prepared.PROCESSOR}/"
        processor = Processor(roles.input, labels.kind, max_length)
        writer.write(home + PROCESSOR_FILE, processor.to_bytes())
        schema = schemas.make(dataset, labels, training())
        writer.write(prepared.SCHEMA, schema.to_bytes())

        truncated: dict[str, int] = {}
        empty: dict[str, int] = {}
        kind_of_target = prepared.target_type(labels.kind, len(labels.names))
        for side, name in enumerate(prepared.SPLITS[:2]):
            rows = np.flatnonzero(split.sides == side).astype(np.int64)
            truncated[name] = empty[name] = 0
            with writer.open(f"features/{name}.arrow") as file:
                out = prepared.FeatureWriter(file, kind_of_target, segments=segments)
                several = prepared.chosen_texts(dataset, split.sides == side)
                for start in range(0, len(rows), prepared.BATCH):
                    part = rows[start : start + prepared.BATCH]
                    batch = islice(several, len(part))
                    found = texts.encode(tokenizer, batch, max_length)
                    out.write(found.ids, found.type_ids, part, targets[part])
                    truncated[name] += found.truncated
                    empty[name] += found.empty
                out.close()
        with writer.open(prepared.SPLIT_FILE) as file:
            prepared.write_splits(file, split.sides, split.leaders)
        fitted = prepared.fitted_hash(
            {
                path.name: path.read_bytes()
                for path in sorted(writer.path(f"{home}x").parent.iterdir())
            },
            {
                "labels": labels.to_dict(),
                "max_length": max_length,
                "schema": schema.to_bytes().hex(),
            },
        )
        about: dict[str, Any] = {
            "format": prepared.FORMAT,
            "dataset": dataset.fingerprint,
            "target": labels.to_dict(),
            "method": split.method,
            "counts": counts,
            "moved": split.moved,
            "left_out": split.left_out,
            "max_length": max_length,
            "truncated": truncated,
            "empty": empty,
            "vocabulary_size": len(tokenizer),
            "fitted": fitted,
        }
        writer.write(prepared.ABOUT, texts.as_json(about))
    _say_texts(truncated, empty, max_length, counts)
    return prepared.Prepared.open(folder, dataset)


def _fit_tokenizer(
    writer: store.FolderWriter,
    training: Texts,
    num_texts: int,
    settings: Settings,
    backbone: str | Path | None,
    *,
    pairs: bool,
) -> tuple[Tokenizer, int]:
    """Writes a tokenizer that has seen training texts alone; it, and how much of a text is read."""
    from silmu.steps.prepare import prepared, texts

    home = f"{prepared.PROCESSOR}/"
    if backbone is None:
        made = texts.vocabulary(
            training, settings.vocabulary, settings.vocabulary_size, num_texts=num_texts
        )
        writer.write(f"{home}tokenizer.json", made)
        source = Folder(writer.path(f"{home}tokenizer.json").parent, "the vocabulary")
        tokenizer = Tokenizer.open(source)
        limit = texts.LONGEST if settings.max_length is None else texts.LONGEST_ASKED
    else:
        source = Folder(Path(backbone), str(backbone))
        tokenizer = Tokenizer.open(source)
        limit = texts.backbone_limit(source, tokenizer)
        for name in texts.TOKENIZER_FILES:
            if source.has(name):
                writer.copy(source.file(name), home + name)
    max_length = texts.length(
        tokenizer, training, limit=limit, num_texts=num_texts, asked=settings.max_length
    )
    writer.write(
        f"{home}tokenizer_config.json",
        texts.vocabulary_config(max_length, pairs=pairs)
        if backbone is None
        else texts.backbone_config(source, max_length),
    )
    # Opened anew with all its files, as the pipeline will: its special tokens are known only now.
    return Tokenizer.open(Folder(writer.path(f"{home}tokenizer.json").parent, "it")), max_length


def _split_and_labels(dataset: Dataset, keys: Keys, settings: Settings) -> tuple[Split, Labels]:
    """The sides of the rows, and the labels of those that are trained on.

    `auto` deals by hash, and only where that leaves a label or a split with too little, by label.
    """
    from silmu.steps.prepare import labels, splits

    def dealt(method: str) -> tuple[Split, Labels]:
        found = splits.split(
            dataset,
            keys,
            method,
            validation=settings.validation,
            test=settings.test,
            seed=settings.seed,
        )
        rows = np.flatnonzero(found.sides == splits.TRAIN).astype(np.int64)
        target = dataset.roles.target
        table = dataset.take(rows, target)
        fitted = labels.fit(table, target, settings.labels, settings.order)
        return found, fitted

    method = splits.choose(dataset, settings.split)
    if settings.split != "auto" or method != "hash":
        return dealt(method)
    try:
        return dealt(method)
    except InputError as error:
        try:
            found = dealt("stratified")
        except InputError:
            raise error from None
        logger.warning(
            "split by label and not by hash, since %s: rows that are added later may move others "
            "to another split",
            error.message,
        )
        return found


def _say_split(
    split: Split, counts: Mapping[str, int], labels: Labels, targets: NDArray[Any]
) -> None:
    """Tells what was done with the rows, and which labels are not there to be judged."""
    sizes = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    logger.info("split by %s: %s", split.method, sizes)
    if split.moved:
        logger.info("%s duplicates were put on the side of the row they repeat", f"{split.moved:,}")
    for reason, count in split.left_out.items():
        logger.warning("%s rows are in no split: %s", f"{count:,}", reason)
    for side, name in enumerate(counts):
        there = targets[split.sides == side]
        if labels.kind == "multiple":
            seen = set(np.flatnonzero(there.any(axis=0)).tolist())
        else:
            seen = set(np.unique(there).tolist())
        lacking = [one for i, one in enumerate(labels.names) if i not in seen]
        if lacking:
            shown = ", ".join(map(repr, lacking[:5])) + (", ..." if len(lacking) > 5 else "")
            logger.warning("the %s split has no example of %s", name, shown)


def _say_texts(
    truncated: Mapping[str, int], empty: Mapping[str, int], length: int, counts: Mapping[str, int]
) -> None:
    for name, count in truncated.items():
        if count:
            logger.info(
                "%s of %s texts of the %s split are longer than %s tokens, and cut there",
                f"{count:,}",
                f"{counts[name]:,}",
                name,
                length,
            )
    for name, count in empty.items():
        if count:
            logger.warning("%s texts of the %s split are empty to the tokenizer", count, name)
