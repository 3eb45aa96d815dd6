"""A model that reads pictures."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from silmu import extras
from silmu.errors import InputError, UsageError
from silmu.runtime.image import open_image
from silmu.steps.collect.dataset import Dataset
from silmu.steps.collect.pictures import Pictures
from silmu.steps.evaluate import details, means
from silmu.steps.evaluate.baselines import Baseline
from silmu.steps.evaluate.image import drift, layers, thumbnails
from silmu.steps.evaluate.image.fitting import NAME, fitted
from silmu.steps.evaluate.image.looks import Looks
from silmu.steps.evaluate.image.shown import Shown
from silmu.steps.evaluate.judged import groups_of
from silmu.steps.evaluate.kinds import kind_of
from silmu.steps.evaluate.metrics import Scored
from silmu.steps.evaluate.rows import Rows
from silmu.steps.evaluate.scoring import Answers, Passed, Scorer
from silmu.steps.evaluate.slices import by_value
from silmu.steps.evaluate.trained import training_of
from silmu.steps.prepare.images import features
from silmu.steps.prepare.prepared import Prepared

if TYPE_CHECKING:
    from PIL.Image import Image

AUGMENTED = Path("4-train", "augmented.png")
"""What training leaves in its run: pictures as the network saw them, changed at random."""


MOST_HELD, MOST_PIXELS = 32, 1 << 23
"""Decoded pictures that are in memory at once, and their pixels."""


@final
class ImageScorer(Scorer):
    """A model that reads a picture."""

    many: ClassVar[str] = "pictures"
    strong: ClassVar[str] = NAME
    # Where one of them is broken, few are decoded again to find it.
    at_once: ClassVar[int] = 64

    def __init__(self, pipe: Any) -> None:
        extras.require("image")
        super().__init__(pipe)
        self.folder = Path(pipe.model.folder.path)
        self._files: Files | None = None

    def _kind(self) -> str:
        return kind_of(self.pipe.fitted, self.pipe.model.config)

    def columns(self, dataset: Dataset) -> tuple[str, ...]:
        """The column of pictures, whose files are those of this dataset from now on."""
        given = dataset.roles.input
        if len(given) != 1:
            raise UsageError(
                f"the model reads one picture a row, and the data gives {len(given)} columns "
                f"({', '.join(given)})",
                hint="name the one: --input",
            )
        self._files = Files(dataset)
        return given

    def ask(self, batch: pa.Table) -> Answers:
        """The scores of some pictures."""
        every = len(self.labels or self.targets) or 1
        answers: list[Any] = []
        for images in _some(self._opened(batch)):
            answers.extend(self.pipe(images, top_k=every))
        if self.kind != "number":
            return Answers(self.labelled(answers))
        if not self.targets:
            return Answers(np.array([answer[0]["score"] for answer in answers], np.float32))
        told = [{one["label"]: one["score"] for one in answer} for answer in answers]
        numbers = [[one[name] for name in self.targets] for one in told]
        return Answers(np.array(numbers, np.float32).reshape(-1, len(self.targets)))

    def seen(self) -> PicturesSeen:
        """Nothing yet."""
        return PicturesSeen()

    def baselines(self, prepared: Prepared, seed: int) -> dict[str, Baseline]:
        """The most frequent answer, and the nearest neighbours by pixels."""
        return fitted(self._opened, prepared, seed)

    def details(
        self, rows: Rows, scored: Scored, groups: NDArray[np.int64] | None, seed: int
    ) -> dict[str, Any]:
        """Parts by columns and looks; pictures, and the parts of them that decide."""
        names, numbers = self.labels or self.targets, rows.numbers
        shown = Shown(self.pipe, rows, self.progress)
        looks = Looks.of(rows.dataset, rows.places)
        parts = [*by_value(rows.others()), *looks.parts()]
        found = {
            "slices": details.by_part(scored, parts, groups),
            "worst": details.worst(scored, names, numbers, shown.named),
            "best": details.best(scored, names, numbers, shown.named),
            "confused": details.confused(scored, names, numbers, shown.named),
            "attributions": details.attributions(scored, names, numbers, shown.explained),
            "pictures": shown.found,
        }
        return found | self._of_its_run(rows, seed)

    def drift(
        self, dataset: Dataset, passed: Passed, model: Path
    ) -> tuple[dict[str, Any], list[str]]:
        """How pictures differ from those of the training, where the model is in its run."""
        trained = training_of(model)
        if trained is None:
            return {"drift": None}, [
                "the model is not in its run, so its training pictures were not compared"
            ]
        warnings: list[str] = []
        if count := drift.repeated(dataset, trained):
            warnings.append(
                f"{count:,} of {dataset.num_rows:,} pictures were in the training: on them the "
                "model looks better than it is"
            )
        found = drift.compared(self, dataset, passed.outputs, trained)
        return {"drift": found}, [*warnings, *means.unlike(found)]

    def _of_its_run(self, rows: Rows, seed: int) -> dict[str, Any]:
        """What training left and the network learnt, where the rows are of the model's own run."""
        run = self.folder.absolute().parent
        if rows.dataset.path.absolute().parent != run:
            return {}
        sheet = run / AUGMENTED
        found: dict[str, Any] = {
            "augmented": thumbnails.sheet(sheet.read_bytes()) if sheet.is_file() else None
        }
        if (prepared := training_of(self.folder)) is not None:
            found["layers"] = self._layers(prepared, seed)
        return found

    def _layers(self, prepared: Prepared, seed: int) -> dict[str, Any] | None:
        """What each layer has learnt, on pictures that only decided when training was to end."""
        validation, reads = features(prepared, "validation"), self.pipe.image_processor
        if validation.pixels.shape[1:] != (*reads.size, reads.channels):
            logging.getLogger("silmu").warning(
                "what the layers have learnt is not told: `%s` reads pictures of another size than "
                "prepare wrote for its run",
                self.name,
            )
            return None
        return layers.details(
            self.pipe,
            validation.pixels,
            validation.targets,
            prepared.dataset.row_numbers[validation.rows].tolist(),
            groups=groups_of(prepared.dataset, validation.rows)[0],
            seed=seed,
            progress=self.progress,
        )

    def _opened(self, batch: pa.Table) -> Iterator[Image]:
        """The pictures of rows, of which only that which is asked for is in memory."""
        assert self._files is not None
        background = self.pipe.image_processor.background
        for cell in batch.column(0).to_pylist():
            what = cell if isinstance(cell, str) else "the picture"
            yield open_image(self._files.data(cell), what, background=background)


