"""The second engine, where it is installed: the same numbers in fp32, near them in fewer bits.

Without `silmu[openvino]` this file is skipped; `test_fastest` has what needs no engine.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import silmu
import test_logits
import test_precision
from silmu import graphs, registry
from silmu.errors import InvalidModelError, UnsupportedModelError, UsageError
from silmu.runtime.folder import Folder

pytest.importorskip("openvino", reason="silmu[openvino] is not installed")

from silmu.runtime import openvino

MODELS = Path(__file__).parent / "models"
TEXTS = test_precision.TEXTS
FEW = [dtype for dtype in ("bf16", "q8") if dtype == "q8" or openvino.reduced_type() == "bf16"]
OPENVINO: dict[str, Any] = {"model_kwargs": {"engine": "openvino"}}


def generates(case: dict[str, Any]) -> bool:
    family = registry.graph_module(test_logits.family(case))
    assert family is not None
    return "text-generation" in family.HEADS


ENCODERS = [
    pytest.param(case, id=case["id"].removeprefix("logits/"))
    for case in test_logits.CASES
    if test_logits.kept(case) and not generates(case)
]


open_session = graphs.open_session


def opened(name: str, head: str, dtype: str) -> Any:
    return open_session(Folder(MODELS / name, name), head, dtype=dtype, engine="openvino")


# ── the numbers ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", ENCODERS)
def test_in_fp32_it_computes_what_transformers_does(
    case: dict[str, Any], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_openvino(folder: Folder, head: str) -> Any:
        return opened(folder.name, head, "fp32")

    monkeypatch.setattr(graphs, "open_session", as_openvino)
    test_logits.test_graphs(case, models)


def test_every_encoder_is_among_them() -> None:
    families = {test_logits.family(case.values[0]) for case in ENCODERS}
    heads = {test_logits.head(case.values[0]) for case in ENCODERS}
    assert families >= {"albert", "bert", "deberta-v2", "distilbert", "electra", "modernbert"}
    assert families >= {"mpnet", "roberta", "xlm-roberta"}
    assert heads == {*test_logits.HEADS.values()} - {"text-generation"}


@pytest.mark.parametrize(("name", "head"), test_precision.ENCODERS)
@pytest.mark.parametrize(("dtype", "most"), [("bf16", 0.1), ("q8", 0.2)])
def test_in_fewer_bits_it_comes_near(name: str, head: str, dtype: str, most: float) -> None:
    if dtype not in FEW:
        pytest.skip("this processor has no products of bf16")
    texts = test_precision.random_texts(name)
    full = graphs.open_session(Folder(MODELS / name, name), head)
    found = test_precision.rows(opened(name, head, dtype), texts)
    error = test_precision.relative_error(found, test_precision.rows(full, texts))
    assert 1e-4 < error < most


@pytest.mark.parametrize(("name", "head"), test_precision.ENCODERS)
def test_an_answer_does_not_depend_on_its_neighbours(name: str, head: str) -> None:
    texts = test_precision.random_texts(name)
    assert test_precision.differences(opened(name, head, "fp32"), texts, batches=8) < 1e-4
    for dtype in FEW:
        assert test_precision.differences(opened(name, head, dtype), texts, batches=4) == 0


@pytest.mark.parametrize("dtype", ["fp32", *FEW])
def test_in_fewer_bits_each_text_is_computed_by_itself(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes the test above more than luck: together, real texts differ."""
    texts = test_precision.random_texts("bert-sequence")[:4]
    session = opened("bert-sequence", "text-classification", dtype)
    run, shapes = session._run, list[tuple[int, ...]]()

    def noted(feeds: Any) -> Any:
        shapes.append(feeds["input_ids"].shape)
        return run(feeds)

    monkeypatch.setattr(session, "_run", noted)
    session.run(test_precision.batch(texts))
    alone = [(1, len(text)) for text in texts]
    assert shapes == ([(4, max(map(len, texts)))] if dtype == "fp32" else alone)


@pytest.mark.parametrize("dtype", ["fp32", *FEW])
def test_masks_are_filled_alike(dtype: str) -> None:
    def ask(**settings: Any) -> Any:
        pipe = silmu.pipeline("fill-mask", MODELS / "bert-mask", **settings)
        mask = pipe.tokenizer.mask_token
        given = [f"the {mask} is cold", f"{mask} is a {mask} in the small house"]
        together = pipe(given, batch_size=2)
        assert dtype == "fp32" or together == [pipe(one) for one in given]
        return [[one["score"] for one in found] for found in (together[0], *together[1])]

    found, expected = ask(dtype=dtype, **OPENVINO), ask()
    np.testing.assert_allclose(found, expected, atol=1e-5 if dtype == "fp32" else 0.05)


