"""Step 1, collect: whatever the source is, its rows become a dataset with roles.

A source is a file (CSV, TSV, JSON, JSON lines, Parquet, Arrow), also packed with gzip, bz2 or zstd;
many files by a pattern; a folder of text files with a sub-folder for each class; `sqlite:///PATH`,
or the URL of another database that SQLAlchemy speaks to; `package:NAME/path`, a file inside an
installed package; the id of a data set on the hub; several of these with commas between, and a
query that joins them; a data frame; a dict of lists; or any iterable of dicts. Nothing of it is
held but the numbers of its rows.

An empty cell is a missing value. Everything else in a CSV stays the text that it is, `007`, `NA`
and `null` too. Rows without a text or a label, and those that are broken, are dropped: each is
counted, by reason, with its number in the source. In a table a row is kept as long as it has a
target and any input, since prepare copes with the rest.

Pictures come from a folder with a sub-folder for each class (and `train` and `test` above these,
as for texts), a zip or tar of such a folder, a table of paths and labels, whose paths begin in the
folder of the table, a column of bytes or of Hugging Face's structs of bytes and path, or rows with
PIL images, arrays or bytes. Each is opened once, so that what is broken is known before training.

Series come from any of these tables: long ones, in which a column tells whose value a row holds,
or wide ones, with a column for each. They are laid on equal steps, so that whatever cannot be is
refused at once. A row is kept if its time can be read, with a value or without one. A frame of
pandas may have its times as its index. Numbers alone, as a list, an array or a column, are steps in
their order, and a list of histories is as many series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silmu.errors import UsageError
from silmu.extras import require
from silmu.steps.collect.urls import without_password

if TYPE_CHECKING:
    import pyarrow as pa

    from silmu.steps.collect.dataset import Dataset

__all__ = ["KINDS", "collect", "describe", "rows", "without_password"]

KINDS = ("text", "table", "image", "series")
"""What can be collected."""


def collect(
    source: Any,
    folder: str | Path,
    *,
    kind: str = "text",
    input: Sequence[str] | str | None = None,
    target: Sequence[str] | str | None = None,
    group: str | None = None,
    time: str | None = None,
    query: str | None = None,
    need_target: bool = True,
    progress: Callable[[int], None] | None = None,
    series: Mapping[str, Any] | None = None,
) -> Dataset:
    """Reads a source into a dataset, whose folder appears whole or not at all.

    >>> rows = [{"review": "I love it.", "label": "good"}, {"review": "", "label": "bad"}]
    >>> dataset = collect(rows, "1-dataset")
    >>> dataset.num_rows, dataset.dropped
    (1, (Drop(reason='`review` is blank', count=1, rows=(2,)),))

    Args:
        source: a path, a pattern, a name as this module's docstring tells, or rows in memory.
        folder: where the dataset goes; it must not exist.
        kind: what is read: `text`; `table`, whose inputs may be of any type; `image`, whose
            input is a column of paths or of bytes; or `series`.
        input: the columns to read, as a list or with commas between. If not given, guessed; in a
            table, all that have no other role; of series, whose covariates they are, none.
        target: the columns to be told; guessed if not given, in a table by their names alone.
        group: the column whose rows stay together in one split; of series the column, or several
            with commas between, that tells them apart, guessed if not given.
        time: the column that orders the rows; of series guessed if not given.
        query: a SELECT over the source, which it sees as the table `data`; its rows are numbered
            in the order of the answer. For a database, a SELECT over its own tables; for several
            sources, over tables that are named as their files are, without the ending.
        need_target: whether a row without a target is dropped. If not, a table need not have the
            target at all.
        progress: told, from time to time, of so many more pictures that were opened.
        series: of series, `step` (such as `1h`), `timezone`, `aggregate` (`mean`, `sum` or `last`
            of the rows of one step) and `known` (covariates known ahead, with commas between).

    Raises:
        UsageError: there is no such source or column, or the query is not one SELECT.
        InputError: the source is broken, changes while it is read, or no row of it can be used.
        MissingExtraError: a package that it takes is not installed; pictures take `image`.
    """
    if kind not in KINDS:
        raise UsageError(f"kind is {kind!r}; it may be {', '.join(map(repr, KINDS))}")
    require("data")
    if kind == "image":
        require("image")
    # Only now, so that without the extra it is that which is told.
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.collect.roles import Wanted
    from silmu.steps.collect.writing import write

    wanted = Wanted(kind, input, target, group, time, need_target)
    write(source, Path(folder), wanted, query, progress, series)
    return Dataset.open(folder)


def rows(source: Any, *, query: str | None = None) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The rows of a source as they are, without writing anything.

    Rows that are broken are left out; how many is said when the last batch has been read.

    >>> schema, batches = rows([{"text": "a"}, {"text": "b"}])
    >>> schema.names, sum(batch.num_rows for batch in batches)
    (['text'], 2)
    """
    require("data")
    from silmu.steps.collect.writing import read

    return read(source, query)


def describe(source: Any) -> str:
    """A short name for a source, for the name of a run.

    >>> describe("data/reviews.csv.gz"), describe("sqlite:///shop.db?SELECT 1"), describe([])
    ('reviews', 'shop', 'data')
    """
    require("data")
    from silmu.steps.collect.sources import describe

    return describe(source)
