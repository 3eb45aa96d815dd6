"""The video of episodes that `silmu use` plays: tried before the first, written after the last."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silmu.cli import tell
from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
    from silmu.runtime.animation import Animation

PACE = 30
"""Steps a second of an environment that does not say how fast it is shown."""


def check(path: Path) -> None:
    """Refuses a file that could not be written, or is of no format that moves.

    Raises:
        UsageError: as it says.
        MissingExtraError: Pillow is missing.
    """
    from silmu import extras
    from silmu.runtime import animation

    animation.kind_of(path)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError(
            f"--video is `{path}`, which is a folder, or in a folder that is not there",
            hint="name a file in a folder that there is",
        )
    extras.require("image")


def animation_of(name: str, environment: Any) -> Animation:
    """An empty animation, where the environment has shown that it can be seen.

    Raises:
        UsageError: it cannot.
        InputError: it does not even begin an episode.
    """
    from silmu.runtime.animation import Animation
    from silmu.steps.collect.environments import contract

    metadata: Any = getattr(environment, "metadata", None) or {}
    pace = metadata.get("render_fps")
    animation = Animation(pace if isinstance(pace, int | float) and pace > 0 else PACE)
    try:
        environment.reset(seed=0)
    except Exception as error:
        breach = contract.failed(error, "reset")
        raise InputError(f"the environment misbehaves: {breach}", hint=breach.cure) from error
    try:
        Animation(PACE).take(environment.render)
    except Exception as error:
        said = " ".join(str(error).split())
        if isinstance(error, InputError):
            said = error.message
        elif type(error).__name__ != "DependencyNotInstalled":
            said = f"{type(error).__name__}: {said}"
        raise _unseen(name, said) from error
    return animation


def _unseen(name: str, said: str) -> UsageError:
    install = re.search(r"pip install [^`]*", said)
    return UsageError(
        f"`{name}` shows no frames: {said}",
        hint=f"{install[0].strip()}, or leave --video out"
        if install
        else "leave --video out; MuJoCo draws without a display where MUJOCO_GL is egl or osmesa",
    )


def write(path: Path, animation: Animation) -> None:
    """Writes what was seen, if anything was, and says where."""
    from silmu import store
    from silmu.runtime.animation import kind_of

    if len(animation):
        store.write_file(path, animation.to_bytes(kind_of(path)))
        tell(f"video: {path}")


def made(name: str, settings: Mapping[str, Any], *, is_seen: bool) -> Any:
    """The environment, which can show itself where it is to be seen."""
    from silmu.runtime.animation import draw_in_memory
    from silmu.steps.collect.environments import making

    if not is_seen:
        return making.make(name, settings=settings)
    draw_in_memory()
    try:
        return making.make(name, settings=settings, render_mode="rgb_array")
    except UsageError as error:
        if "render_mode" not in error.message:  # else it fails whether it is seen or not
            raise
        raise _unseen(name, error.message) from error
