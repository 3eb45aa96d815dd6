"""Forecast series: the next values of a history, and how far off they may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from silmu import graphs
from silmu.errors import InputError, UsageError, WrongTypeError
from silmu.pipelines import _series
from silmu.pipelines._base import NOTHING, Answers, Pipeline, check_batch_size, is_stream, logger
from silmu.runtime.series import histories, horizon, stamps
from silmu.runtime.series.calendar import written
from silmu.runtime.series.forecasts import Forecasts, floored
from silmu.runtime.series.frame import Series
from silmu.runtime.series.processor import SeriesProcessor
from silmu.runtime.series.sampling import Sampler
from silmu.runtime.series.windows import Tracks, Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.pipelines._model import Model
    from silmu.runtime.series.histories import History

ARCHITECTURES = (
    "ForTimeSeriesForecasting",
    "PatchTSTForPrediction",
    "TimeSeriesTransformerForPrediction",
)
DEFAULT_MODEL = (None, None)

AT_ONCE = 256
"""Windows that are computed at once."""

MOST_TIMES = 100
"""How many times longer than in training a forecast may be."""


@final
class TimeSeriesForecastingPipeline(Pipeline):
    """The steps after the end of a history, with quantiles.

    >>> forecast = pipeline("time-series-forecasting", "runs/weather/4-model")      # doctest: +SKIP
    >>> forecast({"date": ["2024-03-01", "2024-03-02"], "temp": [9.4, 11.1]})       # doctest: +SKIP
    {'time': ['2024-03-03', ...], 'mean': [10.8, ...], 'quantiles': {'0.1': [7.2, ...], ...}}

    A history is a dict of lists, a list of rows, a data frame of pandas, polars or Arrow, whose
    columns are those of the training, or numbers alone, in steps as the training had them: then the
    times of the forecast are 1, 2, ... steps after the last, and the network is told nothing of the
    calendar. A list of histories gives a list of answers. Where the columns hold several series,
    the answer to a history is a list, and each has its name as `series`. A series may be longer or
    shorter than the context that the network reads, have gaps, and be one that training did not
    know, which is said once.

    Times of a forecast are texts as ISO 8601 has them; where those of the training were numbers,
    which are years, months such as 202503, or what has passed since 1970, they are such numbers.

    Where no value of the training is below 0, as of counts and prices, no mean or quantile is: but
    for a history that has a value below it.

    Args:
        inputs: a history, or a list of several.
        prediction_length: for how many steps; as many as in training, if not given. Beyond those,
            the network forecasts on from its own median, and the distance of quantiles to it grows
            on by the power of time by which it grew until then.
        future: rows of what is known ahead, in any form of a history, with their times; rows at the
            end of the history whose target is empty do the same.
        time, target, group: the names of columns, where they are others than in training.

    Raises:
        MissingKeyError: a column of the training is not there.
        InputError: a history is empty, or cannot be read; or what is known ahead is not given for
            each step.
        UsageError: a parameter is out of range.
    """

    head = "time-series-forecasting"
    rows: ClassVar[str] = "series"

    def __init__(self, model: Model, *args: Any, **options: Any) -> None:
        self._decoder = self._continuing(model)
        self._has_warned = False
        self._strangers = set[str]()
        own = SeriesProcessor.open(model.folder)
        _series.check(own, model)
        super().__init__(model, *args, processor=own, **options)
        self.processor: SeriesProcessor = own

    def __call__(
        self,
        inputs: Any = NOTHING,
        *args: Any,
        num_workers: int | None = None,
        batch_size: int | None = None,
        **parameters: Any,
    ) -> Any:
        """The forecast of a history, or a list of those of many.

        Args:
            inputs: as the class tells.
            batch_size: how many windows are computed at once at most; it changes no answer.
            num_workers: accepted and not needed.
            parameters: as the class tells.
        """
        if inputs is NOTHING:
            raise WrongTypeError("nothing was given to answer", hint="give a history, or a list")
        if args:
            logger.warning("ignoring the positional arguments %r", args)
        before, forward, _ = self._merged(parameters)
        forward["at_once"] = check_batch_size(batch_size) or self.batch_size or AT_ONCE
        several = histories.several(inputs)
        if several is not None:
            return self._answered(several, before, forward)
        if is_stream(inputs) and not histories.is_one(inputs):
            each = (self._answered([one], before, forward)[0] for one in inputs)
            return Answers(each, inputs)
        return self._answered([inputs], before, forward)[0]

    def forecast(
        self,
        tracks: Sequence[Tracks],
        which: NDArray[np.int64],
        ends: NDArray[np.int64],
        *,
        at_once: int = AT_ONCE,
    ) -> Forecasts:
        """The forecasts of windows of series, for as many steps as in training.

        Args:
            tracks: whole series, as `processor.tracks` gives them.
            which: the series of each window by its number, (windows,).
            ends: how many steps of it lie before the origin, (windows,).
            at_once: how many windows are computed together.
        """
        panel = self.processor.panel(tracks)
        found: list[Forecasts] = []
        for start in range(0, len(which), at_once):
            part = slice(start, start + at_once)
            found.append(self._told(self.processor.arrays(panel, which[part], ends[part])))
        shape = (0, self.processor.prediction_length)
        nothing = Forecasts(np.zeros(shape), np.zeros((*shape, len(self.processor.quantiles))))
        return Forecasts.joined(found or [nothing])

    @property
    def sampler(self) -> Sampler | None:
        """What draws trajectories, where the network tells one step after the other."""
        if self._decoder is None:
            return None
        session: Any = self.model.session
        return Sampler.of(self.model.config.to_dict(), session, self._decoder)

    def _sanitize_parameters(
        self,
        prediction_length: Any = None,
        future: Any = None,
        time: Any = None,
        target: Any = None,
        group: Any = None,
        **unknown: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            raise WrongTypeError(
                f"unexpected keyword {', '.join(unknown)}; time-series-forecasting takes "
                f"prediction_length, future, {', '.join(_series.NAMES)} and batch_size"
            )
        before: dict[str, Any] = {}
        if future is not None:
            before["future"] = future
        for name, value in zip(_series.NAMES, (time, target, group), strict=True):
            if value is not None:
                before[name] = _series.names_of(name, value, getattr(self.processor.layout, name))
        length: dict[str, Any] = {}
        if prediction_length is not None:
            most = MOST_TIMES * self.processor.prediction_length
            is_whole = type(prediction_length) is int
            if not is_whole or not 1 <= prediction_length <= most:
                raise UsageError(
                    f"prediction_length is {prediction_length!r}; it must be a whole number from 1 "
                    f"to {most:,}, {MOST_TIMES} times that of the training",
                    hint="train with a longer prediction_length to see farther",
                )
            length["length"] = prediction_length
        return before, length, {}

    def preprocess(
        self,
        inputs: Any,
        *,
        future: Any = None,
        time: str | None = None,
        target: tuple[str, ...] | None = None,
        group: tuple[str, ...] | None = None,
    ) -> dict[str, Any]:
        """The series of a history, and whether they have times."""
        given = histories.history(inputs)
        layout = _series.renamed(self.processor.layout, time=time, target=target, group=group)
        is_dated = given.columns is not None or given.index is not None
        if not is_dated:
            layout = replace(layout, time=None, group=(), step=None)
        if future is not None:
            columns = _series.with_future(self.processor, given, layout, future)
        else:
            columns = given.named(layout.time, layout.target[0])
        if given.columns is None:
            self._refuse_numbers(given)
        series = self.processor.series(columns, layout=layout)
        if given.columns is None and len(layout.target) > 1:
            series = tuple(replace(one, name="") for one in series)  # of none of the targets
        _series.tell_unknown(self.processor, series)
        _series.tell_strangers(self.processor, series, self._strangers)
        return {"series": series, "is_dated": is_dated and layout.time is not None}

    def _forward(
        self,
        model_inputs: dict[str, Any],
        *,
        length: int | None = None,
        at_once: int = AT_ONCE,
        **parameters: Any,
    ) -> dict[str, Any]:
        """The forecasts of series, (series, steps)."""
        del parameters
        series: tuple[Series, ...] = model_inputs["series"]
        dated: list[bool] = model_inputs.get("dated") or [model_inputs["is_dated"]] * len(series)
        steps = length or self.processor.prediction_length
        once = self.processor.prediction_length
        reach = -(-steps // once) * once
        tracks = [
            horizon.reaching(self.processor.tracks(one, steps, is_dated=is_dated), reach)
            for one, is_dated in zip(series, dated, strict=True)
        ]
        which = np.arange(len(tracks))
        ends = np.array([len(one) for one in tracks], np.int64)
        found: list[Forecasts] = []
        for start in range(0, reach, once):
            found.append(self.forecast(tracks, which, ends + start, at_once=at_once))
            if start + once < reach:
                medians = found[-1].quantiles[..., self.processor.median]
                tracks = [horizon.continued(*pair) for pair in zip(tracks, medians, strict=True)]
        told = Forecasts.joined(found, axis=1)
        quantiles = told.quantiles
        if reach > once:
            logger.warning(
                "prediction_length %d: the model was trained for %d; beyond that it goes on from "
                "its own median, and quantiles lie as far from it as their growth until then says",
                *(steps, once),
            )
            quantiles = horizon.grown(quantiles, once, self.processor.median)
            if (floor := self.processor.floor) is not None:
                lowest = told.quantiles.reshape(len(quantiles), -1).min(axis=1)
                quantiles = floored(quantiles, floor, lowest < floor)
        return {"forecasts": Forecasts(told.mean[:, :steps], quantiles[:, :steps])}

    def postprocess(self, model_outputs: Any, **parameters: Any) -> Any:
        """Forecasts as the answer: a dict of one series, a list of dicts of several."""
        del parameters
        forecasts: Forecasts = model_outputs["forecasts"]
        series: tuple[Series, ...] = model_outputs["series"]
        names = [f"{share:g}" for share in self.processor.quantiles]
        answers: list[dict[str, Any]] = []
        for i, one in enumerate(series):
            several = forecasts.quantiles[i].T.tolist()
            answers.append(
                {
                    "time": self._times(one, forecasts.mean.shape[1], model_outputs["is_dated"]),
                    "mean": forecasts.mean[i].tolist(),
                    "quantiles": dict(zip(names, several, strict=True)),
                }
            )
        if len(answers) == 1:
            return answers[0]
        return [{"series": one.name, **answer} for one, answer in zip(series, answers, strict=True)]

    def _answered(
        self, given: list[Any], before: dict[str, Any], forward: dict[str, Any]
    ) -> list[Any]:
        """Histories as they are answered; all of them are computed together."""
        read: list[dict[str, Any]] = []
        for number, one in enumerate(given, 1):
            try:
                read.append(self.preprocess(one, **before))
            except InputError as error:
                if len(given) > 1:
                    error.add_note(f"history {number} of {len(given)}")
                raise
        series = tuple(one for part in read for one in part["series"])
        dated = [part["is_dated"] for part in read for _ in part["series"]]
        told: Forecasts = self._forward({"series": series, "dated": dated}, **forward)["forecasts"]
        answers: list[Any] = []
        start = 0
        for part in read:
            end = start + len(part["series"])
            own = Forecasts(told.mean[start:end], told.quantiles[start:end])
            answers.append(self.postprocess({**part, "forecasts": own}))
            start = end
        return answers

    def _told(self, windows: Windows) -> Forecasts:
        processor = self.processor
        sampler = self.sampler
        if sampler is None:
            return processor.told(self.model(**windows.feeds)["parameters"], windows)
        mean, quantiles = sampler.quantiles(windows.feeds, processor.quantiles)
        return processor.spread_out(mean, quantiles, windows)

    def _continuing(self, model: Model) -> Any:
        """The graph that continues trajectories, where the network is an encoder-decoder."""
        if model.config.to_dict().get("model_type") != _series.DRAWN:
            return None
        return graphs.open_session(
            model.folder, f"{self.head}-decoder", dtype=model.precision, device=model.device
        )

    def _times(self, one: Series, steps: int, is_dated: bool) -> list[Any]:
        if not is_dated:
            return list(range(1, steps + 1))
        index = np.arange(one.end, one.end + steps)
        step, layout = self.processor.step, self.processor.layout
        how = layout.written.get(layout.time or "", stamps.TIME)
        # Of days in a zone a number of seconds would say when, and not which.
        is_plain = layout.zone in (None, "UTC") and how != stamps.COUNT
        told = stamps.as_written(step.times(index), how) if is_plain else None
        return told or written(step, layout.zone, index)

    def _refuse_numbers(self, given: History) -> None:
        """Refuses numbers alone where columns are needed, and says once what they do not tell."""
        _series.refuse_numbers(self.processor)
        if given.index is None and self.processor.calendar and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "a history has no times: the model, which was told the calendar in training "
                "(%s), is told nothing of it",
                ", ".join(self.processor.calendar),
            )
