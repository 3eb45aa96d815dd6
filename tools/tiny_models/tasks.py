"""Encoders that mark tokens, fill masks and judge pairs of sentences."""

from __future__ import annotations

from pathlib import Path

from tools.tiny_models import Made, labels, randomise
from tools.tiny_models.classic import (
    bert_config,
    bert_tokenizer,
    distilbert_config,
    distilbert_tokenizer,
    gpt2_tokenizer,
)
from transformers import (
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
)


def models(scratch: Path) -> dict[str, Made]:
    """Maps each folder's name to its network, its tokenizer and how it is saved."""
    bert, distil = bert_tokenizer(scratch), distilbert_tokenizer(scratch)
    pieces = gpt2_tokenizer(scratch, pad=True)  # pieces of bytes, which know of no words
    nb, nd = len(bert), len(distil)
    entities = labels("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    # A hyphen that is no prefix, which grouping takes for one in the name it gives.
    kinds = labels("O", "PER", "DATE-TIME", "I-LOC")
    inference = labels("CONTRADICTION", "NEUTRAL", "ENTAILMENT")
    backwards = labels("entailment", "neutral", "contradiction")
    pair = labels("not_entailment", "entails")
    made: dict[str, Made] = {}

    def add(name, seed, kind, config, tokenizer):
        made[name] = (randomise(kind(config), seed), tokenizer, "5GB")

    add("bert-ner", 61, BertForTokenClassification, bert_config(nb, **entities), bert)
    add(
        "bert-ner-bytes",
        62,
        BertForTokenClassification,
        bert_config(len(pieces), num_hidden_layers=1, **entities),
        pieces,
    )
    add(
        "distilbert-ner",
        63,
        DistilBertForTokenClassification,
        distilbert_config(nd, **kinds),
        distil,
    )
    add("bert-mask", 64, BertForMaskedLM, bert_config(nb), bert)
    add("distilbert-mask", 66, DistilBertForMaskedLM, distilbert_config(nd), distil)
    untied = distilbert_config(nd, tie_word_embeddings=False, n_layers=1, activation="relu")
    add("distilbert-mask-untied", 65, DistilBertForMaskedLM, untied, distil)
    classify = BertForSequenceClassification
    add("bert-nli", 67, classify, bert_config(nb, **inference), bert)
    shallow = {"num_hidden_layers": 1}
    add("bert-nli-backwards", 68, classify, bert_config(nb, **shallow, **backwards), bert)
    add("bert-nli-unnamed", 69, classify, bert_config(nb, **shallow, num_labels=3), bert)
    add(
        "distilbert-nli",
        70,
        DistilBertForSequenceClassification,
        distilbert_config(nd, **pair),
        distil,
    )
    return made
