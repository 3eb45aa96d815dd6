"""Which settings a search may change, and between what values; the default is always among them.

A task names its space in `Task.space`. What the user has set is not searched, even if it is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from silmu.steps.design.plan import FOR_IMAGES, FROM_NOTHING


@final
@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`.

    Attributes:
        log: drawn evenly by their logarithm, for what counts by its factor.
        whole: whole numbers only.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def rounded(self, value: float) -> float:
        """The value with three digits, which is all that one can tell apart.

        >>> Range(0.0, 0.5).rounded(0.123456)
        0.123
        """
        if self.whole:
            return round(value)
        return min(max(float(f"{value:.3g}"), self.low), self.high)


@final
@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    of: tuple[Any, ...]


Space = Mapping[str, Range | Choice]


def for_texts(network: str, settings: Mapping[str, Any], kind: str | None = None) -> Space:
    """What to change of a network for texts.

    Args:
        network: one of FROM_NOTHING, or an encoder that is fine-tuned.
        settings: all of its training, as they are by default.
        kind: of the labels; None where that is not known yet.
    """
    rate, epochs = float(settings["learning_rate"]), int(settings["epochs"])
    # Low-rank updates bear, and want, rates at which a whole encoder forgets what it knew.
    highest = 20 if settings.get("tune") == "lora" else 4
    found: dict[str, Range | Choice] = {
        "learning_rate": Range(rate / 5, rate * highest, log=True),
        "weight_decay": Range(0.001, 0.1, log=True),
        "epochs": Range(max(epochs // 2, 1), 2 * epochs, whole=True),
        "label_smoothing": Range(0.0, 0.2),
    }
    if network in FROM_NOTHING:
        found |= {
            "batch_size": Choice((32, 64, 128)),
            "hidden_size": Choice((64, 96, 128, 192)),
            "dropout": Range(0.1, 0.7),
            "embedding_dropout": Range(0.0, 0.5),
            "feature_dropout": Range(0.0, 0.5),
        }
    else:
        found |= {
            "batch_size": Choice((8, 16, 32)),
            "dropout": Range(0.0, 0.3),
            "warmup": Range(0.0, 0.3),
        }
    if kind == "number":
        del found["label_smoothing"]
    if settings.get("max_steps"):
        del found["epochs"]  # the number of steps is the user's
    return found


def for_tables(network: str, settings: Mapping[str, Any]) -> Space:
    """What to change of a network for tables, about as Gorishniy et al. 2025 tune theirs.

    Args:
        network: one of FOR_TABLES.
        settings: all of its training, as they are by default.
    """
    rate = float(settings["learning_rate"])
    found: dict[str, Range | Choice] = {
        "learning_rate": Range(rate / 6, 2 * rate, log=True),
        "weight_decay": Range(1e-5, 0.1, log=True),
        "hidden_size": Choice((64, 128, 256, 512)),
        "num_layers": Range(1, 4, whole=True),
        "dropout": Range(0.0, 0.5),
    }
    if network == "tabm":
        found |= {
            "number_bins": Range(4, 96, whole=True),
            "number_size": Choice((8, 16, 24)),
        }
    return found


def for_images(network: str, settings: Mapping[str, Any]) -> Space:
    """What to change of a network for pictures.

    Args:
        network: one of FOR_IMAGES, or a model that is fine-tuned.
        settings: all of its training, as they are by default.
    """
    rate, epochs = float(settings["learning_rate"]), int(settings["epochs"])
    found: dict[str, Range | Choice] = {
        "learning_rate": Range(rate / 5, rate * 3, log=True),
        "weight_decay": Range(0.001, 0.2, log=True),
        "epochs": Range(max(epochs // 2, 1), 2 * epochs, whole=True),
        "label_smoothing": Range(0.0, 0.2),
        "crop": Range(0.0, 0.3),
        "rotate": Range(0.0, 30.0),
        "colour": Range(0.0, 0.5),
        "mixing": Choice((0.0, 0.2, 0.5)),
    }
    if network in FOR_IMAGES and network != "perceptron":
        found |= {
            "batch_size": Choice((32, 64, 128)),
            "hidden_size": Choice((256, 512, 1024) if network == "mlp" else (16, 32, 48)),
            "dropout": Range(0.0, 0.6),
        }
    if settings.get("max_steps"):
        del found["epochs"]  # the number of steps is the user's
    return found


def for_series(network: str, settings: Mapping[str, Any]) -> Space:
    """What to change of a network for series.

    Args:
        network: one of FOR_SERIES.
        settings: all of its training, as they are by default.
    """
    rate = float(settings["learning_rate"])
    found: dict[str, Range | Choice] = {
        "learning_rate": Range(rate / 5, rate * 5, log=True),
        "weight_decay": Range(1e-5, 0.1, log=True),
        "batch_size": Choice((32, 64, 128)),
    }
    if network != "dlinear":
        found |= {
            "hidden_size": Choice((32, 64, 128)),
            "num_layers": Range(1, max(3, int(settings["num_layers"]) + 1), whole=True),
            "dropout": Range(0.0, 0.4),
        }
    return found
