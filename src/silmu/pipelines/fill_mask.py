"""Fill the gaps of a text: which words are likely where the mask stands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from silmu.errors import InputError, UnsupportedModelError, UsageError, WrongTypeError
from silmu.pipelines._base import Pipeline, logger

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.pipelines._model import Model, ModelOutput

ARCHITECTURES = ("ForMaskedLM",)
DEFAULT_MODEL = ("distilbert/distilroberta-base", "fb53ab8")


@final
class FillMaskPipeline(Pipeline):
    """Likely words for the masks of a text.

    >>> fill = pipeline("fill-mask", model="bert-base-uncased")          # doctest: +SKIP
    >>> fill("Paris is the [MASK] of France.")[0]["token_str"]           # doctest: +SKIP
    'capital'

    What a mask is called differs by model: `fill.tokenizer.mask_token` tells. A text with several
    masks has a list for each, in which the others stay as they are.

    Args:
        inputs: a text with a mask, or a list of such texts. A list of one is answered like the
            text alone.
        top_k: how many words to give, the likeliest first.
        targets: the word, or words, to choose among. One that is no single token of the vocabulary
            stands for its first token.
        tokenizer_kwargs: for the tokenizer, such as `{"truncation": True}` for long texts.

    Raises:
        InputError: not a text, without a mask, or longer than the model can read.
        UsageError: a parameter is out of range.
    """

    head = "fill-mask"
    gives_lists = True
    shorten = 'give tokenizer_kwargs={"truncation": True} to read its beginning only'

    def __init__(self, model: Model, *args: Any, **options: Any) -> None:
        super().__init__(model, *args, **options)
        if self.tokenizer.special_id("mask") is None:
            raise UnsupportedModelError(
                f"the tokenizer of `{self.tokenizer.name_or_path}` has no mask token",
                hint="take a model that was trained to fill masks",
            )

    def __call__(self, inputs: Any, **parameters: Any) -> Any:
        """The words for a text, or for each of a list or stream of texts."""
        found = super().__call__(inputs, **parameters)
        is_one = isinstance(inputs, list) and len(cast("list[Any]", inputs)) == 1
        return found[0] if is_one else found

    def _sanitize_parameters(
        self,
        top_k: int | None = None,
        targets: str | Iterable[str] | None = None,
        tokenizer_kwargs: dict[str, Any] | None = None,
        **unknown: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            raise WrongTypeError(f"fill-mask takes no {', '.join(unknown)}")
        if not isinstance(cast("object", top_k), int | None) or isinstance(top_k, bool):
            raise WrongTypeError(f"top_k is a {type(top_k).__name__}; it must be a whole number")
        if top_k is not None and top_k < 0:
            raise UsageError(f"top_k is {top_k}; it must be from 0 on")
        postprocess: dict[str, Any] = {} if top_k is None else {"top_k": top_k}
        if targets is not None:
            postprocess["target_ids"] = self._target_ids(targets)
        return dict(tokenizer_kwargs or {}), {}, postprocess

    def _target_ids(self, targets: str | Iterable[str]) -> NDArray[np.int64]:
        ids: set[int] = set()
        if not isinstance(cast("object", targets), Iterable):
            raise WrongTypeError(f"targets is a {type(targets).__name__}; it must be texts")
        for target in [targets] if isinstance(targets, str) else targets:
            if not isinstance(cast("object", target), str):
                raise UsageError(
                    f"a target must be a string, and this is a {type(target).__name__}"
                )
            try:
                known = self.tokenizer.backend_tokenizer.token_to_id(target)
            except UnicodeEncodeError as error:
                raise UsageError(f"a target is no text of Unicode: {error}") from error
            if known is not None:
                ids.add(known)
                continue
            pieces = self.tokenizer.encode(target, add_special_tokens=False).ids
            if pieces:
                ids.add(pieces[0])
                taken = self.tokenizer.convert_ids_to_tokens(pieces[0])
                logger.warning("`%s` is not in the vocabulary: `%s` is taken for it", target, taken)
            else:
                logger.warning("`%s` is not in the vocabulary, and is left out", target)
        if not ids:
            raise UsageError("there is no target that could be a token", hint="give at least one")
        return np.array(sorted(ids), np.int64)

    def preprocess(self, inputs: Any, **tokenizer_options: Any) -> dict[str, Any]:
        """The tokens of a text, and where its masks are."""
        arrays = self._tokenize(inputs, None, **tokenizer_options)
        if not self._is_mask(arrays).any():
            mask = self.tokenizer.special_token("mask")
            raise InputError(
                f"a text has no mask, which this model calls {mask}",
                hint=f"write {mask} where a word is to be filled in",
            )
        return arrays

    def _is_mask(self, arrays: dict[str, NDArray[np.int64]]) -> NDArray[np.bool_]:
        is_read = arrays["attention_mask"] == 1
        return (arrays["input_ids"] == self.tokenizer.special_id("mask")) & is_read

    def _forward(self, model_inputs: dict[str, Any], **_: Any) -> dict[str, Any]:
        # The vocabulary is much of the work and nearly all of the output, so it is computed for
        # the masks only, where the graph knows how.
        is_mask = self._is_mask(model_inputs)
        if "places" in self.model.session.options:
            found = self.model(**model_inputs, places=np.flatnonzero(is_mask))["logits"][0]
        else:
            found = self.model(**model_inputs)["logits"][is_mask]
        ends = np.cumsum(is_mask.sum(axis=1))
        return {"mask_logits": np.split(found, ends[:-1])}

    def postprocess(
        self,
        model_outputs: ModelOutput,
        *,
        top_k: int = 5,
        target_ids: NDArray[np.int64] | None = None,
    ) -> Any:
        """The likeliest words of each mask, and the text with them in."""
        logits: NDArray[np.float32] = model_outputs["mask_logits"]
        ids: NDArray[np.int64] = model_outputs["input_ids"][0]
        places = np.flatnonzero(self._is_mask(cast("Any", model_outputs))[0])
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        scores = raised / raised.sum(axis=-1, keepdims=True)
        words = np.arange(len(scores[0])) if target_ids is None else target_ids
        pad = self.tokenizer.special_id("pad")
        result: list[list[dict[str, Any]]] = []
        for place, row in zip(places, scores, strict=True):
            filled: list[dict[str, Any]] = []
            for i in _best(row[words], top_k):
                word = int(words[i])
                tokens = ids.copy()
                tokens[place] = word
                # Other masks are special tokens too, and must be seen.
                text = self.tokenizer.decode(
                    tokens[tokens != pad], skip_special_tokens=len(places) == 1
                )
                filled.append(
                    {
                        "score": float(row[word]),
                        "token": word,
                        "token_str": self.tokenizer.decode([word]),
                        "sequence": text,
                    }
                )
            result.append(filled)
        return result[0] if len(result) == 1 else result


def _best(scores: NDArray[np.float32], count: int) -> list[int]:
    """The places of the highest scores, in their order."""
    if count < len(scores):
        found = np.sort(np.argpartition(-scores, count)[:count])
    else:
        found = np.arange(len(scores))
    return found[np.argsort(-scores[found], kind="stable")].tolist()
