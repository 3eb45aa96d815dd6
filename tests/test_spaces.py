"""Spaces: what environments show and take, without gymnasium."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from silmu.errors import InputError, InvalidModelError, UsageError
from silmu.runtime.space_forms import from_plain, of_gymnasium, to_plain


class Discrete:
    def __init__(self, n: Any, start: int = 0) -> None:
        self.n, self.start, self.shape = np.int64(n), np.int64(start), ()


class Box:
    def __init__(self, low: Any, high: Any, shape: Any, dtype: Any = np.float32) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.low = np.full(shape, low, dtype) if np.ndim(low) == 0 else np.asarray(low, dtype)
        self.high = np.full(shape, high, dtype) if np.ndim(high) == 0 else np.asarray(high, dtype)


class MultiDiscrete:
    def __init__(self, nvec: Any, start: Any = 0) -> None:
        self.nvec = np.array(nvec)
        self.start = np.broadcast_to(start, self.nvec.shape)
        self.shape = self.nvec.shape


class MultiBinary:
    def __init__(self, *shape: int) -> None:
        self.shape = shape


class OwnBox(Box):
    """A class of one's own."""


class Dict:
    pass


INF = np.inf
SPACES = {
    "discrete": Discrete(4),
    "from -1": Discrete(3, start=-1),
    "box": Box([-1, -INF, 0], [1, INF, INF], (3,)),
    "wide box": Box(-INF, INF, (2, 3), np.float64),
    "whole box": Box(-2, 5, (2,), np.int64),
    "bytes": Box(0, 255, (128,), np.uint8),
    "picture": Box(0, 255, (84, 96, 3), np.uint8),
    "gray": Box(0, 255, (84, 84), np.uint8),
    "channels first": Box(0, 255, (4, 84, 84), np.uint8),
    "small picture": Box(0, 255, (20, 20, 3), np.uint8),
    "multi": MultiDiscrete([3, 2, 5], start=[0, 1, -2]),
    "table": MultiDiscrete([[2, 2], [3, 3]]),
    "binary": MultiBinary(2, 2),
    "own": OwnBox(0, 1, (1,)),
}


@pytest.mark.parametrize("name", SPACES)
def test_a_space_is_the_same_after_json(name: str) -> None:
    space = of_gymnasium(SPACES[name])
    text = json.dumps(to_plain(space), allow_nan=False)
    assert len(text) < 300  # bounds that are all the same are one number
    again = from_plain(json.loads(text))
    assert again == space
    assert hash(again) == hash(space)
    assert str(again) == str(space)
    assert {name for name, other in SPACES.items() if of_gymnasium(other) == space} == {name}


@pytest.mark.parametrize("name", SPACES)
def test_samples_lie_within_and_become_what_a_network_reads(name: str) -> None:
    space, random = of_gymnasium(SPACES[name]), np.random.default_rng(0)
    count = 200 if space.size < 1000 else 5
    samples = [space.sample(random) for _ in range(count)]
    for one in [*samples, space.idle()]:
        if space.kind == "discrete":
            assert type(one) is int
            assert space.start <= one < space.start + space.n
            continue
        assert one.shape == space.shape
        assert one.dtype == space.dtype
        if space.kind == "box" and space.low is not None and space.high is not None:
            assert (one.reshape(-1) >= space.low).all()
            assert (one.reshape(-1) <= space.high).all()
        elif space.kind == "multi_discrete":
            index = one.reshape(-1) - space.starts
            assert ((index >= 0) & (index < space.nvec)).all()
        else:
            assert set(one.reshape(-1).tolist()) <= {0, 1}
    array = space.array(samples)
    if space.image is None:
        assert array.shape == (count, space.size)
        assert array.dtype == np.float32
    else:
        assert array.shape == (count, *space.image)
        assert array.dtype == np.uint8
    spread = {np.asarray(one).reshape(-1)[0].item() for one in samples}
    assert len(spread) >= min(space.n or 2, 2)


