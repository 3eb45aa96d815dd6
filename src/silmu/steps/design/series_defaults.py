"""What networks for series are built and trained with, unless settings say otherwise."""

from __future__ import annotations

from typing import Any

DEFAULT = "tcn"
"""What `auto` is: of thirteen real series it erred least over all, beside GRU and DLinear."""

QUANTILE_LOSS, LIKELIHOOD = "quantile_loss", "negative_log_likelihood"
"""By which weights are chosen on the validation part, where quantiles are learnt and else."""

TRAINING: dict[str, Any] = {
    "batch_size": 64,
    "learning_rate": 1e-3,
    "weight_decay": 1e-3,
    "warmup": 0.05,
    "schedule": "cosine",
    "average": 0.98,
    "patience": None,
    "dropout": 0.1,
    "bucket": False,
    "head": "quantiles",
    "kernel_size": 3,
}
"""How series are learnt: the best of all validations under one cosine is kept."""

OF_KIND: dict[str, dict[str, Any]] = {
    "rnn": {"hidden_size": 32, "num_layers": 1},
    "lstm": {"hidden_size": 32, "num_layers": 1},
    "gru": {"hidden_size": 32, "num_layers": 1},
    "tcn": {"hidden_size": 32, "learning_rate": 2e-3},
    "dlinear": {"kernel_size": 25, "learning_rate": 3e-3},
    "patchtst": {"hidden_size": 64, "num_layers": 3, "head": "student_t"},
    "transformer": {"hidden_size": 32, "num_layers": 2},
}
"""What of it is special to a network. A TCN has as many layers as `blocks` says."""

UNREAD: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("rnn", "lstm", "gru", "patchtst", "transformer"), ("kernel_size",)),
    "dlinear": ("hidden_size", "num_layers", "dropout"),
}
"""What a network has no use for."""

OF_OTHERS = ("label_smoothing", "class_weights", "split_seed")
"""Settings of tasks with labels, or whose rows are drawn into splits."""

LEAST_STEPS = {"dlinear": 1500}
FEW_STEPS, MOST_STEPS, EPOCHS = 600, 3000, 5
STEPS_BETWEEN = 100
"""About so many steps lie between two validations of many windows."""


def steps(network: str, num_windows: int, batch_size: int) -> int:
    """Steps of training in all: some epochs, or as many as a network needs of few windows.

    >>> steps("gru", 1_500, 64), steps("gru", 14_000, 64), steps("dlinear", 1_500, 64)
    (600, 1095, 1500)
    """
    least = LEAST_STEPS.get(network, FEW_STEPS)
    return min(max(least, EPOCHS * -(-num_windows // batch_size)), MOST_STEPS)


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
