"""The second engine, where it is installed: the same numbers in fp32, near them in fewer bits.

Without `silmu[openvino]` this file is skipped; `test_auto` has what needs no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import silmu
import test_golden
import test_logits
import test_precision
from silmu import graphs, registry
from silmu.errors import InvalidModelError, UnsupportedModelError, UsageError
from silmu.pipelines._model import Model
from silmu.runtime.decoder import StatefulDecoder
from silmu.runtime.folder import Folder
from silmu.runtime.generate import Decoder

pytest.importorskip("openvino", reason="silmu[openvino] is not installed")

from silmu.runtime import openvino

MODELS = Path(__file__).parent / "models"
TEXTS = test_precision.TEXTS
FEW = [dtype for dtype in ("bf16", "q8") if dtype == "q8" or openvino.reduced_type() == "bf16"]
OPENVINO: dict[str, Any] = {"model_kwargs": {"engine": "openvino"}}


def cases(*, generates: bool) -> list[Any]:
    """What was recorded, of families that write only the batches with padding."""
    found = test_logits.parameters(generates=generates)
    return [one for one in found if str(one.id).endswith("/right") or not writes(one.values[0])]


def writes(case: dict[str, Any]) -> bool:
    family = registry.graph_module(test_logits.family(case))
    assert family is not None
    return "text-generation" in family.HEADS


DECODERS = (*test_precision.DECODERS, "gemma2-lm", "gemma3-lm", "qwen3-window")
"""Among them windows, scores that are bent, heads of keys that are shared."""

WRITTEN = [
    case
    for case in test_golden.all_cases()
    if "/text-generation/" in (case.id or "") and test_golden.difference(case.id) is None
][::10]
GREEDY: dict[str, Any] = {"do_sample": False, "max_new_tokens": 8}
ONCE, SEA, KEEPER = "Once upon a time", "The sea", "The lighthouse keeper climbed"


open_session = graphs.open_session


def opened(name: str, head: str, dtype: str) -> Any:
    return open_session(Folder(MODELS / name, name), head, dtype=dtype, engine="openvino")


# ── the numbers ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases(generates=False))
def test_in_fp32_it_computes_what_transformers_does(
    case: dict[str, Any], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_openvino(folder: Folder, head: str) -> Any:
        return opened(folder.name, head, "fp32")

    monkeypatch.setattr(graphs, "open_session", as_openvino)
    test_logits.test_graphs(case, models)


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


def test_long_texts_are_turned_by_exact_angles(copy: Callable[..., Path]) -> None:
    """In bf16 a position of four digits would be off by several turns of the fastest pair."""
    if "bf16" not in FEW:
        pytest.skip("this processor has no products of bf16")
    path = copy("llama-lm", max_position_embeddings=4096)
    rng, folder = np.random.default_rng(0), Folder(path, "llama-lm")
    prompts = [rng.integers(5, folder.config["vocab_size"], n).tolist() for n in (40, 1500)]

    def logits(**settings: Any) -> NDArray[np.float32]:
        model = Model(folder, "text-generation", **settings)
        return np.array([model.decoder().start([prompt], 1502)[0] for prompt in prompts])

    error = np.abs(logits(dtype="bf16", engine="openvino") - logits(dtype="fp32")).mean(axis=1)
    assert 1e-4 < error[1] < 0.2
    assert error[1] < 4 * error[0]


# ── what is written ────────────────────────────────────────────────────────────────────────────


def decoder(name: str, dtype: str = "fp32", **settings: Any) -> Decoder:
    return Model(Folder(MODELS / name, name), "text-generation", dtype=dtype, **settings).decoder()


def walk(decoder: Decoder, vocabulary: int) -> NDArray[np.float32]:
    """Scores along a road on which rows change places, multiply, end and are left by all."""
    rng, found = np.random.default_rng(1), list[NDArray[np.float32]]()
    for _ in range(2):  # the second start begins from nothing
        prompts = [rng.integers(5, vocabulary, n).tolist() for n in (3, 17, 9)]
        logits = decoder.start(prompts, 40)
        found.append(logits.copy())
        for rows in (None, [2, 0, 1], [1, 1, 2], None, [0, 0, 1, 2, 2, 2], [5, 1], None, [1], [0]):
            places = None if rows is None else np.array(rows)
            count = len(logits) if rows is None else len(rows)
            logits = decoder.step(rng.integers(5, vocabulary, count), places)
            found.append(logits.copy())
    return np.concatenate(found)


@pytest.mark.parametrize("name", DECODERS)
def test_rows_go_on_from_the_rows_that_they_are_told(name: str) -> None:
    vocabulary = Folder(MODELS / name, name).config["vocab_size"]
    expected = walk(decoder(name), vocabulary)
    found = walk(decoder(name, engine="openvino"), vocabulary)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-4)
    for dtype in FEW:
        found = walk(decoder(name, dtype, engine="openvino"), vocabulary)
        error = np.sqrt(np.square(found - expected).mean() / expected.var())
        assert 1e-4 < error < (0.1 if dtype == "bf16" else 0.2)


@pytest.mark.parametrize("case", cases(generates=True))
def test_in_fp32_it_writes_what_transformers_does(
    case: dict[str, Any], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_openvino(folder: Folder, head: str) -> Any:
        return opened(folder.name, head, "fp32")

    monkeypatch.setattr(graphs, "open_session", as_openvino)
    monkeypatch.setattr(test_logits, "CachedDecoder", StatefulDecoder)
    test_logits.test_generation_with_a_cache(case, 2, models)
    test_logits.test_generation_reads_whole_prompts(case, models)


@pytest.mark.filterwarnings("ignore:device=:UserWarning")
@pytest.mark.parametrize("case", WRITTEN)
def test_texts_are_those_of_transformers(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Greedy, constrained, with beams and chats: every tenth of what was recorded."""
    start = Model.__init__

    def as_openvino(self: Model, folder: Folder, head: str, **settings: Any) -> None:
        start(self, folder, head, **{**settings, "engine": "openvino", "dtype": "fp32"})

    monkeypatch.setattr(Model, "__init__", as_openvino)
    test_golden.check(case)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 3, "num_return_sequences": 2},
        {"do_sample": True, "seed": 7, "num_return_sequences": 2},
        {"eos_token_id": [53, 14, 259]},
        {"guidance_scale": 1.5},
    ],
    ids=lambda options: "-".join(options) or "greedy",
)
def test_a_prompt_gets_the_same_answer_whoever_is_beside_it(options: dict[str, Any]) -> None:
    write = silmu.pipeline("text-generation", MODELS / "gpt2-lm", **OPENVINO)
    other = silmu.pipeline("text-generation", MODELS / "gpt2-lm")
    prompts, how = [ONCE, SEA, KEEPER, "안녕하세요, the dragon"], {**GREEDY, **options}
    together = write(prompts, batch_size=4, **how)
    assert together == [write(prompt, **how) for prompt in prompts] == other(prompts, **how)


