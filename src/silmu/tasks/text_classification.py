"""Learn to sort texts into labels: sentiment, topic, several emotions at once, grades, numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from silmu.tasks._base import Config, Task, seconds

if TYPE_CHECKING:
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.design.plan import Design
    from silmu.steps.evaluate.report import Report
    from silmu.steps.prepare.prepared import Prepared


@dataclass(frozen=True, kw_only=True)
class TextClassificationConfig(Config):
    """What can be set. `None` is decided by the network and the data, and then in run.toml."""

    # prepare
    labels: str = "auto"
    """`single`, `multiple` (several at once), `ordered` (grades), `number`, or `auto`."""
    order: str | None = None
    """The labels of `ordered` from first to last, with commas between; numbers need none."""
    split: str = "auto"
    """`hash`, `stratified`, `group`, `time`, `given`, or `auto`."""
    split_seed: int = 0
    """Another one gives another split; `seed` does not."""
    validation: float = 0.1
    test: float = 0.1
    near_duplicates: bool = True
    """Whether texts that nearly equal an earlier one stay in its split."""
    max_length: int | None = None
    """How many tokens of a text are read."""
    vocabulary: str = "auto"
    """For networks from nothing: `bpe`, `unigram`, `characters`, or `auto`."""
    vocabulary_size: int | None = None

    # design
    tune: str = "all"
    """What of an encoder is trained: `all`, `last` layers, or `lora`."""
    tuned_layers: int = 2
    lora_rank: int = 8

    embedding_size: int | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    num_buckets: int | None = None
    ngram_order: int | None = None
    bag_weights: int | None = None
    bag_order: int | None = None
    embedding_dropout: float | None = None
    feature_dropout: float | None = None

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
    bucket: bool = True
    """Whether batches hold texts of like lengths."""
    max_steps: int | None = None
    workers: int = 0
    threads: int | None = None
    checkpoint_seconds: float = 120.0

    def of_prepare(self) -> dict[str, Any]:
        """The settings of the prepare step."""
        names = ("labels", "validation", "test", "split", "near_duplicates", "max_length")
        names += ("vocabulary", "vocabulary_size")
        order = None if self.order is None else tuple(self.order.split(","))
        own = {name: getattr(self, name) for name in names}
        return {**own, "order": order, "seed": self.split_seed}


@final
class TextClassification(Task[TextClassificationConfig]):
    """Texts in, labels out.

    >>> import silmu
    >>> run = silmu.train("text-classification", data="reviews.csv")     # doctest: +SKIP
    """

    name = "text-classification"
    Config = TextClassificationConfig

    def check(self, *, trains: bool) -> None:
        """Refuses a network that is not there, and values that are out of range."""
        from silmu.steps.design import texts
        from silmu.steps.prepare import Settings

        network = self.config.network
        Settings.of(self.config.of_prepare())
        texts.check(network, self.config.tune)
        if trains:
            from silmu.steps.train.texts import training

            known = "cnn" if network == "auto" else network
            decided = texts.decided(known, self.config.to_dict())
            training({**decided, "dtype": "fp32"}, fingerprint="")

    def collect(self, source: Any) -> Dataset:
        """1: rows of a text and its label."""
        from silmu.steps.collect import collect
        from silmu.steps.collect.dataset import Dataset

        config, folder = self.config, self.folder / "1-dataset"
        if folder.exists():
            return Dataset.open(folder)
        self.tell(f"collect: reading {config.data}")
        dataset = collect(
            source,
            folder,
            kind="text",
            query=config.query,
            input=config.input,
            target=config.target,
            group=config.group,
            time=config.time,
        )
        dropped = sum(drop.count for drop in dataset.dropped)
        self.tell(
            f"collect: {dataset.rows_in:,} rows = {dataset.num_rows:,} kept + {dropped:,} dropped"
        )
        for drop in dataset.dropped:
            self.tell(f"collect: dropped {drop.count:,}: {drop.reason}")
        return dataset

    def prepare(self, dataset: Dataset) -> Prepared:
        """2: sealed splits; token ids of the encoder's tokenizer, or of a vocabulary made here."""
        from silmu.steps.design import texts
        from silmu.steps.prepare import prepare_texts
        from silmu.steps.prepare.prepared import Prepared

        folder = self.folder / "2-prepared"
        if self.config.network == "auto":
            self._choose_network(dataset)
        roles = dataset.roles
        self.config = self.config.changed(
            {
                "input": ",".join(roles.input),
                "target": ",".join(roles.target),
                **{k: v for k in ("group", "time") if (v := getattr(roles, k)) is not None},
            }
        )
        if folder.exists():
            return Prepared.open(folder, dataset)
        network = self.config.network
        encoder = None if texts.is_kind(network) else texts.backbone(network).path
        prepared = prepare_texts(
            dataset, folder, settings=self.config.of_prepare(), backbone=encoder
        )
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

    def train(self, design: Design, prepared: Prepared) -> Path:
        """4: the loop, then the best weights as a model folder whose graph answers the same."""
        from silmu.steps.design import texts
        from silmu.steps.train import export, loop
        from silmu.steps.train.progress import Progress
        from silmu.steps.train.texts import TextObjective, calibrated, training

        model = self.folder / "4-model"
        if model.exists():
            return model
        settings = {**self.config.to_dict(), **design.settings}
        network = texts.build(design.network, prepared, settings)
        objective = TextObjective(network, prepared, settings)
        data = f"{prepared.dataset.fingerprint} {prepared.fitted}"
        plan = training(settings, fingerprint=data)
        outcome = loop.fit(
            objective, plan, self.folder / "4-train", progress=Progress(quiet=self.quiet)
        )
        if int(os.environ.get("RANK", "0")):
            return model  # which the first process writes
        self.tell(
            f"train: {objective.metric} {outcome.best_metric:.4f} on validation after "
            f"{outcome.step:,} steps ({outcome.stopped})"
        )
        self.spent["train"] = outcome.seconds
        temperature, thresholds = calibrated(objective)
        return export.write_model(
            model,
            objective.network,
            prepared,
            temperature=temperature,
            config={"thresholds": thresholds},
            meta={"network": design.network, "dataset": prepared.dataset.fingerprint},
        )

    def evaluate(self, model: Path, prepared: Prepared, seconds: Mapping[str, float]) -> Report:
        """5: the test split through the pipeline, beside a naive and a strong simple baseline."""
        from silmu.steps.evaluate import evaluate_texts

        return evaluate_texts(
            model,
            prepared,
            self.folder / "5-report",
            seconds=dict(seconds),
            settings=self.config.to_dict(),
        )

    def _choose_network(self, dataset: Dataset) -> None:
        from silmu.steps.design import texts

        column = dataset.roles.input[0]
        found = (str(text) for batch in dataset.batches([column]) for text in batch[0].to_pylist())
        budget = seconds(self.config.budget) if self.config.budget else None
        network, why = texts.choose(found, dataset.num_rows, budget)
        self.tell(f"prepare: network {network}: {why}")
        self.config = replace(self.config, network=network)

    def _designed(self, prepared: Prepared) -> Design:
        from silmu.steps.design import cost, texts
        from silmu.steps.design.layers import layers
        from silmu.steps.design.plan import Design
        from silmu.steps.train.texts import TextObjective

        settings = texts.decided(
            self.config.network, self.config.to_dict(), prepared.counts["train"]
        )
        network = texts.build(self.config.network, prepared, settings)
        objective = TextObjective(network, prepared, settings)
        budget = seconds(self.config.budget) if self.config.budget else None
        measured, settled = cost.estimate(objective, settings, budget)
        parameters = [p.numel() for p in network.parameters()]
        trainable = [p.numel() for p in network.parameters() if p.requires_grad]
        design = Design(
            network=self.config.network,
            settings={**settings, **settled},
            layers=layers(network),
            parameters=sum(parameters),
            trainable=sum(trainable),
            cost=measured,
        )
        design.leave(self.folder)
        for line in design.told().splitlines():
            self.tell(f"design: {line}")
        return design
