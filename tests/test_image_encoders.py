"""ViT, DeiT, DINOv2, Swin, CLIP and SigLIP beside transformers 4.57.6, whose numbers are recorded.

tests/golden/image_encoders.json holds what each tiny network gives for two pictures of random
numbers, what lies between its layers, and what it is made of where config.json says nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from silmu import graphs, registry, store
from silmu.errors import InvalidModelError, SilmuError, UnsupportedModelError
from silmu.graphs._builder import Graph
from silmu.graphs._config import Config
from silmu.runtime.folder import Folder
from silmu.runtime.session import Session
from silmu.runtime.weights import Weights

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "image_encoders.json").read_text(encoding="utf-8")
)
CASES: list[dict[str, Any]] = GOLDEN["cases"]
ALONE = [case for case in CASES if "inputs" not in case]
BESIDE_TEXTS = [case for case in CASES if "inputs" in case]
CLASSIFY, FEATURES = "image-classification", "image-feature-extraction"
ZERO_SHOT, TEXT = "zero-shot-image-classification", "zero-shot-image-classification-text"
Arrays = dict[str, NDArray[Any]]


def named(case: dict[str, Any]) -> str:
    return "-".join([case["model"], *map(str, case["size"][1:])])


def case_of(model: str) -> dict[str, Any]:
    return next(case for case in ALONE if case["model"] == model)


def noise(case: dict[str, Any]) -> NDArray[np.float32]:
    random = np.random.default_rng(case["size"])
    return random.standard_normal((2, *case["size"]), np.float32)


def head_of(case: dict[str, Any]) -> str:
    return CLASSIFY if "logits" in case["outputs"] else FEATURES


def run(folder: Path, head: str, **feeds: Any) -> Arrays:
    session = graphs.open_session(Folder(folder, folder.name), head)
    return session.run({name: np.asarray(value) for name, value in feeds.items()})


def same(found: NDArray[Any], expected: dict[str, Any]) -> None:
    assert list(found.shape) == expected["shape"]
    kept = found.ravel()[:: expected["every"]]
    np.testing.assert_allclose(kept, expected["values"], rtol=1e-4, atol=1e-4)


def compare(folder: Path, case: dict[str, Any]) -> None:
    found = run(folder, head_of(case), pixel_values=noise(case))
    assert set(found) == set(case["outputs"])
    for name, expected in case["outputs"].items():
        same(found[name], expected)


def compare_texts(folder: Path, case: dict[str, Any]) -> None:
    texts = run(folder, TEXT, **case["inputs"])["text_embeds"]
    np.testing.assert_allclose(texts, case["outputs"]["text_embeds"], rtol=1e-4, atol=1e-4)
    found = run(folder, ZERO_SHOT, pixel_values=noise(case), text_embeds=texts)
    assert set(found) == {"logits_per_image"}
    expected = case["outputs"]["logits_per_image"]
    np.testing.assert_allclose(found["logits_per_image"], expected, rtol=1e-4, atol=1e-4)


def at(values: dict[str, Any], dotted: str) -> tuple[dict[str, Any], str]:
    """Where a key such as `vision_config.image_size` stands."""
    *parts, key = dotted.split(".")
    for part in parts:
        values = values[part]
    return values, key


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a model folder, with changes to its config.json (None drops a key) or tensors."""

    def changed(
        name: str,
        changes: dict[str, Any] | None = None,
        tensors: Callable[[Arrays], Arrays] | None = None,
    ) -> Path:
        folder = tmp_path / name
        shutil.copytree(models / name, folder, dirs_exist_ok=True)
        path = folder / "config.json"
        config = json.loads(path.read_text())
        for dotted, value in (changes or {}).items():
            values, key = at(config, dotted)
            values.pop(key, None)
            if value is not None:
                values[key] = value
        path.write_text(json.dumps(config))
        if tensors:
            stored = tensors(load_file(folder / "model.safetensors"))
            save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return changed


@pytest.mark.parametrize("case", ALONE, ids=named)
def test_numbers_of_transformers(case: dict[str, Any], models: Path) -> None:
    compare(models / case["model"], case)


