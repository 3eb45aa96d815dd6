"""Act: the next action of an environment, from what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast, final

import numpy as np

from silmu.errors import InvalidModelError, UsageError, WrongTypeError
from silmu.pipelines._base import NOTHING, Answers, Pipeline, is_stream, logger
from silmu.runtime.generate import sampling
from silmu.runtime.memory import Memory
from silmu.runtime.policy import FILE, PolicyProcessor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.pipelines._model import Model
    from silmu.runtime.session import Port, Session

ARCHITECTURES = ("ForReinforcementLearning",)
DEFAULT_MODEL = (None, None)

AT_ONCE = 256
"""Observations that are computed at once."""

_PARAMETERS = ("deterministic", "value", "probabilities")


@final
class ReinforcementLearningPipeline(Pipeline):
    """The action of a policy for what an environment shows.

    >>> act = pipeline("reinforcement-learning", "runs/CartPole-v1/4-model")      # doctest: +SKIP
    >>> observation, info = env.reset()                                           # doctest: +SKIP
    >>> act.reset()                                                               # doctest: +SKIP
    >>> act(observation)                                                          # doctest: +SKIP
    {'action': 1}
    >>> env.step(act(observation)["action"])                                      # doctest: +SKIP

    An action has the form that `env.step` takes: a whole number, or an array of the shape and type
    of the environment's action space, within its bounds. A list of observations, or an array with
    one axis more, gives a list of answers.

    A policy that reads several frames, or has a memory, remembers what it was shown: one
    observation follows another, and `reset()` begins an episode. The observations of a list are
    those of as many episodes side by side.

    Args:
        inputs: an observation, or several.
        deterministic: whether the likeliest action is taken; drawn by its probability otherwise, by
            the random numbers that `silmu.set_seed` begins anew.
        value: whether the answer holds `value`, the return that is expected from here; by a policy
            of `dqn` after the best action, by one of `sac` after the action of the answer, and with
            what it counts for being undecided.
        probabilities: whether it holds `probabilities`, those of each choice.

    Raises:
        InputError: an observation has not the shape or type that it should, or is no number.
        UsageError: a parameter is wrong, or asks for what the policy does not tell.
    """

    head = "reinforcement-learning"
    rows: ClassVar[str] = "environment"

    def __init__(self, model: Model, *args: Any, **options: Any) -> None:
        own = PolicyProcessor.open(model.folder)
        # A graph of few bits, or of another engine, is never made of a policy.
        self._session = cast("Session", model.session)
        _check(own, model.folder.name, self._session)
        self._axes = len(own.observation.shape)
        self._is_drawn_inside = own.action.kind == "box"
        state = self._session.inputs.get("state")
        hidden = None if state is None else cast("int", state.shape[1])
        self._memory = Memory(own.frames, hidden)
        super().__init__(model, *args, processor=own, **_without(options, "processor"))
        self.processor: PolicyProcessor = own
        # A session computes otherwise, in the last bits, when it runs for the first time.
        for _ in range(2):
            self._computed({name: _zeros(port) for name, port in self._session.inputs.items()})

    @property
    def has_memory(self) -> bool:
        """Whether an answer depends on what was shown before it."""
        return self._memory.is_used

    def reset(self, rows: Sequence[int] | None = None) -> None:
        """Begins an episode: what was shown before is forgotten.

        Args:
            rows: of a list of observations, those whose episodes are over; all, if not given.

        Raises:
            UsageError: there was no list that has these rows.
        """
        self._memory.begin(rows)

    def __call__(
        self,
        inputs: Any = NOTHING,
        *args: Any,
        num_workers: int | None = None,
        batch_size: int | None = None,
        **parameters: Any,
    ) -> Any:
        """The answer to an observation, or a list of those to several.

        Args:
            inputs: as the class tells; an iterator is answered as it goes.
            batch_size: accepted; how many are computed at once changes no answer.
            num_workers: accepted and not needed.
            parameters: as the class tells.
        """
        given = self._merged(parameters) if parameters else self._parameters
        if inputs is NOTHING:
            raise WrongTypeError("nothing was given to answer", hint="give an observation")
        if args:
            logger.warning("ignoring the positional arguments %r", args)
        axes = _axes(inputs)
        if axes is None and not isinstance(inputs, list | tuple) and is_stream(inputs):
            return Answers((self(one, **parameters) for one in inputs), inputs)
        if axes is None or axes <= self._axes:
            is_nothing = isinstance(inputs, list) and not inputs
            return [] if is_nothing else self._answered([inputs], given)[0]
        return self._answered(inputs, given)

    def _sanitize_parameters(
        self,
        deterministic: Any = None,
        value: Any = None,
        probabilities: Any = None,
        **unknown: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            raise WrongTypeError(
                f"unexpected keyword {', '.join(unknown)}; reinforcement-learning takes "
                f"{', '.join(_PARAMETERS)}"
            )
        asked: dict[str, bool] = {}
        for name, given in zip(_PARAMETERS, (deterministic, value, probabilities), strict=True):
            if not isinstance(given, bool | None):
                raise UsageError(f"{name} is {given!r}; it must be True or False")
            if given is not None:
                asked[name] = given
        own = self.processor
        if asked.get("deterministic") is False and not own.is_drawn:
            raise UsageError(
                f"deterministic is False, and a policy of {own.algorithm} tells what actions are "
                "worth, not how likely they are",
                hint="leave it out: the best action is taken",
            )
        if asked.get("value") and "value" not in self._session.outputs:
            raise UsageError(
                f"value is True, and a policy of {own.algorithm} does not tell what it expects",
                hint="leave it out; one that is trained by this silmu tells it",
            )
        if asked.get("probabilities"):
            own.probabilities(np.zeros((1, own.action.size), np.float32))
        drawn = {name: asked[name] for name in ("deterministic",) if name in asked}
        return {}, drawn, asked

    def preprocess(self, inputs: Any, **parameters: Any) -> dict[str, Any]:
        """One observation as what the network reads, with the frames and the state before it."""
        del parameters
        return self._memory.feeds(self.processor.arrays([inputs]))

    def _forward(
        self, model_inputs: dict[str, Any], *, deterministic: bool = True, **parameters: Any
    ) -> Mapping[str, Any]:
        """What the network tells of rows; what it will remember is kept."""
        del parameters
        feeds = model_inputs
        if not deterministic and self._is_drawn_inside:
            rows = len(feeds["observation"])
            noise = sampling.generator().standard_normal((rows, self.processor.action.size))
            feeds = {**feeds, "noise": noise.astype(np.float32)}
        found = self._computed(feeds)
        if "next_state" in found:
            self._memory.keep(found["next_state"])
        return found

    def postprocess(
        self,
        model_outputs: Any,
        *,
        deterministic: bool = True,
        value: bool = False,
        probabilities: bool = False,
    ) -> Any:
        """What the network told of one row as the answer."""
        return self._told(model_outputs, deterministic, value, probabilities)[0]

    def _answered(self, observations: Any, given: tuple[dict[str, Any], ...]) -> list[Any]:
        """The answers to rows, all of them computed together, or AT_ONCE."""
        _, forward, post = given
        feeds = self._memory.feeds(self.processor.arrays(observations))
        rows = len(feeds["observation"])
        if rows <= AT_ONCE:
            return self._told(self._forward(feeds, **forward), **post)
        answers: list[Any] = []
        states: list[NDArray[np.float32]] = []
        for start in range(0, rows, AT_ONCE):
            part = {name: one[start : start + AT_ONCE] for name, one in feeds.items()}
            found = self._forward(part, **forward)
            answers += self._told(found, **post)
            if "next_state" in found:
                states.append(found["next_state"])
        if states:
            self._memory.keep(*states)
        return answers

    def _computed(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        seen = feeds["observation"]
        if seen.dtype != np.float32:  # of pictures, which are kept as bytes
            feeds = {**feeds, "observation": seen.astype(np.float32)}
        found = self._session.run(feeds)
        for name, one in found.items():
            if not np.isfinite(one).all():
                raise InvalidModelError(
                    f"`{self.model.name_or_path}` computes numbers that are none: "
                    f"its {name} hold NaN or infinity"
                )
        return found

    def _told(
        self,
        found: Mapping[str, NDArray[Any]],
        deterministic: bool = True,
        value: bool = False,
        probabilities: bool = False,
    ) -> list[dict[str, Any]]:
        """The answer to each row."""
        own, told = self.processor, found["action"]
        is_drawn = not deterministic and not self._is_drawn_inside
        random = sampling.generator() if is_drawn else None
        answers: list[dict[str, Any]] = [
            {"action": one} for one in own.actions(told, random=random)
        ]
        if value:
            for answer, one in zip(answers, found["value"].tolist(), strict=True):
                answer["value"] = one
        if probabilities:
            for answer, one in zip(answers, own.probabilities(told), strict=True):
                answer["probabilities"] = one
        return answers


def _axes(given: Any) -> int | None:
    """How many axes an observation has, or a list of them one more; None if it is neither."""
    if isinstance(given, np.ndarray):
        return given.ndim
    if isinstance(given, list | tuple):
        several = cast("Sequence[Any]", given)
        inner = _axes(several[0]) if several else 0
        return None if inner is None else 1 + inner
    if isinstance(given, int | float | np.generic):
        return 0
    return np.ndim(given) if hasattr(given, "__array__") else None


def _check(own: PolicyProcessor, name: str, session: Session) -> None:
    """Refuses a graph that is not of the spaces that processor.json tells of.

    Raises:
        InvalidModelError: they disagree.
    """
    seen, told = session.inputs["observation"].shape[1:], session.outputs["action"].shape[1:]
    if seen != own.shape or told != (own.action.size,):
        raise InvalidModelError(
            f"{FILE} of `{name}` tells of observations {own.shape} and {own.action.size} numbers "
            f"of an action, and its network is for {seen} and {', '.join(map(str, told))}",
            hint="take the whole folder that `silmu train` wrote",
        )


def _zeros(port: Port) -> NDArray[Any]:
    return np.zeros([one if isinstance(one, int) else 1 for one in port.shape], np.float32)


def _without(options: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != name}
