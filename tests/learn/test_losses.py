"""Losses: sums whose parts add up, and what each kind of label asks for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from silmu.errors import UsageError
from silmu.steps.train import losses
from silmu.steps.train.validation import Scale

TARGETS = {
    "single": torch.tensor([0, 2, 1, 2, 0]),
    "ordered": torch.tensor([0, 2, 1, 2, 0]),
    "multiple": torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 0]]),
    "number": torch.tensor([0.5, -1.0, 3.0, 0.0, 2.0]),
}
WEIGHTS = torch.tensor([0.5, 1.0, 4.0])


def logits(kind: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, 1 if kind == "number" else 3, generator=generator) * 2


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("kind", TARGETS)
def test_parts_of_a_batch_add_up(kind: str, weights: torch.Tensor | None, smoothing: float) -> None:
    loss = losses.loss(kind, weights=weights, label_smoothing=smoothing)
    found, targets = logits(kind), TARGETS[kind]
    total, weight = loss(found, targets)
    parts = [loss(found[a:b], targets[a:b]) for a, b in ((0, 1), (1, 3), (3, 5))]
    torch.testing.assert_close(sum(part for part, _ in parts), total)
    torch.testing.assert_close(sum(divisor for _, divisor in parts), weight)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_mean_is_the_one_of_torch(weights: torch.Tensor | None) -> None:
    total, weight = losses.cross_entropy(logits("single"), TARGETS["single"], weights)
    expected = functional.cross_entropy(logits("single"), TARGETS["single"], weights)
    torch.testing.assert_close(total / weight, expected)
    several = TARGETS["multiple"]
    total, weight = losses.binary_cross_entropy(logits("multiple"), several, weights)
    expected = functional.binary_cross_entropy_with_logits(
        logits("multiple"), several.float(), pos_weight=weights
    )
    torch.testing.assert_close(total / weight, expected)


def test_between_ordered_labels_a_near_mistake_costs_less() -> None:
    def cost(certain: int, kind: str) -> float:
        found = torch.full((1, 4), -6.0)
        found[0, certain] = 6.0
        total, weight = losses.loss(kind)(found, torch.tensor([0]))
        return float(total / weight)

    assert cost(0, "ordered") < cost(1, "ordered") < cost(2, "ordered") < cost(3, "ordered")
    assert cost(1, "single") == pytest.approx(cost(3, "single"))


def test_a_wild_number_does_not_rule() -> None:
    found = torch.zeros(1, 1, requires_grad=True)
    total, _ = losses.huber(found, torch.tensor([1e6]))
    (gradient,) = torch.autograd.grad(total, found)
    assert abs(float(gradient)) == 1.0


def test_numbers_come_back_to_their_unit() -> None:
    prices = np.array([100_000.0, 250_000.0, 400_000.0], np.float32)
    scale = Scale.of(prices)
    inward = scale.inward(prices)
    assert inward.mean() == pytest.approx(0, abs=1e-6)
    assert inward.std() == pytest.approx(1)
    np.testing.assert_allclose(scale.outward(inward), prices, rtol=1e-6)
    assert Scale.of(np.full(3, 7.0)) == Scale(7.0, 1.0)


@pytest.mark.parametrize(("kind", "smoothing"), [("ranked", 0.0), ("single", 1.0), ("single", -1)])
def test_what_cannot_be_is_refused(kind: str, smoothing: float) -> None:
    with pytest.raises(UsageError):
        losses.loss(kind, label_smoothing=smoothing)
