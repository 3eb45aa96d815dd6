"""What gymnasium promises of an environment, and what broke it.

`reset` gives an observation and a dict; `step` gives an observation, a reward, whether the episode
ended, whether it was cut, and a dict. Observations are of the space's shape and type and hold
numbers that are finite; so is the reward.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.spaces import Space

SHOWN = 80
"""Letters of an action, of a value that is wrong."""

_OLD = "that is the interface of gym before 0.26: "
_FIVE = "write `return observation, reward, terminated, truncated, {}`"
_FINITE = "find what divides by zero, overflows or is never set"
_AS_SPACE = "give what observation_space says, or mend observation_space"


@final
class Breach(Exception):
    """An environment did what none may do.

    Attributes:
        kind: in a few words, such as `observation shape`.
        what: the sentence, whose subject is the environment's.
        cure: what mends it.
        where: in which step of which episode; set by who counts them.
    """

    def __init__(self, kind: str, what: str, cure: str) -> None:
        super().__init__(what)
        self.kind, self.what, self.cure = kind, what, cure
        self.where = ""

    def at(self, step: int, episode: int, action: Any = None) -> Breach:
        """With the place: step 0 is the reset, episodes are counted from 1."""
        doing = f", action {shown(action)}" if action is not None else ""
        self.where = f"{f'step {step}' if step else 'the reset'} of episode {episode}{doing}"
        return self

    @property
    def message(self) -> str:
        """Where, and what."""
        return f"{self.where}: {self.what}" if self.where else self.what


def failed(error: BaseException, doing: str) -> Breach:
    """An exception of the environment's own."""
    said = " ".join(str(error).split())
    name = type(error).__name__
    given = f"{name}: {said:.300}" if said else name
    return Breach("exception", f"{doing} raised {given}", "mend it where it is raised")


def tried(call: Callable[..., Any], name: str, *given: Any, **named: Any) -> Any:
    """What a call of the environment's own code gives.

    Raises:
        Breach: it raised something.
    """
    try:
        return call(*given, **named)
    except (Exception, SystemExit) as error:
        raise failed(error, name) from error


def of_reset(result: Any, space: Space) -> NDArray[Any]:
    """The first observation, as an array of the space's shape.

    Raises:
        Breach: it is none, or something is beside it that is no dict.
    """
    if not isinstance(result, tuple) or _length(result) != 2:
        raise Breach(
            "reset",
            f"reset gave {_told(result)}; it must give an observation and a dict",
            f"{'' if isinstance(result, tuple) else _OLD}write `return observation, {{}}`",
        )
    value, told = values(result)
    info(told, "reset")
    return observation(value, space)


def of_step(result: Any, space: Space) -> tuple[NDArray[Any], float, bool, bool]:
    """Observation, reward, whether it ended and whether it was cut.

    Raises:
        Breach: one of them is not what it must be.
    """
    value, earned, ended, cut, told = parts(result)
    info(told, "step")
    array = observation(value, space)
    return array, reward(earned), truth(ended, "terminated"), truth(cut, "truncated")


def parts(result: Any) -> tuple[Any, ...]:
    """The five values of a step.

    Raises:
        Breach: there are not five.
    """
    if not isinstance(result, tuple) or _length(result) != 5:
        old = isinstance(result, tuple) and _length(result) == 4
        raise Breach(
            "step",
            f"step gave {_told(result)}; it must give five values: observation, reward, "
            "terminated, truncated, info",
            f"{_OLD if old else ''}{_FIVE}",
        )
    return values(result)


def observation(value: Any, space: Space) -> NDArray[Any]:
    """An observation as an array of the space's shape; lists and other types that fit are taken.

    Raises:
        Breach: its shape or type is another, or a number is none.
    """
    if value is None:
        raise Breach("observation type", "the observation is None", _AS_SPACE)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        what = f"the observation is no array: {error}"
        raise Breach("observation type", what, _AS_SPACE) from None
    if array.dtype.kind not in "biuf":
        what = f"the observation is {_told(value)}; it must be numbers: {space}"
        raise Breach("observation type", what, _AS_SPACE)
    if array.shape != space.shape:
        what = f"the observation has shape {array.shape}; observation_space says {space.shape}"
        raise Breach("observation shape", what, _AS_SPACE)
    wanted = np.dtype(space.dtype)
    if array.dtype.kind == "f" and wanted.kind != "f":
        what = f"the observation is of type {array.dtype}; observation_space says {wanted}"
        raise Breach("observation type", what, _AS_SPACE)
    try:
        space.array(array[None])
    except InputError as error:
        if "finite" in error.message:
            raise Breach("not a number", error.message, _FINITE) from None
        raise Breach("observation range", error.message, _AS_SPACE) from None
    return array


def reward(value: Any) -> float:
    """A reward as a number.

    Raises:
        Breach: it is none, or infinite.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        array = np.empty(2)
    if value is None or array.shape or array.dtype.kind not in "biuf":
        raise Breach(
            "reward type",
            f"the reward is {_told(value)}; it must be a float",
            "write `float(reward)`, which takes an array of one number too",
        )
    number = float(array)
    if not math.isfinite(number):
        raise Breach("not a number", f"the reward is {number}; it must be finite", _FINITE)
    return number


def truth(value: Any, name: str) -> bool:
    """Whether an episode ended, or was cut; 0 and 1 are taken too.

    Raises:
        Breach: it is neither True nor False.
    """
    if value is True or value is False:
        return value
    array = np.asarray(value)
    if array.shape == () and (array.dtype.kind == "b" or _is_bit(array)):
        return bool(array)
    raise Breach(
        "end type",
        f"{name} is {_told(value)}; it must be True or False",
        f"write `bool({name})`",
    )


def info(value: Any, of: str) -> None:
    """Refuses what is no dict.

    Raises:
        Breach: it is none.
    """
    if not isinstance(value, Mapping):
        raise Breach(
            "info",
            f"the last value of {of} is {_told(value)}; it must be a dict",
            "write {} where there is nothing to tell",
        )


def remarks(result: tuple[Any, ...], space: Space) -> list[tuple[str, str]]:
    """What of a step is not as gymnasium has it, and taken all the same: kind and sentence."""
    value, earned, ended, cut, _ = result
    found: list[tuple[str, str]] = []
    if space.kind != "discrete":
        kind = str(value.dtype) if _is_array(value) else f"a {_name(value)}"
        if kind != space.dtype:
            found.append(
                ("observation type", f"observations are {kind}, and the space says {space.dtype}")
            )
    if isinstance(earned, bool | np.ndarray):
        found.append(("reward type", f"rewards are of type {_name(earned)}, not float"))
    for name, one in (("terminated", ended), ("truncated", cut)):
        if not isinstance(one, bool | np.bool_):
            found.append(("end type", f"{name} is a {_name(one)}, not True or False"))
    return found


def shown(value: Any) -> str:
    """A value, short."""
    text = np.array2string(value, threshold=8) if _is_array(value) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _told(value: Any) -> str:
    """What something is, for a sentence."""
    if value is None or isinstance(value, bool | int | float | str):
        return f"{value!r:.60}"
    if _is_array(value):
        return f"an array of shape {value.shape} and type {value.dtype}"
    if isinstance(value, tuple | list):
        return f"a {_name(value)} of {_length(value)}"
    return f"a {_name(value)}"


def _is_bit(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "iu" and int(array) in (0, 1)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _name(value: Any) -> str:
    return type(value).__name__


def _length(value: Any) -> int:
    return len(value)


def values(value: Any) -> tuple[Any, ...]:
    """The values of a tuple, whatever they are."""
    return value