@pytest.mark.parametrize("case", BESIDE_TEXTS, ids=named)
def test_pictures_beside_texts(case: dict[str, Any], models: Path) -> None:
    compare_texts(models / case["model"], case)


@pytest.mark.parametrize("case", [c for c in ALONE if c["hidden"]], ids=named)
def test_what_lies_between_layers(case: dict[str, Any], models: Path) -> None:
    folder = Folder(models / case["model"], case["model"])
    session = graphs.open_layers(folder, head_of(case))
    names = [name for name in session.outputs if name.startswith("layers.")]
    if case["model"].startswith("swin"):  # which transformers shows at the end of a stage only
        names = [name for name in names[:-1] if not name.endswith("transformer")] + names[-1:]
    found = session.run({"pixel_values": noise(case)})
    assert len(names) == len(case["hidden"])
    for name, expected in zip(names, case["hidden"], strict=True):
        same(found[name], expected)
    # What the network ends in is what it is without them.
    for name, expected in case["outputs"].items():
        same(found[name], expected)


@pytest.mark.parametrize("case", ALONE, ids=named)
def test_an_answer_does_not_depend_on_its_neighbours(case: dict[str, Any], models: Path) -> None:
    pixels, folder, head = noise(case), models / case["model"], head_of(case)
    pixels[1] *= 100  # a neighbour that is loud
    together = run(folder, head, pixel_values=np.concatenate([pixels, pixels[::-1], pixels]))
    for i in range(2):
        for name, alone in run(folder, head, pixel_values=pixels[i : i + 1]).items():
            for place in (i, 3 - i, 4 + i):
                np.testing.assert_allclose(together[name][place], alone[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", BESIDE_TEXTS, ids=named)
def test_a_text_does_not_depend_on_its_neighbours(case: dict[str, Any], models: Path) -> None:
    folder, inputs = models / case["model"], case["inputs"]
    together = run(folder, TEXT, **inputs)["text_embeds"]
    for i in range(len(together)):
        row = {name: np.array(value[i : i + 1]) for name, value in inputs.items()}
        if "attention_mask" in row:
            row = {name: value[:, : row["attention_mask"].sum()] for name, value in row.items()}
        alone = run(folder, TEXT, **row)["text_embeds"]
        np.testing.assert_allclose(together[i], alone[0], rtol=1e-5, atol=1e-5)


# Names of tensors.

OF_FIVE = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.self.query": "attention.q_proj",
    "attention.self.key": "attention.k_proj",
    "attention.self.value": "attention.v_proj",
    "attention.self.relative": "attention.relative_position_bias.relative",
    "attention.output.dense": "attention.o_proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "mlp.weights_out": "mlp.down_proj",
}
"""What transformers 5 calls in memory, and may save, what 4 calls otherwise."""


def newer(stored: Arrays) -> Arrays:
    found: Arrays = {}
    for name, value in stored.items():
        if ".mlp.weights_in." in name:
            for part, half in zip(("gate", "up"), np.split(value, 2), strict=True):
                found[name.replace("weights_in", f"{part}_proj")] = half
            continue
        for old, new in OF_FIVE.items():
            name = name.replace(old, new)
        if "layer_scale1.lambda1" not in "".join(stored):
            name = name.replace("encoder.layer.", "layers.")
        found[name] = value
    assert set(found) != set(stored)
    return found


@pytest.mark.parametrize(
    "name", ["vit-image", "deit-base", "dinov2-base", "dinov2-gated", "swin-uneven"]
)
def test_names_of_transformers_5(name: str, copy: Callable[..., Path]) -> None:
    compare(copy(name, tensors=newer), case_of(name))


def test_a_tower_by_itself_may_have_no_prefix(copy: Callable[..., Path]) -> None:
    def bare(stored: Arrays) -> Arrays:
        return {name.removeprefix("vision_model."): value for name, value in stored.items()}

    compare(copy("clip-vision", tensors=bare), case_of("clip-vision"))


# What config.json says, and what it leaves out.


class Blank(Weights):
    """Weights that are nothing but shapes, those of the first layer for all that are alike."""

    def __init__(self, shapes: dict[str, list[int]]) -> None:
        super().__init__("blank", {})
        self.shapes = shapes

    def _first(self, name: str) -> str:
        name = re.sub(r"\.(layer|blocks)\.\d+\.", r".\1.0.", name)
        return re.sub(r"encoder\.layers\.\d+\.(?!blocks|downsample)", "encoder.layers.0.", name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._first(name) in self.shapes

    def __getitem__(self, name: str) -> NDArray[Any]:
        shape = self.shapes[self._first(name)]
        return np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), shape, [0] * len(shape))


