"""List the tasks that there are, or tell all of one: its use, and what can be set.

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
from collections.abc import Iterator
from pathlib import Path
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
        story, settings = _story(registry.pipelines()[task]), _settings(task)
        if args.json:
            answer(json.dumps({**record, "story": story, "settings": settings}))
            return DONE
        answer(f"{_told(record)}\n\n{story}")
        if settings:
            answer(f"\nLearnt by `silmu train {task} --data SOURCE`; --set KEY=VALUE sets\n")
        for one in settings:
            answer(f"  {one['name']} = {one['default']}  ({one['type']})")
            if one["about"]:
                answer(f"      {one['about']}")
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
        "learnt": task in registry.tasks(),
        "summary": declared.summary,
    }


def _told(record: dict[str, Any]) -> str:
    names = ", also ".join([record["task"], *record["aliases"]])
    model = record["model"] or "none; name one"
    learnt = "\n  can be learnt from your data" if record["learnt"] else ""
    return f"{names}\n  {record['summary']}\n  default model: {model}{learnt}"


def _settings(task: str) -> list[dict[str, str]]:
    """What can be set of a task that can be learnt, from its file and those of its bases."""
    declared = registry.tasks().get(task)
    if declared is None:
        return []
    # What a task sets anew stands where its base has it.
    return [*{one["name"]: one for one in _of_file(declared.path, set())}.values()]


def _of_file(path: Path, seen: set[Path]) -> Iterator[dict[str, str]]:
    """The fields of the configs in a file, after those of the private bases that it imports."""
    seen.add(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("silmu.tasks._"):
            base = path.with_name(f"{(node.module or '').rpartition('.')[2]}.py")
            if base not in seen:
                yield from _of_file(base, seen)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Config"):
            yield from _fields(node)


def _fields(config: ast.ClassDef) -> Iterator[dict[str, str]]:
    """The fields of a class, each with the text that stands under it."""
    for node, under in zip(config.body, [*config.body[1:], None], strict=True):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        about = under.value if isinstance(under, ast.Expr) else None
        text = about.value if isinstance(about, ast.Constant) else ""
        yield {
            "name": node.target.id,
            "default": ast.unparse(node.value) if node.value else "",
            "type": ast.unparse(node.annotation),
            "about": inspect.cleandoc(str(text)),
        }


def _story(declared: registry.Declared) -> str:
    """The docstring of a task's class, read without running the file."""
    tree = ast.parse(declared.path.read_text(encoding="utf-8"))
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    text = next((ast.get_docstring(c) for c in classes if c.name.endswith("Pipeline")), None)
    # What tells the tests of documentation to pass over a line is nothing to a reader.
    return re.sub(r"(?<! ) *# doctest:.*", "", inspect.cleandoc(text or declared.summary))
