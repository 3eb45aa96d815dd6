"""Reads a source, leaves out what cannot be used, and seals the rest as a dataset."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from silmu import store
from silmu.errors import InputError
from silmu.runtime import cells
from silmu.steps.collect.dataset import ABOUT, BATCH, DATA, ROWS, Roles, about_bytes
from silmu.steps.collect.fingerprint import Fingerprint
from silmu.steps.collect.image.opening import Opening, name_pictures, named
from silmu.steps.collect.pictures import FACTS, FIELDS
from silmu.steps.collect.roles import Wanted, settle
from silmu.steps.collect.series import Settings, gather
from silmu.steps.collect.series_memory import as_table
from silmu.steps.collect.sources import Source, open_source
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import LARGEST_BATCH, Numbered

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("silmu")

_SAMPLE = 2000  # rows that roles are guessed from
# Blanks of every script, and what is as invisible: zero-width letters, marks of byte order.
_BLANKS = "".join(
    [*filter(str.isspace, map(chr, range(0x3001))), "\0\u200b\u200c\u200d\u2060\ufeff\u3164"]
)


def write(
    source: Any,
    folder: Path,
    wanted: Wanted,
    query: str | None,
    progress: Callable[[int], None] | None = None,
    series: Mapping[str, Any] | None = None,
) -> None:
    """Writes the folder of a dataset."""
    is_series = wanted.kind == "series"
    settings = Settings.of(series) if is_series else None
    opened = open_source(
        as_table(source, wanted.target) if is_series else source, query, wanted.kind
    )
    tally = Tally()
    batches = opened.batches(tally)
    opening = about = None
    if settings is not None:
        gathered = gather(batches, wanted, settings, tally)
        if gathered is None:
            raise _none_left(opened, tally)
        roles, whole, about = gathered.roles, gathered.batches, gathered.about
    else:
        sample, beginning = _sample(batches, opened.schema)
        if not beginning:
            raise _none_left(opened, tally)
        roles = settle(sample, _known(wanted, opened))
        needs = _needs(roles, wanted, sample)
        opening = _opening(opened, roles, wanted, progress)
        whole = _whole(itertools.chain(beginning, batches), needs, tally)
        if opening is not None:
            whole = opening.through(whole, tally)
    schema = opened.schema if opening is None else opening.schema
    told = schema if opening is None else named(schema, roles.input[0])
    fingerprint = Fingerprint(told)
    kept = 0
    numbers_schema = pa.schema([("row", pa.int64())])
    with store.new_folder(folder) as writer:
        with (
            writer.open(DATA) as data_file,
            writer.open(ROWS) as rows_file,
            pa.ipc.new_file(data_file, schema) as data,
            pa.ipc.new_file(rows_file, numbers_schema) as numbers_out,
            _facts_file(writer, opening) as facts,
        ):
            for numbers, both in _regrouped(whole):
                batch = both.select(range(len(schema)))
                data.write_batch(batch)
                if facts is not None:
                    seen = both.select(range(len(schema), both.num_columns))
                    facts.write_batch(seen)
                    batch = name_pictures(batch, roles.input[0], seen, told)
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
                pictures=None if opening is None else {"root": str(opening.root)},
                series=about,
            ),
        )
    if tally.count:
        logger.warning(
            "%s of %s rows were dropped: %s", f"{tally.count:,}", f"{kept + tally.count:,}",
            _told(tally),
        )  # fmt: skip


def _known(wanted: Wanted, opened: Source) -> Wanted:
    """The roles, with those that a folder or an archive of pictures has of itself."""
    if not opened.is_listing:
        return wanted
    label = "label" if "label" in opened.schema.names else None
    return replace(wanted, input=wanted.input or "image", target=wanted.target or label)


def _opening(
    opened: Source, roles: Roles, wanted: Wanted, progress: Callable[[int], None] | None
) -> Opening | None:
    """What opens the pictures, where it is pictures that are read."""
    if wanted.kind != "image":
        return None
    return Opening(opened.schema, roles.input[0], FIELDS, opened.root.absolute(), progress)


@contextmanager
def _facts_file(writer: store.FolderWriter, opening: Opening | None) -> Generator[Any]:
    if opening is None:
        yield None
        return
    with writer.open(FACTS) as file, pa.ipc.new_file(file, FIELDS) as facts:
        yield facts


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


@dataclass(frozen=True)
class _Needs:
    """What a row must have to be kept."""

    each: tuple[str, ...]
    """Columns that must all have a value."""
    any: tuple[str, ...] = ()
    """Columns one of which must have a value."""
    numbers: tuple[str, ...] = ()
    """Those of `each` that are numbers written as texts, in which `NA` and the like are none."""


def _needs(roles: Roles, wanted: Wanted, sample: pa.Table) -> _Needs:
    targets = roles.target if wanted.need_target else ()
    if wanted.kind != "table":
        return _Needs((*roles.input, *targets))
    numbers: list[str] = []
    for name in targets:
        if pa.types.is_string(sample.schema.field(name).type):
            found, bad = cells.numbers(sample.column(name).to_pylist())
            if not bad.any() and not np.isnan(found).all():
                numbers.append(name)
    return _Needs(targets, roles.input, tuple(numbers))


def _whole(batches: Iterable[Numbered], needs: _Needs, tally: Tally) -> Iterator[Numbered]:
    """The rows that have what they must."""
    for numbers, batch in batches:
        left = np.ones(batch.num_rows, bool)
        for name in needs.each:
            column = batch.column(name)
            there, full = _there(column), _full(column)
            tally.add(f"`{name}` is missing", numbers[left & ~there].tolist())
            left &= there
            tally.add(f"`{name}` is blank", numbers[left & ~full].tolist())
            left &= full
            if name in needs.numbers:
                told = ~_says_missing(column)
                reason = f"`{name}` says that there is no number, as NA does"
                tally.add(reason, numbers[left & ~told].tolist())
                left &= told
        if needs.any:
            empty = _empty(batch, needs.any)
            tally.add("every input is missing", numbers[left & empty].tolist())
            left &= ~empty
        if left.all():
            yield numbers, batch
        elif left.any():
            yield numbers[left], batch.filter(pa.array(left))


def _empty(batch: pa.RecordBatch, names: Sequence[str]) -> NDArray[np.bool_]:
    """Rows that have a value in none of some columns."""
    empty = np.ones(batch.num_rows, bool)
    for name in names:
        column = batch.column(name)
        empty &= ~(_there(column) & _full(column))
        if not empty.any():
            break
    return empty


def _there(column: pa.Array) -> Any:
    missing = column.is_null(nan_is_null=pa.types.is_floating(column.type))
    return ~np.asarray(missing.to_numpy(zero_copy_only=False), bool)


def _full(column: pa.Array) -> Any:
    """Where there is no text of blanks alone."""
    if not pa.types.is_string(column.type):
        return np.ones(len(column), bool)
    seen = pc.utf8_trim(column, characters=_BLANKS)
    told = pc.fill_null(pc.not_equal(pc.binary_length(seen), 0), True)
    return np.asarray(told.to_numpy(zero_copy_only=False), bool)


def _says_missing(column: pa.Array) -> Any:
    words: Any = pc.utf8_lower(pc.utf8_trim(column, characters=_BLANKS))
    told: Any = pc.is_in(words, value_set=pa.array(sorted(cells.MISSING)))
    return np.asarray(told.to_numpy(zero_copy_only=False), bool)


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
