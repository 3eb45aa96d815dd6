"""Models that come as ONNX graphs answer as the safetensors that they were exported from.

tests/exported holds what exporters wrote (tools/make_onnx_folders.py), without the weights, which
are put back from tests/models; here the graphs are laid out as each exporter leaves them.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import cache as cached
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

import silmu
from silmu.errors import (
    InvalidModelError,
    ModelNotFoundError,
    UnsafeModelError,
    UnsupportedModelError,
)
from silmu.pipelines import Model
from silmu.runtime import exported, hub
from silmu.runtime.exported import Wanted, inspection, layouts
from silmu.runtime.exported.decoder import ExportedDecoder
from silmu.runtime.folder import Folder
from silmu.runtime.generate import generate, merged
from test_hub import Hub, cache, local_hub, server  # noqa: F401 - fixtures

HERE = Path(__file__).parent
MODELS = HERE / "models"
TEXTS = ["the man is happy .", "no", "a good film should be short , and this one is too long"]
QUESTION = {"question": "who is happy ?", "context": "the man is happy . the dog is sad ."}

Graphs = dict[str, onnx.ModelProto]


# ── what folders are made of ───────────────────────────────────────────────────────────────────


def tensors(graph: onnx.GraphProto) -> Iterable[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from tensors(attribute.g)


@cached
def stored(name: str, graph: str) -> bytes:
    model = onnx.load(HERE / "exported" / f"{name}.{graph}.onnx", load_external_data=False)
    weights = load_file(MODELS / name / "model.safetensors")
    for tensor in tensors(model.graph):
        if tensor.external_data:
            source = tensor.external_data[0].value
            array = weights[source.removesuffix(".T")]
            tensor.raw_data = (array.T if source.endswith(".T") else array).tobytes()
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
    return model.SerializeToString()


def export(name: str, graph: str = "model") -> onnx.ModelProto:
    """A graph as its exporter wrote it, all weights within."""
    return onnx.load_from_string(stored(name, graph))


def lay(target: Path, name: str, graphs: Graphs, *, without: Sequence[str] = ()) -> str:
    """A model folder whose weights are graphs alone."""
    left_out = shutil.ignore_patterns("*.safetensors", *without)
    shutil.copytree(MODELS / name, target, ignore=left_out)
    for path, graph in graphs.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(graph.SerializeToString())
    return str(target)


def move_out(model: onnx.ModelProto, folder: Path, names: Sequence[str]) -> onnx.ModelProto:
    """Weights in files beside the graph, by turns."""
    large = [t for t in tensors(model.graph) if len(t.raw_data) > 256]
    contents = {name: bytearray() for name in names}
    for i, tensor in enumerate(large):
        name = names[i % len(names)]
        start = len(contents[name])
        contents[name] += tensor.raw_data
        keys = {"location": name, "offset": str(start), "length": str(len(tensor.raw_data))}
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in keys.items():
            tensor.external_data.add(key=key, value=value)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return model


def quantised(name: str, folder: Path, graph: str = "model") -> onnx.ModelProto:
    """The same with weights in 8 bits, and one scale for all tokens of a batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "full.onnx").write_bytes(stored(name, graph))
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        quantize_dynamic(folder / "full.onnx", folder / "q8.onnx", weight_type=QuantType.QUInt8)
    finally:
        logging.root.setLevel(level)
    return onnx.load(folder / "q8.onnx")


# ── one answer, whatever the layout ────────────────────────────────────────────────────────────


def at(path: str) -> Callable[[Path], dict[str, Any]]:
    def make(folder: Path) -> dict[str, Any]:
        lay(folder, "bert-sequence", {path: export("bert-sequence")})
        return {}

    return make


def transformers_js(folder: Path) -> dict[str, Any]:
    lay(folder, "bert-sequence", {})
    names = ["model_fp16.onnx_data", "model_fp16.onnx_data_1", "model_fp16.onnx_data_2"]
    graph = move_out(export("bert-sequence"), folder / "onnx", names)
    (folder / "onnx" / "model_fp16.onnx").write_bytes(graph.SerializeToString())
    (folder / "onnx" / "model_quantized.onnx").write_bytes(b"another")
    said = {"dtype": {"model": "fp16"}, "use_external_data_format": {"model": 3}}
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "transformers.js_config": said}))
    return {}


def optimum_subfolder(folder: Path) -> dict[str, Any]:
    """Graph and configs in a subfolder; what lies above is of no use."""
    lay(folder / "onnx", "bert-sequence", {"model.onnx": export("bert-sequence")})
    return {}


def own_config(folder: Path) -> dict[str, Any]:
    """Two configs, of which the one beside the graph is that of the graph."""
    optimum_subfolder(folder)
    config = json.loads((folder / "onnx" / "config.json").read_text())
    config["id2label"] = {"0": "wrong", "1": "labels", "2": "here"}
    (folder / "config.json").write_text(json.dumps({**config, "label2id": None}))
    return {}


def beside_the_graph(folder: Path) -> dict[str, Any]:
    lay(folder, "bert-sequence", {})
    graph = move_out(export("bert-sequence"), folder, ["model.onnx.data"])
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    return {}


