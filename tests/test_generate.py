"""Generation beyond the golden texts: what is sampled from, seeds, batches, streams, stops."""

from __future__ import annotations

import copy
import functools
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import silmu
from silmu.errors import InputError, InvalidModelError, SilmuError, UsageError
from silmu.runtime.decoder import CachedDecoder
from silmu.runtime.generate import Settings, merged
from silmu.runtime.generate.sampling import Sampler, draw_several

HERE = Path(__file__).parent
SAMPLING: dict[str, Any] = json.loads((HERE / "golden" / "sampling.json").read_text())
ONCE, SEA, KEEPER = "Once upon a time", "The sea", "The lighthouse keeper climbed"
HELLO = "안녕하세요, the dragon"


@pytest.fixture(scope="module")
def pipe() -> Any:
    return silmu.pipeline("text-generation", model=HERE / "models" / "gpt2-lm")


@pytest.fixture(scope="module")
def write(pipe: Any) -> Any:
    # At the call: this model's task_specific_params win over the constructor, as GPT-2's do.
    return functools.partial(pipe, do_sample=False)


@pytest.mark.parametrize("case", SAMPLING["cases"], ids=lambda c: f"{c['settings']}-{c['scores']}")
def test_samples_from_the_tokens_that_transformers_leaves_in(case: dict[str, Any]) -> None:
    given_scores = SAMPLING["scores"][case["scores"]]
    scores = np.array([-np.inf if x is None else x for x in given_scores], np.float32)
    tokens, kept = Sampler(Settings(do_sample=True, **case["settings"])).kept(scores)
    order = np.argsort(tokens)
    # What is forbidden stays so: it can be among the kept only with probability zero.
    finite = np.isfinite(kept[order])
    assert tokens[order][finite].tolist() == case["tokens"]
    np.testing.assert_allclose(kept[order][finite], case["bent"], atol=2e-5)


def test_draws_each_token_as_often_as_its_probability_says() -> None:
    scores = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    sampler = Sampler(Settings(do_sample=True))
    random = np.random.default_rng(1)
    drawn = np.bincount([sampler.draw(scores, random) for _ in range(20_000)], minlength=4)
    np.testing.assert_allclose(drawn / 20_000, [0.5, 0.3, 0.15, 0.05], atol=0.012)


@pytest.mark.parametrize("cutoff", ["epsilon_cutoff", "eta_cutoff"])
def test_of_tokens_that_are_equally_good_all_stay_or_none(cutoff: str) -> None:
    scores = np.array([1.0, 3.0, 3.0, 0.0, 3.0], np.float32)  # the best have 0.3 each
    kept, _ = Sampler(Settings(do_sample=True, **{cutoff: 0.9})).kept(scores)  # type: ignore[arg-type]
    assert sorted(kept.tolist()) == [1, 2, 4]


def test_draws_several_without_replacement() -> None:
    scores = np.log(np.array([0.7, 0.2, 0.1], np.float32))
    random = np.random.default_rng(1)
    draws = [tuple(draw_several(scores, 2, random)) for _ in range(5_000)]
    assert all(a != b for a, b in draws)
    first = np.bincount([a for a, _ in draws], minlength=3) / len(draws)
    np.testing.assert_allclose(first, [0.7, 0.2, 0.1], atol=0.03)


def test_a_seed_repeats_an_answer_in_any_batch(write: Any) -> None:
    options = {"do_sample": True, "seed": 7, "max_new_tokens": 12, "num_return_sequences": 2}
    alone = [write(prompt, **options) for prompt in (ONCE, SEA, KEEPER)]
    together = write([KEEPER, ONCE, SEA], **options)
    assert together == [alone[2], alone[0], alone[1]]
    assert alone[0][0] != alone[0][1], "two answers to one prompt are drawn apart"
    assert write(ONCE, **{**options, "seed": 8}) != alone[0]


def test_set_seed_repeats_a_program(write: Any) -> None:
    def program() -> list[Any]:
        silmu.set_seed(42)
        return [write(ONCE, do_sample=True, max_new_tokens=12) for _ in range(3)]

    first = program()
    assert program() == first
    assert first[0] != first[1], "the calls of one program differ from each other"


