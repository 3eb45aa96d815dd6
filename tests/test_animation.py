"""Frames that move: how many, how long, and the same as those that were shown."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from silmu.errors import InputError, UsageError
from silmu.runtime.animation import Animation, kind_of


def frame(number: int, height: int = 40, width: int = 60) -> Any:
    """A square that moves by four pixels."""
    pixels = np.full((height, width, 3), 240, np.uint8)
    pixels[10:20, 4 * number : 4 * number + 10] = (200, 30, 30)
    return pixels


def read(data: bytes) -> tuple[list[Any], list[float]]:
    """The frames of a file, and for how many milliseconds each is seen."""
    picture = Image.open(io.BytesIO(data))
    frames, durations = [], []
    for one in ImageSequence.Iterator(picture):
        frames.append(np.asarray(one.convert("RGB")).astype(int))
        durations.append(float(one.info["duration"]))
    return frames, durations


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_frames_are_those_that_were_shown(kind: str) -> None:
    animation = Animation(20)
    shown = [frame(i) for i in range(12)]
    for i, one in enumerate(shown):
        animation.take(lambda one=one: one, is_last=i == 5)
    data = animation.to_bytes(kind)
    frames, durations = read(data)
    assert len(frames) == len(animation) == 12
    assert durations == [50] * 5 + [700] + [50] * 6
    worst = max(np.abs(a - b).mean() for a, b in zip(frames, shown, strict=True))
    assert worst < (6 if kind == "WEBP" else 1e-9)
    assert data == animation.to_bytes(kind), "it may be asked again"


def test_what_is_too_fast_to_be_seen_is_not_rendered() -> None:
    animation, rendered = Animation(125), []
    for i in range(23):
        animation.take(lambda i=i: rendered.append(i) or frame(i % 10), is_last=i == 12)
    assert rendered == [0, 5, 10, 12, 13, 18]
    assert sum(read(animation.to_bytes("PNG"))[1]) == pytest.approx(12 * 8 + 700 + 10 * 8, abs=20)


def test_large_frames_are_made_smaller_and_many_are_left_out() -> None:
    animation = Animation(30, side=100, most=3)
    for i in range(9):
        animation.take(lambda i=i: frame(i, 300, 600), is_last=i == 8)
    assert (len(animation), animation.is_full) == (3, True)
    assert [one.shape for one in read(animation.to_bytes())[0]] == [(50, 100, 3)] * 3


def test_a_frame_may_be_grey() -> None:
    animation = Animation(30)
    for grey in (77, 99):
        animation.take(lambda grey=grey: np.full((8, 8), grey, np.uint8))
    assert read(animation.to_bytes("PNG"))[0][0][0, 0].tolist() == [77, 77, 77]


@pytest.mark.parametrize(
    "given", [None, [], np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)]
)
def test_what_is_no_frame(given: Any) -> None:
    with pytest.raises(InputError, match="it must be uint8"):
        Animation(30).take(lambda: given)


def test_frames_of_one_size() -> None:
    animation = Animation(30)
    animation.take(lambda: frame(0))
    with pytest.raises(InputError, match="has 30 by 20 pixels, and those before it 60 by 40"):
        animation.take(lambda: np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match="no frame"):
        Animation(30).to_bytes()


def test_names_of_files() -> None:
    assert [kind_of(Path(name)) for name in ("a.webp", "b.PNG", "c.apng")] == ["WEBP", "PNG", "PNG"]
    with pytest.raises(UsageError, match=r"\.webp, \.png, \.apng, and `a.mp4` is none") as caught:
        kind_of(Path("a.mp4"))
    assert caught.value.hint == "such as a.webp"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is a display")
def test_what_libraries_are_told_where_there_is_no_display() -> None:
    code = (
        "from silmu.runtime.animation import draw_in_memory; draw_in_memory(); import json, os; "
        "print(json.dumps([os.environ.get('MUJOCO_GL'), os.environ['SDL_VIDEODRIVER']]))"
    )
    plain = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    plain = {k: v for k, v in plain.items() if k not in ("MUJOCO_GL", "SDL_VIDEODRIVER")}

    def told(**more: str) -> list[str | None]:
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=plain | more, capture_output=True, check=True)
        return json.loads(done.stdout)

    assert told() == ["egl", "dummy"]
    assert told(DISPLAY=":0") == [None, "dummy"]
    assert told(MUJOCO_GL="osmesa", SDL_VIDEODRIVER="x11") == ["osmesa", "x11"]
