"""Programs that a user writes, as types: checked by pyright, never run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import silmu
from silmu import TextIteratorStreamer, TextStreamer, pipeline, set_seed
from silmu.errors import InputError, SilmuError
from silmu.pipelines import PIPELINE_REGISTRY, Model, Pipeline

context = "Hugging Face provides models and data sets."

# The three classic programs.

classifier = pipeline("sentiment-analysis")
assert_type(classifier, Pipeline)
print(
    classifier(
        [
            "I love this product! It's absolutely wonderful.",
            "I'm really disappointed. It didn't work as expected.",
        ]
    )
)

qa_pipe = pipeline("question-answering", model="distilbert-base-uncased-distilled-squad")
print(qa_pipe(question="What does Hugging Face provide?", context=context))

generator = pipeline("text-generation", model="gpt2")
print(generator("Once upon a time, in a land far away", max_length=50, num_return_sequences=1))

# Parameters at construction.

pipeline(model="gpt2")
pipeline("text-classification", Path("model"), None, Path("tokenizer"))
pipeline("text-classification", model="model", top_k=None, batch_size=8, truncation=True)
pipeline("question-answering", "model", device=-1, dtype="auto", torch_dtype="float32")
pipeline("question-answering", "model", revision="main", token=True, trust_remote_code=False)
pipeline("text-generation", "gpt2", model_kwargs={"local_files_only": True, "cache_dir": "x"})
pipeline("feature-extraction", tokenize_kwargs={"max_length": 16}, return_tensors=True, model="x")

# Calls.

classifier("a text")
classifier("a text", top_k=2, function_to_apply="sigmoid")
classifier({"text": "one", "text_pair": "other"})
classifier(["one", "two"], batch_size=2, num_workers=0)
classifier(text for text in ("one", "two"))
classifier.predict(["one"])
classifier.transform("one")
qa_pipe("a question", context)
qa_pipe({"question": "a question", "context": context}, top_k=3, handle_impossible_answer=True)
qa_pipe([{"question": "a question", "context": context}], doc_stride=16, max_answer_len=5)
set_seed(42)
generator([{"role": "user", "content": "Hello"}], max_new_tokens=16, return_full_text=False)
generator("Hello", streamer=TextStreamer(generator.tokenizer), do_sample=True, temperature=0.8)
stream: Iterator[str] = iter(TextIteratorStreamer(generator.tokenizer))

tagger = pipeline("ner", model="model", aggregation_strategy="simple", ignore_labels=["O"])
assert_type(tagger, Pipeline)
tagger("a text", stride=16, grouped_entities=True)
tagger(["two", "words"], is_split_into_words=True, delimiter="_")
filler = pipeline("fill-mask", "model", tokenizer_kwargs={"truncation": True})
filler("The sea is [MASK].", top_k=2, targets=["cold", "warm"])
zero_shot = pipeline("zero-shot-classification", device=-1)
zero_shot("a text", ["one", "other"], multi_label=True)
zero_shot(["a text"], candidate_labels="one, other", hypothesis_template="It is {}.")

# What a pipeline shows.

assert_type(classifier.task, str)
assert_type(classifier.model, Model)
assert_type(classifier.model.config.id2label, dict[int, str])
assert_type(classifier.model.config.num_labels, int)
assert_type(classifier.tokenizer.decode([1, 2], skip_special_tokens=True), str)
assert_type(silmu.__version__, str)
classifier.save_pretrained("copy")
pipeline("text-classification", classifier.model, tokenizer=classifier.tokenizer)


# A task of one's own.


class Lengths(Pipeline):
    head = "feature-extraction"

    def _sanitize_parameters(
        self, unit: int = 1, **_: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        return {}, {}, {"unit": unit}

    def preprocess(self, inputs: Any) -> dict[str, Any]:
        return self._tokenize(inputs, None)

    def postprocess(self, model_outputs: Any, *, unit: int) -> int:
        return model_outputs["last_hidden_state"].shape[1] // unit


PIPELINE_REGISTRY.register_pipeline("lengths", Lengths)
pipeline("lengths", model="model", pipeline_class=Lengths, unit=2)

try:
    classifier("")
except InputError as error:
    assert_type(error.message, str)
    assert_type(error.hint, str | None)
except (SilmuError, ValueError):
    pass

# What pyright must refuse: each line would be an unused comment, and so an error, if it did not.

pipeline(3)  # pyright: ignore[reportArgumentType]
pipeline("text-classification", revision=1)  # pyright: ignore[reportArgumentType]
classifier("a text", batch_size="two")  # pyright: ignore[reportArgumentType]
print(classifier.modle)  # pyright: ignore
