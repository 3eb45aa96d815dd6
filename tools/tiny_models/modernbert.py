"""ModernBERT: rotary positions, layers that see everything and layers that see what is near."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, ByteLevelBPETokenizer, normalizers, processors
from tools.tiny_models import TEXT, Made, labels, randomise
from transformers import (
    ModernBertConfig,
    ModernBertForMaskedLM,
    ModernBertForQuestionAnswering,
    ModernBertForSequenceClassification,
    ModernBertForTokenClassification,
    ModernBertModel,
    PreTrainedTokenizerFast,
)

SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")  # after all others, as in the checkpoints


def tokenizer() -> PreTrainedTokenizerFast:
    trained = ByteLevelBPETokenizer(unicode_normalizer="nfc")
    trained.train_from_iterator(TEXT.splitlines(), vocab_size=315, show_progress=False)
    rust = trained._tokenizer
    rust.normalizer = normalizers.NFC()
    rust.add_special_tokens([AddedToken(t, lstrip=t == "[MASK]", special=True) for t in SPECIAL])
    first, last = rust.token_to_id("[CLS]"), rust.token_to_id("[SEP]")
    rust.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0",
        special_tokens=[("[CLS]", first), ("[SEP]", last)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=rust,
        model_max_length=128,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=True,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token=AddedToken("[MASK]", lstrip=True, special=True),
    )


def config(words: PreTrainedTokenizerFast, **changes) -> ModernBertConfig:
    """As ModernBERT-base, only small: no biases, every third layer global, a window of four."""
    settings = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 20,
        "max_position_embeddings": 128,
        "local_attention": 4,
        "pad_token_id": words.pad_token_id,
        "cls_token_id": words.cls_token_id,
        "sep_token_id": words.sep_token_id,
        "bos_token_id": words.cls_token_id,
        "eos_token_id": words.sep_token_id,
    }
    return ModernBertConfig(**(settings | changes))


def models(scratch: Path) -> dict[str, Made]:
    """Maps each folder's name to its network, its tokenizer and how it is saved."""
    words = tokenizer()
    emotions = labels("sadness", "joy", "anger")
    entities = labels("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    made: dict[str, Made] = {}

    def add(name, seed, kind, **changes):
        made[name] = (randomise(kind(config(words, **changes)), seed), words, "5GB")

    biases = {name: True for name in ("norm_bias", "attention_bias", "mlp_bias", "classifier_bias")}
    add("modernbert-base", 81, ModernBertModel)
    add("modernbert-sequence", 82, ModernBertForSequenceClassification, **emotions)
    mean = {"classifier_pooling": "mean", "classifier_activation": "silu", "norm_eps": 1e-3}
    every = {"num_hidden_layers": 2, "global_attn_every_n_layers": 2, "global_rope_theta": 100.0}
    kind = ModernBertForSequenceClassification
    add("modernbert-sequence-mean", 83, kind, **biases, **mean, **every, **emotions)
    add("modernbert-qa", 84, ModernBertForQuestionAnswering)
    add("modernbert-token", 85, ModernBertForTokenClassification, **entities, **biases)
    add("modernbert-fill", 86, ModernBertForMaskedLM)
    untied = {"tie_word_embeddings": False, "decoder_bias": False, "hidden_activation": "gelu_new"}
    near = {"local_rope_theta": 50.0, "local_attention": 3, "num_hidden_layers": 2}
    add("modernbert-fill-untied", 87, ModernBertForMaskedLM, **untied, **near)
    return made
