"""Step 2, prepare: sealed splits, labels, and what a network reads of what training may see.

The order is what keeps it honest: first the rows are split, then everything that is fitted is
given the training rows alone, and the test rows are not read again until evaluate.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu import extras, store
from silmu.errors import UsageError
from silmu.runtime.folder import Folder
from silmu.runtime.processor import FILE as PROCESSOR_FILE
from silmu.runtime.processor import Processor
from silmu.runtime.text import Tokenizer
from silmu.steps.prepare.settings import (
    ImageSettings,
    SeriesSettings,
    TableSettings,
    TextSettings,
)

if TYPE_CHECKING:
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.prepare.prepared import Prepared
    from silmu.steps.prepare.texts import Texts

logger = logging.getLogger("silmu")

MOST_INPUTS = 2


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
    from silmu.steps.prepare.deal import deal

    chosen = TextSettings.of(settings or {})
    roles = dataset.roles
    if not 1 <= len(roles.input) <= MOST_INPUTS:
        raise UsageError(
            f"{len(roles.input)} input columns are named; a text is one, and a pair is two",
            hint="name one or two: --input COLUMN,COLUMN",
        )
    pairs = len(roles.input) > 1
    everything = np.ones(dataset.num_rows, bool)
    keys = splits.keys(prepared.chosen_texts(dataset, everything), near=chosen.near_duplicates)
    split, labels, targets = deal(dataset, keys, chosen)
    counts = {name: int((split.sides == i).sum()) for i, name in enumerate(prepared.SPLITS)}

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
        home_of = writer.path(f"{home}x").parent
        fitted = prepared.fitted_hash(
            {path.name: path.read_bytes() for path in sorted(home_of.iterdir())},
            {
                "labels": labels.to_dict(),
                "max_length": max_length,
                "schema": schema.to_bytes().hex(),
            },
        )
        told = {"max_length": max_length, "truncated": truncated, "empty": empty}
        told["vocabulary_size"] = len(tokenizer)
        prepared.seal(writer, dataset, split, labels, fitted, **told)
    _say_texts(truncated, empty, max_length, counts)
    return prepared.Prepared.open(folder, dataset)


def prepare_tables(
    dataset: Dataset, folder: str | Path, *, settings: Mapping[str, Any] | None = None
) -> Prepared:
    """Splits a dataset, and makes the rows of training and validation into numbers.

    Args:
        dataset: of any columns, and one or more targets.
        folder: where to leave it, which must not exist.
        settings: by the names of `TableSettings`.

    Raises:
        UsageError: a setting that does not fit the columns.
        InputError: too few rows, labels, or examples of a label; or no column tells anything.
        MissingExtraError: `silmu[data]` is not installed.
    """
    extras.require("data")
    from silmu.steps.prepare import tables
    from silmu.steps.prepare.deal import deal

    chosen = TableSettings.of(settings or {})
    chosen.check_names(dataset.roles.input)
    split, labels, targets = deal(dataset, tables.keys(dataset), chosen)
    return tables.write_tables(dataset, folder, chosen, split, labels, targets)


def prepare_images(
    dataset: Dataset,
    folder: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    backbone: str | Path | None = None,
) -> Prepared:
    """Splits a dataset, and makes the pictures of training and validation into pixels of one size.

    Args:
        dataset: of pictures, and one or more targets.
        folder: where to leave it, which must not exist.
        settings: by the names of `ImageSettings`.
        backbone: a model folder whose image processor is used; else one is fitted here.

    Raises:
        UsageError: a setting that does not fit the columns.
        InputError: too few pictures, labels, or examples of a label; or a picture has changed.
        MissingExtraError: `silmu[data,image]` is not installed.
    """
    extras.require("data")
    extras.require("image")
    from silmu.steps.collect import pictures
    from silmu.steps.prepare import images, splits
    from silmu.steps.prepare.deal import deal

    chosen = ImageSettings.of(settings or {})
    if backbone is not None and chosen.image_size is not None:
        raise UsageError(
            "image_size is set, and a model that is fine-tuned reads pictures of its own size",
            hint="leave it out, or learn from nothing: --network resnet",
        )
    keys = splits.Keys(*pictures.keys(dataset, chosen.near_duplicates))
    split, labels, targets = deal(dataset, keys, chosen)
    return images.write_images(dataset, folder, chosen, split, labels, targets, backbone)


def prepare_series(
    dataset: Dataset, folder: str | Path, *, settings: Mapping[str, Any] | None = None
) -> Prepared:
    """Cuts series by time, and makes windows of what lies before the test part.

    Args:
        dataset: of series.
        folder: where to leave it, which must not exist.
        settings: by the names of `SeriesSettings`.

    Raises:
        UsageError: a setting that does not fit.
        InputError: the series are too short.
        MissingExtraError: `silmu[data]` is not installed.
    """
    extras.require("data")
    from silmu.steps.prepare import series

    return series.write_series(dataset, folder, SeriesSettings.of(settings or {}))


def _fit_tokenizer(
    writer: store.FolderWriter,
    training: Texts,
    num_texts: int,
    settings: TextSettings,
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
