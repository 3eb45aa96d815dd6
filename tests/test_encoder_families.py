"""RoBERTa and its kin, ELECTRA, MPNet and ALBERT, beyond what test_logits compares.

Reference numbers are in tests/golden/encoders.json: texts as long as a model can read, texts with
padding's id within them, and an answer of each family in each task, all of transformers 4.57.6.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import silmu
from silmu import graphs, registry
from silmu.errors import InputError, InvalidModelError, UnsupportedModelError
from silmu.graphs import _bert, mpnet
from silmu.pipelines._model import Model
from silmu.runtime.folder import Folder
from silmu.runtime.weights import Weights

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "encoders.json").read_text(encoding="utf-8")
)
LONGEST = 96
FAMILIES = ("roberta", "xlm-roberta", "camembert", "electra", "mpnet", "albert")
HEADS = {
    "base": "feature-extraction",
    "sequence": "text-classification",
    "qa": "question-answering",
    "tokens": "token-classification",
    "mask": "fill-mask",
    "groups": "text-classification",
}
Outputs = dict[str, NDArray[Any]]


def named(case: dict[str, Any]) -> str:
    return "-".join(str(case[key]) for key in ("model", "task") if key in case)


def run(folder: Path, rows: list[list[int]], head: str | None = None, **more: Any) -> Outputs:
    """What a model gives for rows of token ids, padded on the right with its own padding."""
    opened = Folder(folder, folder.name)
    pad = opened.config["pad_token_id"]
    width = max(map(len, rows))
    feeds = {
        "input_ids": np.array([row + [pad] * (width - len(row)) for row in rows]),
        "attention_mask": np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows]),
        "token_type_ids": np.zeros((len(rows), width), np.int64),
    }
    ending = folder.name.rpartition("-")[2]
    return graphs.open_session(opened, head or HEADS[ending]).run(feeds | more)


def compare(folder: Path, case: dict[str, Any]) -> None:
    found = run(folder, [case["ids"]])["last_hidden_state"][0, :: case["every"]]
    np.testing.assert_allclose(found, case["vectors"], rtol=1e-4, atol=1e-4)


def ids(folder: Path, *lengths: int) -> list[list[int]]:
    random = np.random.default_rng(7)
    size = Folder(folder, folder.name).config["vocab_size"]
    return [random.integers(5, size, length).tolist() for length in lengths]


def renamed(old: str, new: str) -> Callable[[Outputs], Outputs]:
    def tensors(stored: Outputs) -> Outputs:
        assert any(old in name for name in stored)
        return {name.replace(old, new): tensor for name, tensor in stored.items()}

    return tensors


# Positions and distances.


@pytest.mark.parametrize("case", GOLDEN["long"], ids=named)
def test_texts_as_long_as_a_model_can_read(case: dict[str, Any], models: Path) -> None:
    assert len(case["ids"]) == LONGEST
    compare(models / case["model"], case)


@pytest.mark.parametrize("case", GOLDEN["padding within"], ids=named)
def test_padding_within_a_text(case: dict[str, Any], models: Path) -> None:
    compare(models / case["model"], case)


def test_positions_that_count_padding_would_be_seen(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILMU_CACHE", str(tmp_path))
    monkeypatch.setattr(_bert, "_places", counts_all)
    for case in GOLDEN["padding within"][:3]:
        with pytest.raises(AssertionError):
            compare(models / case["model"], case)
    compare(models / "roberta-base", GOLDEN["long"][0])  # which has no padding


def counts_all(graph: Any, ids: str, padding: int) -> str:
    size = graph.node("Squeeze", graph.node("Shape", ids, start=1, end=2))
    places = graph.node("Range", graph.constant(0), size, graph.constant(1))
    places = graph.node("Add", places, graph.constant(padding + 1))
    return graph.node("Unsqueeze", places, graph.constant([0]))


def test_a_wrong_bucket_would_be_seen(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILMU_CACHE", str(tmp_path))
    right = mpnet._bucket
    monkeypatch.setattr(mpnet, "_bucket", lambda at: right(at - 1) if at == 64 else right(at))
    case = next(case for case in GOLDEN["long"] if case["model"] == "mpnet-base")
    with pytest.raises(AssertionError):
        compare(models / "mpnet-base", case)


def test_buckets_of_distances() -> None:
    """Beside the paper's formula, at distances where no rounding can decide."""
    for distance in range(1, 1000):
        if distance < 8:
            expected = distance
        elif math.log2(distance / 8) * 2 % 1 < 1e-9:  # a power of two
            expected = min(8 + round(math.log2(distance / 8) * 2), 15)
        else:
            expected = min(8 + int(math.log(distance / 8) / math.log(16) * 8), 15)
        found = mpnet._bucket(-distance), mpnet._bucket(distance)
        assert found == (expected, 16 + expected)
    assert mpnet._bucket(0) == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_knows_how_much_it_can_read(family: str, models: Path) -> None:
    pipe = silmu.pipeline("feature-extraction", str(models / f"{family}-base"))
    assert pipe.model.max_tokens == LONGEST
    pipe.tokenizer.model_max_length = 10**6
    words = "a " * (LONGEST - 1)
    with pytest.raises(InputError, match=f"at most {LONGEST}"):
        pipe(words + "a a a a")
    assert len(pipe(words, tokenize_kwargs={"truncation": True, "max_length": LONGEST})[0]) == (
        LONGEST
    )


