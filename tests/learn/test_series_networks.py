"""Networks that forecast series, and the graphs of them: the same numbers, whatever is fed."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from silmu import graphs, registry, store
from silmu.errors import InvalidModelError, UsageError
from silmu.graphs import silmu_series
from silmu.networks import series
from silmu.networks.series import HEADS, KINDS, SeriesConfig, SeriesNetwork
from silmu.runtime.folder import Folder
from silmu.runtime.session import Session
from silmu.steps.design import series_defaults
from silmu.steps.train.export import write_network

HEAD = "time-series-forecasting"
CONTEXT, STEPS = 17, 5
OPTIONAL = {"num_known": 3, "num_past": 2, "num_static_real": 4, "num_series": 6}
PRESENT: list[dict[str, int]] = [
    {name: OPTIONAL[name] for name in names}
    for count in range(len(OPTIONAL) + 1)
    for names in itertools.combinations(OPTIONAL, count)
]
SHAPES: dict[str, dict[str, Any]] = {
    "two-layers": {"kind": "gru", "num_layers": 2},
    "lstm-three-layers": {"kind": "lstm", "num_layers": 3},
    "no-skip": {"kind": "lstm", "skip": False},
    "one-block": {"kind": "tcn", "num_layers": 1, "kernel_size": 2},
    "farther-than-the-context": {"kind": "tcn", "num_layers": 5, "kernel_size": 4},
    "even-mean": {"kind": "dlinear", "kernel_size": 4},
    "mean-wider-than-the-context": {"kind": "dlinear", "kernel_size": 25},
    "one-step": {"kind": "rnn", "prediction_length": 1},
    "one-quantile": {"kind": "gru", "outputs": 1},
    "short-context": {"kind": "tcn", "context_length": 1},
    "short-context-line": {"kind": "dlinear", "context_length": 1},
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def network(**settings: Any) -> SeriesNetwork:
    torch.manual_seed(1)
    sizes: dict[str, Any] = {
        "context_length": CONTEXT,
        "prediction_length": STEPS,
        "outputs": 3 if settings.get("head") == "student_t" else 9,
        "hidden_size": 12,
        "num_layers": 2 if settings["kind"] == "tcn" else 1,
    }
    found = series.build(SeriesConfig(**(sizes | settings)))
    for parameter in found.parameters():  # not near zero, or nothing would be seen of them
        torch.nn.init.normal_(parameter, std=0.3)
    return found.eval()


def save_folder(found: SeriesNetwork, folder: Path, **config: Any) -> Folder:
    with store.new_folder(folder, meta={}) as writer:
        write_network(writer, found, config)
    return Folder(folder, folder.name)


def open_graph(found: SeriesNetwork, folder: Path) -> Session:
    session = graphs.open_session(save_folder(found, folder), HEAD)
    assert isinstance(session, Session)
    return session


def feeds(config: SeriesConfig, rows: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(seed)
    context, steps = config.context_length, config.prediction_length

    def numbers(*shape: int) -> NDArray[np.float32]:
        return random.normal(size=shape).astype(np.float32)

    sizes = {
        "past_values": (context,),
        "past_time_features": (context, config.num_known + config.num_past),
        "future_time_features": (steps, config.num_known),
        "static_real_features": (config.num_static_real,),
    }
    found: dict[str, NDArray[Any]] = {
        name: numbers(rows, *shape) for name, shape in sizes.items() if all(shape)
    }
    found["past_observed_mask"] = (numbers(rows, context) > 0).astype(np.float32)
    if config.num_series:
        found["static_categorical_features"] = random.integers(0, config.num_series, (rows, 1))
    return found


def by_torch(found: SeriesNetwork, given: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return found(**{name: torch.from_numpy(value) for name, value in given.items()}).numpy()


def assert_same(found: SeriesNetwork, folder: Path) -> None:
    config, session = found.config, open_graph(found, folder)
    for rows in (1, 7):
        given = feeds(config, rows)
        told = session.run(given)["parameters"]
        assert told.shape == (rows, config.prediction_length, config.outputs)
        np.testing.assert_allclose(told, by_torch(found, given), rtol=0, atol=1e-4)


@pytest.mark.parametrize("present", PRESENT, ids="-".join)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_computes_what_the_network_computes(
    kind: str, head: str, present: dict[str, int], tmp_path: Path
) -> None:
    assert_same(network(kind=kind, head=head, **present), tmp_path / "m")


@pytest.mark.parametrize("shape", SHAPES)
def test_graphs_of_other_shapes(shape: str, tmp_path: Path) -> None:
    assert_same(network(**(OPTIONAL | SHAPES[shape])), tmp_path / "m")


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_asks_for_what_it_reads_alone(kind: str, tmp_path: Path) -> None:
    few = open_graph(network(kind=kind), tmp_path / "few")
    many = open_graph(network(kind=kind, **OPTIONAL), tmp_path / "many")
    if kind == "dlinear":
        assert set(few.inputs) == set(many.inputs) == {"past_values"}
        return
    assert set(few.inputs) == {"past_values", "past_observed_mask"}
    assert set(many.inputs) == set(feeds(network(kind=kind, **OPTIONAL).config, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_change_nothing(kind: str, tmp_path: Path) -> None:
    found = network(kind=kind, **OPTIONAL)
    session, together = open_graph(found, tmp_path / "m"), feeds(found.config, 9)
    many = session.run(together)["parameters"]
    for i in range(9):
        alone = {name: value[i : i + 1] for name, value in together.items()}
        np.testing.assert_allclose(session.run(alone)["parameters"][0], many[i], atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind: str, head: str) -> None:
    found = network(kind=kind, head=head, **OPTIONAL).train()
    given = {name: torch.from_numpy(value) for name, value in feeds(found.config, 8).items()}
    found(**given).square().sum().backward()
    for name, parameter in found.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", KINDS)
def test_training_begins_with_the_seasons_that_were(kind: str, head: str) -> None:
    torch.manual_seed(1)
    outputs = 3 if head == "student_t" else 9
    sizes: dict[str, Any] = {"context_length": 24, "prediction_length": 15, "outputs": outputs}
    found = series.build(SeriesConfig(kind=kind, head=head, season=7, **sizes)).eval()
    shape = np.array([0.0, 1, 2, 0, -1, 3, 1], np.float32)
    past = np.tile(shape, 4)[-24:] + np.repeat([0.0, 5.0], [17, 7]).astype(np.float32)
    middle = by_torch(found, {"past_values": past[None]})[0, :, outputs // 2]
    expected = np.tile(shape, 3)[:15] + 5  # at the level of the last season
    assert np.abs(middle - expected).max() < 0.6


@pytest.mark.parametrize("season", [0, 1, 25])
def test_without_a_season_training_begins_at_the_last_value(season: int) -> None:
    sizes: dict[str, Any] = {"context_length": 24, "prediction_length": 15, "outputs": 9}
    weights = series.repeated(SeriesConfig(kind="gru", season=season, **sizes))
    assert torch.equal(weights @ torch.arange(24.0), torch.full((15,), 23.0))


def test_blocks_see_the_whole_context_and_no_fewer_do() -> None:
    assert [series_defaults.blocks(context, 3) for context in (1, 5)] == [1, 1]
    for context in (6, 13, 14, 29, 30):
        count = series_defaults.blocks(context, 3)
        for blocks in (count, count - 1):
            shape: dict[str, Any] = {"context_length": context, "num_layers": blocks}
            found = network(kind="tcn", skip=False, **shape).double()
            for one in found.parameters():  # all that is seen comes through
                torch.nn.init.uniform_(one, 0.01, 0.1)
            past = torch.zeros(1, context, dtype=torch.float64, requires_grad=True)
            found(past_values=past).sum().backward()
            assert past.grad is not None
            assert bool(past.grad[0, 0] != 0) == (blocks == count), (context, blocks)


def test_quantiles_begin_in_their_order_and_a_students_t_in_its_range() -> None:
    sizes: dict[str, Any] = {"context_length": 12, "prediction_length": 4}
    for kind in KINDS:
        quantiles = series.build(SeriesConfig(kind=kind, outputs=9, **sizes)).eval()
        past = feeds(quantiles.config, 5)
        assert (np.diff(by_torch(quantiles, {"past_values": past["past_values"]})) > 0).all()
        found = network(kind=kind, head="student_t")
        freedom, _, scale = np.moveaxis(by_torch(found, feeds(found.config, 50)), -1, 0)
        assert freedom.min() >= 2
        assert scale.min() > 0


def test_the_same_seed_makes_the_same_network() -> None:
    made = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        config = SeriesConfig(kind="lstm", context_length=9, prediction_length=2, outputs=9)
        made.append(torch.cat([one.flatten() for one in series.build(config).parameters()]))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_a_causal_filter_does_not_look_ahead() -> None:
    found = network(kind="tcn", context_length=30)
    x = torch.randn(1, 12, 30)
    later = x.clone()
    later[..., 20:] += 1
    assert isinstance(found.body, series.Convolutions)
    for block in found.body.blocks:
        assert torch.equal(block(x)[..., :20], block(later)[..., :20])
        assert not torch.equal(block(x)[..., 20:], block(later)[..., 20:])


@pytest.mark.parametrize("context", [1, 2, 16, 29, 30])
def test_a_step_left_out_is_one_that_dilated_filters_do_not_take(context: int) -> None:
    found = network(kind="tcn", context_length=context, num_layers=4, kernel_size=3)
    assert isinstance(found.body, series.Convolutions)
    x = torch.randn(2, context, 12)
    dilated = x.transpose(1, 2)
    for i, block in enumerate(found.body.blocks):
        inner = dilated
        for conv in (block.conv1, block.conv2):
            padded = torch.nn.functional.pad(inner, (2 << i, 0))
            inner = torch.conv1d(padded, conv.weight, conv.bias, dilation=1 << i).relu()
        dilated = (dilated + inner).relu()
    torch.testing.assert_close(found.body(x), dilated[..., -1], rtol=1e-4, atol=1e-4)


def test_an_unknown_series_learns_too() -> None:
    found = network(kind="gru", num_series=3).train()
    given = feeds(found.config, 200)
    given["static_categorical_features"][:] = 2
    found(**{name: torch.from_numpy(value) for name, value in given.items()}).sum().backward()
    assert found.series is not None
    assert found.series.weight.grad is not None
    zero, one, two = found.series.weight.grad.abs().sum(1)
    assert zero > 0
    assert one == 0
    assert two > zero


def test_torch_keeps_gates_in_another_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, _, attributes = silmu_series._RECURRENT["lstm"]
    monkeypatch.setitem(silmu_series._RECURRENT, "lstm", (operator, [0, 1, 2, 3], attributes))
    found = network(kind="lstm")
    given = feeds(found.config, 2)
    told = open_graph(found, tmp_path / "m").run(given)["parameters"]
    assert np.abs(told - by_torch(found, given)).max() > 1e-3


def test_the_registry_knows_it() -> None:
    assert series.MODEL_TYPE in registry.model_types()
    assert silmu_series._KINDS == KINDS
    assert silmu_series._HEADS == HEADS
    assert silmu_series._SMALLEST_SCALE == series.SMALLEST_SCALE


def test_config_comes_back() -> None:
    sizes: dict[str, Any] = {"context_length": 9, "prediction_length": 2, "outputs": 9}
    config = SeriesConfig(kind="tcn", num_known=2, dropout=0.1, skip=False, season=7, **sizes)
    assert SeriesConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "mamba"},
        {"head": "normal"},
        {"hidden_size": 0},
        {"context_length": 0},
        {"num_known": -1},
        {"dropout": 1.0},
        {"head": "student_t", "outputs": 9},
    ],
)
def test_a_network_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    sizes = {"kind": "gru", "context_length": 9, "prediction_length": 2, "outputs": 9}
    with pytest.raises(UsageError):
        SeriesConfig(**(sizes | wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        {"context_length": 18},
        {"prediction_length": 0},
        {"outputs": None},
        {"num_known": 2},
        {"num_series": 7},
        {"skip": 1},
        {"hidden_size": "12"},
        {"num_layers": 2},
    ],
)
def test_a_config_that_does_not_fit_is_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    folder = save_folder(network(kind="gru", **OPTIONAL), tmp_path / "m", **wrong)
    with pytest.raises(InvalidModelError):
        graphs.open_session(folder, HEAD)


def test_layers_left_over_are_refused(tmp_path: Path) -> None:
    folder = save_folder(network(kind="gru", num_layers=3), tmp_path / "m", num_layers=2)
    with pytest.raises(InvalidModelError, match="2 layers"):
        graphs.open_session(folder, HEAD)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", KINDS)
def test_medians_are_drawn_to_the_line_and_quantiles_follow(kind: str, head: str) -> None:
    found = network(kind=kind, head=head, **OPTIONAL)
    config = found.config
    line = torch.randn(config.prediction_length, config.context_length)
    shift = torch.randn(config.prediction_length)
    found.begin(line, shift)
    with torch.no_grad():
        for one in found.parameters():
            one += 0.1 * torch.randn_like(one)
    given = feeds(config, 5)
    before, drawn = by_torch(found, given), copy.deepcopy(found)
    drawn.draw(0.25)
    middle = config.outputs // 2
    began = given["past_values"] @ line.numpy().T + shift.numpy()
    away = 0.75 * (before[..., middle] - began)
    told = np.array([0, 1, 0]) if head == "student_t" else np.ones(config.outputs)
    np.testing.assert_allclose(by_torch(drawn, given), before - away[..., None] * told, atol=2e-4)
    found.draw(1.0)
    np.testing.assert_allclose(by_torch(found, given), before, atol=1e-5)
