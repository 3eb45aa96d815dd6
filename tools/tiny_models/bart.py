"""BART where it labels texts: an encoder, and a decoder that reads the text once more."""

from __future__ import annotations

from pathlib import Path

from tools.tiny_models import Made, labels, randomise
from tools.tiny_models.encoders import LONGEST, roberta_tokenizer
from transformers import (
    BartConfig,
    BartForQuestionAnswering,
    BartForSequenceClassification,
    BartModel,
    BartTokenizerFast,
)


def models(scratch: Path) -> dict[str, Made]:
    """Maps each folder's name to its network, its tokenizer and how it is saved."""
    words = roberta_tokenizer(scratch, BartTokenizerFast)
    made: dict[str, Made] = {}

    def add(name, seed, kind, **changes):
        settings = {
            "vocab_size": len(words),
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 40,
            "decoder_ffn_dim": 48,
            "max_position_embeddings": LONGEST,
        }
        made[name] = (randomise(kind(BartConfig(**settings | changes)), seed), words, "5GB")

    answers = labels("contradiction", "neutral", "entailment")
    add("bart-nli", 171, BartForSequenceClassification, **answers)
    uneven = {"encoder_layers": 1, "decoder_layers": 3, "decoder_attention_heads": 2}
    uneven |= {"scale_embedding": True, "activation_function": "relu"}
    emotions = labels("sadness", "joy", "anger")
    add("bart-sequence", 172, BartForSequenceClassification, **uneven, **emotions)
    add("bart-base", 173, BartModel)
    add("bart-qa", 174, BartForQuestionAnswering)
    return made
