"""A linear head on a frozen encoder, any that `graphs/` builds: see `silmu.steps.train.probe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from silmu import registry
from silmu.errors import InvalidModelError
from silmu.graphs._builder import Config

if TYPE_CHECKING:
    from types import ModuleType

    from silmu.graphs._builder import Graph, Value

MODEL_TYPES = ("silmu-probe",)
HEADS = {"text-classification": "classifier.weight"}
PREFIX = ""
ENCODER = "encoder."
"""Before the names of the encoder's tensors."""
POOLINGS = ("mean", "first")
"""How the vectors of the tokens become one: their mean, or that of the first token."""

_FLOAT = 1


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the encoder, and what reads its vectors; shapes are (rows, tokens) in."""
    del head, prefix
    family, encoder = inner(config)
    hidden, labels = config.size("hidden_size"), config.num_labels
    states = graph.inside(lambda: family.build(graph, encoder, "feature-extraction", ENCODER))[0]
    if config.choice("pooling", "", POOLINGS) == "mean":
        vector = _mean(graph, states)
    else:
        vector = graph.first_token(states)
    logits = graph.dense(vector, "classifier", inner=hidden, outer=labels)
    graph.output("logits", logits, ["rows", labels])


def inner(config: Config) -> tuple[ModuleType, Config]:
    """The family of the encoder, and the encoder's own config.json.

    Raises:
        InvalidModelError: there is none, or of no architecture that reads texts.
    """
    given: Any = config.values.get("encoder")
    values = cast("dict[str, Any]", given if isinstance(given, dict) else {})
    model_type = values.get("model_type")
    family = registry.graph_module(model_type) if isinstance(model_type, str) else None
    if family is None or "feature-extraction" not in family.HEADS:
        raise InvalidModelError(
            f"config.json of `{config.name}` has an encoder of model_type {model_type!r}, for "
            "which there is no graph"
        )
    return family, Config(values, config.name)


def _mean(graph: Graph, x: Value) -> Value:
    """(rows, tokens, size) -> (rows, size), without what stands at padding."""
    g = graph
    real = g.node("Unsqueeze", g.node("Cast", "attention_mask", to=_FLOAT), g.constant([1]))
    # A product adds the tokens up one after another, and so zeros at the end change no digit.
    total = g.node("Squeeze", g.node("MatMul", real, x), g.constant([1]))
    return g.node("Div", total, g.node("ReduceSum", real, g.constant([2]), keepdims=0))