@pytest.fixture
def whole_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads as many as divide the heads of keys here, so that none is summed in parts."""
    monkeypatch.setattr(openvino, "num_cores", lambda: 2)


def follow(
    decoder: Decoder, prompts: list[list[int]], tokens: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Scores after each prompt and each of its tokens, (1 + tokens, rows, vocabulary)."""
    found = [decoder.start(prompts, 128).copy()]
    return np.array([*found, *(decoder.step(given).copy() for given in tokens)])


@pytest.mark.usefixtures("whole_heads")
@pytest.mark.parametrize("dtype", FEW)
@pytest.mark.parametrize("name", ["gpt2-lm", "llama-lm", "gpt_neox-lm", "qwen3-window"])
def test_in_fewer_bits_neighbours_change_no_bit(name: str, dtype: str) -> None:
    vocabulary = Folder(MODELS / name, name).config["vocab_size"]
    rng, one = np.random.default_rng(0), decoder(name, dtype, engine="openvino")
    for count in (1, 2, 3, 5, 9):
        lengths = rng.integers(1, 90, count)
        prompts = [rng.integers(5, vocabulary, n).tolist() for n in lengths]
        tokens = rng.integers(5, vocabulary, (5, count))
        together = follow(one, prompts, tokens)
        for row, prompt in enumerate(prompts):
            alone = follow(one, [prompt], tokens[:, [row]])
            np.testing.assert_array_equal(together[:, [row]], alone)


