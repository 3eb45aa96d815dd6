"""Find the answer to a question in a text, as the span that holds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from silmu.errors import InputError, MissingKeyError, UsageError
from silmu.pipelines._base import Pipeline, is_stream, logger
from silmu.runtime import korean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.pipelines._model import ModelOutput
    from silmu.runtime.text import Encoded

ARCHITECTURES = ("ForQuestionAnswering",)
DEFAULT_MODEL = ("distilbert/distilbert-base-cased-distilled-squad", "564e9b5")
FIELDS = ("question", "context")

WINDOW = 384
STRIDE = 128
FORBIDDEN = -10_000.0
"""The logit of a token that cannot be part of an answer."""


@final
class QuestionAnsweringPipeline(Pipeline):
    """Answers to questions, found in the text that comes with them.

    >>> answer = pipeline("question-answering")                          # doctest: +SKIP
    >>> answer(question="Where do I live?", context="I live in Berlin.")  # doctest: +SKIP
    {'score': 0.98..., 'start': 10, 'end': 16, 'answer': 'Berlin'}

    `start` and `end` count characters of the context. A text that is longer than the model reads
    at once is read in windows that overlap. Spans with the same words, ignoring case, are one
    answer, whose score is their sum.

    Args:
        question, context: strings; a list of questions with one context or as many; or dicts
            with both keys, one or a list.
        top_k: how many answers at most; with more than one found they come as a list.
        doc_stride: how many tokens two windows share; at most 128 and half a window, by default.
        max_answer_len: the longest answer, in tokens.
        max_seq_len: tokens of a window, question included; at most 384 by default.
        handle_impossible_answer: whether "no answer" ('' from 0 to 0) competes with the others.
        align_to_words: whether an answer is widened to whole words.
        padding: `max_length` pads windows to max_seq_len. It changes no answer.
        trim_particles: whether Korean answers end before their particles: 서울, not 서울에서.

    Raises:
        InputError: an empty or missing question or context.
        UsageError: a parameter is out of range.

    Reference: Devlin et al. 2018, section 4.2; windows and summed answers as in transformers 4.57.
    """

    head = "question-answering"

    def __call__(self, *args: Any, **parameters: Any) -> Any:
        """The answer to one question, or to each of a list or stream of them."""
        given = _arguments(args, parameters)
        options = {k: v for k, v in parameters.items() if k not in _INPUTS}
        if isinstance(given, list):
            examples = [_example(item) for item in cast("list[Any]", given)]
            return super().__call__(examples[0] if len(examples) == 1 else examples, **options)
        return super().__call__(given, **options)

    @staticmethod
    def create_sample(question: Any, context: Any) -> Any:
        """A question with its context as one input; of two lists, a list of inputs."""
        if isinstance(question, list):
            pairs = zip(cast("list[Any]", question), context, strict=True)
            return [{"question": q, "context": c} for q, c in pairs]
        return {"question": question, "context": context}

    def _sanitize_parameters(
        self,
        padding: Any = None,
        topk: int | None = None,
        top_k: int | None = None,
        doc_stride: int | None = None,
        max_answer_len: int | None = None,
        max_seq_len: int | None = None,
        max_question_len: int | None = None,
        handle_impossible_answer: bool | None = None,
        align_to_words: bool | None = None,
        trim_particles: bool | None = None,
        **_: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        # Padding is the engine's affair, and max_question_len was for tokenizers without offsets.
        del padding, max_question_len
        if topk is not None and top_k is None:
            logger.warning("`topk` is deprecated: write `top_k`")
            top_k = topk
        for name, value in (("top_k", top_k), ("max_answer_len", max_answer_len)):
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; it must be at least 1")
        preprocess = {"doc_stride": doc_stride, "max_seq_len": max_seq_len}
        postprocess = {
            "top_k": top_k,
            "max_answer_len": max_answer_len,
            "handle_impossible_answer": handle_impossible_answer,
            "align_to_words": align_to_words,
            "trim_particles": trim_particles,
        }
        return _given(preprocess), {}, _given(postprocess)

    def preprocess(
        self, inputs: Any, *, doc_stride: int | None = None, max_seq_len: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """The windows in which the context is read, the question in each."""
        example = _example(inputs)
        question, context = example["question"], example["context"]
        length = (
            min(self.tokenizer.model_max_length, WINDOW) if max_seq_len is None else max_seq_len
        )
        stride = min(length // 2, STRIDE) if doc_stride is None else doc_stride
        if stride > length:
            raise UsageError(f"doc_stride ({stride}) is larger than max_seq_len ({length})")
        question_first = self.tokenizer.padding_side == "right"
        encoded = self.tokenizer.encode(
            question if question_first else context,
            context if question_first else question,
            truncation="only_second" if question_first else "only_first",
            max_length=length,
            stride=stride,
        )
        for window in (encoded, *encoded.overflowing):
            yield {
                **self._arrays(window),
                "allowed": self._allowed(window, 1 if question_first else 0),
                "window": window,
                "context": context,
            }

    def postprocess(
        self,
        model_outputs: list[ModelOutput],
        *,
        top_k: int = 1,
        handle_impossible_answer: bool = False,
        max_answer_len: int = 15,
        align_to_words: bool = True,
        trim_particles: bool = False,
    ) -> Any:
        """The best spans of all windows of one context."""
        # Candidates that turn out to be the same words become one answer, so more are taken.
        num_candidates = top_k * 2 + 10 if align_to_words else top_k
        sequence = 1 if self.tokenizer.padding_side == "right" else 0
        least_null = 1e6
        answers: dict[str, dict[str, Any]] = {}
        for output in model_outputs:
            allowed, window = output["allowed"], output["window"]
            start = _probabilities(output["start_logits"][0], allowed)
            end = _probabilities(output["end_logits"][0], allowed)
            if handle_impossible_answer:
                least_null = min(least_null, float(start[0] * end[0]))
            start[0] = end[0] = 0.0
            for first, last, score in _spans(start, end, num_candidates, max_answer_len, allowed):
                where = _characters(window, first, last, sequence, align_to_words)
                where = korean.whole_syllables(output["context"], *where)
                words = output["context"][slice(*where)]
                # Keyed without case, and the first spelling is the one that is shown.
                answer = answers.setdefault(
                    words.lower(),
                    {"score": 0.0, "start": where[0], "end": where[1], "answer": words},
                )
                answer["score"] += score
        found = list(answers.values())
        if trim_particles:
            found = _without_particles(found, model_outputs[0]["context"], num_candidates)
        if handle_impossible_answer:
            found.append({"score": least_null, "start": 0, "end": 0, "answer": ""})
        found = sorted(found, key=lambda answer: answer["score"], reverse=True)[:top_k]
        return found[0] if len(found) == 1 else found

    def _allowed(self, window: Encoded, sequence: int) -> NDArray[np.bool_]:
        """Which tokens an answer may hold: the context's, and the first one, for "no answer"."""
        allowed = np.array([part == sequence for part in window.encoding.sequence_ids], np.bool_)
        if (first := self.tokenizer.special_id("cls")) is not None:
            allowed |= np.array(window.ids) == first
        return allowed


