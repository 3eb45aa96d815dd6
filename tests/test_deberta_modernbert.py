"""DeBERTa and ModernBERT over many tokens, in every variant, and what is refused of them.

tests/test_logits.py compares rows of six tokens. Here are rows of a hundred, which is far more than
the tiny models have buckets of distances, and than their local layers see.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import silmu
from silmu import graphs
from silmu.errors import InputError, InvalidModelError, UnsupportedModelError
from silmu.graphs import deberta_v2
from silmu.graphs._config import Config
from silmu.runtime.folder import Folder
from silmu.runtime.session import Session

GOLDEN = json.loads(
    (Path(__file__).parent / "golden" / "deberta_modernbert.json").read_text(encoding="utf-8")
)
HEADS = {
    "base": "feature-extraction",
    "c2p": "feature-extraction",
    "conv": "text-classification",
    "conv-groups": "text-classification",
    "fill": "fill-mask",
    "fill-lm-head": "fill-mask",
    "fill-untied": "fill-mask",
    "absolute": "fill-mask",
    "own-keys": "feature-extraction",
    "p2c": "feature-extraction",
    "qa": "question-answering",
    "sequence": "text-classification",
    "sequence-mean": "text-classification",
    "token": "token-classification",
}
Case = dict[str, Any]


def opened(folder: Path, head: str) -> Session:
    return graphs.open_session(Folder(folder, folder.name), head)


def head_of(name: str) -> str:
    return HEADS[name.split("-", 2 if name.startswith("deberta") else 1)[-1]]


def run(session: Session, rows: list[list[int]], mask: int = 0) -> list[NDArray[Any]]:
    """The first output of each row, without what stands at padding, if `mask` is 0 there."""
    width = max(map(len, rows))
    feeds = {
        "input_ids": np.array([row + [3] * (width - len(row)) for row in rows]),
        "attention_mask": np.array([[1] * len(row) + [mask] * (width - len(row)) for row in rows]),
        "token_type_ids": np.zeros((len(rows), width), np.int64),
    }
    (name, found), *_ = session.run(feeds).items()
    if "tokens" not in session.outputs[name].shape:
        return list(found)
    return [values[: len(row)] for values, row in zip(found, rows, strict=True)]


def edited(models: Path, tmp_path: Path, name: str, **changes: Any) -> Path:
    """A copy of a folder whose config.json says otherwise; None takes a key away."""
    folder = tmp_path / name
    shutil.copytree(models / name, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in config.items() if key not in changes or value is not None}
    (folder / "config.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


def long_case(name: str) -> Case:
    return next(case for case in GOLDEN["long"] if case["model"] == name)


def assert_long(session: Session, case: Case) -> None:
    (found,) = run(session, [case["ids"]])
    found = found[::11] if found.ndim == 2 else found
    np.testing.assert_allclose(found, case["values"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["model"]) for case in GOLDEN["long"]])
def test_long_rows(case: Case, models: Path) -> None:
    assert_long(opened(models / case["model"], head_of(case["model"])), case)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("deberta-v3-base", {"max_relative_positions": 40}),
        ("deberta-v2-c2p", {"max_relative_positions": 9}),
        ("modernbert-base", {"local_attention": 6}),
        ("modernbert-base", {"local_rope_theta": 20_000.0}),
        ("modernbert-base", {"global_attn_every_n_layers": 2}),
        ("modernbert-sequence-mean", {"classifier_pooling": "cls"}),
    ],
)
def test_a_wrong_distance_would_be_seen(
    name: str, changes: Case, models: Path, tmp_path: Path
) -> None:
    folder = edited(models, tmp_path, name, **changes)
    with pytest.raises(AssertionError):
        assert_long(opened(folder, head_of(name)), long_case(name))


@pytest.mark.parametrize("case", GOLDEN["buckets"], ids=lambda case: f"{case['buckets']}")
def test_every_distance_has_the_bucket_that_transformers_gives_it(case: Case) -> None:
    size, farthest = case["buckets"], case["farthest"]
    expected = [number for number, times in case["runs"] for _ in range(times)]
    # Beyond the farthest distance nothing changes: transformers was asked nine further.
    assert set(expected[:10]) == {expected[0]}
    assert set(expected[-10:]) == {expected[-1]}
    assert deberta_v2.numbers(Config({}, "x"), size, farthest).tolist() == expected[9:-9]


@pytest.mark.parametrize(
    "name",
    [
        "deberta-v3-base",
        "deberta-v3-fill",
        "deberta-v3-fill-lm-head",
        "deberta-v3-qa",
        "deberta-v3-sequence",
        "deberta-v3-token",
        "deberta-v2-conv",
        "deberta-v2-conv-groups",
        "deberta-v2-own-keys",
        "modernbert-base",
        "modernbert-fill",
        "modernbert-qa",
        "modernbert-sequence",
        "modernbert-sequence-mean",
        "modernbert-token",
    ],
)
def test_a_row_does_not_see_its_padding(name: str, models: Path) -> None:
    session = opened(models / name, head_of(name))
    rows = np.random.default_rng(7).integers(5, 300, (5, 60)).tolist()
    rows = [row[:n] for row, n in zip(rows, (60, 1, 2, 7, 31), strict=True)]
    together = run(session, rows)
    for row, found in zip(rows, together, strict=True):
        (alone,) = run(session, [row])
        np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-4)
    unmasked = run(session, rows, mask=1)
    assert not np.allclose(together[3], unmasked[3], atol=1e-2)


V5 = {
    "global_attn_every_n_layers": None,
    "global_rope_theta": None,
    "local_rope_theta": None,
    "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 160_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    },
}


def test_a_config_as_transformers_5_writes_it(models: Path, tmp_path: Path) -> None:
    case = long_case("modernbert-base")
    assert_long(opened(edited(models, tmp_path, case["model"], **V5), "feature-extraction"), case)
    (tmp_path / "other").mkdir()
    kinds = ["full_attention", "full_attention", "sliding_attention"]
    folder = edited(models, tmp_path / "other", case["model"], **V5 | {"layer_types": kinds})
    with pytest.raises(AssertionError):
        assert_long(opened(folder, "feature-extraction"), case)


def test_local_layers_without_a_base_of_their_own_turn_as_global_ones(
    models: Path, tmp_path: Path
) -> None:
    found = []
    for text in ('"local_rope_theta": null', '"local_rope_theta": 160000.0'):
        folder = edited(models, tmp_path / text[-4:], "modernbert-base")
        config = folder / "config.json"
        said = config.read_text(encoding="utf-8").replace('"local_rope_theta": 10000.0', text)
        assert text in said
        config.write_text(said, encoding="utf-8")
        found += run(opened(folder, "feature-extraction"), [long_case("modernbert-base")["ids"]])
    np.testing.assert_array_equal(*found)


INVALID, UNSUPPORTED = InvalidModelError, UnsupportedModelError


@pytest.mark.parametrize(
    ("name", "changes", "error", "words"),
    [
        ("deberta-v3-sequence", {"position_buckets": 5}, INVALID, "rel_embeddings"),
        ("deberta-v3-sequence", {"max_relative_positions": 3}, UNSUPPORTED, "position_buckets"),
        ("deberta-v3-sequence", {"position_buckets": -1}, INVALID, "rel_embeddings"),
        ("deberta-v3-sequence", {"max_relative_positions": "x"}, INVALID, "max_relative_positions"),
        ("deberta-v3-sequence", {"max_relative_positions": 1 << 30}, INVALID, "must be a whole"),
        ("deberta-v3-sequence", {"share_att_key": False}, INVALID, "pos_key_proj"),
        ("deberta-v3-sequence", {"pos_att_type": 5}, INVALID, "pos_att_type"),
        ("deberta-v3-sequence", {"pos_att_type": [5]}, INVALID, "pos_att_type"),
        ("deberta-v3-sequence", {"norm_rel_ebd": {}}, INVALID, "norm_rel_ebd"),
        ("deberta-v3-sequence", {"attention_head_size": 4}, INVALID, "heads of 4"),
        ("deberta-v3-sequence", {"num_attention_heads": 5}, INVALID, "do not divide"),
        ("deberta-v3-sequence", {"hidden_act": "prelu"}, UNSUPPORTED, "prelu"),
        ("deberta-v3-sequence", {"pooler_hidden_act": "prelu"}, UNSUPPORTED, "prelu"),
        ("deberta-v3-sequence", {"embedding_size": 16}, INVALID, "word_embeddings"),
        ("deberta-v3-sequence", {"position_biased_input": True}, INVALID, "position_embeddings"),
        ("deberta-v3-sequence", {"type_vocab_size": 2}, INVALID, "token_type_embeddings"),
        ("deberta-v2-conv", {"conv_kernel_size": 4}, INVALID, "must be odd"),
        ("deberta-v2-conv", {"conv_groups": 3}, INVALID, "must divide"),
        ("deberta-v2-conv", {"conv_act": "prelu"}, UNSUPPORTED, "prelu"),
        ("deberta-v3-fill", {"legacy": False}, UNSUPPORTED, "legacy = False"),
        ("deberta-v3-fill-lm-head", {"legacy": True}, UNSUPPORTED, "legacy = True"),
        ("modernbert-sequence", {"classifier_pooling": "max"}, UNSUPPORTED, "classifier_pooling"),
        ("modernbert-sequence", {"hidden_activation": "prelu"}, UNSUPPORTED, "prelu"),
        ("modernbert-sequence", {"norm_bias": True}, INVALID, "bias"),
        ("modernbert-sequence", {"layer_types": ["full_attention"]}, INVALID, "layer_types"),
        ("modernbert-sequence", {"layer_types": "full"}, INVALID, "layer_types"),
        ("modernbert-sequence", {"rope_scaling": {"type": "longrope"}}, UNSUPPORTED, "longrope"),
        ("modernbert-sequence", {"local_attention": 0}, INVALID, "local_attention"),
        ("modernbert-sequence", {"num_attention_heads": 32}, INVALID, "even"),
        ("modernbert-sequence", {"num_hidden_layers": 2}, INVALID, "says 2 layers"),
    ],
)
def test_what_no_graph_is_written_for_is_refused(
    name: str,
    changes: Case,
    error: type[Exception],
    words: str,
    models: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=words):
        opened(edited(models, tmp_path, name, **changes), head_of(name))


def test_odd_buckets_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="even numbers"):
        deberta_v2.numbers(Config({}, "x"), 5, 20)


def test_the_other_head_is_named_where_config_json_points_at_none(
    models: Path, tmp_path: Path
) -> None:
    folder = edited(models, tmp_path, "deberta-v3-fill-lm-head", legacy=True)
    with pytest.raises(UnsupportedModelError) as caught:
        opened(folder, "fill-mask")
    assert '"legacy": false' in str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("deberta-v3-base", "fill-mask"),
        ("deberta-v3-sequence", "token-classification"),
        ("deberta-v3-token", "text-classification"),
        ("modernbert-base", "fill-mask"),
        ("modernbert-qa", "text-classification"),
        ("modernbert-sequence", "question-answering"),
        ("modernbert-sequence", "token-classification"),
        ("modernbert-token", "text-classification"),
    ],
)
def test_a_head_of_another_task_is_not_taken_for_it(name: str, head: str, models: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=f"was not trained for {head}"):
        opened(models / name, head)


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
    else:
        assert found == expected


def check(case: Case, models: Path) -> None:
    built = silmu.pipeline(case["task"], model=str(models / case["model"]))
    given = case["input"]
    text = given["context"] if isinstance(given, dict) else given
    assert built.tokenizer(text)["input_ids"] == case["ids"]
    said = built(**given) if isinstance(given, dict) else built(given)
    assert_same(said[0] if case["task"] == "feature-extraction" else said, case["output"])


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["model"]) for case in GOLDEN["answers"]]
)
def test_pipelines_answer_as_transformers_does(case: Case, models: Path) -> None:
    check(case, models)


def test_more_tokens_than_positions_where_only_distances_count(models: Path) -> None:
    case = GOLDEN["beyond"]
    positions = Folder(models / case["model"], "x").config["max_position_embeddings"]
    assert positions < len(case["ids"]) < 4 * positions
    check(case, models)
    built = silmu.pipeline(case["task"], model=str(models / case["model"]))
    with pytest.raises(InputError, match=f"reads at most {4 * positions}"):
        built(case["input"] * 4)
    counted = silmu.pipeline("feature-extraction", model=str(models / "deberta-v2-own-keys"))
    with pytest.raises(InputError, match=f"reads at most {positions}"):
        counted(case["input"])
