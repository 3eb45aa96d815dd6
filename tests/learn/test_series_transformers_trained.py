"""PatchTST and TimeSeriesTransformer as they are built, trained, saved and opened again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import PatchTSTForPrediction, TimeSeriesTransformerForPrediction

from silmu import graphs, store
from silmu.errors import UsageError
from silmu.networks.series_transformers import PatchForecaster, TransformerForecaster
from silmu.runtime.folder import Folder
from silmu.runtime.series.frame import Layout, Read, Series
from silmu.runtime.series.processor import SeriesProcessor
from silmu.runtime.series.reading import read_series
from silmu.runtime.series.sampling import Sampler
from silmu.steps.design import series_transformers
from silmu.steps.train import losses
from silmu.steps.train.export import write_network

HEAD = "time-series-forecasting"
SETTINGS: dict[str, Any] = {"hidden_size": 16, "num_layers": 2, "dropout": 0.1}
DAYS = 240
Arrays = dict[str, NDArray[Any]]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def rows(number: int) -> dict[str, list[Any]]:
    """Weeks that repeat, about levels of their own; what is on sale shows a day later."""
    random = np.random.default_rng(3)
    columns: dict[str, list[Any]] = {name: [] for name in ("day", "shop", "y", "sale", "rain")}
    for i in range(number):
        sale = random.integers(0, 2, DAYS)
        level = 10 * i + 3 * np.sin(np.arange(DAYS) * 2 * np.pi / 7) + 2 * np.roll(sale, 1)
        values = level + random.normal(0, 0.3, DAYS)
        columns["day"] += [str(np.datetime64("2024-01-01") + day) for day in range(DAYS)]
        columns["shop"] += [f"shop {i}"] * DAYS
        columns["y"] += [None if day % 31 == 5 else float(values[day]) for day in range(DAYS)]
        columns["sale"] += sale.tolist()
        columns["rain"] += random.normal(0, 1, DAYS).tolist()
    return columns


def read(number: int, inputs: tuple[str, ...]) -> tuple[Read, Layout]:
    group = ("shop",) if number > 1 else ()
    layout = Layout("day", group, ("y",), inputs, None, None)
    return read_series(rows(number), layout), layout


def processor(
    number: int = 1, inputs: tuple[str, ...] = (), context: int = 28, steps: int = 7
) -> tuple[SeriesProcessor, tuple[Series, ...]]:
    found, layout = read(number, inputs)
    made = SeriesProcessor.fitted(
        found,
        layout,
        ends={one.name: 200 for one in found.series},
        fill="linear",
        normalise="standard",
        context_length=context,
        prediction_length=steps,
        season=7,
        known=[name for name in inputs if name == "sale"],
    )
    return made, found.series


def windows(
    made: SeriesProcessor, series: tuple[Series, ...], count: int
) -> tuple[Arrays, NDArray[np.float32]]:
    """Feeds, and what came after them, normalised."""
    tracks = [made.tracks(one, 0) for one in series]
    random = np.random.default_rng(0)
    which = random.integers(0, len(tracks), count)
    ends = random.integers(10, DAYS - made.prediction_length, count)
    cut = made.arrays(tracks, which, ends)
    steps = np.arange(made.prediction_length)
    came = np.stack([one.values for one in tracks])[which[:, None], ends[:, None] + steps]
    return cut.feeds, made.inward(cut, came).astype(np.float32)


def tensors(feeds: Arrays) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(one)) for name, one in feeds.items()}


def built(kind: str, made: SeriesProcessor, **settings: Any) -> Any:
    torch.manual_seed(0)
    return getattr(series_transformers, kind)(made, SETTINGS | settings)


def taught(network: Any, feeds: Arrays, future: NDArray[np.float32], steps: int) -> list[float]:
    """The losses of a short training."""
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    network.train()
    history: list[float] = []
    random = np.random.default_rng(0)
    for _ in range(steps):
        chosen = random.integers(0, len(future), 32)
        given = tensors({name: one[chosen] for name, one in feeds.items()})
        sought = torch.from_numpy(future[chosen])
        observed = torch.ones_like(sought)
        if isinstance(network, TransformerForecaster):
            total, weight = network.training_loss(given, sought, observed)
        else:
            total, weight = losses.student_t(network(**given), sought, observed)
        loss = total / weight
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    network.eval()
    return history


def saved(network: Any, folder: Path) -> Folder:
    with store.new_folder(folder, meta={"task": HEAD}) as writer:
        write_network(writer, network.model, {})
    return Folder(folder, folder.name)


def sampler(folder: Folder) -> Sampler:
    sessions = (graphs.open_session(folder, head) for head in (HEAD, f"{HEAD}-decoder"))
    return Sampler.of(folder.config, *sessions)


COVERED = [
    pytest.param(1, (), id="values-alone"),
    pytest.param(3, (), id="several-series"),
    pytest.param(1, ("sale",), id="known-ahead"),
    pytest.param(1, ("rain",), id="of-the-past"),
    pytest.param(3, ("sale", "rain"), id="all"),
]


@pytest.mark.parametrize(("number", "inputs"), COVERED)
def test_trajectories_of_network_and_graphs_are_the_same(
    number: int, inputs: tuple[str, ...], tmp_path: Path
) -> None:
    made, series = processor(number, inputs)
    network = built("transformer", made)
    feeds, future = windows(made, series, 64)
    taught(network, feeds, future, 5)
    with torch.inference_mode():
        expected = network(**tensors(feeds)).numpy()
    _, found = sampler(saved(network, tmp_path / "model")).quantiles(feeds, made.quantiles)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.isfinite(expected).all()


def test_patches_of_network_and_graph_are_the_same(tmp_path: Path) -> None:
    for context in (4, 9, 28, 95):
        made, series = processor(context=context)
        network = built("patchtst", made)
        feeds, future = windows(made, series, 64)
        taught(network, feeds, future, 3)
        with torch.inference_mode():
            expected = network(**tensors(feeds)).numpy()
        folder = saved(network, tmp_path / f"of {context}")
        found = graphs.open_session(folder, HEAD).run(feeds)["parameters"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_saved_folder_opens_in_transformers(tmp_path: Path) -> None:
    made, series = processor(3, ("sale", "rain"))
    feeds, future = windows(made, series, 8)
    patched, continued = (built(kind, made).eval() for kind in ("patchtst", "transformer"))
    saved(patched, tmp_path / "patched")
    saved(continued, tmp_path / "continued")
    with torch.inference_mode():
        again: Any = PatchTSTForPrediction.from_pretrained(tmp_path / "patched").eval()
        expected = patched(**tensors(feeds))
        assert torch.equal(PatchForecaster(again)(**tensors(feeds)), expected)
        again = TimeSeriesTransformerForPrediction.from_pretrained(tmp_path / "continued").eval()
        given = continued.inputs(tensors(feeds))
        sought = torch.from_numpy(future)
        expected, found = (
            one(**given, future_values=sought).loss for one in (continued.model, again)
        )
        assert torch.equal(found, expected)
        drawn = again.generate(**given).sequences
        assert drawn.shape == (8, 100, 7)


def test_a_short_training_finds_the_week() -> None:
    made, series = processor(context=28)
    feeds, future = windows(made, series, 256)
    flat = np.abs(future - np.median(future)).mean()
    for kind in ("patchtst", "transformer"):
        network = built(kind, made, dropout=0.0)
        history = taught(network, feeds, future, 150)
        assert np.mean(history[-10:]) < np.mean(history[:10]) - 0.5
        some = {name: one[:48] for name, one in feeds.items()}
        with torch.inference_mode():
            told = network(**tensors(some)).numpy()
        middle = told[:, :, 1] if kind == "patchtst" else told[:, :, 4]
        assert np.abs(middle - future[:48]).mean() < 0.6 * flat


def test_the_unknown_series_is_learnt() -> None:
    """Its vector, which no window of training has, moves too."""
    made, series = processor(3)
    feeds, future = windows(made, series, 64)
    assert (feeds["static_categorical_features"] > 0).all()
    network = built("transformer", made)
    table = network.model.model.embedder.embedders[0].weight
    before = table.detach().clone()
    taught(network, feeds, future, 5)
    assert (table[0] != before[0]).all()


def test_what_was_not_observed_is_not_learnt() -> None:
    made, series = processor()
    feeds, future = windows(made, series, 16)
    network = built("transformer", made, dropout=0.0)
    observed = torch.ones(16, 7)
    observed[:, 5:] = 0
    wild = future.copy()
    wild[:, 6] = 50.0  # the last, which nothing is told from
    found = [
        network.training_loss(tensors(feeds), torch.from_numpy(one), observed)
        for one in (future, wild)
    ]
    assert found[0][0].item() == pytest.approx(found[1][0].item(), rel=1e-6)
    assert found[0][1].item() == 16 * 5


def test_the_same_seed_builds_the_same_network() -> None:
    made, _ = processor()
    for kind in ("patchtst", "transformer"):
        one, other = built(kind, made).state_dict(), built(kind, made).state_dict()
        assert len(one) > 30
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(UsageError, match="2 steps"):
        built("patchtst", processor(steps=1)[0])
    with pytest.raises(UsageError, match="context_length is 3"):
        built("patchtst", processor(context=3)[0])
    with pytest.raises(UsageError, match="context_length is 1"):
        built("transformer", processor(context=1)[0])


def test_covariates_that_are_not_read_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "silmu"):
        built("patchtst", processor(1, ("sale", "rain"))[0])
    assert "not sale, rain" in caplog.text


@pytest.mark.parametrize(
    ("context", "season", "expected"),
    [
        (60, 7, [1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 15]),
        (60, 1, [1, 2, 3, 4, 5, 6, 7]),
        (60, 24, [1, 2, 3, 4, 5, 6, 7, 23, 24, 25]),
        (8, 7, [1, 2, 3, 4]),
        (2, 2, [1]),
    ],
)
def test_lags(context: int, season: int, expected: list[int]) -> None:
    assert series_transformers.chosen_lags(context, season) == expected


@pytest.mark.parametrize("steps", [1, 7])
def test_the_shortest_past_that_a_transformer_reads(steps: int, tmp_path: Path) -> None:
    made, series = processor(context=2, steps=steps)
    network = built("transformer", made)
    feeds, _ = windows(made, series, 5)
    with torch.inference_mode():
        expected = network(**tensors(feeds)).numpy()
    _, found = sampler(saved(network, tmp_path / "model")).quantiles(feeds, made.quantiles)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert found.shape == (5, steps, 9)