@settings(max_examples=25, deadline=None)
@given(
    prompts=st.lists(
        st.sampled_from([ONCE, SEA, KEEPER, HELLO, "a", " ", ""]), min_size=1, max_size=9
    ),
    batch_size=st.sampled_from([None, 1, 2, 3]),
    options=st.sampled_from(
        [
            {},
            {"num_beams": 3, "num_return_sequences": 2},
            {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2},
            {"eos_token_id": [53, 14, 259]},
            {"num_beams": 4, "eos_token_id": [53, 14], "early_stopping": True},
            {"guidance_scale": 1.5},
            {"max_length": 30},
        ]
    ),
)
def test_a_prompt_gets_the_same_answer_whoever_is_beside_it(
    write: Any, prompts: list[str], batch_size: int | None, options: dict[str, Any]
) -> None:
    how = {"max_new_tokens": 8, **options}
    if "max_length" in options:
        del how["max_new_tokens"]
    together = write(prompts, batch_size=batch_size, **how)
    assert together == [write(prompt, **how) for prompt in prompts]


@pytest.mark.parametrize(
    ("options", "most"),
    [({}, 8192 // 129), ({"num_beams": 4}, 8192 // (4 * 129))],
    ids=["greedy", "beams"],
)
def test_a_batch_keeps_to_what_its_cache_may_take(
    write: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], most: int
) -> None:
    rows: list[int] = []
    start = CachedDecoder.start

    def seen(self: CachedDecoder, prompts: Any, capacity: int) -> Any:
        rows.append(len(prompts))
        return start(self, prompts, capacity)

    monkeypatch.setattr(CachedDecoder, "start", seen)
    # 12 tokens and room for 117, the first of which ends the text.
    how = {"max_new_tokens": 117, "eos_token_id": list(range(320)), **options}
    write([ONCE] * 150, **how)
    assert sum(rows) == 150
    assert max(rows) == most


def test_threads_share_a_pipeline(write: Any) -> None:
    prompts = [ONCE, SEA, KEEPER, HELLO] * 3
    expected = [write(prompt, max_new_tokens=10) for prompt in prompts]
    found: list[Any] = [None] * len(prompts)

    def ask(i: int) -> None:
        found[i] = write(prompts[i], max_new_tokens=10)

    threads = [threading.Thread(target=ask, args=[i]) for i in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_text_is_streamed_word_by_word(
    pipe: Any, write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = write(ONCE, max_new_tokens=10, streamer=silmu.TextStreamer(pipe.tokenizer))
    assert capsys.readouterr().out == answer[0]["generated_text"] + "\n"


def test_an_iterator_gets_the_text_while_it_is_written(pipe: Any, write: Any) -> None:
    streamer = silmu.TextIteratorStreamer(pipe.tokenizer, skip_prompt=True, timeout=60)
    thread = threading.Thread(
        target=write, args=[ONCE], kwargs={"max_new_tokens": 30, "streamer": streamer}
    )
    thread.start()
    pieces = list(streamer)
    thread.join()
    assert len([piece for piece in pieces if piece]) > 3
    whole = write(ONCE, max_new_tokens=30, return_full_text=False)[0]["generated_text"]
    assert "".join(pieces) == whole


def test_a_streamer_sees_the_prompt_then_single_tokens(write: Any) -> None:
    class Seen:
        def __init__(self) -> None:
            self.values: list[Any] = []
            self.ended = 0

        def put(self, value: Any) -> None:
            self.values.append(value)

        def end(self) -> None:
            self.ended += 1

    seen = Seen()
    ids = write(ONCE, max_new_tokens=5, return_tensors=True, streamer=seen)[0]
    assert [value.shape for value in seen.values] == [(1, 12), *[(1,)] * 5]
    assert np.concatenate([v.ravel() for v in seen.values]).tolist() == ids["generated_token_ids"]
    assert seen.ended == 1


@pytest.mark.parametrize(
    "options", [{"num_beams": 2}, {"do_sample": True, "num_return_sequences": 2}]
)
def test_a_streamer_follows_one_text_only(pipe: Any, write: Any, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        write(ONCE, streamer=silmu.TextStreamer(pipe.tokenizer), **options)


def test_a_reader_is_not_left_waiting_when_generation_fails(pipe: Any, write: Any) -> None:
    def fail(ids: Any, scores: Any) -> Any:
        raise ZeroDivisionError

    streamer = silmu.TextIteratorStreamer(pipe.tokenizer, timeout=5)
    with pytest.raises(ZeroDivisionError):
        write(ONCE, streamer=streamer, logits_processor=[fail])
    assert "".join(streamer) == ONCE


@pytest.mark.parametrize("name", ["output_attentions", "assistant_model", "output_hidden_states"])
def test_what_is_not_followed_is_said(
    write: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert write(ONCE, max_new_tokens=4, **{name: True}) == write(ONCE, max_new_tokens=4)
    assert name in caplog.text


def test_own_functions_bend_scores_stop_and_allow(write: Any) -> None:
    shapes: set[tuple[int, ...]] = set()

    def never_v(ids: Any, scores: Any) -> Any:
        shapes.add(scores.shape)
        scores[:, 53] = -np.inf
        return scores

    bent = write(ONCE, max_new_tokens=8, return_tensors=True, logits_processor=[never_v])
    assert 53 not in bent[0]["generated_token_ids"][12:]
    assert shapes == {(1, 320)}
    stopped = write(
        ONCE,
        max_new_tokens=8,
        return_tensors=True,
        stopping_criteria=[lambda i, _: i.shape[1] >= 15],
    )
    assert len(stopped[0]["generated_token_ids"]) == 15
    allowed = write(
        ONCE, max_new_tokens=4, return_tensors=True, prefix_allowed_tokens_fn=lambda _, ids: [9, 10]
    )
    assert set(allowed[0]["generated_token_ids"][12:]) <= {9, 10}


def test_time_can_run_out(write: Any) -> None:
    short = write(ONCE, max_new_tokens=100, max_time=0.0, return_tensors=True)
    assert len(short[0]["generated_token_ids"]) == 12 + 1


@pytest.mark.parametrize("start", range(0, 24, 3))
def test_a_stop_string_ends_the_text_with_the_token_that_completes_it(
    write: Any, start: int
) -> None:
    how = {"max_new_tokens": 40, "return_tensors": True}
    texts = [
        write(ONCE, **{**how, "max_new_tokens": n})[0]["generated_token_ids"] for n in range(1, 41)
    ]
    decoded = [write.func.tokenizer.decode(ids)[len(ONCE) :] for ids in texts]
    stop = decoded[-1][start : start + 4]
    first = next(ids for ids, text in zip(texts, decoded, strict=True) if stop in text)
    assert write(ONCE, stop_strings=[stop], **how)[0]["generated_token_ids"] == first


WRONG: list[dict[str, Any]] = [
    {"temperature": 0.0, "do_sample": True},
    {"temperature": -1.0},
    {"temperature": float("nan")},
    {"top_p": 1.5},
    {"top_k": -1},
    {"max_new_tokens": 0},
    {"max_new_tokens": 1.5},
    {"max_new_tokens": True},
    {"num_beams": 0},
    {"num_beams": 1 << 20},
    {"num_return_sequences": 2, "do_sample": False},
    {"num_beams": 2, "num_return_sequences": 3},
    {"early_stopping": "soon"},
    {"eos_token_id": "x"},
    {"eos_token_id": [-1]},
    {"bad_words_ids": [[-1]]},
    {"bad_words_ids": [[99999]]},
    {"sequence_bias": [[[1], 2]]},
    {"sequence_bias": "x"},
    {"stop_strings": [""]},
    {"stop_strings": 3},
    {"suppress_tokens": 3},
    {"forced_bos_token_id": 99999},
    {"forced_eos_token_id": 99999},
    {"exponential_decay_length_penalty": [1]},
    {"repetition_penalty": "x"},
    {"max_time": -1},
    {"seed": -1},
    {"do_sample": "yes"},
    {"handle_long_generation": "cut"},
    {"return_type": "WORDS"},
    {"nonsense": 1},
    {"max_new_token": 5},
    {"penalty_alpha": 0.6},
    {"custom_generate": "someone/code"},
    {"trust_remote_code": True},
    {"num_beam_groups": 2, "num_beams": 4},
    {"watermarking_config": {"bias": 1.0}},
    {"logits_processor": [lambda ids, scores: scores[:, :5]]},
    {"prefix_allowed_tokens_fn": lambda _, ids: []},
]


@pytest.mark.parametrize(
    "options", WRONG, ids=lambda o: ",".join(f"{k}={v}"[:40] for k, v in o.items())
)
def test_a_wrong_setting_is_refused_with_what_is_allowed(
    write: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError) as caught:
        write(ONCE, **{"max_new_tokens": 4, **options})
    assert any(name in str(caught.value) for name in options)


def test_a_misspelt_setting_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean `max_new_tokens`"):
        merged({"max_new_token": 5})


def test_every_token_forbidden_is_said(write: Any) -> None:
    with pytest.raises(InputError, match="forbid every one"):
        write(ONCE, do_sample=True, suppress_tokens=list(range(320)))


@pytest.mark.parametrize("num_beams", [1, 3])
def test_an_end_that_is_forbidden_stays_so_however_late_it_is(write: Any, num_beams: int) -> None:
    ends = [*range(0, 320, 2)]
    how = {"eos_token_id": ends, "num_beams": num_beams, "max_new_tokens": 12}
    late = {"exponential_decay_length_penalty": (1, 2.0), "pad_token_id": 1}
    shape = {"return_tensors": True}
    bare = write(ONCE, max_new_tokens=1, **shape)[0]["generated_token_ids"]
    found = write(ONCE, min_new_tokens=9, **how, **late, **shape)[0]["generated_token_ids"]
    new = found[len(bare) - 1 :]
    assert len(new) >= 9
    assert not {*new[:9]} & {*ends}


def test_beams_are_filled_up_with_the_end_where_the_padding_token_has_no_number() -> None:
    ends = {"eos_token_id": [7, 8], "pad_token_id": 0}
    assert Settings(num_beams=2, **ends).padding == 7
    assert Settings(num_beams=1, **ends).padding == 0
    assert Settings(num_beams=2, eos_token_id=7, pad_token_id=3).padding == 3


@pytest.mark.parametrize(
    "values",
    [{"num_beams": "x"}, {"eos_token_id": {}}, {"temperature": []}, {"bad_words_ids": "abc"}],
)
def test_a_broken_generation_config_is_the_models_fault(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    for file in (HERE / "models" / "gpt2-lm").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "generation_config.json").write_text(json.dumps(values))
    with pytest.raises(InvalidModelError, match=r"generation_config\.json"):
        silmu.pipeline("text-generation", model=tmp_path)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_of_what_a_call_begins_with_is_by_itself(copied: Any) -> None:
    pipe = silmu.pipeline("text-generation", HERE / "models" / "gpt2-lm")
    changed = copied(pipe.generation_config)
    changed.max_new_tokens, changed.do_sample = 3, False
    assert (pipe.generation_config.max_new_tokens, changed.max_new_tokens) == (256, 3)
    assert changed.to_dict()["max_new_tokens"] == 3
    expected = pipe("The sea", max_new_tokens=3, do_sample=False)
    assert pipe("The sea", generation_config=changed) == expected


def test_an_answer_stops_where_the_model_ends(write: Any, caplog: pytest.LogCaptureFixture) -> None:
    answer = write(" the" * 120, max_new_tokens=50, return_tensors=True)
    assert len(answer[0]["generated_token_ids"]) == 129
    assert "room for 9" in caplog.text
    with pytest.raises(SilmuError, match="sees at most 128"):
        write(" the" * 129, max_new_tokens=1)


def test_an_id_without_an_embedding_is_refused_with_both_numbers(tmp_path: Path) -> None:
    for file in (HERE / "models" / "gpt2-lm").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    # As many tokens as embeddings, but one of them far beyond.
    tokenizer["model"]["vocab"]["a"] = 5000
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    write = silmu.pipeline("text-generation", model=tmp_path)
    with pytest.raises(InvalidModelError, match=r"5,000.*320"):
        write("a", max_new_tokens=1)
