"""Trajectories of a series, drawn step by step from a network that tells what may come next.

Salinas et al. 2020, https://arxiv.org/abs/1704.04110: each value drawn is given back to the
network, which then tells how the one after it is distributed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, cast, final

import numpy as np

from silmu.errors import InvalidModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBER = 100
"""Trajectories of a window, unless config.json says `num_parallel_samples`."""
AT_ONCE = 3200
"""So many trajectories are continued at the same time."""
MOST = 100_000
MOST_VALUES = 1 << 24
"""Of the trajectories of a window together."""

_LAGS = [1, 2, 3, 4, 5, 6, 7]

Draw = Callable[[int, "NDArray[np.float32]"], "NDArray[np.float64]"]
"""From the number of a step and (rows, trajectories, 3) parameters to the step's values."""


class Graph(Protocol):
    """What a session is here: arrays in, arrays out, by name; what it does not ask for is left."""

    def run(self, feeds: Mapping[str, NDArray[Any]], /) -> dict[str, NDArray[Any]]:
        """Computes it once."""
        ...


@final
@dataclass(frozen=True)
class Sampler:
    """Draws the trajectories of `model_type` time_series_transformer.

    Attributes:
        encoder, decoder: graphs of the heads `time-series-forecasting` and
            `time-series-forecasting-decoder`.
        lags: how many steps before a value the values are that it is told from.
        prediction_length: steps to continue a window by.
        number: trajectories of a window.
        heads, size, layers: of the decoder's attention: how many, and how large each is.
    """

    encoder: Graph
    decoder: Graph
    lags: tuple[int, ...]
    prediction_length: int
    number: int
    layers: int
    heads: int
    size: int

    @classmethod
    def of(cls, config: Mapping[str, Any], encoder: Graph, decoder: Graph) -> Self:
        """With the sizes that config.json has.

        Raises:
            InvalidModelError: it asks for more than MOST trajectories, or none, or for more than
                MOST_VALUES of their values.
        """
        number = config.get("num_parallel_samples", NUMBER)
        if type(number) is not int or not 1 <= number <= MOST:
            raise InvalidModelError(
                f"config.json has num_parallel_samples = {number!r}; "
                f"it must be a whole number from 1 to {MOST:,}"
            )
        steps = config["prediction_length"]
        if number * steps > MOST_VALUES:
            raise InvalidModelError(
                f"config.json has num_parallel_samples = {number:,} and prediction_length = "
                f"{steps:,}, together more than {MOST_VALUES:,} values a window"
            )
        heads = config.get("decoder_attention_heads") or 2
        return cls(
            encoder=encoder,
            decoder=decoder,
            lags=tuple(cast("list[int]", config.get("lags_sequence") or _LAGS)),
            prediction_length=steps,
            number=number,
            layers=config.get("decoder_layers") or 2,
            heads=heads,
            size=(config.get("d_model") or 64) // heads,
        )

    def quantiles(
        self, feeds: Mapping[str, NDArray[Any]], levels: tuple[float, ...]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The means (rows, steps) and quantiles (rows, steps, levels) of the trajectories.

        Both are in the unit of `past_values`.
        """
        means: list[NDArray[np.float64]] = []
        told: list[NDArray[np.float64]] = []
        rows = len(feeds["past_values"])
        at_once = max(1, AT_ONCE // self.number)
        for start in range(0, rows, at_once):
            part = {name: array[start : start + at_once] for name, array in feeds.items()}
            drawn = self.trajectories(part)
            means.append(drawn.mean(axis=1))
            told.append(np.moveaxis(np.quantile(drawn, levels, axis=1), 0, -1))
        return np.concatenate(means), np.concatenate(told)

    def trajectories(self, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """(rows, number, prediction_length) values that may come, in the unit of `past_values`.

        Their randomness comes from the bytes of each window alone: the same window has the same
        trajectories, whatever is beside it.
        """
        chances = np.stack([_chances(one, self) for one in feeds["past_values"]])
        return self.walk(feeds, lambda step, told: _student_t(told, chances[:, step]))

    def walk(self, feeds: Mapping[str, NDArray[Any]], draw: Draw) -> NDArray[np.float64]:
        """The values that `draw` gives for each step, (rows, trajectories, prediction_length).

        What it is asked for and gives is in the unit of the network: `past_values` less their
        place, divided by their width.
        """
        read = self.encoder.run(feeds)
        loc, scale = (read[name].astype(np.float64)[:, :, None] for name in ("loc", "scale"))
        past = (feeds["past_values"][:, None].astype(np.float64) - loc) / scale
        rows, _, known = past.shape
        shape = (rows, self.number, known + self.prediction_length)
        values = np.empty(shape, np.float32)
        values[:, :, :known] = past
        window = {name: read[name] for name in read if name.startswith("window.")}
        seen = {
            f"seen.{layer}.{part}": np.zeros(
                (rows * self.number, self.heads, 0, self.size), np.float32
            )
            for layer in range(self.layers)
            for part in ("key", "value")
        }
        back = np.array(self.lags)
        for step in range(self.prediction_length):
            lags = np.ascontiguousarray(values[:, :, known + step - back])
            given = {"lags": lags, "step": np.ascontiguousarray(read["steps"][:, step])}
            found = self.decoder.run(given | window | seen)
            seen = {
                f"seen.{name.removeprefix('grown.')}": array
                for name, array in found.items()
                if name.startswith("grown.")
            }
            values[:, :, known + step] = draw(step, found["parameters"])
        return values[:, :, known:].astype(np.float64) * scale + loc


def _chances(window: NDArray[np.float32], sampler: Sampler) -> NDArray[np.float64]:
    """(steps, 2, number) numbers above 0 and at most 1, by the bytes of a window."""
    seed = hashlib.blake2b(np.ascontiguousarray(window, "<f4").tobytes(), digest_size=16).digest()
    random = np.random.Generator(np.random.PCG64(int.from_bytes(seed, "little")))
    return 1 - random.random((sampler.prediction_length, 2, sampler.number))


def _student_t(
    parameters: NDArray[np.float32], chances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Draws of Student's t for (rows, number, 3) parameters and (rows, 2, number) chances.

    They follow smoothly from both, so that parameters that differ in their last bit give draws that
    do: Bailey 1994, https://doi.org/10.1090/S0025-5718-1994-1219702-8.
    """
    df, loc, scale = (parameters[..., i].astype(np.float64) for i in range(3))
    far = np.sqrt(df * np.expm1(-2 / df * np.log(chances[:, 0])))
    return loc + scale * far * np.cos(2 * np.pi * chances[:, 1])
