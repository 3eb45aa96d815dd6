"""Turn pictures into vectors: what the last layer says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from silmu.errors import ModelError, UsageError
from silmu.pipelines._base import logger
from silmu.pipelines._image import ImagePipeline
from silmu.pipelines._model import Array

if TYPE_CHECKING:
    from silmu.pipelines._model import ModelOutput

ARCHITECTURES = ("Model", "VisionModel")
DEFAULT_MODEL = ("google/vit-base-patch16-224", "3f49326")


@final
class ImageFeatureExtractionPipeline(ImagePipeline):
    """Hidden states of pictures: one vector a patch, or a map a channel where layers are
    convolutions.

    >>> extract = pipeline("image-feature-extraction", model="facebook/dinov2-small")
    ... # doctest: +SKIP
    >>> len(extract("cat.jpg")[0][0])                                      # doctest: +SKIP
    384

    Args:
        inputs: an address, a path, base64, a PIL image, an array of uint8 by height, width and
            channels, or a list of any.
        pool: True gives what the model makes of the whole picture, one vector.
        return_tensors: True gives an array instead of nested lists.
        image_processor_kwargs: other values for the image processor, such as
            `{"image_mean": [0.5, 0.5, 0.5]}`.
        timeout: how many seconds an address may take.

    Raises:
        InputError: no picture, or a broken one.
        UsageError: a parameter is out of range, or pool is asked of a model that has no pooler.
    """

    head = "image-feature-extraction"

    def _sanitize_parameters(
        self,
        image_processor_kwargs: dict[str, Any] | None = None,
        return_tensors: Any = None,
        pool: bool | None = None,
        timeout: float | None = None,
        **unknown: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            logger.warning("image-feature-extraction ignores %s", ", ".join(unknown))
        before: dict[str, Any] = {}
        if image_processor_kwargs:
            try:
                before["processor"] = self.image_processor.changed(image_processor_kwargs)
            except ModelError as error:
                raise UsageError(f"image_processor_kwargs: {error.message}") from error
        if timeout is not None:
            before["timeout"] = timeout
        after = {"pool": pool, "return_tensors": return_tensors}
        return before, {}, {name: value for name, value in after.items() if value is not None}

    def preprocess(
        self, inputs: Any, *, processor: Any = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """The pixels of a picture, (1, channels, height, width)."""
        return self._pixels(inputs, processor or self.image_processor, timeout)

    def postprocess(
        self, model_outputs: ModelOutput, *, pool: bool = False, return_tensors: Any = False
    ) -> Any:
        """The vectors of a picture."""
        name = "pooler_output" if pool else "last_hidden_state"
        if name not in model_outputs and not pool:
            raise UsageError(
                f"`{self.model.name_or_path}` has one vector for a picture, and none for its parts",
                hint="pool=True gives it",
            )
        if name not in model_outputs:
            raise UsageError(
                f"pool is True, and `{self.model.name_or_path}` has no pooler",
                hint="leave it out, and take the first vector or their mean",
            )
        states = model_outputs[name]
        return states.view(Array) if return_tensors else states.tolist()