@final
class Files:
    """The files of a dataset of pictures, by what its column holds of them."""

    def __init__(self, dataset: Dataset) -> None:
        self.pictures = Pictures(dataset)

    def data(self, cell: str | bytes) -> bytes:
        """The bytes of a picture, which are those that were collected.

        Raises:
            InputError: its file is gone, or holds something else now.
        """
        data = self.pictures.cell(cell)
        # What lies in the dataset itself is sealed with it.
        if isinstance(cell, str) and hashlib.sha256(data).digest() != self._hashes[cell]:
            raise InputError(
                f"`{cell}` is no longer the picture that was collected",
                hint="put the file back as it was, or collect anew",
            )
        return data

    @cached_property
    def _hashes(self) -> dict[str, bytes]:
        dataset = self.pictures.dataset
        paths: list[str] = dataset.column(dataset.roles.input[0]).to_pylist()
        hashes: list[str] = self.pictures.facts.column("sha256").to_pylist()
        return {path: bytes.fromhex(one) for path, one in zip(paths, hashes, strict=True)}


def _some(images: Iterable[Image]) -> Iterator[list[Image]]:
    """Pictures in lists, of as many as are soon computed and small enough to be held together."""
    held: list[Image] = []
    pixels = 0
    for image in images:
        held.append(image)
        pixels += image.width * image.height
        if len(held) == MOST_HELD or pixels >= MOST_PIXELS:
            yield held
            held, pixels = [], 0
    if held:
        yield held


@final
@dataclass(frozen=True)
class PicturesSeen:
    """Nothing: collect noticed it all when it opened each picture."""

    def add(self, batch: pa.Table, answers: Answers) -> None:
        """Notices one batch more."""

    def take(self, rows: NDArray[np.int64]) -> PicturesSeen:
        """Of some of the pictures."""
        del rows
        return self

    @property
    def facts(self) -> dict[str, int]:
        """Nothing."""
        return {}

    @property
    def warnings(self) -> list[str]:
        """None."""
        return []
