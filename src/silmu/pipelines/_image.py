"""What pipelines for pictures share: each is opened by itself, and some are computed at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from silmu.errors import InvalidModelError, WrongTypeError
from silmu.pipelines._base import NOTHING, Pipeline
from silmu.pipelines._model import ModelOutput
from silmu.runtime.image import load_image
from silmu.runtime.image_processor import ImageProcessor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.pipelines._model import Model

INPUT = "pixel_values"


class ImagePipeline(Pipeline):
    """Answers pictures: addresses, paths, base64, PIL images, arrays of uint8, or lists of them.

    Args:
        model: what computes.
        image_processor: what makes arrays of pictures; the model's own, if not given.

    Raises:
        InvalidModelError: the two do not belong together.
    """

    rows: ClassVar[str] = "image"
    read_ahead: ClassVar[int] = 32
    token_budget: ClassVar[int] = 8 * 224 * 224

    def __init__(
        self,
        model: Model,
        *args: Any,
        image_processor: ImageProcessor | None = None,
        **options: Any,
    ) -> None:
        processor = image_processor or ImageProcessor.open(model.folder)
        _check(processor, model)
        super().__init__(model, *args, image_processor=processor, **options)

    def __call__(self, inputs: Any = NOTHING, *args: Any, **parameters: Any) -> Any:
        """The answer to a picture, or to each of a list or stream of pictures.

        Args:
            inputs: pictures; `images` is the older name.
            parameters: as the class tells.
        """
        if "images" in parameters:
            inputs = parameters.pop("images")
        if inputs is None:
            raise WrongTypeError("nothing was given to answer", hint="give a picture, or a list")
        return super().__call__(inputs, *args, **parameters)

    def preprocess(self, inputs: Any, *, timeout: float | None = None) -> dict[str, Any]:
        """The pixels of a picture, (1, channels, height, width)."""
        return self._pixels(inputs, self.image_processor, timeout)

    def _pixels(self, given: Any, processor: ImageProcessor, timeout: Any) -> dict[str, Any]:
        image = load_image(given, timeout=timeout, background=processor.background)
        return {**processor.arrays([image])}

    def _weight(self, row: Mapping[str, Any]) -> int:
        """The pixels of a picture."""
        height, width = row[INPUT].shape[-2:]
        return height * width

    def _run(self, rows: list[dict[str, Any]], parameters: dict[str, Any]) -> list[ModelOutput]:
        """Pictures of one size in one pass."""
        pixels: NDArray[np.float32] = np.concatenate([row[INPUT] for row in rows])
        found = self._forward({INPUT: pixels}, **parameters)
        return [
            ModelOutput(
                {name: value[i : i + 1] for name, value in found.items()}
                | {name: value for name, value in row.items() if name not in (INPUT, *found)}
            )
            for i, row in enumerate(rows)
        ]


def _check(processor: ImageProcessor, model: Model) -> None:
    """Refuses pictures of a size that the graph does not read."""
    port = model.session.inputs.get(INPUT)
    given = (processor.channels, *processor.size)
    if port is None or len(port.shape) != 1 + len(given):
        return
    pairs = zip(port.shape[1:], given, strict=True)
    if any(isinstance(size, int) and size != own for size, own in pairs):
        shown = " x ".join(map(str, port.shape[1:]))
        raise InvalidModelError(
            f"the image processor gives {' x '.join(map(str, given))} (channels, height, width), "
            f"and `{model.name_or_path}` reads {shown}",
            hint="take both of one model folder",
        )
