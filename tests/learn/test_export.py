"""A model folder is what was trained, or is not there."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import silmu
from silmu import graphs, store
from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.graphs import silmu_text
from silmu.networks import texts
from silmu.networks.texts import KINDS
from silmu.runtime import session as engine
from silmu.steps.collect import collect
from silmu.steps.prepare import prepare_texts
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.train import export
from silmu.steps.train.validation import Scale

WORDS = [
    "good",
    "bad",
    "fine",
    "poor",
    "great",
    "awful",
    "film",
    "plot",
    "actor",
    "scene",
    "좋아요",
    "별로",
    "영화",
    "최고",
]
SMALL: dict[str, Any] = {
    "embedding_size": 8,
    "num_buckets": 211,
    "bag_weights": 900,
    "hidden_size": 8,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def sentences(count: int, longest: int = 12) -> list[str]:
    chance = random.Random(0)
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, longest))) for _ in range(count)]


def prepare(
    folder: Path, rows: list[dict[str, Any]], *, backbone: Path | None = None, **settings: Any
) -> Prepared:
    named = [name for name in rows[0] if name != "label"]
    dataset = collect(rows, folder / "1-dataset", input=named, target="label")
    settings = {"split": "hash", "near_duplicates": False} | settings
    return prepare_texts(dataset, folder / "2-prepared", settings=settings, backbone=backbone)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("single")
    labels = ("bad", "good", "meh")
    rows = [{"text": t, "label": labels[len(t) % 3]} for t in sentences(400)]
    return prepare(folder, rows)


def network(prepared: Prepared, kind: str = "gru") -> texts.TextNetwork:
    torch.manual_seed(0)
    found = texts.build(kind, prepared, {**texts.defaults(kind), **SMALL})
    for parameter in found.parameters():
        nn.init.normal_(parameter, std=0.3)
    return found


def logits(found: nn.Module, model: Path, text: str) -> list[float]:
    """What the network gives for a text that the model's pipeline reads."""
    row = silmu.pipeline("text-classification", model=str(model)).preprocess(text)
    with torch.inference_mode():
        answer: Any = found(
            input_ids=torch.tensor(row["input_ids"]),
            attention_mask=torch.tensor(row["attention_mask"]),
        )
    return (answer if isinstance(answer, torch.Tensor) else answer.logits)[0].tolist()


