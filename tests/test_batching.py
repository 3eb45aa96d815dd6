"""How inputs are read, cut into batches and answered: in order, and the same however it is done."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from silmu import pipeline
from silmu.errors import InputError, UsageError
from silmu.pipelines import Pipeline, _base

MODELS = Path(__file__).parent / "models"
WORDS = [
    *(
        "the",
        "sea",
        "cold",
        "letter",
        "lighthouse",
        "keeper",
        "climbed",
        "stairs",
        "evening",
        "not",
    ),
    *(
        "wonderful",
        "terrible",
        "product",
        "broke",
        "café",
        "naïve",
        "한국",
        "서울",
        "학생은",
        "질문에",
    ),
    *("🚀", "1987", "e-mail", "a.b@c.org", "[SEP]", "...", "?!", "Zoë", "it", "was", "I"),
]
STORY = "My name is Clara and I live in Hamburg with two cats. The company was founded in 1987. "
TOLERANCE = 1e-5


@cache
def classifier(model: str = "bert-sequence") -> Pipeline:
    return pipeline(
        "text-classification",
        str(MODELS / model),
        truncation=True,
        top_k=None,
        function_to_apply="none",
    )


@cache
def reader() -> Pipeline:
    return pipeline("question-answering", str(MODELS / "bert-qa"), max_seq_len=48, doc_stride=8)


def text(chance: random.Random, most: int = 60) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(1, most)))


def texts(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    return [text(chance) for _ in range(count)]


def questions(seed: int, count: int) -> list[dict[str, str]]:
    chance = random.Random(seed)
    return [
        {"question": text(chance, 6), "context": STORY * chance.randint(0, 3) + text(chance)}
        for _ in range(count)
    ]


def one_by_one(pipe: Pipeline, items: list[Any]) -> list[Any]:
    # A single text would be wrapped in one list more than those of a list.
    return [pipe([item]) if pipe is reader() else pipe([item])[0] for item in items]


def apart(found: Any, expected: Any) -> float:
    """The largest difference of scores; all else must be equal."""
    if isinstance(expected, list):
        assert len(found) == len(expected)
        return max((apart(*pair) for pair in zip(found, expected, strict=True)), default=0.0)
    assert {**found, "score": 0} == {**expected, "score": 0}
    return abs(found["score"] - expected["score"])


class Rows:
    """A data set: numbered items and a length, and nothing to iterate with."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        return self.items[i]


# The same answers, in the order of the inputs.


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 7, 40, 1000])
@pytest.mark.parametrize("form", [list, iter, Rows])
def test_any_form_and_batch_size(form: Callable[[list[str]], Any], batch_size: int | None) -> None:
    items = texts(1, 40)
    answers = list(classifier()(form(items), batch_size=batch_size))
    assert apart(answers, one_by_one(classifier(), items)) <= TOLERANCE


@pytest.mark.parametrize("seed", range(5))
def test_any_order(seed: int) -> None:
    items = texts(2, 40)
    expected = dict(zip(items, one_by_one(classifier(), items), strict=True))
    random.Random(seed).shuffle(items)
    assert apart(classifier()(items), [expected[item] for item in items]) <= TOLERANCE


def test_more_than_is_read_ahead() -> None:
    few = texts(3, 8)
    items = list(itertools.islice(itertools.cycle(few), 2 * _base.READ_AHEAD + 3))
    expected = one_by_one(classifier(), few)
    for answers in (classifier()(items), classifier()(iter(items))):
        for i, answer in enumerate(answers):
            assert apart(answer, expected[i % len(few)]) <= TOLERANCE


@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_inputs_that_take_several_windows(batch_size: int | None) -> None:
    items = questions(4, 12)
    expected = one_by_one(reader(), items)
    assert apart(reader()(items, batch_size=batch_size), expected) <= TOLERANCE
    assert apart(list(reader()(iter(items), batch_size=batch_size)), expected) <= TOLERANCE


LABELS = ["the sea", "a letter that was written in 1987", "서울"]
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "token-classification": (
        "bert-ner",
        {"aggregation_strategy": "first", "ignore_labels": [], "stride": 8},
    ),
    "fill-mask": ("distilbert-mask", {"top_k": 2}),
    "zero-shot-classification": ("bert-nli", {"candidate_labels": LABELS}),
}


@cache
def other(task: str) -> Pipeline:
    model, options = OTHERS[task]
    return pipeline(task, str(MODELS / model), **options)


def nearly(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(nearly, found, expected))
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(nearly(found[k], expected[k]) for k in found)
    return abs(found - expected) <= TOLERANCE if type(expected) is float else found == expected


