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
from silmu.runtime.lens import MOST as MOST_SMALLER
from silmu.runtime.lens import PLAIN, Lens
from silmu.runtime.spaces import MIN_PICTURE
from silmu.steps.prepare.prepared import ABOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from silmu.runtime.spaces import Space
    from silmu.steps.collect.environments import Environment

FORMAT = 1
MOST_FRAMES = 64
LONGEST_EPISODE = 10_000
"""Steps of an episode that nothing else ends."""

IMAGE_FRAMES = 4
"""Pictures that are seen at once, so that what moves is seen to move (Mnih et al. 2015)."""

USUAL_SIDE = 84
"""About so long the shorter side of a picture becomes, as there."""


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
        grey, smaller: how pictures are read, as of `Lens`.
        fitted: a hash of all this.
    """

    path: Path
    environment: Environment
    frames: int
    normalise: bool
    max_episode_steps: int
    grey: bool = False
    smaller: int = 1

    @property
    def lens(self) -> Lens:
        """How pictures are read."""
        return Lens(self.grey, self.smaller)

    @property
    def fitted(self) -> str:
        """What decides how the environment is seen, in a few letters."""
        plain = [self.frames, self.normalise, self.max_episode_steps]
        plain += [self.grey, self.smaller] if self.lens != PLAIN else []
        return " ".join(map(str, plain))

    @property
    def dataset(self) -> Environment:
        """The environment, by the name that other kinds of data have."""
        return self.environment

    def facts(self) -> dict[str, Any]:
        """What was decided, as plain values."""
        names = ("frames", "normalise", "max_episode_steps", "grey", "smaller")
        return {name: getattr(self, name) for name in names}

    def lines(self) -> list[str]:
        """The same for people."""
        seen = "normalised" if self.normalise else "taken as they are"
        at_once = f", {self.frames} at once" if self.frames > 1 else ""
        lines = [f"observations are {seen}{at_once}"]
        if (image := self.environment.observation.image) is not None:
            channels, height, width = self.lens.shape(image)
            colour = ", in grey (grey=false keeps colours)" if self.grey else ""
            lines.append(f"pictures are read as {height} x {width} x {channels}{colour}")
        return [
            *lines,
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
        settings: `frames`, `normalise`, `max_episode_steps`, `grey`, `smaller`; what is None is
            decided by the spaces and by `algorithm`.

    Raises:
        UsageError: a value is out of range, or is of pictures, and there are none.
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
    lens = _lens(space, settings)
    decided: dict[str, Any] = {
        "frames": int(frames),
        "normalise": _normalised(space, settings),
        "max_episode_steps": int(limit),
        "grey": lens.grey,
        "smaller": lens.smaller,
    }
    with store.new_folder(folder, meta={"dataset": environment.fingerprint}) as writer:
        about = {"format": FORMAT, "dataset": environment.fingerprint, **decided}
        writer.write(ABOUT, json.dumps(about, indent=1).encode() + b"\n")
    return PreparedEnvironment(Path(folder), environment, **decided)


def _normalised(space: Space, settings: Mapping[str, Any]) -> bool:
    """Numbers are, one of many is not; of pictures only PPO learns the scale."""
    chosen, algorithm = settings.get("normalise"), settings.get("algorithm") or "ppo"
    can = not space.is_image or algorithm == "ppo"
    if chosen and not can:
        raise UsageError(
            f"normalise is true, and {algorithm} learns no scale of pictures",
            hint="leave it out, or --set algorithm=ppo",
        )
    return space.kind == "box" and can if chosen is None else bool(chosen)


def _lens(space: Space, settings: Mapping[str, Any]) -> Lens:
    """Of large pictures and of those in colour, less is enough to act by, and far quicker."""
    grey, smaller = settings.get("grey"), settings.get("smaller")
    if space.image is None:
        if grey or (smaller or 1) != 1:
            raise UsageError(
                f"grey and smaller are of pictures, and the environment shows {space}",
                hint="leave them out",
            )
        return PLAIN
    channels, height, width = space.image
    if grey and channels != 3:
        raise UsageError(f"grey is true, and the pictures have {channels} channels; it needs 3")
    if smaller is None:
        smaller = min(max(round(min(height, width) / USUAL_SIDE), 1), MOST_SMALLER)
    most = min(height, width) // MIN_PICTURE
    if not 1 <= smaller <= min(most, MOST_SMALLER):
        raise UsageError(
            f"smaller is {smaller}; of pictures of {height} x {width} it may be from 1 to {most}, "
            f"which leaves {MIN_PICTURE} pixels a side"
        )
    return Lens(channels == 3 if grey is None else bool(grey), int(smaller))
