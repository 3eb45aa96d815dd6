"""What the tasks for tables share: all six steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silmu.tasks._supervised import Supervised, SupervisedConfig

if TYPE_CHECKING:
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.design.spaces import Space
    from silmu.steps.prepare.prepared import Prepared


@dataclass(frozen=True, kw_only=True)
class TabularConfig(SupervisedConfig):
    """What can be set. `None` is decided by the network and the data, and then in run.toml."""

    # prepare
    normalise: str = "auto"
    """What is done to numbers: `quantile`, `standard`, `robust`, or `auto`."""
    indicators: bool = True
    """Whether a number of its own tells that a number was missing."""
    categories: str | None = None
    """Columns of numbers that are categories, with commas between."""
    ignore: str | None = None
    """Columns that are not read."""
    read: str | None = None
    """Columns that are read although they look like ids."""
    max_levels: int = 5000
    """Levels of a category that are told apart at most."""

    # design
    members: int | None = None
    """Perceptrons of the ensemble."""
    number_bins: int | None = None
    """Pieces of the line that a number is embedded by; 0 to take it as it is."""
    number_size: int | None = None
    category_size: int | None = None

    def of_prepare(self) -> dict[str, Any]:
        """The settings of the prepare step, but for the labels."""
        names = ("validation", "test", "split", "normalise", "indicators", "max_levels")
        own = {name: getattr(self, name) for name in names}
        listed = ("categories", "ignore", "read")
        told = {name: value for name in listed if (value := getattr(self, name)) is not None}
        return {**own, **told, "seed": self.split_seed}


class Tabular(Supervised[TabularConfig]):
    """Rows of a table in, labels or numbers out."""

    rows = "table"
    patience_seconds = 90.0

    def check(self, *, trains: bool) -> None:
        """Refuses a network that is not there, and values that are out of range."""
        from silmu.steps.design import tables
        from silmu.steps.prepare.settings import TableSettings

        TableSettings.of(self.of_prepare())
        tables.check(self.config.network)
        if trains:
            from silmu.steps.design.cost import chosen_device
            from silmu.steps.train.settings import Training

            chosen_device(self.config.device)
            decided = tables.decided(self.config.to_dict())
            tables.check_shape(decided)
            Training.of({**decided, "dtype": "fp32"}, fingerprint="")

    @abstractmethod
    def of_prepare(self) -> dict[str, Any]:
        """The settings of the prepare step."""

    def network_of(self, dataset: Dataset) -> str:
        """The ensemble, whatever the table."""
        return "tabm" if self.config.network == "auto" else self.config.network

    def read(self, dataset: Dataset, folder: Path) -> Prepared:
        """Columns filled, normalised and numbered by the training split."""
        from silmu.steps.prepare import prepare_tables

        return prepare_tables(dataset, folder, settings=self.of_prepare())

    def decided(self, prepared: Prepared) -> dict[str, Any]:
        """All settings of training, by the number of rows."""
        from silmu.steps.design import tables

        return tables.decided(self.config.to_dict(), prepared.counts["train"])

    def space(self, prepared: Prepared | None) -> Space:
        """What a search may change, which depends on the network."""
        from silmu.steps.design import spaces, tables

        settings = tables.decided(self.config.to_dict(), prepared and prepared.counts["train"])
        return spaces.for_tables(self.config.network, settings)

    def objective(self, network: str, prepared: Prepared, settings: Mapping[str, Any]) -> Any:
        """The untrained network with the rows of training and validation."""
        from silmu.steps.design import tables
        from silmu.steps.train.tables import TableObjective

        built: Any = tables.build(network, prepared, settings)
        return TableObjective(built, prepared, settings)

    def write(self, model: Path, objective: Any, prepared: Prepared, meta: dict[str, Any]) -> Path:
        """Leaves the model folder of a trained network."""
        from silmu.steps.train.tables import write_model

        return write_model(model, self.name, objective, prepared, meta=meta)
