"""What an environment shows -> what a policy reads; what it tells -> an action of the environment.

    {"format": 1, "policy": true, "observation": {"kind": "box", "shape": [4], ...},
     "action": {"kind": "discrete", "n": 2, "start": 0}, "frames": 1, "algorithm": "ppo"}

is processor.json of a model folder; of pictures that are read in grey or smaller it says so, too:
"grey": true, "smaller": 2. "fresh": true is of one whose episodes each had a new environment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import InvalidModelError, UnsupportedModelError, UsageError
from silmu.runtime.lens import PLAIN, Lens
from silmu.runtime.space_forms import from_plain, to_plain
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
        lens: how pictures are read.
        fresh: whether each episode had an environment newly made, as a reset leaves something.
    """

    observation: Space
    action: Space
    frames: int = 1
    algorithm: str = "ppo"
    lens: Lens = PLAIN
    fresh: bool = False

    def __post_init__(self) -> None:
        is_whole = type(self.frames) is int and 1 <= self.frames <= MOST_FRAMES
        if not is_whole or self.algorithm not in ALGORITHMS:
            raise ValueError(f"{self.frames} frames, algorithm {self.algorithm!r}")
        if self.observation.image is not None:
            self.lens.shape(self.observation.image)
        elif self.lens != PLAIN:
            raise ValueError("what it reads is no picture, which could be made grey or smaller")

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
            return cls(
                from_plain(values["observation"]),
                from_plain(values["action"]),
                frames=values["frames"],
                algorithm=values["algorithm"],
                lens=Lens(values.get("grey", False), values.get("smaller", 1)),
                fresh=values.get("fresh") is True,
            )
        except (InvalidModelError, KeyError, TypeError, ValueError) as error:
            raise InvalidModelError(
                f"{FILE} of `{folder.name}` is not what silmu writes: {error!s:.300}"
            ) from error

    def to_bytes(self) -> bytes:
        """What processor.json holds."""
        values = {
            "format": FORMAT,
            "policy": True,
            "observation": to_plain(self.observation),
            "action": to_plain(self.action),
            "frames": self.frames,
            "algorithm": self.algorithm,
        }
        if self.observation.is_image:
            values |= {"grey": self.lens.grey, "smaller": self.lens.smaller}
        if self.fresh:
            values["fresh"] = True
        return json.dumps(values, indent=1).encode() + b"\n"

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """What a network reads of a row: numbers, or channels, height and width of a picture."""
        image = self.observation.image
        first, *rest = (self.observation.size,) if image is None else self.lens.shape(image)
        return (first * self.frames, *rest)

    def check(self, name: str, observation: Space, action: Space) -> None:
        """Refuses an environment that shows or takes something else than the policy knows.

        Bounds of an observation may differ: none is held to them.

        Args:
            name: of the environment.
            observation, action: its spaces.

        Raises:
            UsageError: they are others.
        """
        if _form(observation) != _form(self.observation):
            raise UsageError(
                f"`{name}` shows {observation}, and the policy was trained on {self.observation}",
                hint="give the environment of its training, or one that shows the same",
            )
        if action != self.action:
            raise UsageError(
                f"`{name}` takes {action}, and the policy gives {self.action}",
                hint="give the environment of its training, or one that takes the same",
            )

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
        return self.lens.array(self.observation.array(observations))

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


def _form(space: Space) -> dict[str, Any]:
    """A space without its bounds."""
    return {k: v for k, v in to_plain(space).items() if k not in ("low", "high")}


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
