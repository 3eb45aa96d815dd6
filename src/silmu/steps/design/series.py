"""Networks for series: which one, and with what settings."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from silmu.errors import UnknownNameError, UsageError
from silmu.steps.design import series_lines
from silmu.steps.design.plan import FOR_SERIES

if TYPE_CHECKING:
    from torch import nn

    from silmu.runtime.series.processor import SeriesProcessor
    from silmu.steps.prepare.prepared import Prepared

HEADS = ("quantiles", "student_t")
OF_TRANSFORMERS = {"patchtst": "student_t", "transformer": "quantiles"}
"""Networks that are transformers' own, and what they tell, the second of its trajectories."""

TRAINING: dict[str, Any] = {
    "epochs": 200,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "weight_decay": 1e-3,
    "warmup": 0.05,
    "schedule": "cosine",
    "average": None,
    "patience": 12,
    "evaluations": 1,
    "dropout": 0.1,
    "bucket": False,
    "head": "quantiles",
}
"""How series are learnt unless settings say otherwise."""

OF_KIND: dict[str, dict[str, Any]] = {
    "rnn": {"hidden_size": 64, "num_layers": 1},
    "lstm": {"hidden_size": 64, "num_layers": 1},
    "gru": {"hidden_size": 64, "num_layers": 1},
    "tcn": {"hidden_size": 32, "num_layers": 5, "kernel_size": 3},
    "dlinear": {"hidden_size": 1, "num_layers": 1, "kernel_size": 25, "dropout": 0.0},
    "patchtst": {"hidden_size": 64, "num_layers": 3, "head": "student_t"},
    "transformer": {"hidden_size": 32, "num_layers": 2},
}
"""What of it is special to a network."""

STEPS_BETWEEN = 100
"""About so many steps lie between two validations."""

MOST_STEPS, PATIENT_STEPS = 4000, 250
"""So many steps are learnt at most, and so many without a gain, however few the windows are."""

MANY_WINDOWS, LARGE_BATCH = 20_000, 128


def check(network: str) -> None:
    """Refuses what cannot be built, before any work is done.

    Raises:
        UnknownNameError: there is no such network.
    """
    if network not in ("auto", *FOR_SERIES):
        raise UnknownNameError(
            f"no network `{network}` for series",
            hint=f"--network may be auto, {', '.join(FOR_SERIES)}",
        )


def decided(
    network: str, given: Mapping[str, Any], num_windows: int | None = None
) -> dict[str, Any]:
    """The settings of training: those that are given, defaults for the rest.

    Args:
        network: one of FOR_SERIES.
        given: by name; what is None is decided here.
        num_windows: of the training part.

    Raises:
        UsageError: the network has no such head.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    found = {**given, "kernel_size": 3, **TRAINING, **OF_KIND[network], **chosen}
    if found["dtype"] == "auto":
        found["dtype"] = "fp32"  # so small a network gains nothing by less
    head = found["head"]
    if head not in HEADS:
        raise UsageError(f"head is {head!r}; it may be {', '.join(HEADS)}")
    if head != OF_TRANSFORMERS.get(network, head):
        raise UsageError(
            f"head is {head!r}, and {network} is transformers' own, whose head is "
            f"{OF_TRANSFORMERS[network]}",
            hint="leave it out, or take another --network",
        )
    if num_windows:
        if num_windows > MANY_WINDOWS and "batch_size" not in chosen:
            found["batch_size"] = LARGE_BATCH
        per_epoch = -(-num_windows // found["batch_size"])
        decided_by_size = {
            "evaluations": max(1, round(per_epoch / STEPS_BETWEEN)),
            "epochs": max(MOST_STEPS // per_epoch, 2),
            "patience": max(TRAINING["patience"], -(-PATIENT_STEPS // per_epoch)),
        }
        found |= {k: v for k, v in decided_by_size.items() if k not in chosen}
    return found


def build(network: str, prepared: Prepared, settings: Mapping[str, Any]) -> nn.Module:
    """The untrained network, the same for the same seed."""
    import torch

    from silmu.networks import series
    from silmu.steps.prepare.series import processor_of

    torch.manual_seed(settings["seed"])
    processor = processor_of(prepared)
    if network in OF_TRANSFORMERS:
        from silmu.steps.design import series_transformers

        return getattr(series_transformers, network)(processor, settings)
    config = series.SeriesConfig(**shape(network, processor, settings))
    built = series.build(config)
    found = series_lines.line(prepared, series.repeated(config).numpy())
    built.begin(*(torch.from_numpy(one) for one in found))
    return built


def shape(network: str, processor: SeriesProcessor, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes of a network of silmu's own, as `networks.series.SeriesConfig` takes them."""
    sizes = processor.sizes
    context = processor.context_length
    return {
        "kind": network,
        "context_length": context,
        "prediction_length": processor.prediction_length,
        "outputs": 3 if settings["head"] == "student_t" else len(processor.quantiles),
        "head": settings["head"],
        "num_known": sizes["known"],
        "num_past": sizes["past"],
        "num_static_real": sizes["static_real"],
        "num_series": sizes["series"],
        "hidden_size": settings["hidden_size"],
        "num_layers": settings["num_layers"],
        "kernel_size": min(settings["kernel_size"], context),
        "dropout": settings["dropout"],
        "season": processor.season if 1 < processor.season <= context else 0,
    }
