"""List the tasks that models can be used for, or tell all of one.

  silmu tasks
  silmu tasks question-answering

What is told stands in the tasks' own files, which are read and not run.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
from typing import Any

from silmu import registry
from silmu.cli import DONE, _flags, answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A task, or none for all of them."""
    parser.add_argument("task", metavar="TASK", nargs="?", help="the task to tell all of")
    _flags.add(parser, "--json")


def run(args: argparse.Namespace) -> int:
    """Reads what the files of the tasks say; runs none of them."""
    if args.task is not None:
        task = registry.canonical_task(args.task)
        record = _record(task)
        story = _story(registry.pipelines()[task])
        answer(
            json.dumps({**record, "story": story}) if args.json else f"{_told(record)}\n\n{story}"
        )
        return DONE
    records = [_record(task) for task in registry.pipelines()]
    lines = [json.dumps(record) if args.json else _told(record) for record in records]
    answer(("\n" if args.json else "\n\n").join(lines))
    return DONE


def _record(task: str) -> dict[str, Any]:
    declared = registry.pipelines()[task]
    model, revision = declared.constants.get("DEFAULT_MODEL", (None, None))
    return {
        "task": task,
        "aliases": list(declared.constants.get("ALIASES", ())),
        "model": model,
        "revision": revision,
        "summary": declared.summary,
    }


def _told(record: dict[str, Any]) -> str:
    names = ", also ".join([record["task"], *record["aliases"]])
    model = record["model"] or "none; name one"
    return f"{names}\n  {record['summary']}\n  default model: {model}"


def _story(declared: registry.Declared) -> str:
    """The docstring of a task's class, read without running the file."""
    tree = ast.parse(declared.path.read_text(encoding="utf-8"))
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    text = next((ast.get_docstring(c) for c in classes if c.name.endswith("Pipeline")), None)
    # What tells the tests of documentation to pass over a line is nothing to a reader.
    return re.sub(r"(?<! ) *# doctest:.*", "", inspect.cleandoc(text or declared.summary))
