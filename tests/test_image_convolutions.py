"""ResNet, ConvNeXt and MobileNetV2 beside transformers 4.57.6, whose numbers are recorded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from silmu import graphs, store
from silmu.errors import InvalidModelError, SilmuError, UnsupportedModelError
from silmu.graphs import _images
from silmu.graphs._builder import Graph
from silmu.runtime.folder import Folder
from silmu.runtime.session import Session
from silmu.runtime.weights import Weights

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "convolutions.json").read_text(encoding="utf-8")
)
CASES: list[dict[str, Any]] = GOLDEN["cases"]
MODELS = sorted({case["model"] for case in CASES})
CLASSIFY, FEATURES = "image-classification", "image-feature-extraction"
Outputs = dict[str, NDArray[np.float32]]


def head_of(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    return FEATURES if config["architectures"][0].endswith("Model") else CLASSIFY


def run(folder: Path, pixels: NDArray[np.float32], head: str | None = None) -> Outputs:
    opened = Folder(folder, folder.name)
    return graphs.open_session(opened, head or head_of(folder)).run({"pixel_values": pixels})


def noise(case: dict[str, Any]) -> NDArray[np.float32]:
    random = np.random.default_rng(case["seed"])
    return random.standard_normal(case["pixels"], np.float32)


def compare(folder: Path, case: dict[str, Any]) -> None:
    found = run(folder, noise(case))
    assert set(found) == set(case["outputs"])
    for name, expected in case["outputs"].items():
        assert list(found[name].shape) == expected["shape"]
        kept = found[name].ravel()[:: expected["every"]]
        np.testing.assert_allclose(kept, expected["values"], rtol=1e-4, atol=1e-4)


def case_of(model: str, seed: int = 0) -> dict[str, Any]:
    return next(case for case in CASES if case["model"] == model and case["seed"] == seed)


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a model folder, with changes to its config.json (None drops a key) or tensors."""

    def changed(
        name: str, tensors: Callable[[Outputs], Outputs] | None = None, **changes: Any
    ) -> Path:
        folder = tmp_path / name
        shutil.copytree(models / name, folder, dirs_exist_ok=True)
        path = folder / "config.json"
        config = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
        if tensors:
            stored = tensors(load_file(folder / "model.safetensors"))
            save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return changed


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['model']}-{case['seed']}")
def test_numbers_of_transformers(case: dict[str, Any], models: Path) -> None:
    compare(models / case["model"], case)


def test_every_variant_is_there() -> None:
    assert len(MODELS) == 11
    assert {case["pixels"][2] % 32 for case in CASES} == {0, 15}  # sides that do not halve


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_does_not_depend_on_its_neighbours(name: str, models: Path) -> None:
    pixels = noise(case_of(name, 1))
    pixels[1] *= 100  # a neighbour that is loud
    together = run(models / name, pixels)
    for i in range(len(pixels)):
        for output, alone in run(models / name, pixels[i : i + 1]).items():
            scale = np.abs(alone).max()
            np.testing.assert_allclose(together[output][i], alone[0], atol=1e-5 * scale, rtol=1e-5)


# What a graph that forgot something would show.


@pytest.mark.parametrize("name", ["resnet-image", "mobilenet_v2-image"])
@pytest.mark.parametrize("word", ["running_mean", "running_var", "weight", "bias"])
def test_every_part_of_a_normalisation_counts(
    name: str, word: str, copy: Callable[..., Path]
) -> None:
    def without(stored: Outputs) -> Outputs:
        plain = np.ones_like if word in ("running_var", "weight") else np.zeros_like
        ending = f"normalization.{word}"
        return {key: plain(one) if key.endswith(ending) else one for key, one in stored.items()}

    with pytest.raises(AssertionError):
        compare(copy(name, without), case_of(name))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("resnet-base", {"downsample_in_bottleneck": False}),
        ("resnet-basic", {"downsample_in_first_stage": False}),
        ("resnet-odd", {"hidden_act": "relu"}),
        ("convnext-base", {"layer_norm_eps": 0.5}),
        ("convnextv2-base", {"hidden_act": "gelu"}),
        ("mobilenet_v2-image", {"tf_padding": False}),
        ("mobilenet_v2-image", {"layer_norm_eps": 0.1}),
        ("mobilenet_v2-fine", {"hidden_act": "relu"}),
        ("mobilenet_v2-base", {"output_stride": 16}),
    ],
)
def test_what_config_says_is_followed(
    name: str, changes: dict[str, Any], copy: Callable[..., Path]
) -> None:
    with pytest.raises(AssertionError):
        compare(copy(name, **changes), case_of(name, 1))


