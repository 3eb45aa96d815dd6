"""Makes the models of real size, and the texts, that are measured.

    python benchmarks/make_models.py FOLDER --wordpiece vocab.txt --bpe encoder.json vocab.bpe

Run it where torch and transformers 4.57 are installed. The architectures and vocabularies are the
real ones (DistilBERT-base with two heads, GPT-2 124M); the weights are random and seeded, which
costs the same time to compute. What they answer means nothing, so no answer is ever shown; that all
engines give the same one is checked.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from pathlib import Path

import torch
from transformers import (
    DistilBertConfig,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertTokenizerFast,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2TokenizerFast,
)

WINDOW, STRIDE = 384, 128  # what transformers 4.57 cuts a long context into
NUM_TEXTS, SHORTEST, LONGEST = 256, 8, 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wordpiece", type=Path, required=True, metavar="VOCAB")
    parser.add_argument("--bpe", type=Path, required=True, nargs=2, metavar=("VOCAB", "MERGES"))
    args = parser.parse_args()
    torch.set_num_threads(2)
    wordpiece = DistilBertTokenizerFast(str(args.wordpiece), model_max_length=512)
    bpe = GPT2TokenizerFast(*map(str, args.bpe), model_max_length=1024)
    work = workloads(wordpiece, bpe)

    save(args.folder / "sentiment", sentiment(wordpiece, work["many"]["texts"]), wordpiece)
    save(args.folder / "question-answering", question_answering(), wordpiece)
    save(args.folder / "gpt2", gpt2(), bpe)
    (args.folder / "workloads.json").write_text(json.dumps(work, indent=1) + "\n")


def save(folder: Path, model: torch.nn.Module, tokenizer: object) -> None:
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def workloads(wordpiece: DistilBertTokenizerFast, bpe: GPT2TokenizerFast) -> dict:
    """The inputs of every measure, with their lengths in tokens as the model counts them."""
    rng = random.Random(2026)
    # Words of one token in both vocabularies, so that a text has the length that is asked for.
    english = bpe.get_vocab()
    words = sorted(
        (number, word)
        for word, number in wordpiece.get_vocab().items()
        if word.isascii()
        and word.isalpha()
        and len(word) > 2
        and word in english
        and f"Ġ{word}" in english
    )[:2000]

    def text(num_words: int) -> str:
        return " ".join(word for _, word in rng.choices(words, k=num_words))

    def sentences(num_words: int) -> str:
        parts: list[str] = []
        while num_words > 0:
            size = min(num_words, rng.randint(8, 20))
            parts.append(text(size).capitalize() + ".")
            num_words -= size
        return " ".join(parts)

    middle, spread = math.log(36), 0.75
    drawn = (round(rng.lognormvariate(middle, spread)) for _ in range(100_000))
    sizes = [size for size in drawn if SHORTEST <= size <= LONGEST][:NUM_TEXTS]
    question, context = text(9) + "?", sentences(2000)
    windows = wordpiece(
        question, context, truncation="only_second", max_length=WINDOW, stride=STRIDE,
        return_overflowing_tokens=True,
    )  # fmt: skip
    special = 2  # [CLS] and [SEP]
    work = {
        "sentence": {"texts": [text(12 - special)]},
        "text": {"texts": [text(128 - special)]},
        "many": {"texts": [text(size - special) for size in sizes]},
        "question": {
            "question": question,
            "context": context,
            "lengths": [len(ids) for ids in windows["input_ids"]],
        },
        "generate-short": {"prompts": [text(12)], "new_tokens": 50},
        "generate-long": {"prompts": [text(512)], "new_tokens": 128},
        "generate-many": {"prompts": [text(12) for _ in range(8)], "new_tokens": 50},
    }
    for measure in work.values():
        if "texts" in measure:
            measure["lengths"] = [len(ids) for ids in wordpiece(measure["texts"])["input_ids"]]
        elif "prompts" in measure:
            measure["lengths"] = [len(ids) for ids in bpe(measure["prompts"])["input_ids"]]
    assert work["sentence"]["lengths"] == [12]
    assert work["text"]["lengths"] == [128]
    assert work["many"]["lengths"] == sizes
    assert work["generate-long"]["lengths"] == [512]
    assert work["generate-many"]["lengths"] == [12] * 8
    return work


@torch.no_grad()
def sentiment(tokenizer: DistilBertTokenizerFast, texts: list[str]) -> torch.nn.Module:
    """Two labels, each of which half of the texts get; a random head gives one to all."""
    torch.manual_seed(0)
    labels = {0: "NEGATIVE", 1: "POSITIVE"}
    config = DistilBertConfig(id2label=labels, label2id={v: k for k, v in labels.items()})
    model = DistilBertForSequenceClassification(config).eval()
    logits = torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in texts])
    margins = (logits[:, 1] - logits[:, 0]).sort().values
    # Between the two texts in the middle: on one of them, rounding alone would choose its label.
    middle = margins[len(texts) // 2 - 1 : len(texts) // 2 + 1].mean()
    scale = 2 / margins.std()
    model.classifier.weight *= scale
    model.classifier.bias.copy_(torch.tensor([middle * scale, 0.0]))
    return model


@torch.no_grad()
def question_answering() -> torch.nn.Module:
    torch.manual_seed(1)
    model = DistilBertForQuestionAnswering(DistilBertConfig())
    model.qa_outputs.weight *= 10  # else all spans are about as good
    return model


@torch.no_grad()
def gpt2() -> torch.nn.Module:
    """Blocks that outweigh the embedding; else a tied model says its last token again and again."""
    torch.manual_seed(2)
    config = GPT2Config(architectures=["GPT2LMHeadModel"])
    model = GPT2LMHeadModel(config)
    for name, weight in model.transformer.h.named_parameters():
        if name.endswith(("c_attn.weight", "c_fc.weight", "c_proj.weight")):
            weight *= 5
    return model


if __name__ == "__main__":
    main()
