"""ModernBERT: Warner et al. 2024, https://arxiv.org/abs/2412.13663.

Positions are rotations of queries and keys, normalisation comes before each block, most layers see
only what is near a token, and the feed-forward layers multiply by a gate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.graphs import _encoder
from silmu.graphs._onnx import MICROSOFT
from silmu.graphs._rotary import Rotary, rope

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("modernbert",)
HEADS = {
    "feature-extraction": "embeddings.tok_embeddings.weight",
    # Tied and without a bias, a decoder has no tensor of its own.
    "fill-mask": ("decoder.bias", "decoder.weight", "head.dense.weight"),
    "question-answering": "classifier.weight",
    "text-classification": "classifier.weight",
    "token-classification": "classifier.weight",
}
PREFIX = "model."

_FLOAT = 1
_GLOBAL, _LOCAL = "full_attention", "sliding_attention"
_LOWEST = -1e30  # and not less, which bfloat16 would round to infinity


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; shapes are (rows, tokens) in."""
    if head == "fill-mask" and "classifier.weight" in graph.weights:
        raise UnsupportedModelError(
            f"`{config.name}` was not trained for {head}: it classifies",
            hint="take a model that was fine-tuned for it, a ModernBertForMaskedLM",
        )
    g, hidden = graph, config.size("hidden_size")
    ids = g.input("input_ids", "int64", ["rows", "tokens"])
    mask = _encoder.key_mask(g)
    batch = _encoder.Batch(g, ids)
    words = f"{prefix}embeddings.tok_embeddings.weight"
    x = g.embed(ids, words, rows=config.size("vocab_size"), size=hidden)
    x = _norm(g, config, batch.fold(x, hidden), f"{prefix}embeddings.norm")
    kinds = _layer_kinds(config)
    rotaries = {kind: _rotary(g, config, ids, kind) for kind in sorted(set(kinds))}
    hiding = {_LOCAL: _far(g, config, ids)} if _LOCAL in kinds else {}
    pooling = config.choice("classifier_pooling", "cls", ("cls", "mean"))
    first_only = head == "text-classification" and pooling == "cls"
    for i, kind in enumerate(kinds):
        name = f"{prefix}layers.{i}"
        normed = _norm(g, config, x, f"{name}.attn_norm") if i else x
        positions, far = rotaries[kind], hiding.get(kind)
        attended = _attend(g, config, f"{name}.attn", normed, batch, mask, positions, far)
        if first_only and i == len(kinds) - 1:
            # The rest of the last layer need not be done for tokens that nobody reads.
            attended, x = (g.first_token(batch.unfold(v, hidden)) for v in (attended, x))
        out = f"{name}.attn.Wo"
        mixed = _product(g, config, "attention_bias", attended, out, hidden, hidden)
        x = g.node("Add", x, mixed)
        normed = _norm(g, config, x, f"{name}.mlp_norm")
        x = g.node("Add", x, _feed_forward(g, config, f"{name}.mlp", normed))
    x = _norm(g, config, x, f"{prefix}final_norm")
    if head == "feature-extraction":
        g.output("last_hidden_state", batch.unfold(x, hidden), ["rows", "tokens", hidden])
        return
    if head == "text-classification" and pooling == "mean":
        x = _mean(g, batch.unfold(x, hidden), mask)
    x = _product(g, config, "classifier_bias", x, "head.dense", hidden, hidden)
    x = g.activate(config.activation("classifier_activation", "gelu"), x)
    x = _norm(g, config, x, "head.norm")
    labels = config.num_labels
    if head == "fill-mask":
        vocab = config.size("vocab_size")
        tied = config.flag("tie_word_embeddings", True)
        table = words.removesuffix(".weight") if tied else "decoder"
        logits = g.project(x, table, inner=hidden, outer=vocab)
        if config.flag("decoder_bias", True):
            logits = g.node("Add", logits, g.bias("decoder", size=vocab))
        g.output("logits", batch.unfold(logits, vocab), ["rows", "tokens", vocab])
    elif head == "question-answering":
        _encoder.span_outputs(g, batch.unfold(x, hidden), "classifier", hidden)
    elif head == "token-classification":
        logits = g.dense(x, "classifier", inner=hidden, outer=labels)
        g.output("logits", batch.unfold(logits, labels), ["rows", "tokens", labels])
    else:
        logits = g.dense(x, "classifier", inner=hidden, outer=labels)
        g.output("logits", logits, ["rows", labels])


