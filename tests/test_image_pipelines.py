"""Pipelines for pictures answer as those of transformers 4.57.6, from safetensors and from ONNX."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from safetensors.numpy import load_file

import silmu
from pictured import PICTURES, picture
from silmu.errors import (
    InputError,
    InvalidModelError,
    ModelNotFoundError,
    NothingGivenError,
    UnsupportedModelError,
    UsageError,
)
from silmu.pipelines import Pipeline
from silmu.runtime.image_processor import FILE, WHOLE_FILE, ImageProcessor

HERE = Path(__file__).parent
GOLDEN: dict[str, Any] = json.loads((HERE / "golden" / "images.json").read_text(encoding="utf-8"))
ANSWERS: list[dict[str, Any]] = GOLDEN["answers"]
NAMES = ["wide.png", "tall.jpg", "alpha.png", "turned-6.jpg", "deep.png", "moving.gif"]
PATHS = [str(PICTURES / name) for name in NAMES]
CLASSIFY, EXTRACT = "image-classification", "image-feature-extraction"
COMPARE = "zero-shot-image-classification"
LABELS = ["a cat", "a dog", "rain"]

Make = Callable[..., Pipeline]


@pytest.fixture(scope="module")
def pipe(models: Path) -> Make:
    """A pipeline of a tiny model, made once."""
    made: dict[tuple[Any, ...], Pipeline] = {}

    def of(model: str, task: str | None = None) -> Pipeline:
        if (model, task) not in made:
            made[model, task] = silmu.pipeline(task, model=str(models / model))
        return made[model, task]

    return of


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Callable[..., str]:
    """A copy of a model folder, whose config.json or processor is changed."""

    def changed(name: str, processor: dict[str, Any] | None = None, **config: Any) -> str:
        folder = tmp_path / name
        shutil.copytree(models / name, folder, dirs_exist_ok=True)
        for file, changes in ((FILE, processor or {}), ("config.json", config)):
            values = json.loads((folder / file).read_text()) | changes
            kept = {key: value for key, value in values.items() if value is not None}
            (folder / file).write_text(json.dumps(kept))
        return str(folder)

    return changed


def close(found: Any, expected: Any) -> None:
    """Same labels in the same order, and scores within 1e-4."""
    if isinstance(expected, list):
        assert isinstance(found, list)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            close(one, other)
    elif isinstance(expected, dict):
        assert found["label"] == expected["label"]
        assert isinstance(found["score"], float)
        assert found["score"] == pytest.approx(expected["score"], abs=1e-4)
    else:
        assert found == pytest.approx(expected, abs=1e-4)


# ── beside transformers ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: f"{case['model']}-{case['given']}")
def test_answers_are_those_of_transformers(case: dict[str, Any], pipe: Make) -> None:
    own = pipe(case["model"])
    assert own.task == case["task"]  # told by the folder
    given = case["given"]
    images = picture(given) if isinstance(given, str) else [picture(name) for name in given]
    found = own(images, **case["parameters"])
    if case["task"] != EXTRACT:
        close(found, case["answer"])
        return
    several = found if isinstance(given, list) else [found]
    for one, expected in zip(several, case["answer"], strict=True):
        array = np.array(one, np.float32)
        assert list(array.shape) == expected["shape"]
        kept = array.ravel()[:: expected["every"]]
        np.testing.assert_allclose(kept, expected["values"], rtol=1e-4, atol=1e-4)


# ── calls ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["vit-image", "resnet-image"])
def test_an_answer_does_not_depend_on_its_neighbours(model: str, pipe: Make) -> None:
    own = pipe(model)
    alone = [own(path) for path in PATHS]
    close(own(PATHS), alone)
    close(own(PATHS * 7), alone * 7)  # more than are read ahead
    close(own(PATHS, batch_size=1), alone)
    close(own(PATHS, batch_size=64), alone)
    close(list(own(path for path in PATHS)), alone)
    close([own(path, batch_size=5) for path in PATHS], alone)
    assert own([]) == []


def test_forms_of_a_picture(pipe: Make) -> None:
    own = pipe("vit-image")
    expected = own(PATHS[0])
    image = picture("wide.png")
    for given in (image, np.asarray(image), Path(PATHS[0]), Path(PATHS[0]).read_bytes()):
        close(own(given), expected)
    close(own(images=PATHS[0]), expected)
    close(own([image, PATHS[0], np.asarray(image)]), [expected] * 3)
    close(own.predict(PATHS[0]), expected)
    by_hand = own.postprocess(own.forward(own.preprocess(image)))
    close(by_hand, expected)


def test_a_stream_is_answered_as_it_comes(pipe: Make) -> None:
    own = pipe("vit-image")
    asked: list[int] = []

    def stream() -> Iterator[str]:
        for i in range(200):
            asked.append(i)
            yield PATHS[i % len(PATHS)]

    answers = iter(own(stream()))
    next(answers)
    assert len(asked) == 1
    assert len(list(answers)) == 199


def test_one_bad_picture_among_good_ones(pipe: Make) -> None:
    own = pipe("vit-image")
    with pytest.raises(InputError, match=r"nowhere\.png") as raised:
        own([*PATHS, "nowhere.png"])
    assert raised.value.__notes__ == [f"input {len(PATHS)}, counted from 0"]
    answers = iter(own(iter([*PATHS, "nowhere.png"])))
    good = [next(answers) for _ in PATHS]
    close(good, own(PATHS))
    with pytest.raises(InputError):
        next(answers)


def test_parameters_of_classification(pipe: Make, models: Path) -> None:
    own = pipe("vit-image")
    assert len(own(PATHS[0])) == 5
    assert len(own(PATHS[0], top_k=2)) == 2
    assert len(own(PATHS[0], top_k=None)) == 5
    assert len(own(PATHS[0], top_k=1000)) == 5
    scores = [answer["score"] for answer in own(PATHS[0])]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    fixed = silmu.pipeline(CLASSIFY, str(models / "vit-image"), top_k=1)
    close(fixed(PATHS[0]), own(PATHS[0], top_k=1))
    close(fixed(PATHS[0], top_k=3), own(PATHS[0], top_k=3))
    for wrong in ({"top_k": 0}, {"top_k": -1}, {"top_k": 1.5}, {"top_k": True}):
        with pytest.raises(UsageError, match="top_k"):
            own(PATHS[0], **wrong)
    with pytest.raises(UsageError, match="sigmoid, softmax, none"):
        own(PATHS[0], function_to_apply="default")
    with pytest.raises(TypeError, match="unexpected keyword threshold"):
        own(PATHS[0], threshold=0.5)
    with pytest.raises(TypeError, match="nothing was given"):
        own()
    with pytest.raises(TypeError, match="nothing was given"):
        own(None)
    with pytest.raises(InputError):
        own({"image": PATHS[0]})


def test_one_label_and_several_at_once(copy: Callable[..., str]) -> None:
    several = silmu.pipeline(model=copy("vit-image", problem_type="multi_label_classification"))
    scores = [answer["score"] for answer in several(PATHS[0])]
    plain = [x["score"] for x in several(PATHS[0], function_to_apply="none")]
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-np.array(plain))), atol=1e-6)


def test_what_silmu_trained(copy: Callable[..., str], pipe: Make) -> None:
    folder = Path(
        copy("vit-image", ImageProcessor.fitted((24, 24), 3, [0.5] * 3, [0.5] * 3).values)
    )
    fitted = {"format": 1, "inputs": ["image"], "max_length": None, "thresholds": None}
    (folder / "processor.json").write_text(json.dumps(fitted | {"kind": "number"}))
    numbers = silmu.pipeline(model=str(folder))
    assert numbers.fitted.kind == "number"
    assert numbers.thresholds is None
    close(numbers(PATHS[0]), pipe("vit-image")(PATHS[0], function_to_apply="none"))
    thresholds = {"kind": "multiple", "thresholds": [0.1, 0.2, 0.3, 0.4, 0.5]}
    (folder / "processor.json").write_text(json.dumps(fitted | thresholds))
    several = silmu.pipeline(model=str(folder))
    assert several.thresholds == (0.1, 0.2, 0.3, 0.4, 0.5)
    # Transparent pixels are white to it; a model of transformers sees the colour under them.
    on_white = picture("alpha.png", background="white")
    close(several(PICTURES / "alpha.png"), pipe("vit-image")(on_white))
    with pytest.raises(AssertionError):
        close(several(PICTURES / "alpha.png"), pipe("vit-image")(PICTURES / "alpha.png"))
    assert pipe("vit-image").fitted is None


def test_parameters_of_features(pipe: Make) -> None:
    own = pipe("vit-base")
    vectors = own(PATHS[0])
    assert np.shape(vectors) == (1, 10, 24)
    array = own(PATHS[0], return_tensors=True)
    np.testing.assert_allclose(array.detach().cpu().numpy(), vectors)
    assert np.shape(own(PATHS[0], pool=True)) == (1, 24)
    darker = own(PATHS[0], image_processor_kwargs={"image_mean": [0.9, 0.9, 0.9]})
    assert not np.allclose(darker, vectors, atol=1e-3)
    assert np.shape(pipe("resnet-base")(PATHS[0])) == (1, 64, 2, 2)
    with pytest.raises(UsageError, match="has no pooler"):
        pipe("vit-image", EXTRACT)(PATHS[0], pool=True)
    for wrong in ({"size": "large"}, {"resample": 77}):
        with pytest.raises(UsageError, match="image_processor_kwargs"):
            own(PATHS[0], image_processor_kwargs=wrong)


def test_a_classifier_gives_vectors_too(pipe: Make) -> None:
    vectors = pipe("vit-image", EXTRACT)(PATHS)
    assert np.shape(vectors) == (len(PATHS), 1, 10, 24)


# ── labels that nobody was trained for ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["clip-base", "siglip-base"])
def test_labels_are_given(model: str, pipe: Make, models: Path) -> None:
    own = pipe(model)
    expected = own(PATHS[0], candidate_labels=LABELS)
    close(own(PATHS[0], LABELS), expected)
    close(own(image=PATHS[0], candidate_labels=LABELS), expected)
    close(own(images=PATHS[0], candidate_labels="a cat, a dog , rain"), expected)
    fixed = silmu.pipeline(COMPARE, str(models / model), candidate_labels=LABELS)
    close(fixed(PATHS[0]), expected)
    close(fixed(PATHS), [own(path, LABELS) for path in PATHS])
    # What was read of one call's labels is not taken for another's.
    close(own(PATHS[0], LABELS[:2]), fixed(PATHS[0], candidate_labels=LABELS[:2]))
    close(
        own(PATHS[0], LABELS, hypothesis_template="{}"), fixed(PATHS[0], hypothesis_template="{}")
    )
    close(own(PATHS[0], LABELS), expected)
    many = [f"a label of number {i}" for i in range(150)]
    found = own(PATHS[0], many)
    assert sorted(x["label"] for x in found) == sorted(many)
    scores = [x["score"] for x in found]
    assert scores == sorted(scores, reverse=True)
    total = sum(x["score"] for x in expected)
    assert (total == pytest.approx(1, abs=1e-5)) == (model == "clip-base")


def test_labels_that_are_none(pipe: Make) -> None:
    own = pipe("clip-base")
    for wrong in (None, [], "", " , ", {"a": 1}, 3, [["a"]], [None]):
        with pytest.raises(UsageError):
            own(PATHS[0], candidate_labels=wrong)
    for template in ("no place", "{", "{a}", 3):
        with pytest.raises(UsageError, match="hypothesis_template"):
            own(PATHS[0], LABELS, hypothesis_template=template)
    with pytest.raises(UsageError, match="too many"):
        own(PATHS[0], LABELS, "more")
    with pytest.raises(InputError, match="reads at most 32"):
        own(PATHS[0], ["a very long label " * 20])


# ── what a pipeline is made of ─────────────────────────────────────────────────────────────────


def test_a_processor_of_another_folder(pipe: Make, models: Path, copy: Callable[..., str]) -> None:
    other = copy("vit-image", {"image_mean": [0.1, 0.2, 0.3]})
    own = silmu.pipeline(model=other)
    given = silmu.pipeline(model=str(models / "vit-image"), image_processor=other)
    close(given(PATHS), own(PATHS))
    again = silmu.pipeline(model=str(models / "vit-image"), image_processor=own.image_processor)
    close(again(PATHS), own(PATHS))
    assert isinstance(own.image_processor, ImageProcessor)
    assert own.feature_extractor is None
    with pytest.raises(AssertionError):
        close(own(PATHS), pipe("vit-image")(PATHS))


def test_a_processor_of_another_size_is_refused(copy: Callable[..., str]) -> None:
    with pytest.raises(InvalidModelError, match="3 x 32 x 24") as raised:
        silmu.pipeline(model=copy("vit-image", {"size": {"height": 32, "width": 24}}))
    assert "reads 3 x 24 x 24" in str(raised.value)


def test_a_model_without_a_processor(copy: Callable[..., str]) -> None:
    folder = copy("vit-image")
    (Path(folder) / FILE).unlink()
    with pytest.raises(ModelNotFoundError, match=FILE):
        silmu.pipeline(CLASSIFY, folder)


def test_the_task_is_told_by_the_folder(models: Path, copy: Callable[..., str], pipe: Make) -> None:
    assert silmu.pipeline(model=str(models / "bert-base")).task == "feature-extraction"
    folder = Path(copy("vit-base"))
    (folder / FILE).rename(folder / WHOLE_FILE)  # as transformers 5 writes it
    own = silmu.pipeline(model=str(folder))
    assert own.task == EXTRACT
    np.testing.assert_allclose(own(PATHS[0]), pipe("vit-base")(PATHS[0]), atol=1e-5)
    for task, model in (
        ("text-classification", "vit-image"),
        ("feature-extraction", "vit-base"),
        (CLASSIFY, "bert-sequence"),
        (CLASSIFY, "vit-base"),
        (COMPARE, "vit-image"),
    ):
        with pytest.raises(UnsupportedModelError, match=f"{task}"):
            silmu.pipeline(task, str(models / model))
    with pytest.raises(NothingGivenError):
        silmu.pipeline()


def test_a_model_is_shared(pipe: Make, models: Path) -> None:
    own = pipe("vit-image")
    again = silmu.pipeline(CLASSIFY, own.model)
    assert again.model is own.model
    close(again(PATHS), own(PATHS))
    vectors = silmu.pipeline(EXTRACT, own.model)
    assert np.shape(vectors(PATHS[0])) == (1, 10, 24)


def test_a_saved_pipeline_answers_the_same(pipe: Make, tmp_path: Path) -> None:
    for model, labels in (("vit-image", {}), ("clip-base", {"candidate_labels": LABELS})):
        own = pipe(model)
        own.save_pretrained(tmp_path / model)
        close(silmu.pipeline(model=str(tmp_path / model))(PATHS, **labels), own(PATHS, **labels))


def test_auto_is_said_to_be_fp32(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "silmu"):
        own = silmu.pipeline(CLASSIFY, str(models / "vit-image"), dtype="auto")
    assert "measured on texts" in caplog.text
    assert own.model.precision == "fp32"


# ── ONNX graphs ────────────────────────────────────────────────────────────────────────────────


def exported(name: str) -> onnx.ModelProto:
    """A graph as optimum wrote it, its weights put back from the folder that it was made of."""
    model = onnx.load(HERE / "exported" / f"{name}.model.onnx", load_external_data=False)
    weights = load_file(HERE / "models" / name / "model.safetensors")
    for tensor in model.graph.initializer:
        if tensor.external_data:
            source = tensor.external_data[0].value
            array = weights[source.removesuffix(".T")]
            tensor.raw_data = (array.T if source.endswith(".T") else array).tobytes()
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
    return model


def lay(folder: Path, name: str, path: str, model: onnx.ModelProto | None = None) -> str:
    """A model folder whose weights are a graph alone."""
    left_out = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(HERE / "models" / name, folder, ignore=left_out, dirs_exist_ok=True)
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_bytes((model or exported(name)).SerializeToString())
    return str(folder)


@pytest.mark.parametrize("path", ["model.onnx", "onnx/model.onnx"], ids=["optimum", "js"])
@pytest.mark.parametrize("name", ["vit-image", "vit-base", "clip-base", "siglip-base"])
def test_exported_graphs(name: str, path: str, pipe: Make, tmp_path: Path) -> None:
    own = silmu.pipeline(model=lay(tmp_path / "model", name, path))
    expected = pipe(name)
    assert own.model.exported is not None
    assert own.task == expected.task
    if own.task == EXTRACT:
        np.testing.assert_allclose(own(PATHS), expected(PATHS), atol=1e-4)
        return
    labels = {"candidate_labels": LABELS} if own.task == COMPARE else {}
    close(own(PATHS, **labels), expected(PATHS, **labels))
    close(own(PATHS[1], **labels), expected(PATHS[1], **labels))


@pytest.mark.parametrize("is_exported", [False, True])
def test_the_tokens_of_labels_are_made_once(
    is_exported: bool, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(models / "clip-base")
    own: Any = silmu.pipeline(
        model=lay(tmp_path, "clip-base", "model.onnx") if is_exported else folder
    )
    made: list[Any] = []
    tokens = own._tokens
    monkeypatch.setattr(own, "_tokens", lambda *asked: made.append(asked) or tokens(*asked))
    found = own(PATHS[:3], candidate_labels=LABELS)
    assert len(made) == 1
    close(found, own(PATHS[:3], candidate_labels=LABELS))
    assert len(made) == 1
    other = own(PATHS[0], candidate_labels=LABELS[:2])
    assert [len(made), len(other)] == [2, 2]


def test_a_graph_that_rounds_by_the_batch_reads_one_at_a_time(
    pipe: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    full, narrow = tmp_path / "full.onnx", tmp_path / "q8.onnx"
    full.write_bytes(exported("vit-image").SerializeToString())
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        quantize_dynamic(full, narrow, weight_type=QuantType.QUInt8)
    finally:
        logging.root.setLevel(level)
    name = "onnx/model_quantized.onnx"
    own = silmu.pipeline(
        model=lay(tmp_path / "model", "vit-image", name, onnx.load(narrow)), dtype="q8"
    )
    alone = [own(path) for path in PATHS]
    assert "one at a time" in caplog.text
    assert own(PATHS) == alone
    for one, other in zip(alone, pipe("vit-image")(PATHS), strict=True):
        best = {x["label"]: x["score"] for x in other}
        assert all(abs(x["score"] - best[x["label"]]) < 0.1 for x in one)


def test_half_precision_graphs_are_given_halves(pipe: Make, tmp_path: Path) -> None:
    model = exported("vit-image")
    ports = [*model.graph.input, *model.graph.output]
    for port in ports:
        port.type.tensor_type.elem_type = TensorProto.FLOAT16
    before, after = model.graph.input[0].name, model.graph.output[0].name
    for node in model.graph.node:
        node.input[:] = ["wide_in" if one == before else one for one in node.input]
        node.output[:] = ["wide_out" if one == after else one for one in node.output]
    cast_in = onnx.helper.make_node("Cast", [before], ["wide_in"], to=TensorProto.FLOAT)
    cast_out = onnx.helper.make_node("Cast", ["wide_out"], [after], to=TensorProto.FLOAT16)
    model.graph.node.insert(0, cast_in)
    model.graph.node.append(cast_out)
    folder = lay(tmp_path / "model", "vit-image", "onnx/model_fp16.onnx", model)
    own = silmu.pipeline(model=folder)
    for one, other in zip(own(PATHS), pipe("vit-image")(PATHS), strict=True):
        best = {x["label"]: x["score"] for x in other}
        assert all(abs(x["score"] - best[x["label"]]) < 0.01 for x in one)


def test_graphs_for_something_else(tmp_path: Path) -> None:
    for i, (task, name) in enumerate(
        ((CLASSIFY, "vit-base"), (EXTRACT, "vit-image"), (EXTRACT, "clip-base"))
    ):
        folder = lay(tmp_path / str(i), name, "onnx/model.onnx")
        with pytest.raises(UnsupportedModelError, match=r"model\.onnx"):
            silmu.pipeline(task, folder)
