"""The pictures: what is broken or blank, sizes and kinds, and what gives the label away.

All is told from the facts that collect found when it opened each picture; none is opened again.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

import numpy as np

from silmu.steps.collect import classes
from silmu.steps.collect.checks.view import (
    SHOWN_NAMES,
    Finding,
    View,
    auc,
    number,
    quoted,
    share,
    some,
)
from silmu.steps.collect.image import files, opening

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.collect.dataset import Drop

    Numbers = NDArray[np.float64]

_MUCH = 0.01  # of the rows: from here what is lost is wrong
_FEWEST = 20  # pictures of a label, and of others, before anything can be said to tell it
_TELLING = 0.99  # the AUC
_BLANK = 4.0  # gray levels that pixels differ by (a standard deviation)
_GRAY, _COLOURED = 1.5, 6.0  # gray levels that colours are from gray on average
_ODD_SHARE = 0.2  # at most, for what differs from the rest to be the exception
_TINY, _TINY_PART = 8, 8  # pixels of the shorter side; parts of what is usual
_HUGE, _HUGE_TIMES = 4_000_000, 16  # pixels; times what is usual
_LONG, _LONG_TIMES = 3.0, 3.0  # the longer side by the shorter; times what is usual
_GROUPS, _PER_GROUP = 10, 1.5
_FORMATS = {
    "JPEG": {"jpg", "jpeg", "jpe", "jfif"},
    "PNG": {"png"},
    "WEBP": {"webp"},
    "BMP": {"bmp", "dib"},
    "GIF": {"gif"},
    "TIFF": {"tif", "tiff"},
}
_ASTRAY = (
    *(classes.OUTSIDE, classes.NO_FILE, classes.UNREADABLE, files.MISSING),
    *(files.NO_LABEL, files.NO_NAME, opening.URL, opening.ASTRAY, opening.NOTHING),
)
_OTHERS = (classes.HIDDEN, opening.NOT_MEANT)


def check(view: View) -> list[Finding]:
    """Everything about the pictures themselves."""
    return [
        *_left_out(view),
        *_endings(view),
        *_blank(view),
        *_sizes(view),
        *_gray(view),
        *_given_away(view),
        *_groups(view),
    ]


def _left_out(view: View) -> list[Finding]:
    """What collect dropped, the broken apart from what is no picture, or not where it should be."""
    found: list[Finding] = []
    total = view.dataset.rows_in
    paths = _paths(view)
    for drop in view.dataset.dropped:
        if drop.reason.startswith("`"):
            continue  # a missing label, which is told with the others
        kind, cure = "broken pictures", "fetch them again, or delete them; silmu leaves them out"
        much = drop.count >= _MUCH * total
        if drop.reason in _OTHERS:
            kind, cure, much = "no pictures", "nothing is to be done; silmu leaves them out", False
        elif drop.reason in _ASTRAY:
            kind, cure = "pictures out of place", "put them where they belong; they are left out"
        found.append(
            Finding(
                kind,
                f"{number(drop.count, 'file')} of {total:,} ({share(drop.count, total)}) cannot be "
                f"learned from: {drop.reason}{_named(paths, drop)}",
                drop.rows[:20],
                drop.count,
                cure,
                "wrong" if much else "note",
            )
        )
    return found


def _paths(view: View) -> list[str]:
    """The files of a folder by their number; none of another source, where rows are numbered."""
    source = Path(view.dataset.source)
    if view.dataset.query is not None or not view.dataset.dropped or not source.is_dir():
        return []
    entries = files.listing(source).entries
    return [entry.path for entry in entries] if len(entries) == view.dataset.rows_in else []


def _named(paths: list[str], drop: Drop) -> str:
    names = [paths[number - 1] for number in drop.rows[:SHOWN_NAMES]] if paths else []
    return f": {some(names, drop.count)}" if names else ""


def _endings(view: View) -> list[Finding]:
    names, formats = view.words("name"), view.words("format")
    endings = [PurePosixPath(name).suffix[1:].lower() for name in names]
    wrong = [
        row
        for row, (ending, kind) in enumerate(zip(endings, formats, strict=True))
        if ending in files.ENDINGS and ending not in _FORMATS.get(kind, ())
    ]
    if not wrong:
        return []
    return [
        view.finding(
            "wrong extension",
            "note",
            f"{number(len(wrong), 'picture')} {'is' if len(wrong) == 1 else 'are'} of another kind "
            f"than the name says; the first is {formats[wrong[0]]}",
            "nothing is to be done here, where the content decides; other programs go by the name",
            np.array(wrong, np.int64),
        )
    ]


def _blank(view: View) -> list[Finding]:
    rows = np.flatnonzero(view.facts("contrast") < _BLANK)
    if not len(rows):
        return []
    return [
        view.finding(
            "blank pictures",
            "wrong" if len(rows) >= _MUCH * view.rows else "note",
            f"{number(len(rows), 'picture')} of {view.rows:,} ({share(len(rows), view.rows)}) "
            f"{'is' if len(rows) == 1 else 'are'} of one colour, or nearly, with nothing to see",
            "delete them, or see what went wrong with them",
            rows,
        )
    ]


def _sizes(view: View) -> list[Finding]:
    width, height = view.facts("width"), view.facts("height")
    short, long = np.minimum(width, height), np.maximum(width, height)
    usual, pixels = np.median(short), width * height
    shape = long / short
    found: list[Finding] = []
    for kind, rows, what, cure in (
        (
            "tiny pictures",
            np.flatnonzero((short < _TINY) | (short * _TINY_PART < usual)),
            f"far smaller than the others, of which half have {usual:,.0f} pixels or more a side",
            "delete them, if they are thumbnails or icons; enlarged they show nothing",
        ),
        (
            "huge pictures",
            np.flatnonzero((pixels > _HUGE) & (pixels > _HUGE_TIMES * np.median(pixels))),
            f"more than {_HUGE_TIMES} times as large as half of the others",
            "nothing is to be done, but what is small in them is lost when they are made smaller",
        ),
        (
            "odd shapes",
            np.flatnonzero((shape > _LONG) & (shape > _LONG_TIMES * np.median(shape))),
            "far longer in one direction than in the other",
            "cut them to what matters: they are squeezed into the shape that the network reads",
        ),
    ):
        if len(rows) and len(rows) <= _ODD_SHARE * view.rows:
            sizes = [f"{width[row]:.0f} x {height[row]:.0f}" for row in rows[:3]]
            found.append(
                view.finding(
                    kind,
                    "note",
                    f"{number(len(rows), 'picture')} {'is' if len(rows) == 1 else 'are'} {what} "
                    f"({', '.join(sizes)})",
                    cure,
                    rows,
                )
            )
    return found


def _gray(view: View) -> list[Finding]:
    colour = view.facts("colour")
    gray, coloured = np.flatnonzero(colour < _GRAY), np.flatnonzero(colour > _COLOURED)
    for rows, what, of in ((gray, "gray", "colour"), (coloured, "in colour", "gray")):
        rest = len(gray) + len(coloured) - len(rows)
        if len(rows) and len(rows) <= _ODD_SHARE * view.rows and rest > view.rows / 2:
            return [
                view.finding(
                    "gray among colour",
                    "note",
                    f"{number(len(rows), 'picture')} ({share(len(rows), view.rows)}) "
                    f"{'is' if len(rows) == 1 else 'are'} {what}, among pictures in {of}",
                    "see that they are spread over the labels, and will be met in use too",
                    rows,
                )
            ]
    return []


def _given_away(view: View) -> list[Finding]:
    """A label that the size, the kind of file, the border or the light alone tells."""
    if view.kind not in ("single", "multiple") or len(view.labels) < 2:
        return []
    width, height = view.facts("width"), view.facts("height")
    pixels = np.maximum(width * height, 1)
    light, contrast = view.facts("brightness"), view.facts("contrast")
    formats, modes = view.words("format"), view.words("mode")
    wrong: tuple[tuple[str, str, Numbers | list[str]], ...] = (
        ("size", "size", [f"{w:.0f} x {h:.0f}" for w, h in zip(width, height, strict=True)]),
        ("size", "width", width),
        ("size", "height", height),
        ("size", "shape (width by height)", width / height),
        ("kind of file", "format", formats),
        ("kind of file", "mode", [f"{a} {b}" for a, b in zip(formats, modes, strict=True)]),
        # Beside the picture within, since a border is dark in a dark picture.
        ("border", "brightness of the border", view.facts("edge") - light),
        ("border", "evenness of the border", view.facts("edge_contrast") / np.maximum(contrast, 1)),
    )
    notes: tuple[tuple[str, str, Numbers | list[str]], ...] = (
        ("light", "brightness", light),
        ("light", "contrast", contrast),
        ("light", "strength of the colours", view.facts("colour")),
        ("packing", "number of bytes a pixel", view.facts("bytes") / pixels),
    )
    found = _telling(view, wrong, "wrong")
    return found or _telling(view, notes, "note")


def _telling(
    view: View,
    features: tuple[tuple[str, str, Numbers | list[str]], ...],
    severity: Literal["wrong", "note"],
) -> list[Finding]:
    found: list[Finding] = []
    told: set[str] = set()
    for topic, name, values in features:
        message = None if topic in told else _tells(view, name, values)
        if message is None:
            continue
        told.add(topic)
        cure = (
            "would it be so where the model is used? If not, make the pictures of all labels alike"
            if severity == "wrong"
            else "this may be what the labels mean; if not, make the pictures of all labels alike"
        )
        found.append(view.finding("gives the target away", severity, message, cure))
    return found


def _tells(view: View, name: str, values: Numbers | list[str]) -> str | None:
    """How a feature tells some label from all others; None where it does not."""
    rows, codes = view.pairs
    words = np.unique(np.array(values), return_inverse=True) if isinstance(values, list) else None
    for code, label in enumerate(view.labels):
        mine = np.zeros(view.rows, bool)
        mine[rows[codes == code]] = True
        count = int(mine.sum())
        if min(count, view.rows - count) < _FEWEST:
            continue
        if words is not None:
            message = _word_tells(*words, mine)
        else:
            score = auc(
                np.asarray(values, np.float64), mine.astype(np.int64), (~mine).astype(np.int64)
            )
            message = (
                f"ranking by the {name} reaches an AUC of {max(score, 1 - score):.3f}"
                if max(score, 1 - score) >= _TELLING
                else None
            )
        if message is not None:
            return f"the {name} alone tells {quoted([label])}: {message}"
    return None


def _word_tells(
    found: NDArray[np.str_], index: NDArray[np.intp], mine: NDArray[np.bool_]
) -> str | None:
    inside = np.bincount(index[mine], minlength=len(found)) / mine.sum()
    outside = np.bincount(index[~mine], minlength=len(found)) / (~mine).sum()
    gain = inside - outside
    best = int(gain.argmax())
    if (1 + gain[best]) / 2 < _TELLING:
        return None
    return (
        f"{share(inside[best], 1)} of its pictures have {found[best]}, and "
        f"{share(outside[best], 1)} of others"
    )


def _series(stem: str) -> str:
    """A name without the number that it ends with.

    >>> _series("patient12_03"), _series("cat (4)"), _series("0017")
    ('patient12', 'cat', '')
    """
    return stem.rstrip(")").rstrip("0123456789").rstrip(" _.-(")


def _groups(view: View) -> list[Finding]:
    """Names of series, such as `patient12_03`, whose pictures may be of one thing."""
    if view.roles.group is not None or "folder" in view.names:
        return []
    series: dict[str, int] = {}
    codes: list[int] = []
    for name in view.words("name"):
        codes.append(series.setdefault(_series(PurePosixPath(name).stem), len(series)))
    sizes = np.bincount(np.array(codes, np.int64))
    several = int((sizes > 1).sum())
    fewest = max(_GROUPS, 2 * len(view.labels))
    if several < fewest or view.rows < _PER_GROUP * len(series) or sizes.max() > view.rows / 4:
        return []
    names = [one for one, code in series.items() if sizes[code] > 1]
    return [
        view.finding(
            "group suspected",
            "note",
            f"the names of files are those of {len(series):,} series ({quoted(names, 3)}), "
            f"{view.rows / len(series):.1f} pictures in each: those of one series may resemble "
            "each other, and then a random split flatters",
            "give a table with a column that names the series (source, patient, camera), and "
            "--group COLUMN, which keeps each in one split",
        )
    ]
