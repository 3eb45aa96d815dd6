"""PatchTST and TimeSeriesTransformer beside transformers 4.57.6, whose numbers are recorded.

tests/golden/series.json holds what each tiny network tells of a few windows, and how the
trajectories are distributed that transformers draws from the encoder-decoder.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from silmu import graphs
from silmu.errors import InvalidModelError, SilmuError, UnsupportedModelError
from silmu.runtime.folder import Folder
from silmu.runtime.series.sampling import Sampler

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "series.json").read_text(encoding="utf-8")
)
CASES: dict[str, dict[str, Any]] = {case["model"]: case for case in GOLDEN["cases"]}
PATCHED = [name for name in CASES if name.startswith("patchtst")]
CONTINUED = [name for name in CASES if not name.startswith("patchtst")]
HEAD, DECODER = "time-series-forecasting", "time-series-forecasting-decoder"
HEADS = {True: (HEAD,), False: (HEAD, DECODER)}
Arrays = dict[str, NDArray[Any]]


def feeds_of(name: str) -> Arrays:
    return {
        key: np.array(value, np.int64 if "categorical" in key else np.float32)
        for key, value in CASES[name]["feeds"].items()
    }


def sampler(folder: Path, number: int | None = None) -> Sampler:
    opened = Folder(folder, folder.name)
    config = opened.config | ({"num_parallel_samples": number} if number else {})
    sessions = (graphs.open_session(opened, head) for head in (HEAD, DECODER))
    return Sampler.of(config, *sessions)


# PatchTST.


@pytest.mark.parametrize("name", PATCHED)
def test_parameters_of_patches(name: str, models: Path) -> None:
    session = graphs.open_session(Folder(models / name, name), HEAD)
    found = session.run(feeds_of(name))["parameters"]
    expected = np.array(CASES[name]["parameters"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.ptp(expected[:, :, 1], axis=1).min() > 0.1  # steps that differ


def test_what_was_not_observed_does_not_count(models: Path) -> None:
    """A wild value there would move the window's place and width if it did."""
    session = graphs.open_session(Folder(models / "patchtst-max", "patchtst-max"), HEAD)
    feeds = feeds_of("patchtst-flat")
    scaled = graphs.open_session(Folder(models / "patchtst-flat", "patchtst-flat"), HEAD)
    before = scaled.run(feeds)["parameters"]
    feeds["past_observed_mask"][0, :3] = 0
    after = scaled.run(feeds)["parameters"]
    assert np.abs(after[0] - before[0]).max() > 1e-3
    np.testing.assert_array_equal(after[1:], before[1:])
    assert "past_observed_mask" in session.inputs


def test_a_window_does_not_depend_on_its_neighbours(models: Path) -> None:
    session = graphs.open_session(Folder(models / "patchtst-flat", "patchtst-flat"), HEAD)
    feeds = feeds_of("patchtst-flat")
    feeds["past_values"][1] *= 100
    together = session.run({name: np.tile(one, (9, 1)) for name, one in feeds.items()})
    for i in range(3):
        alone = session.run({name: one[i : i + 1] for name, one in feeds.items()})["parameters"]
        np.testing.assert_allclose(together["parameters"][i + 12], alone[0], rtol=1e-5, atol=1e-5)


# The encoder-decoder.


