"""Which rows are trained on, which are looked at in training, and which are tested on.

By `hash` and by `group` the side of a row is a number drawn from its own text or group, so rows
that are added later never move those that were there. A duplicate follows the row whose duplicate
it is; where the side is given by group, time or column, and so differs, it is left out instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from silmu.errors import InputError, UnknownNameError, UsageError
from silmu.steps.collect import duplicates
from silmu.steps.prepare import labels
from silmu.steps.prepare.labels import label_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.collect.dataset import Dataset

METHODS = ("auto", "hash", "stratified", "group", "time", "given")
TRAIN, VALIDATION, TEST, OUT = 0, 1, 2, -1
NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "development": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
"""What a column of splits may say, in any case."""


@final
@dataclass(frozen=True)
class Split:
    """The side of every row.

    Attributes:
        sides: for each row TRAIN, VALIDATION, TEST or OUT.
        leaders: for each row the first row whose duplicate it is, or its own number.
        method: one of METHODS but `auto`.
        moved: duplicates that were put on the side of their leader.
        left_out: rows that are in no split, by reason.
    """

    sides: NDArray[np.int8]
    leaders: NDArray[np.int64]
    method: str
    moved: int = 0
    left_out: dict[str, int] = field(default_factory=dict[str, int])


@final
@dataclass(frozen=True)
class Keys:
    """What the side of a row is drawn from: a number for its text, and whom it follows."""

    own: NDArray[np.uint64]
    leaders: NDArray[np.int64]


def keys(texts: Iterable[Sequence[str]], *, near: bool) -> Keys:
    """The keys of rows of one or more texts, which are read once and not held."""
    joined = ("\n".join(parts) for parts in texts)
    return Keys(*duplicates.keys_and_leaders(joined, near=near))


def choose(dataset: Dataset, method: str) -> str:
    """What `auto` means: what the dataset's roles say, else `hash`.

    Raises:
        UsageError: the method needs a column that has no such role.
    """
    if method not in METHODS:
        raise UnknownNameError(f"split is {method!r}; it may be {', '.join(METHODS)}")
    roles = dataset.roles
    columns = {"given": roles.split, "group": roles.group, "time": roles.time}
    if method == "auto":
        return next((name for name, column in columns.items() if column), "hash")
    if method in columns and columns[method] is None:
        hint = "give --group COLUMN" if method == "group" else "give --time COLUMN"
        raise UsageError(
            f"split={method} needs a column that says it, and none is known",
            hint="name a column `split` that holds train, validation, test"
            if method == "given"
            else hint,
        )
    return method


def split(
    dataset: Dataset, found: Keys, method: str, *, validation: float, test: float, seed: int
) -> Split:
    """Deals the rows of a dataset.

    Args:
        dataset: what the rows are read from, where a column decides.
        found: the keys of its rows.
        method: one of METHODS but `auto`.
        validation: the share of rows that training may look at.
        test: the share that it may not.
        seed: another one gives other splits.

    Raises:
        InputError: a column says what cannot be understood, or a split stays empty.
    """
    roles = dataset.roles
    shares = (validation, test)
    leaders = found.leaders
    left_out: dict[str, int] = {}
    moved = 0
    own = _drawn(found.own, seed, *shares)
    if method in ("hash", "stratified"):
        moved = int((leaders != np.arange(len(leaders))).sum())
    if method == "hash":
        sides = own[leaders]
    elif method == "stratified":
        strata = _codes(dataset, roles.target)
        sides = _stratified(strata, found, seed, *shares)[leaders]
    elif method == "group":
        sides = _drawn(_group_keys(dataset, str(roles.group), found), seed, *shares)
    elif method == "time":
        sides, without = _by_time(dataset, str(roles.time), *shares)
        left_out["no time"] = without
    else:
        sides, without = _given(dataset, str(roles.split))
        left_out["no split"] = without
        have = {int(side) for side in np.unique(sides)}
        for side, share in ((VALIDATION, validation), (TEST, test)):
            if side not in have:  # cut from what is trained on, a duplicate with its leader
                lot = _uniform(found.own[leaders], seed + side) < share
                sides = np.where((sides == TRAIN) & lot, np.int8(side), sides)
    if method in ("group", "time", "given"):
        sides, left_out["duplicates of a row of another split"] = _without_twins(sides, leaders)
    counts = [int((sides == side).sum()) for side in (TRAIN, VALIDATION, TEST)]
    if not all(counts):
        sizes = "{:,}, {:,} and {:,}".format(*counts)
        raise InputError(
            f"of {len(sides):,} rows split by {method}, {sizes} are for training, validation and "
            "test; each needs some",
            hint="collect more rows, or raise `--set validation=` and `--set test=`",
        )
    kept = {reason: count for reason, count in left_out.items() if count}
    return Split(sides.astype(np.int8), leaders, method, moved, kept)


def without_scarce(dataset: Dataset, found: Split, *, by_training: bool) -> Split:
    """Leaves out rows whose label is too rare to be learnt.

    Args:
        dataset: of labels, one a row.
        found: how it was split.
        by_training: whether the rows of the training split must be enough, or those of all.

    Raises:
        InputError: nothing is left of a split.
    """
    codes = _codes(dataset, dataset.roles.target)
    placed = found.sides != OUT
    size = int(codes.max(initial=-1)) + 1
    there = np.flatnonzero(np.bincount(codes[placed], minlength=size))
    counts = np.bincount(codes[found.sides == TRAIN if by_training else placed], minlength=size)
    scarce = np.zeros(size, bool)
    scarce[there] = labels.scarce(counts[there])
    out = placed & scarce[codes]
    if not out.any():
        return found
    sides = np.where(out, np.int8(OUT), found.sides)
    rows = np.flatnonzero(out)
    names = label_texts(dataset.take(rows, dataset.roles.target).column(0)).unique().to_pylist()
    shown = ", ".join(f"'{name}'" for name in sorted(names)[:5])
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    reason = f"fewer than {labels.LEAST} rows to learn from have their label, {shown}{more}"
    if not all((sides == side).any() for side in (TRAIN, VALIDATION, TEST)):
        raise InputError(
            f"a split stays empty, since rows are left out: {reason}",
            hint="collect more rows, or take another way to split",
        )
    return replace(found, sides=sides, left_out={**found.left_out, reason: len(rows)})


def _uniform(numbers: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """A number from 0 to 1 for each key and seed: mixed as in SplitMix64 (Steele et al. 2014)."""
    salt = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    mixed = numbers ^ np.uint64(int.from_bytes(salt, "little"))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))) / 2.0**64


def _drawn(
    numbers: NDArray[np.uint64], seed: int, validation: float, test: float
) -> NDArray[np.int8]:
    place = _uniform(numbers, seed)
    sides = np.where(place < test, TEST, np.where(place < test + validation, VALIDATION, TRAIN))
    return sides.astype(np.int8)


def _without_twins(
    sides: NDArray[np.int8], leaders: NDArray[np.int64]
) -> tuple[NDArray[np.int8], int]:
    """Leaves out each duplicate on another side than the first of its kind that is on any."""
    # A leader that is left out itself, for want of a time, decides nothing.
    decides = np.flatnonzero(sides != OUT)
    first, where = np.unique(leaders[decides], return_index=True)
    side_of = np.full(len(sides), OUT, np.int8)
    side_of[first] = sides[decides[where]]
    astray = (sides != OUT) & (sides != side_of[leaders])
    return np.where(astray, np.int8(OUT), sides), int(astray.sum())


def _stratified(
    strata: NDArray[np.int64], found: Keys, seed: int, validation: float, test: float
) -> NDArray[np.int8]:
    """Each label dealt in the same shares, by rank; of three and fewer all are trained on.

    Where more than a tenth of the rows have such a label, as for numbers, those are dealt together.
    """
    sides = np.full(len(strata), TRAIN, np.int8)
    roots = np.flatnonzero(found.leaders == np.arange(len(strata)))
    codes = strata[roots]
    sizes = np.bincount(codes)
    small = sizes[codes] <= 3
    if small.sum() > len(roots) / 10:
        codes = np.where(small, len(sizes), codes)
    order = roots[np.lexsort((_uniform(found.own[roots], seed), codes))]
    for part in np.split(order, np.flatnonzero(np.diff(np.sort(codes))) + 1):
        if len(part) > 3:
            first = max(round(len(part) * test), 1)
            second = max(round(len(part) * validation), 1)
            sides[part[:first]] = TEST
            sides[part[first : first + second]] = VALIDATION
    return sides


def _codes(dataset: Dataset, columns: Sequence[str]) -> NDArray[np.int64]:
    """A number for each different target."""
    codes = np.zeros(dataset.num_rows, np.int64)
    for name in columns:
        column = dataset.column(name)
        if pa.types.is_nested(column.type):
            texts = pa.array([str(value.as_py()) for value in column])
        else:
            texts = label_texts(column)
        _, own = np.unique(_numbered(texts), return_inverse=True)
        _, codes = np.unique(codes * (int(own.max(initial=0)) + 1) + own, return_inverse=True)
    return codes.astype(np.int64)


def _numbered(texts: Any) -> NDArray[np.int64]:
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    encoded = whole.dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy().astype(np.int64)


def _group_keys(dataset: Dataset, name: str, found: Keys) -> NDArray[np.uint64]:
    """A number for each group; a row without one is a group of its own, with its duplicates."""
    column = label_texts(dataset.column(name))
    distinct = column.unique().drop_null()
    places = pc.index_in(column, value_set=distinct).fill_null(-1).to_numpy().astype(np.int64)
    if len(distinct) < 3:
        raise InputError(
            f"`{name}` holds {len(distinct)} different groups; there must be three or more",
            hint="name another column with --group, or take `--set split=hash`",
        )
    numbers = duplicates.keys(value for value in distinct.to_pylist())
    return np.where(places < 0, found.own[found.leaders], numbers[places])


def _by_time(
    dataset: Dataset, name: str, validation: float, test: float
) -> tuple[NDArray[np.int8], int]:
    """Oldest trained on, newest tested on; equal times are on one side, the later one."""
    times = _times(dataset.column(name), name)
    known = times[~np.isnan(times)]
    sides = np.full(len(times), OUT, np.int8)
    if len(known):
        ordered = np.sort(known)
        last = ordered[int(len(known) * (1 - test))]
        middle = ordered[int(len(known) * (1 - test - validation))]
        sides[times < middle] = TRAIN
        sides[(times >= middle) & (times < last)] = VALIDATION
        sides[times >= last] = TEST
    return sides, len(times) - len(known)


def _times(column: Any, name: str) -> NDArray[np.float64]:
    """Times as numbers that order them; NaN where there is none."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = _read_times(column, name)
        kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        column = column.cast(pa.int64())
    if pa.types.is_time(kind) or pa.types.is_nested(kind):
        raise UsageError(f"`{name}` is a {kind}, which does not order rows in time")
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _read_times(column: Any, name: str) -> Any:
    column = pc.utf8_trim_whitespace(column)
    column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    for kind in (pa.float64(), pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            continue
    raise UsageError(
        f"`{name}` holds times that cannot be ordered, such as {column.drop_null()[0].as_py()!r}",
        hint="write them as 2026-01-31 or 2026-01-31 18:00:00",
    )


def _given(dataset: Dataset, name: str) -> tuple[NDArray[np.int8], int]:
    """The sides that a column says."""
    column = pc.utf8_lower(pc.utf8_trim_whitespace(label_texts(dataset.column(name))))
    known = pa.array(list(NAMES), pa.string())
    places = pc.index_in(column, value_set=known).fill_null(-1).to_numpy().astype(np.int64)
    blank = pc.or_(pc.is_null(column), pc.equal(column, "").fill_null(True))
    strange = (places < 0) & ~blank.to_numpy(zero_copy_only=False).astype(bool)
    if strange.any():
        value = column[int(np.flatnonzero(strange)[0])].as_py()
        raise InputError(
            f"`{name}` says {value!r} in row {dataset.row_numbers[strange][0]}; "
            f"it may be {', '.join(NAMES)}",
            hint="correct the column, or take `--set split=hash` to have the rows dealt anew",
        )
    sides = np.array([*NAMES.values(), OUT], np.int8)[places]
    return sides, int((sides == OUT).sum())
