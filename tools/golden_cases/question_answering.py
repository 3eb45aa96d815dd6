"""Questions about a text."""

from __future__ import annotations

from typing import Any

from tools.golden_cases import EMOJI, REPEATED, SEOUL, STORY, STORY_LONG, WHERE, WHO, Case, Cases

# fmt: off


def cases() -> list[Case]:
    collected = Cases("question-answering")
    add = collected.add
    one = {"question": WHERE, "context": STORY}
    two = {"question": WHO, "context": STORY}
    contexts = {
        "story": STORY,
        "long": STORY_LONG,
        "korean": SEOUL,
        "emoji": EMOJI,
        "repeated": REPEATED,
        "short": "Berlin",
        "very-long": STORY_LONG * 5,
    }
    for model in ("bert-qa", "distilbert-qa", "gpt2-qa"):
        for name, context in contexts.items():
            ask: dict[str, Any] = {"question": WHERE, "context": context}
            found: dict[str, Any] = {}
            if name == "repeated":
                found["marks"] = "[!] equal answers, ignoring case, have their scores added"
            if name == "long":
                found["marks"] = "[!] start and end are normalised in each window by itself"
            add(f"{model}/{name}/plain", model, **ask, **found)
            for top in (2, 5, 20):
                add(f"{model}/{name}/top-k-{top}", model, **ask, top_k=top, **found)
            add(f"{model}/{name}/impossible", model, **ask, handle_impossible_answer=True)
            add(f"{model}/{name}/impossible-top-k-5", model, **ask, top_k=5,
                handle_impossible_answer=True)
            add(f"{model}/{name}/tokens", model, **ask, align_to_words=False)
            add(f"{model}/{name}/tokens-top-k-5", model, **ask, align_to_words=False, top_k=5)
            for length in (1, 3, 100):
                add(f"{model}/{name}/answer-{length}", model, **ask, max_answer_len=length, top_k=3)
        for length, stride in (
            (32, None),
            (32, 0),
            (32, 8),
            (24, 4),
            (64, 16),
            (64, 32),
            (128, 64),
        ):
            keys = {"max_seq_len": length} | ({} if stride is None else {"doc_stride": stride})
            for top in (1, 5):
                add(f"{model}/windows/{length}-{stride}/top-k-{top}", model, question=WHERE,
                    context=STORY_LONG, top_k=top, **keys)
                add(f"{model}/windows/{length}-{stride}/top-k-{top}-impossible", model,
                    question=WHERE, context=STORY_LONG, top_k=top, handle_impossible_answer=True,
                    **keys)
        add(f"{model}/windows/tokens", model, question=WHERE, context=STORY_LONG, max_seq_len=32,
            doc_stride=8, top_k=5, align_to_words=False)
        for padding in ("max_length", "longest", True, False):
            add(f"{model}/padding/{padding}", model, **one, padding=padding, top_k=3)
            add(f"{model}/padding/{padding}-windows", model, question=WHERE, context=STORY_LONG,
                padding=padding, max_seq_len=32, doc_stride=8, top_k=3)
        for size in (1, 2, 4):
            add(f"{model}/batch/{size}", model, [one, two, {"question": WHO, "context": SEOUL}],
                batch_size=size)
            add(f"{model}/batch/{size}-windows", model, question=[WHERE, WHO],
                context=[STORY_LONG, STORY], max_seq_len=40, doc_stride=8, top_k=2,
                batch_size=size)
    model = "bert-qa"
    unwrapped = "[!] a list of one example gives a dict"
    add("input/keywords", model, **one)
    add("input/dict", model, one)
    add("input/list", model, [one, two])
    add("input/list-of-one", model, [one], marks=unwrapped)
    add("input/list-of-one-top-k", model, [one], top_k=2, marks=unwrapped)
    add("input/tuple", model, {"$tuple": [one, two]})
    add("input/two-strings", model, WHERE, STORY)
    add("input/two-dicts", model, one, two)
    add("input/three-dicts", model, one, two, one)
    add("input/three-strings", model, WHERE, STORY, WHO)
    add("input/one-string", model, WHERE)
    add("input/list-of-strings", model, [WHERE, STORY])
    add("input/two-lists", model, [WHERE, WHO], [STORY, STORY])
    add("input/questions-one-context", model, question=[WHERE, WHO], context=STORY)
    add("input/one-question-in-list", model, question=[WHERE], context=STORY, marks=unwrapped)
    add("input/equal-lists", model, question=[WHERE, WHO], context=[STORY, STORY_LONG])
    add("input/equal-lists-of-one", model, question=[WHERE], context=[STORY], marks=unwrapped)
    add("input/lists-differ", model, question=[WHERE, WHO], context=[STORY])
    add("input/one-question-contexts", model, question=WHERE, context=[STORY, STORY_LONG])
    add("input/empty-lists", model, question=[], context=[])
    add("input/questions-empty-list", model, question=[], context=STORY)
    add("input/empty-list", model, [])
    for old in ("data", "X"):
        add(f"input/{old}-dict", model, **{old: one})
        add(f"input/{old}-list", model, **{old: [one, two]})
        add(f"input/{old}-list-of-one", model, **{old: [one]})
    example = {"$squad_example": one}
    add("input/squad-example", model, example)
    add("input/squad-examples", model, [example, {"$squad_example": two}])
    add("input/generator", model, {"$generator": [one, two]})
    add("input/generator-of-one", model, {"$generator": [one]})
    rows = {"rows": [{"t": one}, {"t": two}], "key": "t"}
    add("input/key-dataset", model, {"$key_dataset": rows})
    add("input/data-generator", model, data={"$generator": [one, two]})
    add("input/nothing", model)
    add("input/only-question", model, question=WHERE)
    add("input/only-context", model, context=STORY)
    add("input/number", model, 3)
    add("input/none", model, None)
    add("input/list-of-numbers", model, [1, 2])
    add("input/tuple-of-strings", model, {"$tuple": [WHERE, STORY]})
    add("input/dict-missing-context", model, {"question": WHERE})
    add("input/dict-missing-question", model, {"context": STORY})
    add("input/dict-other-key", model, one | {"id": 7})
    add("input/dict-none-question", model, {"question": None, "context": STORY})
    add("input/dict-none-context", model, {"question": WHERE, "context": None})
    add("input/dict-number", model, {"question": 1, "context": STORY})
    add("input/dict-lists", model, {"question": [WHERE, WHO], "context": [STORY, STORY]})
    add("input/keywords-numbers", model, question=1, context=2)
    add("input/keywords-none", model, question=None, context=STORY)
    add("empty/question", model, question="", context=STORY)
    add("empty/context", model, question=WHERE, context="")
    add("empty/dict-question", model, {"question": "", "context": STORY})
    add("empty/one-in-list", model, [one, {"question": WHERE, "context": ""}])
    add("empty/context-of-spaces", model, question=WHERE, context="   ")
    add("empty/context-of-spaces-impossible", model, question=WHERE, context="   ",
        handle_impossible_answer=True)
    add("empty/question-of-spaces", model, question="  ", context=STORY)
    for name in ("top_k", "topk"):
        for value in (1, 2, 5, 20, 0, -1):
            add(f"{name}/{value}", model, **one, **{name: value})
            add(f"{name}/{value}-at-construction", model, **one, init={name: value})
    add("top-k/both", model, **one, top_k=3, topk=1)
    add("top-k/none", model, **one, top_k=None)
    add("top-k/list-input", model, [one, two], top_k=2)
    add("top-k/call-wins", model, **one, top_k=2, init={"top_k": 4})
    add("top-k/more-than-there-are", model, question=WHERE, context="in Berlin", top_k=50)
    add("max-answer-len/0", model, **one, max_answer_len=0)
    add("max-answer-len/at-construction", model, **one, init={"max_answer_len": 1})
    add("max-seq-len/too-short-for-question", model, question=WHERE, context=STORY, max_seq_len=6)
    add("max-seq-len/stride-too-long", model, **one, max_seq_len=16, doc_stride=32)
    add("max-seq-len/stride-no-room", model, question=WHERE, context=STORY_LONG, max_seq_len=24,
        doc_stride=24)
    add("max-seq-len/over-the-model", model, question=WHERE, context=STORY_LONG * 2,
        max_seq_len=300)
    add("max-seq-len/at-construction", model, question=WHERE, context=STORY_LONG,
        init={"max_seq_len": 32, "doc_stride": 4}, top_k=3)
    add("max-question-len/ignored", model, **one, max_question_len=2)
    add("question-very-long", model, question=WHERE * 40, context=STORY)
    add("question-long", model, question=WHERE * 8, context=STORY_LONG, top_k=3)
    add("unknown-keyword", model, **one, nonsense=1)
    add("construction-not-changed-by-call", model, **one, init={"top_k": 2},
        before=[{"args": [one], "kwargs": {"top_k": 5, "max_answer_len": 1}}])
    add(
        "impossible/at-construction", model, **one, init={"handle_impossible_answer": True}, top_k=3
    )
    add("impossible/off-at-call", model, **one, init={"handle_impossible_answer": True},
        handle_impossible_answer=False, top_k=3)
    add("repeated/tokens", model, question=WHERE, context=REPEATED, align_to_words=False, top_k=20)
    add("repeated/windows", model, question=WHERE, context=REPEATED * 6, max_seq_len=32,
        doc_stride=8, top_k=5)
    add("context-with-specials", model, question="[SEP] who [CLS]?", top_k=5,
        context="The [SEP] letter [CLS] is [MASK] here [PAD].",
        marks="[!] each CLS inside the text is let through the mask")
    add("context-with-newlines", model, question=WHERE, context="I live\n\nin\tHamburg.\r\n Yes.")
    left = {"tokenizer": {"$tokenizer": {"model": model, "padding_side": "left"}}}
    swapped = "[!] a tokenizer that pads left puts the context first"
    add("padding-side/left", model, **one, init=left, top_k=3, marks=swapped)
    add("padding-side/left-windows", model, question=WHERE, context=STORY_LONG, max_seq_len=32,
        doc_stride=8, init=left, top_k=3, marks=swapped)
    return collected.cases