def named(folder: Path) -> dict[str, Any]:
    """A file that the caller names goes before the weights that are there."""
    graph = export("bert-sequence")
    lay(folder, "bert-sequence", {"other/odd.onnx": graph, "onnx/model.onnx": broken(graph)})
    (folder / "model.safetensors").write_bytes(b"no weights")
    return {"model_kwargs": {"file_name": "odd.onnx", "subfolder": "other"}}


def in_the_cache(folder: Path) -> dict[str, Any]:
    """As the hub's cache has it: all files are links."""
    snapshot = folder / "models--a--b" / "snapshots" / ("0" * 40)
    (folder / "models--a--b" / "blobs").mkdir(parents=True)
    beside_the_graph(folder / "made")
    snapshot.mkdir(parents=True)
    for path in (folder / "made").iterdir():
        path.rename(folder / "models--a--b" / "blobs" / f"of-{path.name}")
        (snapshot / path.name).symlink_to(f"../../blobs/of-{path.name}")
    return {"model": str(snapshot)}


def broken(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A graph that gives other answers."""
    changed = onnx.ModelProto()
    changed.CopyFrom(graph)
    first = next(t for t in changed.graph.initializer if "classifier.bias" in t.name)
    first.CopyFrom(numpy_helper.from_array(np.array([0, 0, 9], np.float32), first.name))
    return changed


LAYOUTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "transformers.js": at("onnx/model.onnx"),
    "transformers.js-dtype-external": transformers_js,
    "optimum-root": at("model.onnx"),
    "optimum-optimized": at("model_optimized.onnx"),
    "optimum-subfolder": optimum_subfolder,
    "optimum-subfolder-own-config": own_config,
    "sentence-transformers-O3": at("onnx/model_O3.onnx"),
    "only-graph": at("classifier.onnx"),
    "external-weights": beside_the_graph,
    "named": named,
    "cache": in_the_cache,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_gives_the_answer_of_the_safetensors(layout: str, tmp_path: Path) -> None:
    given = {"model": str(tmp_path / "model"), **LAYOUTS[layout](tmp_path / "model")}
    expected = silmu.pipeline("text-classification", str(MODELS / "bert-sequence"))
    pipe = silmu.pipeline("text-classification", **given)
    assert pipe.model.exported is not None
    assert expected.model.exported is None
    for one, other in zip(pipe(TEXTS, top_k=None), expected(TEXTS, top_k=None), strict=True):
        assert [x["label"] for x in one] == [x["label"] for x in other]
        assert [x["score"] for x in one] == pytest.approx([x["score"] for x in other], abs=1e-4)


def test_a_copy_answers_the_same(tmp_path: Path) -> None:
    for make in (transformers_js, optimum_subfolder):
        make(tmp_path / make.__name__)
        pipe = silmu.pipeline("text-classification", str(tmp_path / make.__name__))
        pipe.save_pretrained(tmp_path / f"copy-{make.__name__}")
        copy = silmu.pipeline("text-classification", str(tmp_path / f"copy-{make.__name__}"))
        assert copy(TEXTS) == pipe(TEXTS)


def test_the_comparison_would_see_another_graph(tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", "bert-sequence", {"model.onnx": broken(export("bert-sequence"))})
    expected = silmu.pipeline("text-classification", str(MODELS / "bert-sequence"))(TEXTS[0])
    found = silmu.pipeline("text-classification", folder)(TEXTS[0])
    assert found[0]["score"] != pytest.approx(expected[0]["score"], abs=1e-4)


def test_safetensors_of_a_known_architecture_go_first(tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", "bert-sequence", {"onnx/model.onnx": export("bert-sequence")})
    shutil.copy(MODELS / "bert-sequence" / "model.safetensors", folder)
    assert Model(Folder(Path(folder), "x"), "text-classification").exported is None
    # A head that is not built, an architecture that is unknown: then the graph answers.
    found = exported.find(Folder(Path(folder), "x"), head="no-such-head")
    assert found is not None
    config = json.loads((Path(folder) / "config.json").read_text())
    (Path(folder) / "config.json").write_text(json.dumps({**config, "model_type": "unheard-of"}))
    assert Model(Folder(Path(folder), "x"), "text-classification").exported is not None


# ── which file ─────────────────────────────────────────────────────────────────────────────────


JS = ["onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model_q4.onnx", "onnx/model_quantized.onnx"]
SENTENCE = ["onnx/model.onnx", "onnx/model_O4.onnx", "onnx/model_qint8_avx512.onnx"]
PAIR = ["decoder_model.onnx", "decoder_with_past_model.onnx"]
CHOICES: list[tuple[list[str], Wanted, dict[str, Any], tuple[str, ...] | None]] = [
    (JS, Wanted(), {}, ("onnx/model.onnx",)),
    (JS, Wanted(dtype="q8"), {}, ("onnx/model_quantized.onnx",)),
    (JS, Wanted(dtype="q4"), {}, ("onnx/model_q4.onnx",)),
    (JS, Wanted(dtype="bnb4"), {}, None),
    (JS, Wanted(dtype="bf16"), {}, ("onnx/model.onnx",)),
    (JS, Wanted(dtype="fp16"), {}, ("onnx/model_fp16.onnx",)),
    (JS[:1], Wanted(dtype="fp16"), {}, ("onnx/model.onnx",)),
    (JS[2:], Wanted(), {}, ("onnx/model_quantized.onnx",)),
    (JS, Wanted(), {"dtype": "q4"}, ("onnx/model_q4.onnx",)),
    (JS, Wanted(), {"dtype": {"model": "q4"}}, ("onnx/model_q4.onnx",)),
    (JS, Wanted(), {"dtype": {"vision_encoder": "q4"}}, ("onnx/model.onnx",)),
    (JS, Wanted(dtype="fp32"), {"dtype": "q4"}, ("onnx/model.onnx",)),
    (JS, Wanted(dtype={"model": "q4"}), {}, ("onnx/model_q4.onnx",)),
    ([*JS, "model.onnx"], Wanted(), {}, ("onnx/model.onnx",)),
    ([*JS, "model.onnx"], Wanted(subfolder=""), {}, ("model.onnx",)),
    ([*JS, "model_bnb4.onnx"], Wanted(dtype="bnb4"), {}, ("model_bnb4.onnx",)),
    (JS, Wanted(file_name="model_q4.onnx"), {}, ("onnx/model_q4.onnx",)),
    (JS, Wanted(file_name="onnx/model_q4.onnx"), {}, ("onnx/model_q4.onnx",)),
    (SENTENCE, Wanted(dtype="q8"), {}, ("onnx/model_qint8_avx512.onnx",)),
    (SENTENCE, Wanted(dtype="fp16"), {}, ("onnx/model_O4.onnx",)),
    (["model_int8.onnx"], Wanted(dtype="q8"), {}, ("model_int8.onnx",)),
    (PAIR, Wanted(), {}, tuple(PAIR)),
    (PAIR[:1], Wanted(), {}, ("decoder_model.onnx",)),
    ([*PAIR, "decoder_model_merged.onnx"], Wanted(), {}, ("decoder_model_merged.onnx",)),
    ([*PAIR, "decoder_model_merged_q4.onnx"], Wanted(), {}, tuple(PAIR)),
    (["odd.onnx"], Wanted(), {}, ("odd.onnx",)),
    (["odd.onnx"], Wanted(dtype="q8"), {}, None),
    ([], Wanted(), {}, None),
]


@pytest.mark.parametrize(("names", "wanted", "js", "files"), CHOICES)
def test_the_file_that_is_taken(
    names: list[str], wanted: Wanted, js: dict[str, Any], files: tuple[str, ...] | None
) -> None:
    found = layouts.choose(names, wanted, {"transformers.js_config": js}, {})
    assert (found.files if found else None) == files


@pytest.mark.parametrize(
    ("names", "wanted", "error", "words"),
    [
        (JS, Wanted(file_name="model_q2.onnx"), ModelNotFoundError, "no model_q2.onnx"),
        (JS, Wanted(subfolder="other"), ModelNotFoundError, "no graph in other"),
        (["a.onnx", "b.onnx"], Wanted(), UnsupportedModelError, "a.onnx, b.onnx"),
        (["encoder_model.onnx", *PAIR], Wanted(), UnsupportedModelError, "an encoder and a decod"),
    ],
)
def test_what_cannot_be_chosen(
    names: list[str], wanted: Wanted, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        layouts.choose(names, wanted, {}, {})


def test_processors_are_told_by_the_names_of_sentence_transformers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"model_{end}.onnx" for end in ("qint8_arm64", "qint8_avx512_vnni", "quint8_avx2")]
    for machine, taken in (("x86_64", names[2]), ("aarch64", names[0])):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        found = layouts.choose(names, Wanted(dtype="q8"), {}, {})
        assert found is not None
        assert found.files == (taken,)


def test_a_precision_that_is_not_there(tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", "bert-sequence", {"model_q4.onnx": export("bert-sequence")})
    with pytest.raises(UnsupportedModelError, match=r"no graph in q8\n\nhint: it has q4"):
        silmu.pipeline("text-classification", folder, dtype="q8")
    assert silmu.pipeline("text-classification", folder, dtype="q4").model.exported is not None


# ── encoders ───────────────────────────────────────────────────────────────────────────────────


def rename_output(model: onnx.ModelProto, old: str, new: str) -> onnx.ModelProto:
    model.graph.node.append(helper.make_node("Identity", [old], [new]))
    port = next(port for port in model.graph.output if port.name == old)
    port.name = new
    return model


def of_sentences(model: onnx.ModelProto) -> onnx.ModelProto:
    """The outputs of an export by sentence-transformers."""
    rename_output(model, "last_hidden_state", "token_embeddings")
    axes = numpy_helper.from_array(np.array([1]), "axes")
    model.graph.initializer.append(axes)
    node = helper.make_node(
        "ReduceMean", ["token_embeddings", "axes"], ["sentence_embedding"], keepdims=0
    )
    model.graph.node.append(node)
    pooled = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["b", 32])
    model.graph.output.insert(0, pooled)
    return model


def rename(model: onnx.ModelProto, old: str, new: str) -> None:
    """Another name for a tensor within the graph; ports keep theirs."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = new if name == old else name


def narrow(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with 32-bit inputs, as exports for phones have them."""
    for port in model.graph.input:
        if port.type.tensor_type.elem_type == TensorProto.INT64:
            inner = f"{port.name}_wide"
            rename(model, port.name, inner)
            port.type.tensor_type.elem_type = TensorProto.INT32
            cast = helper.make_node("Cast", [port.name], [inner], to=TensorProto.INT64)
            model.graph.node.insert(0, cast)
    return model


ENCODERS = {
    "feature-extraction": ("bert-base", export),
    "sentence-transformers": ("bert-base", lambda name: of_sentences(export(name))),
    "text-classification": ("bert-sequence", export),
    "narrow": ("bert-sequence", lambda name: narrow(export(name))),
    "token-classification": ("bert-ner", export),
    "fill-mask": ("bert-mask", export),
    "question-answering": ("bert-qa", export),
    "decoder": ("gpt2-sequence", export),
}
HEADS = {
    "sentence-transformers": "feature-extraction",
    "narrow": "text-classification",
    "decoder": "text-classification",
}


def batch(lengths: Sequence[int], pad: int = 0) -> dict[str, Any]:
    rows = np.random.default_rng(0).integers(100, 290, (len(lengths), max(lengths)))
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    ids = np.where(mask == 1, rows, pad)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": mask * (rows % 2)}


@pytest.mark.parametrize("case", ENCODERS)
def test_encoders_give_the_numbers_of_the_safetensors(case: str, tmp_path: Path) -> None:
    name, make = ENCODERS[case]
    head = HEADS.get(case, case)
    folder = Path(lay(tmp_path / "m", name, {"model.onnx": make(name)}))
    feeds = batch([7, 3, 12], 319 if name.startswith("gpt2") else 0)
    expected = Model(Folder(MODELS / name, name), head)
    found = Model(Folder(folder, name), head)
    ours, theirs = expected(**feeds), found(**feeds)
    assert set(theirs) == set(ours)
    for output, port in found.session.outputs.items():
        assert port.shape[:2] == expected.session.outputs[output].shape[:2]
        for i, length in enumerate((7, 3, 12)):
            part = slice(0, length if "tokens" in port.shape else None)
            np.testing.assert_allclose(
                theirs[output][i][part], ours[output][i][part], rtol=1e-4, atol=1e-4
            )


def test_answers_of_a_pipeline_with_windows(tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", "bert-qa", {"onnx/model.onnx": export("bert-qa")})
    long = {**QUESTION, "context": QUESTION["context"] * 20}
    for inputs in (QUESTION, long):
        expected = silmu.pipeline("question-answering", str(MODELS / "bert-qa"))(inputs)
        found = silmu.pipeline("question-answering", folder)(inputs)
        assert found == {**expected, "score": pytest.approx(expected["score"], abs=1e-4)}


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("bert-base", "text-classification"),
        ("bert-ner", "fill-mask"),
        ("bert-mask", "token-classification"),
        ("bert-ner", "text-classification"),
        ("bert-sequence", "question-answering"),
        ("bert-sequence", "text-generation"),
        ("gpt2-lm", "text-classification"),
    ],
)
def test_a_graph_for_another_task_is_refused(name: str, head: str, tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", name, {"model.onnx": export(name)})
    with pytest.raises(UnsupportedModelError, match=f"was not exported for {head}"):
        _ = Model(Folder(Path(folder), "x"), head).session


@pytest.mark.parametrize(("dtype", "says"), [(None, True), ("fp32", True), ("q8", False)])
def test_few_bits_that_nobody_asked_for_are_said(
    dtype: str | None, says: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graphs = {"model_quantized.onnx": export("bert-sequence")}
    folder = Folder(Path(lay(tmp_path / "m", "bert-sequence", graphs)), "x")
    model = Model(folder, "text-classification", dtype=dtype)
    assert ("`x` comes in q8 only" in caplog.text) == says
    assert model.precision == (dtype or "q8")


# ── rounding by a whole batch ──────────────────────────────────────────────────────────────────


def test_rows_that_would_change_each_other_are_computed_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = quantised("bert-ner", tmp_path / "q")
    folder = Folder(Path(lay(tmp_path / "m", "bert-ner", {"model_quantized.onnx": graph})), "x")
    lengths = (9, 3, 14)
    feeds = batch(lengths)
    alone = [{k: v[i : i + 1, :n] for k, v in feeds.items()} for i, n in enumerate(lengths)]

    def differences() -> list[float]:
        model = Model(folder, "token-classification", dtype="q8")
        together = model(**feeds)["logits"]
        return [
            float(np.abs(together[i, :n] - model(**row)["logits"][0]).max())
            for i, (n, row) in enumerate(zip(lengths, alone, strict=True))
        ]

    assert differences() == [0, 0, 0]
    assert "one at a time" in caplog.text
    # The same graph, taken for one whose rows keep to themselves.
    monkeypatch.setattr(inspection.Inspection, "mixes_rows", False)
    assert max(differences()) > 1e-4


# ── decoders ───────────────────────────────────────────────────────────────────────────────────


PROMPTS = [np.random.default_rng(n).integers(94, 300, n).tolist() for n in (5, 3, 9, 5, 1)]
GREEDY = {"max_new_tokens": 10}
BEAMS = {"max_new_tokens": 8, "num_beams": 3, "num_return_sequences": 2}
WITH_PAST = "decoder_with_past_model.onnx"


def decoder(target: Path, name: str, graphs: Graphs) -> Callable[[], ExportedDecoder]:
    return Model(Folder(Path(lay(target, name, graphs)), name), "text-generation").decoder  # type: ignore[return-value]


def tokens(
    new_decoder: Any, prompts: Sequence[Sequence[int]], how: dict[str, Any]
) -> list[list[list[int]]]:
    answers = generate(new_decoder, prompts, merged(how))
    return [[answer.tokens for answer in several] for several in answers]


@cached
def expected_tokens(name: str, how: str) -> list[list[list[int]]]:
    model = Model(Folder(MODELS / name, name), "text-generation")
    assert model.exported is None
    return tokens(model.decoder, PROMPTS, json.loads(how))


def lower_caches(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with a cache of half precision."""
    for port in [*model.graph.input, *model.graph.output]:
        if port.name.startswith(("past", "present")):
            port.type.tensor_type.elem_type = TensorProto.FLOAT16
            is_past = port.name.startswith("past")
            wide = f"{port.name}_wide"
            rename(model, port.name, wide)
            ends = [port.name, wide] if is_past else [wide, port.name]
            to = TensorProto.FLOAT if is_past else TensorProto.FLOAT16
            cast = helper.make_node("Cast", ends[:1], ends[1:], to=to)
            model.graph.node.insert(0 if is_past else len(model.graph.node), cast)
    return model


def without_positions(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph without a cache that counts positions from the beginning of a row, padding or not."""
    port = next(port for port in model.graph.input if port.name == "position_ids")
    model.graph.input.remove(port)
    for name, value in (("p0", np.array(0)), ("p1", np.array(1)), ("row", np.array([0]))):
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    nodes = [
        helper.make_node("Shape", ["input_ids"], ["p_shape"]),
        helper.make_node("Gather", ["p_shape", "p1"], ["p_width"]),
        helper.make_node("Range", ["p0", "p_width", "p1"], ["p_range"]),
        helper.make_node("Unsqueeze", ["p_range", "row"], ["position_ids"]),
    ]
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    return model


def hates_padding(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph that gives no numbers where any row is padded, as some of half precision do."""
    rename(model, "logits", "raw")
    model.graph.node.extend(
        [
            helper.make_node("Cast", ["attention_mask"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMin", ["real"], ["least"], keepdims=0),
            helper.make_node("Div", ["least", "least"], ["one_or_none"]),
            helper.make_node("Mul", ["raw", "one_or_none"], ["logits"]),
        ]
    )
    return model


def scores_what_is_asked(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph that is told of how many tokens to give logits."""
    name = "num_logits_to_keep"
    model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.INT64, []))
    rename(model, "logits", "raw")
    for constant, value in (("axis", [1]), ("end", [1 << 40])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value), constant))
    model.graph.node.extend(
        [
            helper.make_node("Neg", [name], ["minus"]),
            helper.make_node("Reshape", ["minus", "axis"], ["start"]),
            helper.make_node("Slice", ["raw", "start", "end", "axis"], ["logits"]),
        ]
    )
    return model


DECODERS: dict[str, tuple[str, Callable[[], Graphs]]] = {
    "one graph": ("gpt2-lm", lambda: {"model.onnx": export("gpt2-lm")}),
    "merged": (
        "gpt2-lm",
        lambda: {"onnx/decoder_model_merged.onnx": export("gpt2-lm", "decoder_model_merged")},
    ),
    "unmerged": (
        "gpt2-lm",
        lambda: {
            "decoder_model.onnx": export("gpt2-lm", "decoder_model"),
            WITH_PAST: export("gpt2-lm"),
        },
    ),
    "without a cache": (
        "gpt2-lm",
        lambda: {"decoder_model.onnx": export("gpt2-lm", "decoder_model")},
    ),
    "without positions": (
        "gpt2-lm",
        lambda: {"model.onnx": without_positions(export("gpt2-lm", "decoder_model"))},
    ),
    "hates padding": ("gpt2-lm", lambda: {"model.onnx": hates_padding(export("gpt2-lm"))}),
    "num_logits_to_keep": (
        "gpt2-lm",
        lambda: {"model.onnx": scores_what_is_asked(export("gpt2-lm"))},
    ),
    "llama": ("llama-lm", lambda: {"model.onnx": export("llama-lm")}),
    "gpt_neox": ("gpt_neox-lm", lambda: {"model.onnx": export("gpt_neox-lm")}),
}


@pytest.mark.parametrize("how", [GREEDY, BEAMS], ids=["greedy", "beams"])
@pytest.mark.parametrize("case", DECODERS)
def test_decoders_write_the_text_of_the_safetensors(
    case: str, how: dict[str, Any], tmp_path: Path
) -> None:
    name, graphs = DECODERS[case]
    new_decoder = decoder(tmp_path / "m", name, graphs())
    expected = expected_tokens(name, json.dumps(how))
    assert tokens(new_decoder, PROMPTS, how) == expected
    alone = [tokens(new_decoder, [prompt], how)[0] for prompt in PROMPTS]
    assert alone == expected


def test_padding_that_a_graph_does_not_bear_would_be_seen(tmp_path: Path) -> None:
    """The comparison above fails where rows of different lengths are padded all the same."""
    graphs = {"model.onnx": without_positions(export("gpt2-lm", "decoder_model"))}
    new_decoder = decoder(tmp_path / "m", "gpt2-lm", graphs)

    def padding() -> ExportedDecoder:
        made = new_decoder()
        made._pads = True
        return made

    assert tokens(padding, PROMPTS, GREEDY) != expected_tokens("gpt2-lm", json.dumps(GREEDY))


def test_rows_share_a_batch_where_they_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_decoder = decoder(tmp_path / "m", "gpt2-lm", {"model.onnx": export("gpt2-lm")})
    made = new_decoder()
    made.start(PROMPTS, 20)
    assert [group.rows.tolist() for group in made._groups] == [[0, 1, 2, 3, 4]]
    monkeypatch.setattr(inspection.Inspection, "has", lambda self, name: True)
    made = new_decoder()
    made.start(PROMPTS, 20)
    assert sorted(group.rows.tolist() for group in made._groups) == [[0, 3], [1], [2], [4]]


def test_a_cache_of_half_precision(tmp_path: Path) -> None:
    graphs = {"model.onnx": lower_caches(export("gpt2-lm"))}
    made = decoder(tmp_path / "m", "gpt2-lm", graphs)()
    full = decoder(tmp_path / "f", "gpt2-lm", {"model.onnx": export("gpt2-lm")})()
    made.start(PROMPTS, 20)
    full.start(PROMPTS, 20)
    for token in (100, 120, 140):
        step = np.full(len(PROMPTS), token)
        found, expected = made.step(step), full.step(step)
    np.testing.assert_allclose(found, expected, atol=0.1)
    assert not np.array_equal(found, expected)


def test_rows_of_a_rounded_decoder_are_computed_alone(tmp_path: Path) -> None:
    graph = quantised("gpt2-lm", tmp_path / "q")
    new_decoder = decoder(tmp_path / "m", "gpt2-lm", {"model_quantized.onnx": graph})
    made = new_decoder()
    together = [made.start(PROMPTS, 20), made.step(np.arange(100, 105))]
    for i, prompt in enumerate(PROMPTS):
        alone = new_decoder()
        assert np.array_equal(alone.start([prompt], 20)[0], together[0][i])
        assert np.array_equal(alone.step(np.array([100 + i]))[0], together[1][i])
    assert tokens(new_decoder, PROMPTS, BEAMS) == [
        tokens(new_decoder, [prompt], BEAMS)[0] for prompt in PROMPTS
    ]


# ── onnxruntime-genai ──────────────────────────────────────────────────────────────────────────


def genai_folder(target: Path, *, renamed: bool = False) -> str:
    """What its builder writes: no config.json, weights beside the graph."""
    model = export("mistral-whole", "genai")
    config = json.loads((HERE / "exported" / "mistral-whole.genai_config.json").read_text())
    file = "model.onnx"
    if renamed:
        file = "decoder.onnx"
        names = {"input_ids": "tokens", "attention_mask": "seen", "logits": "scores"}
        for i in range(2):
            for part in ("key", "value"):
                names[f"past_key_values.{i}.{part}"] = f"in_{part}_{i}"
                names[f"present.{i}.{part}"] = f"out_{part}_{i}"
        for port in [*model.graph.input, *model.graph.output]:
            port.name = names.get(port.name, port.name)
        for node in model.graph.node:
            for own in (node.input, node.output):
                for i, name in enumerate(own):
                    own[i] = names.get(name, name)
        parts = {f"past_{part}_names": f"in_{part}_%d" for part in ("key", "value")}
        own_inputs = {"input_ids": "tokens", "attention_mask": "seen", **parts}
        parts = {f"present_{part}_names": f"out_{part}_%d" for part in ("key", "value")}
        config["model"]["decoder"]["inputs"] = own_inputs
        config["model"]["decoder"]["outputs"] = {"logits": "scores", **parts}
        config["model"]["decoder"]["filename"] = file
    lay(target, "mistral-whole", {}, without=["config.json", "generation_config.json"])
    graph = move_out(model, target, [f"{file}.data"])
    (target / file).write_bytes(graph.SerializeToString())
    (target / "genai_config.json").write_text(json.dumps(config))
    return str(target)


@pytest.mark.parametrize("renamed", [False, True])
def test_a_folder_of_genai(renamed: bool, tmp_path: Path) -> None:
    folder = genai_folder(tmp_path / "m", renamed=renamed)
    write = silmu.pipeline(model=folder)
    assert write.task == "text-generation"
    # Its search settings say do_sample: false; what else the builder always writes is left alone.
    assert write.model.config.do_sample is False
    expected = silmu.pipeline("text-generation", str(MODELS / "mistral-whole"))
    for how in ({"num_beams": 1}, {"num_beams": 3}):
        options = {**how, "max_new_tokens": 8, "do_sample": False}
        texts = ["The sea", "Once upon a time there was"]
        assert write(texts, **options) == expected(texts, **options)


def test_a_shared_cache_has_room_to_the_end_and_no_more(tmp_path: Path) -> None:
    folder = Folder(Path(genai_folder(tmp_path / "m")), "x")
    made = Model(folder, "text-generation").decoder()
    made.start([[100, 101, 102]], 4)
    (held,) = {value.shape()[2] for value in made._groups[0].cached.values()}
    assert held == 4
    made.step(np.array([103]))
    with pytest.raises(InvalidModelError, match="failed while it ran"):
        made.step(np.array([104]))


def test_a_model_of_genai_that_is_more_than_a_decoder(tmp_path: Path) -> None:
    folder = genai_folder(tmp_path / "m")
    config = json.loads((Path(folder) / "genai_config.json").read_text())
    config["model"]["vision"] = {"filename": "vision.onnx"}
    (Path(folder) / "genai_config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedModelError, match="graphs for vision"):
        silmu.pipeline("text-generation", folder)


# ── hostile graphs ─────────────────────────────────────────────────────────────────────────────


def with_location(location: str) -> bytes:
    model = export("bert-sequence")
    tensor = next(t for t in model.graph.initializer if len(t.raw_data) > 256)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return model.SerializeToString()


def in_a_branch(location: str) -> bytes:
    """The same within a branch of a branch."""
    inner = onnx.load_from_string(with_location(location)).graph
    inner.ClearField("input")
    for _ in range(2):
        node = helper.make_node("If", ["c"], ["logits"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([node], "g", [], list(inner.output))
    return helper.make_model(inner).SerializeToString()


OUTSIDE = ["../outside.data", "/etc/passwd", "a/../../outside.data", "C:\\x", "..\\x", "", "a\0b"]


@pytest.mark.parametrize("location", [*OUTSIDE, "*/_ORT_MEM_ADDR_/*", "link.data"])
@pytest.mark.parametrize("make", [with_location, in_a_branch])
def test_weights_elsewhere_are_refused_before_the_engine_opens_them(
    make: Callable[[str], bytes], location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(lay(tmp_path / "m", "bert-sequence", {}))
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(make(location))
    (tmp_path / "outside.data").write_bytes(bytes(100_000))
    (folder / "onnx" / "link.data").symlink_to(tmp_path / "outside.data")
    (folder / "onnx" / "*" / "_ORT_MEM_ADDR_").mkdir(parents=True)
    (folder / "onnx" / "*" / "_ORT_MEM_ADDR_" / "*").write_bytes(bytes(100_000))
    monkeypatch.setattr("silmu.runtime.session._start", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(UnsafeModelError):
        silmu.pipeline("text-classification", str(folder))


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    folder = Path(lay(tmp_path / "m", "bert-sequence", {}))
    (folder / "model.onnx").write_bytes(with_location("model.onnx_data"))
    with pytest.raises(ModelNotFoundError, match=r"no model\.onnx_data"):
        silmu.pipeline("text-classification", str(folder))
    (folder / "model.onnx_data").write_bytes(b"short")
    with pytest.raises(InvalidModelError, match="the engine refuses"):
        silmu.pipeline("text-classification", str(folder))


@pytest.mark.parametrize("wanted", ["../model.onnx", "/model.onnx", "a/../../model.onnx"])
def test_a_file_name_that_leads_out(wanted: str, tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", "bert-sequence", {})
    shutil.copy(HERE / "exported" / "bert-sequence.model.onnx", tmp_path / "model.onnx")
    with pytest.raises((UnsafeModelError, ModelNotFoundError)):
        silmu.pipeline("text-classification", folder, model_kwargs={"file_name": wanted})
    with pytest.raises((UnsafeModelError, ModelNotFoundError)):
        silmu.pipeline("text-classification", folder, model_kwargs={"subfolder": ".."})


def test_operators_that_need_a_library(tmp_path: Path) -> None:
    model = export("bert-sequence")
    model.graph.node[0].domain = "ai.onnx.contrib"
    folder = lay(tmp_path / "m", "bert-sequence", {"model.onnx": model})
    with pytest.raises(UnsupportedModelError, match=r"ai\.onnx\.contrib\.Shape.*never loaded"):
        silmu.pipeline("text-classification", folder)


def test_inputs_that_a_text_does_not_give(tmp_path: Path) -> None:
    model = export("bert-sequence")
    model.graph.input.append(helper.make_tensor_value_info("bbox", TensorProto.INT64, ["b", 4]))
    folder = lay(tmp_path / "m", "bert-sequence", {"model.onnx": model})
    with pytest.raises(UnsupportedModelError, match="asks for the inputs bbox"):
        silmu.pipeline("text-classification", folder)
    model = export("gpt2-lm")
    state = helper.make_tensor_value_info("past_conv.0", TensorProto.FLOAT, ["b", 8, 3])
    model.graph.input.append(state)
    folder = lay(tmp_path / "g", "gpt2-lm", {"model.onnx": model})
    with pytest.raises(UnsupportedModelError, match=r"asks for the inputs past_conv\.0"):
        silmu.pipeline("text-generation", folder)


def claimed(*axes: int | str) -> onnx.ModelProto:
    model = export("gpt2-lm")
    for port in model.graph.input:
        if port.name.startswith("past"):
            shape = helper.make_tensor_type_proto(TensorProto.FLOAT, axes)
            port.type.CopyFrom(shape)
    return model


@pytest.mark.parametrize("axes", [("b", 1 << 20, "s", 1 << 40), ("b", 8, "s"), ("b",), ("b", "s")])
def test_caches_of_unlikely_shapes(axes: tuple[int | str, ...], tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", "gpt2-lm", {"model.onnx": claimed(*axes)})
    with pytest.raises((UnsupportedModelError, InvalidModelError)):
        silmu.pipeline("text-generation", folder)("Once", max_new_tokens=2)


def nested(depth: int) -> bytes:
    """Graphs in attributes of operators of graphs."""
    data = b""
    for tag in [b"\x32", b"\x2a", b"\x0a"] * depth + [b"\x3a"]:
        size, length = b"", len(data)
        while length > 127:
            size += bytes([length & 127 | 128])
            length >>= 7
        data = tag + size + bytes([length]) + data
    return data


JUNK = {
    "empty": b"",
    "text": b"no graph at all",
    "archive": b"PK\3\4",
    "zeros": bytes(1000),
    "long number": b"\x3a" + b"\xff" * 12,
    "longer than the file": b"\x3a\xff\xff\xff\x7f",
    "group": b"\x3b\x3c",
    "deep": nested(80),
}


@pytest.mark.parametrize("kind", JUNK)
def test_what_is_no_graph(kind: str, tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", "bert-sequence", {})
    (Path(folder) / "model.onnx").write_bytes(JUNK[kind])
    with pytest.raises(InvalidModelError):
        silmu.pipeline("text-classification", folder)


def test_a_graph_that_is_too_large(tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", "bert-sequence", {"model.onnx": export("bert-sequence")})
    os.truncate(Path(folder) / "model.onnx", 1 << 31)
    with pytest.raises(InvalidModelError, match="2,147,483,648 bytes"):
        silmu.pipeline("text-classification", folder)


def test_damaged_graphs_never_end_in_another_error(tmp_path: Path) -> None:
    folder = Path(lay(tmp_path / "m", "bert-sequence", {}))
    good = stored("bert-sequence", "model")
    chance = np.random.default_rng(0)
    refused = 0
    for _ in range(25):
        data = bytearray(good[: chance.integers(len(good) // 2, len(good) + 1)])
        for place in chance.integers(0, 4000, 4):
            data[place] = chance.integers(0, 256)
        (folder / "model.onnx").write_bytes(data)
        try:
            silmu.pipeline("text-classification", str(folder))("a text")
        except silmu.errors.SilmuError:
            refused += 1
    assert refused > 15


# ── the hub ────────────────────────────────────────────────────────────────────────────────────


def on_the_hub(shown: Hub, *, safetensors: bool = False) -> Path:
    folder = shown.root / "org" / "model"
    lay(folder, "bert-sequence", {"onnx/model_q4.onnx": export("bert-sequence")})
    if safetensors:
        shutil.copy(MODELS / "bert-sequence" / "model.safetensors", folder)
    graph = move_out(export("bert-sequence"), folder / "onnx", ["model.onnx_data"])
    (folder / "onnx" / "model.onnx").write_bytes(graph.SerializeToString())
    (folder / "onnx" / "model_q4.onnx_data").write_bytes(b"of no use")
    return folder


def graphs_of(shown: Hub) -> list[str]:
    return sorted(name for name in shown.got() if "onnx" in name)


@local_hub
def test_only_the_graph_that_is_wanted_is_fetched(server: Hub) -> None:  # noqa: F811
    folder = on_the_hub(server)
    expected = silmu.pipeline("text-classification", str(folder))(TEXTS)
    assert silmu.pipeline("text-classification", "org/model")(TEXTS) == expected
    assert graphs_of(server) == ["onnx/model.onnx", "onnx/model.onnx_data"]
    asked = len(server.requests)
    # What is whole in the cache is opened without a word to the hub.
    assert silmu.pipeline("text-classification", "org/model")(TEXTS) == expected
    assert len(server.requests) == asked
    opened = hub.open_model("org/model")
    assert hub.used_files(opened)[-2:] == ["onnx/model.onnx", "onnx/model.onnx_data"]
    silmu.pipeline("text-classification", "org/model", dtype="q4")
    assert graphs_of(server) == ["onnx/model.onnx", "onnx/model.onnx_data", "onnx/model_q4.onnx"]


@local_hub
def test_weights_beside_a_graph_that_were_lost_are_fetched_again(
    server: Hub,  # noqa: F811
) -> None:
    on_the_hub(server)
    opened = hub.open_model("org/model")
    (opened.path / "onnx" / "model.onnx_data").resolve().unlink()
    assert silmu.pipeline("text-classification", "org/model")(TEXTS[0])
    assert graphs_of(server).count("onnx/model.onnx_data") == 2


@local_hub
def test_safetensors_are_fetched_and_no_graph(server: Hub) -> None:  # noqa: F811
    on_the_hub(server, safetensors=True)
    assert silmu.pipeline("text-classification", "org/model").model.exported is None
    assert graphs_of(server) == []
    named = silmu.pipeline(
        "text-classification", "org/model", model_kwargs={"file_name": "onnx/model.onnx"}
    )
    assert named.model.exported is not None
    assert graphs_of(server) == ["onnx/model.onnx", "onnx/model.onnx_data"]


@local_hub
def test_a_precision_that_the_hub_does_not_have(server: Hub) -> None:  # noqa: F811
    on_the_hub(server)
    with pytest.raises(UnsupportedModelError, match=r"no graph in q8[^§]*it has fp32, q4"):
        silmu.pipeline("text-classification", "org/model", dtype="q8")
    assert graphs_of(server) == []


def test_without_a_network_it_is_said_what_is_lacking(
    cache: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    snapshot = cache / "models--org--model" / "snapshots" / ("1" * 40)
    snapshot.parent.mkdir(parents=True)
    lay(snapshot, "bert-sequence", {"onnx/model.onnx": export("bert-sequence")})
    (cache / "models--org--model" / "refs").mkdir()
    (cache / "models--org--model" / "refs" / "main").write_text("1" * 40)
    assert silmu.pipeline("text-classification", "org/model")(TEXTS[0])
    with pytest.raises(ModelNotFoundError, match="lacks a graph in q4"):
        silmu.pipeline("text-classification", "org/model", dtype="q4")
