"""DeBERTa v2 and v3: disentangled attention in the variants that released checkpoints have."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from tools.tiny_models import TEXT, Made, labels, randomise
from transformers import (
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    DebertaV2ForQuestionAnswering,
    DebertaV2ForSequenceClassification,
    DebertaV2ForTokenClassification,
    DebertaV2Model,
    DebertaV2TokenizerFast,
)


def unigram(size: int = 320) -> list[tuple[str, float]]:
    """Gives the pieces of a Unigram vocabulary and their log-probabilities, by frequency.

    Counted here rather than by the Unigram trainer, whose result varies from run to run.
    """
    characters, pieces = Counter(), Counter()
    for word in normalizers.NFKC().normalize_str(TEXT).split():
        marked = f"▁{word}"
        characters.update(marked)
        pieces[marked] += 2
        for length in range(2, min(6, len(marked))):
            pieces[marked[:length]] += 1
            pieces[marked[-length:]] += 1
    # A rare Korean syllable is left out on purpose: there must be something unknown.
    alphabet = [piece for piece, n in characters.items() if n > 1 or piece.isascii()]
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    ranked = sorted(pieces, key=lambda piece: (-pieces[piece], piece))
    ranked = ranked[: size - len(special) - len(alphabet) - 1]  # one is left for [MASK]
    counts = {piece: characters[piece] for piece in alphabet}
    counts |= {piece: len(piece) ** 2 * pieces[piece] for piece in ranked}
    total = sum(counts.values())
    ordered = sorted(counts, key=lambda piece: (-counts[piece], piece))
    scored = [(piece, round(math.log(counts[piece] / total), 6)) for piece in ordered]
    return [(piece, 0.0) for piece in special] + scored


def tokenizer(scratch: Path) -> DebertaV2TokenizerFast:
    rust = Tokenizer(Unigram(unigram(), unk_id=3))
    # The checkpoints have sentencepiece's own table of characters where NFKC stands.
    rust.normalizer = normalizers.Sequence(
        [normalizers.Strip(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    rust.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace()])
    rust.decoder = decoders.Metaspace()
    rust.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / "deberta.json"
    rust.save(str(path))
    return DebertaV2TokenizerFast(tokenizer_file=str(path), model_max_length=128)


def config(vocab: int, **changes) -> DebertaV2Config:
    """As deberta-v3-base, only small: buckets of distances, one projection for all positions."""
    settings = {
        "vocab_size": vocab,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 40,
        "max_position_embeddings": 128,
        "position_biased_input": False,
        "type_vocab_size": 0,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 4,
        "max_relative_positions": 5,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
    }
    return DebertaV2Config(**(settings | changes))


def models(scratch: Path) -> dict[str, Made]:
    """Maps each folder's name to its network, its tokenizer and how it is saved."""
    words = tokenizer(scratch)
    n = len(words)
    emotions = labels("sadness", "joy", "anger")
    entities = labels("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    made: dict[str, Made] = {}

    def add(name, seed, kind, **changes):
        made[name] = (randomise(kind(config(n, **changes)), seed), words, "5GB")

    add("deberta-v3-base", 61, DebertaV2Model, position_buckets=8, max_relative_positions=-1)
    add("deberta-v3-sequence", 62, DebertaV2ForSequenceClassification, **emotions)
    add("deberta-v3-qa", 63, DebertaV2ForQuestionAnswering)
    add("deberta-v3-token", 64, DebertaV2ForTokenClassification, **entities)
    add("deberta-v3-fill", 65, DebertaV2ForMaskedLM, num_hidden_layers=1)
    # 4.57 ties the wrong matrix of this head unless it is told not to tie any.
    head = {"legacy": False, "tie_word_embeddings": False, "num_hidden_layers": 1}
    add("deberta-v3-fill-lm-head", 66, DebertaV2ForMaskedLM, **head)
    own = {"share_att_key": False, "norm_rel_ebd": "none"}
    seen = {"position_biased_input": True, "type_vocab_size": 2}
    one = {"num_hidden_layers": 1, **own}
    plain = {**one, **seen, "position_buckets": -1, "max_relative_positions": 4}
    add("deberta-v2-own-keys", 67, DebertaV2Model, **plain)
    add("deberta-v2-c2p", 68, DebertaV2Model, **one, pos_att_type=["c2p"])
    add("deberta-v2-p2c", 69, DebertaV2Model, **one, pos_att_type="p2c")
    absolute = {"relative_attention": False, "pos_att_type": None, "position_biased_input": True}
    narrow = {"embedding_size": 24, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3}
    add("deberta-v2-absolute", 70, DebertaV2ForMaskedLM, **one | absolute | narrow)
    # As deberta-v2-xlarge: a convolution beside the first layer.
    wide = {"conv_kernel_size": 3, "conv_act": "gelu", "attention_head_size": 8}
    add("deberta-v2-conv", 71, DebertaV2ForSequenceClassification, **wide, **emotions)
    grouped = {"conv_kernel_size": 5, "conv_groups": 4, "pooler_hidden_act": "tanh"}
    add("deberta-v2-conv-groups", 72, DebertaV2ForSequenceClassification, **grouped, **emotions)
    return made
