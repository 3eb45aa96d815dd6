"""Networks that act, and the graphs of them: the same numbers, whatever is observed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from silmu import graphs, store
from silmu.errors import InvalidModelError, UsageError
from silmu.graphs import silmu_policy
from silmu.networks import policies
from silmu.networks.policies import ACTIONS, Policy, PolicyConfig
from silmu.runtime.folder import Folder
from silmu.runtime.session import Session
from silmu.steps.train.export import write_network

HEAD = "reinforcement-learning"
SIZES = {"discrete": (4,), "multi_discrete": (3, 2, 5), "multi_binary": (6,), "box": (3,)}
NUMBERS = {"observation_size": 5, "image": None}
PICTURE: dict[str, Any] = {"observation_size": 0, "image": (2, 40, 53)}
BOUNDS = {"low": (-1.0, 0.0, -50.0), "high": (1.0, 0.5, 100.0)}
CRITICS: dict[str, Any] = {"critics": 2, **BOUNDS}
OTHERS: dict[str, dict[str, Any]] = {
    "deep": {"num_layers": 3},
    "relu": {"activation": "relu"},
    "as-it-is": {"normalise": False},
    "one-number": {"observation_size": 1, "action_sizes": (1,), "hidden_size": 1},
    "dqn": {"algorithm": "dqn"},
    "dqn-of-pictures": {"algorithm": "dqn", "kind": "cnn", **PICTURE},
    "sac": {"algorithm": "sac", "actions": "box", "action_sizes": (3,), **BOUNDS},
    "sac-relu": {"algorithm": "sac", "actions": "box", "action_sizes": (3,), "activation": "relu"}
    | BOUNDS,
    "sac-with-critics": {"algorithm": "sac", "actions": "box", "action_sizes": (3,), **CRITICS},
    "sac-of-onednn": {"algorithm": "sac", "actions": "box", "action_sizes": (3,), **CRITICS}
    | {"activation": "relu", "hidden_size": 256},
    "sac-of-one-layer": {"algorithm": "sac", "actions": "box", "action_sizes": (3,), **CRITICS}
    | {"num_layers": 1, "critics": 3},
    "within-bounds": {"actions": "box", "action_sizes": (3,), **BOUNDS},
    "smallest-picture": {"kind": "cnn", **PICTURE, "image": (1, 36, 36)},
    "picture-made-smaller": {"kind": "cnn", **PICTURE, "image": (3, 171, 127)},
    "remembered-pictures": {"kind": "gru", **PICTURE},
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def network(**settings: Any) -> Policy:
    torch.manual_seed(1)
    shape: dict[str, Any] = {
        "kind": "mlp",
        "algorithm": "ppo",
        "actions": "discrete",
        "action_sizes": SIZES["discrete"],
        "hidden_size": 12,
        **NUMBERS,
    }
    found = policies.build(PolicyConfig(**(shape | settings)))
    for name, parameter in found.named_parameters():
        if parameter.dim() < 3:  # a head near zero would show little of what is before it
            torch.nn.init.normal_(parameter, std=0.05 if "line" in name else 0.5)
    for name, buffer in found.named_buffers():
        if name not in ("scale", "shift"):
            buffer.uniform_(0.5, 2.0)
    return found.eval()


def save_folder(found: Policy, folder: Path, **config: Any) -> Folder:
    with store.new_folder(folder, meta={}) as writer:
        write_network(writer, found, config)
    return Folder(folder, folder.name)


def open_graph(found: Policy, folder: Path) -> Session:
    session = graphs.open_session(save_folder(found, folder), HEAD)
    assert isinstance(session, Session)
    return session


def feeds(config: PolicyConfig, rows: int) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(rows)
    found: dict[str, NDArray[Any]] = {}
    if config.image is not None:
        pixels = random.integers(0, 256, (rows, *config.image))
        found["observation"] = pixels.astype(np.float32)
    else:
        # Some of it beyond what is read.
        numbers = random.normal(size=(rows, config.observation_size)) * 8
        found["observation"] = numbers.astype(np.float32)
    if config.kind == "gru":
        found["state"] = random.normal(size=(rows, config.hidden_size)).astype(np.float32)
    return found


def by_torch(found: Policy, given: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    with torch.inference_mode():
        return [one.numpy() for one in found(*(torch.from_numpy(v) for v in given.values()))]


def assert_same(found: Policy, folder: Path) -> Session:
    config, session = found.config, open_graph(found, folder)
    named = ["action"] + ["value"] * (config.algorithm != "sac" or config.critics > 0)
    named += ["next_state"] * (config.kind == "gru")
    assert set(session.outputs) == set(named)
    for rows in (1, 7):
        given = feeds(config, rows)
        told = session.run(given)
        assert told["action"].shape == (rows, config.num_outputs)
        for name, expected in zip(named, by_torch(found, given), strict=True):
            assert told[name].shape == expected.shape
            np.testing.assert_allclose(told[name], expected, rtol=1e-5, atol=1e-5)
    return session


@pytest.mark.parametrize("actions", ACTIONS)
@pytest.mark.parametrize(
    ("kind", "observed"), [("mlp", NUMBERS), ("cnn", PICTURE), ("gru", NUMBERS)]
)
def test_the_graph_computes_what_the_network_computes(
    kind: str, observed: dict[str, Any], actions: str, tmp_path: Path
) -> None:
    shape = {"kind": kind, "actions": actions, "action_sizes": SIZES[actions], **observed}
    assert_same(network(**shape), tmp_path / "m")


@pytest.mark.parametrize("other", OTHERS)
def test_graphs_of_other_shapes(other: str, tmp_path: Path) -> None:
    assert_same(network(**OTHERS[other]), tmp_path / "m")


def test_a_box_is_drawn_by_the_noise_that_is_given(tmp_path: Path) -> None:
    found = network(actions="box", action_sizes=(3,), **BOUNDS)
    session, given = open_graph(found, tmp_path / "m"), feeds(found.config, 4)
    noise = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    mean = session.run(given)["action"]
    drawn = session.run({**given, "noise": noise})["action"]
    spread = found.log_std.detach().exp().numpy() * found.scale.numpy()
    np.testing.assert_allclose(drawn - mean, noise * spread, rtol=1e-4, atol=1e-4)


def test_sac_draws_before_it_bends_actions_into_their_bounds(tmp_path: Path) -> None:
    found = network(algorithm="sac", actions="box", action_sizes=(3,), **BOUNDS)
    session, given = open_graph(found, tmp_path / "m"), feeds(found.config, 6)
    noise = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    with torch.inference_mode():
        told, _, _ = found.told(torch.from_numpy(given["observation"]))
    mean, log_std = (one.numpy() for one in told.chunk(2, 1))
    bent = np.tanh(mean + np.exp(np.clip(log_std, *policies.LOG_DEVIATIONS)) * noise)
    expected = bent * found.scale.numpy() + found.shift.numpy()
    drawn = session.run({**given, "noise": noise})["action"]
    np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=1e-4)
    assert (drawn >= np.array(BOUNDS["low"]) - 1e-4).all()
    assert (drawn <= np.array(BOUNDS["high"]) + 1e-4).all()


def test_a_memory_goes_from_step_to_step_as_through_a_whole_sequence(tmp_path: Path) -> None:
    found = network(kind="gru")
    session = open_graph(found, tmp_path / "m")
    steps = [feeds(found.config, rows=3) for _ in range(4)]
    state = np.zeros((3, 12), np.float32)
    with torch.inference_mode():
        seen = [found.body(found.normalised(torch.from_numpy(s["observation"]))) for s in steps]
        whole = found.remember(torch.stack(seen), torch.zeros(3, 12)).numpy()
    for i, step in enumerate(steps):
        state = session.run({**step, "state": state})["next_state"]
        np.testing.assert_allclose(state, whole[i], atol=1e-5)


def test_at_first_all_actions_are_about_as_likely_and_layers_keep_their_scale() -> None:
    config = network().config
    logits, value = policies.build(config)(torch.randn(256, 5))
    assert float(logits.abs().max().detach()) < 0.1
    assert float(value.abs().max().detach()) > 0.1


def test_the_shape_is_read_back_from_its_file() -> None:
    for settings in ({}, OTHERS["sac"], OTHERS["remembered-pictures"]):
        config = network(**settings).config
        assert PolicyConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "lstm"},
        {"kind": "cnn"},
        PICTURE,
        {"kind": "cnn", **PICTURE, "image": (3, 35, 80)},
        {"observation_size": 0},
        {"algorithm": "a2c"},
        {"actions": "text"},
        {"action_sizes": (2, 2)},
        {"action_sizes": (0,)},
        {"hidden_size": 0},
        {"algorithm": "sac", "actions": "box", "action_sizes": (3,)},
        {"algorithm": "dqn", "actions": "multi_binary"},
        {"actions": "box", "action_sizes": (2,), **BOUNDS},
        {"critics": 2},
        {**OTHERS["sac"], "critics": -1},
    ],
)
def test_a_network_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        network(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"observation_size": 6},
        {"action_sizes": [5]},
        {"action_sizes": []},
        {"hidden_size": "12"},
        {"num_layers": 1},
        {"normalise": "yes"},
        {"image": [3, 20, 20]},
    ],
)
def test_a_config_that_does_not_fit_is_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    folder = save_folder(network(), tmp_path / "m", **wrong)
    with pytest.raises(InvalidModelError):
        graphs.open_session(folder, HEAD)


@pytest.mark.parametrize("critics", [3, 17, True, "two"])
def test_critics_that_are_not_there_are_refused(critics: Any, tmp_path: Path) -> None:
    folder = save_folder(network(**OTHERS["sac-with-critics"]), tmp_path / "m", critics=critics)
    with pytest.raises(InvalidModelError):
        graphs.open_session(folder, HEAD)


def test_critics_judge_the_action_that_chance_made(tmp_path: Path) -> None:
    found = network(**OTHERS["sac-with-critics"])
    session, given = open_graph(found, tmp_path / "m"), feeds(found.config, 4)
    noise = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    told = session.run({**given, "noise": noise})
    assert found.critics is not None
    with torch.inference_mode():
        seen = found.normalised(torch.from_numpy(given["observation"]))
        done = (torch.from_numpy(told["action"]) - found.shift) / found.scale
        judged = found.critics(seen, done).amin(0)
    np.testing.assert_allclose(told["value"], judged.numpy(), rtol=1e-4, atol=1e-4)
    assert not np.allclose(told["value"], session.run(given)["value"], atol=1e-3)


def test_network_and_graph_speak_of_the_same() -> None:
    assert (policies.MODEL_TYPE,) == silmu_policy.MODEL_TYPES
