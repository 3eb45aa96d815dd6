"""Learn to sort texts into labels: sentiment, topic, several emotions at once, grades, numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from silmu.tasks._supervised import Supervised, SupervisedConfig

if TYPE_CHECKING:
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.design.encoders import Encoder
    from silmu.steps.design.spaces import Space
    from silmu.steps.prepare.prepared import Prepared


@dataclass(frozen=True, kw_only=True)
class TextClassificationConfig(SupervisedConfig):
    """What can be set. `None` is decided by the network and the data, and then in run.toml."""

    # prepare
    labels: str = "auto"
    """`single`, `multiple` (several at once), `ordered` (grades), `number`, or `auto`."""
    order: str | None = None
    """The labels of `ordered` from first to last, with commas between; numbers need none."""
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
    num_buckets: int | None = None
    ngram_order: int | None = None
    bag_weights: int | None = None
    bag_order: int | None = None
    embedding_dropout: float | None = None
    feature_dropout: float | None = None

    # train
    bucket: bool = True
    """Whether batches hold texts of like lengths."""

    def of_prepare(self) -> dict[str, Any]:
        """The settings of the prepare step."""
        names = ("labels", "validation", "test", "split", "near_duplicates", "max_length")
        names += ("vocabulary", "vocabulary_size")
        order = None if self.order is None else tuple(self.order.split(","))
        own = {name: getattr(self, name) for name in names}
        return {**own, "order": order, "seed": self.split_seed}


@final
class TextClassification(Supervised[TextClassificationConfig]):
    """Texts in, labels out.

    >>> import silmu
    >>> run = silmu.train("text-classification", data="reviews.csv")     # doctest: +SKIP
    """

    name = "text-classification"
    rows = "text"
    Config = TextClassificationConfig

    def check(self, *, trains: bool) -> None:
        """Refuses a network that is not there, and values that are out of range."""
        from silmu.steps.design import probe, texts
        from silmu.steps.design.plan import probed
        from silmu.steps.prepare.settings import TextSettings

        network = self.config.network
        TextSettings.of(self.config.of_prepare())
        texts.check(network, self.config.tune)
        if probed(network) is not None:
            probe.check_settings(self.config.to_dict(), type(self.config)().to_dict())
        elif trains:
            from silmu.steps.design.cost import chosen_device
            from silmu.steps.train.settings import Training

            chosen_device(self.config.device)
            known = "cnn" if network == "auto" else network
            decided = texts.decided(known, self.config.to_dict())
            Training.of({**decided, "dtype": "fp32"}, fingerprint="")

    def network_of(self, dataset: Dataset) -> str:
        """What suits the language of the texts, their number and the budget."""
        from silmu.steps.design import texts
        from silmu.steps.design.plan import PROBE

        if self.config.network not in ("auto", PROBE):
            return self.config.network
        column = dataset.roles.input[0]
        found = (str(text) for batch in dataset.batches([column]) for text in batch[0].to_pylist())
        if self.config.network == PROBE:
            network, why = texts.choose_probe(found)
        else:
            network, why = texts.choose(found, dataset.num_rows, self.config.training_seconds)
        self.tell(f"prepare: network {network}: {why}")
        return network

    def read(self, dataset: Dataset, folder: Path) -> Prepared:
        """Token ids of the encoder's tokenizer, or of a vocabulary made here."""
        from silmu.steps.design import texts
        from silmu.steps.prepare import prepare_texts

        network = self.config.network
        encoder = None if texts.is_kind(network) else texts.backbone(network).path
        return prepare_texts(dataset, folder, settings=self.config.of_prepare(), backbone=encoder)

    def encoder(self, network: str) -> Encoder[Any]:
        """The encoder of texts that a probe names."""
        from silmu.steps.design import text_encoder, texts

        return text_encoder.TextEncoder(texts.backbone(network), self.config.device)

    def decided(self, prepared: Prepared) -> dict[str, Any]:
        """All settings of training, by the network and the number of texts."""
        from silmu.steps.design import texts

        config = self.config
        return texts.decided(config.network, config.to_dict(), prepared.counts["train"])

    def space(self, prepared: Prepared | None) -> Space:
        """What a search may change, which depends on the network and the kind of labels."""
        from silmu.steps.design import spaces, texts

        network, count = self.config.network, prepared and prepared.counts["train"]
        settings = texts.decided(network, self.config.to_dict(), count)
        return spaces.for_texts(network, settings, prepared and prepared.kind)

    def objective(self, network: str, prepared: Prepared, settings: Mapping[str, Any]) -> Any:
        """The untrained network with the texts of training and validation."""
        from silmu.steps.design import texts
        from silmu.steps.train.texts import TextObjective

        return TextObjective(texts.build(network, prepared, settings), prepared, settings)

    def write(self, model: Path, objective: Any, prepared: Prepared, meta: dict[str, Any]) -> Path:
        """Leaves the model folder, as certain as it was found to be right."""
        from silmu.steps.train import export
        from silmu.steps.train.outcome import calibrated

        temperature, thresholds = calibrated(objective)
        return export.write_model(
            model,
            objective.network,
            prepared,
            temperature=temperature,
            config={"thresholds": thresholds},
            meta=meta,
        )
