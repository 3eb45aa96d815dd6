"""Bring a model from the hub: the files that silmu uses, and no others.

  silmu pull openai-community/gpt2
  silmu pull openai-community/gpt2 --output gpt2      a folder to carry to another machine

The path of the folder is what comes out. What the cache holds is not fetched again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from silmu.cli import DONE, _flags, answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, and where it goes."""
    parser.add_argument("model", metavar="MODEL", help="an id such as `openai-community/gpt2`")
    _flags.add(parser, "--output", "--revision", "--json")


def run(args: argparse.Namespace) -> int:
    """Fetches, copies if asked to, and prints the path."""
    from silmu import store
    from silmu.runtime import hub

    if args.output is None:
        path = hub.open_model(args.model, revision=args.revision).path
    else:
        path = Path(args.output).absolute()
        # Opened first: that the place is taken should not be found out after a long download.
        with store.new_folder(path, meta={"model": args.model}) as writer:
            folder = hub.open_model(args.model, revision=args.revision)
            writer.meta["snapshot"] = folder.path.name
            for name in hub.used_files(folder):
                writer.copy(folder.file(name), name)
    answer(json.dumps({"model": args.model, "path": str(path)}) if args.json else str(path))
    return DONE
