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


def check(network: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuses what cannot be built, and what nothing would follow from, before any work is done.

    Args:
        network: one of FOR_SERIES, or `auto`.
        given: the settings of the task.
        defaults: the same, as they are where nothing is given.

    Raises:
        UnknownNameError: there is no such network.
        UsageError: a setting is of other tasks, or the network does not read it.
    """
    if idle := [one for one in series_defaults.OF_OTHERS if given[one] != defaults[one]]:
        raise UsageError(
            f"series have no {', '.join(idle)}: what is told are numbers, and time decides what is "
            "tested on",
            hint="leave it out",
        )
    if network not in ("auto", *FOR_SERIES):
        raise UnknownNameError(
            f"no network `{network}` for series",
            hint=f"--network may be auto, {', '.join(FOR_SERIES)}",
        )
    kind = series_defaults.DEFAULT if network == "auto" else network
    unread = series_defaults.UNREAD.get(kind, ())
    if idle := [name for name in unread if given[name] is not None]:
        raise UsageError(
            f"{', '.join(idle)} is set, and {kind} has none",
            hint="leave it out, or take another --network",
        )


def check_shape(network: str, settings: Mapping[str, Any]) -> None:
    """Refuses numbers that no network can have.

    Args:
        network: one of FOR_SERIES, or `auto`.
        settings: as `decided` gives them.

    Raises:
        UsageError: a size, or a share, that is out of range.
    """
    from silmu.networks import series

    kind = series_defaults.DEFAULT if network == "auto" else network
    series.SeriesConfig(
        kind=kind if kind in series.KINDS else series.KINDS[0],
        context_length=1,
        prediction_length=1,
        outputs=1,
        **_own_shape(settings),
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
    found |= dict.fromkeys(series_defaults.UNREAD.get(kind, ()))
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
    size = max(found["batch_size"], 1)  # a smaller one is refused with the settings of the loop
    per_epoch = -(-(num_windows or size) // size)
    steps = series_defaults.steps(kind, num_windows or size, size)
    by_size = {
        "evaluations": max(1, round(per_epoch / series_defaults.STEPS_BETWEEN)),
        "epochs": -(-steps // per_epoch),
    }
    if kind == "tcn":
        by_size["num_layers"] = series_defaults.blocks(context_length or 1, found["kernel_size"])
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
    context, own = processor.context_length, _own_shape(settings)
    if "kernel_size" in own:
        own["kernel_size"] = min(own["kernel_size"], context)
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
        "season": processor.season if 1 < processor.season <= context else 0,
        **own,
    }


def _own_shape(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What settings say of the shape of a network; what it has no use for is left out."""
    names = ("hidden_size", "num_layers", "kernel_size", "dropout")
    return {name: settings[name] for name in names if settings[name] is not None}
