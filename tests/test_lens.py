"""Pictures of an environment as a policy reads them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import policy_models
import silmu
from silmu.errors import InvalidModelError
from silmu.runtime.lens import PLAIN, Lens
from silmu.runtime.policy import PolicyProcessor
from silmu.runtime.spaces import Space

COLOURS = Space(
    "box", shape=(75, 81, 3), low=np.zeros(18225), high=np.full(18225, 255.0), dtype="uint8"
)
TWO = policy_models.TWO


def drawn(*shape: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("lens", [Lens(grey=True), Lens(smaller=2), Lens(True, 2), Lens(True, 3)])
def test_a_pixel_is_the_mean_of_those_that_it_stands_for(lens: Lens) -> None:
    pictures, side = drawn(2, 3, 75, 81), lens.smaller
    assert lens.shape((3, 75, 81)) == (1 if lens.grey else 3, 75 // side, 81 // side)
    found = lens.array(pictures)
    assert found.dtype == np.uint8
    assert found.shape == (2, *lens.shape((3, 75, 81)))
    for row, y, x in [(0, 0, 0), (1, 75 // side - 1, 81 // side - 1), (0, 3, 11)]:
        part = pictures[row, :, y * side : (y + 1) * side, x * side : (x + 1) * side]
        mean = part.reshape(3, -1).mean(1)
        wanted = [mean @ [0.299, 0.587, 0.114]] if lens.grey else mean
        np.testing.assert_allclose(found[row, :, y, x], wanted, atol=0.5001)


def test_white_stays_white_and_what_is_left_alone_is_the_same() -> None:
    white = np.full((1, 3, 64, 64), 255, np.uint8)
    assert (Lens(True, 1).array(white) == 255).all()
    assert (Lens(False, 64).array(white) == 255).all()
    assert PLAIN.array(white) is white


@pytest.mark.parametrize("given", [(1, 2), (True, 0), (True, 65), (False, 2.0), (False, True)])
def test_what_is_no_lens_is_refused(given: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="smaller"):
        Lens(*given)
    with pytest.raises(ValueError, match="3 channels"):
        Lens(grey=True).shape((4, 84, 84))


@pytest.mark.parametrize("normalise", [False, True])
def test_a_policy_sees_through_its_lens(tmp_path: Path, normalise: bool) -> None:
    own = PolicyProcessor(COLOURS, TWO, frames=2, lens=Lens(True, 2))
    assert own.shape == (2, 37, 40)
    path = policy_models.write(tmp_path / "m", own, kind="cnn", normalise=normalise)
    pipe = silmu.pipeline(model=path)
    assert pipe.processor == own
    frames = drawn(3, 75, 81, 3)
    values = [pipe(frame, value=True)["value"] for frame in frames]
    assert len(set(values)) == 3
    seen = own.lens.array(frames.transpose(0, 3, 1, 2))[:, 0]
    for i, value in enumerate(values):
        pair = np.stack([seen[max(i - 1, 0)], seen[i]])[None].astype(np.float32)
        assert pipe.model(observation=pair)["value"][0] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("wrong", [{"grey": 1}, {"smaller": 0}, {"smaller": "2"}])
def test_a_folder_that_tells_of_no_lens_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    own = PolicyProcessor(COLOURS, TWO, lens=Lens(True, 2))
    folder = Path(policy_models.write(tmp_path / "m", own, kind="cnn"))
    file = folder / "processor.json"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | wrong))
    with pytest.raises(InvalidModelError, match="not what silmu writes"):
        silmu.pipeline(model=str(folder))


def test_numbers_have_no_lens() -> None:
    with pytest.raises(ValueError, match="no picture"):
        PolicyProcessor(policy_models.CART, TWO, lens=Lens(smaller=2))
    with pytest.raises(ValueError, match="3 channels"):
        dataclasses.replace(PolicyProcessor(policy_models.GREY, TWO), lens=Lens(grey=True))