@pytest.mark.parametrize("batch_size", [None, 1, 3, 1000])
@pytest.mark.parametrize("form", [list, iter, Rows])
@pytest.mark.parametrize("task", OTHERS)
def test_any_form_and_batch_size_of_any_task(
    task: str, form: Callable[[list[str]], Any], batch_size: int | None
) -> None:
    items = [f"[MASK] {item}" for item in texts(17, 24)]
    items[3] = " ".join(items)[: 700 if task == "fill-mask" else None]
    options = {"tokenizer_kwargs": {"truncation": True}} if task == "fill-mask" else {}
    alone = [other(task)(item, **options) for item in items]
    assert nearly(list(other(task)(form(items), batch_size=batch_size, **options)), alone)
    assert not nearly(alone[1:], alone[:-1])


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=12),
    st.none() | st.integers(1, 13),
)
def test_any_texts(items: list[str], batch_size: int | None) -> None:
    answers = classifier()(items, batch_size=batch_size)
    assert apart(answers, one_by_one(classifier(), items)) <= TOLERANCE


def test_from_many_threads() -> None:
    items = texts(5, 64)
    asked = questions(6, 8)
    expected = one_by_one(classifier(), items), one_by_one(reader(), asked)

    def work(seed: int) -> float:
        order = list(range(len(items)))
        random.Random(seed).shuffle(order)
        labels = classifier()([items[i] for i in order])
        answers = reader()(asked)
        return max(apart(labels, [expected[0][i] for i in order]), apart(answers, expected[1]))

    with ThreadPoolExecutor(8) as threads:
        assert max(threads.map(work, range(32))) <= TOLERANCE


def test_generation_from_many_threads() -> None:
    write = pipeline("text-generation", str(MODELS / "gpt2-lm"), max_new_tokens=6)
    prompts = ["Once upon a time", "The sea", "The lighthouse keeper climbed", "안녕하세요"]
    expected = [write(prompt, do_sample=False) for prompt in prompts]

    def work(seed: int) -> bool:
        order = random.Random(seed).sample(range(len(prompts)), len(prompts))
        answers = write([prompts[i] for i in order], do_sample=False)
        return answers == [expected[i] for i in order]

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(16)))


# An answer does not depend on what else is in the batch.


def spread(pipe: Pipeline, items: list[Any], seed: int, batches: int, size: int) -> float:
    """The largest difference between an item's answer alone and in random company."""
    alone = one_by_one(pipe, items)
    chance = random.Random(seed)
    most = 0.0
    for _ in range(batches):
        chosen = chance.choices(range(len(items)), k=size)
        answers = pipe([items[i] for i in chosen], batch_size=size)
        most = max(most, apart(answers, [alone[i] for i in chosen]))
    return most


@pytest.mark.parametrize("model", ["bert-sequence", "distilbert-sequence"])
def test_company_changes_no_label(model: str) -> None:
    assert spread(classifier(model), texts(7, 60), seed=8, batches=70, size=10) <= 1e-4


def test_company_changes_no_span() -> None:
    assert spread(reader(), questions(9, 40), seed=10, batches=60, size=10) <= 1e-4


def test_a_row_that_sees_padding_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    session = classifier().model.session
    run = session.run

    def careless(feeds: dict[str, Any], *rest: Any) -> Any:
        return run({**feeds, "attention_mask": np.ones_like(feeds["input_ids"])}, *rest)

    monkeypatch.setattr(session, "run", careless)
    with pytest.raises(AssertionError):
        assert spread(classifier(), texts(7, 20), seed=8, batches=3, size=10) <= 1e-4


# Batches are cut by tokens.


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The (rows, tokens) of every batch that the classifier's session gets."""
    seen: list[tuple[int, int]] = []
    session = classifier().model.session
    run = session.run

    def spy(feeds: dict[str, Any], *rest: Any) -> Any:
        seen.append(feeds["input_ids"].shape)
        return run(feeds, *rest)

    monkeypatch.setattr(session, "run", spy)
    return seen


def test_batches_keep_to_the_token_budget(shapes: list[tuple[int, int]]) -> None:
    items = texts(11, 100)
    classifier()(items)
    budget = classifier().token_budget
    assert sum(rows for rows, _ in shapes) == 100
    assert all(rows == 1 or rows * tokens <= budget for rows, tokens in shapes)
    # Short ones are many to a batch, long ones few: a fixed count would be neither.
    assert max(shapes)[0] > 2 * min(shapes)[0]
    # And they are full: one more row of the next batch would not have fitted.
    for (rows, _), (_, longer) in itertools.pairwise(shapes):
        assert (rows + 1) * longer > budget


