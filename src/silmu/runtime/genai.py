"""What genai_config.json of onnxruntime-genai says: names of tensors, sizes, how to generate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from silmu.errors import InvalidModelError, UnsupportedModelError

FILE = "genai_config.json"
MAX_LAYERS = 10_000

_INPUTS = ("input_ids", "attention_mask", "position_ids")
_CACHES = (
    ("past_key_names", "past_key_values.%d.key", "present_key_names", "present.%d.key"),
    ("past_value_names", "past_key_values.%d.value", "present_value_names", "present.%d.value"),
    ("past_names", "", "present_names", ""),
)
_SAME_NAME = (
    *("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id"),
    *("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "hidden_size"),
)
# early_stopping and max_length are left out: its builder writes the same for every model.
_SEARCH = (
    *("do_sample", "temperature", "top_k", "top_p", "num_beams", "length_penalty"),
    *("repetition_penalty", "no_repeat_ngram_size", "min_length"),
)


@dataclass(frozen=True)
class Names:
    """What the tensors of a graph are called, where it is not what exporters usually call them.

    Attributes:
        inputs: the usual name of an input, by its name in the graph.
        caches: the output that continues a cache, by the input that holds it.
        logits: the output that scores the next token.
        grows: False if a cache may be one buffer, written to in place.
    """

    inputs: dict[str, str] = field(default_factory=dict[str, str])
    caches: dict[str, str] = field(default_factory=dict[str, str])
    logits: str = "logits"
    grows: bool = True


def names(genai: Mapping[str, Any], what: str) -> Names:
    """The names of tensors.

    Raises:
        InvalidModelError: the file does not say what it must.
        UnsupportedModelError: the model is more than a decoder.
    """
    model = _object(genai, "model", what)
    if more := [key for key in ("encoder", "embedding", "vision", "speech") if key in model]:
        raise UnsupportedModelError(
            f"{what} names graphs for {', '.join(more)}; silmu runs those of a decoder alone"
        )
    decoder = _object(model, "decoder", what)
    inputs, outputs = _object(decoder, "inputs", what), _object(decoder, "outputs", what)
    layers = decoder.get("num_hidden_layers")
    if not isinstance(layers, int) or not 0 < layers <= MAX_LAYERS:
        raise InvalidModelError(f"{what} has num_hidden_layers {layers!r}")
    caches: dict[str, str] = {}
    for past, usual_past, present, usual_present in _CACHES:
        pattern = _text(inputs, past, usual_past, what)
        other = _text(outputs, present, usual_present, what)
        for i in range(layers if pattern else 0):
            caches[pattern.replace("%d", str(i))] = other.replace("%d", str(i))
    search: Any = genai.get("search")
    shared = isinstance(search, Mapping) and cast("Any", search).get("past_present_share_buffer")
    return Names(
        {_text(inputs, name, name, what): name for name in _INPUTS},
        caches,
        _text(outputs, "logits", "logits", what),
        grows=not shared,
    )


def as_config(genai: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The same as config.json would say it, for a folder that has none."""
    model = _object(genai, "model", what)
    decoder = _object(model, "decoder", what)
    search: Any = genai.get("search") or {}
    config: dict[str, Any] = {
        "model_type": model.get("type"),
        "architectures": ["ForCausalLM"],
        **{name: search[name] for name in _SEARCH if name in search},
    }
    for name in _SAME_NAME:
        if (value := model.get(name, decoder.get(name))) is not None:
            config[name] = value
    for name, value in (
        ("head_dim", decoder.get("head_size")),
        ("max_position_embeddings", model.get("context_length")),
    ):
        if value is not None:
            config[name] = value
    return config


def _object(values: Mapping[str, Any], key: str, what: str) -> Mapping[str, Any]:
    value = values.get(key, {})
    if not isinstance(value, Mapping):
        raise InvalidModelError(f"{what} has {key} = {value!r:.80}; it must be an object")
    return cast("Mapping[str, Any]", value)


def _text(values: Mapping[str, Any], key: str, usual: str, what: str) -> str:
    value = values.get(key, usual)
    if not isinstance(value, str):
        raise InvalidModelError(f"{what} has {key} = {value!r:.80}; it must be a name")
    return value
