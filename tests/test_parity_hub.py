"""The comparison with transformers on models of the hub, on tiny folders and without transformers.

In its place stands a module of that name, which answers as silmu does, or wrongly.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from silmu import registry

HERE = Path(__file__).parent
MODELS = HERE / "models"
SCRIPT = HERE.parent / "benchmarks" / "parity_hub.py"

# What the stand-in does is told by the name of the folder that holds it.
STAND_IN = """
import os
import time
from pathlib import Path

how = Path(__file__).parent.name


def pipeline(task, model, dtype, device):
    assert (dtype, device) == ("float32", "cpu")
    if how == "crashes":
        os._exit(3)
    if how == "hangs":
        time.sleep(60)
    if how == "fails":
        raise ValueError("no such\\n\\nmodel")
    print("noise on stdout")
    import silmu
    real = silmu.pipeline(task, model=model)

    class Pipe:
        tokenizer = real.tokenizer

        def __call__(self, *args, **options):
            found = real(*args, **options)
            if how == "shifts" and task == "text-classification":
                found[0]["score"] += 1e-3
            if how == "shifts" and task == "text-generation":
                found[0]["generated_text"] += "!"
            return found

    return Pipe()
"""


@pytest.fixture(scope="module")
def parity() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_hub", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def choose(how: str) -> None:
        folder = tmp_path / how
        folder.mkdir()
        (folder / "transformers.py").write_text(STAND_IN, encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", str(folder))

    return choose


def run(
    parity: ModuleType, monkeypatch: pytest.MonkeyPatch, output: Path, *models: str
) -> tuple[int, dict[str, Any]]:
    given = [str(SCRIPT), "--rounds", "1", "--threads", "1", "--output", str(output), "--models"]
    monkeypatch.setattr(sys, "argv", [*given, *models])
    with pytest.raises(SystemExit) as ended:
        parity.main()
    written = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    return int(str(ended.value.code)), written


@pytest.mark.timeout(600)  # processes, which a busy machine starves
def test_equal_answers(
    parity: ModuleType,
    stand_in: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stand_in("equals")
    names = [str(MODELS / "bert-sequence"), str(MODELS / "gpt2-lm")]
    code, written = run(parity, monkeypatch, tmp_path / "out", *names, "nobody/knows")
    assert code == 0
    first, second, third = written["rows"]
    assert (first["task"], second["task"]) == ("text-classification", "text-generation")
    for row in (first, second):
        assert row["equal"] == row["answers"] >= 3
        assert row["largest_difference"] == 0
        for side in row["sides"].values():
            assert side["seconds"] > 0
            assert side["start"] > 0
            assert "answers" not in side
    assert third["reason"].startswith("not listed here: give its task, nobody/knows=")
    shown = capsys.readouterr().out
    assert shown == (tmp_path / "out.md").read_text(encoding="utf-8")
    table = [line for line in shown.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert len(table) == 2 + 3
    assert "2 of 2 compared models say the same" in shown
    assert "1 could not be compared" in shown
    assert "noise" not in shown


@pytest.mark.timeout(600)  # processes, which a busy machine starves
def test_planted_differences_are_seen(
    parity: ModuleType, stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in("shifts")
    names = [str(MODELS / "bert-sequence"), str(MODELS / "gpt2-lm")]
    code, written = run(parity, monkeypatch, tmp_path / "out", *names)
    assert code == 1
    numbers, texts = written["rows"]
    assert numbers["equal"] == 0
    assert numbers["same_but_for_numbers"] == numbers["answers"]
    assert numbers["largest_difference"] == pytest.approx(1e-3, rel=1e-3)
    assert parity.verdict(numbers) == "numbers differ by 1.0e-03"
    assert texts["equal"] == texts["same_but_for_numbers"] == 0
    assert "answer 0[0].generated_text: 'Once upon" in texts["first_difference"]
    assert parity.verdict(texts).startswith("differs: answer 0[0].generated_text")


@pytest.mark.parametrize(
    ("how", "seconds", "said"),
    [
        ("crashes", 100, "ended with 3: nothing was said"),
        ("hangs", 3, "no answer within 3 seconds"),
        ("fails", 100, "ValueError: no such model"),
        ("absent", 100, "ModuleNotFoundError: No module named 'transformers'"),
    ],
)
def test_a_library_that_fails_is_a_reason(
    parity: ModuleType,
    stand_in: Any,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    seconds: float,
    said: str,
) -> None:
    if how != "absent":
        stand_in(how)
    job = {"task": "ner", "model": "x", "rounds": 0, "dtype": "float32"}
    found = parity.ask(sys.executable, "transformers", job, 1, seconds)
    assert found == {"error": said}


def test_a_python_that_is_not_there_is_a_reason(parity: ModuleType) -> None:
    found = parity.ask("/no/such/python", "silmu", {}, 1, 10)
    assert "/no/such/python does not start" in found["error"]


def test_a_model_that_fails_does_not_end_the_others(
    parity: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask(python: str, library: str, job: dict[str, Any], *_: Any) -> dict[str, Any]:
        asked.append(library)
        if job["model"] == "a/b" and library == "silmu":
            return {"error": "UnsupportedModelError: a | b\nsecond line"}
        return {"answers": ["x"], "seconds": 1.0, "memory": 1 << 20, "versions": {}}

    monkeypatch.setattr(parity, "ask", ask)
    code, written = run(parity, monkeypatch, tmp_path / "out", "a/b=fill-mask", "c/d=fill-mask")
    assert code == 0
    assert asked == ["silmu", "transformers"] * 2
    failed, fine = written["rows"]
    assert failed["reason"] == "silmu: UnsupportedModelError: a | b\nsecond line"
    assert fine["equal"] == 1
    assert "a \\| b second line" in (tmp_path / "out.md").read_text(encoding="utf-8")
    code, _ = run(parity, monkeypatch, tmp_path / "out", "a/b=fill-mask")
    assert code == 2


@pytest.mark.parametrize(
    ("one", "other", "far", "where"),
    [
        (0.5, 0.5, 0.0, ""),
        (0.5, 0.5 + 1e-3, 1e-3, ""),
        (100.0, 101.0, 1 / 101, ""),
        (1, 1.0, 0.0, ""),
        (3, 4, 0.0, ": 3, not 4"),
        (True, 1, 0.0, ": True, not 1"),
        (float("nan"), float("nan"), 0.0, ": nan, not nan"),
        ("a", "b", 0.0, ": 'a', not 'b'"),
        ([1.0], [1.0, 2.0], 0.0, ": 1 items, not 2"),
        ({"a": 1}, {"b": 1}, 0.0, ": the keys ['a'], not ['b']"),
        ([{"a": [0.0, "x"]}], [{"a": [0.1, "y"]}], 0.1, "[0].a[1]: 'x', not 'y'"),
        (None, "x", 0.0, ": None, not 'x'"),
    ],
)
def test_differences(parity: ModuleType, one: Any, other: Any, far: float, where: str) -> None:
    found, place = parity.difference(one, other)
    assert found == pytest.approx(far)
    assert place == where


def test_labels_are_compared_by_name(parity: ModuleType) -> None:
    one = [{"label": "a", "score": 0.5}, {"label": "b", "score": 0.5}]
    assert parity.difference(parity.plain(one), parity.plain(one[::-1])) == (0.0, "")
    entity = [{"entity": "O", "score": 0.5, "word": "a"}]
    assert parity.plain(entity) == entity


def test_tasks_are_told(parity: ModuleType, tmp_path: Path) -> None:
    def task(name: str) -> Any:
        return parity.told(str(MODELS / name))[1]

    assert task("bert-nli") == "zero-shot-classification"
    assert task("roberta-tokens") == "token-classification"
    assert task("gemma-lm") == task("gpt2-lm") == "text-generation"
    assert task("mpnet-base") == "feature-extraction"
    assert parity.told("org/name=ner") == ("org/name", "ner", "")
    assert parity.told(str(tmp_path))[2].startswith("its config.json does not tell its task")


def test_the_list_of_models(parity: ModuleType) -> None:
    assert len(parity.MODELS) >= 30
    assert set(parity.MODELS.values()) <= set(registry.pipelines())
    assert len(set(parity.MODELS.values())) == 7
    assert all(name.count("/") == 1 for name in parity.MODELS)
