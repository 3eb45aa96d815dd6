"""What an environment shows and takes: its spaces, without gymnasium.

The words are gymnasium's: a box is an array of numbers with bounds, discrete one of n,
multi-discrete several of these, multi-binary several of yes and no. `space_forms` has spaces as
gymnasium and as JSON have them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = ("discrete", "box", "multi_discrete", "multi_binary")

MIN_PICTURE = 36
"""Pixels of a side from which bytes are a picture: what convolutions of 8, 4 and 3 need."""


@final
@dataclass(frozen=True, eq=False)
class Space:
    """The observations, or the actions, that an environment has.

    >>> space = Space("discrete", n=2)
    >>> space.size, space.array([1, 0]).tolist()
    (2, [[0.0, 1.0], [1.0, 0.0]])

    Attributes:
        kind: one of KINDS.
        n: how many there are to choose from: discrete.
        start: the smallest of them: discrete.
        nvec: how many there are of each: multi-discrete, flattened.
        starts: the smallest of each: multi-discrete, flattened.
        shape: of the array: () where discrete.
        low, high: bounds of each number, float64, flattened; None where it is no box.
        dtype: numpy's name of the numbers' type.
    """

    kind: str
    n: int = 0
    start: int = 0
    nvec: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    dtype: str = "int64"

    @cached_property
    def size(self) -> int:
        """How many numbers a network reads of an observation, or gives for an action.

        Of n to choose from there are n, one for each.
        """
        if self.kind == "discrete":
            return self.n
        return sum(self.nvec) if self.kind == "multi_discrete" else math.prod(self.shape)

    @cached_property
    def image(self) -> tuple[int, int, int] | None:
        """Channels, height and width where it is a picture: bytes in two axes, or three."""
        if self.kind != "box" or self.dtype != "uint8" or len(self.shape) not in (2, 3):
            return None
        if len(self.shape) == 2:
            channels, height, width = 1, *self.shape
        elif self._channels_first:
            channels, height, width = self.shape
        else:
            height, width, channels = self.shape
        return (channels, height, width) if min(height, width) >= MIN_PICTURE else None

    @property
    def is_image(self) -> bool:
        """Whether it is a picture."""
        return self.image is not None

    @cached_property
    def bounded(self) -> bool:
        """Whether every number has bounds."""
        if self.low is None or self.high is None:
            return True
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    @cached_property
    def _channels_first(self) -> bool:
        return len(self.shape) == 3 and self.shape[0] < self.shape[2]

    @cached_property
    def _bounds(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Low and high in the form of an action, so that what lies between keeps its type."""
        info = _limits(self.dtype)
        low, high = (np.clip(bound, *info) for bound in self._box)
        if not np.issubdtype(np.dtype(self.dtype), np.floating):
            low, high = np.ceil(low), np.floor(high)
        with np.errstate(over="ignore"):
            return low.astype(self.dtype), high.astype(self.dtype)

    def array(self, observations: Any) -> NDArray[Any]:
        """Observations as a network reads them.

        Args:
            observations: a list of them, or an array whose first axis counts them.

        Returns:
            float32 (rows, size); of a picture uint8 (rows, channels, height, width).

        Raises:
            InputError: they have not the shape or the type that they should, or hold a number that
                is none, or infinite.
        """
        values = self._asked(observations)
        if self.kind == "discrete":
            return _one_hot(self._indices(values, self.start, self.n), np.array([self.n]))
        if self.kind == "multi_discrete":
            flat = values.reshape(len(values), -1)
            indices = self._indices(flat, np.array(self.starts), np.array(self.nvec))
            return _one_hot(indices, np.array(self.nvec))
        if self.image is not None:
            return self._pictures(values)
        if values.dtype.itemsize > 4:
            with np.errstate(over="ignore"):
                flat = values.reshape(len(values), -1).astype(np.float32)
        else:
            flat = values.reshape(len(values), -1).astype(np.float32)
        if 0 in np.isfinite(flat).tobytes():  # quicker than all() where there are few
            row, place = np.argwhere(~np.isfinite(flat))[0].tolist()
            given = values.reshape(len(values), -1)[row, place]
            of = f" of row {row}" if len(values) > 1 else ""
            raise InputError(
                f"number {place}{of} of the observation is {given}; it must be finite in float32"
            )
        return flat

    def action(self, value: Any) -> Any:
        """One action in the form that `env.step` takes, from what a network decided on.

        Args:
            value: the index, counted from 0; an index of each; yes or no of each; or the numbers of
                a box, which are clipped to its bounds and rounded where it is one of whole numbers.

        Returns:
            A whole number, `start` added; else an array of the space's shape and type.
        """
        if self.kind == "discrete":
            return int(value) + self.start
        return self.actions(np.asarray(value)[None])[0]

    def actions(self, values: Any) -> list[Any]:
        """Actions in the form that `env.step` takes, one for each row, as `action` makes them.

        >>> Space("discrete", n=2, start=1).actions(np.array([0, 1]))
        [1, 2]

        Args:
            values: (rows,) indices; else (rows, ...) indices, yes or no, or numbers of a box.
        """
        array = np.asarray(values)
        if self.kind == "discrete":
            shifted = array.reshape(-1) + self.start if self.start else array.reshape(-1)
            return shifted.astype(np.int64).tolist()
        flat = array.reshape(len(array), -1)
        if self.kind == "box":
            low, high = self._bounds
            if low.dtype.kind != "f":
                flat = np.rint(flat)
            flat = flat.clip(low, high)
        elif self.kind == "multi_discrete":
            flat = flat + np.array(self.starts)
        return list(flat.astype(self.dtype).reshape(len(array), *self.shape))

    def idle(self) -> Any:
        """An action that does nothing: the first there is; of a box, zeros within bounds."""
        return self.action(0 if self.kind == "discrete" else np.zeros(self._numbers))

    def sample(self, random: np.random.Generator) -> Any:
        """An action by chance: each as likely as another; normal where there are no bounds.

        >>> Space("discrete", n=3, start=1).sample(np.random.default_rng(0))
        3
        """
        if self.kind == "discrete":
            return self.start + int(random.integers(self.n))
        if self.kind == "multi_discrete":
            return self.action(random.integers(0, self.nvec))
        if self.kind == "multi_binary":
            return self.action(random.integers(0, 2, self._numbers))
        low, high = self._box
        below, above = np.isfinite(low), np.isfinite(high)
        low, high = np.where(below, low, 0.0), np.where(above, high, 0.0)
        if np.dtype(self.dtype).kind != "f":
            high = np.where(above, high + 1, high)
            return self.action(np.floor(_drawn(random, low, high, below, above)))
        return self.action(_drawn(random, low, high, below, above))

    @cached_property
    def _box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    @property
    def _numbers(self) -> int:
        return math.prod(self.shape)

    def _asked(self, observations: Any) -> NDArray[Any]:
        """As an array of numbers, the first axis for the rows."""
        try:
            values = np.asarray(observations)
        except (ValueError, TypeError) as error:
            raise InputError(f"the observations are not all of one shape: {error}") from None
        if values.dtype.kind not in "biuf":
            given = "objects" if values.dtype.kind == "O" else values.dtype.name
            raise InputError(
                f"an observation holds {given}; it must be numbers of shape {self.shape}: {self}"
            )
        if values.shape[1:] != self.shape or values.ndim != len(self.shape) + 1:
            raise InputError(
                f"an observation has shape {values.shape[1:]}; it must be {self.shape}: {self}"
                if values.ndim
                else f"the observations are one number, {values}; a list of them must be given"
            )
        return values

    def _indices(self, values: NDArray[Any], start: Any, n: Any) -> NDArray[np.int64]:
        """Whole numbers from 0, one of n each; (rows, places)."""
        if values.dtype.kind == "f":
            whole = np.isfinite(values) & (values == np.rint(values))
            if not whole.all():
                raise InputError(
                    f"an observation is {values[~whole][0]}; it must be a whole number"
                )
        table = values.reshape(len(values), -1)
        outside = (table < start) | (table >= np.add(start, n))
        if outside.any():
            raise InputError(f"an observation is {table[outside][0]}; that is none of {self}")
        return table.astype(np.int64) - start

    def _pictures(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """uint8, channels first."""
        if values.dtype != np.uint8:
            if values.dtype.kind not in "iu":
                raise InputError(
                    f"a picture is of type {values.dtype.name}; it must be uint8, from 0 to 255"
                )
            if values.size and (values.min() < 0 or values.max() > 255):
                raise InputError("a picture has numbers below 0 or above 255; it must be uint8")
            values = values.astype(np.uint8)
        if values.ndim == 3:
            return values[:, None]
        return values if self._channels_first else values.transpose(0, 3, 1, 2)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space):
            return False
        names = ("kind", "n", "start", "nvec", "starts", "shape", "dtype")
        return all(getattr(self, name) == getattr(other, name) for name in names) and (
            np.array_equal(_bare(self.low), _bare(other.low))
            and np.array_equal(_bare(self.high), _bare(other.high))
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.n, self.start, self.nvec, self.shape, self.dtype))

    def __str__(self) -> str:
        """As people read it."""
        if self.kind == "discrete":
            return f"one of {self.n}" + (f" from {self.start}" if self.start else "")
        if self.kind == "multi_discrete":
            return f"one each of {', '.join(map(str, self.nvec))}"
        if self.kind == "multi_binary":
            return f"yes or no of {self._numbers}"
        if self.image is not None:
            channels, height, width = self.image
            return f"a picture of {height} x {width} x {channels}"
        low, high = self._box
        bounds = f"from {low.min():g} to {high.max():g}" if self.bounded else "unbounded"
        shape = " x ".join(map(str, self.shape))
        return f"{shape} numbers, {bounds}" if self._numbers != 1 else f"a number, {bounds}"