@pytest.mark.parametrize("name", CONTINUED)
def test_parameters_for_a_future_that_is_given(name: str, models: Path) -> None:
    case, feeds = CASES[name], feeds_of(name)
    loc, scale = (np.array(case[key]) for key in ("loc", "scale"))
    future = (np.array(case["future"]) - loc) / scale
    told: list[NDArray[Any]] = []

    def given(step: int, parameters: NDArray[np.float32]) -> NDArray[np.float64]:
        told.append(parameters[:, 0])
        assert np.ptp(parameters, axis=1).max() < 1e-5  # three trajectories that are one
        return future[:, step, None]

    found = sampler(models / name, 3).walk(feeds, given)
    np.testing.assert_allclose(np.stack(told, axis=1), case["parameters"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[:, 0], case["future"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CONTINUED)
def test_trajectories_are_distributed_as_those_of_generate(name: str, models: Path) -> None:
    """Steps, their sum and how far the last is from the first, within five standard errors."""
    case, number = CASES[name], 4000
    drawn = sampler(models / name, number).trajectories(feeds_of(name))
    sums = drawn.sum(axis=2, keepdims=True)
    seen = np.concatenate([drawn, sums, drawn[:, :, -1:] - drawn[:, :, :1]], axis=2)
    fewer = 1 / number + 1 / GOLDEN["drawn"]
    for i, level in enumerate(GOLDEN["levels"]):
        edge = np.array(case["quantiles"])[..., i][:, None]
        error = np.sqrt(level * (1 - level) * fewer)
        assert np.abs((seen <= edge).mean(axis=1) - level).max() < 5 * error
    spread = np.maximum(seen.std(axis=1), case["deviation"])
    error = np.abs(seen.mean(axis=1) - case["mean"]) / (spread * np.sqrt(fewer))
    assert error.max() < 5
    # Which tells something: the steps' distributions are not one and the same.
    centres = np.array(case["quantiles"])[:, :, 3]
    assert (np.ptp(centres[:, :5], axis=1) > 10 * spread[:, :5].max(axis=1) * fewer**0.5).any()


@pytest.mark.parametrize("name", CONTINUED)
def test_the_same_window_has_the_same_trajectories(name: str, models: Path) -> None:
    feeds, one = feeds_of(name), sampler(models / name)
    levels = (0.1, 0.5, 0.9)
    means, quantiles = one.quantiles(feeds, levels)
    assert quantiles.shape == (3, 5, 3)
    assert (np.diff(quantiles, axis=2) > 0).all()
    many = {key: np.concatenate([value] * 30) for key, value in feeds.items()}
    _, of_many = one.quantiles(many, levels)
    np.testing.assert_allclose(of_many[33:36], quantiles, rtol=1e-4, atol=1e-4)
    for i in range(3):
        alone = {key: value[i : i + 1] for key, value in feeds.items()}
        mean, told = one.quantiles(alone, levels)
        np.testing.assert_allclose(told[0], quantiles[i], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(mean[0], means[i], rtol=1e-4, atol=1e-4)
    feeds["past_values"] += np.float32(0.01)
    assert (np.abs(one.quantiles(feeds, levels)[1] - quantiles) > 0).all()


def test_past_covariates_are_read(models: Path) -> None:
    one, feeds = sampler(models / "series-transformer"), feeds_of("series-transformer")
    before = one.encoder.run(feeds)
    feeds["past_time_features"] = feeds["past_time_features"].copy()
    feeds["past_time_features"][:, -1, 4] += 3
    after = one.encoder.run(feeds)
    assert np.abs(after["window.0.key"] - before["window.0.key"]).max() > 1e-3
    np.testing.assert_array_equal(after["steps"], before["steps"])


# What config.json says.


@pytest.mark.parametrize(
    ("name", "changes", "error"),
    [
        ("patchtst-flat", {"loss": "mse"}, UnsupportedModelError),
        ("patchtst-flat", {"distribution_output": "normal"}, UnsupportedModelError),
        ("patchtst-flat", {"num_input_channels": 7}, UnsupportedModelError),
        ("patchtst-flat", {"share_embedding": False}, UnsupportedModelError),
        ("patchtst-flat", {"channel_attention": True}, UnsupportedModelError),
        ("patchtst-flat", {"scaling": "robust"}, UnsupportedModelError),
        ("patchtst-flat", {"default_scale": 2.0}, UnsupportedModelError),
        ("patchtst-flat", {"norm_type": "rms"}, UnsupportedModelError),
        ("patchtst-flat", {"pooling_type": "first"}, UnsupportedModelError),
        ("patchtst-flat", {"pooling_type": "mean"}, InvalidModelError),
        ("patchtst-flat", {"patch_length": 24}, InvalidModelError),
        ("patchtst-flat", {"patch_length": 5}, InvalidModelError),
        ("patchtst-flat", {"patch_stride": 2}, InvalidModelError),
        ("patchtst-flat", {"prediction_length": 6}, InvalidModelError),
        ("patchtst-flat", {"num_hidden_layers": 1}, InvalidModelError),
        ("patchtst-flat", {"num_attention_heads": 3}, InvalidModelError),
        ("patchtst-flat", {"context_length": 1 << 24, "patch_length": 1 << 23}, InvalidModelError),
        ("series-transformer", {"context_length": 1 << 24}, InvalidModelError),
        ("series-transformer", {"prediction_length": 1 << 24}, InvalidModelError),
        ("series-transformer", {"lags_sequence": [1 << 20]}, InvalidModelError),
        ("series-transformer", {"lags_sequence": [1] * 400_000}, InvalidModelError),
        ("series-transformer", {"distribution_output": "negative_binomial"}, UnsupportedModelError),
        ("series-transformer", {"input_size": 2}, UnsupportedModelError),
        ("series-transformer", {"prediction_length": None}, InvalidModelError),
        ("series-transformer", {"prediction_length": 4}, InvalidModelError),
        ("series-transformer", {"lags_sequence": [1, 2]}, InvalidModelError),
        ("series-transformer", {"lags_sequence": [0, 1, 2, 4]}, InvalidModelError),
        ("series-transformer", {"cardinality": [4]}, InvalidModelError),
        ("series-transformer", {"cardinality": [4, 9]}, InvalidModelError),
        ("series-transformer", {"num_time_features": -1}, InvalidModelError),
        ("series-transformer", {"decoder_layers": 2}, InvalidModelError),
    ],
)
def test_refusals(
    name: str, changes: dict[str, Any], error: type[SilmuError], copy: Callable[..., Path]
) -> None:
    opened = Folder(copy(name, **changes), name)
    with pytest.raises(error) as raised:
        _ = [graphs.open_session(opened, head) for head in HEADS[name in PATCHED]]
    assert name in str(raised.value)


@pytest.mark.parametrize("number", [0, True, 10**9, "many"])
def test_trajectories_without_end_are_refused(number: Any, models: Path) -> None:
    opened = Folder(models / "series-transformer-bare", "series-transformer-bare")
    sessions = [graphs.open_session(opened, head) for head in (HEAD, DECODER)]
    with pytest.raises(InvalidModelError, match="num_parallel_samples"):
        Sampler.of(opened.config | {"num_parallel_samples": number}, *sessions)
    long = opened.config | {"num_parallel_samples": 100_000, "prediction_length": 200}
    with pytest.raises(InvalidModelError, match="prediction_length = 200, together more than"):
        Sampler.of(long, *sessions)


def test_a_network_that_fills_gaps_is_no_forecaster(copy: Callable[..., Path]) -> None:
    def rebuilt(stored: Arrays) -> Arrays:
        body = {name: value for name, value in stored.items() if not name.startswith("head.")}
        return body | {"head.linear.weight": np.zeros((6, 16), np.float32)}

    folder = copy("patchtst-flat", rebuilt, architectures=["PatchTSTForPretraining"])
    with pytest.raises(UnsupportedModelError, match="PatchTSTForPretraining"):
        graphs.open_session(Folder(folder, "patchtst-flat"), HEAD)
