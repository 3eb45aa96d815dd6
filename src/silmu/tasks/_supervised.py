"""What tasks with examples of known truth share: all six steps, but for what is special to them."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from silmu.errors import UsageError
from silmu.tasks._base import Config, Task

if TYPE_CHECKING:
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.design.encoders import Encoder
    from silmu.steps.design.plan import Design
    from silmu.steps.evaluate.report import Report
    from silmu.steps.prepare.prepared import Prepared
    from silmu.steps.train.loop import Outcome


MUCH, LONG = 0.05, 60.0
"""The share of a training's time spent waiting for examples, above which it is told of one that
took longer than so many seconds."""


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig(Config):
    """What can be set of each of them. `None` is decided by the network and the data."""

    # prepare
    split: str = "auto"
    """`hash`, `stratified`, `group`, `time`, `given`, or `auto`."""
    split_seed: int = 0
    """Another one gives another split; `seed` does not."""
    validation: float = 0.1
    test: float = 0.1

    # design
    hidden_size: int | None = None
    num_layers: int | None = None

    # train
    epochs: int | None = None
    batch_size: int | None = None
    accumulation: int = 1
    learning_rate: float | None = None
    weight_decay: float | None = None
    warmup: float | None = None
    schedule: str | None = None
    clip: float | None = 1.0
    dropout: float | None = None
    label_smoothing: float | None = None
    class_weights: bool = False
    """Whether rare labels count as much as frequent ones."""
    patience: int | None = None
    """How many evaluations without a gain end the training."""
    evaluations: int | None = None
    """How often an epoch is evaluated on the validation split."""
    average: float | None = None
    """How slowly the averaged weights follow, such as 0.999."""
    max_steps: int | None = None
    workers: int = 0
    threads: int | None = None
    checkpoint_seconds: float = 120.0


S = TypeVar("S", bound=SupervisedConfig)


class Supervised(Task[S]):
    """Examples in, what is true of them out."""

    patience_seconds: ClassVar[float | None] = None
    """How long training may take where no budget is set; None for as long as its epochs take."""

    # What is special to a task.

    @abstractmethod
    def network_of(self, dataset: Dataset) -> str:
        """What `auto` means for a dataset, or the network that is set."""

    @abstractmethod
    def read(self, dataset: Dataset, folder: Path) -> Prepared:
        """Leaves what training may see of a dataset, as a network reads it."""

    @abstractmethod
    def decided(self, prepared: Prepared) -> dict[str, Any]:
        """All settings of training, those that are open decided by network and data."""

    @abstractmethod
    def objective(self, network: str, prepared: Prepared, settings: Mapping[str, Any]) -> Any:
        """The untrained network with its examples, as `steps.train.Objective`."""

    @abstractmethod
    def write(self, model: Path, objective: Any, prepared: Prepared, meta: dict[str, Any]) -> Path:
        """Leaves the model folder of a trained network."""

    def encoder(self, network: str) -> Encoder[Any]:
        """What a probe reads with, for tasks that may be learnt by one."""
        raise UsageError(f"{self.name} has no network `{network}`")

    # What all have in common.

    def prepare(self, dataset: Dataset) -> Prepared:
        """2: sealed splits, and examples as the network reads them."""
        from silmu.steps.collect.names import join
        from silmu.steps.prepare.prepared import Prepared

        folder = self.folder / "2-prepared"
        roles = dataset.roles
        self.config = self.config.changed(
            {
                "network": self.network_of(dataset),
                "input": join(roles.input) or None,
                "target": join(roles.target),
                **{k: v for k in ("group", "time") if (v := getattr(roles, k)) is not None},
            }
        )
        if folder.exists():
            return Prepared.open(folder, dataset)
        prepared = self.read(dataset, folder)
        counts = ", ".join(f"{count:,} {split}" for split, count in prepared.counts.items())
        self.tell(f"prepare: {counts}; split by {prepared.method}")
        if prepared.moved:
            self.tell(f"prepare: {prepared.moved:,} duplicates put into the split of their first")
        for reason, count in prepared.left_out.items():
            self.tell(f"prepare: left out {count:,}: {reason}")
        for split, count in prepared.truncated.items():
            if count:
                self.tell(
                    f"prepare: {count:,} texts of {split} are longer than what is read of them"
                )
        return prepared

    def design(self, prepared: Prepared) -> Design:
        """3: what the network is, what a step costs here, and how many there will be."""
        from silmu.steps.design.plan import Design

        found = Design.open(self.folder) or self._designed(prepared)
        self.config = self.config.changed(
            {k: v for k, v in found.settings.items() if v is not None and hasattr(self.config, k)}
        )
        return found

    def fit(
        self,
        design: Design,
        prepared: Prepared,
        *,
        name: str = "",
        hopeless: Callable[[float, float], bool] | None = None,
    ) -> tuple[Any, Outcome]:
        """The loop: the objective, whose network has the best weights, and what became of it.

        Args:
            design: of the network.
            prepared: what it learns from.
            name: of one training among several, for the lines that tell how it goes.
            hopeless: as `steps.train.fit` asks it.
        """
        from silmu.steps.train.loop import fit
        from silmu.steps.train.progress import Progress
        from silmu.steps.train.settings import Training

        settings = {**self.config.to_dict(), **design.settings}
        objective = self.objective(design.network, prepared, settings)
        data = f"{prepared.dataset.fingerprint} {prepared.fitted}"
        plan = Training.of(settings, fingerprint=data)
        progress = Progress(quiet=self.quiet, name=name)
        place = self.folder / "4-train"
        return objective, fit(objective, plan, place, progress=progress, hopeless=hopeless)

    def train(self, design: Design, prepared: Prepared) -> Path:
        """4: the loop, then the best weights as a model folder whose graph answers the same."""
        from silmu.steps.design.plan import probed

        model = self.folder / "4-model"
        if model.exists():
            return model
        if probed(design.network) is not None:
            return self._at_once(model, design, prepared)
        objective, outcome = self.fit(design, prepared)
        if int(os.environ.get("RANK", "0")):
            return model  # which the first process writes
        self.tell(
            f"train: {objective.metric} {outcome.best_metric:.4g} on validation after "
            f"{outcome.step:,} steps ({outcome.stopped})"
        )
        if outcome.waiting > MUCH and outcome.seconds > LONG:
            self.tell(
                f"train: the network waited for its examples {outcome.waiting:.0%} of the time; "
                "--set workers=2 makes them ahead, in processes of their own"
            )
        self.spent["train"] = outcome.seconds
        meta = {"network": design.network, "dataset": prepared.dataset.fingerprint}
        return self.write(model, objective, prepared, meta)

    def _at_once(self, model: Path, design: Design, prepared: Prepared) -> Path:
        """A probe, without torch."""
        from silmu.steps.train import probe
        from silmu.steps.train.progress import Progress

        if int(os.environ.get("RANK", "0")):
            return model  # which the first process makes, alone
        folder, settings = self.folder / "4-train", {**self.config.to_dict(), **design.settings}
        encoder = self.encoder(design.network)
        with Progress(quiet=self.quiet) as progress:
            outcome = probe.fit(encoder, prepared, settings, folder, progress)
        metric, value = outcome.metric
        self.tell(
            f"train: {metric} {value:.4g} on validation; {encoder.told[outcome.pooling]}, learnt "
            f"from {outcome.rows:,} examples with strength {outcome.strength:g}"
        )
        self.spent["train"] = outcome.seconds
        meta = {"network": design.network, "dataset": prepared.dataset.fingerprint}
        probe.write_model(model, encoder, outcome, prepared, meta=meta)
        outcome.vectors.remove()
        return model

    def evaluate(self, model: Path, prepared: Prepared, seconds: Mapping[str, float]) -> Report:
        """5: the test split through the pipeline, beside a naive and a strong simple baseline."""
        from silmu.steps.evaluate import evaluate
        from silmu.steps.train.progress import Progress

        return evaluate(
            model,
            prepared,
            self.folder / "5-report",
            seconds=dict(seconds),
            settings=self.config.to_dict(),
            progress=Progress(quiet=self.quiet),
        )

    def _designed(self, prepared: Prepared) -> Design:
        from silmu.steps.design.plan import probed

        known = probed(self.config.network) is None
        design = self._designed_for_steps(prepared) if known else self._designed_at_once(prepared)
        design.leave(self.folder)
        for line in design.told().splitlines():
            self.tell(f"design: {line}")
        return design

    def _designed_at_once(self, prepared: Prepared) -> Design:
        from silmu.steps.design import probe

        network, settings = self.config.network, self.config.to_dict()
        budget = self.config.training_seconds
        return probe.designed(network, self.encoder(network), prepared, settings, budget)

    def _designed_for_steps(self, prepared: Prepared) -> Design:
        from silmu.steps.design import cost
        from silmu.steps.design.layers import layers
        from silmu.steps.design.plan import Design

        settings = self.decided(prepared)
        objective = self.objective(self.config.network, prepared, settings)
        budget = self.config.training_seconds or self.patience_seconds
        measured, settled = cost.estimate(objective, settings, budget)
        parameters = list(objective.network.parameters())
        return Design(
            network=self.config.network,
            settings={**settings, **settled},
            layers=layers(objective.network),
            parameters=sum(p.numel() for p in parameters),
            trainable=sum(p.numel() for p in parameters if p.requires_grad),
            cost=measured,
        )
