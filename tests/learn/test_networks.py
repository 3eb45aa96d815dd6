"""Networks from nothing, and the graphs of them: the same numbers, whatever the batch."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from silmu import graphs, registry
from silmu.errors import InvalidModelError, UsageError
from silmu.graphs import silmu_text
from silmu.networks import texts
from silmu.networks.texts import KINDS, TextNetwork, TextNetworkConfig
from silmu.runtime.folder import Folder

VOCABULARY = 50
LENGTHS = [7, 1, 2, 33, 4, 19, 300]

VARIANTS: dict[str, dict[str, Any]] = {
    **{kind: {"kind": kind} for kind in KINDS},
    "gru-two-layers": {"kind": "gru", "num_layers": 2},
    "lstm-two-layers": {"kind": "lstm", "num_layers": 2},
    "transformer-three-layers": {"kind": "transformer", "num_layers": 3},
    "cnn-wide": {"kind": "cnn", "filter_sizes": (1, 8)},
    "cnn-tokens-only": {"kind": "cnn", "num_buckets": 0, "bag_order": 1},
    "cnn-no-bag": {"kind": "cnn", "bag_buckets": 0},
    "perceptron-tokens-only": {"kind": "perceptron", "ngram_order": 1},
    "perceptron-trigrams": {"kind": "perceptron", "ngram_order": 3, "num_outputs": 1},
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def network(**settings: Any) -> TextNetwork:
    torch.manual_seed(1)
    sizes: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "num_outputs": 3,
        "embedding_size": 12,
        "num_buckets": 997,
        "bag_buckets": 499,
        "hidden_size": 16,
        "num_attention_heads": 2,
        "intermediate_size": 24,
    }
    found = TextNetwork(TextNetworkConfig(**(sizes | settings)))
    for parameter in found.parameters():  # not near zero, or nothing would be seen of them
        torch.nn.init.normal_(parameter, std=0.3)
    return found.eval()


def save_folder(found: TextNetwork, folder: Path, **config: Any) -> Folder:
    folder.mkdir()
    labels = {str(i): f"label {i}" for i in range(found.config.num_outputs)}
    values = found.config.to_dict() | {"id2label": labels} | config
    (folder / "config.json").write_text(json.dumps(values))
    (folder / "model.safetensors").write_bytes(save(found.state_dict()))
    return Folder(folder, folder.name)


def rows(lengths: list[int], seed: int = 0, extra: int = 0) -> dict[str, NDArray[np.int64]]:
    """Ids chosen at random, and at padding too, which must not matter."""
    random = np.random.default_rng(seed)
    width = max(lengths) + extra
    ids = random.integers(0, VOCABULARY, (len(lengths), width))
    mask = np.arange(width) < np.array(lengths)[:, None]
    return {"input_ids": ids, "attention_mask": mask.astype(np.int64)}


def by_torch(found: TextNetwork, feeds: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return found(**{name: torch.from_numpy(value) for name, value in feeds.items()}).numpy()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_graph_computes_what_the_network_computes(variant: str, tmp_path: Path) -> None:
    found = network(**VARIANTS[variant])
    session = graphs.open_session(save_folder(found, tmp_path / "m"), "text-classification")
    for lengths in (LENGTHS, [1], [2], [3], [64, 64], *([n] for n in LENGTHS)):
        feeds = rows(lengths)
        logits = session.run(feeds)["logits"]
        expected = by_torch(found, feeds)
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
        assert (logits.argmax(1) == expected.argmax(1)).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_neighbours_and_padding_change_nothing(variant: str, tmp_path: Path) -> None:
    found = network(**VARIANTS[variant])
    session = graphs.open_session(save_folder(found, tmp_path / "m"), "text-classification")
    together = rows(LENGTHS, extra=5)
    many = session.run(together)["logits"], by_torch(found, together)
    for i, length in enumerate(LENGTHS):
        alone = {name: value[i : i + 1, :length] for name, value in together.items()}
        np.testing.assert_allclose(session.run(alone)["logits"][0], many[0][i], atol=1e-5)
        np.testing.assert_allclose(by_torch(found, alone)[0], many[1][i], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_of_tokens(kind: str, tmp_path: Path) -> None:
    found = network(kind=kind)
    session = graphs.open_session(save_folder(found, tmp_path / "m"), "feature-extraction")
    feeds = rows([5, 3])
    vectors = session.run(feeds)["last_hidden_state"]
    mask = torch.from_numpy(feeds["attention_mask"]).unsqueeze(-1).bool()
    with torch.inference_mode():
        x = found.embeddings(torch.from_numpy(feeds["input_ids"])) * mask
        expected = x if found.body is None else found.body(x, mask)
    for row, length in ((0, 5), (1, 3)):
        np.testing.assert_allclose(vectors[row, :length], expected[row, :length], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind: str) -> None:
    found = network(kind=kind, feature_dropout=0.0).train()
    feeds = {name: torch.from_numpy(value) for name, value in rows([9, 4]).items()}
    found(**feeds).square().sum().backward()
    for name, parameter in found.named_parameters():
        assert parameter.grad is not None, name
        gradient = parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad
        assert gradient.abs().sum() > 0, name


def test_a_bucket_is_of_its_tokens_in_their_order() -> None:
    def buckets(*ids: int) -> list[list[int]]:
        return texts.ngram_buckets(torch.tensor([ids]), 3, 1 << 30)[0].tolist()

    assert buckets(5, 6, 7)[1] == buckets(5, 6, 9)[1]  # only what came before
    assert buckets(9, 5, 6)[2][:2] == buckets(5, 6, 7)[1][:2]  # wherever it stands
    assert buckets(5, 6)[1] != buckets(6, 5)[1]
    assert buckets(5, 6)[0] != buckets(6, 6)[0]
    assert [len(set(one)) for one in buckets(5, 5, 5)] == [3, 3, 3]
    assert len({tuple(map(tuple, buckets(a, b))) for a in range(30) for b in range(30)}) == 900


def test_buckets_of_the_largest_ids_do_not_overflow() -> None:
    ids = torch.full((1, 40), (1 << 24) - 1)
    found = texts.ngram_buckets(ids, 5, 1 << 24)
    value, expected = 1 << 24, [0]
    for _ in range(4):
        value = (value * texts.HASH_FACTOR + (1 << 24)) % texts.HASH_MODULUS
        expected.append(value % (1 << 24))
    assert found[0, -1].tolist() == expected


def test_another_hash_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silmu_text, "_HASH_FACTOR", 1_000_003)
    found = network(kind="perceptron")
    session = graphs.open_session(save_folder(found, tmp_path / "m"), "text-classification")
    difference = session.run(rows([9]))["logits"] - by_torch(found, rows([9]))
    assert np.abs(difference).max() > 1e-3


def test_torch_keeps_gates_in_another_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, _, attributes = silmu_text._RECURRENT["lstm"]  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setitem(silmu_text._RECURRENT, "lstm", (operator, [0, 1, 2, 3], attributes))
    found = network(kind="lstm")
    session = graphs.open_session(save_folder(found, tmp_path / "m"), "text-classification")
    difference = session.run(rows([9]))["logits"] - by_torch(found, rows([9]))
    assert np.abs(difference).max() > 1e-3


def test_the_registry_knows_it() -> None:
    assert texts.MODEL_TYPE in registry.model_types()
    assert registry.task_of_architecture(texts.ARCHITECTURE) == "text-classification"
    assert texts.HASH_FACTOR == silmu_text._HASH_FACTOR
    assert texts.HASH_MODULUS == silmu_text._HASH_MODULUS
    assert texts.BAG_SCALE == silmu_text._BAG_SCALE


def test_config_comes_back() -> None:
    config = TextNetworkConfig(kind="cnn", vocab_size=9, num_outputs=2, filter_sizes=(2, 7))
    values = json.loads(json.dumps(config.to_dict() | {"id2label": {"0": "a", "1": "b"}}))
    assert TextNetworkConfig.from_dict(values) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "mamba"},
        {"kind": "gru", "hidden_size": 0},
        {"kind": "cnn", "filter_sizes": (0,)},
        {"kind": "gru", "dropout": 1.0},
        {"kind": "transformer", "hidden_size": 18, "num_attention_heads": 2},
    ],
)
def test_a_network_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        TextNetworkConfig(**({"vocab_size": 9, "num_outputs": 2} | wrong))


@pytest.mark.parametrize("widths", [None, [], [0], ["2"], [2, 3, 4, 6], "2345", [True]])
def test_a_config_that_does_not_fit_is_refused(widths: Any, tmp_path: Path) -> None:
    folder = save_folder(network(kind="cnn"), tmp_path / "m", filter_sizes=widths)
    with pytest.raises(InvalidModelError):
        graphs.open_session(folder, "text-classification")


def test_layers_left_over_are_refused(tmp_path: Path) -> None:
    folder = save_folder(network(kind="transformer", num_layers=3), tmp_path / "m", num_layers=2)
    with pytest.raises(InvalidModelError, match="2 layers"):
        graphs.open_session(folder, "text-classification")


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_make_a_network(kind: str, tmp_path: Path) -> None:
    words = {f"word{i}": i for i in range(99)}
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"model": {"type": "WordLevel", "vocab": words, "unk_token": "word0"}})
    )
    prepared: Any = SimpleNamespace(processor=tmp_path, labels=("a", "b", "c"))
    settings = texts.defaults(kind) | {
        "num_buckets": 50,
        "bag_weights": 200,
        "seed": 1,
        "dropout": 0.25,
    }
    found = texts.build(kind, prepared, settings)
    assert found.config.kind == kind
    assert (found.config.vocab_size, found.config.num_outputs) == (99, 3)
    assert (found.config.num_buckets, found.config.dropout) == (50, 0.25)
    assert found.config.bag_buckets == 64
    number: Any = SimpleNamespace(processor=tmp_path, labels=())
    found = texts.build(kind, number, settings)
    assert (found.config.num_outputs, found.config.bag_buckets) == (1, 128)


def test_defaults_of_an_unknown_kind() -> None:
    with pytest.raises(UsageError, match="perceptron, cnn"):
        texts.defaults("mamba")
