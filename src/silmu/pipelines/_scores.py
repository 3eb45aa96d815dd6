"""How logits become the scores of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import UnknownNameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.pipelines._model import ModelConfig

FUNCTIONS = ("sigmoid", "softmax", "none")


def named(given: Any) -> str:
    """One of FUNCTIONS, by its name or by a member of an Enum whose value says it.

    Raises:
        UnknownNameError: it is none.
    """
    name = str(getattr(given, "value", given)).lower()
    if name not in FUNCTIONS:
        raise UnknownNameError(f"function_to_apply is {given!r}; it may be {', '.join(FUNCTIONS)}")
    return name


def function_of(config: ModelConfig) -> str:
    """What a model's labels ask for: sigmoid for several at once or for one, else softmax."""
    several = config.problem_type == "multi_label_classification"
    return "sigmoid" if several or config.num_labels == 1 else "softmax"


def apply(function: str, logits: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """The scores of logits (labels,) by one of FUNCTIONS."""
    if function == "sigmoid":
        return np.exp(-np.logaddexp(0, -logits))
    if function == "softmax":
        raised = np.exp(logits - logits.max())
        return raised / raised.sum()
    return logits
