"""Sort texts into labels: sentiment, topic, or whatever the model was trained for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from silmu.errors import InputError
from silmu.pipelines import _scores
from silmu.pipelines._base import Pipeline, logger
from silmu.runtime.processor import Processor, not_empty

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.pipelines._model import Model, ModelOutput
    from silmu.runtime.text import Encoded

ALIASES = ("sentiment-analysis",)
ARCHITECTURES = ("ForSequenceClassification",)
DEFAULT_MODEL = ("distilbert/distilbert-base-uncased-finetuned-sst-2-english", "714eb0f")


@final
class TextClassificationPipeline(Pipeline):
    """Labels of texts.

    >>> classify = pipeline("sentiment-analysis")                        # doctest: +SKIP
    >>> classify("I love this product!")                                 # doctest: +SKIP
    [{'label': 'POSITIVE', 'score': 0.9998...}]

    Args:
        inputs: a text, a dict with `text` and `text_pair`, or a list of either.
        top_k: how many labels to give, best first; None gives all.
        function_to_apply: how logits become scores: `sigmoid`, `softmax` or `none`. By default the
            model's kind decides: none for regression, sigmoid for several labels at once or for
            one, else softmax.
        return_all_scores: the older way to ask for all labels, in the order of their ids.

    Any other keyword goes to the tokenizer: `truncation=True` shortens texts that are too long. A
    model that silmu trained reads as much of a text as in training, unless `truncation` or
    `max_length` says otherwise.

    Raises:
        InputError: not a text, or longer than the model can read.
        UsageError: a parameter is out of range.
    """

    head = "text-classification"

    def __init__(self, model: Model, *args: Any, **options: Any) -> None:
        super().__init__(model, *args, **options)
        self._fitted = Processor.open(model.folder)

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """For a model of several labels at once, from which score on each is given, in the order
        of their ids; None where training chose none.
        """
        return None if self._fitted is None else self._fitted.thresholds

    def __call__(self, inputs: Any, **parameters: Any) -> Any:
        """Labels of a text, or of each of a list or stream of texts."""
        result = super().__call__(inputs, **parameters)
        # 4.57 wraps the answer to a single string, and only a top_k at the call takes it off.
        return [result] if isinstance(inputs, str) and "top_k" not in parameters else result

    def outputs(self, inputs: list[Any], **parameters: Any) -> NDArray[np.float64]:
        """The scores of all labels, or numbers, by their ids: (inputs, labels)."""
        before, forward, after = self._merged(parameters)
        every = {**after, "top_k": None, "in_label_order": True}
        answers: Any = self._answers(inputs, (before, forward, every), self.batch_size)
        return np.array([[one["score"] for one in answer] for answer in answers], np.float64)

    def _sanitize_parameters(
        self,
        return_all_scores: bool | None = None,
        function_to_apply: str | None = None,
        top_k: int | str | None = "",
        **tokenizer_options: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        postprocess: dict[str, Any] = {}
        if return_all_scores is None:
            return_all_scores = self.model.config.to_dict().get("return_all_scores")
        if isinstance(top_k, int) or top_k is None:
            postprocess |= {"top_k": top_k, "in_label_order": False}
        elif return_all_scores is not None:
            logger.warning("`return_all_scores` is deprecated: write top_k=None for all labels")
            postprocess["top_k"] = None if return_all_scores else 1
        if function_to_apply is not None:
            postprocess["function_to_apply"] = _scores.named(function_to_apply)
        return tokenizer_options, {}, postprocess

    def preprocess(self, inputs: Any, **tokenizer_options: Any) -> dict[str, Any]:
        """The tokens of a text, or of a pair."""
        pair: tuple[Any, Any]
        if isinstance(inputs, Mapping):
            given = dict(cast("Mapping[str, Any]", inputs))
            if "text" not in given:
                keys = ", ".join(map(str, given))
                raise InputError(f"an input has the keys {keys}, and no `text`")
            pair = given.pop("text"), given.pop("text_pair", None)
            tokenizer_options = {**given, **tokenizer_options}
        elif isinstance(inputs, list | tuple):
            nested = cast("list[Any]", inputs)
            inner = nested[0] if nested else None
            if len(nested) != 1 or not isinstance(inner, list) or len(cast("Any", inner)) != 2:
                raise InputError(
                    "a list of lists is not an input",
                    hint='for a pair of texts give {"text": "...", "text_pair": "..."}',
                )
            pair = cast("tuple[Any, Any]", tuple(cast("list[Any]", inner)))
        else:
            pair = inputs, None
        if self._fitted is not None and tokenizer_options.get("truncation", True):
            length = self._fitted.max_length
            tokenizer_options = {"truncation": True, "max_length": length, **tokenizer_options}
        return self._tokenize(*pair, **tokenizer_options)

    def _arrays(self, encoded: Encoded, width: int | None = None) -> dict[str, NDArray[np.int64]]:
        if self._fitted is not None:
            encoded = not_empty(self.tokenizer, encoded)
        return super()._arrays(encoded, width)

    def postprocess(
        self,
        model_outputs: ModelOutput,
        *,
        function_to_apply: str | None = None,
        top_k: int | None = 1,
        in_label_order: bool = True,
    ) -> Any:
        """The logits of a text as labels with scores."""
        logits: NDArray[np.float32] = model_outputs["logits"][0]
        scores = _scores.apply(function_to_apply or self._own_function(), logits)
        labels = self.model.config.id2label
        if top_k == 1 and in_label_order:
            best = int(scores.argmax())
            return {"label": labels[best], "score": float(scores[best])}
        answers = [{"label": labels[i], "score": float(score)} for i, score in enumerate(scores)]
        if not in_label_order:
            answers.sort(key=lambda answer: cast("float", answer["score"]), reverse=True)
            answers = answers[:top_k]
        return answers

    def _own_function(self) -> str:
        config = self.model.config
        return "none" if config.problem_type == "regression" else _scores.function_of(config)
