"""BART where it labels texts: an encoder, and a decoder that reads the text once more."""

from __future__ import annotations

from pathlib import Path

from tokenizers import ByteLevelBPETokenizer
from tools.tiny_models import TEXT, Made, labels, randomise
from transformers import (
    BartConfig,
    BartForQuestionAnswering,
    BartForSequenceClassification,
    BartModel,
    BartTokenizerFast,
)

LONGEST = 96


def tokenizer(scratch: Path) -> BartTokenizerFast:
    folder = scratch / "bart"
    folder.mkdir(parents=True, exist_ok=True)
    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trained.train_from_iterator(
        TEXT.splitlines(), vocab_size=319, show_progress=False, special_tokens=special
    )
    trained.add_special_tokens(["<mask>"])
    trained.save_model(str(folder))
    return BartTokenizerFast(
        vocab_file=str(folder / "vocab.json"),
        merges_file=str(folder / "merges.txt"),
        model_max_length=LONGEST,
    )


def models(scratch: Path) -> dict[str, Made]:
    """Maps each folder's name to its network, its tokenizer and how it is saved."""
    words = tokenizer(scratch)
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