DEFAULTS = {
    "resnet-image": "layer_type hidden_act num_channels downsample_in_first_stage "
    "downsample_in_bottleneck",
    "convnext-image": "hidden_act num_channels patch_size layer_norm_eps layer_scale_init_value",
    "convnextv2-image": "hidden_act num_channels patch_size layer_norm_eps",
    "mobilenet_v2-fine": "tf_padding finegrained_output hidden_act layer_norm_eps "
    "first_layer_is_expansion output_stride num_channels",
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_a_config_leaves_out(name: str, copy: Callable[..., Path]) -> None:
    left_out = dict.fromkeys(DEFAULTS[name].split())
    written = json.loads((copy(name) / "config.json").read_text())
    assert all(key in written for key in left_out)
    compare(copy(name, **left_out), case_of(name))


@pytest.mark.parametrize(
    ("name", "changes", "error"),
    [
        ("resnet-image", {"layer_type": "wide"}, UnsupportedModelError),
        ("resnet-image", {"depths": [2, 1]}, InvalidModelError),
        ("resnet-image", {"depths": [2, 1, -1]}, InvalidModelError),
        ("resnet-image", {"depths": "2, 1, 1"}, InvalidModelError),
        ("resnet-image", {"depths": [1, 1, 1]}, InvalidModelError),  # fewer than the weights have
        ("resnet-image", {"hidden_sizes": [32, 48, 60]}, InvalidModelError),
        ("resnet-image", {"num_channels": 4}, InvalidModelError),
        ("resnet-image", {"hidden_act": "selu"}, UnsupportedModelError),
        ("convnext-image", {"num_stages": 4}, InvalidModelError),
        ("convnext-image", {"patch_size": 8}, InvalidModelError),
        ("convnext-image", {"patch_size": 10**9}, InvalidModelError),
        ("mobilenet_v2-image", {"depth_multiplier": 0.0}, InvalidModelError),
        ("mobilenet_v2-image", {"depth_multiplier": 1e300}, InvalidModelError),
        ("mobilenet_v2-image", {"depth_multiplier": 1.0}, InvalidModelError),
        ("mobilenet_v2-image", {"expand_ratio": "six"}, InvalidModelError),
    ],
)
def test_refusals(
    name: str, changes: dict[str, Any], error: type[SilmuError], copy: Callable[..., Path]
) -> None:
    folder = copy(name, **changes)
    with pytest.raises(error) as raised:
        run(folder, np.zeros((1, 3, 32, 32), np.float32), CLASSIFY)
    assert name in str(raised.value)


def test_a_variance_below_zero_is_refused_by_name(copy: Callable[..., Path]) -> None:
    def negative(stored: Outputs) -> Outputs:
        name = "resnet.embedder.embedder.normalization.running_var"
        return stored | {name: -stored[name] - 1}

    folder = copy("resnet-image", negative)
    with pytest.raises(InvalidModelError, match=r"embedder\.normalization"):
        run(folder, np.zeros((1, 3, 32, 32), np.float32))


def test_a_model_without_the_head_is_refused(models: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="image-feature-extraction"):
        run(models / "resnet-base", np.zeros((1, 3, 32, 32), np.float32), CLASSIFY)


# The body within a classifier, and the graph itself.


@pytest.mark.parametrize("name", ["resnet-image", "convnextv2-image", "mobilenet_v2-image"])
def test_the_body_of_a_classifier_gives_features(name: str, models: Path) -> None:
    """The logits follow from the pooled features by the head's own weights."""
    pixels = noise(case_of(name))
    stored = load_file(models / name / "model.safetensors")
    head = "classifier.1" if name.startswith("resnet") else "classifier"
    features = run(models / name, pixels, FEATURES)["pooler_output"].reshape(len(pixels), -1)
    expected = features @ stored[f"{head}.weight"].T + stored[f"{head}.bias"]
    np.testing.assert_allclose(run(models / name, pixels)["logits"], expected, atol=1e-4, rtol=1e-4)


def test_folding_keeps_what_a_normalisation_makes(tmp_path: Path) -> None:
    """Beside the two computed one after the other, where the variance is far from one."""
    random = np.random.default_rng(0)
    stored = {
        "c.weight": random.standard_normal((4, 3, 1, 1)),
        "c.bias": random.standard_normal(4),
        "n.weight": random.standard_normal(4),
        "n.bias": random.standard_normal(4),
        "n.running_mean": 10 * random.standard_normal(4),
        "n.running_var": np.array([1e-6, 1, 100, 1e4]),
    }
    stored = {name: value.astype(np.float32) for name, value in stored.items()}
    save_file(stored, tmp_path / "model.safetensors")
    weights = Weights.open(Folder(tmp_path, "folded"))
    with (tmp_path / "data").open("wb") as file:
        graph = Graph(weights, file, "data")
        x = graph.input("x", "float32", ["rows", 3, "height", "width"])
        y = _images.conv(graph, x, "c", inner=3, outer=4, norm="n", epsilon=1e-5, bias=True)
        graph.output("y", y, ["rows", 4, "height", "width"])
        (tmp_path / "graph.onnx").write_bytes(graph.finish("folded"))
    pixels = random.standard_normal((2, 3, 5, 7), np.float32)
    found = Session(tmp_path / "graph.onnx").run({"x": pixels})["y"]
    exact = {name: value.astype(np.float64) for name, value in stored.items()}
    plain = np.einsum("oc,rchw->rhwo", exact["c.weight"][..., 0, 0], pixels) + exact["c.bias"]
    normed = (plain - exact["n.running_mean"]) / np.sqrt(exact["n.running_var"] + 1e-5)
    expected = (normed * exact["n.weight"] + exact["n.bias"]).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["resnet-image", "convnextv2-base", "mobilenet_v2-image"])
def test_a_graph_written_for_other_programs(name: str, models: Path, tmp_path: Path) -> None:
    folder = Folder(models / name, name)
    with store.new_folder(tmp_path / "out", meta={}) as writer:
        graphs.write(folder, head_of(models / name), writer, "model.onnx")
    session = Session(tmp_path / "out" / "model.onnx")
    assert session.inputs["pixel_values"].shape == ("rows", 3, "height", "width")
    pixels = noise(case_of(name))
    for output, value in session.run({"pixel_values": pixels}).items():
        np.testing.assert_allclose(value, run(models / name, pixels)[output], atol=1e-4, rtol=1e-4)
