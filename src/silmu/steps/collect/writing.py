"""Reads a source, leaves out what cannot be used, and seals the rest as a dataset."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from silmu import store
from silmu.errors import InputError
from silmu.steps.collect.dataset import ABOUT, BATCH, DATA, ROWS, about_bytes
from silmu.steps.collect.fingerprint import Fingerprint
from silmu.steps.collect.roles import Wanted, settle
from silmu.steps.collect.sources import Source, open_source
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import LARGEST_BATCH, Numbered

logger = logging.getLogger("silmu")

_SAMPLE = 2000  # rows that roles are guessed from
# Blanks of every script, and what is as invisible: zero-width letters, marks of byte order.
_BLANKS = "".join(
    [*filter(str.isspace, map(chr, range(0x3001))), "\0\u200b\u200c\u200d\u2060\ufeff\u3164"]
)


def write(source: Any, folder: Path, wanted: Wanted, query: str | None) -> None:
    """Writes the folder of a dataset."""
    opened = open_source(source, query)
    tally = Tally()
    batches = opened.batches(tally)
    sample, beginning = _sample(batches, opened.schema)
    if not beginning:
        raise _none_left(opened, tally)
    roles = settle(sample, wanted)
    needed = [*roles.input, *(roles.target if wanted.need_target else ())]
    fingerprint = Fingerprint(opened.schema)
    kept = 0
    numbers_schema = pa.schema([("row", pa.int64())])
    with store.new_folder(folder) as writer:
        with (
            writer.open(DATA) as data_file,
            writer.open(ROWS) as rows_file,
            pa.ipc.new_file(data_file, opened.schema) as data,
            pa.ipc.new_file(rows_file, numbers_schema) as numbers_out,
        ):
            whole = _whole(itertools.chain(beginning, batches), needed, tally)
            for numbers, batch in _regrouped(whole):
                data.write_batch(batch)
                numbers_out.write_batch(
                    pa.RecordBatch.from_arrays([pa.array(numbers)], schema=numbers_schema)
                )
                fingerprint.add(batch)
                kept += batch.num_rows
        if not kept:
            raise _none_left(opened, tally)
        writer.meta["fingerprint"] = fingerprint.hex
        writer.write(
            ABOUT,
            about_bytes(
                name=opened.name,
                source=opened.shown,
                query=query,
                roles=roles,
                fingerprint=fingerprint.hex,
                rows_in=kept + tally.count,
                dropped=tally.drops,
            ),
        )
    if tally.count:
        logger.warning(
            "%s of %s rows were dropped: %s", f"{tally.count:,}", f"{kept + tally.count:,}",
            _told(tally),
        )  # fmt: skip


def read(source: Any, query: str | None) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The columns and the rows of a source, as they are."""
    opened = open_source(source, query)

    def batches() -> Iterator[pa.RecordBatch]:
        tally = Tally()
        for _, batch in opened.batches(tally):
            yield batch
        if tally.count:
            logger.warning("%s rows were left out: %s", f"{tally.count:,}", _told(tally))

    return opened.schema, batches()


def _sample(batches: Iterator[Numbered], schema: pa.Schema) -> tuple[pa.Table, list[Numbered]]:
    """The first rows, and the batches that were read for them."""
    beginning: list[Numbered] = []
    count = 0
    for numbers, batch in batches:
        beginning.append((numbers, batch))
        count += batch.num_rows
        if count >= _SAMPLE:
            break
    table = pa.Table.from_batches([batch for _, batch in beginning], schema=schema)
    return table.slice(0, _SAMPLE), beginning


def _whole(batches: Iterable[Numbered], needed: Sequence[str], tally: Tally) -> Iterator[Numbered]:
    """The rows that have a value in every needed column."""
    for numbers, batch in batches:
        left = np.ones(batch.num_rows, bool)
        for name in needed:
            column = batch.column(name)
            there = _there(column)
            tally.add(f"`{name}` is missing", numbers[left & ~there].tolist())
            left &= there
            if pa.types.is_string(column.type):
                seen = pc.utf8_trim(column, characters=_BLANKS)
                told = pc.fill_null(pc.not_equal(pc.binary_length(seen), 0), True)
                full = np.asarray(told.to_numpy(zero_copy_only=False), bool)
                tally.add(f"`{name}` is blank", numbers[left & ~full].tolist())
                left &= full
        if left.all():
            yield numbers, batch
        elif left.any():
            yield numbers[left], batch.filter(pa.array(left))


def _there(column: pa.Array) -> Any:
    missing = column.is_null(nan_is_null=pa.types.is_floating(column.type))
    return ~np.asarray(missing.to_numpy(zero_copy_only=False), bool)


def _regrouped(batches: Iterable[Numbered]) -> Iterator[Numbered]:
    """Batches of a good size, where a source of many small files gives small ones."""
    waiting: list[Numbered] = []
    count = size = 0

    def joined() -> Numbered:
        table = pa.Table.from_batches([batch for _, batch in waiting]).combine_chunks()
        numbers = np.concatenate([numbers for numbers, _ in waiting])
        return numbers, table.to_batches()[0]

    for numbers, batch in batches:
        if waiting and (count + batch.num_rows > BATCH or size > LARGEST_BATCH):
            yield joined()
            waiting, count, size = [], 0, 0
        waiting.append((numbers, batch))
        count += batch.num_rows
        size += batch.nbytes
    if waiting:
        yield joined()


def _none_left(source: Source, tally: Tally) -> InputError:
    if not tally.count:
        return InputError(f"`{source.shown}` has no rows")
    return InputError(
        f"none of the {tally.count:,} rows of `{source.shown}` can be used: {_told(tally)}",
        hint="is the right column read? --input and --target name others",
    )


def _told(tally: Tally) -> str:
    return "; ".join(f"{drop.count:,} because {drop.reason}" for drop in tally.drops)