@pytest.mark.parametrize(
    ("config", "first"),
    [
        ({"model_type": "roberta", "pad_token_id": 0}, 1),
        ({"model_type": "roberta"}, 2),
        ({"model_type": "camembert", "pad_token_id": 3}, 4),
        ({"model_type": "mpnet", "pad_token_id": 0}, 2),
        ({"model_type": "electra", "pad_token_id": 1}, 0),
        ({"model_type": "no such"}, 0),
    ],
)
def test_first_position(config: dict[str, Any], first: int) -> None:
    assert registry.first_position(config) == first


def test_padding_of_another_id(copy: Callable[..., Path], models: Path) -> None:
    """Positions follow config.json: with padding 0 the table is read from its second row on."""
    shifted = copy("roberta-base", _rolled, pad_token_id=0)
    rows = ids(shifted, 9)
    found = run(shifted, rows)["last_hidden_state"]
    expected = run(models / "roberta-base", rows)["last_hidden_state"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert Model(Folder(shifted, "x"), "feature-extraction").max_tokens == LONGEST + 1


def _rolled(stored: Outputs) -> Outputs:
    name = "embeddings.position_embeddings.weight"
    return stored | {name: np.roll(stored[name], -1, axis=0)}


# Neighbours in a batch.


@pytest.mark.parametrize("ending", ["base", "sequence", "qa", "tokens", "mask"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_does_not_depend_on_its_neighbours(
    family: str, ending: str, models: Path
) -> None:
    folder = models / f"{family}-{ending}"
    rows = ids(folder, 7, LONGEST, 1, 30)
    together = run(folder, rows)
    for i, row in enumerate(rows):
        for name, alone in run(folder, [row]).items():
            found = together[name][i : i + 1]
            if ending != "sequence":
                found = found[:, : len(row)]
            np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_neighbour_would_be_seen(family: str, models: Path) -> None:
    folder = models / f"{family}-sequence"
    rows = ids(folder, 7, 30)
    unmasked = run(folder, rows, attention_mask=np.ones((2, 30), np.int64))["logits"]
    assert np.abs(unmasked[0] - run(folder, rows[:1])["logits"][0]).max() > 1e-3


# Answers of pipelines.


@pytest.mark.parametrize(
    "case", [case for case in GOLDEN["answers"] if case["task"] in registry.pipelines()], ids=named
)
def test_answers(case: dict[str, Any], models: Path) -> None:
    pipe = silmu.pipeline(case["task"], str(models / case["model"]))
    given = case["input"]
    found = pipe(**given) if isinstance(given, dict) else pipe(given)
    alike(found[0] if case["task"] == "feature-extraction" else found, case["output"])


def alike(found: Any, expected: Any) -> None:
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            alike(one, other)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            alike(found[key], value)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
    else:
        assert found == expected


def test_segments_that_the_tokenizer_does_not_name(copy: Callable[..., Path], models: Path) -> None:
    """transformers gives a model only the inputs that the tokenizer's settings name."""
    folder = copy("electra-sequence")
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text()) | {"model_input_names": ["input_ids", "attention_mask"]}
    path.write_text(json.dumps(settings))
    named, unnamed = (
        silmu.pipeline("text-classification", str(each))
        for each in (models / "electra-sequence", folder)
    )
    pair = {"text": "Where do you live?", "text_pair": "I live in Hamburg."}
    # As 4.57.6 answers.
    alike(named(pair), {"label": "anger", "score": 0.8756846})
    alike(unnamed(pair), {"label": "sadness", "score": 0.6604621})
    assert unnamed(pair | {"return_token_type_ids": True}) == named(pair)


# Checkpoints as they occur.


def test_kinds_of_weights(models: Path) -> None:
    """The models that test_logits reads are of the kinds that they are there for."""

    def kinds(name: str) -> set[str]:
        opened = Weights.open(Folder(models / name, name))
        return {tensor.dtype for tensor in opened.tensors.values()}

    assert kinds("xlm-roberta-sequence") == {"F16"}
    assert kinds("camembert-sequence") == {"BF16"}
    assert len(list((models / "electra-wide").glob("*.safetensors"))) > 1
    for family in ("roberta", "mpnet", "albert", "electra"):
        tied, untied = (
            Weights.open(Folder(models / name, name)).tensors
            for name in (f"{family}-mask", f"{family}-mask-untied")
        )
        assert not [name for name in tied if name.endswith(("decoder.weight", "lm_head.weight"))]
        assert [name for name in untied if name.endswith(("decoder.weight", "lm_head.weight"))]


def same(folder: Path, original: Path, head: str) -> bool:
    rows = ids(original, 9, 5)
    found, expected = (run(each, rows, head)["logits"] for each in (folder, original))
    return np.array_equal(found, expected)


def test_buffers_of_older_checkpoints_are_left_alone(
    copy: Callable[..., Path], models: Path
) -> None:
    def buffers(stored: Outputs) -> Outputs:
        places = np.arange(LONGEST + 2, dtype=np.int64)[None]
        named = {f"roberta.embeddings.{name}": places for name in ("position_ids", "other_ids")}
        return stored | named

    folder = copy("roberta-sequence", buffers)
    assert same(folder, models / "roberta-sequence", "text-classification")


def test_names_without_the_prefix(copy: Callable[..., Path], models: Path) -> None:
    folder = copy("electra-tokens", renamed("electra.", ""))
    assert same(folder, models / "electra-tokens", "token-classification")


@pytest.mark.parametrize(
    ("name", "bias"),
    [("roberta-mask", "lm_head"), ("mpnet-mask", "lm_head"), ("albert-mask", "predictions")],
)
def test_a_decoder_bias_of_either_name(
    name: str, bias: str, copy: Callable[..., Path], models: Path
) -> None:
    folder = copy(name, renamed(f"{bias}.bias", f"{bias}.decoder.bias"))
    assert same(folder, models / name, "fill-mask")


def test_an_untied_decoder_has_a_bias_of_its_own(copy: Callable[..., Path], models: Path) -> None:
    def both(stored: Outputs) -> Outputs:
        bias = stored["lm_head.bias"]
        return stored | {"lm_head.decoder.bias": bias, "lm_head.bias": bias + 1}

    folder = copy("roberta-mask-untied", both)
    assert same(folder, models / "roberta-mask-untied", "fill-mask")


def test_an_untied_decoder_that_is_absent_is_refused(copy: Callable[..., Path]) -> None:
    folder = copy("roberta-mask", tie_word_embeddings=False)
    with pytest.raises(InvalidModelError, match=r"no tensor 'lm_head\.decoder"):
        run(folder, ids(folder, 5))


@pytest.mark.parametrize(
    ("name", "head"), [("albert-groups", "text-classification"), ("albert-mask", "fill-mask")]
)
def test_shared_weights_are_stored_once(name: str, head: str, models: Path) -> None:
    folder = models / name
    session = graphs.open_session(Folder(folder, name), head)
    written = (session.graph.parent / graphs.WEIGHTS).stat().st_size
    # Each of the larger tensors begins on a page of its own.
    num_tensors = len(Weights.open(Folder(folder, name)).tensors)
    assert written < (folder / "model.safetensors").stat().st_size + 4096 * num_tensors


# What is refused.


@pytest.mark.parametrize(
    ("name", "changes", "error", "said"),
    [
        ("roberta-sequence", {"is_decoder": True}, UnsupportedModelError, "is_decoder"),
        ("electra-qa", {"is_decoder": True}, UnsupportedModelError, "is_decoder"),
        (
            "camembert-base",
            {"position_embedding_type": "relative_key"},
            UnsupportedModelError,
            "position_embedding_type",
        ),
        (
            "albert-tokens",
            {"position_embedding_type": "relative_key_query"},
            UnsupportedModelError,
            "position_embedding_type",
        ),
        (
            "mpnet-base",
            {"relative_attention_num_buckets": 16},
            UnsupportedModelError,
            "relative_attention_num_buckets",
        ),
        ("mpnet-mask", {"hidden_act": "prelu"}, UnsupportedModelError, "hidden_act"),
        ("electra-mask", {"embedding_size": 32}, InvalidModelError, "word_embeddings"),
        ("electra-base", {"num_hidden_layers": 1}, InvalidModelError, "says 1 layers"),
        ("albert-groups", {"num_hidden_groups": 1}, InvalidModelError, "albert_layer_groups.1"),
        ("albert-groups", {"inner_group_num": 1}, InvalidModelError, "albert_layers.1"),
        ("albert-base", {"num_hidden_groups": 2}, InvalidModelError, "no tensor"),
        ("albert-base", {"inner_group_num": 2}, InvalidModelError, "no tensor"),
        ("mpnet-base", {"relative_attention_num_buckets": 64}, InvalidModelError, "relative"),
        ("roberta-qa", {"num_attention_heads": 5}, InvalidModelError, "5 attention heads"),
    ],
)
def test_refusals(
    name: str,
    changes: dict[str, Any],
    error: type[Exception],
    said: str,
    copy: Callable[..., Path],
) -> None:
    folder = copy(name, **changes)
    with pytest.raises(error, match=said):
        run(folder, ids(folder, 5))


def test_a_roberta_without_padding_is_refused(copy: Callable[..., Path]) -> None:
    folder = copy("roberta-base", pad_token_id=None)
    with pytest.raises(InvalidModelError, match="pad_token_id = null"):
        graphs.open_session(Folder(folder, "x"), "feature-extraction")


@pytest.mark.parametrize("task", ["text-classification", "question-answering", "fill-mask"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_bare_encoder_is_refused(family: str, task: str, models: Path) -> None:
    folder = Folder(models / f"{family}-base", family)
    with pytest.raises(UnsupportedModelError, match=f"not trained for {task}"):
        graphs.check(folder, task)
