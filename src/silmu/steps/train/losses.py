"""What is made small: a loss for each kind of label, as a sum and what to divide it by.

The sum of several parts of a batch, divided by the sum of their divisors, is the mean of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from silmu.errors import UnknownNameError, UsageError

Loss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(logits, targets) -> the sum of losses, and by what to divide it."""

KINDS = ("single", "multiple", "ordered", "number")


def loss(kind: str, *, weights: Tensor | None = None, label_smoothing: float = 0.0) -> Loss:
    """The loss for a kind of label.

    >>> total, weight = loss("single")(torch.zeros(4, 2), torch.tensor([0, 1, 1, 0]))
    >>> f"{total / weight:.3f}"
    '0.693'

    Args:
        kind: `single`, `multiple`, `ordered` or `number`.
        weights: what each label counts; with `multiple`, what its presence counts.
        label_smoothing: the share of certainty that is not asked for, from 0 to below 1.

    Raises:
        UsageError: no such kind, or a share out of range.
    """
    if kind not in KINDS:
        raise UnknownNameError(f"labels of kind {kind!r}; there are {', '.join(KINDS)}")
    if not 0 <= label_smoothing < 1:
        raise UsageError(f"label_smoothing is {label_smoothing}; it must be from 0 to below 1")

    def single(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return cross_entropy(logits, targets, _on(weights, logits), label_smoothing)

    def multiple(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return binary_cross_entropy(logits, targets, _on(weights, logits), label_smoothing)

    def ordered(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return earth_movers(logits, targets, _on(weights, logits), label_smoothing)

    return {"single": single, "multiple": multiple, "ordered": ordered, "number": huber}[kind]


def cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Of one label an example: logits (rows, labels), targets (rows,) of label numbers."""
    total = functional.cross_entropy(
        logits, targets, weights, reduction="sum", label_smoothing=label_smoothing
    )
    return total, _weight(logits, targets, weights)


def binary_cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Of several labels at once, each there or not: both (rows, labels); the mean of the labels.

    A weight says how many absences of its label one presence counts.
    """
    sought = targets.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2
    total = functional.binary_cross_entropy_with_logits(
        logits, sought, pos_weight=weights, reduction="sum"
    )
    return total / logits.shape[1], logits.new_tensor(float(len(logits)))


def earth_movers(
    logits: Tensor, targets: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Of ordered labels: cross-entropy, and how far the probability lies from where it should.

    The squared earth mover's distance (Hou et al. 2016, https://arxiv.org/abs/1611.05916): between
    neighbours a mistake costs less than between the ends.
    """
    total, weight = cross_entropy(logits, targets, weights, label_smoothing)
    moved = logits.softmax(-1).cumsum(-1)
    places = torch.arange(logits.shape[1], device=logits.device)
    sought = (places >= targets.unsqueeze(1)).to(logits.dtype)
    distance = (moved - sought).square().sum(1)
    if weights is not None:
        distance = distance * weights[targets]
    return total + distance.sum(), weight


def huber(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Of a standardised number: logits (rows, 1), targets (rows,); or of several: both (rows, n).

    Beyond one standard deviation an error counts by its size, no longer by its square, so that
    single wild values do not rule (Huber 1964, https://doi.org/10.1214/aoms/1177703732).
    """
    found, sought = logits.reshape(targets.shape), targets.to(logits.dtype)
    total = functional.huber_loss(found, sought, reduction="sum")
    return total, logits.new_tensor(float(found.numel()))


def pinball(
    found: Tensor, sought: Tensor, observed: Tensor, levels: Tensor
) -> tuple[Tensor, Tensor]:
    """Of quantiles: twice the mean over levels of the quantile loss, the absolute error for 0.5.

    Its mean over all levels is an estimate of the continuous ranked probability score (Koenker &
    Bassett 1978, https://doi.org/10.2307/1913643).

    Args:
        found: (rows, steps, levels), in any order.
        sought: (rows, steps).
        observed: (rows, steps), 0 where there is nothing to be told.
        levels: (levels,), such as 0.1 to 0.9.
    """
    missed = sought.unsqueeze(-1) - found.float()
    each = 2 * torch.maximum(levels * missed, (levels - 1) * missed).mean(-1)
    return (each * observed).sum(), observed.sum().clamp(min=1.0)


def student_t(found: Tensor, sought: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Of a Student's t: how unlikely what came was, as the negative logarithm of its density.

    Args:
        found: (rows, steps, 3): degrees of freedom, place and scale.
        sought: (rows, steps).
        observed: (rows, steps), 0 where there is nothing to be told.
    """
    freedom, place, scale = found.float().unbind(-1)
    away = (sought - place) / scale
    # As torch.distributions has it, which has no distribution of what is no number.
    level = scale.log() + 0.5 * (freedom.log() + math.log(math.pi))
    level = level + torch.lgamma(0.5 * freedom) - torch.lgamma(0.5 * (freedom + 1))
    each = level + 0.5 * (freedom + 1) * torch.log1p(away.square() / freedom)
    return (each * observed).sum(), observed.sum().clamp(min=1.0)


def _on(weights: Tensor | None, logits: Tensor) -> Tensor | None:
    return None if weights is None else weights.to(logits)


def _weight(logits: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    """By what torch divides the sum for a mean; with smoothing too."""
    if weights is None:
        return logits.new_tensor(float(len(logits)))
    return weights[targets].sum()