_INPUTS = ("question", "context", "data", "X")


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _arguments(args: tuple[Any, ...], parameters: Mapping[str, Any]) -> Any:
    """The examples of a call, in any of the forms that 4.57 takes."""
    if args:
        if len(args) == 2 and all(isinstance(part, str) for part in args):
            return [{"question": args[0], "context": args[1]}]
        return _listed(args[0] if len(args) == 1 else list(args))
    for name in ("X", "data"):
        if name in parameters:
            logger.warning("`%s` is deprecated: write `question` and `context`", name)
            return _listed(parameters[name])
    if "question" not in parameters or "context" not in parameters:
        raise InputError(
            "a question and its context are needed",
            hint='write question="...", context="..."',
        )
    question, context = parameters["question"], parameters["context"]
    if isinstance(question, list):
        questions = cast("list[Any]", question)
        several = isinstance(context, list)
        contexts = cast("list[Any]", context) if several else [context] * len(questions)
        if not isinstance(context, str | list) or len(questions) != len(contexts):
            raise InputError(
                f"there are {len(questions)} questions, and their contexts are not as many",
                hint="give one context for all of them, or a list of the same length",
            )
        return [{"question": q, "context": c} for q, c in zip(questions, contexts, strict=True)]
    if not isinstance(question, str) or not isinstance(context, str):
        raise InputError(
            f"question is a {type(question).__name__} and context a {type(context).__name__}; "
            "both must be strings, or question a list of them"
        )
    return [{"question": question, "context": context}]


