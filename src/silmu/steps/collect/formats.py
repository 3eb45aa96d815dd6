"""The kind of a file, by its content, and by its name only where the content cannot tell."""

from __future__ import annotations

from pathlib import Path

from silmu.errors import InputError, UsageError
from silmu.steps.collect.streams import packing, peek, regular

_ENDINGS = {
    "csv": "csv", "tsv": "csv", "tab": "csv", "txt": "csv", "json": "json", "jsonl": "json",
    "ndjson": "json", "parquet": "parquet", "pq": "parquet", "arrow": "arrow", "feather": "arrow",
    "ipc": "arrow", "db": "sqlite", "sqlite": "sqlite", "sqlite3": "sqlite",
}  # fmt: skip
_PACKED_ENDINGS = {"gz", "bz2", "zst", "zstd"}
_ARCHIVE_ENDINGS = ("zip", "tar", "tgz", "xz")
_MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", b"SQLite format 3\0": "sqlite"}
_OTHER = {
    b"PK\x03\x04": "a workbook or an archive (zip)",
    b"\xd0\xcf\x11\xe0": "an old workbook (xls)",
    b"%PDF": "a PDF",
    b"FEA1": "Feather of version 1",
    b"\x7fELF": "a program",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"7z\xbc\xaf": "an archive (7z)",
    b"\xfd7zXZ": "packed with xz",
}


def kind(path: Path) -> str:
    """The kind of a file by its content; by its name where that can be anything."""
    with regular(path) as file:
        packed = packing(file.peek(4)[:4])
    beginning = peek(path)
    kind = next((kind for magic, kind in _MAGIC.items() if beginning.startswith(magic)), None)
    if kind is not None:
        if packed:
            raise UsageError(f"`{path}` is {kind}, packed with {packed}", hint="unpack it first")
        return kind
    for magic, what in _OTHER.items():
        if beginning.startswith(magic):
            raise UsageError(
                f"`{path}` is {what}, not a table", hint="save it as CSV (`CSV UTF-8`)"
            )
    named = ending(path)
    if named in ("csv", "json"):
        return named
    if named is not None and beginning:
        raise InputError(
            f"`{path}` is named as {named}, but is none", hint="fetch it again, or rename it"
        )
    first = beginning.lstrip(b"\xef\xbb\xbf \t\r\n\0\xff\xfe")[:1]
    return "json" if first in (b"{", b"[") else "csv"


def ending(path: Path) -> str | None:
    """The kind that the name of a file tells, if it tells one."""
    pieces = path.name.lower().split(".")
    while len(pieces) > 1 and pieces[-1] in _PACKED_ENDINGS:
        pieces.pop()
    return _ENDINGS.get(pieces[-1]) if len(pieces) > 1 else None


def without_ending(name: str) -> str:
    """The name of a file without what tells its kind.

    >>> without_ending("reviews.csv.gz"), without_ending("v1.2")
    ('reviews', 'v1.2')
    """
    pieces = name.split(".")
    known = (*_ENDINGS, *_PACKED_ENDINGS, *_ARCHIVE_ENDINGS)
    while len(pieces) > 1 and pieces[-1].lower() in known:
        pieces.pop()
    return ".".join(pieces)
