"""Environments that misbehave, each in one way: a walk on a line, and what is wrong with it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

AT = 5
"""The step of each episode in which most of them misbehave."""

LENGTH = 12


class Walk(gymnasium.Env[Any, Any]):
    """A walk on a line, back and forth by chance; nothing is wrong with it."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-100, 100, (2,), np.float32)
        self.action_space = spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place, self.steps = float(self.np_random.uniform(-1, 1)), 0
        self.length = LENGTH + int(self.np_random.integers(4))
        return self.seen(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        self.place += int(action) - 1 + float(self.np_random.normal(0, 0.1))
        return self.seen(), -abs(self.place), self.steps >= self.length, False, {}

    def seen(self) -> Any:
        return np.array([self.place, self.steps], np.float32)


def changed(place: int, value: Any) -> Callable[[], Walk]:
    """A walk whose step gives something else at one place of the five, in step AT."""

    class Changed(Walk):
        def step(self, action: Any) -> Any:
            found = list(super().step(action))
            if self.steps == AT:
                found[place] = value
            return tuple(found)

    return Changed


def giving(result: Callable[[tuple[Any, ...]], Any]) -> Callable[[], Walk]:
    """A walk whose step AT gives something made of the right five values."""

    class Giving(Walk):
        def step(self, action: Any) -> Any:
            found = super().step(action)
            return result(found) if self.steps == AT else found

    return Giving


def raising(error: BaseException) -> Callable[[], Walk]:
    """A walk whose step AT raises."""

    class Raising(Walk):
        def step(self, action: Any) -> Any:
            found = super().step(action)
            if self.steps == AT:
                raise error
            return found

    return Raising


def resetting(result: Callable[[tuple[Any, ...]], Any]) -> Callable[[], Walk]:
    """A walk whose second reset gives something else."""

    class Resetting(Walk):
        resets = 0

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            self.resets += 1
            found = super().reset(seed=seed)
            return result(found) if self.resets > 1 else found

    return Resetting


def fail(found: Any) -> Any:
    raise RuntimeError("no level is left")


def recurse(found: Any) -> Any:
    return recurse(found)


STEPS: dict[str, tuple[Callable[[], Any], str, str]] = {
    # what a step gives: the kind of the finding, and a part of what is told
    "too many numbers": (changed(0, np.zeros(3, np.float32)), "observation shape", "(3,)"),
    "one number": (changed(0, np.float32(1)), "observation shape", "()"),
    "a row": (changed(0, np.zeros((1, 2), np.float32)), "observation shape", "(1, 2)"),
    "nothing seen": (changed(0, None), "observation type", "None"),
    "words seen": (changed(0, "left"), "observation type", "'left'"),
    "a dict seen": (changed(0, {"place": 1}), "observation type", "dict"),
    "a ragged list": (changed(0, [[1.0], [1.0, 2.0]]), "observation type", "no array"),
    "complex numbers": (changed(0, np.zeros(2, np.complex64)), "observation type", "complex"),
    "nan seen": (changed(0, np.array([0, np.nan], np.float32)), "not a number", "nan"),
    "infinity seen": (changed(0, np.array([np.inf, 0], np.float32)), "not a number", "inf"),
    "too large": (changed(0, np.array([1e300, 0])), "not a number", "1e+300"),
    "no reward": (changed(1, None), "reward type", "None"),
    "nan reward": (changed(1, float("nan")), "not a number", "nan"),
    "infinite reward": (changed(1, np.float64("-inf")), "not a number", "-inf"),
    "nan of float32": (changed(1, np.float32("nan")), "not a number", "nan"),
    "rewards": (changed(1, np.zeros(2)), "reward type", "(2,)"),
    "an array of one": (changed(1, np.zeros(1)), "reward type", "(1,)"),
    "a word earned": (changed(1, "good"), "reward type", "'good'"),
    "ends with None": (changed(2, None), "end type", "terminated is None"),
    "ends with a word": (changed(2, "yes"), "end type", "'yes'"),
    "cut by half": (changed(3, 0.5), "end type", "truncated is 0.5"),
    "ends of all": (changed(2, np.zeros(2, bool)), "end type", "(2,)"),
    "no info": (changed(4, None), "info", "None"),
    "a list told": (changed(4, []), "info", "a list of 0"),
    "four values": (giving(lambda found: (*found[:3], {})), "step", "a tuple of 4"),
    "six values": (giving(lambda found: (*found, 1)), "step", "a tuple of 6"),
    "nothing": (giving(lambda found: None), "step", "None"),
    "a list": (giving(list), "step", "a list of 5"),
    "an error": (raising(ValueError("the wheel\ncame off")), "exception", "the wheel came off"),
    "an error without words": (raising(AssertionError()), "exception", "AssertionError"),
    "an exit": (raising(SystemExit(3)), "exception", "SystemExit"),
    "a stop": (raising(StopIteration()), "exception", "StopIteration"),
    "no end of calls": (giving(recurse), "exception", "RecursionError"),
}

RESETS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "observation alone": (resetting(lambda found: found[0]), "reset", "an array of shape (2,)"),
    "info of None": (resetting(lambda found: (found[0], None)), "info", "None"),
    "three values": (resetting(lambda found: (*found, 0)), "reset", "a tuple of 3"),
    "wrong shape": (resetting(lambda found: (found[0][:1], {})), "observation shape", "(1,)"),
    "nan": (resetting(lambda found: (found[0] * np.nan, {})), "not a number", "nan"),
    "an error": (resetting(fail), "exception", "no level is left"),
}


