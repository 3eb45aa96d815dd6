"""Policies: what they read, the actions that they give, what they remember, and their folders."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

import policy_models as models
import silmu
from policy_models import CART, GREY, TWO, box
from silmu.errors import (
    InputError,
    InvalidModelError,
    UnsupportedModelError,
    UsageError,
    WrongTypeError,
)
from silmu.runtime.memory import Frames
from silmu.runtime.policy import PolicyProcessor
from silmu.runtime.spaces import Space

THREE = Space("discrete", n=3, start=-1)
SEVERAL = Space("multi_discrete", nvec=(2, 4), starts=(0, 5), shape=(2,))
YES = Space("multi_binary", shape=(3,), dtype="int8")
ARM = box((-2.0, 2.0), (0.0, 5.0))
SEEN = np.array([0.3, -1.2, 0.1, 2.0], np.float32)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policies")


_number = itertools.count()


def opened(root: Path, processor: PolicyProcessor, **config: Any) -> Any:
    folder = root / f"policy-{next(_number)}"
    return silmu.pipeline("reinforcement-learning", models.write(folder, processor, **config))


def tensors_of(pipe: Any) -> dict[str, NDArray[np.float32]]:
    return load_file(Path(pipe.model.name_or_path) / "model.safetensors")


def computed(pipe: Any, rows: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """What the heads of a perceptron of ppo tell, by the book."""
    w = tensors_of(pipe)
    x = np.clip((np.atleast_2d(rows) - w["mean"]) / w["deviation"], -10, 10)

    def through(body: str, head: str) -> NDArray[Any]:
        found = x
        for i in range(2):
            found = np.tanh(found @ w[f"{body}.{2 * i}.weight"].T + w[f"{body}.{2 * i}.bias"])
        return found @ w[f"{head}.weight"].T + w[f"{head}.bias"]

    return through("body", "head"), through("value_body", "value_head")[:, 0] * w["value_scale"]


# ── actions ────────────────────────────────────────────────────────────────────────────────────


def test_one_of_several_actions(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(CART, THREE))
    rows = np.random.default_rng(1).normal(0, 1, (50, 4)).astype(np.float32)
    logits, value = computed(pipe, rows)
    found = pipe(rows, value=True, probabilities=True)
    assert [one["action"] for one in found] == (logits.argmax(1) - 1).tolist()
    assert len({one["action"] for one in found}) > 1
    assert np.allclose([one["value"] for one in found], value, atol=1e-5)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.allclose([one["probabilities"] for one in found], shares, atol=1e-5)
    assert list(pipe(rows[0])) == ["action"]
    assert type(pipe(rows[0])["action"]) is int


def test_several_choices_at_once(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(CART, SEVERAL))
    logits, _ = computed(pipe, SEEN)
    found = pipe(SEEN, probabilities=True)
    wanted = [logits[0, :2].argmax(), logits[0, 2:].argmax() + 5]
    assert found["action"].tolist() == wanted
    assert found["action"].dtype == np.int64
    assert [len(one) for one in found["probabilities"]] == [2, 4]
    assert np.allclose([sum(one) for one in found["probabilities"]], 1)


def test_yes_or_no(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(CART, YES))
    logits, _ = computed(pipe, SEEN)
    found = pipe(SEEN, probabilities=True)
    assert found["action"].tolist() == (logits[0] > 0).astype(int).tolist()
    assert found["action"].dtype == np.int8
    assert np.allclose(found["probabilities"], 1 / (1 + np.exp(-logits[0])), atol=1e-5)


def test_numbers_are_within_their_bounds(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(CART, ARM), tensors={"scale": 3.0, "shift": 1.0})
    rows = np.random.default_rng(2).normal(0, 3, (200, 4))
    mean, _ = computed(pipe, rows)
    found = np.stack([one["action"] for one in pipe(rows)])
    assert found.dtype == np.float32
    assert np.allclose(found, np.clip(mean * 3 + 1, [-2, 0], [2, 5]), atol=1e-4)
    assert (found == 2).any()
    with pytest.raises(UsageError, match="a number of a range has no probability"):
        pipe(SEEN, probabilities=True)


def test_actions_by_chance_are_drawn_by_their_probability(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(CART, THREE), tensors={"head.weight": 0.0})
    shares = pipe(SEEN, probabilities=True)["probabilities"]
    silmu.set_seed(5)
    many = [one["action"] for one in pipe([SEEN] * 4000, deterministic=False)]
    counted = np.bincount(np.array(many) + 1, minlength=3) / len(many)
    assert np.abs(counted - shares).max() < 0.03
    silmu.set_seed(5)
    assert [one["action"] for one in pipe([SEEN] * 4000, deterministic=False)] == many
    assert len({pipe(SEEN)["action"] for _ in range(20)}) == 1


def test_numbers_by_chance_are_normal_about_the_mean(root: Path) -> None:
    wide = box((-100.0, 100.0), (-100.0, 100.0))
    pipe = opened(root, PolicyProcessor(CART, wide), tensors={"scale": 2.0, "shift": 0.0})
    silmu.set_seed(0)
    drawn = np.stack([one["action"] for one in pipe([SEEN] * 4000, deterministic=False)])
    assert np.allclose(drawn.mean(0), pipe(SEEN)["action"], atol=0.06)
    assert np.allclose(drawn.std(0), 2 * np.exp(-1), rtol=0.05)


def test_yes_or_no_and_several_choices_by_chance(root: Path) -> None:
    for space in (YES, SEVERAL):
        pipe = opened(root, PolicyProcessor(CART, space))
        told = pipe(SEEN, probabilities=True)["probabilities"]
        silmu.set_seed(1)
        drawn = np.stack([one["action"] for one in pipe([SEEN] * 3000, deterministic=False)])
        shares = told if space is YES else [one[1] for one in told[:1]]
        assert np.abs(drawn.mean(0)[: len(shares)] - shares).max() < 0.03
        assert drawn.shape[1:] == space.shape


def test_other_algorithms(root: Path) -> None:
    values = opened(root, PolicyProcessor(CART, THREE, algorithm="dqn"))
    found = values(SEEN, value=True)
    assert found["value"] == pytest.approx(values.model(observation=SEEN[None])["action"].max())
    with pytest.raises(UsageError, match="dqn tells what actions are worth, and no probabilities"):
        values(SEEN, probabilities=True)
    with pytest.raises(UsageError, match="a policy of dqn tells what actions are worth, not how"):
        values(SEEN, deterministic=False)
    folder = {"tensors": {"scale": [2.0, 2.5], "shift": [0.0, 2.5]}}
    squashed = opened(root, PolicyProcessor(CART, ARM, algorithm="sac"), **folder)
    drawn = np.stack([one["action"] for one in squashed([SEEN] * 500, deterministic=False)])
    assert (drawn >= [-2, 0]).all()
    assert (drawn <= [2, 5]).all()
    assert drawn.std(0).min() > 0
    with pytest.raises(UsageError, match="a policy of sac does not tell what it expects"):
        squashed(SEEN, value=True)
    folder["tensors"] |= {"critics.critics.1.4.bias": -100.0}
    judged = opened(root, PolicyProcessor(CART, ARM, algorithm="sac"), critics=2, **folder)
    assert np.array_equal(judged(SEEN)["action"], squashed(SEEN)["action"])
    assert list(judged(SEEN)) == ["action"]
    assert -130 < judged(SEEN, value=True)["value"] < -70, "the critic that tells least is believed"


# ── observations ───────────────────────────────────────────────────────────────────────────────


def test_forms_of_observations(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(CART, ARM))
    one = pipe(SEEN)["action"]
    for given in (SEEN.astype(np.float64), SEEN.tolist(), tuple(SEEN.tolist()), list(SEEN)):
        assert np.array_equal(pipe(given)["action"], one)
    for several in (np.stack([SEEN] * 3), [SEEN] * 3, [SEEN.tolist()] * 3):
        found = pipe(several)
        assert [list(answer) for answer in found] == [["action"]] * 3
        assert np.allclose([answer["action"] for answer in found], one, atol=1e-6)
    assert pipe([]) == []
    many = pipe([SEEN] * 600)
    assert np.allclose([answer["action"] for answer in many], one, atol=1e-6)
    streamed = pipe(SEEN for _ in range(3))
    assert np.array_equal([answer["action"] for answer in streamed], [one] * 3)
    parts = pipe.postprocess(pipe.forward(pipe.preprocess(SEEN)))
    assert np.array_equal(parts["action"], one)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([0.1, 0.2], r"has shape \(2,\); it must be \(4,\)"),
        (0.5, r"has shape \(\)"),
        (np.zeros((2, 3)), r"has shape \(3,\)"),
        (np.zeros((2, 2, 4)), "shape"),
        ([0, 0, float("nan"), 0], "number 2 of the observation is nan"),
        ([0, 0, 1e300, 0], "must be finite"),
        (["a", "b", "c", "d"], "must be numbers"),
        ("text", "must be numbers"),
        (None, "must be numbers"),
        ({"observation": 1}, "must be numbers"),
        ([[0, 0, 0, 0], [0, 0, 0]], "not all of one shape"),
    ],
)
def test_what_is_no_observation(root: Path, given: Any, told: str) -> None:
    folder = root / "refusing"
    path = str(folder) if folder.exists() else models.write(folder, PolicyProcessor(CART, TWO))
    pipe = silmu.pipeline(model=path)
    with pytest.raises(InputError, match=told):
        pipe(given)
    assert pipe(SEEN)["action"] in (0, 1)


def test_one_of_n_is_observed(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(Space("discrete", n=5, start=1), TWO))
    found = pipe([1, 2, 3, 4, 5], value=True)
    wanted = computed(pipe, np.eye(5))[1]
    assert np.allclose([one["value"] for one in found], wanted, atol=1e-5)
    assert pipe(3, value=True) == pipe(np.int64(3), value=True)
    with pytest.raises(InputError, match="an observation is 0; that is none of one of 5 from 1"):
        pipe(0)


def test_pictures(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(GREY, TWO, frames=2), kind="cnn")
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (3, 36, 40), dtype=np.uint8)
    values = [pipe(frame, value=True)["value"] for frame in frames]
    assert len(set(values)) == 3
    for i, value in enumerate(values):
        pair = np.stack([frames[max(i - 1, 0)], frames[i]])[None].astype(np.float32)
        assert pipe.model(observation=pair)["value"][0] == pytest.approx(value, abs=1e-5)
    with pytest.raises(InputError, match="it must be uint8"):
        pipe(frames[0] / 255)


# ── memory ─────────────────────────────────────────────────────────────────────────────────────


def walked(pipe: Any, rows: NDArray[Any]) -> list[float]:
    pipe.reset()
    return [pipe(row, value=True)["value"] for row in rows]


@pytest.mark.parametrize(("kind", "frames"), [("gru", 1), ("mlp", 3), ("gru", 2)])
def test_episodes_with_a_memory(root: Path, kind: str, frames: int) -> None:
    pipe = opened(root, PolicyProcessor(CART, TWO, frames=frames), kind=kind)
    assert pipe.has_memory
    a, b = np.random.default_rng(3).normal(0, 1, (2, 6, 4)).astype(np.float32)
    alone = walked(pipe, a)
    assert walked(pipe, a) == alone
    twisted = walked(pipe, a[::-1])
    assert twisted[:-1] != alone[::-1][:-1]
    # Two side by side are each as if alone; one that begins anew forgets, the other does not.
    pipe.reset()
    both = [[one["value"] for one in pipe([a[i], b[i]], value=True)] for i in range(3)]
    pipe.reset([1])
    both += [[one["value"] for one in pipe([a[i], b[i - 3]], value=True)] for i in (3, 4, 5)]
    other = walked(pipe, b[:3])
    found = np.array(both)
    assert np.allclose(found[:, 0], alone, atol=1e-5)
    assert np.allclose(found[:, 1], [*other, *other], atol=1e-5)


def test_a_memory_is_of_as_many_as_it_was_shown(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(CART, TWO), kind="gru")
    pipe([SEEN, SEEN])
    with pytest.raises(UsageError, match="3 observations follow 2, and the policy remembers"):
        pipe([SEEN] * 3)
    with pytest.raises(UsageError, match=r"rows \[2\] of 2"):
        pipe.reset([2])
    pipe.reset()
    assert len(pipe([SEEN] * 600)) == 600, "more than are computed at once"
    assert len(pipe([SEEN] * 600)) == 600


def test_what_is_refused_is_not_remembered(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(CART, TWO, frames=2), kind="gru")
    undisturbed = walked(pipe, np.stack([SEEN, 2 * SEEN]))
    pipe.reset()
    first = pipe(SEEN, value=True)["value"]
    with pytest.raises(InputError):
        pipe([1, 2, float("inf"), 4])
    assert [first, pipe(2 * SEEN, value=True)["value"]] == undisturbed


def test_a_policy_without_a_memory_needs_no_reset(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(CART, TWO))
    assert not pipe.has_memory
    once = pipe(SEEN, value=True)
    pipe([SEEN] * 3)
    pipe.reset([7])
    assert pipe(SEEN, value=True) == once


def test_frames_of_episodes() -> None:
    frames = Frames(3)
    seen = [frames.stacked(np.array([[i], [10 * i]])).tolist() for i in (1, 2)]
    assert seen == [[[1, 1, 1], [10, 10, 10]], [[1, 1, 2], [10, 10, 20]]]
    frames.begin([0])
    assert frames.stacked(np.array([[5], [30]])).tolist() == [[5, 5, 5], [10, 20, 30]]
    frames.begin()
    assert frames.stacked(np.array([[4]])).tolist() == [[4, 4, 4]]


# ── parameters and folders ─────────────────────────────────────────────────────────────────────


def test_parameters(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(CART, TWO))
    with pytest.raises(WrongTypeError, match=r"unexpected keyword top_k; .* takes deterministic"):
        pipe(SEEN, top_k=3)
    with pytest.raises(UsageError, match="value is 1; it must be True or False"):
        pipe(SEEN, value=1)
    with pytest.raises(WrongTypeError, match="nothing was given"):
        pipe()
    always = silmu.pipeline(model=pipe.model.name_or_path, value=True)
    assert list(always(SEEN)) == ["action", "value"]
    assert list(always(SEEN, value=False)) == ["action"]
    assert always.task == "reinforcement-learning"


def test_the_same_observation_has_the_same_answer_from_the_first_call_on(root: Path) -> None:
    pipe = opened(root, PolicyProcessor(CART, ARM), hidden_size=64)
    answers = [pipe(SEEN, value=True) for _ in range(4)]
    assert len({one["value"] for one in answers}) == 1
    assert len({one["action"].tobytes() for one in answers}) == 1


def test_the_processor_is_what_was_written(root: Path) -> None:
    for action in (TWO, THREE, SEVERAL, YES, ARM):
        own = PolicyProcessor(CART, action, frames=2, algorithm="ppo")
        pipe = opened(root, own)
        assert pipe.processor == own
        assert pipe.processor.to_bytes() == own.to_bytes()


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"format": 2}, UnsupportedModelError, "has format 2"),
        ({"policy": None}, InvalidModelError, "is not of a policy"),
        ({"frames": 0}, InvalidModelError, "0 frames"),
        ({"frames": 1.0}, InvalidModelError, "1.0 frames"),
        ({"algorithm": "a2c"}, InvalidModelError, "a2c"),
        ({"action": {"kind": "discrete"}}, InvalidModelError, "is not what silmu writes"),
        ({"observation": "box"}, InvalidModelError, "is no space that silmu writes"),
        ({"action": {"kind": "discrete", "n": 3, "start": 0}}, InvalidModelError, "3 numbers"),
        ({"frames": 2}, InvalidModelError, r"tells of observations \(8,\)"),
        (None, InvalidModelError, "has no processor.json"),
    ],
)
def test_broken_folders(
    tmp_path: Path, change: dict[str, Any] | None, error: type[Exception], told: str
) -> None:
    path = models.write(tmp_path / "policy", PolicyProcessor(CART, TWO))
    file = tmp_path / "policy" / "processor.json"
    if change is None:
        file.unlink()
    else:
        file.write_text(json.dumps({**json.loads(file.read_bytes()), **change}))
    with pytest.raises(error, match=told):
        silmu.pipeline(model=path)


def test_weights_that_are_too_large(root: Path) -> None:
    large = {"tensors": {"head.weight": 3e38, "head.bias": 3e38}}
    with pytest.raises(InvalidModelError, match="hold NaN or infinity"):
        opened(root, PolicyProcessor(CART, TWO), **large)(SEEN)
