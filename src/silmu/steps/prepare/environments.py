"""Environments: how observations are stacked and normalised, and when an episode is cut.

What normalises observations is fitted while the policy learns, for only then they are seen; what is
decided before is left here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from silmu import store
from silmu.errors import CorruptError, UsageError
from silmu.steps.prepare.prepared import ABOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from silmu.steps.collect.environments import Environment

FORMAT = 1
MOST_FRAMES = 64
LONGEST_EPISODE = 10_000
"""Steps of an episode that nothing else ends."""

IMAGE_FRAMES = 4
"""Pictures that are seen at once, so that what moves is seen to move (Mnih et al. 2015)."""


@final
@dataclass(frozen=True)
class PreparedEnvironment:
    """An environment made ready for training.

    Attributes:
        path: the sealed folder.
        environment: as it was collected.
        frames: the last observations that a policy sees at once.
        normalise: whether observations are shifted and scaled by those that were seen.
        max_episode_steps: after which an episode is cut.
        fitted: a hash of all this.
    """

    path: Path
    environment: Environment
    frames: int
    normalise: bool
    max_episode_steps: int

    @property
    def fitted(self) -> str:
        """What decides how the environment is seen, in a few letters."""
        plain = [self.frames, self.normalise, self.max_episode_steps]
        return " ".join(map(str, plain))

    @property
    def dataset(self) -> Environment:
        """The environment, by the name that other kinds of data have."""
        return self.environment

    def facts(self) -> dict[str, Any]:
        """What was decided, as plain values."""
        names = ("frames", "normalise", "max_episode_steps")
        return {name: getattr(self, name) for name in names}

    def lines(self) -> list[str]:
        """The same for people."""
        seen = "normalised" if self.normalise else "taken as they are"
        at_once = f", {self.frames} at once" if self.frames > 1 else ""
        return [
            f"observations are {seen}{at_once}",
            f"an episode is cut after {self.max_episode_steps:,} steps",
        ]

    @classmethod
    def open(cls, path: str | Path, environment: Environment) -> PreparedEnvironment:
        """What prepare left in a folder.

        Raises:
            CorruptError: the folder is not what prepare wrote, or is of another environment.
        """
        path = Path(path)
        store.verify(path)
        try:
            about: dict[str, Any] = json.loads((path / ABOUT).read_bytes())
            if about.pop("format") != FORMAT or about.pop("dataset") != environment.fingerprint:
                raise CorruptError(
                    f"`{path}` was prepared from another environment than `{environment.path}`",
                    hint="prepare this one again, into a new run",
                )
            return cls(path, environment, **about)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptError(f"`{path}` is not what silmu prepared") from error


def prepare(
    environment: Environment, folder: str | Path, settings: Mapping[str, Any]
) -> PreparedEnvironment:
    """Decides how an environment is seen, and leaves it in a folder.

    Args:
        environment: as it was collected.
        folder: which must not exist.
        settings: `frames`, `normalise`, `max_episode_steps`; what is None is decided by the
            spaces.

    Raises:
        UsageError: a value is out of range.
    """
    space = environment.observation
    frames, limit = settings.get("frames"), settings.get("max_episode_steps")
    if frames is None:
        frames = IMAGE_FRAMES if space.is_image else 1
    if limit is None:
        limit = environment.max_episode_steps or LONGEST_EPISODE
    if not 1 <= frames <= MOST_FRAMES:
        raise UsageError(f"frames is {frames}; it must be from 1 to {MOST_FRAMES}")
    if limit < 1:
        raise UsageError(f"max_episode_steps is {limit}; it must be at least 1")
    chosen = settings.get("normalise")
    decided: dict[str, Any] = {
        "frames": int(frames),
        # Pictures have one range, and of one of many it is known.
        "normalise": space.kind == "box" and not space.is_image if chosen is None else bool(chosen),
        "max_episode_steps": int(limit),
    }
    with store.new_folder(folder, meta={"dataset": environment.fingerprint}) as writer:
        about = {"format": FORMAT, "dataset": environment.fingerprint, **decided}
        writer.write(ABOUT, json.dumps(about, indent=1).encode() + b"\n")
    return PreparedEnvironment(Path(folder), environment, **decided)
