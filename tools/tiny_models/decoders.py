"""Decoders with rotary positions: GPT-NeoX, Llama and its relatives, Gemma."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from tools.tiny_models import TEXT, Made, labels, randomise
from tools.tiny_models.classic import CHAT_TEMPLATE
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

TURNS = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '[' + message['role'] + '] ' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant] ' }}{% endif %}"
)


def byte_level(special: list[str], size: int = 320) -> PreTrainedTokenizerFast:
    """Gives a tokenizer as GPT-NeoX and Qwen have: bytes, joined by frequency; no beginning."""
    rust = Tokenizer(BPE())
    rust.normalizer = normalizers.NFC()
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    rust.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    rust.train_from_iterator(TEXT.splitlines(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=rust,
        eos_token=special[-1],
        pad_token=special[0],
        additional_special_tokens=special[1:],
        model_max_length=128,
        clean_up_tokenization_spaces=False,
    )


def pieces(special: list[str], *, prefix: bool, size: int = 130) -> PreTrainedTokenizerFast:
    """Gives a tokenizer as Llama (with a prefix) and Gemma have: sentencepiece's pieces of text.

    What has no piece of its own, as all Korean, is spelt in bytes; a text begins with a token of
    its own.
    """
    trained = Tokenizer(BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False)
    trained.train_from_iterator(filter(str.isascii, TEXT.splitlines()), trainer)
    merges = json.loads(trained.to_str())["model"]["merges"]
    learnt = sorted(trained.get_vocab().items(), key=lambda item: item[1])
    order = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *(piece for piece, _ in learnt)]
    vocab = {piece: index for index, piece in enumerate(order)}
    rust = Tokenizer(
        BPE(
            vocab,
            [tuple(merge) for merge in merges],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    marked = [normalizers.Prepend("▁")] if prefix else []
    rust.normalizer = normalizers.Sequence([*marked, normalizers.Replace(" ", "▁")])
    stripped = [decoders.Strip(" ", 1, 0)] if prefix else []
    rust.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *stripped]
    )
    begin, end = ("<s>", "</s>") if prefix else ("<bos>", "<eos>")
    rust.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A",
        pair=f"{begin} $A {begin} $B:1",
        special_tokens=[(begin, vocab[begin])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=rust,
        bos_token=begin,
        eos_token=end,
        unk_token="<unk>",
        pad_token=end if prefix else "<pad>",
        model_max_length=128,
        clean_up_tokenization_spaces=False,
    )


def models(scratch: Path) -> dict[str, Made]:
    """Maps each folder's name to its network, its tokenizer and how it is saved."""
    del scratch
    neox_text = byte_level(["<|padding|>", "<|sep|>", "<|endoftext|>"])
    qwen_text = byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    qwen_text.chat_template = CHAT_TEMPLATE
    llama_text = pieces(["<unk>", "<s>", "</s>"], prefix=True)
    llama_text.chat_template = TURNS
    gemma_text = pieces(["<pad>", "<eos>", "<bos>", "<unk>"], prefix=False)
    gemma_text.chat_template = TURNS
    emotions = labels("sadness", "joy", "anger")
    entities = labels("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    made: dict[str, Made] = {}
    seeds = iter(range(301, 400))

    def add(name, kind, config, tokenizer, *, bfloat16=False, shard="5GB"):
        model = randomise(kind(config), next(seeds))
        if name.startswith("gemma"):
            with torch.no_grad():  # these norms' scales are held as what they differ from one
                for leaf, weight in model.named_parameters():
                    if "norm" in leaf:
                        weight.sub_(1)
        made[name] = (model.bfloat16() if bfloat16 else model, tokenizer, shard)

    def sizes(tokenizer, **changes):
        ids = {
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        common = {
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 40,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 128,
        }
        return common | ids | changes

    def heads(family, name, settings, tokenizer, endings="base sequence qa token"):
        small = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2}
        one_key = {"num_key_value_heads": 1} if "num_key_value_heads" in settings else {}
        classes = {
            "base": ("Model", {}),
            "sequence": ("ForSequenceClassification", emotions),
            "qa": ("ForQuestionAnswering", {}),
            "token": ("ForTokenClassification", entities),
        }
        for ending in endings.split():
            kind, more = classes[ending]
            config = getattr(transformers, f"{name}Config")(**(settings | small | one_key | more))
            add(f"{family}-{ending}", getattr(transformers, f"{name}{kind}"), config, tokenizer)

    neox = sizes(neox_text, rotary_pct=0.5)
    add("gpt_neox-lm", GPTNeoXForCausalLM, GPTNeoXConfig(**neox), neox_text)
    one_after_another = GPTNeoXConfig(
        **(neox | {"rotary_pct": 1.0, "rope_scaling": {"type": "linear", "factor": 2.5}}),
        use_parallel_residual=False,
        attention_bias=False,
        hidden_act="gelu_new",
        rotary_emb_base=500,
        tie_word_embeddings=True,
    )
    add("gpt_neox-sequential", GPTNeoXForCausalLM, one_after_another, neox_text)
    heads("gpt_neox", "GPTNeoX", neox, neox_text)

    llama = sizes(llama_text, num_key_value_heads=2)
    add("llama-lm", LlamaForCausalLM, LlamaConfig(**llama), llama_text)
    tied = llama | {"tie_word_embeddings": True}
    llama3 = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    }
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
    yarned = yarn | {"beta_fast": 4.0, "beta_slow": 0.5, "mscale": 1.0, "mscale_all_dim": 0.5}
    scalings = {
        "llama3": {"rope_scaling": llama3, "rope_theta": 50.0},
        "linear": {"rope_scaling": {"rope_type": "linear", "factor": 3.0}},
        "dynamic": {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
        "yarn": {"rope_scaling": yarn, "rope_theta": 100.0},
        "yarn-mscale": {"rope_scaling": yarned, "rope_theta": 100.0, "head_dim": 16},
    }
    for name, changes in scalings.items():
        config = LlamaConfig(**(tied | {"num_hidden_layers": 1} | changes))
        add(f"llama-{name}", LlamaForCausalLM, config, llama_text)
    biased = LlamaConfig(**tied, attention_bias=True, mlp_bias=True, head_dim=16, hidden_act="gelu")
    add("llama-biases", LlamaForCausalLM, biased, llama_text)
    halved = LlamaConfig(**(llama | {"num_key_value_heads": 4}))
    add("llama-bfloat16", LlamaForCausalLM, halved, llama_text, bfloat16=True, shard="30KB")
    heads("llama", "Llama", llama, llama_text)

    mistral = llama | {"sliding_window": 3}
    whole = mistral | {"sliding_window": None, "num_hidden_layers": 1}
    add("mistral-lm", MistralForCausalLM, MistralConfig(**mistral), llama_text)
    whole |= {"tie_word_embeddings": True, "head_dim": 16}
    add("mistral-whole", MistralForCausalLM, MistralConfig(**whole), llama_text)
    heads("mistral", "Mistral", mistral, llama_text)

    qwen = sizes(qwen_text, num_key_value_heads=2, tie_word_embeddings=True)
    window = {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}
    add("qwen2-chat", Qwen2ForCausalLM, Qwen2Config(**qwen, rope_theta=1e6), qwen_text)
    add("qwen2-window", Qwen2ForCausalLM, Qwen2Config(**qwen, **window), qwen_text)
    heads("qwen2", "Qwen2", qwen, qwen_text)

    qwen |= {"head_dim": 16}
    add("qwen3-chat", Qwen3ForCausalLM, Qwen3Config(**qwen), qwen_text)
    biased = Qwen3Config(**(qwen | {"tie_word_embeddings": False}), **window, attention_bias=True)
    add("qwen3-window", Qwen3ForCausalLM, biased, qwen_text)
    heads("qwen3", "Qwen3", qwen, qwen_text)

    gemma = sizes(gemma_text, num_key_value_heads=1, head_dim=16)
    add("gemma-lm", GemmaForCausalLM, GemmaConfig(**gemma), gemma_text)
    heads("gemma", "Gemma", gemma | {"attention_bias": True}, gemma_text, "base sequence token")

    capped = gemma | {"query_pre_attn_scalar": 24, "sliding_window": 3}
    capped |= {"attn_logit_softcapping": 4.0, "final_logit_softcapping": 6.0}
    # Tied, embeddings so large would have every token followed by itself.
    apart = {"tie_word_embeddings": False}
    add("gemma2-lm", Gemma2ForCausalLM, Gemma2Config(**capped, **apart), gemma_text)
    free = {"attn_logit_softcapping": None, "final_logit_softcapping": None}
    heads("gemma2", "Gemma2", capped | free, gemma_text, "base sequence token")

    mixed = gemma | {"query_pre_attn_scalar": 24, "sliding_window": 3, "rope_theta": 1000.0}
    mixed |= {"rope_local_base_freq": 10.0, "sliding_window_pattern": 2}
    linear = {"rope_type": "linear", "factor": 8.0}
    config = Gemma3TextConfig(**mixed, **apart, rope_scaling=linear)
    add("gemma3-lm", Gemma3ForCausalLM, config, gemma_text)
    heads("gemma3", "Gemma3Text", mixed, gemma_text, "base sequence")
    return made
