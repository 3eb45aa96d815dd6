"""What the loop trains where examples are rows of a table, and the model folder of it."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from silmu import store
from silmu.networks.tables import TableNetwork
from silmu.runtime import weights
from silmu.runtime.folder import Folder
from silmu.runtime.table import Table
from silmu.steps.prepare import prepared as prepare
from silmu.steps.prepare.tables import TableFeatures, features, plain_cells
from silmu.steps.train import served
from silmu.steps.train.examples import ExamplesObjective
from silmu.steps.train.outcome import calibrated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.prepare.prepared import Prepared

AT_ONCE = 4096
"""Rows that are validated at once."""
OUTSIDE = 0.05
"""The share of true numbers below an interval, and above it."""
LEAST_RESIDUALS = 20
"""Of fewer there is no interval: none of them would be outside."""
NUM_ROWS = 200
"""How many rows network and graph are compared on."""


class TableObjective(ExamplesObjective):
    """A `TableNetwork`, and the rows of a prepared table.

    Args:
        network: gives (rows, members, outputs), each member of which learns for itself.
        prepared: whose training split is learnt and whose validation split decides, by the loss: of
            few rows it tells sooner than the share of right answers what is best.
        settings: `class_weights` and `label_smoothing`.
    """

    network: Any
    train: TableFeatures
    validation: TableFeatures

    def __init__(
        self, network: TableNetwork, prepared: Prepared, settings: Mapping[str, Any]
    ) -> None:
        splits = (features(prepared, split) for split in ("train", "validation"))
        super().__init__(network, prepared, settings, *splits)

    def batch(self, indices: NDArray[np.int64], seed: int) -> dict[str, Tensor]:
        """Numbers, categories and targets of some rows."""
        del seed  # nothing about a row is drawn by chance
        return self._batch(self.train, indices)

    def loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The sum of the losses of all members, and their weight."""
        inputs = {name: value for name, value in batch.items() if name != "targets"}
        members = self.network(**inputs).float()
        targets = batch["targets"].repeat_interleave(members.shape[1], 0)
        return self._loss(members.flatten(0, 1), targets)

    def validation_logits(self) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """(rows, outputs) for the validation split, and its targets as training sees them."""
        count = len(self.validation)
        parts: list[NDArray[np.float32]] = []
        for start in range(0, count, AT_ONCE):
            batch = self._batch(self.validation, np.arange(start, min(start + AT_ONCE, count)))
            del batch["targets"]
            batch = {name: value.to(self.device) for name, value in batch.items()}
            parts.append(self.network.told(self.network(**batch).float()).cpu().numpy())
        return np.concatenate(parts), self.targets(self.validation, np.arange(count))

    def _batch(self, rows: TableFeatures, indices: NDArray[Any]) -> dict[str, Tensor]:
        arrays = {
            "numbers": rows.numbers[indices],
            "categories": rows.categories[indices],
            "targets": self.targets(rows, indices),
        }
        return {k: torch.from_numpy(v) for k, v in arrays.items() if v.ndim < 2 or v.shape[1]}


def outcome(
    objective: TableObjective,
) -> tuple[float, list[float] | None, list[tuple[float, float]] | None]:
    """What the validation split tells of a network whose training is done.

    Returns:
        The temperature of its logits; from what score on each of several labels is told; and for
        numbers how far below and above an answer nine of ten true ones lie, where rows are enough.
    """
    if objective.scale is None:
        return *calibrated(objective), None
    objective.network.eval()
    with torch.inference_mode():
        logits, targets = objective.validation_logits()
    told = objective.scale.outward(logits.reshape(targets.shape))
    residuals = np.reshape(objective.scale.outward(targets) - told, (len(targets), -1))
    return 1.0, None, interval_of(residuals)


def interval_of(residuals: NDArray[np.float64]) -> list[tuple[float, float]] | None:
    """How far below and above an answer nine of ten true numbers lie; None of too few residuals.

    As many residuals are outside as hold for rows that were not among them (split conformal
    prediction, Papadopoulos et al. 2002).

    >>> interval_of(np.arange(-50.0, 50.0)[:, None])
    [(-46.0, 45.0)]

    Args:
        residuals: (rows, targets) of the validation split.
    """
    count = len(residuals)
    if count < LEAST_RESIDUALS:
        return None
    ordered = np.sort(residuals, axis=0)
    outside = int(OUTSIDE * (count + 1))
    low, high = ordered[outside - 1], ordered[count - outside]
    return list(zip(low.tolist(), high.tolist(), strict=True))


