"""Whole episodes of an environment, in which a policy acts by itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from silmu.cli import DONE, _streams, _video, _words, answer, tell
from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
    from silmu.cli._asked import Asked
    from silmu.runtime.animation import Animation
    from silmu.runtime.spaces import Space

EPISODES = 5
LONGEST = 10_000
"""Steps of an episode that neither the environment nor a setting ends."""


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
        settings: of `--set`: `deterministic`; `max_episode_steps` and `kwargs`, as training takes
            them; `fresh`, whether each episode has an environment newly made, as in the training
            unless given.
        opened: opens the pipeline with the settings that are left.

    Raises:
        UsageError: the environment is not of the policy's spaces, or shows no frames for a video.
        InputError: it misbehaves; what was seen until then is in the video.
        MissingExtraError: gymnasium, or a package of the environment, is missing.
    """
    from silmu.steps.collect import environments

    names = ("max_episode_steps", "kwargs")
    wanted = environments.checked({n: settings.pop(n) for n in names if n in settings})
    is_fresh = settings.pop("fresh", None)
    if not isinstance(is_fresh, bool | None):
        raise UsageError(f"fresh is {is_fresh!r}; it must be true or false")
    pipe = opened(args, settings).pipe
    if pipe.rows != "environment":
        raise UsageError(
            f"--env names `{args.env}`; it is for policies, and this model is for {pipe.task}",
            hint="leave it out",
        )
    pipe([], **settings)  # says if a setting is wrong
    is_fresh = pipe.processor.fresh if is_fresh is None else is_fresh
    with _streams.only_answers():
        stage = Stage(args.env, wanted["kwargs"], is_seen=args.video is not None, is_fresh=is_fresh)
        try:
            stage.open(pipe.processor.check)
            limit = wanted["max_episode_steps"] or stage.limit
            _play(args, pipe, settings, stage, limit)
        finally:
            stage.close()
            if stage.animation is not None:
                _video.write(Path(args.video), stage.animation)
    return DONE


@final
class Stage:
    """Where episodes are played: an environment, and what is seen of it.

    Args:
        name: of the environment.
        made_with: its `kwargs`.
        is_seen: whether there will be a video.
        is_fresh: whether each episode has an environment newly made.
    """

    def __init__(
        self, name: str, made_with: Mapping[str, Any], *, is_seen: bool, is_fresh: bool
    ) -> None:
        self.animation: Animation | None = None
        self._name, self._made_with = name, made_with
        self._is_seen, self._is_fresh = is_seen, is_fresh
        self._is_used = is_seen  # which is tried out beforehand
        self.environment = self._made()

    def open(self, check: Callable[[str, Space, Space], None]) -> None:
        """Tries out what can be tried before the first episode.

        Args:
            check: refuses spaces that are not those of the policy.
        """
        from silmu.steps.collect.environments.environment import spaces_of

        check(self._name, *spaces_of(self.environment))
        if self._is_seen:
            self.animation = _video.animation_of(self._name, self.environment)

    @property
    def limit(self) -> int:
        """Steps after which an episode is cut."""
        from silmu.steps.collect.environments import registered

        return registered.time_limit(self.environment) or LONGEST

    def begin(self, seed: int) -> Any:
        """Begins an episode; what the environment gives then."""
        from silmu.steps.collect.environments import contract

        if self._is_fresh and self._is_used:
            self.close()
            self.environment = self._made()
        self._is_used = True
        return contract.tried(self.environment.reset, "reset", seed=seed)

    def step(self, action: Any) -> Any:
        """What the environment gives after an action."""
        from silmu.steps.collect.environments import contract

        return contract.tried(self.environment.step, "step", action)

    def film(self, *, is_last: bool = False) -> None:
        """Takes a frame, if there is a video."""
        if self.animation is not None:
            self.animation.take(self.environment.render, is_last=is_last)

    def close(self) -> None:
        """Lets the environment go."""
        from silmu.steps.collect.environments import close

        close(self.environment)

    def _made(self) -> Any:
        return _video.made(self._name, self._made_with, is_seen=self._is_seen)


def _play(
    args: argparse.Namespace, pipe: Any, settings: Mapping[str, Any], stage: Stage, limit: int
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

        done = _episode(act, stage, pipe.processor.observation, number, seed, limit)
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
    if stage.animation is not None and stage.animation.is_full and not args.quiet:
        tell(f"warning: the video ends after {len(stage.animation):,} frames")


def _episode(
    act: Callable[[Any], Any], stage: Stage, space: Space, number: int, seed: int, limit: int
) -> Episode:
    """One episode from its beginning to its end."""
    from silmu.steps.collect.environments import contract

    total, step, action = 0.0, 0, None
    ended = cut = False
    try:
        observation = contract.of_reset(stage.begin(seed), space)
        while not (ended or cut):
            stage.film()
            action, step = act(observation), step + 1
            observation, reward, ended, cut = contract.of_step(stage.step(action), space)
            total += reward
            cut = not ended and (cut or step >= limit)
        stage.film(is_last=True)
    except contract.Breach as breach:
        raise InputError(
            f"the environment misbehaves at {breach.at(step, number, action).message}",
            hint=f"{breach.cure}; `silmu check reinforcement-learning --data ENV` tells all",
        ) from breach
    return Episode(total, step, cut)
