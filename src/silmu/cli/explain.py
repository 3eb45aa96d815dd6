"""Tell why a model answers as it does: what of the input decides.

  silmu explain MODEL photo.jpg --output page.html     one page: the parts of the picture that
                                                       decide, and what each layer makes of it
  silmu explain MODEL "what a dull film"               which words decide
  silmu explain MODEL '{"age": 29, "sex": "female"}'   which cells decide
  silmu explain MODEL photo.jpg --json                 the same as plain values, without pictures

INPUT is one input as `silmu use` takes it. `--set label=NAME` explains the score of another label
than the best; `--set odd=` is for rows as in `silmu use`. Of a model that is still in its run also
the training pictures are told that are most alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from silmu.cli import DONE, _flags, _words, answer, tell
from silmu.errors import InputError, UnknownNameError, UsageError
from silmu.runtime import dtypes

SETTINGS = ("label", "engine", *dtypes.BOUNDS)
OF_TABLES = ("odd",)
HEAVIEST = 8
"""Words and cells that are told on a terminal, the weightiest first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, what it is to answer, and where the page goes."""
    parser.add_argument("model", metavar="MODEL", help="a folder, or an id on the hub")
    parser.add_argument("input", metavar="INPUT", help="a picture, a text, a row; `-` reads stdin")
    _flags.add(parser, "--task", "--output", "--set", "--revision", "--device", "--dtype", "--json")


def run(args: argparse.Namespace) -> int:
    """Explains one answer, on a page, as JSON, or in a few lines."""
    settings = _flags.settings(args.set)
    _check(settings, (*SETTINGS, *OF_TABLES))
    settings.pop("label", None)
    # Labels such as `true` and `1` are texts, whatever they are in JSON.
    label = dict(one.split("=", 1) for one in args.set).get("label")
    path = None if args.output is None else Path(args.output)
    if path is not None and path.is_dir():
        raise UsageError(f"`{path}` is a folder", hint="--output names a file, such as page.html")

    from silmu import store
    from silmu.cli import use
    from silmu.steps.evaluate import explaining

    asked = use.opened(_as_use(args), settings)
    explaining.check(asked.pipe)
    if asked.pipe.rows != "table":
        _check(settings, SETTINGS)
    given = _only(list(asked.of_texts([args.input])))
    told = explaining.explain(asked.pipe, given, label=label, **settings)
    if path is not None:
        store.write_file(path, explaining.page(told).encode())
    if args.json:
        answer(_words.as_json(_without_pictures(told)))
    elif path is not None:
        answer(str(path))
    else:
        for line in _lines(told):
            answer(line)
        tell("a page with all of it: --output page.html")
    return DONE


def _as_use(args: argparse.Namespace) -> argparse.Namespace:
    """The same arguments as `silmu use` has them."""
    return argparse.Namespace(**{**vars(args), "input": None, "seed": None})


def _check(settings: Mapping[str, Any], known: Sequence[str]) -> None:
    if unknown := [name for name in settings if name not in known]:
        raise UnknownNameError(
            f"explain has no setting `{unknown[0]}`; there are {', '.join(known)}"
        )


def _only(pairs: list[tuple[Any, Any]]) -> Any:
    if len(pairs) != 1:
        raise UsageError(
            f"{len(pairs):,} inputs are given; explain tells of one",
            hint="`silmu use` answers many",
        )
    if isinstance(pairs[0][1], InputError):
        raise pairs[0][1]
    return pairs[0][1]


def _without_pictures(value: Any) -> Any:
    """Plain values without what only a page can show."""
    if isinstance(value, Mapping):
        return {
            key: _without_pictures(one)
            for key, one in cast("Mapping[str, Any]", value).items()
            if not _is_picture(one)
        }
    if isinstance(value, list):
        return [_without_pictures(one) for one in cast("list[Any]", value)]
    return value


def _is_picture(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("data:image/")


def _lines(told: Mapping[str, Any]) -> list[str]:
    """The answer, and what weighs most."""
    lines = [f"{one['label']} {one['score']:.4f}" for one in told["answer"]]
    lines.append(f"for {told['of']}:")
    if "saliency" in told:
        cells = told["saliency"]["cells"]
        most = max((x, i, j) for i, row in enumerate(cells) for j, x in enumerate(row))
        down, across = (
            (n + 0.5) / len(of) for n, of in zip(most[1:], (cells, cells[0]), strict=True)
        )
        lines.append(
            f"  the part at {down:.0%} from the top and {across:.0%} from the left: "
            f"{most[0]:+.3f}" + ("" if told["kind"] == "number" else " in log-odds")
        )
        return lines
    pairs: list[tuple[str, float]] = [(piece, weight) for piece, weight in told.get("pieces", [])]
    pairs += [(f"{name}={value}", weight) for name, value, weight in told.get("cells", [])]
    heavy = sorted(pairs, key=lambda pair: -abs(pair[1]))[:HEAVIEST]
    return lines + [f"  {weight:+.4f} {name.strip()}" for name, weight in heavy]
