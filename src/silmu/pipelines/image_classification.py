"""Sort pictures into labels: what is seen, or whatever the model was trained for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import UsageError, WrongTypeError
from silmu.pipelines import _scores
from silmu.pipelines._image import ImagePipeline
from silmu.runtime.processor import Processor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from silmu.pipelines._model import Model, ModelOutput

ARCHITECTURES = ("ForImageClassification", "ForImageClassificationWithTeacher")
DEFAULT_MODEL = ("google/vit-base-patch16-224", "3f49326")


@final
class ImageClassificationPipeline(ImagePipeline):
    """Labels of pictures.

    >>> classify = pipeline("image-classification")                      # doctest: +SKIP
    >>> classify("cat.jpg", top_k=1)                                     # doctest: +SKIP
    [{'label': 'Egyptian cat', 'score': 0.9374...}]

    Args:
        inputs: an address, a path, base64, a PIL image, an array of uint8 by height, width and
            channels, or a list of any.
        top_k: how many labels to give, best first; 5, if not given.
        function_to_apply: how logits become scores: `sigmoid`, `softmax` or `none`. By default the
            model's kind decides: sigmoid for several labels at once or for one, else softmax. A
            model that silmu trained on numbers gives the numbers.
        timeout: how many seconds an address may take.

    Raises:
        InputError: no picture, or a broken one.
        UsageError: a parameter is out of range.
    """

    head = "image-classification"

    def __init__(self, model: Model, *args: Any, **options: Any) -> None:
        self.fitted = Processor.open(model.folder, of_texts=False)
        super().__init__(model, *args, **options)

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """For a model of several labels at once, from which score on each is given, in the order
        of their ids; None where training chose none.
        """
        return None if self.fitted is None else self.fitted.thresholds

    def outputs(self, inputs: Sequence[Any]) -> NDArray[np.float64]:
        """The scores of all labels, or numbers, by their ids: (inputs, labels)."""
        found = [self.forward(self.preprocess(one))["logits"][0] for one in inputs]
        return np.array([_scores.apply(self._own_function(), one) for one in found], np.float64)

    def _sanitize_parameters(
        self,
        top_k: Any = None,
        function_to_apply: Any = None,
        timeout: float | None = None,
        **unknown: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            raise WrongTypeError(
                f"unexpected keyword {', '.join(unknown)}; image-classification takes top_k, "
                "function_to_apply, timeout and batch_size"
            )
        after: dict[str, Any] = {}
        if top_k is not None:
            if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
                raise UsageError(f"top_k is {top_k!r}; it must be a whole number from 1 on")
            after["top_k"] = top_k
        if function_to_apply is not None:
            after["function_to_apply"] = _scores.named(function_to_apply)
        return {} if timeout is None else {"timeout": timeout}, {}, after

    def postprocess(
        self,
        model_outputs: ModelOutput,
        *,
        function_to_apply: str | None = None,
        top_k: int = 5,
    ) -> list[dict[str, Any]]:
        """The logits of a picture as its best labels with scores."""
        logits: NDArray[np.float32] = model_outputs["logits"][0]
        scores = _scores.apply(function_to_apply or self._own_function(), logits)
        labels = self.model.config.id2label
        best = np.argsort(-scores, kind="stable")[:top_k].tolist()
        return [{"label": labels[i], "score": float(scores[i])} for i in best]

    def _own_function(self) -> str:
        tells_number = self.fitted is not None and self.fitted.kind == "number"
        return "none" if tells_number else _scores.function_of(self.model.config)
