"""Answer a source larger than memory, part by part, so that a kill loses no more than one part.

    scored.parquet.parts/000000000000/    a sealed folder: the rows from the first on, answered
    scored.parquet.parts/000000065536/    ... from the 65,537th on
    scored.parquet                        all parts joined, when there are all; then they go

What is started again keeps the parts that are whole, and answers the rows between and behind them.
Rows are asked in groups that only their place in the source decides, never the clock nor where a
part ends: so the file is the same, byte for byte, however often it was interrupted.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from silmu import store
from silmu.cli import tell
from silmu.cli._words import as_json
from silmu.errors import CorruptError, InputError, StoreError, UsageError

if TYPE_CHECKING:
    from silmu.cli._outputs import Output
    from silmu.cli._progress import Progress
    from silmu.cli._rows import Block, Source

GROUP = 256
"""How many rows are asked at once; those of one group may be computed together."""

SLOW_GROUP = 16
"""The same where each row takes a second, and not a millisecond."""

TABLE_GROUP, TABLE_CELLS = 4096, 1 << 18
"""The same where rows are of a table: fewer of a wide one, by how many cells they have."""

PART_ROWS, PART_BYTES, PART_SECONDS = 65_536, 32 << 20, 20.0
"""Where a part ends, at the first group that passes one of these."""

PARTS = ".parts"
_NAME = re.compile(r"\d{12}")
_OURS = (store.LOCK, ".tmp-")


Made = Mapping[str, Mapping[str, Any]]
"""What answers depend on, by kind and name: source, model and settings."""


class Part(NamedTuple):
    """Rows that are answered and on the disk."""

    rows: int
    failed: int
    inputs: str


class Job(NamedTuple):
    """What is asked of each row, and how its answer is told."""

    given: Callable[[Block], Any]
    answers: Callable[[Any, int], list[Any]]
    cells: Callable[[Any], Mapping[str, Any]]
    made: Made
    """A file is never joined of parts that differ in it."""


def score(
    source: Source,
    blocks: Iterator[Block],
    job: Job,
    output: Output,
    path: Path,
    progress: Progress,
) -> tuple[int, int]:
    """Writes the file; how many rows it has, and how many of them could not be answered.

    Raises:
        UsageError: what was begun there was begun with another source, model or setting.
        LockedError: another process is at it.
    """
    folder = path.absolute().with_name(path.name + PARTS)
    _check_place(path, folder)
    with store.lock(folder):
        try:
            parts = _kept(folder, job.made)
            if parts and not progress.quiet:
                tell(f"resuming behind {sum(part.rows for part in parts.values()):,} rows")
            _answer(source, blocks, job, output, folder, parts, progress)
        except BaseException:
            progress.end()
            with suppress(StoreError):
                if not any(_NAME.fullmatch(one.name) for one in folder.iterdir()):
                    store.remove(folder)
            raise
        progress.end()
        with store.new_file(path) as file:
            output.join([folder / name(start) / "rows" for start in sorted(parts)], file)
    store.remove(folder)
    rows = list(parts.values())
    return sum(part.rows for part in rows), sum(part.failed for part in rows)


def name(start: int) -> str:
    """The name of the part that begins behind so many rows."""
    return f"{start:012}"


def answered(pipe: Any, inputs: list[Any], settings: Mapping[str, Any]) -> list[Any]:
    """The answer to each input; an InputError for one that cannot be answered.

    Inputs are given as a list, because a stream is cut where the clock says.
    """
    found = list(inputs)
    good = [i for i, given in enumerate(inputs) if not isinstance(given, InputError)]
    for i, answer in zip(good, _answered(pipe, [inputs[i] for i in good], settings), strict=True):
        found[i] = answer
    return found


def _answered(pipe: Any, inputs: list[Any], settings: Mapping[str, Any]) -> list[Any]:
    try:
        if len(inputs) < 2:  # some tasks unpack a list of one
            return list(pipe(iter(inputs), **settings)) if inputs else []
        return list(pipe(inputs, **settings))
    except InputError as error:
        # It is of any of them, and they are many only where few are bad.
        half = len(inputs) // 2
        if not half:
            return [error]
        return [
            *_answered(pipe, inputs[:half], settings),
            *_answered(pipe, inputs[half:], settings),
        ]


# ── parts ──────────────────────────────────────────────────────────────────────────────────────


def _check_place(path: Path, folder: Path) -> None:
    if path.is_dir():
        raise UsageError(f"`{path}` is a folder; the output is a file")
    names = [one.name for one in folder.iterdir()] if folder.is_dir() else []
    for found in names:
        if not _NAME.fullmatch(found) and not found.startswith(_OURS):
            raise UsageError(
                f"`{folder}` holds `{found}`, which is no part of an output",
                hint="give the output another name",
            )


def _kept(folder: Path, made: Made) -> dict[int, Part]:
    """The parts that are whole, by the row that they begin with; the others are removed."""
    parts: dict[int, Part] = {}
    for one in sorted(folder.iterdir()):
        if not _NAME.fullmatch(one.name):
            continue
        try:
            meta = store.verify(one).meta
        except CorruptError as error:
            tell(f"warning: {error.message}; its rows are answered again")
            store.remove(one)
            continue
        if different := _differences(meta.get("made", {}), made):
            raise UsageError(
                f"`{folder}` holds rows that were answered with {' and '.join(different)}",
                hint="ask as before to go on there, give another --output, or delete that folder "
                "to begin anew",
            )
        parts[int(one.name)] = Part(meta["rows"], meta["failed"], meta["inputs"])
    return parts


def _differences(before: Made, now: Made) -> list[str]:
    """What is not as it was, in words."""
    told: list[str] = []
    for key in sorted({*before, *now}):
        old, new = before.get(key, {}), now.get(key, {})
        changed = sorted(one for one in {*old, *new} if old.get(one) != new.get(one))
        if key == "settings":
            told += [
                f"{one} {as_json(old.get(one))}, now {as_json(new.get(one))}" for one in changed
            ]
        elif changed:
            told.append(f"another {key} (not the same: {', '.join(changed)})")
    return told


def _answer(
    source: Source,
    blocks: Iterator[Block],
    job: Job,
    output: Output,
    folder: Path,
    parts: dict[int, Part],
    progress: Progress,
) -> None:
    """Answers every row that no part holds, and adds the parts that come of it."""
    start, ends = 0, sorted(parts)
    for block in blocks:
        rest = chain([block], blocks)
        if start in parts:
            _skip(source, rest, job, parts[start])
            progress.skipped(parts[start].rows, source.share())
        else:
            end = next((one for one in ends if one > start), None)
            parts[start] = _new_part(source, rest, job, output, folder, start, end, progress)
        start += parts[start].rows
    if ends and ends[-1] >= start:
        raise UsageError(_changed(source))


def _skip(source: Source, blocks: Iterable[Block], job: Job, part: Part) -> None:
    inputs, rows = hashlib.sha256(), 0
    for block in blocks:
        inputs.update(_digest(job.given(block)))
        rows += len(block)
        if rows >= part.rows:
            break
    if rows != part.rows or inputs.hexdigest() != part.inputs:
        raise UsageError(_changed(source))


def _digest(given: Any) -> bytes:
    return hashlib.sha256(as_json(given).encode("utf-8", "backslashreplace")).digest()


def _changed(source: Source) -> str:
    return f"the rows of `{source.name}` are not those that were answered before"


def _new_part(
    source: Source,
    blocks: Iterable[Block],
    job: Job,
    output: Output,
    folder: Path,
    start: int,
    end: int | None,
    progress: Progress,
) -> Part:
    began = time.monotonic()
    # One list of whole blocks, so that an interrupt finds a block in it or does not.
    done: list[_Answered] = []
    rows = 0
    interrupt: KeyboardInterrupt | None = None
    try:
        for block in blocks:
            given = job.given(block)
            answers = job.answers(given, start + rows)
            failed = sum(isinstance(one, InputError) for one in answers)
            piece = output.piece(block, [job.cells(one) for one in answers])
            done.append(_Answered(len(block), failed, output.size(piece), _digest(given), piece))
            rows += len(block)
            progress.done(len(block), source.share())
            is_full = rows >= PART_ROWS or sum(one.size for one in done) >= PART_BYTES
            if is_full or start + rows == end or time.monotonic() - began >= PART_SECONDS:
                break
    except KeyboardInterrupt as error:
        interrupt = error
    if source.has_changed():
        raise UsageError(f"`{source.name}` was changed while it was read")
    part = Part(
        rows=sum(one.rows for one in done),
        failed=sum(one.failed for one in done),
        inputs=hashlib.sha256(b"".join(one.inputs for one in done)).hexdigest(),
    )
    if part.rows:
        meta = {"made": job.made, **part._asdict()}
        with store.new_folder(folder / name(start), meta=meta) as writer:
            writer.write("rows", output.part([one.piece for one in done]))
    if interrupt is not None:
        progress.end()
        if start + part.rows:
            tell(f"the same command goes on behind {start + part.rows:,} rows")
        raise interrupt
    return part


class _Answered(NamedTuple):
    """A block that is answered and not yet on the disk."""

    rows: int
    failed: int
    size: int
    inputs: bytes
    piece: Any
