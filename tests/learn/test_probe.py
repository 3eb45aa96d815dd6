"""A probe: a linear head on a frozen encoder, from rows to answers where there is no torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import silmu
from silmu import store
from silmu.errors import (
    InvalidModelError,
    ModelNotFoundError,
    StoreError,
    UnsupportedModelError,
    UsageError,
)
from silmu.runtime.folder import Folder
from silmu.runtime.weights import Weights
from silmu.steps.collect.dataset import Dataset
from silmu.steps.design import encoders
from silmu.steps.design.text_encoder import TextEncoder, batches
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.train import features, linear, probe
from silmu.steps.train.progress import Progress
from silmu.tasks.text_classification import TextClassification

MODELS = Path(__file__).parents[1] / "models"
BERT = MODELS / "bert-base"
GOOD = ("a fine film", "wonderful and warm", "I loved every minute", "superb acting", "a delight")
BAD = ("a dull story", "tedious and cold", "I hated every hour", "wooden plot", "a bore")
QUIET: dict[str, Any] = {"quiet": True, "settings": {"near_duplicates": False}}


def texts(count: int = 200) -> list[str]:
    return [f"{(GOOD, BAD)[i % 2][i // 2 % 5]}, says guest {i}" for i in range(count)]


def labelled(kind: str, count: int = 200) -> list[dict[str, Any]]:
    """Texts and what is true of them, which their words tell."""
    told: dict[str, Any] = {
        "single": lambda i: ("good", "bad")[i % 2],
        "ordered": lambda i: ("high", "low")[i % 2],
        "multiple": lambda i: [("good", "bad")[i % 2], *(["odd"] if i // 2 % 5 == 0 else [])],
        "number": lambda i: 50_000.0 - 30_000.0 * (i % 2) + i // 2 % 5,
    }
    return [{"text": text, "label": told[kind](i)} for i, text in enumerate(texts(count))]


def trained(
    folder: Path, data: list[dict[str, Any]], model: Path = BERT, **more: Any
) -> silmu.run.Run:
    settings = QUIET["settings"] | more.pop("settings", {})
    return silmu.train(
        "text-classification",
        data=data,
        network=f"probe:{model}",
        output=folder / "run",
        quiet=True,
        settings=settings,
        **more,
    )


# ── every kind of label ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["single", "ordered", "multiple", "number"])
def test_what_words_tell_is_learnt(kind: str, tmp_path: Path) -> None:
    order = {"order": "low,high"} if kind == "ordered" else {}
    run = trained(tmp_path, labelled(kind, 400), settings={"labels": kind, **order})
    pipe = silmu.pipeline(model=run.model)
    good, bad = pipe(["a fine film, says guest 7", "a dull story, says guest 7"])
    report = run.report
    if kind == "number":
        assert good["score"] == pytest.approx(50_000, abs=5000)
        assert bad["score"] == pytest.approx(20_000, abs=5000)
        assert report["mean_absolute_error"].value < 5000
        return
    assert (good["label"], bad["label"]) == (
        ("high", "low") if kind == "ordered" else ("good", "bad")
    )
    if kind == "multiple":
        assert len(pipe.thresholds) == 3
        assert report["f1_macro"].value > 0.9
    else:
        assert report["accuracy"].value > 0.9
    design_file = json.loads((run.path / "3-design.json").read_bytes())
    assert design_file["trainable"] == len(pipe.model.config.id2label) * 33
    assert not (run.path / "4-train" / "features").exists()
    compared = json.loads((run.path / "4-train" / "candidates.json").read_bytes())["candidates"]
    assert {one["pooling"] for one in compared} == {"mean", "first"}


def test_a_pair_is_read_with_its_segments(tmp_path: Path) -> None:
    rows = [{"a": text, "b": "and so on", "label": "xy"[i % 2]} for i, text in enumerate(texts())]
    run = trained(tmp_path, rows, input="a,b")
    pipe = silmu.pipeline(model=run.model, top_k=None)
    answers = pipe([{"text": "a fine film", "text_pair": "and so on"}, {"text": "a fine film"}])
    assert {one["label"] for one in answers[0]} == {"x", "y"}
    assert answers[0] != answers[1]


def test_rare_labels_can_count_as_much(tmp_path: Path) -> None:
    rows = [
        row | {"label": "good"} if i % 8 else row for i, row in enumerate(labelled("single", 240))
    ]
    rows += [{"text": f"neither here nor there {i}", "label": "bad"} for i in range(12)]
    found = [
        trained(tmp_path / str(weighted), rows, settings={"class_weights": weighted})
        for weighted in (False, True)
    ]
    weights = [Weights.open(Folder(run.model, "it"))["classifier.weight"] for run in found]
    assert not np.array_equal(*weights)


def test_settings_given_back_repeat_the_run(tmp_path: Path) -> None:
    first = trained(tmp_path / "a", labelled("single"))
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, labelled("single"))), encoding="utf-8")
    again = silmu.train(
        config=first.path / "run.toml", data=path, output=tmp_path / "b", quiet=True, until="train"
    )
    files = [run.model / "model.safetensors" for run in (first, again)]
    assert files[0].read_bytes() == files[1].read_bytes()


# ── every encoder ──────────────────────────────────────────────────────────────────────────────

ENCODERS = ("albert-base", "bert-float16", "deberta-v3-base", "distilbert-base", "electra-base")
ENCODERS += ("modernbert-base", "mpnet-base", "roberta-sequence", "xlm-roberta-base")


@pytest.mark.parametrize("name", ENCODERS)
def test_every_family_can_be_read_with(name: str, tmp_path: Path) -> None:
    # Where the graph and encoder and head differ, the model is not written.
    run = trained(tmp_path, labelled("single", 80), MODELS / name, until="train")
    pipe = silmu.pipeline(model=run.model)
    assert pipe("a fine film")[0]["label"] in ("good", "bad")
    config = json.loads((run.model / "config.json").read_bytes())
    assert config["model_type"] == "silmu-probe"
    given = json.loads((MODELS / name / "config.json").read_bytes())
    assert config["encoder"]["model_type"] == given["model_type"]
    # An encoder's numbers stay as they were, in the precision that they had.
    ours, theirs = (Weights.open(Folder(path, "it")) for path in (run.model, MODELS / name))
    for key, tensor in ours.tensors.items():
        if key.startswith("encoder."):
            names = [n for n in theirs.tensors if n.endswith(key.removeprefix("encoder."))]
            assert any(theirs.tensors[n].dtype == tensor.dtype for n in names)
            assert any(np.array_equal(ours[key], theirs[n]) for n in names)


def test_both_poolings_and_8_bits_answer_alike(tmp_path: Path) -> None:
    run = trained(tmp_path, labelled("single"), until="design")
    prepared = Prepared.open(run.path / "2-prepared", Dataset.open(run.path / "1-dataset"))
    encoder = TextEncoder(Folder(BERT, "it"), "cpu")
    settings = {"max_steps": None, "seed": 0}
    with Progress(quiet=True) as progress:
        found = probe.fit(encoder, prepared, settings, tmp_path / "4-train", progress)
    for pooling in ("mean", "first"):
        outcome = probe.Outcome(**{**vars(found), "pooling": pooling})
        model = probe.write_model(tmp_path / pooling, encoder, outcome, prepared)
        full, few = (silmu.pipeline(model=model, dtype=dtype) for dtype in ("fp32", "q8"))
        some = texts(24)
        answers = [pipe(some) for pipe in (full, few)]
        scores = [[one["score"] for one in given] for given in answers]
        assert scores[0] != scores[1]
        alike = [a["label"] == b["label"] for a, b in zip(*answers, strict=True)]
        assert sum(alike) >= 22
        # Beside longer texts an answer is what it is alone.
        assert full([some[0], " ".join(some)])[0]["score"] == pytest.approx(scores[0][0], abs=1e-6)


def plant(model: Path) -> None:
    """Puts other numbers into a layer of an encoder."""
    own = Weights.open(Folder(model, "it")).tensors
    place = own[next(name for name in own if name.endswith("layer.1.output.dense.weight"))]
    data = bytearray(place.path.read_bytes())
    data[place.start : place.start + 64] = np.full(16, 3.0, np.float32).tobytes()
    place.path.write_bytes(data)


def test_a_graph_of_other_weights_is_refused(tmp_path: Path) -> None:
    run = trained(tmp_path, labelled("single"), until="design")
    prepared = Prepared.open(run.path / "2-prepared", Dataset.open(run.path / "1-dataset"))
    encoder = TextEncoder(Folder(BERT, "it"), "cpu")
    with Progress(quiet=True) as progress:
        outcome = probe.fit(
            encoder, prepared, {"max_steps": None, "seed": 0}, tmp_path / "4-train", progress
        )
    moved = shutil.copytree(BERT, tmp_path / "moved")
    plant(moved)
    encoder.folder = Folder(moved, "it")
    with pytest.raises(InvalidModelError, match="differs"):
        probe.write_model(tmp_path / "model", encoder, outcome, prepared)
    assert not (tmp_path / "model").exists()


# ── without torch ──────────────────────────────────────────────────────────────────────────────

WITHOUT = """
import sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name.partition('.')[0] in ('torch', 'transformers', 'peft', 'accelerate'):
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Absent)
"""


def child(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_whole_road_needs_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, labelled("single"))), encoding="utf-8")
    code = """