def served(model: Path, text: str, labels: Iterable[str]) -> list[float]:
    """What the model's pipeline gives."""
    pipe = silmu.pipeline(model=str(model), top_k=None, function_to_apply="none")
    scores = {answer["label"]: answer["score"] for answer in pipe([text])[0]}
    return [scores[label] for label in labels]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_answers_as_the_network(kind: str, single: Prepared, tmp_path: Path) -> None:
    found = network(single, kind)
    model = export.write_model(tmp_path / "model", found, single, meta={"network": kind})
    assert sorted(p.name for p in model.iterdir()) == [
        "MANIFEST.json",
        "config.json",
        "model.safetensors",
        "onnx",
        "processor.json",
        "schema.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert [path.name for path in (model / "onnx").iterdir()] == ["model.onnx"]
    assert store.verify(model).meta["network"] == kind
    for text in ("good film", "x", "좋아요 영화 " * 100):
        expected = logits(found.eval(), model, text)
        assert served(model, text, single.labels) == pytest.approx(expected, abs=1e-4)


def test_the_onnx_file_stands_alone(single: Prepared, tmp_path: Path) -> None:
    model = export.write_model(tmp_path / "model", network(single), single)
    alone = tmp_path / "alone.onnx"
    alone.write_bytes((model / "onnx" / "model.onnx").read_bytes())
    onnx.checker.check_model(str(alone))
    session = engine.Session(alone)
    feeds = {name: np.ones((2, 3), np.int64) for name in ("input_ids", "attention_mask")}
    served = graphs.open_session(silmu.runtime.folder.Folder(model, "m"), "text-classification")
    np.testing.assert_allclose(session.run(feeds)["logits"], served.run(feeds)["logits"], atol=1e-5)


def test_the_network_that_is_trained_on_stays_as_it_was(single: Prepared, tmp_path: Path) -> None:
    found = network(single).train()
    before = {name: value.clone() for name, value in found.state_dict().items()}
    export.write_model(tmp_path / "model", found, single)
    assert found.training
    assert all(torch.equal(value, before[name]) for name, value in found.state_dict().items())


# ── refused, and nothing left ──────────────────────────────────────────────────────────────────


def refused(prepared: Prepared, found: nn.Module, tmp_path: Path, match: str) -> None:
    with pytest.raises(InvalidModelError, match=match):
        export.write_model(tmp_path / "run" / "model", found, prepared)
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("kind", ["perceptron", "lstm"])
def test_another_graph_is_refused(
    kind: str, single: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silmu_text, "_HASH_FACTOR", 1_000_003)
    refused(single, network(single, kind), tmp_path, "differs")


def test_another_order_of_gates_is_refused(
    single: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        silmu_text._RECURRENT, "gru", ("GRU", [0, 1, 2], {"linear_before_reset": 1})
    )
    refused(single, network(single), tmp_path, "differs")


def test_one_weight_written_otherwise_is_refused(
    single: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = export.write_network

    def faulty(writer: Any, found: Any, values: Any) -> None:
        with torch.no_grad():
            found.classifier.bias[0] += 0.01
        written(writer, found, values)
        with torch.no_grad():
            found.classifier.bias[0] -= 0.01

    monkeypatch.setattr(export, "write_network", faulty)
    refused(single, network(single), tmp_path, "differs")


def test_other_token_ids_are_refused(
    single: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Prepared.features

    def shifted(self: Prepared, split: str) -> Any:
        features = original(self, split)
        ids = features.ids
        features.ids = lambda i: ids((i + 1) % len(features))  # type: ignore[method-assign]
        return features

    monkeypatch.setattr(Prepared, "features", shifted)
    refused(single, network(single), tmp_path, "it reads")


def test_nan_is_refused(single: Prepared, tmp_path: Path) -> None:
    found = network(single)
    with torch.no_grad():
        found.classifier.bias[0] = torch.nan
    refused(single, found, tmp_path, "NaN")


def test_a_network_without_a_graph_is_refused(single: Prepared, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="a Linear cannot be saved"):
        export.write_model(tmp_path / "model", nn.Linear(2, 2), single)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_knows_nothing_is_not_refused(single: Prepared, tmp_path: Path) -> None:
    found = network(single)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.zero_()
    assert export.write_model(tmp_path / "model", found, single).is_dir()


# ── kinds of labels ────────────────────────────────────────────────────────────────────────────


def test_a_number_comes_in_the_unit_of_its_column(tmp_path: Path) -> None:
    rows = [{"text": t, "label": 50_000.0 + 731.5 * len(t)} for t in sentences(300)]
    prepared = prepare(tmp_path, rows, labels="number")
    scale = Scale.of(prepared.features("train").targets)
    for kind in ("perceptron", "cnn"):
        found = network(prepared, kind).eval()
        model = export.write_model(tmp_path / kind, found, prepared)
        config = json.loads((model / "config.json").read_text())
        assert config["problem_type"] == "regression"
        assert config["id2label"] == {"0": "label"}
        (answer,) = silmu.pipeline(model=str(model))("good film")
        inside = logits(found, model, "good film")[0]
        assert answer["score"] == pytest.approx(scale.mean + scale.deviation * inside, rel=1e-4)
        assert answer["score"] > 1000


def test_thresholds_go_to_the_processor(tmp_path: Path) -> None:
    chance = random.Random(1)
    emotions = ("joy", "anger", "fear")
    rows = [
        {"text": t, "label": ";".join(chance.sample(emotions, chance.randint(1, 2)))}
        for t in sentences(300)
    ]
    prepared = prepare(tmp_path, rows, labels="multiple")
    thresholds = [0.25, 0.5, 0.75]
    model = export.write_model(
        tmp_path / "model", network(prepared), prepared, config={"thresholds": thresholds}
    )
    pipe = silmu.pipeline(model=str(model))
    assert list(pipe.thresholds) == thresholds
    assert pipe.model.config.problem_type == "multi_label_classification"
    assert "thresholds" not in json.loads((model / "config.json").read_text())


def test_pairs(tmp_path: Path) -> None:
    chance = random.Random(2)
    rows = [
        {"question": t, "answer": " ".join(chance.choices(WORDS, k=3)), "label": "ny"[i % 2]}
        for i, t in enumerate(sentences(300))
    ]
    prepared = prepare(tmp_path, rows)
    model = export.write_model(tmp_path / "model", network(prepared, "cnn"), prepared)
    pipe = silmu.pipeline(model=str(model))
    assert pipe({"text": "good", "text_pair": "film"}) != pipe({"text": "good film"})


# ── networks of transformers ───────────────────────────────────────────────────────────────────


def pretrained(folder: Path, prepared: Prepared, models: Path) -> Any:
    import transformers

    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    config = transformers.AutoConfig.from_pretrained(
        models / folder, num_labels=len(prepared.labels) or 1
    )
    config.pad_token_id = config.pad_token_id or 0
    found = transformers.AutoModelForSequenceClassification.from_config(config)
    for name, parameter in found.named_parameters():
        if "orm" not in name:
            nn.init.normal_(parameter, std=0.2)
    return found


@pytest.mark.parametrize("name", ["bert-sequence", "distilbert-sequence", "gpt2-sequence"])
def test_transformers_opens_it_and_answers_the_same(
    name: str, models: Path, tmp_path: Path
) -> None:
    import transformers

    rows = [{"text": t, "label": ("bad", "good")[len(t) % 2]} for t in sentences(300)]
    prepared = prepare(tmp_path, rows, backbone=models / name)
    found = pretrained(Path(name), prepared, models).eval()
    model = export.write_model(tmp_path / "model", found, prepared)
    again = transformers.AutoModelForSequenceClassification.from_pretrained(model).eval()
    assert again.config.id2label == {0: "bad", 1: "good"}
    assert again.config.label2id == {"bad": 0, "good": 1}
    assert again.config.architectures == [type(found).__name__]
    for key, value in found.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    text = "the lighthouse keeper climbed the stairs"
    expected = logits(again, model, text)
    assert served(model, text, ["bad", "good"]) == pytest.approx(expected, abs=1e-4)


# peft asks transformers by a name that is going to be removed.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_low_rank_updates_are_merged(models: Path, tmp_path: Path) -> None:
    import peft

    rows = [{"text": t, "label": ("bad", "good")[len(t) % 2]} for t in sentences(300)]
    prepared = prepare(tmp_path, rows, backbone=models / "bert-sequence")
    found = peft.get_peft_model(
        pretrained(Path("bert-sequence"), prepared, models),
        peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"]),
    )
    for name, parameter in found.named_parameters():
        if "lora" in name or "modules_to_save" in name:
            nn.init.normal_(parameter, std=0.3)
    model = export.write_model(tmp_path / "model", found.eval(), prepared)
    assert "lora" not in (model / "config.json").read_text()
    text = "the lighthouse keeper climbed the stairs"
    assert served(model, text, ["bad", "good"]) == pytest.approx(
        logits(found, model, text), abs=1e-4
    )
    assert any("lora" in name for name, _ in found.named_parameters())