def head_nodes(kind: str, head: str) -> list[onnx.NodeProto]:
    """The nodes of a graph that is built from a config.json with nothing but `model_type`."""
    family = registry.graph_module(kind)
    weights = Blank(GOLDEN["left out"][kind]["shapes"])
    prefix = family.PREFIX if f"{family.PREFIX}{family.HEADS[FEATURES]}" in weights else ""
    with open(os.devnull, "wb") as file:  # noqa: PTH123 - three hundred megabytes of zeros
        graph = Graph(weights, file, "nowhere")
        family.build(graph, Config({"model_type": kind}, kind), head, prefix)
        made = onnx.load_model_from_string(graph.finish(kind))
    return list(made.graph.node)


OPERATORS = {"gelu": "Gelu", "quick_gelu": "QuickGelu", "gelu_pytorch_tanh": "FastGelu"}


@pytest.mark.parametrize(
    ("kind", "head", "part"),
    [
        *((kind, FEATURES, "") for kind in ("vit", "deit", "dinov2", "swin", "clip_vision_model")),
        ("clip", ZERO_SHOT, "vision_config"),
        ("clip", TEXT, "text_config"),
        ("siglip", ZERO_SHOT, "vision_config"),
        ("siglip", TEXT, "text_config"),
    ],
)
def test_what_a_config_leaves_out(kind: str, head: str, part: str) -> None:
    """Shapes that do not fit are refused: each of them is as the class of transformers has it."""
    said = GOLDEN["left out"][kind]["said"][part]
    nodes = head_nodes(kind, head)
    values = {
        name: [
            onnx.helper.get_attribute_value(a) for n in nodes for a in n.attribute if a.name == name
        ]
        for name in ("num_heads", "epsilon")
    }
    pooling = [12] if (kind, head) == ("siglip", ZERO_SHOT) else []
    if kind == "swin":
        pairs = zip(said["depths"], said["num_heads"], strict=True)
        expected = [heads for depth, heads in pairs for _ in range(depth)]
    else:
        expected = [said["num_attention_heads"]] * said["num_hidden_layers"]
    assert values["num_heads"] == expected + pooling
    np.testing.assert_allclose(values["epsilon"], said["layer_norm_eps"], rtol=1e-6)
    kinds = [node.op_type for node in nodes if node.op_type.endswith("Gelu")]
    assert kinds == [OPERATORS[said["hidden_act"]]] * len(values["num_heads"])


@pytest.mark.parametrize(
    ("name", "key", "error"),
    [
        ("vit-image-rectangle", "hidden_act", AssertionError),
        ("vit-image-rectangle", "layer_norm_eps", AssertionError),
        ("dinov2-base", "layer_norm_eps", AssertionError),
        ("swin-uneven", "mlp_ratio", InvalidModelError),  # weights of other shapes
        ("clip-image", "vision_config.hidden_act", AssertionError),
        ("siglip-image", "vision_config.hidden_act", AssertionError),
    ],
)
def test_what_config_says_is_followed(
    name: str, key: str, error: type[Exception], copy: Callable[..., Path]
) -> None:
    told: dict[str, Any] = {"hidden_act": "relu", "layer_norm_eps": 0.5, "mlp_ratio": 3.0}
    with pytest.raises(error):
        compare(copy(name, {key: told[key.rpartition(".")[2]]}), case_of(name))