def _drawn(
    random: np.random.Generator,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    below: NDArray[np.bool_],
    above: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Numbers by chance: uniform between two bounds, exponential from one, normal without."""
    uniform = low + random.random(low.shape) * (high - low)
    if below.all() and above.all():
        return uniform
    tail, normal = random.exponential(size=low.shape), random.normal(size=low.shape)
    one = np.where(below, low + tail, high - tail)
    return np.where(below & above, uniform, np.where(below | above, one, normal))


def _one_hot(indices: NDArray[np.int64], nvec: NDArray[np.int64]) -> NDArray[np.float32]:
    """(rows, places) as (rows, sum of nvec), a 1 for each place."""
    array = np.zeros((len(indices), int(nvec.sum())), np.float32)
    first = np.cumsum(nvec) - nvec
    array[np.arange(len(indices))[:, None], indices + first] = 1
    return array


def _limits(dtype: str) -> tuple[float, float]:
    """The smallest and largest number of a type."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return 0.0, 1.0
    if kind.kind == "f":
        return -math.inf, math.inf
    info = np.iinfo(kind)
    return float(info.min), math.nextafter(float(info.max), 0) if kind.itemsize == 8 else info.max


def _bare(bound: NDArray[np.float64] | None) -> NDArray[np.float64]:
    return np.empty(0) if bound is None else bound
