"""Linear heads on vectors that do not change: logistic regression and ridge, solved for at once.

Vectors are standardised for it, and the standardising is folded into the weights, so that a head
reads them as they come.
"""

# Of scikit-learn's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportMissingTypeStubs=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRENGTHS = tuple(float(f"{10 ** (power / 2):.3g}") for power in range(-10, 1))
"""How little a head is held back, from hardly anything learnt to nearly free: the inverse of the
penalty on its squared weights, as scikit-learn's `C`."""

MOST_ITERATIONS = 500
FLAT = 1e-4
"""What varies by less than this share of what varies most is taken as a constant."""


@final
@dataclass(frozen=True)
class Head:
    """What a probe learns: vectors (rows, size) to logits (rows, outputs).

    Attributes:
        weight: (outputs, size).
        bias: (outputs,).
    """

    weight: NDArray[np.floating[Any]]
    bias: NDArray[np.floating[Any]]

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits of vectors."""
        return (vectors @ self.weight.T + self.bias).astype(np.float32)

    def rescaled(self, factor: float, shift: float = 0.0) -> Head:
        """The same with all that comes out times a factor, plus a shift."""
        return Head(self.weight * factor, self.bias * factor + shift)


@final
@dataclass(frozen=True)
class Standard:
    """What is done to vectors so that each of their numbers is near 0 and of size 1."""

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]
    """0 for what is the same in all vectors."""

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> Standard:
        """That of the vectors of training, (rows, size)."""
        mean = vectors.mean(axis=0, dtype=np.float64)
        deviation = vectors.std(axis=0, dtype=np.float64)
        varies = deviation > FLAT * max(float(deviation.max()), 1e-30)
        factor = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)
        return cls(mean, factor)

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors as a head is solved for."""
        return (vectors - self.mean.astype(np.float32)) * self.factor.astype(np.float32)

    def folded(self, head: Head) -> Head:
        """A head for such vectors as one for the vectors as they come."""
        weight = head.weight * self.factor
        return Head(weight, head.bias - weight @ self.mean)


def fit(
    kind: str,
    vectors: NDArray[np.float32],
    targets: NDArray[Any],
    strength: float,
    *,
    outputs: int,
    weights: NDArray[np.float32] | None = None,
) -> Head:
    """The head for standardised vectors (rows, size) that a strength allows.

    >>> x = np.array([[-1.0], [-2.0], [1.0], [2.0]], np.float32)
    >>> head = fit("single", x, np.array([0, 0, 1, 1]), 1.0, outputs=2)
    >>> head(x).argmax(1).tolist()
    [0, 0, 1, 1]

    Args:
        kind: `single` and `ordered`: multinomial logistic regression; `multiple`: one logistic
            regression a label; `number`: ridge regression.
        targets: numbers of labels (rows,); with `multiple` (rows, labels) of 0 and 1; numbers near
            0 and of size 1 (rows,).
        strength: one of STRENGTHS.
        outputs: how many labels there are.
        weights: what each label counts; with `multiple`, what its presence counts.
    """
    if kind == "number":
        options: dict[str, Any] = {"alpha": 1 / strength, "solver": "cholesky"}
        found: Any = Ridge(**options).fit(vectors, targets)
        bias = np.array([float(found.intercept_)])
        return Head(np.array(found.coef_, np.float64)[None], bias)
    if kind == "multiple":
        heads = [
            _logistic(
                vectors,
                targets[:, i].astype(np.int64),
                strength,
                2,
                None if weights is None else np.array([1.0, weights[i]]),
            )
            for i in range(outputs)
        ]
        apart = [head.weight[1] - head.weight[0] for head in heads]
        return Head(np.stack(apart), np.array([head.bias[1] - head.bias[0] for head in heads]))
    return _logistic(vectors, targets, strength, outputs, weights)


def _logistic(
    vectors: NDArray[np.float32],
    targets: NDArray[Any],
    strength: float,
    outputs: int,
    weights: NDArray[Any] | None,
) -> Head:
    """Labels that no example has get what a label gets that is rarer than one of them."""
    counts = np.bincount(targets, minlength=outputs).astype(np.float64)
    weight = np.zeros((outputs, vectors.shape[1]))
    bias = np.log((counts + 0.5) / (len(targets) + 1))
    there = np.flatnonzero(counts)
    if len(there) < 2:
        return Head(weight, bias)
    options: dict[str, Any] = {"C": strength, "max_iter": MOST_ITERATIONS}
    if weights is not None:
        options["class_weight"] = {int(i): float(weights[i]) for i in there}
    solver: Any = LogisticRegression(**options)
    with warnings.catch_warnings():
        # It is near enough, and the validation split judges what came of it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        solver.fit(vectors, targets)
    found, shift = np.array(solver.coef_, np.float64), np.array(solver.intercept_, np.float64)
    if len(there) == 2:  # of which scikit-learn tells how far the second is above the first
        found, shift = np.concatenate([-found, found]) / 2, np.concatenate([-shift, shift]) / 2
    weight[there] = found
    bias[there] = shift
    return Head(weight, bias)
