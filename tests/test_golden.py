"""silmu answers as transformers does: every case of tests/golden, made by the real library.

Texts, labels, spans, shapes and the order of keys are equal; scores agree to 1e-4.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import silmu
import silmu.errors
from silmu import registry
from silmu.runtime.folder import Folder
from silmu.runtime.text import Tokenizer

HERE = Path(__file__).parent
MODELS = HERE / "models"
DIFFERENCES: dict[str, str] = json.loads((HERE / "golden" / "differences.json").read_text())


def load(version: str, task: str) -> list[dict[str, Any]]:
    path = HERE / "golden" / version / f"{task}.json"
    return json.loads(path.read_text(encoding="utf-8"))["cases"]


def all_cases() -> Iterator[Any]:
    for path in sorted((HERE / "golden").glob("*/*.json")):
        if path.stem != "logits":
            if path.stem != "pipeline" and path.stem not in registry.pipelines():
                continue  # recorded ahead of the pipeline that will answer it
            for case in load(path.parent.name, path.stem):
                yield pytest.param(case, id=f"{path.parent.name}/{case['id']}")


def difference(name: str) -> str | None:
    return next((why for form, why in DIFFERENCES.items() if re.fullmatch(form, name)), None)


class KeyDataset:
    """As transformers' own: numbered rows, one key of each."""

    def __init__(self, rows: list[dict[str, Any]], key: str) -> None:
        self.rows, self.key = rows, key

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index][self.key]


def tokenizer(value: dict[str, Any]) -> Tokenizer:
    opened = Tokenizer.open(Folder(MODELS / value["model"], value["model"]))
    for name, setting in value.items():
        if name != "model":
            setattr(opened, name, setting)
    return opened


DECODERS: dict[str, Any] = {
    "$generator": lambda value: (item for item in value),
    "$tuple": tuple,
    "$key_dataset": lambda value: KeyDataset(value["rows"], value["key"]),
    "$squad_example": lambda value: SimpleNamespace(
        question_text=value["question"], context_text=value["context"]
    ),
    "$tokenizer": tokenizer,
    "$generation_config": lambda value: SimpleNamespace(**value),
    "$return_type": lambda value: SimpleNamespace(name=value),
    "$strategy": lambda value: SimpleNamespace(value=value.lower()),
    "$model": lambda value: str(MODELS / value),
    "$path": lambda value: MODELS / value,
    "$device": lambda value: SimpleNamespace(type=value, index=None),
    "$dtype": lambda value: f"torch.{value}",
}


def decode(value: Any) -> Any:
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in DECODERS:
            ((key, inner),) = value.items()
            return DECODERS[key](decode(inner))
        return {key: decode(item) for key, item in value.items()}
    return value


def plain(value: Any) -> Any:
    """The encoding of tools/make_golden.py, without the words for which library made it."""
    if isinstance(value, np.ndarray):
        return {"$array": value.tolist()}
    if isinstance(value, dict):
        if set(value) == {"$tensor"}:
            return {"$array": plain(value["$tensor"])}
        if set(value) == {"$float"}:
            return float(value["$float"])
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Iterator) or hasattr(value, "__next__"):
        return {"$iterator": [plain(item) for item in value]}
    return value


def assert_close(found: Any, expected: Any, where: str = "answer", tolerance: float = 1e-4) -> None:
    if isinstance(expected, float) and not isinstance(found, bool):
        assert isinstance(found, float | int), f"{where}: {found!r} is not {expected}"
        assert math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance), (
            f"{where}: {found} is not {expected}"
        )
    elif isinstance(expected, dict):
        assert isinstance(found, dict), f"{where}: {found!r} is not {expected!r}"
        assert list(found) == list(expected) or sorted(found) == sorted(expected), (
            f"{where}: keys {list(found)} are not {list(expected)}"
        )
        for key, value in expected.items():
            assert_close(found[key], value, f"{where}.{key}", tolerance)
    elif isinstance(expected, list):
        assert isinstance(found, list), f"{where}: {found!r} is not {expected!r}"
        assert len(found) == len(expected), f"{where}: {len(found)} items are not {len(expected)}"
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_close(one, other, f"{where}[{i}]", tolerance)
    else:
        assert type(found) is type(expected), f"{where}: {found!r} is not {expected!r}"
        assert found == expected, where


def answer(case: dict[str, Any]) -> Any:
    init = decode(case["init"])
    if "init_args" in case:
        built = silmu.pipeline(*decode(case["init_args"]), **init)
    else:
        built = silmu.pipeline(case["task"], model=str(MODELS / case["model"]), **init)
    for call in case.get("before", []):
        built(*decode(call["args"]), **decode(call["kwargs"]))
    if case["task"] is None and not case["args"]:
        return type(built).__name__
    called = getattr(built, case.get("method", "__call__"))
    return plain(called(*decode(case["args"]), **decode(case["kwargs"])))


def check(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is compared below
            answer(case)
        bases = {base.__name__ for base in type(caught.value).__mro__}
        assert case["error"]["type"] in bases, f"{caught.value!r} is no {case['error']['type']}"
    else:
        # That measures, and takes what is near fp32.
        tolerance = 0.05 if case["init"].get("dtype") == "auto" else 1e-4
        assert_close(answer(case), plain(case["output"]), tolerance=tolerance)


@pytest.mark.filterwarnings("ignore:device=:UserWarning")
@pytest.mark.parametrize("case", [c for c in all_cases() if difference(c.id or "") is None])
def test_answers_as_transformers_does(case: dict[str, Any]) -> None:
    check(case)


@pytest.mark.filterwarnings("ignore:device=:UserWarning")
@pytest.mark.parametrize("case", [c for c in all_cases() if difference(c.id or "") is not None])
def test_the_listed_differences_are_real(case: dict[str, Any]) -> None:
    with pytest.raises((AssertionError, silmu.errors.SilmuError, pytest.fail.Exception)):
        check(case)
