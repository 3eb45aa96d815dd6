"""Frames of an episode as a picture that moves: WebP or PNG, which every browser plays."""

from __future__ import annotations

import io
import os
import sys
import zlib
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

KINDS = {".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
"""The formats that move, by the endings of their files."""

SIDE = 480
"""How many pixels the longer side of a frame has at most."""

FASTEST = 30.0
"""How many frames a second are kept at most."""

MOST = 9000
"""How many frames are kept at most: five minutes."""

PAUSE = 0.7
"""For how many seconds the last frame of an episode is seen."""

_WEBP = {"quality": 75, "method": 2, "kmin": 30, "kmax": 120}


def kind_of(path: Path) -> str:
    """The format that a file is to have, by its ending.

    >>> from pathlib import Path
    >>> kind_of(Path("lander.webp"))
    'WEBP'

    Raises:
        UsageError: no format that moves has this ending.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"a video is written as {', '.join(KINDS)}, and `{path.name}` is none of them",
            hint=f"such as {path.stem or 'video'}.webp",
        )
    return kind


def draw_in_memory() -> None:
    """Lets pygame and MuJoCo draw where there is no display; to be called before they draw.

    pygame would look for one, and says a word on stdout, where answers go. What the environment
    variables say already holds. Not for a process that shall not draw: MuJoCo may be there without
    EGL, and then refuses to be imported.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    has_display = {"DISPLAY", "WAYLAND_DISPLAY"} & {*os.environ}
    if sys.platform.startswith("linux") and not has_display:
        os.environ.setdefault("MUJOCO_GL", "egl")


@final
class Animation:
    """Frames that are taken one after another, at the pace of what they show.

    Of more than FASTEST frames a second only every n-th is taken, and the others are not even
    rendered; what is seen keeps its pace. Frames are held packed, so that a thousand of them take
    some tens of megabytes.

    >>> animation = Animation(50)
    >>> for step in range(4):
    ...     animation.take(lambda: np.full((32, 48, 3), 60 * step, np.uint8))
    >>> len(animation), animation.to_bytes("WEBP")[8:12]
    (2, b'WEBP')

    Args:
        pace: how many steps of what is shown make a second.
        side: how many pixels the longer side has at most; larger frames are made smaller.
        most: how many frames are taken at most; `is_full` tells that there are so many.
    """

    def __init__(self, pace: float, *, side: int = SIDE, most: int = MOST) -> None:
        self._every = max(1, int(np.ceil(pace / FASTEST)))
        self._milliseconds = 1000 / pace
        self._side, self._most = side, most
        self._steps = 0
        self._size = (0, 0)
        self._frames: list[bytes] = []
        self._durations: list[float] = []

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels; 0 before the first frame."""
        return self._size

    @property
    def is_full(self) -> bool:
        """Whether no more frames are taken."""
        return len(self._frames) >= self._most

    def take(self, render: Callable[[], Any], *, is_last: bool = False) -> None:
        """Takes the frame of one step, if it is one of those that are seen.

        Args:
            render: gives the frame, uint8 (height, width, 3); it is called only if it is taken.
            is_last: whether it ends an episode: it is taken, stands for a while, and the frame
                after it begins the next episode.

        Raises:
            InputError: what `render` gives is no frame, or of another size than those before.
        """
        turn, self._steps = self._steps, 0 if is_last else self._steps + 1
        if self.is_full:
            return
        if is_last or turn % self._every == 0:
            self._add(render())
        elif self._durations:
            self._durations[-1] += self._milliseconds
        if is_last:
            self._durations[-1] = 1000 * PAUSE

    def to_bytes(self, kind: str = "WEBP") -> bytes:
        """The file, in one of the formats of KINDS; it plays again and again.

        Raises:
            InputError: no frame was taken.
        """
        if not self._frames:
            raise InputError("there is no frame to show")
        from PIL import Image, ImageFile

        frames, size = self._frames, self._size

        class Film(ImageFile.ImageFile):
            """Unpacks a frame when the encoder turns to it, so that one is in memory at a time."""

            format = "FILM"
            n_frames = len(frames)
            is_animated = True

            def _open(self) -> None:
                self._mode, self._size = "RGB", size
                self.seek(0)

            def seek(self, frame: int) -> None:
                if not 0 <= frame < self.n_frames:
                    raise EOFError("no more frames")
                self._at = frame
                self.im = Image.frombytes("RGB", size, zlib.decompress(frames[frame])).im

            def tell(self) -> int:
                return self._at

        held = io.BytesIO()
        settings = _WEBP if kind == "WEBP" else {}
        durations = [max(1, round(one)) for one in self._durations]
        Film(io.BytesIO()).save(held, kind, save_all=True, duration=durations, loop=0, **settings)
        return held.getvalue()

    def _add(self, given: Any) -> None:
        from PIL import Image

        frame: NDArray[Any] = np.asarray(given)
        if frame.ndim == 2:
            frame = np.repeat(frame[..., None], 3, axis=2)
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise InputError(
                f"a frame is {frame.dtype} {frame.shape}; it must be uint8 (height, width, 3)",
                hint='render() of an environment gives it with render_mode="rgb_array"',
            )
        height, width = frame.shape[:2]
        share = min(1.0, self._side / max(height, width))
        size = (max(1, round(width * share)), max(1, round(height * share)))
        if self._frames and size != self._size:
            raise InputError(
                f"a frame has {size[0]} by {size[1]} pixels, and those before it "
                f"{self._size[0]} by {self._size[1]}"
            )
        self._size = size
        if share < 1:
            picture = Image.fromarray(frame).resize(size, Image.Resampling.BOX)
            frame = np.asarray(picture)
        self._frames.append(zlib.compress(frame.tobytes(), 1))
        self._durations.append(self._milliseconds)
