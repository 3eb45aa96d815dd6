"""Rows of pictures as a report shows them: each picture once, however often it is spoken of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from silmu.errors import InputError
from silmu.steps.collect.pictures import Pictures
from silmu.steps.evaluate.image.saliency import overlay, saliency
from silmu.steps.evaluate.image.thumbnails import MOST, thumbnail
from silmu.steps.evaluate.rows import Rows
from silmu.steps.train.progress import Progress

if TYPE_CHECKING:
    from PIL.Image import Image


@final
class Shown:
    """The pictures of a report.

    Args:
        pipe: the model.
        rows: that were scored.
        progress: what shows how long it goes.

    Attributes:
        found: by the number of a row in the source, `src`, `width` and `height` of an element img.
    """

    def __init__(self, pipe: Any, rows: Rows, progress: Progress) -> None:
        self.pipe, self.progress = pipe, progress
        self.rows = rows
        self.pictures = Pictures(rows.dataset)
        self.found: dict[str, dict[str, Any]] = {}

    def named(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        """For each row what its picture is called."""
        for row in rows.tolist():
            if self._key(row) not in self.found:
                self._image(row)
        return [self._name(row) for row in rows.tolist()]

    def explained(self, rows: NDArray[np.int64], of: list[int]) -> list[dict[str, Any] | None]:
        """For each row the parts of its picture that the score of a label, or a number, hangs on.

        None where its file is gone since it was answered.
        """
        found: list[dict[str, Any] | None] = []
        work = self.progress.work("pictures covered part by part", len(rows))
        for place, (row, label) in enumerate(zip(rows.tolist(), of, strict=True)):
            work.done(min(place, 1))
            image = self._image(row)
            if image is None:
                found.append(None)
                continue
            falls = saliency(self.pipe, image, label)
            drawn = overlay(self.pipe, image, falls, MOST)
            found.append({**self._name(row), "saliency": falls.tolist(), "overlay": drawn})
        return found

    def _image(self, row: int) -> Image | None:
        """The picture of a row, which is shown from now on; None where its file is gone."""
        try:
            background = self.pipe.image_processor.background
            image = self.pictures.image(int(self.rows.places[row]), background)
        except InputError:
            return None
        if self._key(row) not in self.found:
            self.found[self._key(row)] = thumbnail(image)
        return image

    def _key(self, row: int) -> str:
        return str(int(self.rows.numbers[row]))

    def _name(self, row: int) -> dict[str, Any]:
        return {"picture": self.pictures.name(int(self.rows.places[row]))}
