"""What a policy is asked: observations as JSON, or whole episodes of an environment."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, final

from silmu.cli import DONE, _video, _words, answer, tell
from silmu.cli._asked import Asked, Pairs, lines_of_stdin
from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
    from silmu.cli._rows import Block, Source
    from silmu.runtime.animation import Animation
    from silmu.runtime.policy import PolicyProcessor
    from silmu.runtime.spaces import Space

EPISODES = 5
LONGEST = 10_000
"""Steps of an episode that neither the environment nor a setting ends."""


@final
class Observations(Asked):
    """Observations, one a text: JSON of the environment's shape.

    Args:
        pipe: the pipeline.
        settings: what it is asked.
        data: what --data names.

    Raises:
        UsageError: --data names something.
    """

    tells_json = True

    def __init__(self, pipe: Any, settings: Mapping[str, Any], *, data: str | None = None) -> None:
        super().__init__(pipe, settings)
        if data is not None:
            raise _no_rows()

    def of_texts(self, texts: Sequence[str]) -> Pairs:
        """JSON, in order: to a policy with a memory they are one episode."""
        for text in texts:
            for line in _lines() if text == "-" else (text,):
                given = line if isinstance(line, InputError) else _parsed(line)
                yield None, given

    def expect(self, source: Source) -> None:
        """No rows of a file are observations."""
        raise _no_rows()

    def of_block(self, block: Block) -> Pairs:
        """As `expect`."""
        raise _no_rows()

    def rows_at_once(self, columns: int) -> int:
        """As `expect`."""
        raise _no_rows()

    def given(self, block: Block) -> Any:
        """As `expect`."""
        raise _no_rows()

    def alone(self, given: Any) -> Iterable[Any]:
        """As `expect`."""
        raise _no_rows()

    def answered(self, given: Any, settings: Mapping[str, Any]) -> list[Any]:
        """As `expect`."""
        raise _no_rows()


@final
@dataclass(frozen=True)
class Episode:
    """What came of an episode.

    Attributes:
        total: the sum of its rewards.
        length: how many steps it had.
        is_cut: whether it was stopped by the time limit, rather than by what happened.
    """

    total: float
    length: int
    is_cut: bool


def check(args: argparse.Namespace) -> None:
    """Refuses flags that do not go with each other.

    Raises:
        UsageError: --episodes or --video are given without --env, or --env with other inputs.
    """
    if args.env is None:
        for name in ("episodes", "video"):
            if getattr(args, name) is not None:
                raise UsageError(f"--{name} is given without --env, whose episodes it is about")
        return
    for name in ("data", "input", "output"):
        if getattr(args, name) is not None:
            raise UsageError(f"--env and --{name} are given; give one of the two")
    if args.texts:
        raise UsageError("--env and observations are given; give one of the two")
    if args.episodes is not None and args.episodes < 1:
        raise UsageError(f"--episodes is {args.episodes}; it must be at least 1")
    if args.video is not None:
        _video.check(Path(args.video))


def play(args: argparse.Namespace, settings: dict[str, Any], opened: Callable[..., Asked]) -> int:
    """Lets a policy act in an environment, and tells the return of each episode.

    Args:
        args: env, episodes, video, seed and json as the flags have them.
        settings: of `--set`: `deterministic`, `max_episode_steps`, and `kwargs`, what the
            environment is made with.
        opened: opens the pipeline with the settings that are left.

    Raises:
        UsageError: the environment is not of the policy's spaces, or shows no frames for a video.
        InputError: it misbehaves; what was seen until then is in the video.
        MissingExtraError: gymnasium, or a package of the environment, is missing.
    """
    limit, made_with = _limits(settings)
    pipe = opened(args, settings).pipe
    if pipe.rows != "environment":
        raise UsageError(
            f"--env names `{args.env}`; it is for policies, and this model is for {pipe.task}",
            hint="leave it out",
        )
    from silmu.steps.collect.environments import close, making

    pipe([], **settings)  # says if a setting is wrong
    environment = _video.made(args.env, made_with, is_seen=args.video is not None)
    with ExitStack() as stack:
        stack.callback(close, environment)
        _check_spaces(args.env, environment, pipe.processor)
        animation = None if args.video is None else _video.animation_of(args.env, environment)
        limit = limit or making.time_limit(environment) or LONGEST
        try:
            _play(args, pipe, settings, environment, limit, animation)
        finally:
            if animation is not None and args.video is not None:
                _video.write(Path(args.video), animation)
    return DONE


def _play(
    args: argparse.Namespace,
    pipe: Any,
    settings: Mapping[str, Any],
    environment: Any,
    limit: int,
    animation: Animation | None,
) -> None:
    """All episodes, each told when it is over."""
    import numpy as np

    base = np.random.SeedSequence().generate_state(1)[0] if args.seed is None else args.seed
    returns: list[float] = []
    for number in range(1, (args.episodes or EPISODES) + 1):
        seed = int(np.random.SeedSequence((base, number)).generate_state(1)[0]) & 0x7FFFFFFF
        pipe.reset()

        def act(observation: Any) -> Any:
            return pipe(observation, **settings)["action"]

        space = pipe.processor.observation
        done = _episode(act, environment, space, number, seed, limit, animation)
        returns.append(done.total)
        if args.json:
            told = {"episode": number, "return": done.total, "length": done.length}
            answer(_words.as_json({**told, "cut": done.is_cut, "seed": seed}))
        else:
            cut = ", cut" if done.is_cut else ""
            answer(f"episode {number}: return {done.total:.6g}, {done.length:,} steps{cut}")
    mean = float(np.mean(returns))
    if args.json:
        answer(_words.as_json({"mean_return": mean, "episodes": len(returns)}))
    else:
        ends = f" (lowest {min(returns):.6g}, highest {max(returns):.6g})"
        answer(f"mean return {mean:.6g}{ends if len(returns) > 1 else ''}")
    if animation is not None and animation.is_full and not args.quiet:
        tell(f"warning: the video ends after {len(animation):,} frames")


def _episode(
    act: Callable[[Any], Any],
    environment: Any,
    space: Space,
    number: int,
    seed: int,
    limit: int,
    animation: Animation | None,
) -> Episode:
    """One episode from its beginning to its end."""
    from silmu.steps.collect.environments import contract

    total, step, action = 0.0, 0, None
    ended = cut = False
    try:
        observation = contract.of_reset(_tried(environment.reset, "reset", seed=seed), space)
        while not (ended or cut):
            if animation is not None:
                animation.take(environment.render)
            action, step = act(observation), step + 1
            found = _tried(environment.step, "step", action)
            observation, reward, ended, cut = contract.of_step(found, space)
            total += reward
            cut = not ended and (cut or step >= limit)
        if animation is not None:
            animation.take(environment.render, is_last=True)
    except contract.Breach as breach:
        raise InputError(
            f"the environment misbehaves at {breach.at(step, number, action).message}",
            hint=f"{breach.cure}; `silmu check reinforcement-learning --data ENV` tells all",
        ) from breach
    return Episode(total, step, cut)


def _tried(call: Callable[..., Any], name: str, *given: Any, **named: Any) -> Any:
    """What the environment's own code gives; what it raises as a breach of its contract."""
    from silmu.steps.collect.environments import contract

    try:
        return call(*given, **named)
    except Exception as error:
        raise contract.failed(error, name) from error


