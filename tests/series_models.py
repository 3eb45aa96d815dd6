"""Models of series with weights that were thought of, and the processors that they have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from silmu.runtime.series.frame import Layout
from silmu.runtime.series.processor import SeriesProcessor
from silmu.runtime.series.reading import read_series

Columns = Mapping[str, Sequence[Any] | NDArray[Any]]


def fitted(columns: Columns, layout: Layout, **settings: Any) -> SeriesProcessor:
    """A processor that saw all of these rows; `ends` says if of some series it saw less."""
    read = read_series(columns, layout)
    ends = {one.name: len(one) for one in read.series} | settings.pop("ends", {})
    given = {
        "fill": "linear",
        "normalise": "standard",
        "context_length": 6,
        "prediction_length": 3,
        "season": 1,
        **settings,
    }
    return SeriesProcessor.fitted(read, layout, ends=ends, **given)


def write(folder: Path, processor: SeriesProcessor, kind: str = "dlinear", **config: Any) -> str:
    """A model folder: `dlinear` says the last value, `rnn` what chance made of its weights.

    The quantiles of `dlinear` are 0.1 deviations of the window apart in the first step, 0.2 in the
    second, and so on.
    """
    folder.mkdir()
    shares, steps, context = (
        len(processor.quantiles),
        processor.prediction_length,
        processor.context_length,
    )
    sizes = processor.sizes
    if kind == "dlinear":
        last = np.zeros((steps, shares, context))
        last[:, :, -1] = 1
        apart = (np.arange(shares) - shares // 2) * 0.1
        tensors: dict[str, Any] = {
            "lines.trend.weight": last.reshape(-1, context),
            "lines.rest.weight": last.reshape(-1, context),
            "lines.trend.bias": (np.arange(1, steps + 1)[:, None] * apart).ravel(),
        }
    else:
        tensors = _random(processor)
    save_file(
        {name: np.ascontiguousarray(one, np.float32) for name, one in tensors.items()},
        folder / "model.safetensors",
    )
    about = {
        "model_type": "silmu-series",
        "architectures": ["SilmuForTimeSeriesForecasting"],
        "kind": kind,
        "context_length": context,
        "prediction_length": steps,
        "outputs": shares,
        "head": "quantiles",
        "num_known": sizes["known"],
        "num_past": sizes["past"],
        "num_static_real": sizes["static_real"],
        "num_series": sizes["series"],
        "hidden_size": 4,
        "num_layers": 1,
        "kernel_size": 3,
        "dropout": 0.0,
        "skip": False,
        "season": 0,
    }
    (folder / "config.json").write_text(json.dumps({**about, **config}))
    (folder / "processor.json").write_bytes(processor.to_bytes())
    return str(folder)


def _random(processor: SeriesProcessor) -> dict[str, NDArray[Any]]:
    sizes, steps = processor.sizes, processor.prediction_length
    size, shares = 4, len(processor.quantiles)
    inner = 2 + sizes["known"] + sizes["past"]
    shapes: dict[str, tuple[int, ...]] = {
        "reading.weight": (size, inner),
        "reading.bias": (size,),
        "body.layers.0.weight_ih_l0": (size, size),
        "body.layers.0.weight_hh_l0": (size, size),
        "body.layers.0.bias_ih_l0": (size,),
        "body.layers.0.bias_hh_l0": (size,),
        "horizon.state.weight": (steps * size, size),
        "horizon.state.bias": (steps * size,),
        "horizon.inner.weight": (size, size),
        "horizon.inner.bias": (size,),
        "horizon.output.weight": (shares, size),
        "horizon.output.bias": (shares,),
    }
    if sizes["known"]:
        shapes["horizon.future.weight"] = (size, sizes["known"])
    if sizes["static_real"]:
        shapes |= {"static.weight": (size, sizes["static_real"]), "static.bias": (size,)}
    if sizes["series"]:
        shapes["series.weight"] = (sizes["series"], size)
    random = np.random.default_rng(0)
    return {name: random.normal(0, 0.7, shape) for name, shape in shapes.items()}