def test_batches_waste_little_padding(shapes: list[tuple[int, int]]) -> None:
    items = texts(12, 100)
    classifier()(items)
    computed = sum(rows * tokens for rows, tokens in shapes)
    shapes.clear()
    for item in items:
        classifier()([item])
    assert computed < 1.15 * sum(rows * tokens for rows, tokens in shapes)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batch_size_is_a_limit(batch_size: int, shapes: list[tuple[int, int]]) -> None:
    classifier()(texts(13, 23), batch_size=batch_size)
    assert max(rows for rows, _ in shapes) == batch_size
    assert sum(rows for rows, _ in shapes) == 23


@pytest.mark.parametrize("batch_size", [0, -1, True, 1.5, "2"])
def test_a_wrong_batch_size_is_refused(batch_size: Any) -> None:
    with pytest.raises(UsageError, match="batch_size"):
        classifier()(["a"], batch_size=batch_size)


# Streams are read no further ahead than they must be.


class Source:
    """Texts without end, and how many were asked for."""

    def __init__(self, delay: Callable[[], None] = lambda: None) -> None:
        self.read = 0
        self.delay = delay

    def __iter__(self) -> Iterator[str]:
        for item in itertools.cycle(texts(14, 7)):
            self.delay()
            self.read += 1
            yield item


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that stands still until it is moved."""
    now = 0.0

    def move(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(_base.time, "perf_counter", lambda: now)
    return move


def test_a_stream_without_end(clock: Callable[[float], None]) -> None:
    source = Source()
    answers = classifier()(iter(source))
    assert source.read == 0
    expected = one_by_one(classifier(), texts(14, 7))
    ahead: list[int] = []
    for i, answer in enumerate(itertools.islice(answers, 600)):
        ahead.append(source.read - i)
        assert apart(answer, expected[i % 7]) <= TOLERANCE
    assert ahead[0] == 1, "the first answer comes before the second input is asked for"
    assert 1 < max(ahead) <= _base.READ_AHEAD


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batch_size_limits_what_is_read_ahead(
    batch_size: int, clock: Callable[[float], None]
) -> None:
    source = Source()
    answers = classifier()(iter(source), batch_size=batch_size)
    for i, _ in enumerate(itertools.islice(answers, 40)):
        assert source.read - i <= batch_size


def test_a_slow_source_is_not_waited_for(clock: Callable[[float], None]) -> None:
    source = Source(delay=lambda: clock(2 * _base.SLOW_SOURCE_SECONDS))
    for i, _ in enumerate(itertools.islice(classifier()(iter(source)), 20)):
        assert source.read == i + 1


def test_a_source_that_becomes_slow(clock: Callable[[float], None]) -> None:
    """What had been read when the slow item came is answered with it, before the next."""
    source = Source()
    source.delay = lambda: clock(1.0 if source.read >= 100 else 0.0)
    answers = classifier()(iter(source))
    for i, _ in enumerate(itertools.islice(answers, 150)):
        if i >= 100:
            assert source.read == i + 1


def test_a_data_set_gives_answers_with_a_length() -> None:
    answers = classifier()(Rows(texts(15, 5)))
    assert len(answers) == 5
    assert len(list(answers)) == 5


# Errors name the place, and take nothing away from what came before.


@pytest.mark.parametrize("place", [0, 1, 4, 30])
@pytest.mark.parametrize("wrong", [None, 3, "x " * 300])
def test_a_wrong_item_of_a_stream(place: int, wrong: Any) -> None:
    pipe = pipeline("text-classification", str(MODELS / "bert-sequence"), top_k=None)
    items: list[Any] = [item[:40] for item in texts(16, 35)]
    items[place] = wrong
    answers = pipe(iter(items))
    found = [next(answers) for _ in range(place)]
    assert apart(found, [pipe([item])[0] for item in items[:place]]) <= TOLERANCE
    with pytest.raises(InputError) as caught:
        next(answers)
    assert caught.value.__notes__ == [f"input {place}, counted from 0"]


def test_a_wrong_item_of_a_list(shapes: list[tuple[int, int]]) -> None:
    with pytest.raises(InputError) as caught:
        classifier()(["one", "two", None, "four"])
    assert caught.value.__notes__ == ["input 2, counted from 0"]
    assert shapes == [], "the list is refused before anything is computed"


def test_a_single_wrong_input_has_no_place() -> None:
    with pytest.raises(InputError) as caught:
        classifier()(3)
    assert not hasattr(caught.value, "__notes__")


def test_a_source_that_fails() -> None:
    def failing() -> Iterator[str]:
        yield from ("one", "two", "three", "four")
        raise OSError("the disk is gone")

    answers = classifier()(failing())
    assert len([next(answers) for _ in range(4)]) == 4
    with pytest.raises(OSError, match="the disk is gone"):
        next(answers)