def _limits(settings: dict[str, Any]) -> tuple[int | None, dict[str, Any]]:
    """The time limit and what the environment is made with, taken out of the settings."""
    limit, made_with = settings.pop("max_episode_steps", None), settings.pop("kwargs", {})
    if limit is not None and (type(limit) is not int or limit < 1):
        raise UsageError(f"max_episode_steps is {limit!r}; it must be a whole number from 1 on")
    if not isinstance(made_with, dict):
        raise UsageError(
            f"kwargs is {made_with!r}; it must be a JSON object",
            hint="""such as --set 'kwargs={"gravity": -5.0}'""",
        )
    return limit, cast("dict[str, Any]", made_with)


def _check_spaces(name: str, environment: Any, own: PolicyProcessor) -> None:
    """Refuses an environment that shows or takes something else than that of the training."""
    from silmu.runtime.spaces import of_gymnasium

    seen = of_gymnasium(environment.observation_space)
    takes = of_gymnasium(environment.action_space, "action")
    if _form(seen) != _form(own.observation):
        raise UsageError(
            f"`{name}` shows {seen}, and the policy was trained on {own.observation}",
            hint="give the environment of its training, or one that shows the same",
        )
    if takes != own.action:
        raise UsageError(
            f"`{name}` takes {takes}, and the policy gives {own.action}",
            hint="give the environment of its training, or one that takes the same",
        )


def _form(space: Space) -> dict[str, Any]:
    """A space without its bounds, which no observation is held to."""
    return {k: v for k, v in space.to_plain().items() if k not in ("low", "high")}


# ── observations ───────────────────────────────────────────────────────────────────────────────


def _lines() -> Iterator[str | InputError]:
    """The lines of stdin that hold something."""
    return (one for one in lines_of_stdin() if isinstance(one, InputError) or one.strip())


def _parsed(text: str) -> Any:
    try:
        given: Any = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if isinstance(given, list | int | float):
        return cast("Any", given)
    return InputError(
        f"`{text.strip():.40}` is neither a number nor a JSON array",
        hint="an observation is a number, or such as [0.1, 0.2, 0.3, 0.4]",
    )


def _no_rows() -> UsageError:
    return UsageError(
        "--data names a file, and a policy is asked with observations or an environment",
        hint="give observations as JSON, `-` to read them from stdin, or --env ID",
    )