class NoSeed(Walk):
    def reset(self) -> Any:  # type: ignore[override]
        return super().reset()


class Endless(Walk):
    def step(self, action: Any) -> Any:
        seen, reward, _, _, info = super().step(action)
        return seen, reward, False, False, info


class GlobalChance(Walk):
    def step(self, action: Any) -> Any:
        seen, reward, *rest = super().step(action)
        return seen, reward + random.random(), *rest


class OwnChance(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.own = np.random.default_rng()

    def step(self, action: Any) -> Any:
        found = super().step(action)
        self.place += float(self.own.normal()) if self.steps > 7 else 0
        return found


class OfTheClock(Walk):
    def step(self, action: Any) -> Any:
        seen, _, *rest = super().step(action)
        return seen, float(time.perf_counter_ns() % 1000), *rest


EVERYWHERE = [0.0]


class Shared(Walk):
    """Copies of it move one another."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        EVERYWHERE[0] = 0.0
        return super().reset(seed=seed)

    def step(self, action: Any) -> Any:
        seen, _, *rest = super().step(action)
        EVERYWHERE[0] += int(action)
        return seen, EVERYWHERE[0], *rest


class Remembering(Walk):
    """It has a memory of its episodes, which makes it another one than a new one is."""

    episodes = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.episodes += 1
        return super().reset(seed=seed)

    def step(self, action: Any) -> Any:
        seen, reward, *rest = super().step(action)
        return seen, reward - self.episodes, *rest


class NeverReset(Walk):
    """Its reset begins nothing anew."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if hasattr(self, "place"):
            return self.seen(), {}
        return super().reset(seed=seed)


class Constant(Walk):
    def step(self, action: Any) -> Any:
        seen, _, _, _, info = super().step(action)
        return seen, 1.0, self.steps >= LENGTH, False, info


class Rich(Walk):
    def step(self, action: Any) -> Any:
        seen, reward, *rest = super().step(action)
        return seen, reward * 1e12, *rest


class Blind(Walk):
    def seen(self) -> Any:
        return np.zeros(2, np.float32)


class Unbounded(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)

    def step(self, action: Any) -> Any:
        return super().step(int(np.clip(action[0], -1, 1)) + 1)


class Told(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Dict({"place": self.observation_space})


class NoActions(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = None


class Backwards(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.observation_space.low[:] = 200


class Outside(Walk):
    def seen(self) -> Any:
        return super().seen() + np.float32(150)


class Plain(Walk):
    """It gives lists and whole numbers where arrays and truths should be."""

    def step(self, action: Any) -> Any:
        seen, reward, ended, cut, info = super().step(action)
        return [float(one) for one in seen], reward, int(ended), int(cut), info


class OneArray(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.array = np.zeros(2, np.float32)

    def seen(self) -> Any:
        self.array[:] = super().seen()
        return self.array


class OutOfRange(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Discrete(10)

    def seen(self) -> Any:
        return self.steps


class FloatPicture(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Box(0, 255, (40, 40, 3), np.uint8)

    def seen(self) -> Any:
        return np.full((40, 40, 3), self.steps / LENGTH)


class WrongAction(Walk):
    def step(self, action: Any) -> Any:
        if action == 2:
            raise KeyError(action)
        return super().step(action)


class OneStep(Walk):
    def step(self, action: Any) -> Any:
        seen, reward, _, _, info = super().step(action)
        return seen, reward, True, False, info


WHOLE: dict[str, tuple[Callable[[], Any], str, str]] = {
    # what is wrong as a whole: the kind of the finding, and its severity
    "no seed": (NoSeed, "reset", "wrong"),
    "endless": (Endless, "never ends", "wrong"),
    "chance of the program": (GlobalChance, "not deterministic", "wrong"),
    "chance of its own": (OwnChance, "not deterministic", "wrong"),
    "the clock": (OfTheClock, "not deterministic", "wrong"),
    "copies": (Shared, "copies disturb each other", "wrong"),
    "a dict": (Told, "observation space", "wrong"),
    "no actions": (NoActions, "action space", "wrong"),
    "bounds": (Backwards, "observation space", "wrong"),
    "out of range": (OutOfRange, "observation range", "wrong"),
    "float picture": (FloatPicture, "observation type", "wrong"),
    "wrong action": (WrongAction, "exception", "wrong"),
    "never reset": (NeverReset, "reset changes nothing", "wrong"),
    "constant": (Constant, "constant reward", "wrong"),
    "rich": (Rich, "large rewards", "wrong"),
    "blind": (Blind, "still observations", "wrong"),
    "remembering": (Remembering, "reset leaves something", "note"),
    "unbounded": (Unbounded, "unbounded actions", "note"),
    "outside": (Outside, "outside bounds", "note"),
    "plain": (Plain, "observation type", "note"),
    "one array": (OneArray, "shared array", "note"),
    "one step": (OneStep, "one step", "note"),
}
