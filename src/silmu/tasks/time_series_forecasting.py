"""Learn to forecast series: the steps that come, and how sure one can be of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from silmu.errors import UsageError
from silmu.tasks._supervised import Supervised, SupervisedConfig

if TYPE_CHECKING:
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.design.plan import Design
    from silmu.steps.design.spaces import Space
    from silmu.steps.prepare.prepared import Prepared


@dataclass(frozen=True, kw_only=True)
class TimeSeriesForecastingConfig(SupervisedConfig):
    """What can be set. `None` is decided by the series, and then in run.toml."""

    # collect
    step: str | None = None
    """From one value to the next: `100ms`, `5min`, `1h`, `D`, `B` (business days), `W`, `M`, `Q` or
    `Y`."""
    timezone: str | None = None
    """Where clocks without a zone stand, such as `Asia/Seoul`; calendars are read there."""
    aggregate: str = "mean"
    """What becomes of several rows of one step: `mean`, `sum` or `last`."""

    # prepare
    validation: float = 0.15
    test: float = 0.15
    prediction_length: int | None = None
    """Steps that are told."""
    context_length: int | None = None
    """Steps that are read for it."""
    season: int | None = None
    """Steps after which a series looks alike; 1 for none."""
    known: str | None = None
    """Covariates (of `input`) that are known ahead, with commas between."""
    fill: str = "linear"
    """What stands for a missing value: `linear`, `last`, `mean`, `zero` or `none`."""
    normalise: str = "standard"
    """What is done to each window: `standard`, `mean` or `none`."""
    gap: int = 0
    """Steps before validation and before test that no target lies in."""
    backtest: int | None = None
    """How many earlier parts of time are tested on too, each by a network that saw only what lies
    before it. None for as many as make ten times what is told at once of a test part that is not
    four times that, but three at most; with a budget or a search for none."""

    # design
    head: str | None = None
    """What is told of each step: `quantiles`, or the three numbers of a `student_t`."""
    kernel_size: int | None = None
    """Steps that a filter sees; of `dlinear`, that its trend is the mean of."""

    # train
    gradients: bool = True
    """Whether RNN, LSTM and GRU are compared by how far back their gradients reach."""

    def of_prepare(self) -> dict[str, Any]:
        """The settings of the prepare step."""
        names = ("prediction_length", "context_length", "season", "fill", "normalise", "gap")
        own = {name: getattr(self, name) for name in (*names, "split", "validation", "test")}
        by_itself = self.budget is None and self.search is None
        backtest = 0 if self.backtest is None and not by_itself else self.backtest
        return {**own, "known": self.known, "backtest": backtest}

    @property
    def training_seconds(self) -> float | None:
        """How long one training may take by the budget; those of a backtest have their parts."""
        whole = super().training_seconds
        return None if whole is None else whole / (1 + (self.backtest or 0))


@final
class TimeSeriesForecasting(Supervised[TimeSeriesForecastingConfig]):
    """The past of series in, their next steps out.

    >>> import silmu
    >>> run = silmu.train("time-series-forecasting", data="sales.csv")    # doctest: +SKIP
    """

    name = "time-series-forecasting"
    rows = "series"
    answers = "numbers"
    Config = TimeSeriesForecastingConfig
    patience_seconds = 120.0

    def check(self, *, trains: bool) -> None:
        """Refuses a network that is not there, and values that are out of range."""
        from silmu.steps.design import series
        from silmu.steps.prepare.settings import SeriesSettings

        network, given = self.config.network, self.config.to_dict()
        SeriesSettings.of(self.config.of_prepare())
        if self.config.search is not None and self.config.backtest:
            raise UsageError(
                f"backtest is {self.config.backtest} beside a search, which chooses settings by "
                "time that earlier parts would be tested on",
                hint="leave out --search; or leave out backtest, and the test part alone is told",
            )
        series.check(network, given, type(self.config)().to_dict())
        decided = series.decided(network, given)
        if trains:
            from silmu.steps.design.cost import chosen_device
            from silmu.steps.train.settings import Training

            chosen_device(self.config.device)
            series.check_shape(network, decided)
            Training.of(decided, fingerprint="")

    def of_collect(self) -> dict[str, Any]:
        """What collect is told of series beside the columns."""
        names = ("step", "timezone", "aggregate", "known")
        return {"series": {name: getattr(self.config, name) for name in names}}

    def network_of(self, dataset: Dataset) -> str:
        """The temporal convolutions, whatever the series."""
        from silmu.steps.design import series_defaults

        return series_defaults.DEFAULT if self.config.network == "auto" else self.config.network

    def prepare(self, dataset: Dataset) -> Prepared:
        """2: windows of the series; what was open of them stands in the settings then."""
        from silmu.steps.prepare.series import processor_of

        found = super().prepare(dataset)
        processor = processor_of(found)
        names = ("prediction_length", "context_length", "season")
        self.config = self.config.changed({name: getattr(processor, name) for name in names})
        return found

    def read(self, dataset: Dataset, folder: Path) -> Prepared:
        """Windows of the series, cut by time and normalised one by one."""
        from silmu.steps.prepare import prepare_series
        from silmu.steps.prepare.series import earlier_of, processor_of

        found = prepare_series(dataset, folder, settings=self.config.of_prepare())
        processor, count = processor_of(found), found.about["windows"]
        read = "steps are" if processor.context_length > 1 else "step is"
        season = f"a season of {processor.season:,}" if processor.season > 1 else "no season"
        self.tell(
            f"prepare: {processor.context_length:,} {read} read to tell "
            f"{processor.prediction_length:,}; {season}"
        )
        sorts = {"known ahead": "known", "known of the past": "past", "one of a series": "static"}
        for told, sort in sorts.items():
            if names := [f"`{one.name}`" for one in getattr(processor, sort)]:
                self.tell(f"prepare: {told}: {', '.join(names)}")
        used = {one.name for one in processor.inputs}
        if names := [f"`{name}`" for name in processor.layout.input if name not in used]:
            self.tell(f"prepare: ignored: constant in the training part: {', '.join(names)}")
        self.tell(f"prepare: {count['train']:,} windows to learn, {count['validation']:,} to judge")
        if several := len(earlier_of(found)):
            parts = "1 earlier part" if several == 1 else f"{several:,} earlier parts"
            self.tell(
                f"prepare: {parts} of time will be tested on too, by networks that see only what "
                "lies before"
            )
        return found

    def decided(self, prepared: Prepared) -> dict[str, Any]:
        """All settings of training, by the network and the number of windows."""
        from silmu.steps.design import series

        config, count = self.config, prepared.about["windows"]["train"]
        return series.decided(config.network, config.to_dict(), count, config.context_length)

    def space(self, prepared: Prepared | None) -> Space:
        """What a search may change, which depends on the network."""
        from silmu.steps.design import series, spaces

        config, count = self.config, prepared and prepared.about["windows"]["train"]
        decided = series.decided(config.network, config.to_dict(), count, config.context_length)
        return spaces.for_series(config.network, decided)

    def train(self, design: Design, prepared: Prepared) -> Path:
        """4: the model, and one for each earlier part of time that is tested on too."""
        from silmu import store
        from silmu.steps.prepare.series import BACKTEST, earlier_of

        model = super().train(design, prepared)
        report, ends = self.folder / "5-report" / "metrics.json", earlier_of(prepared)
        if ends and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            self.tell(f"backtest: left out among several processes; silmu train {self.folder}")
            return model
        for number, end in enumerate(ends, 1):
            folder = self.folder / BACKTEST / str(number)
            if not (folder / "4-model").exists():
                self.tell(f"backtest: earlier part {number} of {len(ends)}")
                if report.exists():  # one without this part
                    store.remove(report)
                self._train_earlier(folder, end, design, prepared)
        return model

    def _train_earlier(self, folder: Path, end: int, design: Design, prepared: Prepared) -> None:
        """The same network, of what lies before an earlier end, with the same settings."""
        from silmu.steps.prepare import prepare_series
        from silmu.steps.prepare.prepared import Prepared
        from silmu.steps.prepare.series import processor_of

        dataset = prepared.dataset
        known = [one.name for one in processor_of(prepared).known]
        asked = {**self.config.of_prepare(), "known": known, "backtest": 0, "until": end}
        place = folder / "2-prepared"
        if not place.exists():
            prepare_series(dataset, place, settings=asked)
        config = self.config.changed({"gradients": False})
        part = TimeSeriesForecasting(config, folder, quiet=self.quiet)
        Supervised.train(part, design, Prepared.open(place, dataset))

    def objective(self, network: str, prepared: Prepared, settings: Mapping[str, Any]) -> Any:
        """The untrained network with the windows of training and validation."""
        from silmu.steps.design import series
        from silmu.steps.train.series import SeriesObjective

        return SeriesObjective(series.build(network, prepared, settings), prepared, settings)

    def write(self, model: Path, objective: Any, prepared: Prepared, meta: dict[str, Any]) -> Path:
        """Leaves the model folder of a trained network, and how far back gradients reach."""
        from silmu.steps.train.series import write_model
        from silmu.steps.train.shrinking import draw

        if self.config.gradients:
            self._leave_gradients(prepared)
        share = draw(objective)
        if share is not None and share < 1:
            self.tell(
                f"train: {share:.0%} of what was learnt beside a line through the past is kept; "
                "more did not clearly better on the validation part"
            )
        return write_model(model, objective, prepared, meta={**meta, "kept": share})

    @classmethod
    def extra(cls, config: Any) -> str:
        """Which extra design and train need."""
        del config
        return "train"

    def _leave_gradients(self, prepared: Prepared) -> None:
        from silmu import store
        from silmu.steps.train import series_gradients

        path = self.folder / "4-train" / series_gradients.FILE
        if path.exists():
            return
        found = series_gradients.measure(prepared, seed=self.config.seed)
        store.write_file(path, json.dumps(found, indent=1).encode() + b"\n")
