"""What each layer has learnt: what was planted in a network, or learnt by it, is what is told."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits import mnist
from numpy.typing import NDArray
from PIL import Image

from picture_models import pixels_of, write

pytest.importorskip("sklearn")

from perceptrons import perceptron
from sklearn.feature_selection import f_classif
from sklearn.linear_model import Ridge

import silmu
from silmu.errors import CorruptError, InvalidModelError
from silmu.runtime.processor import Processor
from silmu.steps.collect import collect
from silmu.steps.evaluate import explaining
from silmu.steps.evaluate.image import layers, learnt, probing
from silmu.steps.evaluate.image.exciting import MOST_SHOWN, separation
from silmu.steps.evaluate.trained import training_of
from silmu.steps.prepare import prepare_images
from silmu.steps.prepare.images import features

FITTED, ASKED = 1500, 300
HIDDEN = 16
SIDE, MARK = 24, 6


def mlp(folder: Path, *, learns: bool) -> str:
    """A hidden layer of 16: half of what least squares finds in digits, or of what chance gives."""
    pixels, digits = (one[:FITTED] for one in mnist())
    random = np.random.default_rng(0)
    weights = random.standard_normal((HIDDEN, 28 * 28)) / 28
    bias = np.zeros(HIDDEN)
    if learns:
        inputs = (pixels.reshape(FITTED, -1) / 255 - 0.13) / 0.31
        wide = np.eye(10)[digits]
        found = np.linalg.solve(inputs.T @ inputs + 300 * np.eye(784), inputs.T @ (wide - 0.1))
        weights[:10], bias[:10] = found.T, 0.1
    tensors = {
        "body.0.dense.weight": weights,
        "body.0.dense.bias": bias,
        "output.weight": np.eye(10, HIDDEN) * 5,
        "output.bias": np.zeros(10),
    }
    shape = {"kind": "mlp", "image_size": [28, 28], "hidden_size": HIDDEN, "num_layers": 1}
    labels = [str(i) for i in range(10)]
    return write(folder, tensors, labels, mean=0.13, deviation=0.31, **shape)


def asked() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    pixels, digits = mnist()
    return pixels[FITTED : FITTED + ASKED], digits[FITTED : FITTED + ASKED]


def opened(pixels: NDArray[np.uint8], place: int) -> Image.Image:
    return Image.fromarray(pixels[place]).convert("RGB")


# ── how far a straight line gets ───────────────────────────────────────────────────────────────


def test_a_line_gets_further_from_a_layer_that_learnt_than_from_one_of_chance(
    tmp_path: Path,
) -> None:
    pixels, digits = asked()
    told: dict[bool, dict[str, Any]] = {}
    for learns in (True, False):
        pipe = silmu.pipeline(model=mlp(tmp_path / str(learns), learns=learns))
        found = layers.details(pipe, pixels[..., None], digits, range(1, ASKED + 1))
        assert found is not None
        assert found["probe"]["metric"] == "accuracy"
        told[learns] = {one["name"]: one for one in found["probe"]["layers"]}
        names = ["picture", "layers.0.dense", "network"]
        assert [one["name"] for one in found["probe"]["layers"]] == names
    layer = "layers.0.dense"
    assert told[True]["picture"] == told[False]["picture"]
    assert told[True][layer]["low"] > told[False][layer]["high"]
    assert told[True][layer]["value"] > 0.7
    assert told[False]["network"]["value"] < 0.3


def test_what_tells_all_is_found_and_what_tells_nothing_is_not() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 4, 200)
    noise = random.standard_normal((200, 50)).astype(np.float32)
    clear = (np.eye(4, 50)[targets] + noise / 20).astype(np.float32)
    told = probing.probed("single", {"picture": noise, "layers.0": clear}, targets, labels=4)
    assert told is not None
    first, last = told["layers"]
    assert first["high"] < 0.45
    assert last["value"] > 0.97
    assert told["comparison"]["low"] > 0.4
    assert told["comparison"]["sentence"].startswith("better than the picture itself by ")
    again = probing.probed("single", {"picture": noise, "layers.0": clear}, targets, labels=4)
    assert again == told


@pytest.mark.parametrize("numbers", [6, 90])
def test_what_is_missed_of_a_row_is_what_a_line_without_it_misses(numbers: int) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((40, numbers)) / 5
    x -= x.mean(axis=0)
    targets = x[:, :3] * 4 + random.standard_normal((40, 3)) + [5, -2, 0]
    for penalty, (_, error) in zip(
        probing.PENALTIES * len(x), probing.left_out(x, targets), strict=True
    ):
        for row in (0, 17, 39):
            others = np.arange(40) != row
            rows, wanted = x[others], targets[others]
            line = Ridge(alpha=penalty).fit(rows, wanted)
            missed = targets[row] - line.predict(x[row : row + 1])[0]
            np.testing.assert_allclose(error[row], missed, rtol=1e-5, atol=1e-8)


def test_pictures_of_a_group_are_left_out_together() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    of_group = random.integers(0, 2, 40)
    # What is seen tells the group, and the group has its label by chance.
    seen = np.eye(40)[groups] + random.standard_normal((200, 40)) / 10
    given = {"picture": seen.astype(np.float32)}
    leaky = probing.probed("single", given, of_group[groups], labels=2)
    sound = probing.probed("single", given, of_group[groups], None, groups, labels=2)
    assert leaky is not None
    assert sound is not None
    assert leaky["layers"][0]["low"] > 0.75
    assert sound["layers"][0]["low"] < 0.6


@pytest.mark.parametrize(
    ("kind", "metric"),
    [("multiple", "f1_macro"), ("number", "mean_absolute_error"), ("ordered", None)],
)
def test_other_kinds_are_told_by_their_metric(kind: str, metric: str | None) -> None:
    random = np.random.default_rng(0)
    seen = random.standard_normal((120, 6)).astype(np.float32)
    targets: NDArray[Any] = (seen[:, 0] * 3).astype(np.float32)
    if kind == "multiple":
        targets = (seen[:, :3] > 0).astype(np.uint8)
    elif kind == "ordered":
        targets, metric = np.digitize(seen[:, 0], [-0.5, 0.5]), "mean_absolute_error"
    chance = random.standard_normal((120, 6)).astype(np.float32)
    told = probing.probed(kind, {"picture": chance, "layers.0": seen}, targets, labels=3)
    assert told is not None
    assert told["metric"] == metric
    assert told["comparison"]["low"] > 0, "a difference above 0 is for the better"


def test_of_few_pictures_or_of_one_label_nothing_is_told() -> None:
    seen = np.ones((30, 4), np.float32)
    assert probing.probed("single", {"picture": seen}, np.zeros(30, np.int64), labels=2) is None
    few = np.arange(10) % 2
    assert probing.probed("single", {"picture": seen[:10]}, few, labels=2) is None


# ── what excites a channel ─────────────────────────────────────────────────────────────────────


def test_the_separation_of_channels_is_that_of_a_variance_analysis() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 3, 90)
    values = (random.standard_normal((90, 5)) + targets[:, None] * [0, 0.2, 0.5, 1, 3]).astype("f4")
    ratio, _ = f_classif(values, targets)
    expected = ratio * 2 / (ratio * 2 + 90 - 3)
    np.testing.assert_allclose(separation("single", targets, values), expected, rtol=1e-4)
    wide = np.eye(3, dtype=np.uint8)[targets]
    assert separation("multiple", wide, values).argmax() == 4
    assert separation("number", targets.astype(np.float32), values).argmax() == 4


def marked(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noise; every second picture has a light square, anywhere in it."""
    random = np.random.default_rng(0)
    pixels = random.integers(60, 120, (count, SIDE, SIDE), np.uint8)
    labels = np.arange(count) % 2
    for i in np.flatnonzero(labels):
        top, left = random.integers(0, SIDE - MARK, 2)
        pixels[i, top : top + MARK, left : left + MARK] = 250
    return pixels, labels


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CNN whose second channel of three answers light squares, and no other does."""
    random = np.random.default_rng(0)
    kernels = random.standard_normal((3, 1, 3, 3)) / 50
    kernels[1] = 1
    tensors = {
        "body.0.conv.weight": kernels,
        "body.0.norm.weight": np.ones(3),
        "body.0.norm.bias": np.zeros(3),
        "body.0.norm.running_mean": np.array([0, 9, 0]),
        "body.0.norm.running_var": np.ones(3),
        "body.1.dense.weight": random.standard_normal((3, 3 * (SIDE // 2) ** 2)) / 10,
        "body.1.dense.bias": np.zeros(3),
        "output.weight": random.standard_normal((2, 3)),
        "output.bias": np.zeros(2),
    }
    shape = {"kind": "cnn", "image_size": [SIDE, SIDE], "hidden_size": 3, "num_layers": 1}
    target = tmp_path_factory.mktemp("edges") / "model"
    return write(target, tensors, ["plain", "marked"], **shape)


def test_the_channel_that_decides_is_shown_with_what_it_saw(edges: str) -> None:
    pixels, labels = marked(60)
    pipe = silmu.pipeline(model=edges)
    found = layers.details(pipe, pixels[..., None], labels, range(101, 161))
    assert found is not None
    assert (found["pictures"], found["size"]) == (60, [SIDE, SIDE])
    first = found["exciting"][0]
    assert (first["name"], first["sees"]) == ("layers.0.conv", 4)
    best = first["channels"][0]
    assert best["channel"] == 1
    assert best["separation"] > 0.9
    assert best["labels"] == ["marked"] * MOST_SHOWN
    assert all(labels[row - 101] for row in best["rows"])
    strip = pixels_of(best["image"])
    # In the middle of what it saw there is light, which is in few places of these pictures.
    middles = [strip[20, 42 * i + 20, 0] for i in range(MOST_SHOWN)]
    assert min(middles) > 200
    probe = {one["name"]: one["value"] for one in found["probe"]["layers"]}
    assert probe["layers.0.conv"] > 0.9


def test_only_some_pictures_are_looked_at_and_always_the_same(
    edges: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "MOST_PICTURES", 24)
    pixels, labels = marked(50)
    pipe = silmu.pipeline(model=edges)
    first, again, other = (
        layers.details(pipe, pixels[..., None], labels, range(50), seed=seed) for seed in (0, 0, 1)
    )
    assert first is not None
    assert other is not None
    assert first["pictures"] == 24
    assert json.dumps(first) == json.dumps(again)
    assert first["exciting"] != other["exciting"]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("vit-image", "sees the whole"),
        ("swin-image", "how much it sees is not known"),
    ],
)
def test_what_a_layer_sees_is_told_where_it_is_known(models: Path, model: str, words: str) -> None:
    pipe = silmu.pipeline("image-classification", models / model)
    pixels = np.random.default_rng(0).integers(0, 255, (24, 24, 24, 3), np.uint8)
    found = layers.details(pipe, pixels, np.arange(24) % 2, range(24))
    assert found is not None
    patches, *rest = (one["sees"] for one in found["exciting"])
    assert patches == pipe.model.config.to_dict()["patch_size"]
    assert {*rest} == {24 if model == "vit-image" else None}
    text = learnt.section(found)
    assert text is not None
    assert f"sees {patches} pixels across" in text
    assert words in text


def test_a_broken_model_is_an_error_and_not_one_without_layers(tmp_path: Path) -> None:
    pipe = silmu.pipeline(model=mlp(tmp_path / "model", learns=True))
    (tmp_path / "new").write_bytes(b"no weights")
    (tmp_path / "new").replace(tmp_path / "model" / "model.safetensors")
    pixels, digits = asked()
    with pytest.raises(InvalidModelError):
        layers.details(pipe, pixels[..., None], digits, range(ASKED))
    with pytest.raises(InvalidModelError):
        explaining.explain(pipe, opened(pixels, 0))


# ── the page ───────────────────────────────────────────────────────────────────────────────────


def test_the_section_tells_all_that_was_found(edges: str) -> None:
    pixels, labels = marked(60)
    pipe = silmu.pipeline(model=edges)
    found = layers.details(pipe, pixels[..., None], labels, range(60))
    text = learnt.section(found)
    assert text is not None
    assert len(json.dumps(found)) < 200_000
    for words in (
        "How far a straight line gets",
        "First filters",
        "3 patterns of 3 × 3 pixels",
        "From edges to the whole",
        "What excites a channel most",
        "layer 0, conv",
        "sees 4 pixels across",
    ):
        assert words in text
    sources = re.findall(r'src="([^"]*)"', text)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert text.count("<img") == text.count("alt=")
    assert learnt.section(None) is None
    assert learnt.section({}) is None


def test_a_page_asks_for_no_picture_from_elsewhere() -> None:
    assert learnt.raster("https://example.org/a.png", "", "a") == ""
    assert learnt.raster('data:image/png;base64,AA" onerror="x', "", "a") == ""
    assert "<img" in learnt.raster("data:image/png;base64,AAAA", "", "a")


def test_a_model_of_one_layer_shows_what_it_looks_for(tmp_path: Path) -> None:
    weights = np.zeros((2, 28 * 28))
    weights[1, 400] = 1
    tensors = {"output.weight": weights, "output.bias": np.zeros(2)}
    shape = {"kind": "perceptron", "image_size": [28, 28], "hidden_size": 1, "num_layers": 1}
    pipe = silmu.pipeline(model=write(tmp_path / "one", tensors, ["no", "yes"], **shape))
    pixels, digits = asked()
    found = layers.details(pipe, pixels[..., None], digits % 2, range(ASKED))
    assert found is not None
    assert found["filters"]["size"] == [28, 28]
    assert (found["probe"], found["maps"][0]["layers"], found["exciting"]) == (None, [], [])
    text = learnt.section(found)
    assert text is not None
    assert "From edges" not in text


# ── the nearest training pictures ──────────────────────────────────────────────────────────────


def test_the_training_picture_itself_is_the_nearest(tmp_path: Path) -> None:
    pixels, digits = (one[:120] for one in mnist())
    rows = [
        {"image": one, "label": f"digit {digit}"} for one, digit in zip(pixels, digits, strict=True)
    ]
    dataset = collect(rows, tmp_path / "1-dataset", kind="image", input="image", target="label")
    prepared = prepare_images(dataset, tmp_path / "2-prepared", settings={"labels": "single"})
    learned = mlp(tmp_path / "4-model", learns=True)
    labels = {str(i): label for i, label in enumerate(prepared.labels)}
    config = json.loads((tmp_path / "4-model" / "config.json").read_text())
    assert len(labels) == 10
    (tmp_path / "4-model" / "config.json").write_text(json.dumps({**config, "id2label": labels}))
    (tmp_path / "4-model" / "processor.json").write_bytes(
        Processor(("image",), "single", None).to_bytes()
    )
    train = features(prepared, "train")
    row = int(train.rows[7])
    told = explaining.explain(silmu.pipeline(model=learned), opened(pixels, row))
    near = told["nearest"]
    assert near["of"] == near["compared"] == len(train)
    first = near["pictures"][0]
    assert first["row"] == int(dataset.row_numbers[row])
    assert first["label"] == f"digit {digits[row]}"
    assert first["similarity"] == pytest.approx(1, abs=1e-6)
    alike = [one["similarity"] for one in near["pictures"]]
    assert alike == sorted(alike, reverse=True)
    assert "Nearest training pictures" in explaining.page(told)

    shutil.rmtree(tmp_path / "2-prepared")
    assert training_of(tmp_path / "4-model") is None
    prepare_images(dataset, tmp_path / "2-prepared", settings={"labels": "single"})
    (tmp_path / "1-dataset" / "dataset.json").write_bytes(b"{}")
    with pytest.raises(CorruptError):
        training_of(tmp_path / "4-model")
    told = explaining.explain(silmu.pipeline(model=learned), opened(pixels, row))
    assert told["nearest"] is None
    assert told["notes"][0].startswith("training pictures are not compared: ")


def test_a_perceptron_in_its_run_is_explained_without_layers(tmp_path: Path) -> None:
    pixels, digits = (one[:120] for one in mnist())
    rows = [
        {"image": one, "label": f"digit {digit}"} for one, digit in zip(pixels, digits, strict=True)
    ]
    dataset = collect(rows, tmp_path / "1-dataset", kind="image", input="image", target="label")
    prepared = prepare_images(dataset, tmp_path / "2-prepared", settings={"labels": "single"})
    model = perceptron(prepared, tmp_path / "4-model")
    told = explaining.explain(silmu.pipeline(model=model), opened(pixels, 0))
    assert told["filters"]["count"] == len(prepared.labels)
    assert (told["layers"], told["nearest"]) == ([], None)
    assert told["notes"] == ["the network shows nothing between its layers"]