def test_whole_numbers_reach_both_bounds() -> None:
    space, random = of_gymnasium(SPACES["whole box"]), np.random.default_rng(1)
    drawn = np.array([space.sample(random) for _ in range(500)])
    assert sorted(set(drawn.reshape(-1).tolist())) == [-2, -1, 0, 1, 2, 3, 4, 5]


def test_what_there_is_to_choose_from_becomes_a_one_each() -> None:
    space = of_gymnasium(SPACES["from -1"])
    assert space.array([-1, 1, 0]).tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert space.array(np.array([1.0])).tolist() == [[0, 0, 1]]
    multi = of_gymnasium(SPACES["multi"])
    assert multi.size == 10
    assert multi.array([[2, 1, -2]]).tolist() == [[0, 0, 1, 1, 0, 1, 0, 0, 0, 0]]


def test_pictures_have_their_channels_first() -> None:
    last, first = of_gymnasium(SPACES["picture"]), of_gymnasium(SPACES["channels first"])
    assert last.image == (3, 84, 96)
    assert first.image == (4, 84, 84)
    assert of_gymnasium(SPACES["gray"]).image == (1, 84, 84)
    assert not of_gymnasium(SPACES["small picture"]).is_image
    assert not of_gymnasium(SPACES["bytes"]).is_image
    picture = np.random.default_rng(0).integers(0, 256, (1, 84, 96, 3), np.uint8)
    assert np.array_equal(last.array(picture), picture.transpose(0, 3, 1, 2))
    assert np.array_equal(last.array(picture.astype(np.int64)), picture.transpose(0, 3, 1, 2))
    assert first.array(np.zeros((2, 4, 84, 84), np.uint8)).shape == (2, 4, 84, 84)


def test_actions_of_a_network_are_what_step_takes() -> None:
    assert of_gymnasium(SPACES["from -1"]).action(np.int64(2)) == 1
    assert of_gymnasium(SPACES["from -1"]).actions(np.array([0, 2])) == [-1, 1]
    box = of_gymnasium(SPACES["box"])
    action = box.action(np.array([-7.0, -7.0, -7.0]))
    assert action.tolist() == [-1, -7, 0]
    assert action.dtype == np.float32
    whole = of_gymnasium(SPACES["whole box"])
    assert whole.action([1.6, -9.0]).tolist() == [2, -2]
    assert whole.action([1.6, 9.0]).dtype == np.int64
    assert of_gymnasium(SPACES["multi"]).action([2, 0, 4]).tolist() == [2, 1, 2]
    table = of_gymnasium(SPACES["table"]).action([1, 0, 2, 1])
    assert table.tolist() == [[1, 0], [2, 1]]
    assert of_gymnasium(SPACES["binary"]).action([1, 0, 0, 1]).dtype == np.int8
    rows = box.actions(np.zeros((5, 3)))
    assert len(rows) == 5
    assert all(row.shape == (3,) for row in rows)


def test_idle_does_nothing_as_far_as_bounds_let_it() -> None:
    assert of_gymnasium(SPACES["from -1"]).idle() == -1
    assert of_gymnasium(Box([1, -3], [2, -1], (2,))).idle().tolist() == [1, -1]
    assert of_gymnasium(SPACES["multi"]).idle().tolist() == [0, 1, -2]


