"""A look at an environment before anyone pays: what breaks gymnasium's contract, and what is odd.

A finding is `wrong` where training would break off, learn nothing, or could not go on after a stop;
a `note` where silmu copes by itself or only a person can judge. Its message names the first step
that shows it, and `count` says how many did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, final

from silmu.errors import UsageError
from silmu.runtime import space_forms
from silmu.steps.collect.checks.view import Finding
from silmu.steps.collect.environments import making, registered, trial
from silmu.steps.collect.environments.contract import Breach
from silmu.steps.collect.environments.repeated import repeated
from silmu.steps.collect.environments.settings import checked
from silmu.steps.collect.environments.trial import MOST_BREACHES, Seen, Watched

if TYPE_CHECKING:
    from silmu.runtime.spaces import Space
    from silmu.steps.collect.environments.environment import Source

LARGE, HUGE = 1e4, 1e9
"""Rewards that are worth a note, and those that no network learns from."""

FAR = 1e4
"""Numbers of observations that are worth a note."""

IDLE = 100
"""Steps in which nothing is done."""

SLOW = 100.0
"""Steps a second, below which learning takes days."""


def check(source: Source, *, settings: Mapping[str, Any] | None = None) -> list[Finding]:
    """Everything that is found, what is wrong before what is worth a note.

    >>> check("CartPole-v1")                                             # doctest: +SKIP
    []

    Args:
        source: as `making.make` takes it.
        settings: `max_episode_steps` and `kwargs`, as `collect` takes them.

    Raises:
        UsageError: there is no such environment, or a setting is none.
        MissingExtraError: a package that it needs is not installed.
    """
    wanted = checked(settings)

    def made() -> Any:
        return making.made(source, settings=wanted["kwargs"])

    environment = made()
    try:
        found, shows, takes = _of_spaces(environment)
        if shows is None or takes is None:
            return found
        limit = wanted["max_episode_steps"] or registered.time_limit(environment)
        breaches = _Breaches()
        watched = Watched(environment, shows, takes, breaches.add)
        seen = _looked(watched, limit, breaches)
    finally:
        trial.close(environment)
    found += breaches.findings()
    if not breaches.first:
        found += _of_repeated(made, shows, takes, limit)
    if seen is not None and seen.returns:
        found += [*_of_rewards(seen), *_of_observations(seen, shows), *_of_episodes(seen, limit)]
    found += [_note(kind, what, _TAKEN) for kind, what in watched.remarks.items()]
    return sorted(found, key=lambda finding: finding.severity == "note")


_TAKEN = "silmu takes it as it is; other libraries may not"


@final
class _Breaches:
    """What broke the contract, by kind."""

    def __init__(self) -> None:
        self.first: dict[str, Breach] = {}
        self.counts: dict[str, int] = {}

    def add(self, breach: Breach) -> None:
        """One more; too many end the look."""
        self.first.setdefault(breach.kind, breach)
        self.counts[breach.kind] = self.counts.get(breach.kind, 0) + 1
        if sum(self.counts.values()) >= MOST_BREACHES:
            raise breach

    def findings(self) -> list[Finding]:
        """A finding for each kind."""
        return [
            _finding(kind, "wrong", breach.message, breach.cure, self.counts[kind])
            for kind, breach in self.first.items()
        ]


def _looked(watched: Watched, limit: int | None, breaches: _Breaches) -> Seen | None:
    """Episodes of random actions, and one in which nothing is done; None where they broke off."""
    try:
        seen = trial.look(watched, limit)
        watched.reset(trial.SEED)
        ended = cut = False
        while not (ended or cut or watched.length >= min(limit or IDLE, IDLE)):
            _, _, ended, cut = watched.step(watched.action.idle())
        return seen
    except Breach as breach:
        if breach.kind not in breaches.first:
            breaches.first[breach.kind], breaches.counts[breach.kind] = breach, 1
        return None


def _of_spaces(environment: Any) -> tuple[list[Finding], Space | None, Space | None]:
    """What it shows and what it takes, or what is wrong with that."""
    found: list[Finding] = []
    both: list[Space | None] = []
    for name in ("observation", "action"):
        try:
            own = getattr(environment, f"{name}_space", None)
            both.append(space_forms.of_gymnasium(own, name))
        except UsageError as error:
            both.append(None)
            cure = error.hint or "give a space of gymnasium.spaces"
            found.append(_finding(f"{name} space", "wrong", error.message, cure))
    shows, takes = both
    if takes is not None and not takes.bounded:
        found.append(
            _note(
                "unbounded actions",
                f"the environment takes {takes}; a policy may tell it any number",
                "give bounds: gymnasium.spaces.Box(-1, 1, ...), and scale in step; PPO learns "
                "without, SAC does not",
            )
        )
    return found, shows, takes


def _of_repeated(
    made: Callable[[], Any], shows: Space, takes: Space, limit: int | None
) -> list[Finding]:
    """Whether it gives the same again."""
    try:
        again = repeated(made, shows, takes, limit)
    except Breach as breach:
        return [_finding(breach.kind, "wrong", breach.message, breach.cure)]
    if again.breach is not None:
        return [_finding(again.breach.kind, "wrong", again.breach.message, again.breach.cure)]
    if again.fresh:
        return [
            _note(
                "reset leaves something",
                "an environment that was used goes on otherwise than a new one, after the same "
                "seed and the same actions",
                "let reset put back all that step changes; silmu makes a new one for each episode "
                "of it, which takes longer",
            )
        ]
    return []


def _of_rewards(seen: Seen) -> list[Finding]:
    """Whether rewards tell anything, and how large they are."""
    found: list[Finding] = []
    many = f"{len(seen.returns)} episodes of random actions"
    if len(seen.returns) > 1 and seen.low == seen.high and len(set(seen.returns)) == 1:
        what = f"the reward is {seen.low:g} in each of {seen.steps:,} steps, and every episode "
        kind, cure = "constant reward", "let the reward tell what is better"
        if seen.limited == len(seen.returns) or seen.low == 0:
            sparse = "or it is met by chance too seldom: reward what comes near, or learn longer"
            found.append(_note(kind, f"{what}earns the same, in {many}", f"{cure}; {sparse}"))
        else:
            found.append(_finding(kind, "wrong", f"{what}earns the same, in {many}", cure))
    largest = max(abs(seen.low), abs(seen.high))
    if largest > LARGE:
        cure = "divide rewards so that most lie between -10 and 10"
        severity = "wrong" if largest > HUGE else "note"
        what = f"a reward is {seen.low if -seen.low == largest else seen.high:g}"
        found.append(_finding("large rewards", severity, what, cure))
    return found


def _of_observations(seen: Seen, shows: Space) -> list[Finding]:
    """Whether observations change, and lie where they should."""
    found: list[Finding] = []
    same = len(set(seen.begins)) == 1
    if seen.still and max(seen.lengths) > 1:
        what = f"no observation differs from the first of its episode, in {seen.steps:,} steps"
        cure = "give what changed: a copy of the state, after the step"
        severity = "wrong" if same else "note"
        found.append(_finding("still observations", severity, what, cure))
    pairs = list(zip(seen.ends, seen.begins[1:], strict=False))
    if not seen.still and len(pairs) > 1 and all(end == begin for end, begin in pairs):
        what = f"reset gives the last observation of the episode before, {len(pairs)} times"
        cure = "let reset put the state back and give it"
        found.append(_finding("reset changes nothing", "wrong", what, cure, len(pairs)))
    if seen.outside > 1e-6:
        what = f"an observation lies {seen.outside:g} outside the bounds of {shows}"
        cure = "mend the bounds of observation_space, or what goes beyond them"
        found.append(_note("outside bounds", what, cure))
    if seen.largest > FAR and not shows.is_image:
        what = f"an observation holds a number of size {seen.largest:g}"
        cure = "scale it in the environment; silmu normalises by what it has seen"
        found.append(_note("large observations", what, cure))
    if seen.reused:
        what = "step changes the array that was given before"
        cure = "give a copy: `return self.state.copy(), ...`; silmu copies it"
        found.append(_note("shared array", what, cure))
    return found


def _of_episodes(seen: Seen, limit: int | None) -> list[Finding]:
    """How long episodes are, and how long they take."""
    found: list[Finding] = []
    if max(seen.lengths) == 1 and len(seen.lengths) > 1:
        what = f"each of {len(seen.lengths)} episodes has one step"
        cure = "nothing, where one decision is all; else see what lets step give terminated=True"
        found.append(_note("one step", what, cure))
    if limit is None:
        longest = max(seen.lengths)
        what = f"nothing limits an episode; by chance the longest had {longest:,} steps"
        cure = "--set max_episode_steps=1000, so that a good policy does not play on for ever"
        found.append(_note("no time limit", what, cure))
    rate = seen.steps / max(seen.seconds, 1e-9)
    if rate < SLOW:
        hours = 1e5 / rate / 3600
        what = f"{rate:.3g} steps a second here: 100,000 of them take {hours:.3g} hours"
        found.append(_note("slow", what, "make step quicker, if it can be"))
    return found


def _note(kind: str, what: str, cure: str) -> Finding:
    return _finding(kind, "note", what, cure)


def _finding(
    kind: str, severity: Literal["wrong", "note"], what: str, cure: str, count: int = 1
) -> Finding:
    return Finding(kind, what, (), count, cure, severity)
