"""Parts of the evaluation of pictures: neighbours, metrics, looks, thumbnails, drift."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from digits import mnist
from PIL import Image

pytest.importorskip("sklearn")

from sklearn import metrics  # pyright: ignore[reportAttributeAccessIssue]
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from silmu.steps.evaluate.image import neighbours, thumbnails
from silmu.steps.evaluate.image.neighbours import Labelled, Rule, fit, nearest, shrunk
from silmu.steps.evaluate.intervals import resample, with_intervals
from silmu.steps.evaluate.metrics import Scored, measure, row_sums, total

KINDS = ("single", "ordered", "multiple", "number", "numbers")


def labelled(kind: str, start: int, stop: int) -> Labelled:
    pixels, digits = (part[start:stop] for part in mnist())
    targets: Any = digits
    if kind == "multiple":
        targets = np.stack([digits % 2 == 0, digits > 4], axis=1).astype(np.uint8)
    if kind.startswith("number"):
        targets = digits.astype(np.float32)
    if kind == "numbers":
        targets = np.stack([targets, 10 - targets], axis=1)
    return Labelled(shrunk(pixels[..., None]), targets)


def width(kind: str) -> int:
    return {"multiple": 2, "number": 0, "numbers": 0}.get(kind, 10)


# ── neighbours ─────────────────────────────────────────────────────────────────────────────────


def test_the_nearest_are_those_of_all_distances() -> None:
    draw = np.random.default_rng(0)
    train = draw.integers(0, 256, (2500, 9)).astype(np.uint8)
    asked = np.concatenate([draw.integers(0, 256, (1100, 9)).astype(np.uint8), train[:7]])
    places, squares = nearest(train, asked, 4)
    away = ((asked[:, None].astype(int) - train[None].astype(int)) ** 2).sum(axis=2)
    order = np.argsort(away, axis=1, kind="stable")[:, :4]
    assert np.array_equal(places, order)
    assert np.array_equal(squares, np.take_along_axis(away, order, axis=1))


def test_of_equal_pictures_the_first_are_the_nearest() -> None:
    train = np.zeros((3000, 4), np.uint8)
    places, squares = nearest(train, train[:2], 5)
    assert places.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert not squares.any()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_neighbours_say_is_what_scikit_learn_says(
    kind: str, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "rules", lambda _rows: [Rule(3, weighted)])
    train, test = labelled(kind, 0, 400), labelled(kind, 400, 600)
    told = fit(kind.rstrip("s"), width(kind), train, test).outputs(test.pixels)
    model: Any = KNeighborsRegressor if kind.startswith("number") else KNeighborsClassifier
    own = model(3, weights="distance" if weighted else "uniform", algorithm="brute")
    own.fit(train.pixels.astype(float), train.targets)
    if kind.startswith("number"):
        expected = own.predict(test.pixels.astype(float))
    else:
        expected = own.predict_proba(test.pixels.astype(float))
        if kind == "multiple":
            expected = np.stack([one[:, 1] for one in expected], axis=1)
    assert told.dtype == np.float32
    assert np.allclose(told, expected, atol=1e-5)


def test_k_is_chosen_on_the_validation_split() -> None:
    one = fit("single", 10, labelled("single", 0, 800), labelled("single", 800, 1200))
    assert len(one.about["validation"]) == 9
    best = max(one.about["validation"].values())
    assert one.about["validation"][one.about["chosen"]] == best
    test = labelled("single", 1200, 1500)
    right = (one.outputs(test.pixels).argmax(axis=1) == test.targets).mean()
    assert right > 0.85
    assert "by pixels" in one.title


def test_labels_drawn_by_lot_are_not_told_better_than_by_chance() -> None:
    draw = np.random.default_rng(0)
    pixels = mnist()[0][:900, ..., None]
    targets = draw.integers(0, 2, 900)
    parts = [Labelled(shrunk(pixels[i : i + 300]), targets[i : i + 300]) for i in (0, 300, 600)]
    one = fit("single", 2, *parts[:2])
    assert abs((one.outputs(parts[2].pixels).argmax(axis=1) == parts[2].targets).mean() - 0.5) < 0.1


def test_neighbours_of_too_few_pictures() -> None:
    train = labelled("single", 0, 2)
    nobody = Labelled(train.pixels[:0], train.targets[:0])
    one = fit("single", 10, train, nobody)
    assert one.about["validation"] == {}
    assert one.outputs(train.pixels).shape == (2, 10)
    assert one.outputs(train.pixels[:0]).shape == (0, 10)


def test_no_more_pictures_are_compared_than_fit(
    monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(neighbours, "MOST_ROWS", 100)
    one = fit("single", 10, labelled("single", 0, 300), labelled("single", 300, 350))
    assert (one.about["rows"], one.about["capped"]) == (100, True)
    assert "100 of the 300 training pictures" in caplog.text


def test_large_pictures_are_compared_by_means() -> None:
    draw = np.random.default_rng(0)
    small = draw.integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    large = small.repeat(7, axis=1).repeat(3, axis=2)
    assert np.array_equal(shrunk(large), small.reshape(3, -1))
    odd = shrunk(np.full((2, 45, 33, 1), 9, np.uint8))
    assert odd.shape == (2, 32 * 32)
    assert (odd == 9).all()
    assert shrunk(small[:, :20]).shape == (3, 20 * 32 * 3)


# ── metrics ────────────────────────────────────────────────────────────────────────────────────


def test_top_5_accuracy_is_that_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    scores = draw.random((300, 12))
    targets = draw.integers(0, 12, 300)
    scored = Scored.of("single", targets, scores / scores.sum(axis=1, keepdims=True))
    sums = row_sums(scored)
    found = with_intervals(scored, sums, resample([sums])[0])["top_5_accuracy"]
    expected = metrics.top_k_accuracy_score(targets, scores, k=5, labels=np.arange(12))
    assert found.value == pytest.approx(expected)
    assert found.low < expected < found.high


def test_top_5_is_told_of_more_than_five_labels() -> None:
    five = Scored.of("single", np.zeros(4, np.int64), np.full((4, 5), 0.2))
    assert "top_5_accuracy" not in measure("single", total(row_sums(five)))
    # Of equal scores only five labels are among the first.
    six = Scored.of("single", np.arange(6), np.full((6, 6), 1 / 6))
    assert measure("single", total(row_sums(six)))["top_5_accuracy"] == pytest.approx(5 / 6)


# ── thumbnails ─────────────────────────────────────────────────────────────────────────────────


def opened(found: dict[str, Any]) -> Image.Image:
    head, _, data = found["src"].partition(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert head == f"data:image/{(image.format or '').lower()}"
    assert image.size == (found["width"], found["height"])
    return image


def test_a_small_picture_keeps_every_pixel() -> None:
    pixels = mnist()[0][0]
    image = opened(thumbnails.thumbnail(Image.fromarray(pixels).convert("RGB")))
    assert np.array_equal(np.asarray(image), pixels)


def test_a_thumbnail_has_nothing_of_its_file_but_pixels() -> None:
    draw = np.random.default_rng(0)
    photo = Image.fromarray(draw.integers(0, 256, (300, 500, 3)).astype(np.uint8))
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    exif.get_ifd(0x8825)[1] = "N"
    held = io.BytesIO()
    photo.save(held, "JPEG", exif=exif, comment=b"a secret place", icc_profile=b"secret" * 99)
    with Image.open(held) as image:
        found = thumbnails.thumbnail(image)
    small = opened(found)
    assert max(small.size) == 96
    assert not small.getexif()
    assert {*small.info} <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"secret" not in base64.b64decode(found["src"].partition(",")[2])


def test_a_sheet_that_is_too_large_is_made_smaller() -> None:
    draw = np.random.default_rng(0)
    large = Image.fromarray(draw.integers(0, 256, (1800, 1200, 3)).astype(np.uint8))
    for image, size in ((large, (640, 960)), (large.crop((0, 0, 40, 30)), (40, 30))):
        held = io.BytesIO()
        image.save(held, "PNG")
        found = thumbnails.sheet(held.getvalue())
        assert found is not None
        assert opened(found).size == size
        assert len(found["src"]) < 1_000_000
    assert thumbnails.sheet(b"no picture") is None
    assert thumbnails.sheet(held.getvalue()[:60]) is None  # pyright: ignore[reportPossiblyUnboundVariable]
