"""Networks for series: which one, and with what settings."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from silmu.errors import UnknownNameError, UsageError
from silmu.steps.design import series_defaults, series_lines
from silmu.steps.design.plan import FOR_SERIES

if TYPE_CHECKING:
    from torch import nn

    from silmu.runtime.series.processor import SeriesProcessor
    from silmu.steps.prepare.prepared import Prepared

HEADS = ("quantiles", "student_t")
OF_TRANSFORMERS = {"patchtst": "student_t", "transformer": "quantiles"}
"""Networks that are transformers' own, and what they tell, the second of its trajectories."""


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
    network: str,
    given: Mapping[str, Any],
    num_windows: int | None = None,
    context_length: int | None = None,
) -> dict[str, Any]:
    """The settings of training: those that are given, defaults for the rest.

    Args:
        network: one of FOR_SERIES, or `auto`.
        given: by name; what is None is decided here.
        num_windows: of the training part.
        context_length: steps that are read.

    Raises:
        UsageError: the network has no such head.
    """
    kind = series_defaults.DEFAULT if network == "auto" else network
    chosen = {name: value for name, value in given.items() if value is not None}
    found = {**given, **series_defaults.TRAINING, **series_defaults.OF_KIND[kind], **chosen}
    if found["dtype"] == "auto":
        found["dtype"] = "fp32"  # so small a network gains nothing by less
    head = found["head"]
    if head not in HEADS:
        raise UsageError(f"head is {head!r}; it may be {', '.join(HEADS)}")
    if head != OF_TRANSFORMERS.get(kind, head):
        raise UsageError(
            f"head is {head!r}, and {kind} is transformers' own, whose head is "
            f"{OF_TRANSFORMERS[kind]}",
            hint="leave it out, or take another --network",
        )
    layers = series_defaults.blocks(context_length or 1, found["kernel_size"])
    size = found["batch_size"]
    per_epoch = -(-(num_windows or size) // size)
    steps = series_defaults.steps(kind, num_windows or size, size)
    by_size = {
        "evaluations": max(1, round(per_epoch / series_defaults.STEPS_BETWEEN)),
        "epochs": -(-steps // per_epoch),
        "num_layers": found["num_layers"] or layers,
    }
    return found | {name: value for name, value in by_size.items() if name not in chosen}


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
