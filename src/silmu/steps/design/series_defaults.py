"""What networks for series are built and trained with, unless settings say otherwise."""

from __future__ import annotations

from typing import Any

BATCH = 64
LEAST_STEPS, MOST_STEPS, EPOCHS = 600, 3000, 5

DEFAULTS: dict[str, dict[str, Any]] = {
    "rnn": {"hidden_size": 32, "num_layers": 1, "learning_rate": 3e-3, "dropout": 0.1},
    "lstm": {"hidden_size": 32, "num_layers": 1, "learning_rate": 3e-3, "dropout": 0.1},
    "gru": {"hidden_size": 32, "num_layers": 1, "learning_rate": 3e-3, "dropout": 0.1},
    "tcn": {"hidden_size": 32, "kernel_size": 3, "learning_rate": 2e-3, "dropout": 0.1},
    "dlinear": {"kernel_size": 25, "learning_rate": 3e-3, "dropout": 0.0},
}
"""By network. Temporal convolutions have as many layers as `blocks` says."""


def steps(kind: str, num_windows: int) -> int:
    """Steps of training in all, of BATCH windows, under one cosine.

    >>> steps("gru", 1_500), steps("gru", 14_000), steps("dlinear", 1_500)
    (600, 1095, 1500)
    """
    least = 1500 if kind == "dlinear" else LEAST_STEPS  # it learns more slowly, and takes a second
    return min(max(least, EPOCHS * -(-num_windows // BATCH)), MOST_STEPS)


def blocks(context_length: int, kernel_size: int) -> int:
    """The least blocks of a temporal convolution whose last step sees the whole context.

    Block i has two filters that take every 2^i-th step.

    >>> [blocks(context, 3) for context in (1, 5, 6, 56, 168)]
    [1, 1, 2, 4, 6]
    """
    count, reach = 1, 1 + 2 * (kernel_size - 1)
    while kernel_size > 1 and reach < context_length:
        reach += 2 * (kernel_size - 1) << count
        count += 1
    return count