@pytest.mark.usefixtures("whole_heads")
@pytest.mark.parametrize("dtype", FEW)
@pytest.mark.parametrize(
    "options",
    [{}, {"num_beams": 3}, {"do_sample": True, "seed": 7}],
    ids=lambda options: "-".join(options) or "greedy",
)
def test_in_fewer_bits_a_prompt_gets_the_same_answer_whoever_is_beside_it(
    dtype: str, options: dict[str, Any]
) -> None:
    write = silmu.pipeline("text-generation", MODELS / "gpt2-lm", dtype=dtype, **OPENVINO)
    prompts = [" ".join([ONCE, SEA, KEEPER][i:] + [KEEPER] * (i % 3)) for i in range(4)] + [SEA]
    how = {**GREEDY, "max_new_tokens": 20, **options}
    alone = [write(prompt, **how) for prompt in prompts]
    assert write(prompts, batch_size=3, **how) == alone
    assert [write(prompt, **how) for prompt in prompts] == alone


def test_text_is_streamed(capsys: pytest.CaptureFixture[str]) -> None:
    write = silmu.pipeline("text-generation", MODELS / "gpt2-lm", **OPENVINO)
    answer = write(ONCE, streamer=silmu.TextStreamer(write.tokenizer), **GREEDY)
    assert capsys.readouterr().out == answer[0]["generated_text"] + "\n"


def test_threads_write_by_themselves() -> None:
    write = silmu.pipeline("text-generation", MODELS / "gpt2-lm", **OPENVINO)
    prompts = [ONCE, SEA, KEEPER] * 4
    expected = [write(prompt, **GREEDY) for prompt in prompts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda prompt: write(prompt, **GREEDY), prompts)) == expected


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


def test_kinds_that_compute_in_fp32_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="computes encoders and decoders"):
        opened("resnet-image", "image-classification", "fp32")


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


def test_auto_measures_it_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SILMU_CACHE", str(tmp_path))
    from silmu.pipelines import _measured

    pipe = silmu.pipeline("text-classification", MODELS / "bert-sequence")
    measured = _measured.measure(pipe.model, pipe.tokenizer)
    found = [(one["engine"], one["dtype"]) for one in measured]
    other = [("openvino", dtype) for dtype in ("fp32", *FEW)]
    assert sorted(found) == sorted([("onnxruntime", "fp32"), ("onnxruntime", "q8"), *other])
    drift = {(one["engine"], one["dtype"]): one["drift"] for one in measured}
    assert drift["onnxruntime", "fp32"] == 0
    assert drift["openvino", "fp32"] < 1e-5 < drift["openvino", "q8"]
    chosen = silmu.pipeline(
        "text-classification",
        MODELS / "bert-sequence",
        dtype="auto",
        model_kwargs={"engine": "openvino"},
    )
    assert chosen.model.engine == "openvino"


def test_auto_measures_what_writes_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SILMU_CACHE", str(tmp_path))
    from silmu.pipelines import _measured

    write = silmu.pipeline("text-generation", MODELS / "gpt2-lm")
    measured = _measured.measure(write.model, write.tokenizer)
    drift = {(one["engine"], one["dtype"]): one["drift"] for one in measured}
    assert {dtype for engine, dtype in drift if engine == "openvino"} == {"fp32", *FEW}
    assert drift["openvino", "fp32"] < 1e-5 < drift["openvino", "q8"]
    chosen = silmu.pipeline(
        "text-generation",
        MODELS / "gpt2-lm",
        dtype="auto",
        model_kwargs={"engine": "openvino", "max_drift": 1.0},
    )
    assert chosen.model.engine == "openvino"
    assert chosen(SEA, **GREEDY)[0]["generated_text"].startswith(SEA)