def write_model(
    target: Path,
    head: str,
    objective: TableObjective,
    prepared: Prepared,
    *,
    meta: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a trained network as a model folder, if its graph computes what the network computes.

    The folder holds config.json, model.safetensors, processor.json, processor.safetensors,
    schema.json and onnx/model.onnx. A number comes out in the unit of its column.

    Args:
        target: must not exist.
        head: `tabular-classification` or `tabular-regression`.
        objective: whose network holds the best weights.
        prepared: what it was trained on.
        meta: for the manifest: what the model was made from.

    Raises:
        InvalidModelError: graph and network differ; nothing is left.
    """
    divisor, thresholds, interval = outcome(objective)
    network: TableNetwork = copy.deepcopy(objective.network).cpu().float().eval()
    if objective.scale is not None:
        network.scale[:] = torch.from_numpy(np.atleast_1d(objective.scale.deviation))
        network.shift[:] = torch.from_numpy(np.atleast_1d(objective.scale.mean))
    else:
        network.scale[:] = 1 / divisor
    source = Folder(prepared.processor, str(prepared.processor))
    table = Table.open(source).with_outcome(thresholds, interval)
    name = "".join(word.capitalize() for word in head.split("-"))
    values = network.config.to_dict() | {"architectures": [f"SilmuFor{name}"]}
    values |= served.labels_of(prepared)
    with store.new_folder(target, meta={"task": head, **(meta or {})}) as writer:
        text = json.dumps(values, ensure_ascii=False, indent=1)
        writer.write("config.json", f"{text}\n".encode())
        tensors = {
            key: value.contiguous()
            for key, value in network.state_dict().items()
            if value.is_floating_point()  # masks follow from the pieces
        }
        writer.write(weights.SINGLE, safetensors.torch.save(tensors, metadata={"format": "pt"}))
        for key, data in table.to_files().items():
            writer.write(key, data)
        writer.copy(prepared.path / prepare.SCHEMA, prepare.SCHEMA)
        served.serve(
            *(writer, Path(target).name, head), lambda pipe: compare(pipe, network, prepared)
        )
    return Path(target)


def compare(pipe: Any, network: TableNetwork, prepared: Prepared) -> None:
    """Refuses where a pipeline and a network differ.

    Raises:
        InvalidModelError: a row is read in another way than in training, or the logits differ by
            more than 1e-4, or another label is first.
    """
    rows = features(prepared, "validation")
    some = np.unique(np.linspace(0, len(rows) - 1, NUM_ROWS // 2).round().astype(int))
    table: Table = pipe.table
    names = [one.name for one in table.read]
    part = prepared.dataset.take(np.asarray(rows.rows[some]), names)
    cells = {name: plain_cells(part.column(i)) for i, name in enumerate(names)}
    arrays = table.arrays(cells).arrays
    for name, found in arrays.items():
        if not np.array_equal(found, getattr(rows, name)[some]):
            raise served.differs(f"it reads the {name} of rows in another way than in training")
    random = np.random.default_rng(0)
    drawn: dict[str, NDArray[Any]] = {}
    count = NUM_ROWS - len(some)
    if "numbers" in arrays:
        wild = random.normal(0, 2, (count, table.num_numbers)).astype(np.float32)
        drawn["numbers"] = np.concatenate([arrays["numbers"], wild])
    if "categories" in arrays:
        wild = random.integers(0, table.sizes, (count, len(table.sizes)))
        drawn["categories"] = np.concatenate([arrays["categories"], wild])
    with torch.inference_mode():
        inputs = {name: torch.from_numpy(value) for name, value in drawn.items()}
        expected = network.told(network(**inputs)).numpy()
    for start, end in ((0, 1), (0, 7), (7, NUM_ROWS)):
        feeds = {name: value[start:end] for name, value in drawn.items()}
        found = pipe.model(**feeds)["logits"]
        places = [f"row {i}" for i in range(start, end)]
        served.compare_logits(found, expected[start:end], places)
