"""What CLIP and SigLIP have in common: an encoder of texts beside one of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import InvalidModelError
from silmu.graphs import _vision
from silmu.graphs._config import Config

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.graphs._builder import Graph
    from silmu.graphs._onnx import Value


def part(config: Config, key: str, defaults: dict[str, int]) -> Config:
    """The settings of one encoder, which config.json keeps under a key, or is all of.

    Checkpoints of early 2023 hold them twice. Then what ends in `_dict` counts, and what it leaves
    out is a default, whatever the other says.

    Raises:
        InvalidModelError: it is no object.
    """
    if key not in config.values and f"{key}_dict" not in config.values:
        alone = config.values["model_type"].endswith("_model")
        return Config(defaults | (config.values if alone else {}), config.name)
    name = f"{key}_dict" if config.values.get(f"{key}_dict") is not None else key
    given: Any = config.values.get(name) or {}
    if not isinstance(given, dict):
        raise InvalidModelError(
            f"config.json of `{config.name}` has {name} = {given!r}; it must be an object"
        )
    found = defaults | cast("dict[str, Any]", given)
    return Config(found, f"{config.name}, {key}")


def embed_text(
    g: Graph, own: Config, size: int, *, words: int, places: int
) -> tuple[Value, Value, _vision.Tokens]:
    """Declares `input_ids`; gives them, their words with their places, and how these lie."""
    name = "text_model.embeddings"
    ids = g.input("input_ids", "int64", ["rows", "tokens"])
    rows = own.size("vocab_size", default=words)
    x = g.embed(ids, f"{name}.token_embedding.weight", rows=rows, size=size)
    shape = (own.size("max_position_embeddings", default=places), size)
    table = g.weight(f"{name}.position_embedding.weight", shape=shape)
    number = g.node("Shape", ids, start=1, end=2)
    near = g.node("Slice", table, g.constant([0]), number, g.constant([0]))
    tokens = _vision.Tokens(g, number)
    return ids, tokens.fold(g.node("Add", x, near), size), tokens


def give_text(g: Graph, x: Value, size: int) -> None:
    """Declares the output `text_embeds`, of length 1."""
    g.output("text_embeds", _of_length_one(g, x), ["rows", size])


def compare(
    g: Graph,
    x: Value,
    size: int,
    *,
    scale: NDArray[np.float32],
    shift: NDArray[np.float32] | None = None,
) -> None:
    """Declares the input `text_embeds` and the output `logits_per_image`.

    Args:
        x: what was read of the pictures, (rows, size).
        scale: the logarithm of the factor that makes a logit of a cosine.
        shift: what is added to that.
    """
    texts = g.input("text_embeds", "float32", ["labels", size])
    with np.errstate(over="ignore"):
        factor = np.exp(scale.reshape(()), dtype=np.float32)
    if not np.isfinite(factor):
        raise InvalidModelError(
            f"`{g.weights.name}` has logit_scale = {scale.item():g}, and e to that is no number"
        )
    logits = g.node("Gemm", _of_length_one(g, x), texts, transB=1)
    logits = g.node("Mul", logits, g.constant(factor, "float32"))
    if shift is not None:
        logits = g.node("Add", logits, g.constant(shift.reshape(()), "float32"))
    g.output("logits_per_image", logits, ["rows", "labels"])


def _of_length_one(g: Graph, x: Value) -> Value:
    length = g.node("ReduceL2", x, g.constant([1]), keepdims=1)
    return g.node("Div", x, length)
