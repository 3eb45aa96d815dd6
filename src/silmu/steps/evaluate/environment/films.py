"""Episodes to be looked at: films of the best and of the worst, and moments of lowest value."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, final

from numpy.typing import NDArray

from silmu import store
from silmu.errors import InputError, SilmuError
from silmu.runtime.animation import Animation, draw_in_memory
from silmu.steps.collect.environments import Environment
from silmu.steps.evaluate.environment.acting import Policy
from silmu.steps.evaluate.environment.episodes import Played, Row, again
from silmu.steps.train.progress import Progress, Work

PACE = 30
"""Steps a second of an environment that does not say how fast it is shown."""

SIDE = 240
"""Pixels of the longer side of what is in the page; the files beside it are larger."""

SECONDS = 10
"""A film in the page is no longer: where an episode is, it is shown faster."""

MOMENTS = 4
POINTS = 300
"""So many values of an episode are kept at most."""


def shown(
    pipe: Any,
    environment: Environment,
    played: Played,
    limit: int,
    folder: Path | None,
    progress: Progress,
) -> dict[str, Any]:
    """The films and moments of a report, as `details.environment` has them.

    Where the environment cannot show itself, they have no pictures, and `unseen` says why.

    Args:
        pipe: the policy.
        environment: in which.
        played: its episodes.
        limit: steps after which an episode is cut.
        folder: where `best.webp` and `worst.webp` go; the page has small ones all the same.
        progress: what shows how long it goes.
    """
    films = [_told(name, number, played) for name, number in _chosen(played)]
    moments = _lowest(played)
    unseen = None
    try:
        steps = sum(film["length"] for film in films) + sum(moment["step"] for moment in moments)
        work = progress.work("steps played again to be filmed", steps)
        camera = Camera(pipe, environment, played, limit, work)
        for film in films:
            film |= camera.film(film["number"], None if folder is None else folder / film["file"])
        for moment in moments:
            moment["picture"] = camera.picture(moment["number"], moment["step"])
    except Exception as error:
        # Drawing is code of others, and is done with libraries that a machine may lack.
        unseen = error.message if isinstance(error, SilmuError) else _said(error)
    for film in films:
        film["file"] = film["file"] if film["picture"] and folder is not None else None
    return {"films": films, "moments": moments, "unseen": unseen}


@final
class Camera:
    """Sees episodes that were played once more.

    They are acted as they were. Where an environment does not give the same again, the policy acts
    anew, and what is seen is another episode that began from the same seed.
    """

    def __init__(
        self, pipe: Any, environment: Environment, played: Played, limit: int, work: Work
    ) -> None:
        self._pipe, self._environment = pipe, environment
        self._played, self._limit, self._work = played, limit, work
        draw_in_memory()

    def film(self, number: int, path: Path | None) -> dict[str, Any]:
        """A film of a whole episode: a small one for the page, and one in a file if asked for."""
        films: list[Animation] = []
        earned, speed = 0.0, 1
        for row in self._again(number):
            if not films:
                pace = _pace(row)
                speed = max(1, math.ceil(int(self._played.lengths[number]) / (pace * SECONDS)))
                films.append(Animation(pace * speed, side=SIDE))
                if path is not None:
                    films.append(Animation(pace))
            # What is drawn for one is drawn for both.
            drawn = cache(row.made.render)
            for one in films:
                one.take(drawn, is_last=row.is_over)
            earned = row.episode.total
        if path is not None:
            store.write_file(path, films[1].to_bytes())
        width, height = films[0].size
        src = f"data:image/webp;base64,{base64.b64encode(films[0].to_bytes()).decode()}"
        return {
            "picture": {"src": src, "width": width, "height": height},
            "speed": speed,
            "filmed_return": earned,
        }

    def picture(self, number: int, step: int) -> dict[str, Any] | None:
        """The frame before a step; None where the episode was over before it."""
        for row in self._again(number):
            if len(row.episode.actions) == step:
                return _img(row.made.render())
        return None

    def _again(self, number: int) -> Iterator[Row]:
        actions = self._played.actions[number]
        policy = Policy(self._pipe)

        def act(observation: NDArray[Any], step: int) -> Any:
            if not self._environment.deterministic:
                return policy.act([observation])[0][0]
            if step >= len(actions):
                raise InputError("an episode is longer when it is played again")
            return actions[step]

        seed = self._played.seeds[number]
        for row in again(
            self._environment, seed, number, self._limit, act, render_mode="rgb_array"
        ):
            yield row
            self._work.done(not row.is_over)
        policy.leave()


def _chosen(played: Played) -> list[tuple[str, int]]:
    """The names and numbers of the episodes that are shown."""
    best, worst = int(played.returns.argmax()), int(played.returns.argmin())
    return [("best", best)] if best == worst else [("best", best), ("worst", worst)]


def _told(name: str, number: int, played: Played) -> dict[str, Any]:
    """An episode in numbers."""
    values = played.values[number]
    every = -(-len(values) // POINTS) if len(values) else 1
    return {
        "name": name,
        "number": number,
        "return": float(played.returns[number]),
        "length": int(played.lengths[number]),
        "cut": bool(played.cut[number]),
        "file": f"{name}.webp",
        "values": [[step, float(values[step])] for step in range(0, len(values), every)],
        "picture": None,
    }


def _lowest(played: Played) -> list[dict[str, Any]]:
    """The moment of lowest value of each of the episodes where it is lowest."""
    found = [
        (float(values.min()), number, int(values.argmin()))
        for number, values in enumerate(played.values)
        if len(values)
    ]
    return [
        {
            "number": number,
            "step": step,
            "value": value,
            "return": float(played.returns[number]),
            "length": int(played.lengths[number]),
            "picture": None,
        }
        for value, number, step in sorted(found)[:MOMENTS]
    ]


def _pace(row: Row) -> float:
    """How many steps make a second."""
    metadata: Any = getattr(row.made, "metadata", None) or {}
    pace = metadata.get("render_fps")
    return float(pace) if isinstance(pace, int | float) and pace > 0 else PACE


def _img(given: Any) -> dict[str, Any]:
    """A frame as an element img has it."""
    animation = Animation(PACE, side=SIDE)
    animation.take(lambda: given, is_last=True)
    width, height = animation.size
    src = f"data:image/webp;base64,{base64.b64encode(animation.to_bytes()).decode()}"
    return {"src": src, "width": width, "height": height}


def _said(error: BaseException) -> str:
    """An exception of others in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()):.300}"