import silmu.cli
train = ['train', 'text-classification', '--data', sys.argv[1], '--output', sys.argv[2]]
assert silmu.cli.main([*train, '--network', f'probe:{sys.argv[3]}']) == 0
model = f'{sys.argv[2]}/4-model'
assert silmu.cli.main(['evaluate', model, '--data', sys.argv[1], '--output', sys.argv[4]]) == 0
assert silmu.cli.main(['use', model, 'a fine film, says guest 7']) == 0
assert not {'torch', 'transformers'} & {*sys.modules}
assert silmu.cli.main(['design', sys.argv[2]]) == 0
"""
    places = (str(path), str(tmp_path / "run"), str(BERT), str(tmp_path / "other"))
    done = child(code, *places)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^good [01]\.\d+ ", done.stdout, re.MULTILINE)
    assert re.search(r"^classifier +linear +2 x 32 +66$", done.stdout.replace("  c", "c"), re.M)
    assert "frozen" in done.stdout
    card = (tmp_path / "run" / "4-model" / "README.md").read_text(encoding="utf-8")
    assert "accuracy" in card


# ── killed, hit by errors, damaged ─────────────────────────────────────────────────────────────


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "PART", 2)


TRAIN = """
import silmu
from silmu.steps.train import features
features.PART = 2
silmu.train(sys.argv[1], until='train', quiet=True)
"""


def test_a_kill_anywhere_changes_nothing(small_parts: None, tmp_path: Path) -> None:
    begun = trained(tmp_path, labelled("single"), until="design").path
    whole, resumed = (shutil.copytree(begun, tmp_path / name) for name in ("whole", "resumed"))
    seen: list[str] = []
    with store.observe(lambda site, path: seen.append(f"{site} {path}")):
        run = silmu.train(whole, until="train", quiet=True)
    expected = (run.model / "model.safetensors").read_bytes()
    parts = [n for n, one in enumerate(seen, 1) if re.match(r"rename .*/train-0+\d$", one)]
    assert len(parts) > 3
    model = next(n for n, one in enumerate(seen, 1) if one.endswith("model.safetensors"))
    for n, kept in ((parts[2] - 1, 2), (model + 2, len(parts))):
        killed = child(TRAIN, str(resumed), SILMU_FAILPOINT=f"*:{n}:kill")
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        there = [*(resumed / "4-train" / "features").glob("train-*")]
        assert len(there) == kept
    stamps = {path: path.stat().st_mtime_ns for path in there}
    seen.clear()
    with store.observe(lambda site, path: seen.append(f"{site} {path}")):
        run = silmu.train(resumed, until="train", quiet=True)
    assert not [one for one in seen if re.match(r"rename .*/train-0+\d$", one)]
    assert stamps
    assert (run.model / "model.safetensors").read_bytes() == expected
    assert not [*resumed.rglob(".tmp-*")]


def test_a_full_disk_and_a_damaged_part_change_nothing(
    small_parts: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = trained(tmp_path, labelled("single"), until="design").path
    whole = silmu.train(shutil.copytree(begun, tmp_path / "whole"), until="train", quiet=True)
    resumed = shutil.copytree(begun, tmp_path / "resumed")
    monkeypatch.setenv("SILMU_FAILPOINT", "write:9:ENOSPC")
    with pytest.raises(StoreError, match="No space left"):
        silmu.train(resumed, until="train", quiet=True)
    monkeypatch.setenv("SILMU_FAILPOINT", "")
    part = min((resumed / "4-train" / "features").iterdir()) / "vectors.safetensors"
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    run = silmu.train(resumed, until="train", quiet=True)
    assert "its texts are read again" in caplog.text
    weights = [one.model / "model.safetensors" for one in (whole, run)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_parts_of_another_encoder_are_read_again(small_parts: None, tmp_path: Path) -> None:
    model = shutil.copytree(BERT, tmp_path / "encoder")
    run = trained(tmp_path, labelled("single"), model, until="design")
    prepared = Prepared.open(run.path / "2-prepared", Dataset.open(run.path / "1-dataset"))
    parts = {"train": batches(prepared.features("train").lengths)}
    found: list[np.ndarray[Any, Any]] = []
    for _ in range(2):
        encoder = TextEncoder(Folder(model, "it"), "cpu")
        with Progress(quiet=True) as progress:
            vectors = features.read(encoder, prepared, parts, tmp_path / "4-train", progress)
        found.append(vectors.load("train", "mean"))
        plant(model)
    assert not np.array_equal(*found)


# ── budgets ────────────────────────────────────────────────────────────────────────────────────


def test_a_budget_is_kept_by_fewer_texts(tmp_path: Path) -> None:
    run = trained(tmp_path, labelled("single", 400), settings={"max_steps": 5}, until="train")
    assert run.design is not None
    assert run.design.cost.steps == 5
    assert any("learnt from, drawn by chance" in note for note in run.design.notes)
    assert run.settings["max_steps"] == 5
    lengths = np.arange(3, 300, dtype=np.int32)
    every = batches(lengths)
    some, again, other = (encoders.chosen(every, 10, seed) for seed in (0, 0, 1))
    assert len(some) == 10
    assert [one.tolist() for one in some] == [one.tolist() for one in again]
    assert [one.tolist() for one in some] != [one.tolist() for one in other]


def test_batches_hold_every_text_once() -> None:
    lengths = np.random.default_rng(0).integers(1, 700, 333).astype(np.int32)
    found = batches(lengths)
    assert sorted(np.concatenate(found).tolist()) == list(range(333))
    assert all(len(one) == 1 or len(one) * lengths[one].max() <= 512 for one in found)


# ── refused, before any work ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("more", "error", "told"),
    [
        ({"settings": {"epochs": 3, "dropout": 0.1}}, UsageError, "no epochs, dropout"),
        ({"dtype": "bf16"}, UsageError, "reads in fp32"),
        ({"settings": {"search": 4}}, UsageError, "finds its settings on the validation split"),
        ({"model": MODELS / "gpt2-base"}, UnsupportedModelError, "a model that writes"),
        ({"model": MODELS / "bart-base"}, UnsupportedModelError, "is a 'bart'; for text-class"),
        ({"model": MODELS / "nothing"}, ModelNotFoundError, "no such folder"),
    ],
)
def test_refused_before_any_work(
    more: dict[str, Any], error: type[Exception], told: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=told):
        trained(tmp_path, labelled("single"), **more)
    assert not (tmp_path / "run").exists()


def test_texts_that_no_known_encoder_reads_are_told(tmp_path: Path) -> None:
    rows = [{"text": f"{i} 정말 재미있는 영화", "label": "ab"[i % 2]} for i in range(80)]
    with pytest.raises(UsageError, match="not Latin") as caught:
        silmu.train(
            "text-classification", data=rows, network="probe", output=tmp_path / "r", **QUIET
        )
    assert "--network probe:" in str(caught.value.hint)


# ── heads ──────────────────────────────────────────────────────────────────────────────────────


def drawn(rows: int = 300, size: int = 6) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    random = np.random.default_rng(0)
    vectors = random.normal(3, 2, (rows, size)).astype(np.float32)
    vectors[:, 2] = 7.0  # the same in all
    return vectors, vectors @ random.normal(0, 1, size) + random.normal(0, 0.5, rows)


def test_heads_are_those_of_scikit_learn_on_standardised_vectors() -> None:
    vectors, score = drawn()
    standard = linear.Standard.of(vectors)
    x = standard(vectors)
    assert not x[:, 2].any()
    labels = np.digitize(score, np.quantile(score, [0.3, 0.6]))
    head = standard.folded(linear.fit("single", x, labels, 0.1, outputs=3))
    theirs = LogisticRegression(C=0.1).fit(x, labels).decision_function(x)
    centred = head(vectors) - head(vectors).mean(1, keepdims=True)
    np.testing.assert_allclose(centred, theirs - theirs.mean(1, keepdims=True), atol=1e-3)
    two = standard.folded(linear.fit("single", x, labels // 2, 0.1, outputs=2))(vectors)
    own = LogisticRegression(C=0.1).fit(x, labels // 2).decision_function(x)
    np.testing.assert_allclose(two[:, 1] - two[:, 0], own, atol=1e-3)
    numbers = (score - score.mean()) / score.std()
    ridge = standard.folded(linear.fit("number", x, numbers, 0.01, outputs=1))(vectors)[:, 0]
    np.testing.assert_allclose(ridge, Ridge(alpha=100.0).fit(x, numbers).predict(x), atol=1e-4)


def test_labels_without_examples_are_hardly_told() -> None:
    vectors, score = drawn()
    labels = (score > np.median(score)).astype(np.int64) * 2
    head = linear.fit("single", vectors, labels, 0.1, outputs=4)
    assert set(head(vectors).argmax(1).tolist()) == {0, 2}
    sets = np.stack([score > np.median(score), score > 1e9], axis=1).astype(np.uint8)
    logits = linear.fit("multiple", vectors, sets, 0.1, outputs=2)(vectors)
    assert (logits[:, 1] < -6).all()
    assert ((logits[:, 0] > 0) == sets[:, 0].astype(bool)).mean() > 0.9


def test_the_extra_follows_from_the_network() -> None:
    config = TextClassification.Config()
    needed = {
        network: TextClassification.extra(config.changed({"network": network}))
        for network in ("auto", "cnn", "org/encoder", "probe", "probe:org/encoder")
    }
    assert [*needed.values()] == ["train", "train", "train", "report", "report"]