def _layer_kinds(config: Config) -> list[str]:
    """What each layer sees, which transformers 5 lists and transformers 4 gives as a rhythm."""
    depth = config.size("num_hidden_layers", most=1024)
    listed: Any = config.values.get("layer_types")
    if listed is None:
        rhythm = config.size("global_attn_every_n_layers", default=3)
        return [_LOCAL if i % rhythm else _GLOBAL for i in range(depth)]
    kinds = cast("list[Any]", listed) if isinstance(listed, list) else []
    if len(kinds) != depth or not all(kind in (_GLOBAL, _LOCAL) for kind in kinds):
        raise InvalidModelError(
            f"config.json of `{config.name}` has layer_types = {listed!r}; it must say "
            f"{_GLOBAL} or {_LOCAL} for each of {depth} layers"
        )
    return kinds


def _rotary(graph: Graph, config: Config, ids: Value, kind: str) -> Rotary:
    """What turns the queries and keys of a kind of layers, each of which has a base of its own."""
    hidden = config.size("hidden_size")
    size = hidden // config.heads(hidden, "num_attention_heads")
    theta = config.number("global_rope_theta", 160_000.0)
    # Where it is null, it is the global one.
    if kind == _LOCAL and config.values.get("local_rope_theta", 0) is not None:
        theta = config.number("local_rope_theta", 10_000.0)
    return Rotary(graph, ids, rope(config, size, theta=theta, layer=kind), None)


def _far(graph: Graph, config: Config, ids: Value) -> Value:
    """(1, 1, tokens, tokens): 0 for pairs of near tokens, and for others what hides them."""
    reach = config.size("local_attention", default=128) // 2
    tokens = graph.node("Shape", ids, start=1, end=2)
    shape = graph.node("Concat", graph.constant([1, 1]), tokens, tokens, axis=0)
    hiding = graph.node("Expand", graph.constant(_LOWEST, "float32"), shape)
    after = graph.node("Trilu", hiding, graph.constant(reach + 1), upper=1)
    before = graph.node("Trilu", hiding, graph.constant(-reach - 1), upper=0)
    return graph.node("Add", after, before)


def _attend(
    graph: Graph,
    config: Config,
    name: str,
    x: Value,
    batch: _encoder.Batch,
    mask: Value,
    rotary: Rotary,
    far: Value | None,
) -> Value:
    g, hidden = graph, config.size("hidden_size")
    heads = config.heads(hidden, "num_attention_heads")
    parts = _product(g, config, "attention_bias", x, f"{name}.Wqkv", hidden, 3 * hidden)
    query, key, value = g.split(batch.unfold(parts, 3 * hidden), 3)
    attended = g.node(
        "MultiHeadAttention",
        *(rotary(query, heads), rotary(key, heads), value, "", mask, *([far] if far else [])),
        domain=MICROSOFT,
        num_heads=heads,
    )
    return batch.fold(attended, hidden)


def _feed_forward(graph: Graph, config: Config, name: str, x: Value) -> Value:
    hidden, inner = config.size("hidden_size"), config.size("intermediate_size")
    activation = config.activation("hidden_activation", "gelu")
    wide = _product(graph, config, "mlp_bias", x, f"{name}.Wi", hidden, 2 * inner)
    content, gate = graph.split(wide, 2)
    gated = graph.node("Mul", graph.activate(activation, content), gate)
    return _product(graph, config, "mlp_bias", gated, f"{name}.Wo", inner, hidden)


def _product(
    graph: Graph, config: Config, flag: str, x: Value, name: str, inner: int, outer: int
) -> Value:
    """x W, plus the bias that config.json may ask for: (n, inner) -> (n, outer)."""
    product = graph.project(x, name, inner=inner, outer=outer)
    if not config.flag(flag, False):
        return product
    return graph.node("Add", product, graph.bias(name, size=outer))


def _norm(graph: Graph, config: Config, x: Value, name: str) -> Value:
    size = config.size("hidden_size")
    parts = [graph.weight(f"{name}.weight", shape=(size,))]
    if config.flag("norm_bias", False):
        parts.append(graph.bias(name, size=size))
    epsilon = config.number("norm_eps", 1e-5)
    return graph.node("LayerNormalization", x, *parts, axis=-1, epsilon=epsilon)


def _mean(graph: Graph, x: Value, mask: Value) -> Value:
    """(rows, tokens, size) -> (rows, size), without what stands at padding."""
    real = graph.node("Unsqueeze", graph.node("Cast", mask, to=_FLOAT), graph.constant([1]))
    # A product adds the tokens up one after another, and so zeros at the end change no digit.
    total = graph.node("Squeeze", graph.node("MatMul", real, x), graph.constant([1]))
    return graph.node("Div", total, graph.node("ReduceSum", real, graph.constant([2]), keepdims=0))