def test_settings_that_stand_twice(copy: Callable[..., Path], models: Path) -> None:
    """Checkpoints of early 2023: what ends in `_dict` counts, the other says whatever it says."""
    config = json.loads((models / "clip-base" / "config.json").read_text())
    changes: dict[str, Any] = {}
    for part in ("text_config", "vision_config"):
        changes |= {f"{part}_dict": config[part], part: config[part] | {"hidden_act": "relu"}}
    case = next(case for case in BESIDE_TEXTS if case["model"] == "clip-base")
    compare_texts(copy("clip-base", changes), case)
    assert config["text_config"]["hidden_act"] == "quick_gelu"
    del changes["text_config_dict"]
    with pytest.raises(AssertionError):
        compare_texts(copy("clip-base", changes | {"text_config_dict": None}), case)


def test_pixels_left_over_are_not_looked_at(copy: Callable[..., Path]) -> None:
    folder, case = copy("vit-image", {"image_size": [29, 31]}), case_of("vit-image")
    pixels = np.full((2, 3, 29, 31), 1e3, np.float32)
    pixels[:, :, :24, :24] = noise(case)
    same(run(folder, CLASSIFY, pixel_values=pixels)["logits"], case["outputs"]["logits"])


@pytest.mark.parametrize(
    ("name", "changes", "error"),
    [
        ("vit-image", {"hidden_act": "selu"}, UnsupportedModelError),
        ("vit-image", {"image_size": 32}, InvalidModelError),  # whose places are not there
        ("vit-image", {"image_size": 4}, InvalidModelError),
        ("vit-image", {"image_size": [24]}, InvalidModelError),
        ("vit-image", {"patch_size": 0}, InvalidModelError),
        ("vit-image", {"num_channels": 1}, InvalidModelError),
        ("vit-image", {"num_attention_heads": 5}, InvalidModelError),
        ("vit-image", {"num_hidden_layers": 1}, InvalidModelError),
        ("vit-image", {"num_hidden_layers": 3}, InvalidModelError),
        ("dinov2-image", {"image_size": [40, 32]}, UnsupportedModelError),
        ("dinov2-image", {"mlp_ratio": 0}, InvalidModelError),
        ("dinov2-image", {"mlp_ratio": 1e300}, InvalidModelError),
        ("dinov2-image", {"use_swiglu_ffn": True}, InvalidModelError),
        ("swin-image", {"use_absolute_embeddings": True}, UnsupportedModelError),
        ("swin-image", {"window_size": 13}, UnsupportedModelError),
        ("swin-image", {"window_size": 4}, InvalidModelError),
        ("swin-image", {"num_heads": [2]}, InvalidModelError),
        ("swin-image", {"num_heads": [5, 4]}, InvalidModelError),
        ("swin-image", {"depths": [2, 1]}, InvalidModelError),
        ("swin-image", {"depths": 2}, InvalidModelError),
        ("swin-image", {"mlp_ratio": 1e300}, InvalidModelError),
        ("clip-image", {"vision_config": "as ever"}, InvalidModelError),
        ("clip-image", {"vision_config.patch_size": 12}, InvalidModelError),
    ],
)
def test_refusals(
    name: str, changes: dict[str, Any], error: type[SilmuError], copy: Callable[..., Path]
) -> None:
    folder = copy(name, changes)
    with pytest.raises(error) as raised:
        run(folder, CLASSIFY, pixel_values=noise(case_of(name)))
    assert name in str(raised.value)


@pytest.mark.parametrize(
    ("name", "head", "changes"),
    [
        ("vit-base", CLASSIFY, {}),
        ("clip-image", ZERO_SHOT, {}),
        ("siglip-image", TEXT, {}),
        ("clip-vision", ZERO_SHOT, {}),
        ("vit-image", TEXT, {}),
        ("siglip-base", ZERO_SHOT, {"vision_config.vision_use_head": False}),
    ],
)
def test_a_model_without_the_head_is_refused(
    name: str, head: str, changes: dict[str, Any], copy: Callable[..., Path]
) -> None:
    folder = copy(name, changes)
    with pytest.raises(UnsupportedModelError):
        graphs.open_session(Folder(folder, name), head)


