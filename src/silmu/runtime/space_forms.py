"""Spaces as gymnasium has them, and as they stand in JSON.

In JSON a bound that is infinite is null, and bounds that are all the same are one number:

{"kind": "box", "shape": [3], "dtype": "float32", "low": [-1.0, -1.0, -8.0], "high": null}
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import InvalidModelError, UsageError
from silmu.runtime.spaces import KINDS, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_NUMBERS = 1 << 24
"""How many numbers of one observation, or of one action, are believed."""

_KIND_OF = {
    "Discrete": "discrete",
    "Box": "box",
    "MultiDiscrete": "multi_discrete",
    "MultiBinary": "multi_binary",
}
_ALLOWED = "Discrete, Box, MultiDiscrete and MultiBinary"


def of_gymnasium(space: Any, what: str = "observation") -> Space:
    """A space of gymnasium, or of a class that looks like one.

    Args:
        space: what an environment has as observation_space or action_space.
        what: "observation" or "action", for the error.

    Raises:
        UsageError: it is of a kind that no policy here reads or gives, or is not whole.
    """
    names = [base.__name__ for base in type(space).__mro__]
    kind = next((_KIND_OF[name] for name in names if name in _KIND_OF), None)
    if kind is None:
        wrapper = (
            "gymnasium.wrappers.FlattenObservation makes one Box of Dict, Tuple and their like: "
            "give a factory of your own that puts it around, --data file.py:make"
            if what == "observation"
            else "put a gymnasium.ActionWrapper around it that takes one of these"
        )
        if space is None:
            wrapper = f"self.{what}_space = gymnasium.spaces.Box(...) or Discrete(n) in __init__"
        given = "no space at all" if space is None else f"a space of type {type(space).__name__}"
        raise UsageError(
            f"the environment has {given} for its {what}s; silmu takes {_ALLOWED}", hint=wrapper
        )
    try:
        return _checked(_taken(space, kind))
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"the {what} space of the environment, {space!s:.200}, is not whole: {error}"
        ) from error


def to_plain(space: Space) -> dict[str, Any]:
    """As it stands in JSON."""
    plain: dict[str, Any] = {"kind": space.kind}
    if space.kind == "discrete":
        return {**plain, "n": space.n, "start": space.start}
    plain["shape"] = list(space.shape)
    if space.kind == "multi_discrete":
        return {**plain, "nvec": list(space.nvec), "starts": list(space.starts)}
    if space.kind == "box":
        plain |= {"dtype": space.dtype, "low": _plain(space.low), "high": _plain(space.high)}
    return plain


def from_plain(values: Any) -> Space:
    """What `to_plain` gave.

    Raises:
        InvalidModelError: it is something else.
    """
    try:
        return _from_plain(values)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidModelError(
            f"{json.dumps(values, default=repr)[:200]} is no space that silmu writes: {error}"
        ) from error


def _taken(space: Any, kind: str) -> Space:
    """The values of a space of gymnasium."""
    if kind == "discrete":
        return Space(kind, n=int(space.n), start=int(getattr(space, "start", 0)))
    shape = tuple(int(side) for side in cast("Sequence[int]", space.shape))
    if kind == "multi_binary":
        return Space(kind, shape=shape, dtype="int8")
    if kind == "multi_discrete":
        nvec = np.asarray(space.nvec)
        starts = np.broadcast_to(np.asarray(getattr(space, "start", 0)), nvec.shape)
        flat = tuple(int(one) for one in nvec.reshape(-1))
        return Space(
            kind, nvec=flat, starts=tuple(int(one) for one in starts.reshape(-1)), shape=shape
        )
    if math.prod(shape) > MAX_NUMBERS:
        raise ValueError(f"it has {math.prod(shape)} numbers; from 1 to {MAX_NUMBERS} are taken")
    low, high = (
        np.broadcast_to(np.asarray(bound, np.float64), shape).reshape(-1).copy()
        for bound in (space.low, space.high)
    )
    return Space(kind, shape=shape, low=low, high=high, dtype=np.dtype(space.dtype).name)


def _from_plain(values: Any) -> Space:
    """What stands in JSON as a space."""
    if not isinstance(values, Mapping):
        raise TypeError("it is no object")
    plain = cast("Mapping[str, Any]", values)
    kind = plain["kind"]
    if kind not in KINDS:
        raise ValueError(f"its kind is {kind!r}")
    if kind == "discrete":
        return _checked(Space(kind, n=_whole(plain["n"]), start=_whole(plain["start"])))
    shape = tuple(_whole(side) for side in plain["shape"])
    if math.prod(shape) > MAX_NUMBERS or min(shape, default=1) < 1:
        raise ValueError(f"its shape is {shape}")
    if kind == "multi_binary":
        return _checked(Space(kind, shape=shape, dtype="int8"))
    if kind == "multi_discrete":
        nvec, starts = (tuple(_whole(one) for one in plain[key]) for key in ("nvec", "starts"))
        return _checked(Space(kind, nvec=nvec, starts=starts, shape=shape))
    return _checked(
        Space(
            kind,
            shape=shape,
            low=_bound(plain["low"], shape, -math.inf),
            high=_bound(plain["high"], shape, math.inf),
            dtype=np.dtype(str(plain["dtype"])).name,
        )
    )


def _checked(space: Space) -> Space:
    """The space, where its values agree with each other."""
    numbers = math.prod(space.shape)
    if min(space.shape, default=1) < 1:
        raise ValueError(f"its shape is {space.shape}")
    if space.kind == "multi_discrete" and not (
        len(space.nvec) == len(space.starts) == numbers and min(space.nvec, default=0) >= 1
    ):
        raise ValueError(f"its shape is {space.shape}, and its nvec {space.nvec}")
    if not 1 <= space.size <= MAX_NUMBERS:
        raise ValueError(f"it has {space.size} numbers; from 1 to {MAX_NUMBERS} are taken")
    if space.kind == "box":
        assert space.low is not None
        assert space.high is not None
        if np.dtype(space.dtype).kind not in "biuf":
            raise ValueError(f"its numbers are of type {space.dtype}")
        if not (space.low <= space.high).all():
            raise ValueError("its lower bound is above its upper one, or no number")
    return space


def _plain(bound: NDArray[np.float64] | None) -> float | list[float | None] | None:
    assert bound is not None
    if len(bound) > 1 and (bound == bound[0]).all():
        return float(bound[0]) if math.isfinite(bound[0]) else None
    return [one if math.isfinite(one) else None for one in bound.tolist()]


def _bound(values: Any, shape: tuple[int, ...], infinite: float) -> NDArray[np.float64]:
    numbers = math.prod(shape)
    listed = cast("list[Any]", values) if isinstance(values, list) else [values] * numbers
    if len(listed) != numbers:
        raise ValueError(f"it has {len(listed)} bounds for {numbers} numbers")
    return np.array([infinite if one is None else float(one) for one in listed], np.float64)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value
