"""A network's certainty is brought to what it is worth, and what it says stays the same."""

from __future__ import annotations

import numpy as np
import pytest

from silmu.steps.train.calibration import LEAST, MOST, temperature

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("kind", ["single", "ordered", "multiple"])
def test_the_factor_by_which_logits_were_spoilt_is_found(kind: str, factor: float) -> None:
    true = RANDOM.normal(size=(8000, 3)) * 1.5
    if kind == "multiple":
        targets = (RANDOM.random(true.shape) < 1 / (1 + np.exp(-true))).astype(np.uint8)
    else:
        shares = np.exp(true) / np.exp(true).sum(1, keepdims=True)
        targets = (RANDOM.random((len(true), 1)) > shares.cumsum(1)).sum(1)
    found = temperature(kind, (true * factor).astype(np.float32), targets)
    assert found == pytest.approx(factor, rel=0.06)


def test_it_stays_within_bounds() -> None:
    logits = np.array([[1.0, -1.0], [1.0, -1.0]], np.float32)
    assert temperature("single", logits, np.array([0, 0])) == pytest.approx(LEAST, rel=1e-6)
    assert temperature("single", logits, np.array([1, 1])) == pytest.approx(MOST, rel=1e-6)