@pytest.mark.parametrize("name", ["vit-image", "swin-image", "clip-image", "siglip-image"])
def test_pictures_of_another_size_are_refused(name: str, models: Path) -> None:
    channels, height, width = case_of(name)["size"]
    pixels = np.zeros((1, channels, height + 8, width), np.float32)
    with pytest.raises(InvalidModelError, match="pixel_values"):
        run(models / name, CLASSIFY, pixel_values=pixels)


def test_a_scale_beyond_all_numbers_is_refused(copy: Callable[..., Path]) -> None:
    def endless(stored: Arrays) -> Arrays:
        return stored | {"logit_scale": np.array([200], np.float32)}

    folder = copy("siglip-base", tensors=endless)
    with pytest.raises(InvalidModelError, match="logit_scale"):
        graphs.open_session(Folder(folder, folder.name), ZERO_SHOT)


# The body within a classifier, other precisions, other programs.


@pytest.mark.parametrize("name", ["vit-image", "dinov2-image", "swin-image"])
def test_the_body_of_a_classifier_gives_features(name: str, models: Path) -> None:
    """The logits follow from the features by the head's own weights."""
    pixels = noise(case_of(name))
    stored = load_file(models / name / "model.safetensors")
    found = run(models / name, FEATURES, pixel_values=pixels)
    tokens = found["last_hidden_state"]
    read = {
        "vit-image": tokens[:, 0],
        "dinov2-image": np.concatenate([tokens[:, 0], tokens[:, 1:].mean(axis=1)], axis=1),
        "swin-image": found.get("pooler_output"),
    }[name]
    expected = read @ stored["classifier.weight"].T + stored["classifier.bias"]
    logits = run(models / name, CLASSIFY, pixel_values=pixels)["logits"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    assert ("pooler_output" in found) == (name != "vit-image")  # which has learnt none


@pytest.mark.parametrize("name", ["vit-image", "dinov2-image", "swin-image", "siglip-image"])
def test_in_8_bits_an_answer_does_not_depend_on_its_neighbours(name: str, models: Path) -> None:
    case = case_of(name)
    session = graphs.open_session(Folder(models / name, name), CLASSIFY, dtype="q8")
    pixels = noise(case)
    together = session.run({"pixel_values": pixels})["logits"]
    full = run(models / name, CLASSIFY, pixel_values=pixels)["logits"]
    for i in range(2):
        alone = session.run({"pixel_values": pixels[i : i + 1]})["logits"][0]
        np.testing.assert_allclose(together[i], alone, rtol=1e-6, atol=1e-6)
    cosine = (together * full).sum() / np.linalg.norm(together) / np.linalg.norm(full)
    assert 0.99 < cosine < 0.9999999  # near, and not the same: these are eight bits


@pytest.mark.parametrize("name", ["vit-image", "dinov2-image", "swin-image"])
def test_a_graph_written_for_other_programs(name: str, models: Path, tmp_path: Path) -> None:
    folder = Folder(models / name, name)
    with store.new_folder(tmp_path / "out", meta={}) as writer:
        graphs.write(folder, CLASSIFY, writer, "model.onnx")
    session, case = Session(tmp_path / "out" / "model.onnx"), case_of(name)
    size = ["height", "width"] if name == "dinov2-image" else case["size"][1:]
    assert session.inputs["pixel_values"].shape == ("rows", 3, *size)
    same(session.run({"pixel_values": noise(case)})["logits"], case["outputs"]["logits"])


def test_every_head_of_every_family_has_a_case(models: Path) -> None:
    convolutions = Path(__file__).parent / "golden" / "convolutions.json"
    others = json.loads(convolutions.read_text(encoding="utf-8"))["cases"]
    covered: set[tuple[str, str]] = set()
    for case in [*CASES, *others]:
        config = json.loads((models / case["model"] / "config.json").read_text(encoding="utf-8"))
        family = registry.graph_module(config["model_type"]).__name__
        heads = (ZERO_SHOT, TEXT) if "inputs" in case else (head_of(case),)
        covered |= {(family, head) for head in heads}
    built = {
        (registry.graph_module(kind).__name__, head)
        for kind in registry.model_types()
        if not kind.startswith("silmu-")
        for head in registry.graph_module(kind).HEADS
        if "image" in head
    }
    assert built == covered
