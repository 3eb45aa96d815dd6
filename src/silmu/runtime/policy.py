"""What an environment shows -> what a policy reads; what it tells -> an action of the environment.

    {"format": 1, "policy": true, "observation": {"kind": "box", "shape": [4], ...},
     "action": {"kind": "discrete", "n": 2, "start": 0}, "frames": 1, "algorithm": "ppo"}

is processor.json of a model folder. Training and use stack frames here, so that a network reads in
use what it read in training.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import InvalidModelError, UnsupportedModelError, UsageError
from silmu.runtime.spaces import Space

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder

FILE = "processor.json"
FORMAT = 1
MOST_FRAMES = 64
ALGORITHMS = ("ppo", "dqn", "sac")
"""What a policy learns by. One of `dqn` tells values of actions, the others how likely each is."""


@final
@dataclass(frozen=True)
class PolicyProcessor:
    """How a policy that silmu trained wants its observations, and what its actions mean.

    >>> two = PolicyProcessor(Space("discrete", n=4), Space("discrete", n=2))
    >>> two.arrays([3]).tolist(), two.actions(np.array([[0.1, 0.7]]))
    ([[0.0, 0.0, 0.0, 1.0]], [1])

    Attributes:
        observation: what the environment shows.
        action: what it takes.
        frames: how many observations the policy reads at once, the last ones.
        algorithm: by which it learnt, one of ALGORITHMS.
    """

    observation: Space
    action: Space
    frames: int = 1
    algorithm: str = "ppo"

    def __post_init__(self) -> None:
        is_whole = type(self.frames) is int and 1 <= self.frames <= MOST_FRAMES
        if not is_whole or self.algorithm not in ALGORITHMS:
            raise ValueError(f"{self.frames} frames, algorithm {self.algorithm!r}")

    @classmethod
    def open(cls, folder: Folder) -> PolicyProcessor:
        """The processor of a model folder.

        Raises:
            InvalidModelError: processor.json is missing or broken, or is of a model for others.
            UnsupportedModelError: it is of a newer silmu.
        """
        if not folder.has(FILE):
            raise InvalidModelError(
                f"`{folder.name}` has no {FILE}, so it is not known what its policy reads",
                hint="take the whole folder that `silmu train` wrote",
            )
        values = folder.json(FILE)
        version = values.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise UnsupportedModelError(
                f"{FILE} of `{folder.name}` has format {version}; this silmu reads {FORMAT}",
                hint="pip install --upgrade silmu",
            )
        try:
            if version != FORMAT or values.get("policy") is not True:
                raise ValueError("it is not of a policy")
            spaces = [Space.from_plain(values[name]) for name in ("observation", "action")]
            return cls(*spaces, frames=values["frames"], algorithm=values["algorithm"])
        except (InvalidModelError, KeyError, TypeError, ValueError) as error:
            raise InvalidModelError(
                f"{FILE} of `{folder.name}` is not what silmu writes: {error!s:.300}"
            ) from error

    def to_bytes(self) -> bytes:
        """What processor.json holds."""
        values = {
            "format": FORMAT,
            "policy": True,
            "observation": self.observation.to_plain(),
            "action": self.action.to_plain(),
            "frames": self.frames,
            "algorithm": self.algorithm,
        }
        return json.dumps(values, indent=1).encode() + b"\n"

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """What a network reads of a row: numbers, or channels, height and width of a picture."""
        first, *rest = self.observation.image or (self.observation.size,)
        return (first * self.frames, *rest)

    @property
    def is_drawn(self) -> bool:
        """Whether the policy tells how likely actions are, so that one can be drawn."""
        return self.algorithm != "dqn"

    def arrays(self, observations: Any) -> NDArray[Any]:
        """Observations as a network reads them, before frames are stacked.

        Args:
            observations: a list of them, or an array whose first axis counts them.

        Returns:
            float32 (rows, size); of a picture uint8 (rows, channels, height, width).

        Raises:
            InputError: as `Space.array`.
        """
        return self.observation.array(observations)

    def actions(
        self, told: NDArray[np.float32], *, random: np.random.Generator | None = None
    ) -> list[Any]:
        """Actions in the form that `env.step` takes.

        Args:
            told: what the policy tells, (rows, outputs): logits of all choices side by side, or the
                numbers of a box, in which chance is already.
            random: what draws each action by its probability; the likeliest is taken without it.
        """
        space = self.action
        if space.kind == "discrete":
            return [one + space.start for one in _chosen(told, random).tolist()]
        chosen: Any = told
        if space.kind == "multi_binary":
            chosen = told > 0 if random is None else random.random(told.shape) < _sigmoid(told)
        elif space.kind == "multi_discrete":
            chosen = np.stack([_chosen(one, random) for one in self._each(told)], axis=1)
        return [space.action(one) for one in chosen]

    def probabilities(self, told: NDArray[np.float32]) -> list[Any]:
        """How likely each choice is: a list of each row, of several choices a list of lists.

        Of yes or no, it is the probability of yes.

        Raises:
            UsageError: the policy tells no probabilities.
        """
        if not self.is_drawn:
            raise UsageError(
                f"a policy of {self.algorithm} tells what actions are worth, and no probabilities",
                hint="value=True tells what the best is worth",
            )
        kind = self.action.kind
        if kind == "box":
            raise UsageError(
                f"an action is {self.action}: a number of a range has no probability of its own",
                hint="leave probabilities out; deterministic=False draws one",
            )
        if kind == "multi_binary":
            return _sigmoid(told).tolist()
        if kind == "discrete":
            return _softmax(told).tolist()
        each = [_softmax(one).tolist() for one in self._each(told)]
        return [list(row) for row in zip(*each, strict=True)]

    def _each(self, told: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
        """The logits of each of several choices."""
        return np.split(told, np.cumsum(self.action.nvec)[:-1], axis=1)


@final
class Frames:
    """The last observations of episodes that go on side by side, stacked.

    An episode begins as if its first observation had always been there. Frames lie along the first
    axis of a row, the oldest first: of a picture they are channels.

    >>> frames = Frames(2)
    >>> frames.stacked(np.array([[1.0]])).tolist(), frames.stacked(np.array([[2.0]])).tolist()
    ([[1.0, 1.0]], [[1.0, 2.0]])

    Args:
        count: how many of them.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._kept: NDArray[Any] | None = None
        self._begins: NDArray[np.bool_] = np.zeros(0, bool)

    def begin(self, rows: Sequence[int] | NDArray[Any] | None = None) -> None:
        """Begins an episode in some rows, or in all, however many come next."""
        if rows is None or self._kept is None:
            self._kept = None
        else:
            self._begins[rows] = True

    def stacked(self, observations: NDArray[Any]) -> NDArray[Any]:
        """The next observation of each episode, (rows, channels, ...), with those before it."""
        if self.count == 1:
            return observations
        width = observations.shape[1]
        if self._kept is None:
            self._kept = np.concatenate([observations] * self.count, axis=1)
            self._begins = np.zeros(len(observations), bool)
            return self._kept
        self._kept = np.concatenate([self._kept[:, width:], observations], axis=1)
        if self._begins.any():
            first = observations[self._begins]
            self._kept[self._begins] = np.concatenate([first] * self.count, axis=1)
            self._begins[:] = False
        return self._kept


def _chosen(logits: NDArray[np.float32], random: np.random.Generator | None) -> NDArray[np.int64]:
    """The place of one choice in each row."""
    if random is None:
        return logits.argmax(axis=1)
    # Gumbel's trick: the largest of log-probabilities with Gumbel noise is a draw by probability.
    return (logits + random.gumbel(size=logits.shape)).argmax(axis=1)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shares = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))
