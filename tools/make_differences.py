"""Writes docs/differences.md: what silmu does otherwise than transformers 4.57.

    python tools/make_differences.py            # writes the page
    python tools/make_differences.py --check    # exit code 1 if the page is not as it would be

Most of it are the sentences of tests/golden/differences.json, whose cases a test runs to see that
each difference is real. What no recorded case can show stands here, in BESIDES.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "differences.md"
ROWS = ROOT / "tests" / "golden" / "differences.json"

INTRODUCTION = """\
# Differences from transformers 4.57

silmu's pipelines take the inputs and parameters of transformers 4.57.6 and give its answers: texts,
labels, spans, shapes and the order of keys are equal, scores agree to 1e-4. This page lists every
deliberate exception. Anything else that differs is a bug.

Written by `python tools/make_differences.py`. Where transformers was recorded, a test runs both
sides and fails when a difference is gone.
"""

EVERY, FIVE, CREATION = "Every task", "transformers 5", "Making a pipeline"
PICTURES = "Pictures"
TOPICS = {
    "text-generation": "Text generation",
    "question-answering": "Question answering",
    "text-classification": "Text classification",
    "feature-extraction": "Feature extraction",
    "token-classification": "Token classification",
    "fill-mask": "Filling masks",
    "zero-shot-classification": "Zero-shot classification",
    "pipeline": CREATION,
}
ORDER = [EVERY, CREATION, *(name for name in TOPICS.values() if name != CREATION), PICTURES, FIVE]

BESIDES = {
    EVERY: [
        "padding and `batch_size` change no answer: with transformers they change scores slightly, "
        "and some answers altogether",
        "where two answers score the same but for rounding (about 1e-6), which of them comes first "
        "is not promised",
        "tensors come as numpy arrays; `device` and `framework` of a pipeline are the strings "
        "`cpu` and `onnx`",
        "every score is a Python float; token-classification of 4.57 gives numpy float32, which "
        "`json.dumps` refuses",
        "a generator is read ahead of the answers, by 256 inputs at most, and less while it is "
        "slow; `batch_size=1` reads one at a time",
        "an input that cannot be answered is an InputError (a ValueError) that says which input of "
        "a list or stream it was",
        "a text of more than 1,048,576 characters is an InputError, as making it tokens takes "
        "gigabytes; `pipe.tokenizer.max_characters` sets the limit",
        "a text of more tokens than the `max_position_embeddings` of config.json is refused also "
        "where positions are rotary or relative (Llama, ModernBERT, DeBERTa): 4.57 computes on, "
        "beyond what the model was trained for",
        "4.57 overlooks `attn_logit_softcapping` of Gemma 2, unless it is asked for "
        '`attn_implementation="eager"`; silmu obeys it',
    ],
    CREATION: [
        "weights are read from safetensors only: `pytorch_model.bin` is refused, since opening it "
        "can run code",
        "`trust_remote_code=True` is refused: code that comes with a model is never run",
        '`dtype="auto"` measures what is installed, once, and takes the engine and precision that '
        'are the quickest within a bound; left out it is fp32. `torch_dtype="auto"` is fp32 too, '
        "and measures nothing: in 4.57 both are the precision in which the weights are stored",
        "a model that is in the cache is used without asking the hub for a newer one",
        "`pipe.task` is the task's own name, such as `text-classification`; 4.57 keeps an alias "
        "that was given, such as `sentiment-analysis`",
        "`pipe.save_pretrained` writes to a folder that is empty or not there yet; 4.57 writes "
        "over what is there",
        "a tokenizer gives lists and numpy arrays, has no `add_tokens`, and is saved by the "
        "pipeline, together with the model",
        "a folder whose files disagree is refused: a tokenizer with more tokens than the model has "
        "embeddings, labels that are not as many as `num_labels`, layers that config.json omits",
    ],
    TOPICS["text-generation"]: [
        "through OpenVINO in bf16 and q8, which nobody gets unasked, prompts that are continued "
        "together are answered as alone but, where the number of threads does not divide that of "
        "the model's key-value heads, for near ties",
        "`exponential_decay_length_penalty` leaves an end forbidden that `min_new_tokens` or "
        "another setting forbids, as in transformers 5; in 4.57 its score is no number, and it is "
        "taken",
        "sampling draws from silmu's own random numbers: a seed gives the same text in every run "
        "of the same version of silmu, and not the text that transformers gives with that seed",
        "group beam search (`num_beam_groups`) is not there: 4.57.6 itself only runs it as code "
        "from the hub",
        "assisted generation, attentions and hidden states are not there: what asks for them gets "
        "a warning",
    ],
    TOPICS["question-answering"]: [
        "in a text whose Hangul syllables are of several characters (NFD), an answer is widened to "
        "whole syllables",
    ],
    TOPICS["token-classification"]: [
        "in a text whose Hangul syllables are of several characters (NFD), `start` and `end` of an "
        "entity are widened to whole syllables; those of a token alone are the tokenizer's",
    ],
    PICTURES: [
        "a picture whose height is 1 or 3 is taken by 4.57 for one whose first axis is its "
        "channels; silmu reads it as what it is",
        "bytes of a file, a `pathlib.Path` and arrays of uint8 (height, width, and channels) are "
        "pictures too; 4.57 takes text and PIL images only",
        "base64 may be without padding or of the alphabet for URLs, and a `data:` URL may name any "
        "type or none; 4.57 wants `data:image/` and the usual alphabet",
        "an address is given 60 seconds, and `timeout` is for all of its answer: in 4.57 there is "
        "no limit, and `timeout` begins anew with every part that comes",
        "files, base64 and answers of more than 100,000,000 bytes, pictures of more than "
        "50,000,000 pixels, and what is packed too tightly for a photograph are an InputError "
        "before they are decoded; 4.57 has PIL's limit alone, of 178,956,970 pixels",
        "JPEG, PNG, WebP, BMP, GIF and TIFF are opened, told by their content; 4.57 opens whatever "
        "the installed PIL knows",
        "broken EXIF is passed over, and the picture read as it is stored; 4.57 fails where PIL "
        "cannot read it",
        "of models from the hub, what alpha hides is seen and 16 bits are cut off at 255, as in "
        "4.57; models that silmu trained see white there, and the higher 8 of 16 bits",
    ],
    FIVE: [
        "what version 5 removed stays as it was, such as `question-answering` and "
        "`return_all_scores`",
    ],
}


def page(rows: dict[str, str]) -> str:
    """The page, given sentences by the pattern of the cases that they excuse."""
    found: dict[str, list[str]] = {topic: [] for topic in ORDER}
    for pattern, sentence in rows.items():
        found[topic(pattern)].append(sentence)
    for name, sentences in BESIDES.items():
        found[name] += sentences
    sections = (
        f"## {name}\n\n"
        + "\n".join(f"- {sentence[0].upper()}{sentence[1:]}." for sentence in found[name])
        for name in ORDER
        if found[name]
    )
    return "\n".join([INTRODUCTION, *(f"{section}\n" for section in sections)])


def topic(pattern: str) -> str:
    """Where a reader would look for a difference: under its task, if it has only one."""
    if pattern.startswith("5."):
        return FIVE
    named = [name for task, name in TOPICS.items() if re.search(rf"/{task}/", pattern)]
    return named[0] if len(named) == 1 else EVERY


def main() -> int:
    text = page(json.loads(ROWS.read_text(encoding="utf-8")))
    if "--check" in sys.argv[1:]:
        current = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        if current != text:
            print(f"{PAGE.relative_to(ROOT)} is not up to date: run {Path(__file__).name}")
        return int(current != text)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
