"""What the loop trains where examples are windows of series, and the model folder of it."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from silmu import store
from silmu.runtime.series import processor as processors
from silmu.steps.design.series_defaults import LIKELIHOOD, QUANTILE_LOSS
from silmu.steps.prepare import prepared as prepare
from silmu.steps.prepare.series import SeriesFeatures, features, processor_of
from silmu.steps.train import export, losses, served
from silmu.steps.train.objective import Objective
from silmu.steps.train.spreads import spreads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.series.processor import Forecasts
    from silmu.steps.prepare.prepared import Prepared

HEAD = "time-series-forecasting"
AT_ONCE = 512
"""Windows that are validated at once."""
MOST_VALIDATED = 4096
"""Windows of the validation part that decide which weights are best, spread over all; and of either
part that tell how wide forecasts are to be."""
NUM_WINDOWS = 64
"""How many windows network and graph are compared on."""
LARGEST = 50.0
"""Beyond so many deviations of its window a value to be told counts as this far."""


class SeriesObjective(Objective):
    """A network, and the windows of prepared series.

    Args:
        network: called with the feeds of `SeriesProcessor.arrays`; gives (rows, steps, outputs).
            One that learns in another way has `training_loss(feeds, future, observed)` of its own.
        prepared: whose training part is learnt and whose validation part decides.
        settings: `head`.
    """

    higher_is_better = False

    def __init__(self, network: nn.Module, prepared: Prepared, settings: Mapping[str, Any]) -> None:
        self.network = network
        self.head = str(settings["head"])
        # What learns in a way of its own tells quantiles whatever it learnt.
        has_own = hasattr(network, "training_loss")
        told = "quantiles" if has_own else self.head
        is_quantiles = self.head == "quantiles" and not has_own
        self.metric = QUANTILE_LOSS if is_quantiles else LIKELIHOOD
        self.processor = processor_of(prepared).with_outcome(head=told)
        self.train, self.validation = (features(prepared, one) for one in prepare.SPLITS[:2])
        self.panel = self.processor.panel(self.train.tracks)
        self.num_examples = len(self.train)
        self.lengths = np.ones(self.num_examples, np.int32)
        self.levels = torch.tensor(self.processor.quantiles)

    def batch(self, indices: NDArray[np.int64], seed: int) -> dict[str, Tensor]:
        """Windows, and what comes after them."""
        del seed
        return self._batch(self.train, self.train.windows[indices])

    def loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The sum of losses over the steps that are told, and how many there are."""
        return self.judged(self.network, batch)

    def judged(self, network: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The same of another network."""
        feeds = {name: one for name, one in batch.items() if not name.startswith("told_")}
        future, observed = batch["told_values"], batch["told_mask"]
        own: Any = getattr(network, "training_loss", None)
        if own is not None:
            return own(feeds, future, observed)
        found = network(**feeds)
        if self.head == "student_t":
            return losses.student_t(found, future, observed)
        return losses.pinball(found, future, observed, self.levels.to(found.device))

    def validate(self) -> dict[str, float]:
        """The loss of the validation part."""
        total = weight = 0.0
        for batch, _ in self._windows(self.validation, MOST_VALIDATED):
            part, count = self.loss(self._there(batch))
            total, weight = total + float(part), weight + float(count)
        return {"loss": total / weight, self.metric: total / weight}

    def forecasts(self, part: SeriesFeatures) -> Iterator[tuple[Forecasts, NDArray[np.float64]]]:
        """What is told of the training or validation part before spreads are fitted, and what came.

        Both in the user's unit, the second (rows, steps) with NaN where nothing was observed.
        """
        most = getattr(self.network, "most_forecasts", MOST_VALIDATED)
        for batch, windows in self._windows(part, most):
            feeds = {k: v for k, v in self._there(batch).items() if not k.startswith("told_")}
            arrays = self.network(**feeds).float().cpu().numpy()
            came = part.told(windows, self.processor.prediction_length)
            read = self.processor.arrays(self.panel, windows[:, 0], windows[:, 1])
            yield self.processor.told(arrays, read), came

    def validation_blocks(self) -> Iterator[dict[str, Tensor]]:
        """Windows of the validation part, those of one block of time together."""
        every = self.validation.windows
        chosen = np.asarray(every[:: -(-len(every) // MOST_VALIDATED)])
        blocks = self.validation.blocks(chosen, self.processor.prediction_length)
        for block in np.unique(blocks):
            yield self._there(self._batch(self.validation, chosen[blocks == block]))

    def _there(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: one.to(self.device) for name, one in batch.items()}

    def _windows(
        self, part: SeriesFeatures, most: int
    ) -> Iterator[tuple[dict[str, Tensor], NDArray[np.int64]]]:
        every = part.windows
        chosen = every[:: -(-len(every) // most)]
        for start in range(0, len(chosen), AT_ONCE):
            windows = np.asarray(chosen[start : start + AT_ONCE])
            yield self._batch(part, windows), windows

    def _batch(self, part: SeriesFeatures, windows: NDArray[np.int64]) -> dict[str, Tensor]:
        read = self.processor.arrays(self.panel, windows[:, 0], windows[:, 1])
        came = part.told(windows, self.processor.prediction_length)
        told = np.clip(self.processor.inward(read, came), -LARGEST, LARGEST)
        seen = np.isfinite(came)
        arrays = {
            **read.feeds,
            "told_values": np.where(seen, told, 0.0).astype(np.float32),
            "told_mask": seen.astype(np.float32),
        }
        return {name: torch.from_numpy(np.ascontiguousarray(one)) for name, one in arrays.items()}


def write_model(
    target: Path,
    objective: SeriesObjective,
    prepared: Prepared,
    *,
    meta: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a trained network as a model folder, if its graph computes what the network computes.

    The folder holds config.json, model.safetensors, processor.json, schema.json and
    onnx/model.onnx. A network of transformers' own opens there too.

    Args:
        target: must not exist.
        objective: whose network holds the best weights.
        prepared: what it was trained on.
        meta: for the manifest: what the model was made from.

    Raises:
        InvalidModelError: graph and network differ; nothing is left.
    """
    objective.network.eval()
    with torch.inference_mode():
        validation, train = (
            objective.forecasts(part) for part in (objective.validation, objective.train)
        )
        fitted = spreads(validation, objective.processor.quantiles, train)
    processor = objective.processor.with_outcome(fitted)
    network: Any = copy.deepcopy(objective.network).cpu().float().eval()
    saved = getattr(network, "model", network)
    with store.new_folder(target, meta={"task": HEAD, **(meta or {})}) as writer:
        export.write_network(writer, saved, {})
        writer.write(processors.FILE, processor.to_bytes())
        writer.copy(prepared.path / prepare.SCHEMA, prepare.SCHEMA)
        served.serve(
            *(writer, Path(target).name, HEAD), lambda pipe: compare(pipe, network, prepared)
        )
    return Path(target)


def compare(pipe: Any, network: nn.Module, prepared: Prepared) -> None:
    """Refuses where a pipeline and a network differ.

    Raises:
        InvalidModelError: what is told of a window differs by more than 1e-4 of its size.
    """
    seen = features(prepared, "validation")
    some = np.unique(np.linspace(0, len(seen) - 1, NUM_WINDOWS).round().astype(int))
    windows = np.asarray(seen.windows[some])
    for start, end in ((0, 1), (0, 7), (0, len(some))):
        which, ends = windows[start:end].T
        read = pipe.processor.arrays(seen.tracks, which, ends)
        with torch.inference_mode():
            arrays: Any = network(**{k: torch.tensor(v) for k, v in read.feeds.items()})
        expected = pipe.processor.told(arrays.numpy(), read)
        found = pipe.forecast(seen.tracks, which, ends)
        size = read.scale[:, None, None] + np.abs(expected.quantiles - read.loc[:, None, None])
        worst = float((np.abs(found.quantiles - expected.quantiles) / size).max())
        if not worst <= served.TOLERANCE:
            raise served.differs(f"what it tells of a window differs by {worst:.2g} of its size")
