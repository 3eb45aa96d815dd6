"""How often a test split has been looked at: a figure that was chosen by is no longer honest.

`looks.jsonl` in the report folder has a line for each evaluation: which model, which rows, when,
and whether its figures were ever shown. It is written before the first row is read, so that a look
counts whatever becomes of it; one that was killed before it showed anything is taken up again.

Dwork et al., The Reusable Holdout, 2015.
"""

from __future__ import annotations

import glob
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from silmu import store
from silmu.errors import CorruptError, StoreError

FILE = "looks.jsonl"


@dataclass(frozen=True)
class Look:
    """One evaluation: fingerprints of the model and of the test rows."""

    model: str
    test: str
    time: str
    shown: bool


def look(folder: Path, *, model: str, test: str) -> int:
    """Writes down that a model is about to be scored on test rows.

    Returns:
        How often these rows have been looked at here, this time included.
    """
    looks = read(folder)
    if not (looks and looks[-1].model == model and looks[-1].test == test and not looks[-1].shown):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        looks.append(Look(model, test, now, shown=False))
        _write(folder, looks)
    return sum(one.test == test for one in looks)


def shown(folder: Path) -> None:
    """Writes down that the figures of the last look are about to be seen."""
    looks = read(folder)
    _write(folder, [*looks[:-1], replace(looks[-1], shown=True)])


def read(folder: Path) -> list[Look]:
    """The looks so far, oldest first.

    Raises:
        CorruptError: the file was changed by something else.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [Look(**json.loads(line)) for line in lines]
    except (ValueError, TypeError) as error:
        raise CorruptError(
            f"{str(path)!r} is not a list of looks that silmu wrote",
            hint="without it nobody knows how often the test split was looked at; "
            "remove it if that does not matter",
        ) from error


def beside(folder: Path, *, test: str) -> int:
    """How often the runs beside this one looked at the same test rows."""
    run = folder.absolute().parent
    number = 0
    for path in run.parent.glob(f"*/{glob.escape(folder.name)}/{FILE}"):
        if path.parent.parent != run:
            try:
                number += sum(one.test == test and one.shown for one in read(path.parent))
            except (CorruptError, StoreError, OSError):
                continue  # another run's file; its own evaluation says that it is broken
    return number


def _write(folder: Path, looks: list[Look]) -> None:
    lines = "".join(json.dumps(asdict(one)) + "\n" for one in looks)
    store.write_file(folder / FILE, lines.encode())
