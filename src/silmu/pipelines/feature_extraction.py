"""Turn texts into vectors: what the last layer says of each token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from silmu.errors import UsageError
from silmu.pipelines._base import Pipeline
from silmu.pipelines._model import Array

if TYPE_CHECKING:
    from silmu.pipelines._model import ModelOutput

ALIASES = ("embeddings",)
ARCHITECTURES = ("Model",)
DEFAULT_MODEL = ("distilbert/distilbert-base-cased", "6ea8117")


@final
class FeatureExtractionPipeline(Pipeline):
    """Hidden states of texts, one vector a token, not pooled.

    >>> extract = pipeline("feature-extraction", model="bert-base-cased")  # doctest: +SKIP
    >>> len(extract("Hello")[0])                                           # doctest: +SKIP
    3

    Args:
        inputs: a text or a list of texts.
        truncation: True shortens texts that are longer than the model can read.
        tokenize_kwargs: anything else for the tokenizer.
        return_tensors: True gives an array of shape (1, tokens, hidden) instead of nested lists.

    Raises:
        InputError: not a text, or longer than the model can read.
    """

    head = "feature-extraction"

    def _sanitize_parameters(
        self,
        truncation: Any = None,
        tokenize_kwargs: dict[str, Any] | None = None,
        return_tensors: bool | None = None,
        **_: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        options = dict(tokenize_kwargs or {})
        if truncation is not None:
            if "truncation" in options:
                raise UsageError("truncation is given twice: by itself and in tokenize_kwargs")
            options["truncation"] = truncation
        return options, {}, {} if return_tensors is None else {"return_tensors": return_tensors}

    def preprocess(self, inputs: Any, **tokenizer_options: Any) -> dict[str, Any]:
        """The tokens of a text."""
        return self._tokenize(inputs, None, **tokenizer_options)

    def postprocess(self, model_outputs: ModelOutput, *, return_tensors: bool = False) -> Any:
        """The vectors of the tokens."""
        states = model_outputs["last_hidden_state"]
        return states.view(Array) if return_tensors else states.tolist()
