"""The options that verbs share: few, frozen, and of one meaning everywhere.

What else there is to set goes through `--set`. A test holds this list.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from silmu.errors import UsageError

FLAGS: dict[str, dict[str, Any]] = {
    "--task": {"metavar": "TASK", "help": "what to do; told from the model if it can be"},
    "--revision": {"metavar": "R", "help": "branch, tag or commit of a model on the hub"},
    "--data": {
        "metavar": "SOURCE",
        "help": "rows: a file, a pattern, a folder, a hub id, or package:NAME/path",
    },
    "--input": {"metavar": "COLUMN", "help": "the column that is read"},
    "--target": {"metavar": "COLUMN", "help": "the column that is to be learned"},
    "--group": {"metavar": "COLUMN", "help": "rows of one value stay in one split"},
    "--time": {"metavar": "COLUMN", "help": "orders the rows; the newest are tested on"},
    "--network": {
        "metavar": "N",
        "help": "auto, a kind of network, a model to go on from (its folder or hub id), or probe",
    },
    "--budget": {
        "metavar": "TIME",
        "help": "how long the steps of training may take, such as 10m; what is measured before, "
        "and judged after them, comes on top",
    },
    "--search": {
        "metavar": "N",
        "type": int,
        "help": "how many settings are tried, the default ones first; --budget is for all of them",
    },
    "--env": {
        "metavar": "ID",
        "help": "an environment that a policy acts in: an id of gymnasium, or file.py:name",
    },
    "--episodes": {"metavar": "N", "type": int, "help": "how many episodes of it"},
    "--video": {"metavar": "FILE", "help": "where to write what is seen of them: .webp or .png"},
    "--output": {"metavar": "PATH", "help": "where to write what comes out"},
    "--config": {"metavar": "FILE", "help": "settings as TOML: a recipe, or a run.toml"},
    "--set": {
        "metavar": "KEY=VALUE",
        "action": "append",
        "default": [],
        "help": "any parameter of the task, its value as JSON or plain text; may be repeated",
    },
    "--device": {"metavar": "D", "help": "where to compute: auto, cpu, cuda, mps"},
    "--dtype": {"metavar": "T", "help": "fp32, q8, q4, or auto, which measures; bf16 in training"},
    "--seed": {"metavar": "N", "type": int, "help": "makes what is drawn by chance repeatable"},
    "--json": {"action": "store_true", "help": "one line of JSON for each answer"},
    "--quiet": {"action": "store_true", "help": "say nothing but answers and errors"},
    "--verbose": {"action": "store_true", "help": "say more, and show where an error came from"},
}


def add(parser: argparse.ArgumentParser, *names: str) -> None:
    """Gives a verb these options, and -q and -v, which all have."""
    for name in (*names, "--quiet", "--verbose"):
        short = (name[1:3],) if name in ("--quiet", "--verbose") else ()
        parser.add_argument(*short, name, **FLAGS[name])


def settings(pairs: list[str]) -> dict[str, Any]:
    """What `--set` was given, by name.

    >>> settings(["top_k=3", "function_to_apply=none"])
    {'top_k': 3, 'function_to_apply': 'none'}
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(
                f"--set was given `{pair}`; it must be KEY=VALUE", hint="such as `--set top_k=3`"
            )
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found
