"""Records what transformers 4.57.6 generates with decoders of rotary positions.

    python -m tools.make_decoder_golden

It writes tests/golden/decoders.json: texts, token by token the reference's, of every family that
generates, and the angles that each kind of `rope_scaling` gives in the sizes of real models.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from typing import Any

import torch
import transformers
from tools import make_golden
from tools.golden_cases import (
    CHAT,
    CHAT_PREFILL,
    CHAT_SYSTEM,
    CHAT_TURNS,
    HELLO,
    KEEPER,
    LONG,
    ONCE,
    PROMPTS,
    SEA,
    Cases,
)
from tools.make_golden import GOLDEN, LEAD, answer, header, rounded, weakness
from transformers import Gemma3TextConfig, GPTNeoXConfig, LlamaConfig, Qwen2Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

# Beside the attention that knows the soft-capping of Gemma 2, 4.57 has one that overlooks it, and
# takes the latter where it is not told otherwise. transformers 5 takes the former.
EAGER = {"model_kwargs": {"attn_implementation": "eager"}}
MODELS = {
    "gpt_neox-lm": {},
    "gpt_neox-sequential": {},
    "llama-lm": {},
    "llama-llama3": {},
    "llama-yarn": {},
    "llama-dynamic": {},
    "llama-bfloat16": {"dtype": "float32"},
    "mistral-lm": {},
    "qwen2-chat": {},
    "qwen2-window": {},
    "qwen3-chat": {},
    "qwen3-window": {},
    "gemma-lm": {},
    "gemma2-lm": EAGER,
    "gemma3-lm": {},
}
CHATS = {"turn": CHAT, "system": CHAT_SYSTEM, "turns": CHAT_TURNS, "prefill": CHAT_PREFILL}
# What bends scores, and what ends texts: each setting for itself, greedily and with beams.
SETTINGS: dict[str, dict[str, Any]] = {
    "repetition": {"repetition_penalty": 1.5},
    "encoder-repetition": {"encoder_repetition_penalty": 1.5},
    "no-repeat": {"no_repeat_ngram_size": 2},
    "encoder-no-repeat": {"encoder_no_repeat_ngram_size": 1},
    "bad-words": {"bad_words_ids": [[65], [40, 41], [300]]},
    "bias": {"sequence_bias": [[[70], 3.5], [[45, 46], -2.0]]},
    "min-new": {"min_new_tokens": 6, "eos_token_id": list(range(30, 200))},
    "min-length": {"min_length": 14, "eos_token_id": list(range(30, 200))},
    "eos-list": {"eos_token_id": list(range(60, 110))},
    "forced-eos": {"forced_eos_token_id": 44},
    "suppress": {"suppress_tokens": list(range(100, 200))},
    "begin-suppress": {"begin_suppress_tokens": list(range(60, 320))},
    "decay": {"exponential_decay_length_penalty": [3, 1.6], "eos_token_id": [50, 90]},
    "renormalize": {"renormalize_logits": True},
    "guidance": {"guidance_scale": 1.4},
}


def generation_cases() -> list[dict[str, Any]]:
    cases = Cases("text-generation")

    def add(name: str, model: str, *args: Any, **kwargs: Any) -> None:
        cases.add(
            name,
            model,
            *args,
            **({"do_sample": False, "max_new_tokens": 16, "init": MODELS[model]} | kwargs),
        )

    for model in MODELS:
        for index, prompt in enumerate([*PROMPTS, HELLO]):
            add(f"{model}/greedy-{index}", model, prompt)
            add(f"{model}/ids-{index}", model, prompt, return_tensors=True)
        # Far beyond the window, and near the last position.
        add(f"{model}/long", model, LONG[:90], max_new_tokens=24)
        for index, prompt in enumerate((ONCE, HELLO)):
            add(f"{model}/beams-{index}", model, prompt, num_beams=4)
        add(f"{model}/n-best", model, SEA, num_beams=4, num_return_sequences=3)
        add(f"{model}/new-text", model, KEEPER, return_full_text=False)
    for model in ("qwen2-chat", "qwen3-chat", "llama-lm", "gemma3-lm"):
        for name, chat in CHATS.items():
            add(f"{model}/chat-{name}", model, chat)
        add(f"{model}/chat-beams", model, CHAT, num_beams=3)
    for name, settings in SETTINGS.items():
        for model in ("llama-lm", "qwen3-chat"):
            add(f"{model}/set-{name}", model, ONCE, **settings)
            if name != "guidance":
                add(f"{model}/set-{name}-beams", model, ONCE, num_beams=3, **settings)
    for index, early in enumerate((True, False, "never")):
        ends = list(range(60, 110))
        for penalty in (-0.5, 0.0, 2.0):
            add(
                f"llama-lm/early-{index}-{penalty}",
                "llama-lm",
                ONCE,
                num_beams=3,
                early_stopping=early,
                length_penalty=penalty,
                eos_token_id=ends,
            )
    return cases.cases


def ropes() -> list[dict[str, Any]]:
    """The speeds of each pair of a head's numbers, as real models have them."""
    llama3 = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    yarn = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    tuned = yarn | {"beta_fast": 16.0, "beta_slow": 2.0, "mscale": 0.7, "mscale_all_dim": 1.2}
    long = {"max_position_embeddings": 131072, "rope_theta": 500_000.0}
    configs = {
        "llama-2": LlamaConfig(),
        "llama-3.1": LlamaConfig(**long, rope_scaling=llama3),
        "llama-3.2": LlamaConfig(
            **long, head_dim=64, rope_scaling=llama3 | {"factor": 32.0, "type": "llama3"}
        ),
        "linear": LlamaConfig(rope_scaling={"type": "linear", "factor": 4.0}),
        "dynamic": LlamaConfig(rope_scaling={"type": "dynamic", "factor": 4.0}),
        "qwen-2.5-yarn": Qwen2Config(rope_theta=1e6, rope_scaling=dict(yarn)),
        "yarn-tuned": Qwen2Config(rope_theta=1e6, rope_scaling=tuned),
        "yarn-untruncated": Qwen2Config(
            rope_theta=1e4, rope_scaling=yarn | {"truncate": False, "attention_factor": 1.3}
        ),
        "polyglot-ko": GPTNeoXConfig(hidden_size=2048, num_attention_heads=16, rotary_pct=0.5),
        "gpt-neox-20b": GPTNeoXConfig(),
        "gemma-3": Gemma3TextConfig(rope_scaling={"rope_type": "linear", "factor": 8.0}),
    }
    found = []
    for name, config in configs.items():
        scaling = getattr(config, "rope_scaling", None) or {}
        compute = ROPE_INIT_FUNCTIONS[scaling.get("rope_type", "default")]
        speeds, scale = compute(config, "cpu")
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        keys = ("rope_theta", "rope_scaling", "max_position_embeddings", "rotary_pct")
        given = {key: config.to_dict().get(key) for key in keys}
        case = {"id": f"rope/{name}", "config": {k: v for k, v in given.items() if v is not None}}
        case |= {"head_size": size, "speeds": [rounded(x) for x in speeds.tolist()]}
        found.append(case | {"scale": rounded(float(scale))})
    return found


def main() -> int:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    weak: list[str] = []
    cases: list[dict[str, Any]] = []
    for case in generation_cases():
        LEAD.least = math.inf
        result = answer(case)
        if reason := weakness(case, result, LEAD.least):
            weak.append(f"{case['id']}: {reason}")
            continue
        cases.append({key: value for key, value in case.items() if key != "init"} | result)
    one = {"ensure_ascii": False, "sort_keys": True, "separators": (",", ":")}
    parts = {"header": header("decoders"), "left out": weak, "cases": cases, "ropes": ropes()}
    parts["header"]["command"] = "python -m tools.make_decoder_golden"
    lines = [
        f'"{key}":[' + ",".join(f"\n{json.dumps(item, **one)}" for item in value) + "\n]"
        if isinstance(value, list)
        else f'"{key}":{json.dumps(value, **one)}'
        for key, value in parts.items()
    ]
    path = GOLDEN / "decoders.json"
    path.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
    print(f"{len(cases)} cases, {len(weak)} left out, {path.stat().st_size / 1000:.0f} KB")
    print("\n".join(weak))
    return 0


if __name__ == "__main__":
    assert make_golden.VERSION == make_golden.REFERENCE
    sys.exit(main())
