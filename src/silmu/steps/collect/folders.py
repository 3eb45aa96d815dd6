"""A folder of text files: a sub-folder for each class, or for each split and in it each class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import pyarrow as pa

from silmu.errors import InputError, SilmuError, UsageError
from silmu.steps.collect.classes import UNREADABLE, classes, files, spoken, unfit
from silmu.steps.collect.streams import Text
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import Kinds, Numbered, batches, is_text

LARGEST = 1 << 26  # bytes of one text
NO_TEXT = "the file is not text"


@final
class TextFolder:
    """The files of a folder in the order of their names, each a row."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.has_splits, self.classes = classes(root)
        names = ["text", "label", *(["split"] if self.has_splits else []), "file"]
        self.schema = pa.schema([(name, pa.string()) for name in names])
        if not self.classes:
            raise UsageError(
                f"`{root}` has no sub-folders",
                hint="a folder of texts has one sub-folder for each label, with a file for each "
                "text; give a table as a file, or as a pattern such as 'reviews/*.csv'",
            )

    def read(self, tally: Tally) -> Iterator[Numbered]:
        """The rows as Arrow."""
        kinds = Kinds()
        kinds.see(dict.fromkeys(self.schema.names, ""))
        return batches(self.rows(tally), kinds, tally)

    def rows(self, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each text with its label, with the number of its file in the order of names."""
        number = 0
        root = self.root.resolve()
        for folder, split in self.classes:
            for path in files(folder):
                number += 1
                if reason := unfit(path, root, LARGEST):
                    tally.add(reason, [number])
                    continue
                try:
                    text = "".join(Text(path).blocks())
                except SilmuError as error:
                    tally.add(NO_TEXT if isinstance(error, InputError) else UNREADABLE, [number])
                    continue
                if "\0" in text or not is_text(text):
                    tally.add(NO_TEXT, [number])
                    continue
                row = {"text": text, "label": spoken(folder.name)}
                if split is not None:
                    row["split"] = split
                yield number, {**row, "file": spoken(path.relative_to(self.root).as_posix())}