@pytest.mark.parametrize(("dtype", "least"), [("bf16", 0.9999), ("q8", 0.998)])
def test_real_vectors_stay_near(dtype: str, least: float) -> None:
    if dtype not in FEW:
        pytest.skip("this processor has no products of bf16")

    def vectors(**settings: Any) -> NDArray[np.float32]:
        embed = silmu.pipeline(
            "feature-extraction", test_precision.minilm(), return_tensors=True, **settings
        )
        means = np.array([found[0].mean(axis=0) for found in embed([*TEXTS, "wind " * 60])])
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    cosines = (vectors() * vectors(dtype=dtype, **OPENVINO)).sum(axis=1)
    assert cosines.mean() >= least
    assert cosines.mean() < 0.9999999  # or nothing was cut


def test_threads_share_a_session() -> None:
    session = opened("bert-sequence", "text-classification", "fp32")
    batches = [test_precision.batch([text]) for text in test_precision.random_texts("bert-base")]
    expected = [session.run(batch)["logits"] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: session.run(batches[i])["logits"], [*range(10)] * 8))
    for i, one in enumerate(found):
        np.testing.assert_array_equal(one, expected[i % 10])


# ── what is kept, and what is refused ──────────────────────────────────────────────────────────


def test_it_is_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SILMU_CACHE", str(tmp_path))
    calls: list[str] = []
    compile = openvino.compile

    def counted(source: Path, target: Path, dtype: str) -> None:
        calls.append(dtype)
        compile(source, target, dtype)

    monkeypatch.setattr(openvino, "compile", counted)

    def ask(dtype: str) -> Any:
        pipe = silmu.pipeline(
            "text-classification", MODELS / "bert-sequence", dtype=dtype, **OPENVINO
        )
        assert (pipe.model.engine, pipe.model.precision) == ("openvino", dtype)
        return pipe(TEXTS)

    first = {dtype: ask(dtype) for dtype in ("fp32", "q8")}
    assert {dtype: ask(dtype) for dtype in first} == first
    assert calls == ["fp32", "q8"]
    assert first["fp32"] != first["q8"]
    names = {path.name for path in (tmp_path / "graphs").glob("*/model*")}
    assert names == {"model.xml", "model.bin"}

    (weights,) = (tmp_path / "graphs").glob("*-openvino-q8-*/model.bin")
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-100])
    assert ask("q8") == first["q8"]
    assert calls == ["fp32", "q8", "q8"]


def test_what_another_engine_wrote_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_bytes(b"not of this engine")
    (tmp_path / "ports.json").write_text('{"inputs": {}, "options": {}, "outputs": {}}')
    with pytest.raises(InvalidModelError, match=r"refuses model\.xml"):
        openvino.OpenVinoSession(tmp_path / "model.xml", tmp_path / "ports.json", dtype="fp32")


@pytest.mark.parametrize("name", ["gpt2-sequence", "llama-sequence"])
def test_decoders_are_refused(name: str) -> None:
    with pytest.raises(UnsupportedModelError, match="with OpenVINO silmu computes encoders"):
        opened(name, "text-classification", "fp32")


def test_precisions_that_it_does_not_have() -> None:
    with pytest.raises(UsageError, match="makes fp32, bf16, q8 for openvino"):
        opened("bert-sequence", "text-classification", "q4")


def test_bf16_needs_a_processor_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "reduced_type", lambda: "f32")
    with pytest.raises(UsageError, match="no products of bf16"):
        opened("bert-sequence", "text-classification", "bf16")
    opened("bert-relu", "text-classification", "q8").run(
        test_precision.batch(test_precision.random_texts("bert-relu"))
    )


def test_inputs_that_are_missing_are_named() -> None:
    session = opened("bert-sequence", "text-classification", "fp32")
    with pytest.raises(InvalidModelError, match=r"asks for the inputs .*attention_mask"):
        session.run({"input_ids": np.ones((1, 2), np.int64)})


def test_fastest_measures_it_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SILMU_CACHE", str(tmp_path))
    from silmu.pipelines import _fastest

    pipe = silmu.pipeline("text-classification", MODELS / "bert-sequence")
    measured = _fastest.measure(pipe.model, pipe.tokenizer)
    found = [(one["engine"], one["dtype"]) for one in measured]
    other = [("openvino", dtype) for dtype in ("fp32", *FEW)]
    assert sorted(found) == sorted([("onnxruntime", "fp32"), ("onnxruntime", "q8"), *other])
    drift = {(one["engine"], one["dtype"]): one["drift"] for one in measured}
    assert drift["onnxruntime", "fp32"] == 0
    assert drift["openvino", "fp32"] < 1e-5 < drift["openvino", "q8"]
    chosen = silmu.pipeline(
        "text-classification",
        MODELS / "bert-sequence",
        dtype="fastest",
        model_kwargs={"engine": "openvino"},
    )
    assert chosen.model.engine == "openvino"
