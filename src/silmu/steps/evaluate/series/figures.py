"""The metrics of forecasts, as functions of sums over the steps that are forecast.

A metric of all steps, of one series, and of each of thousands of resamples is then the same few
operations on sums; see metrics.py of the package above. The median is judged where errors count by
their size, and the mean where they count by their square, since these are what makes either least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.numbers import Sums, Totals
from silmu.steps.evaluate.series.windows import Windows

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
PROMISED = 0.8
"""The share of true numbers between the first and the last level."""
ROUNDED = 1e-12
"""The share of a number that sums of 64 bits may differ by, and that is no error."""


@final
@dataclass(frozen=True)
class Said:
    """What was forecast.

    Attributes:
        mean: (windows, horizon).
        quantiles: (windows, horizon, LEVELS), or None where only one number is told.
    """

    mean: NDArray[np.float64]
    quantiles: NDArray[np.float64] | None = None

    @property
    def median(self) -> NDArray[np.float64]:
        """(windows, horizon)."""
        if self.quantiles is None:
            return self.mean
        return self.quantiles[..., LEVELS.index(0.5)]


@final
@dataclass(frozen=True)
class Errors:
    """How far forecasts were from what came, one line for each step whose truth is known.

    Attributes:
        window, which, horizon, moment: (lines,), the place of each.
        moments: how many moments there are.
        columns: by name (lines, columns): what a line adds to the sums.
    """

    window: NDArray[np.int64]
    which: NDArray[np.int64]
    horizon: NDArray[np.int64]
    moment: NDArray[np.int64]
    moments: int
    columns: dict[str, NDArray[np.float64]]

    def sums(self) -> Sums:
        """By name (moments, columns): what each moment adds, all series together."""
        return {name: self._added(block, self.moment, self.moments) for name, block in self._all()}

    def by(self, key: NDArray[np.int64], size: int, name: str) -> Sums:
        """`n` and `of`, one column of `columns`, as (moments, size): parts side by side.

        Of `scaled` errors n counts those that have a scale.
        """
        place, cells = self.moment * size + key, self.moments * size
        counted = "with_scale" if name == "scaled" else None
        every = np.ones(len(place)) if counted is None else self.columns[counted][:, 0]
        n, of = (
            np.bincount(place, value, minlength=cells).reshape(self.moments, size)
            for value in (every, self.columns[name][:, 0])
        )
        return {"n": n, "of": of}

    def of_windows(self, name: str, windows: int) -> NDArray[np.float64]:
        """(windows,): the mean of a column over each window; NaN where nothing is known of it."""
        value = self.columns[name][:, 0]
        with np.errstate(invalid="ignore"):
            return np.bincount(self.window, value, windows) / np.bincount(
                self.window, minlength=windows
            )

    def _all(self) -> list[tuple[str, NDArray[np.float64]]]:
        return [("n", np.ones((len(self.moment), 1))), *self.columns.items()]

    @staticmethod
    def _added(
        block: NDArray[np.float64], key: NDArray[np.int64], size: int
    ) -> NDArray[np.float64]:
        found = [np.bincount(key, column, size) for column in block.T]
        return np.stack(found, axis=1).astype(np.float64)


def errors(windows: Windows, said: Said, scales: NDArray[np.float64]) -> Errors:
    """What forecasts add to the sums of the metrics.

    Args:
        windows: what was asked.
        said: what was told.
        scales: (series,), the size of the errors of each series' scaled error; NaN or 0 where a
            series has none.
    """
    truth = windows.truth
    window, horizon = np.nonzero(~np.isnan(truth))
    true, mean, median = (one[window, horizon] for one in (truth, said.mean, said.median))
    which = windows.which[window]
    absolute = np.abs(median - true)
    absolute[absolute < ROUNDED * np.abs(true)] = 0  # so that a line told twice is told alike
    both = np.abs(median) + np.abs(true)
    scale = scales[which]
    known = scale > 0
    columns: dict[str, NDArray[Any]] = {
        "absolute": absolute[:, None],
        "squared": ((mean - true) ** 2)[:, None],
        "percentage": np.where(both > 0, 200 * absolute / np.where(both > 0, both, 1), 0)[:, None],
        "scaled": np.where(known, absolute / np.where(known, scale, 1), 0)[:, None],
        "with_scale": known.astype(np.float64)[:, None],
    }
    if said.quantiles is not None:
        quantiles = said.quantiles[window, horizon]
        away = true[:, None] - quantiles
        levels = np.array(LEVELS)
        columns["pinball"] = np.maximum(levels * away, (levels - 1) * away)
        columns["below"] = np.less_equal(away, 0).astype(np.float64)
        low, high = quantiles[:, 0], quantiles[:, -1]
        columns["within"] = ((low <= true) & (true <= high)).astype(np.float64)[:, None]
        columns["width"] = (high - low)[:, None]
    moments = int(windows.moments.max()) + 1 if len(windows) else 0
    places = (window.astype(np.int64), which, horizon.astype(np.int64))
    return Errors(*places, windows.moments[window, horizon], moments, columns)


def measure(totals: Totals) -> dict[str, NDArray[np.float64]]:
    """The metrics, by the field's names; NaN where one cannot be told.

    mean_absolute_error                      of the median, in the unit of the series
    root_mean_squared_error                  of the mean
    mean_absolute_scaled_error               errors over the mean absolute error that the naive
                                             forecast, seasonal where that is nearer, makes in the
                                             training (Hyndman and Koehler, 2006); series in which
                                             that is 0 have no part in it
    symmetric_mean_absolute_percentage_error 0 to 200 (Makridakis, 1993, as in the M4 competition);
                                             0 where forecast and truth are both 0
    crps                                     twice the mean pinball loss of the nine deciles, which
                                             approaches the continuous ranked probability score
                                             (Gneiting and Raftery, 2007), in the unit of the series
    interval_coverage, interval_width        of the first to the last decile
    """
    n = totals["n"][..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = totals["scaled"][..., 0] / totals["with_scale"][..., 0]
        found = {
            "mean_absolute_error": totals["absolute"][..., 0] / n,
            "root_mean_squared_error": np.sqrt(totals["squared"][..., 0] / n),
            "mean_absolute_scaled_error": scaled,
            "symmetric_mean_absolute_percentage_error": totals["percentage"][..., 0] / n,
        }
        if "pinball" in totals:
            found["crps"] = 2 * totals["pinball"].mean(axis=-1) / n
            found["interval_coverage"] = totals["within"][..., 0] / n
            found["interval_width"] = totals["width"][..., 0] / n
    return found
