"""An environment as a run keeps it: how to make it again, what it shows and takes, a fingerprint.

The sealed folder `1-dataset/` holds `environment.json` alone. There are no rows: what is learnt
from comes about while it is learnt.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

from silmu import store
from silmu.errors import CorruptError, InputError, InvalidModelError, UnsafeModelError, UsageError
from silmu.runtime.space_forms import from_plain, of_gymnasium, to_plain
from silmu.runtime.spaces import Space
from silmu.steps.collect.environments import making, own_code

if TYPE_CHECKING:
    from silmu.steps.collect.dataset import Drop

FORMAT = 1
FILE = "environment.json"
IN_MEMORY = "in memory"
"""The source of a class or factory that a program gave."""

Source = str | Path | Callable[..., Any]


@final
@dataclass(frozen=True)
class Environment:
    """An environment with its spaces, as it lies in a sealed folder.

    Attributes:
        path: the folder.
        source: an id, `file.py:name`, `module:name`, or `in memory`.
        kwargs: what it is made with.
        name: what people call it.
        observation, action: its spaces.
        max_episode_steps: after which an episode is cut; None where only the environment ends it.
        deterministic: whether the same seed and actions gave the same twice.
        fresh: whether they do so only where each episode has an environment newly made.
        versions: of gymnasium and of the package that it comes from.
        where: the absolute path of a file of one's own.
        file: the SHA-256 of a file of one's own, or of the class or factory that a program gave;
            None for what an installed package has.
        trial: what random actions came to: `mean_return`, `mean_length`, `reward_range`, ...
        fingerprint: of what decides of all this, and of the first 200 steps.
    """

    path: Path
    source: str
    kwargs: Mapping[str, Any]
    name: str
    observation: Space
    action: Space
    max_episode_steps: int | None
    deterministic: bool
    fresh: bool
    versions: Mapping[str, str]
    where: str | None
    file: str | None
    trial: Mapping[str, Any]
    fingerprint: str
    given: Callable[..., Any] | None = field(default=None, compare=False, repr=False)
    """The class or factory itself, where a program gave it."""

    num_rows: ClassVar[int] = 0
    rows_in: ClassVar[int] = 0
    dropped: ClassVar[tuple[Drop, ...]] = ()

    @classmethod
    def open(cls, path: str | Path, source: Source | None = None) -> Environment:
        """The environment in a folder, which is checked against its manifest.

        Args:
            path: of the folder.
            source: the class or factory, where a program gave one.

        Raises:
            CorruptError: the folder is not what collect wrote.
        """
        path = Path(path)
        store.verify(path)
        try:
            about: dict[str, Any] = json.loads((path / FILE).read_bytes())
            if about.pop("format") != FORMAT:
                raise CorruptError(f"`{path}` has another format; silmu reads {FORMAT}")
            observation, action = (from_plain(about.pop(key)) for key in ("observation", "action"))
            given = source if callable(source) else None
            return cls(path=path, observation=observation, action=action, given=given, **about)
        except (OSError, ValueError, KeyError, TypeError, InvalidModelError) as error:
            raise CorruptError(f"`{path}` is no environment that silmu collected") from error

    @property
    def reward_range(self) -> tuple[float, float]:
        """The smallest and the largest reward that random actions earned."""
        low, high = self.trial["reward_range"]
        return low, high

    def facts(self) -> dict[str, Any]:
        """What was collected, as plain values."""
        names = ("source", "fingerprint", "name", "max_episode_steps", "deterministic", "trial")
        spaces = {name: to_plain(getattr(self, name)) for name in ("observation", "action")}
        return {name: getattr(self, name) for name in names} | spaces

    def lines(self) -> list[str]:
        """The same for people."""
        return told(self)

    def make(self, **more: Any) -> Any:
        """The environment, to be stepped through.

        >>> environment.make(render_mode="rgb_array").reset(seed=0)       # doctest: +SKIP

        Args:
            more: what it is made with beside `kwargs`.

        Raises:
            UsageError: a program gave it, and does not now.
            InputError: its file or its spaces are no longer those that were collected.
            UnsafeModelError: its file lies in the run folder.
        """
        source = self._source()
        made = making.make(source, settings=self.kwargs, **more)
        own = spaces_of(made)
        if own != (self.observation, self.action):
            raise InputError(
                f"`{self.name}` now shows {own[0]} and takes {own[1]}; it was collected with "
                f"{self.observation} and {self.action}",
                hint="put it back as it was, or collect anew",
            )
        return made

    def _source(self) -> Source:
        source: Source = self.source
        if source == IN_MEMORY:
            if self.given is None:
                raise UsageError(
                    f"`{self.name}` was given by a program, which is not there now",
                    hint="give the class or factory again as data=, or put it into a file and give "
                    "file.py:name",
                )
            source = self.given
        elif self.where is not None:
            source = own_code.found_again(str(source), self.where)
            file = Path(own_code.absolute(source) or "").resolve()
            if file.is_relative_to(self.path.absolute().parent.resolve()):
                raise UnsafeModelError(
                    f"`{self.name}` is made by {file}, a file that came with the run; silmu runs "
                    "none of these",
                    hint="look at it, put it elsewhere, and collect from there",
                )
        if self.file is not None and hashed(source) != self.file:
            raise InputError(
                f"what `{self.name}` is made by, {own_code.place_of(source)}, is no longer the one "
                "that was collected",
                hint="put it back as it was, or collect anew, into a new run",
            )
        return source

    def __repr__(self) -> str:
        return f"Environment({self.name!r}, shows {self.observation}, takes {self.action})"


def told(environment: Environment) -> list[str]:
    """What was found, a line each."""
    limit, facts = environment.max_episode_steps, environment.trial
    lines = [
        f"`{environment.name}` shows {environment.observation}, and takes {environment.action}",
        f"an episode is cut after {limit:,} steps" if limit else "no time limit of its own",
    ]
    if facts["episodes"]:
        count = facts["episodes"]
        lines.append(
            f"random actions: mean return {facts['mean_return']:.4g}, "
            f"{facts['mean_length']:.4g} steps, over {count} episode{'' if count == 1 else 's'}"
        )
    if environment.fresh:
        lines.append(
            "its reset leaves something behind: each episode has an environment newly made"
        )
    if not environment.deterministic:
        lines.append("not deterministic: a training that was stopped goes on with new episodes")
    return lines


def named(source: Source) -> str:
    """A short name, for the name of a run.

    >>> named("ALE/Breakout-v5"), named("games/maze.py:Maze")
    ('Breakout-v5', 'Maze')
    """
    if not isinstance(source, str | Path):
        name = str(getattr(source, "__name__", type(source).__name__))
        return name if name != "<lambda>" else "environment"
    text = str(source)
    last = re.split(r"[/\\:]", text)[-1] or text
    return Path(last).stem if last.endswith(".py") else last


def spaces_of(environment: Any) -> tuple[Space, Space]:
    """What an environment shows, and what it takes."""
    return (
        of_gymnasium(environment.observation_space),
        of_gymnasium(environment.action_space, "action"),
    )


def hashed(source: Source) -> str | None:
    """The SHA-256 of the file or the class of one's own; None for what an installed package has."""
    text = own_code.own_source(source)
    return None if text is None else hashlib.sha256(text).hexdigest()
