"""Networks for tables: which one, and with what settings."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import UnknownNameError, UsageError
from silmu.steps.design.plan import FOR_TABLES

if TYPE_CHECKING:
    from torch import nn

    from silmu.steps.prepare.prepared import Prepared

TRAINING: dict[str, Any] = {
    "epochs": 200,
    "batch_size": 256,
    "learning_rate": 3e-3,
    "weight_decay": 3e-4,
    "warmup": 0.0,
    "schedule": "linear",
    "average": None,
    "patience": 16,
    "evaluations": 1,
    "label_smoothing": 0.0,
    "bucket": False,
}
"""How tables are learnt unless settings say otherwise; as Gorishniy et al. 2025 do."""

MANY_ROWS, MEMBERS_OF_MANY = 5000, 8
LEAST_BATCHES, SMALLEST = 8, 32
"""Batches that an epoch has at least, as long as each holds so many rows."""


def check(network: str) -> None:
    """Refuses what cannot be built, before any work is done.

    Raises:
        UnknownNameError: there is no such network.
    """
    if network not in ("auto", *FOR_TABLES):
        raise UnknownNameError(
            f"no network `{network}` for tables",
            hint=f"--network may be auto, {', '.join(FOR_TABLES)}",
        )


def check_shape(settings: Mapping[str, Any]) -> None:
    """Refuses numbers that no network can have.

    Raises:
        UsageError: a size, or a share, that is out of range.
    """
    from silmu.networks.tables import TableNetworkConfig

    smoothing = settings["label_smoothing"]
    if not 0 <= smoothing < 1:
        raise UsageError(f"label_smoothing is {smoothing}; it must be from 0 to below 1")
    of_data = {"num_numbers": 1, "category_sizes": (), "num_outputs": 1}
    TableNetworkConfig.from_dict({**settings, **of_data, "kind": "tabm", "mean": "number"})


def decided(given: Mapping[str, Any], num_rows: int | None = None) -> dict[str, Any]:
    """The settings of training: those that are given, defaults for the rest.

    Args:
        given: by name; what is None is decided here.
        num_rows: of the training split; of many the ensemble is smaller, and so sees them oftener.
    """
    from silmu.networks import tables

    chosen = {name: value for name, value in given.items() if value is not None}
    found = {**given, **tables.DEFAULTS, **TRAINING, **chosen}
    if num_rows and "batch_size" not in chosen:
        size = max(SMALLEST, num_rows // LEAST_BATCHES)
        found["batch_size"] = min(found["batch_size"], 1 << (size.bit_length() - 1))
    if num_rows and num_rows > MANY_ROWS and "members" not in chosen:
        found["members"] = MEMBERS_OF_MANY
    return found


def build(network: str, prepared: Prepared, settings: Mapping[str, Any]) -> nn.Module:
    """The untrained network, the same for the same seed."""
    import torch

    from silmu.networks import products, tables
    from silmu.runtime.folder import Folder
    from silmu.runtime.table import Table
    from silmu.steps.prepare.tables import features

    torch.manual_seed(settings["seed"])
    table = Table.open(Folder(prepared.processor, str(prepared.processor)))
    train = features(prepared, "train")
    means = {"number": "number", "multiple": "sigmoid"}
    several = train.targets.shape[1] if train.targets.ndim > 1 else 1
    values: dict[str, Any] = {
        **settings,
        "kind": network,
        "mean": means.get(prepared.kind, "softmax"),
        "num_numbers": table.num_numbers,
        "category_sizes": table.sizes,
        "num_outputs": len(prepared.labels) or several,
    }
    config = tables.TableNetworkConfig.from_dict(values)
    bins: list[Any] = []
    if network == "tabm" and config.num_numbers and config.number_bins:
        bins = tables.bins_of(_some(train.numbers), config.number_bins)
        config = replace(config, number_bins=max(len(one) - 1 for one in bins))
    built = tables.TableNetwork(config, bins)
    products.hasten(built)
    return built


def _some(numbers: Any, most: int = 200_000) -> Any:
    """Rows spread over all, for what needs no more."""
    return np.asarray(numbers[:: max(len(numbers) // most, 1)])
