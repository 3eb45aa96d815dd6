"""A linear head on a frozen encoder, any that `graphs/` builds: see `silmu.steps.train.probe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from silmu import registry
from silmu.errors import InvalidModelError
from silmu.graphs._config import Config

if TYPE_CHECKING:
    from types import ModuleType

    from silmu.graphs._builder import Graph
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("silmu-probe",)
HEADS = {
    "text-classification": "classifier.weight",
    "image-classification": "classifier.weight",
}
PREFIX = ""
PACKED = True
ENCODER = "encoder."
"""Before the names of the encoder's tensors."""
BODIES = {
    "text-classification": "feature-extraction",
    "image-classification": "image-feature-extraction",
}
"""The head of the encoder for each task."""
MEAN, FIRST, POOLER = POOLINGS = ("mean", "first", "pooler")
"""How what an encoder gives becomes one vector: the mean of its tokens, or of each of its feature
maps; its first token; or what itself makes of a whole picture."""

_FLOAT = 1


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the encoder, of texts or of pictures as the head asks, and what reads its vectors."""
    del prefix
    body = BODIES[head]
    family, encoder = inner(config, body)
    size, labels = config.size("hidden_size"), config.num_labels
    given = graph.inside(lambda: family.build(graph, encoder, body, ENCODER))
    vector = _pooled(graph, given, config, is_text=body == "feature-extraction")
    logits = graph.dense(vector, "classifier", inner=size, outer=labels)
    graph.output("logits", logits, ["rows", labels])


def inner(config: Config, body: str) -> tuple[ModuleType, Config]:
    """The family of the encoder, and the encoder's own config.json.

    Raises:
        InvalidModelError: there is none, or of no architecture that has this head.
    """
    given: Any = config.values.get("encoder")
    values = cast("dict[str, Any]", given if isinstance(given, dict) else {})
    model_type = values.get("model_type")
    family = registry.graph_module(model_type) if isinstance(model_type, str) else None
    if family is None or body not in family.HEADS:
        raise InvalidModelError(
            f"config.json of `{config.name}` has an encoder of model_type {model_type!r}, for "
            "which there is no graph"
        )
    return family, Config(values, config.name)


def _pooled(graph: Graph, given: dict[Value, int], config: Config, *, is_text: bool) -> Value:
    """(rows, size) of what an encoder gives, which is told with its number of axes."""
    pooling = config.choice("pooling", "", POOLINGS)
    states, pooler = "last_hidden_state", "pooler_output"
    axes = given.get(states, 0)
    if pooling == POOLER and pooler in given:
        return graph.node("Flatten", pooler)
    if pooling == MEAN and is_text:
        return _mean_of_text(graph, states)
    if pooling == MEAN and axes > 2:
        places = graph.constant([1] if axes == 3 else [2, 3])
        return graph.node("ReduceMean", states, places, keepdims=0)
    if pooling == FIRST and axes == 3:
        return graph.first_token(states)
    raise InvalidModelError(
        f"config.json of `{config.name}` has pooling {pooling!r}, for which its encoder gives "
        "nothing"
    )


def _mean_of_text(graph: Graph, x: Value) -> Value:
    """(rows, tokens, size) -> (rows, size), without what stands at padding."""
    g = graph
    real = g.node("Unsqueeze", g.node("Cast", "attention_mask", to=_FLOAT), g.constant([1]))
    # A product adds the tokens up one after another, and so zeros at the end change no digit.
    total = g.node("Squeeze", g.node("MatMul", real, x), g.constant([1]))
    return g.node("Div", total, g.node("ReduceSum", real, g.constant([2]), keepdims=0))
