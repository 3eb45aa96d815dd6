"""Sort pictures into labels that no model was trained for, by how well each describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import InputError, UsageError, WrongTypeError
from silmu.pipelines import _candidates as candidates
from silmu.pipelines import _scores
from silmu.pipelines._base import NOTHING, logger
from silmu.pipelines._image import ImagePipeline
from silmu.pipelines._model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.pipelines._model import ModelOutput

ARCHITECTURES = ("CLIPModel", "SiglipModel")
DEFAULT_MODEL = ("openai/clip-vit-base-patch32", "3d74acf")

TEMPLATE = "This is a photo of {}."

_AT_ONCE = 64
_SIGLIP_TOKENS = 64


@final
class ZeroShotImageClassificationPipeline(ImagePipeline):
    """Labels of pictures, chosen among any that are given, by a model of pictures and texts.

    >>> classify = pipeline("zero-shot-image-classification")            # doctest: +SKIP
    >>> classify("cat.jpg", candidate_labels=["a cat", "a dog"])[0]      # doctest: +SKIP
    {'score': 0.99..., 'label': 'a cat'}

    Each label makes a sentence, which is read once for all pictures; a graph of another program,
    which reads pictures and texts together, computes it anew for each. Scores of a CLIP sum to 1;
    each of a SigLIP stands for itself.

    Args:
        image: an address, a path, base64, a PIL image, an array of uint8 by height, width and
            channels, or a list of any.
        candidate_labels: the labels, as a list or as one string with commas.
        hypothesis_template: the sentence that a label makes; the label takes the place of `{}`.
        tokenizer_kwargs: anything else for the tokenizer.
        timeout: how many seconds an address may take.

    Raises:
        InputError: no picture, a broken one, or a label that the model cannot read.
        UsageError: no labels, or a template without a place for them.

    Reference: Radford et al. 2021, https://arxiv.org/abs/2103.00020.
    """

    head = "zero-shot-image-classification"
    reads_text = True

    def __init__(self, model: Model, *args: Any, **options: Any) -> None:
        super().__init__(model, *args, **options)
        values = model.config.to_dict()
        self._is_siglip = "siglip" in str(values.get("model_type"))
        given: Any = values.get("text_config")
        self._text_config: dict[str, Any] = given if isinstance(given, dict) else {}
        # A graph of another program may read pictures and texts together.
        self._texts = None
        if "input_ids" not in model.session.inputs:
            self._texts = Model(
                model.folder,
                f"{self.head}-text",
                device=model.device,
                wanted=model.wanted,
                engine=model.engine,
            )
        self._read: tuple[Any, dict[str, NDArray[Any]]] | None = None

    def __call__(self, image: Any = NOTHING, *args: Any, **parameters: Any) -> Any:
        """The labels of a picture, or of each of a list or stream of pictures."""
        if "image" in parameters:
            image = parameters.pop("image")
        if args:
            if len(args) != 1 or "candidate_labels" in parameters:
                raise UsageError(
                    f"the arguments {args!r:.80} are too many: a picture is followed by its labels"
                )
            parameters["candidate_labels"] = args[0]
        if parameters.get("candidate_labels", self._parameters[2].get("candidate_labels")) is None:
            raise WrongTypeError(
                "there are no labels to choose from", hint='give candidate_labels=["...", "..."]'
            )
        return super().__call__(image, **parameters)

    def _sanitize_parameters(
        self,
        candidate_labels: Any = None,
        hypothesis_template: str | None = None,
        tokenizer_kwargs: dict[str, Any] | None = None,
        timeout: float | None = None,
        **unknown: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            logger.warning("zero-shot-image-classification ignores %s", ", ".join(unknown))
        forward: dict[str, Any] = {}
        after: dict[str, Any] = {}
        if candidate_labels is not None:
            after["candidate_labels"] = candidates.labels(candidate_labels)
            forward |= after
        if hypothesis_template is not None:
            candidates.check_template(hypothesis_template)
            forward["hypothesis_template"] = hypothesis_template
        if tokenizer_kwargs is not None:
            forward["tokenizer_kwargs"] = dict(tokenizer_kwargs)
        return {} if timeout is None else {"timeout": timeout}, forward, after

    def _forward(
        self,
        model_inputs: dict[str, Any],
        *,
        candidate_labels: list[Any],
        hypothesis_template: str = TEMPLATE,
        tokenizer_kwargs: dict[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        sentences = [candidates.sentence(hypothesis_template, one) for one in candidate_labels]
        options = {**self._options(), **(tokenizer_kwargs or {})}
        asked = (sentences, options)
        read = self._read
        if read is None or read[0] != asked:
            read = self._read = asked, self._reads(sentences, options)
        found = self.model(**model_inputs, **read[1])
        return {"logits": found["logits_per_image"]}

    def postprocess(
        self, model_outputs: ModelOutput, *, candidate_labels: list[Any], **_: Any
    ) -> list[dict[str, Any]]:
        """The labels of one picture, the likeliest first."""
        logits: NDArray[np.float32] = model_outputs["logits"][0]
        scores = _scores.apply("sigmoid" if self._is_siglip else "softmax", logits)
        order = np.argsort(-scores, kind="stable").tolist()
        return [{"score": float(scores[i]), "label": candidate_labels[i]} for i in order]

    def _options(self) -> dict[str, Any]:
        """How texts become tokens: a SigLIP was trained on texts of one length."""
        if self._is_siglip:
            return {"padding": "max_length", "max_length": _SIGLIP_TOKENS, "truncation": True}
        return {"padding": True}

    def _tokens(self, sentences: list[str], options: dict[str, Any]) -> dict[str, Any]:
        rows = self.tokenizer(sentences, return_tensors="np", **options)
        ids: NDArray[np.int64] = rows["input_ids"]
        most = self._text_config.get("max_position_embeddings")
        if isinstance(most, int) and ids.shape[1] > most:
            raise InputError(
                f"a label makes a sentence of {ids.shape[1]:,} tokens, and this model reads at "
                f"most {most:,}",
                hint="give shorter labels, or a shorter hypothesis_template",
            )
        self.model.check_ids([int(ids.max(initial=0))])
        return dict(rows)

    def _reads(self, sentences: list[str], options: dict[str, Any]) -> dict[str, NDArray[Any]]:
        """What the graph of pictures reads of sentences: their vectors, or their tokens."""
        if self._texts is None:
            return self._tokens(sentences, options)
        parts = [
            self._texts(**self._tokens(sentences[i : i + _AT_ONCE], options))["text_embeds"]
            for i in range(0, len(sentences), _AT_ONCE)
        ]
        return {"text_embeds": np.concatenate(parts)}