def _listed(inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return [inputs]
    if is_stream(inputs):
        return inputs
    if isinstance(inputs, Iterable):
        return list(cast("Iterable[Any]", inputs))
    raise InputError(f"a {type(inputs).__name__} is not a question with its context")


def _example(item: Any) -> dict[str, str]:
    if hasattr(item, "question_text"):  # a SquadExample
        item = {"question": item.question_text, "context": item.context_text}
    if not isinstance(item, Mapping):
        raise InputError(
            f"a {type(item).__name__} is not a question with its context",
            hint='give {"question": "...", "context": "..."}',
        )
    example = cast("Mapping[str, Any]", item)
    for name in ("question", "context"):
        if name not in example:
            raise MissingKeyError(
                f"an input has the keys {', '.join(map(str, example))}, and no `{name}`",
                hint='give {"question": "...", "context": "..."}',
            )
        if example[name] is None or (isinstance(example[name], str) and not example[name]):
            raise InputError(f"`{name}` is empty")
        if not isinstance(example[name], str):
            raise InputError(f"`{name}` is a {type(example[name]).__name__}, not a string")
    return {"question": example["question"], "context": example["context"]}


def _probabilities(logits: NDArray[np.float32], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    raised = np.where(allowed, logits, FORBIDDEN).astype(np.float64)
    raised = np.exp(raised - raised.max())
    return raised / raised.sum()


def _spans(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    top_k: int,
    max_answer_len: int,
    allowed: NDArray[np.bool_],
) -> list[tuple[int, int, float]]:
    """The best spans as (first token, last token, score), the score being start times end.

    Both ends are among the allowed tokens; the span is not longer than max_answer_len.
    """
    scores = np.tril(np.triu(np.outer(start, end)), max_answer_len - 1).ravel()
    if top_k == 1:
        best = np.array([scores.argmax()])
    elif len(scores) < top_k:
        best = np.argsort(-scores)
    else:
        best = np.argpartition(-scores, top_k)[:top_k]
        best = best[np.argsort(-scores[best])]
    pairs = zip(*np.unravel_index(best, (len(start), len(end))), scores[best], strict=True)
    return [(int(s), int(e), float(p)) for s, e, p in pairs if allowed[s] and allowed[e]]


def _without_particles(
    answers: list[dict[str, Any]], context: str, num_candidates: int
) -> list[dict[str, Any]]:
    """The best answers without the particles behind them; what then is the same is one answer."""
    found: dict[str, dict[str, Any]] = {}
    best = sorted(answers, key=lambda answer: answer["score"], reverse=True)[:num_candidates]
    for answer in best:
        start = answer["start"]
        end = korean.without_particles(context, start, answer["end"])
        words = context[start:end]
        same = found.setdefault(
            words.lower(), {"score": 0.0, "start": start, "end": end, "answer": words}
        )
        same["score"] += answer["score"]
    return list(found.values())


def _characters(
    window: Encoded, first: int, last: int, sequence: int, align_to_words: bool
) -> tuple[int, int]:
    """Where a span of tokens begins and ends in the context."""
    encoding = window.encoding
    if align_to_words:
        words = encoding.token_to_word(first), encoding.token_to_word(last)
        if words[0] is not None and words[1] is not None:
            spans = [encoding.word_to_chars(word, sequence) for word in words if word is not None]
            if spans[0] is not None and spans[1] is not None:
                return spans[0][0], spans[1][1]
    return encoding.offsets[first][0], encoding.offsets[last][1]