def test_bounds_are_known() -> None:
    bounded = {name for name, space in SPACES.items() if of_gymnasium(space).bounded}
    assert set(SPACES) - bounded == {"box", "wide box"}


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("box", [[1.0, 2.0]], r"shape \(2,\); it must be \(3,\)"),
        ("box", [1.0, 2.0, 3.0], r"shape \(\)"),
        ("box", 3.0, "a list of them"),
        ("box", [[1.0, np.nan, 3.0]], "number 1 of the observation is nan"),
        ("box", [[0.0] * 3, [1.0, 2.0, -np.inf]], "number 2 of row 1 of the observation is -inf"),
        ("box", np.array([[0.0, 1e39, 0.0]]), "finite in float32"),
        ("box", [["a", "b", "c"]], "must be numbers"),
        ("box", [[None, 1, 2]], "objects"),
        ("box", [[1.0, 2.0, 3.0], [1.0]], "not all of one shape"),
        ("box", np.zeros((1, 3), np.complex64), "complex64"),
        ("discrete", [4], "4; that is none of one of 4"),
        ("discrete", [-1], "-1"),
        ("discrete", [1.5], "whole number"),
        ("discrete", [np.nan], "whole number"),
        ("multi", [[0, 0, 0]], "is 0"),
        ("picture", np.zeros((1, 84, 96, 3)), "float64; it must be uint8"),
        ("picture", np.full((1, 84, 96, 3), 256), "above 255"),
        ("picture", np.zeros((1, 96, 84, 3), np.uint8), "shape"),
    ],
)
def test_observations_that_cannot_be_are_refused(name: str, given: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        of_gymnasium(SPACES[name]).array(given)


def test_large_numbers_whose_squares_overflow_are_taken() -> None:
    space = of_gymnasium(SPACES["wide box"])
    assert space.array(np.full((1, 2, 3), 1e30)).tolist() == [[np.float32(1e30)] * 6]


@pytest.mark.parametrize(
    ("space", "told"),
    [
        (Dict(), "type Dict for its observations; silmu takes Discrete, Box, Multi"),
        (None, "no space at all"),
        (Box(1, 0, (2,)), "lower bound is above"),
        (Box(np.nan, 0, (2,)), "lower bound"),
        (Box(0, 1, (0,)), r"shape is \(0,\)"),
        (Box(0, 1, (2,), np.complex64), "not whole"),
        (Discrete(0), "0 numbers"),
        (MultiDiscrete([3, 0]), "nvec"),
        (Box(0, 1, (1 << 12, 1 << 13), np.bool_), "numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_spaces_that_cannot_be_are_refused(space: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        of_gymnasium(space)
    if isinstance(space, Dict):
        assert "FlattenObservation" in (caught.value.hint or "")
        with pytest.raises(UsageError, match="for its actions"):
            of_gymnasium(space, "action")


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {},
        {"kind": "text"},
        {"kind": "discrete", "n": 2},
        {"kind": "discrete", "n": 2.5, "start": 0},
        {"kind": "discrete", "n": True, "start": 0},
        {"kind": "discrete", "n": -1, "start": 0},
        {"kind": "discrete", "n": 10**30, "start": 0},
        {"kind": "box", "shape": [2], "dtype": "float32", "low": [0.0], "high": 1.0},
        {"kind": "box", "shape": [2], "dtype": "float32", "low": 2.0, "high": 1.0},
        {"kind": "box", "shape": [2], "dtype": "float32", "low": "a", "high": 1.0},
        {"kind": "box", "shape": [2], "dtype": "object", "low": 0.0, "high": 1.0},
        {"kind": "box", "shape": [2], "dtype": "no type", "low": 0.0, "high": 1.0},
        {"kind": "box", "shape": [-2], "dtype": "float32", "low": 0.0, "high": 1.0},
        {"kind": "box", "shape": [1 << 40], "dtype": "float32", "low": 0.0, "high": 1.0},
        {"kind": "box", "shape": 2, "dtype": "float32", "low": 0.0, "high": 1.0},
        {"kind": "multi_discrete", "shape": [2], "nvec": [2], "starts": [0]},
        {"kind": "multi_discrete", "shape": [1], "nvec": [0], "starts": [0]},
        {"kind": "multi_binary"},
    ],
)
def test_json_that_is_no_space_is_refused(plain: Any) -> None:
    with pytest.raises(InvalidModelError, match="no space that silmu writes"):
        from_plain(plain)
