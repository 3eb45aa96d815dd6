"""silmu explain: what decided an answer is what was planted there, of texts, rows and pictures."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from PIL import Image

import silmu
from picture_models import pixels_of, write
from silmu import cli, graphs, store
from silmu.errors import InputError, UnknownNameError, UnknownTaskError
from silmu.graphs._builder import Graph
from silmu.runtime.folder import Folder
from silmu.runtime.weights import Weights
from silmu.steps.evaluate import explaining
from silmu.steps.evaluate.image import rasters
from silmu.steps.evaluate.image import saliency as covering
from silmu.steps.evaluate.image.activations import Activations, grid, pool
from silmu.steps.evaluate.image.maps import filters_of, maps_of
from silmu.steps.evaluate.image.saliency import overlay, saliency
from silmu.steps.evaluate.table.occlusion import usual

MODELS = Path(__file__).parent / "models"
SIDE, MARK = 24, 6
"""Pixels of a side of the drawn pictures, and of the mark in their corner."""

SHAPE: dict[str, Any] = {"image_size": [SIDE, SIDE], "hidden_size": 4, "num_layers": 1}

EDGES = np.array(
    [
        [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],  # from dark on the left to light on the right
        [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],  # from dark above to light below
        [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
        [[1, 1, 1], [1, -8, 1], [1, 1, 1]],
    ],
    np.float32,
)


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    def run(*arguments: str | Path, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = cli.main([str(argument) for argument in arguments])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A perceptron that sees the mark below on the right, and nothing else."""
    weights = np.zeros((2, SIDE, SIDE), np.float32)
    weights[1, -MARK:, -MARK:] = 0.2
    tensors = {"output.weight": weights.reshape(2, -1), "output.bias": np.zeros(2, np.float32)}
    target = tmp_path_factory.mktemp("corner") / "model"
    return write(target, tensors, ["plain", "marked"], kind="perceptron", **SHAPE)


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CNN of one convolution, whose filters look for edges."""
    random = np.random.default_rng(0)
    inner = 4 * (SIDE // 2) ** 2
    tensors = {
        "body.0.conv.weight": EDGES[:, None],
        "body.0.norm.weight": np.ones(4, np.float32),
        "body.0.norm.bias": np.zeros(4, np.float32),
        "body.0.norm.running_mean": np.zeros(4, np.float32),
        "body.0.norm.running_var": np.ones(4, np.float32),
        "body.1.dense.weight": random.standard_normal((4, inner)).astype(np.float32) / 10,
        "body.1.dense.bias": np.zeros(4, np.float32),
        "output.weight": random.standard_normal((2, 4)).astype(np.float32),
        "output.bias": np.zeros(2, np.float32),
    }
    target = tmp_path_factory.mktemp("edges") / "model"
    return write(target, tensors, ["no", "yes"], kind="cnn", **SHAPE)


def drawn(seed: int, *, marked: bool) -> Image.Image:
    """Grey noise, with or without a light mark in the corner below on the right."""
    pixels = np.random.default_rng(seed).integers(60, 130, (SIDE, SIDE), np.uint8)
    if marked:
        pixels[-MARK:, -MARK:] = 250
    return Image.fromarray(pixels).convert("RGB")


# ── saliency ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", [0, 1])
def test_saliency_peaks_at_the_mark_that_decides(corner: str, seed: int) -> None:
    pipe = silmu.pipeline(model=corner)
    image = drawn(seed, marked=True)
    assert pipe(image, top_k=1)[0]["label"] == "marked"
    found = saliency(pipe, image, 1)
    assert found.dtype == np.float32
    assert found.shape == (14, 14)
    down, across = np.unravel_index(int(found.argmax()), found.shape)
    inside = 14 * (SIDE - MARK) / SIDE
    assert down >= inside - 1
    assert across >= inside - 1
    # What no patch over the mark covers decides nothing.
    assert np.abs(found[:8, :8]).max() < 1e-4 * found.max()


def test_saliency_of_the_other_label_is_the_opposite(corner: str) -> None:
    pipe = silmu.pipeline(model=corner)
    image = drawn(2, marked=True)
    np.testing.assert_allclose(saliency(pipe, image, 0), -saliency(pipe, image, 1), atol=1e-4)


def test_saliency_is_the_same_again_and_coarser_of_large_pictures(
    corner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = silmu.pipeline(model=corner)
    image = drawn(3, marked=True)
    monkeypatch.setattr(covering, "LARGE", SIDE - 1)
    first, again = (saliency(pipe, image, 1) for _ in range(2))
    assert first.shape == (7, 7)
    assert (first == again).all()
    monkeypatch.setattr(covering, "CELLS_OF_LARGE", 1)
    assert saliency(pipe, image, 1).shape == (1, 1)


def test_the_overlay_is_blue_where_it_counts_and_grey_elsewhere(corner: str) -> None:
    pipe = silmu.pipeline(model=corner)
    image = drawn(4, marked=True)
    seen = pixels_of(overlay(pipe, image, saliency(pipe, image, 1), 48)).astype(int)
    assert seen.shape == (48, 48, 3)
    blue = seen[..., 2] - seen[..., 0]
    assert blue[-6:, -6:].mean() > 80
    assert np.abs(blue[:16, :16]).mean() < 12


# ── layers ─────────────────────────────────────────────────────────────────────────────────────


def test_the_first_filters_are_shown_as_they_are(edges: str) -> None:
    network = Activations(silmu.pipeline(model=edges))
    assert network.filters is not None
    # The batch normalisation is part of the weights, and its epsilon too.
    np.testing.assert_allclose(network.filters[:, 0], EDGES, rtol=1e-4, atol=1e-6)
    told = filters_of(network.filters)
    assert told is not None
    assert (told["count"], told["size"]) == (4, [3, 3])
    whole = pixels_of(told["image"])
    # Each weight is eight pixels wide, and between filters there is a line.
    tiles = [whole[::8, 25 * i : 25 * i + 24 : 8, 0].astype(float) for i in range(4)]
    for tile, edge in zip(tiles, EDGES, strict=True):
        np.testing.assert_allclose(tile, 127.5 + 127.5 * edge / np.abs(edge).max(), atol=1)


def test_the_templates_of_a_perceptron_are_its_filters(corner: str) -> None:
    network = Activations(silmu.pipeline(model=corner))
    assert network.names == ()
    assert network.filters is not None
    assert network.filters.shape == (2, 1, SIDE, SIDE)
    assert network.filters[1, 0, -1, -1] == np.float32(0.2)


def test_feature_maps_show_where_an_edge_is(edges: str) -> None:
    pipe = silmu.pipeline(model=edges)
    network = Activations(pipe)
    assert network.names == ("layers.0.conv", "layers.1.dense")
    picture = np.zeros((SIDE, SIDE), np.uint8)
    picture[:, SIDE // 2 :] = 255  # dark on the left, light on the right
    pixels = pipe.image_processor.pixels(Image.fromarray(picture).convert("RGB"))
    found = network.of(pixels[None])
    values = found["layers.0.conv"].values[0]
    assert values.shape == (4, SIDE // 2, SIDE // 2)
    inner = values[:, 2:-2, 2:-2]
    assert inner[0].argmax() % inner.shape[2] in (SIDE // 4 - 3, SIDE // 4 - 2)
    assert inner[1].max() == 0, "there is no edge from above to below"
    (told,) = maps_of(network, found, 0)
    assert told["name"] == "layers.0.conv"
    assert told["kind"] == "channels"
    assert set(told["channels"]) <= {0, 1, 2, 3}


def test_what_a_place_sees_is_known(edges: str) -> None:
    fields = Activations(silmu.pipeline(model=edges)).fields
    conv = fields["layers.0.conv"]
    assert conv is not None
    # A window of three, of which the largest of two is taken: four pixels, every two.
    assert (conv.size, conv.step, conv.first) == ((4, 4), (2, 2), (0.5, 0.5))
    assert fields["layers.1.dense"] is None, "all"


@pytest.mark.parametrize(
    ("model", "sides"),
    [
        ("vit-image", (8, 8)),
        ("vit-image-rectangle", (8, 6)),
        ("dinov2-image", (8, 8)),
        ("swin-image", (2, 2)),
    ],
)
def test_a_patch_is_what_its_place_sees(model: str, sides: tuple[int, int]) -> None:
    fields = Activations(silmu.pipeline("image-classification", str(MODELS / model))).fields
    patch = fields["layers.0.patches"]
    assert patch is not None
    assert (patch.size, patch.step) == (sides, sides)
    assert patch.first == ((sides[0] - 1) / 2, (sides[1] - 1) / 2)
    if model == "swin-image":
        assert [*fields] == ["layers.0.patches"], "what places of windows see is not known"
    else:
        assert fields["layers.1.transformer"] is None, "all"


def test_the_graph_that_shows_its_layers_answers_the_same(edges: str) -> None:
    pipe = silmu.pipeline(model=edges)
    pixels = pipe.image_processor.arrays([drawn(5, marked=False)])["pixel_values"]
    folder = Folder(Path(edges), edges)
    shown = graphs.open_layers(folder, "image-classification")
    plain = graphs.open_session(folder, "image-classification")
    assert "layers.0.conv" not in plain.outputs
    for session in (shown, graphs.open_layers(folder, "image-classification")):
        found = session.run({"pixel_values": pixels})
        np.testing.assert_allclose(
            found["logits"], plain.run({"pixel_values": pixels})["logits"], atol=1e-5
        )


def test_what_an_encoder_shows_comes_out_of_what_is_built_on_it() -> None:
    weights = Weights("none", {})
    for shows in (True, False):
        graph = Graph(weights, io.BytesIO(), "beside", shows=shows)
        given = graph.input("pixel_values", "float32", ["rows", 1, 4, 4])

        def encoder(graph: Graph = graph, given: str = given) -> None:
            graph.show("layers.0.conv", graph.node("Relu", given), ["rows", 1, 4, 4])
            graph.output("last_hidden_state", given, ["rows", 1, 4, 4])

        assert graph.inside(encoder) == {"last_hidden_state": 4}
        graph.output("logits", "last_hidden_state", ["rows", 1, 4, 4])
        made = onnx.load_model_from_string(graph.finish("probe")).graph
        assert [value.name for value in made.output] == ["layers.0.conv"] * shows + ["logits"]


@pytest.mark.parametrize(
    "model",
    ["vit-image", "resnet-image", "convnext-image", "mobilenet_v2-image", "swin-image"],
)
def test_every_family_shows_its_layers(model: str) -> None:
    pipe = silmu.pipeline("image-classification", str(MODELS / model))
    network = Activations(pipe)
    assert len(network.names) >= 2
    assert network.filters is not None
    assert network.filters.ndim == 4
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8))
    pixels = pipe.image_processor.pixels(image)
    found = network.of(pixels[None])
    assert all(np.isfinite(one.values).all() for one in found.values())
    assert [one["name"] for one in maps_of(network, found, 0)] == [
        name for name in network.names if found[name].values.shape[2:] != (1, 1)
    ]


@pytest.mark.parametrize(("moved", "told"), [([1], [1]), ([0, 2], [2, 0]), ([], [0])])
def test_maps_that_are_flat_are_not_shown_but_one_is(
    moved: list[int], told: list[int], tmp_path: Path
) -> None:
    kernels = np.zeros((4, 1, 3, 3))
    for channel in moved:
        kernels[channel, 0, 1, 1] = 1 + channel
    tensors = {
        "body.0.conv.weight": kernels,
        "body.0.norm.weight": np.ones(4),
        "body.0.norm.bias": np.zeros(4),
        "body.0.norm.running_mean": np.zeros(4),
        "body.0.norm.running_var": np.ones(4),
        "body.1.dense.weight": np.zeros((4, 4 * (SIDE // 2) ** 2)),
        "body.1.dense.bias": np.zeros(4),
        "output.weight": np.zeros((2, 4)),
        "output.bias": np.zeros(2),
    }
    network = Activations(
        silmu.pipeline(model=write(tmp_path / "model", tensors, ["a", "b"], kind="cnn", **SHAPE))
    )
    pixels = np.random.default_rng(0).integers(150, 255, (1, SIDE, SIDE, 1), np.uint8)
    (maps,) = maps_of(network, network.of(pixels), 0)
    assert maps["channels"] == told
    assert pixels_of(maps["image"]).shape[1] >= len(told) * SIDE // 2


def test_tokens_lie_on_the_picture_as_its_patches_do() -> None:
    assert grid(197, 14, 14) == (14, 14)
    assert grid(198, 14, 14) == (14, 14)
    assert grid(3136, 56, 56) == (56, 56)
    assert grid(784, 56, 56) == (28, 28)
    assert grid(6, 2, 3) == (2, 3)
    assert grid(100, 3, 3) is None
    values = np.arange(36.0).reshape(1, 1, 6, 6)
    np.testing.assert_allclose(pool(values, 2)[0, 0], [[7, 10], [25, 28]])
    np.testing.assert_allclose(pool(values, 99), values)


def test_pictures_are_kept_as_they_are() -> None:
    gray = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    assert (pixels_of(rasters.url(gray)) == gray[..., 0]).all()
    colour = np.random.default_rng(0).integers(0, 255, (9, 7, 3), np.uint8)
    assert (pixels_of(rasters.url(colour)) == colour).all()
    assert rasters.url(np.zeros((80, 80, 3), np.uint8)).startswith("data:image/jpeg;")
    framed = rasters.framed(gray, 1, 2, 5, 99)
    assert tuple(framed[1, 4]) == tuple(framed[5, 7]) == rasters.FRAME
    assert tuple(framed[0, 0]) == (0, 0, 0)


# ── the verb ───────────────────────────────────────────────────────────────────────────────────


def seen(page: str) -> None:
    """A page asks for nothing, and runs nothing."""
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'" in page
    assert "<script" not in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert len(page.encode()) < 1_000_000


def test_a_picture_on_one_page(run: Run, edges: str, tmp_path: Path) -> None:
    drawn(6, marked=True).save(tmp_path / "a.png")
    done = run("explain", edges, tmp_path / "a.png", "--output", tmp_path / "page.html")
    assert done == Done(0, f"{tmp_path / 'page.html'}\n", "")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    seen(page)
    for words in ("Which parts decide", "Layer by layer", "First filters", "layer 0, conv"):
        assert words in page
    assert "Nearest training pictures" not in page


def test_a_picture_as_plain_values(run: Run, corner: str, tmp_path: Path) -> None:
    drawn(7, marked=True).save(tmp_path / "a.png")
    done = run("explain", corner, tmp_path / "a.png", "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert told["task"] == "image-classification"
    assert told["of"] == told["answer"][0]["label"] == "marked"
    cells = np.array(told["saliency"]["cells"])
    down, across = np.unravel_index(cells.argmax(), cells.shape)
    assert min(down, across) >= 10
    assert "data:image" not in done.out
    assert told["nearest"] is None
    lines = run("explain", corner, tmp_path / "a.png", "--set", "label=plain").out.splitlines()
    assert lines[0].startswith("marked ")
    assert "for plain:" in lines


def test_of_a_graph_of_another_program_the_layers_are_not_told(run: Run, tmp_path: Path) -> None:
    source = MODELS / "resnet-image"
    with store.new_folder(tmp_path / "model") as writer:
        graphs.write(Folder(source, "it"), "image-classification", writer, "onnx/model.onnx")
        for name in ("config.json", "preprocessor_config.json"):
            writer.write(name, (source / name).read_bytes())
    drawn(10, marked=True).save(tmp_path / "a.png")
    page = tmp_path / "page.html"
    done = run("explain", tmp_path / "model", tmp_path / "a.png", "--json", "--output", page)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["layers"] == []
    assert told["notes"][0].startswith("what lies between its layers is not known: ")
    whole = json.loads(run("explain", source, tmp_path / "a.png", "--json").out)
    np.testing.assert_allclose(told["saliency"]["cells"], whole["saliency"]["cells"], atol=1e-3)
    assert "Not told" in page.read_text(encoding="utf-8")


def test_words_of_a_text_that_weigh(run: Run) -> None:
    model = str(MODELS / "bert-sequence")
    text = "I love this film"
    done = run("explain", model, text, "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert "".join(piece for piece, _ in told["pieces"]) == text
    classify = silmu.pipeline(model=model)

    def score(given: str) -> float:
        answers = classify(given, top_k=None)
        return next(one["score"] for one in answers if one["label"] == told["of"])

    weights = dict(told["pieces"])
    assert weights["love "] == pytest.approx(score(text) - score("I this film"), abs=1e-5)
    assert told["answer"][0]["score"] == pytest.approx(score(text), abs=1e-6)
    assert run("explain", model, "-", "--json", stdin=f"{text}\n").out == done.out


def test_words_on_a_page_are_only_words(run: Run, tmp_path: Path) -> None:
    text = 'so <script>alert("x")</script> good'
    done = run("explain", MODELS / "bert-sequence", text, "--output", tmp_path / "a.html")
    assert done.code == 0
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    seen(page)
    assert "Which words decide" in page


ROWS = json.loads((Path(__file__).parent / "golden" / "tables.json").read_bytes())


@pytest.mark.parametrize("model", ["table-single", "table-number", "table-numbers"])
def test_cells_of_a_row_that_weigh(run: Run, model: str, tmp_path: Path) -> None:
    row = ROWS[model]["rows"][0]
    page = tmp_path / "a.html"
    done = run("explain", MODELS / model, json.dumps(row), "--json", "--output", page)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert "Which cells decide" in page.read_text(encoding="utf-8")
    pipe = silmu.pipeline(model=str(MODELS / model))
    columns = {one.name: one for one in pipe.table.read}
    assert {name for name, *_ in told["cells"]} == set(columns)

    def score(given: dict[str, Any]) -> float:
        if model == "table-single":
            answers = pipe(given, top_k=None)
            return next(one["score"] for one in answers if one["label"] == told["of"])
        found = pipe(given)["prediction"]
        return found[told["of"]] if isinstance(found, dict) else found

    for name, _, weight in told["cells"]:
        fall = score(row) - score({**row, name: usual(columns[name])})
        assert weight == pytest.approx(fall, abs=1e-5)


def test_what_is_not_explained_is_refused(run: Run, corner: str, tmp_path: Path) -> None:
    done = run("explain", MODELS / "bert-ner", "It was Kim.")
    assert (done.code, done.out) == (2, "")
    assert "the model is for token-classification, whose answers are not explained" in done.err
    assert "hint: those of image-classification, tabular-classification" in done.err
    assert (
        "explain has no setting `top_k`" in run("explain", corner, "a.png", "--set", "top_k=1").err
    )
    drawn(8, marked=True).save(tmp_path / "a.png")
    assert (
        "the model has no label 'x'; it has plain, marked"
        in run("explain", corner, tmp_path / "a.png", "--set", "label=x").err
    )
    assert "is a folder" in run("explain", corner, "a.png", "--output", tmp_path).err
    lines = "one\ntwo\n"
    assert "2 inputs are given" in run("explain", MODELS / "bert-sequence", "-", stdin=lines).err
    assert run("explain", corner, tmp_path / "none.png").code == 2


def test_errors_are_typed(corner: str) -> None:
    pipe = silmu.pipeline(model=corner)
    with pytest.raises(UnknownNameError, match="no label"):
        explaining.explain(pipe, drawn(9, marked=True), label="x")
    with pytest.raises(InputError):
        explaining.explain(pipe, "no such picture.png")
    with pytest.raises(UnknownTaskError):
        explaining.explain(silmu.pipeline("fill-mask", str(MODELS / "bert-mask")), "a [MASK]")
