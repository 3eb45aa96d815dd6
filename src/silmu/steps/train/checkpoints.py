"""All that a training needs to go on as if nothing had happened, in folders that are there whole.

    4-train/
    ├── step-00001200-evaluated/   tensors of network, optimizer and average, state.json, log.jsonl
    ├── step-00001374/
    ├── LATEST  BEST               which of them; for others, since silmu looks at each
    ├── log.jsonl                  one JSON a line
    └── finished/                  when all is done: outcome.json

What chance decides follows from the seed and the step, so no state of a generator is among it.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import json
import logging
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from safetensors.torch import load_file
from safetensors.torch import save as packed
from torch import Tensor, nn

from silmu import store
from silmu.errors import CorruptError, TrainingError
from silmu.steps.train.provenance import refuse_another
from silmu.steps.train.tensors import fill, is_finite, portable, unique

if TYPE_CHECKING:
    from collections.abc import Mapping

    from silmu.steps.train.optimizers import Average, Optimizer

logger = logging.getLogger("silmu")

NETWORK, OPTIMIZER, AVERAGE = "network.safetensors", "optimizer.safetensors", "average.safetensors"
PARTS = "parts.safetensors"
"""What an algorithm remembers that is more than a network and its optimizer."""
STATE, LOG, OUTCOME, FINISHED = "state.json", "log.jsonl", "outcome.json", "finished"
_NAME = re.compile(r"step-(\d{8,})(-evaluated)?")


@final
@dataclass
class Best:
    """The weights that did best on the validation split so far."""

    folder: str
    step: int
    metric: float
    metrics: dict[str, float]


@final
@dataclass
class State:
    """What a training remembers besides its tensors."""

    step: int = 0
    """How many steps are done."""
    evaluated: int = -1
    """After how many the last validation was."""
    waited: int = 0
    """How many validations in a row were no better than the best."""
    best: Best | None = None
    seconds: float = 0.0
    """How long training took, over all its sittings."""
    summed: float = 0.0
    counted: int = 0
    """The losses since the last line of the log."""
    lines: list[str] = field(default_factory=list[str])
    """Of the log."""
    saved: str | None = None
    """The newest checkpoint of it that is on the disk."""

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"step-{self.step:08d}{'-evaluated' if self.evaluated == self.step else ''}"


@final
class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: `4-train/` of a run.
        made_by: what decides the result: settings, data, network. One who resumes must have the
            same; what is under `versions` may differ, with a warning.
        keep: how many stay besides the newest and the best.
    """

    def __init__(self, folder: Path, made_by: Mapping[str, Any], keep: int) -> None:
        self.folder = folder
        self.made_by: dict[str, Any] = json.loads(json.dumps(made_by))
        self.keep = keep

    # ── reading ────────────────────────────────────────────────────────────────────────────────

    def finished(self) -> dict[str, Any] | None:
        """The outcome of a training that is done; None if it is not."""
        marker = self.folder / FINISHED
        if not marker.exists():
            return None
        try:
            made_by = store.verify(marker).meta
            refuse_another(made_by, self.made_by, marker)
            outcome = json.loads((marker / OUTCOME).read_bytes())
            store.verify(self.folder / outcome["folder"])
        except CorruptError as error:
            logger.warning("%s; training goes on from the newest sound checkpoint", error.message)
            return None
        return outcome

    def newest(self) -> str | None:
        """The newest checkpoint that is as it was written, it and the best that it knows of.

        Raises:
            UsageError: it is of a training with other settings or other data.
        """
        for name in reversed(self._all()):
            try:
                made_by = store.verify(self.folder / name).meta
                refuse_another(made_by, self.made_by, self.folder / name)
                best = _state(self.folder / name).best
                if best is not None:
                    store.verify(self.folder / best.folder)
            except CorruptError as error:
                logger.warning("%s; going back to the checkpoint before", error.message)
                continue
            return name
        return None

    def load(
        self, name: str, network: nn.Module, optimizer: Optimizer, average: Average | None
    ) -> State:
        """Put everything back to where it was."""
        folder, device = self.folder / name, optimizer.parameters[0].device
        state = _state(folder)
        content = json.loads((folder / STATE).read_bytes())
        fill(unique(network), load_file(folder / NETWORK))
        # Copies, for what is mapped into memory goes when the folder goes.
        tensors = {key: one.clone() for key, one in load_file(folder / OPTIMIZER).items()}
        on_cpu = {key for key in tensors if content["on_cpu"].get(key)}
        tensors = {k: one if k in on_cpu else one.to(device) for k, one in tensors.items()}
        optimizer.restore(tensors, content["optimizer"])
        if average is not None:
            fill(average.values, load_file(folder / AVERAGE))
        state.lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
        return state

    def load_parts(self, name: str) -> tuple[State, dict[str, Tensor], dict[str, Any]]:
        """What `write_parts` was given."""
        folder = self.folder / name
        state = _state(folder)
        content = json.loads((folder / STATE).read_bytes())
        # Copies, for what is mapped into memory goes when the folder goes.
        tensors = {key: one.clone() for key, one in load_file(folder / PARTS).items()}
        state.lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
        return state, tensors, content["parts"]

    def load_weights(self, name: str, network: nn.Module) -> None:
        """Give a network the weights of a checkpoint; their average, where there is one."""
        folder = self.folder / name
        files = store.verify(folder).files
        weights = load_file(folder / NETWORK)
        if AVERAGE in files:
            weights |= load_file(folder / AVERAGE)
        fill(unique(network), weights)

    def _all(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        found = [match for path in self.folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        return [one[0] for one in sorted(found, key=lambda one: (int(one[1]), one[2] or ""))]

    # ── writing ────────────────────────────────────────────────────────────────────────────────

    def write(
        self, state: State, network: nn.Module, optimizer: Optimizer, average: Average | None
    ) -> None:
        """Write a checkpoint, point to it, and only then remove what is no longer needed.

        Raises:
            TrainingError: a weight is not a number.
        """
        tensors, plain = optimizer.state()
        files = {OPTIMIZER: tensors} | ({} if average is None else {AVERAGE: average.values})
        on_cpu = {k: True for k, one in tensors.items() if one.device.type == "cpu"}
        self._write(state, network, files, {"optimizer": plain, "on_cpu": on_cpu})

    def write_parts(
        self, state: State, network: nn.Module, tensors: dict[str, Tensor], plain: dict[str, Any]
    ) -> None:
        """Write a checkpoint of what is more than a network and an optimizer.

        Args:
            state: where it is.
            network: what the weights of a checkpoint are, for `load_weights`.
            tensors, plain: all that is remembered, the network's weights included.

        Raises:
            TrainingError: a weight is not a number.
        """
        self._write(state, network, {PARTS: tensors}, {"parts": plain})

    def _write(
        self,
        state: State,
        network: nn.Module,
        files: dict[str, dict[str, Tensor]],
        more: dict[str, Any],
    ) -> None:
        weights = unique(network)
        for name, tensor in weights.items():
            if not is_finite(tensor):
                raise TrainingError(
                    f"weights of {name} are no numbers after step {state.step}",
                    hint="a lower learning rate or clipping helps; earlier checkpoints are sound",
                )
        name = state.name
        content = asdict(state) | more
        del content["lines"], content["saved"]
        if (self.folder / name).exists():
            # One that could not be read, or it would have been gone on from.
            store.remove(self.folder / name)
        with store.new_folder(self.folder / name, meta=self.made_by) as writer:
            writer.write(NETWORK, packed(portable(weights)))
            for file, tensors in files.items():
                writer.write(file, packed(portable(tensors)))
            writer.write(STATE, json.dumps(content, allow_nan=False, indent=1).encode() + b"\n")
            writer.write(LOG, _lines(state))
        self.tidy(state)

    def tidy(self, state: State) -> None:
        """Let log, pointers and folders be those that belong to a checkpoint."""
        store.write_file(self.folder / LOG, _lines(state))
        store.write_pointer(self.folder, "LATEST", state.name)
        if state.best is not None:
            store.write_pointer(self.folder, "BEST", state.best.folder)
        names = self._all()
        newest = names.index(state.name)
        kept = set(names[max(newest - self.keep, 0) : newest + 1])
        for name in sorted(kept):
            try:
                best = _state(self.folder / name).best
            except (OSError, ValueError, TypeError, KeyError):
                # Damaged; it stays until it is the oldest, but keeps nothing else.
                continue
            kept |= {best.folder} if best else set()
        for name in names:
            if name not in kept:
                store.remove(self.folder / name)

    def finish(self, outcome: Mapping[str, Any]) -> None:
        """Seal that all is done."""
        if (self.folder / FINISHED).exists():
            store.remove(self.folder / FINISHED)
        with store.new_folder(self.folder / FINISHED, meta=self.made_by) as writer:
            writer.write(OUTCOME, json.dumps(outcome, indent=1).encode() + b"\n")


def _state(folder: Path) -> State:
    content = json.loads((folder / STATE).read_bytes())
    best = content.pop("best")
    known = {key: content[key] for key in ("step", "evaluated", "waited", "seconds", "summed")}
    best = Best(**best) if best else None
    return State(**known, counted=content["counted"], best=best, saved=folder.name)


def _lines(state: State) -> bytes:
    return "".join(f"{line}\n" for line in state.lines).encode()
