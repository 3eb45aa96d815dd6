"""Sort texts into labels that no model was trained for, by asking whether each would follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import InputError, UsageError, WrongTypeError
from silmu.pipelines import _candidates as candidates
from silmu.pipelines._base import Pipeline, logger

if TYPE_CHECKING:
    from silmu.pipelines._model import Model, ModelOutput
    from silmu.runtime.text import Encoded

DEFAULT_MODEL = ("facebook/bart-large-mnli", "d7645e1")

TEMPLATE = "This example is {}."


@final
class ZeroShotClassificationPipeline(Pipeline):
    """Labels of texts, chosen among any that are given, by a model of inference (NLI).

    >>> classify = pipeline("zero-shot-classification", model="org/nli")  # doctest: +SKIP
    >>> classify("My phone broke.", ["urgent", "praise"])["labels"]       # doctest: +SKIP
    ['urgent', 'praise']

    Each label makes a sentence, and the model says how well that sentence follows from the text.
    A text that is too long is shortened; the sentences are not.

    Args:
        sequences: a text or a list of texts.
        candidate_labels: the labels, as a list or as one string with commas.
        hypothesis_template: the sentence that a label makes; the label takes the place of `{}`.
        multi_label: whether several labels may hold at once: each is then judged for itself, from
            0 to 1. Otherwise the scores of all labels sum to 1.
        multi_class: the older name of `multi_label`.

    Raises:
        InputError: not a text, or an empty one.
        UsageError: no labels, or a template without a place for them.

    Reference: Yin et al. 2019, https://arxiv.org/abs/1909.00161.
    """

    head = "text-classification"
    shorten = "give shorter labels, or a shorter hypothesis_template: only the text is shortened"

    def __init__(self, model: Model, *args: Any, **options: Any) -> None:
        super().__init__(model, *args, **options)
        if self.entailment_id == -1:
            logger.warning(
                "none of the labels of `%s` begins with `entail`, so the last, `%s`, is taken for "
                "it: is it a model of inference?",
                model.name_or_path,
                model.config.id2label[model.config.num_labels - 1],
            )

    @property
    def entailment_id(self) -> int:
        """The output that says "it follows": the first named so, or -1 where none is."""
        labels = self.model.config.id2label.items()
        return next((i for i, label in labels if label.lower().startswith("entail")), -1)

    def __call__(self, sequences: Any, *args: Any, **parameters: Any) -> Any:
        """The labels of a text, or of each of a list or stream of texts."""
        if args:
            if len(args) != 1 or "candidate_labels" in parameters:
                raise UsageError(
                    f"the arguments {args!r:.80} are too many: a text is followed by its labels"
                )
            parameters["candidate_labels"] = args[0]
        if parameters.get("candidate_labels", self._parameters[0].get("candidate_labels")) is None:
            raise WrongTypeError(
                "there are no labels to choose from", hint='give candidate_labels=["...", "..."]'
            )
        return super().__call__(sequences, **parameters)

    def _sanitize_parameters(
        self,
        candidate_labels: Any = None,
        hypothesis_template: str | None = None,
        multi_label: bool | None = None,
        multi_class: bool | None = None,
        **unknown: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            logger.warning("zero-shot-classification ignores %s", ", ".join(unknown))
        if multi_class is not None:
            logger.warning("`multi_class` is deprecated: write `multi_label`")
            multi_label = multi_class
        preprocess: dict[str, Any] = {}
        if candidate_labels is not None:
            preprocess["candidate_labels"] = candidates.labels(candidate_labels)
        if hypothesis_template is not None:
            candidates.check_template(hypothesis_template)
            preprocess["hypothesis_template"] = hypothesis_template
        return preprocess, {}, {} if multi_label is None else {"multi_label": multi_label}

    def preprocess(
        self, inputs: Any, *, candidate_labels: list[Any], hypothesis_template: str = TEMPLATE
    ) -> Iterator[dict[str, Any]]:
        """The text with the sentence of each label."""
        if not isinstance(inputs, str):
            raise InputError(
                f"a text must be a string, and this is a {type(inputs).__name__}",
                hint="several texts go in a list, each as a string",
            )
        if not inputs:
            raise InputError("the text is empty")
        text = self._beginning(inputs)
        for label in candidate_labels:
            encoded = self._pair(text, candidates.sentence(hypothesis_template, label))
            yield {**self._arrays(encoded), "label": label, "sequence": inputs}

    def _beginning(self, text: str) -> str:
        """What matters of a text: a book need not become tokens once for every label.

        Twice of what the model can read, so that no token is cut that may be read.
        """
        most = 2 * max(self.tokenizer.model_max_length, self.model.max_tokens)
        if len(text) <= most or self.tokenizer.truncation_side != "right":
            return text
        places = self.tokenizer.encode(text, add_special_tokens=False).encoding.offsets
        return text if len(places) <= most else text[: places[most][0]]

    def _pair(self, text: str, hypothesis: str) -> Encoded:
        try:
            return self.tokenizer.encode(text, hypothesis, truncation="only_first")
        except InputError:
            # Where the sentence alone is too long, no text is short enough. Whole, the pair may
            # still be one that the model can read; if not, the error says how long it is.
            return self.tokenizer.encode(text, hypothesis)

    def postprocess(
        self, model_outputs: list[ModelOutput], *, multi_label: bool = False
    ) -> dict[str, Any]:
        """The labels of one text, the likeliest first."""
        logits = np.concatenate([output["logits"] for output in model_outputs])
        follows = self.entailment_id
        if multi_label or len(logits) == 1:
            contradicts = -1 if follows == 0 else 0
            scores = _softmax(logits[:, [contradicts, follows]])[:, 1]
        else:
            scores = _softmax(logits[:, follows])
        order = np.argsort(scores)[::-1]
        return {
            "sequence": model_outputs[0]["sequence"],
            "labels": [model_outputs[i]["label"] for i in order],
            "scores": scores[order].tolist(),
        }


def _softmax(logits: Any) -> Any:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)
