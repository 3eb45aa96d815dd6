"""`silmu export`: a folder that other programs expect, which silmu opens, and what it measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

import silmu
from silmu import cli, graphs, registry, store
from silmu.pipelines import Pipeline, _measured
from silmu.runtime.dtypes import SUFFIXES
from silmu.runtime.folder import Folder

MODELS = Path(__file__).parent / "models"
TEXT = "The lighthouse keeper climbed the stairs."
TASKS = {
    "bert-base": "feature-extraction",
    "bert-mask": "fill-mask",
    "bert-qa": "question-answering",
    "bert-sequence": "text-classification",
    "bert-sequence-multilabel": "text-classification",
    "bert-sequence-regression": "text-classification",
    "distilbert-sequence": "text-classification",
    "electra-tokens": "token-classification",
    "gpt2-lm": "text-generation",
    "roberta-sequence": "text-classification",
}
DECODERS = ["gpt2-lm", "gpt2-untied", "gpt_neox-lm", "gemma2-lm", "llama-lm", "mistral-lm"]

Export = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Export]:
    import logging

    logger = logging.getLogger("silmu")
    handlers, level = logger.handlers, logger.level

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = cli.main(["export", *map(str, arguments)])
        return code, *capsys.readouterr()

    yield run
    logger.handlers, logger.level = handlers, level


def session(path: Path) -> onnxruntime.InferenceSession:
    """The engine as any other program would start it."""
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def answers(pipe: Pipeline, name: str) -> Any:
    task = TASKS[name]
    if task == "question-answering":
        return pipe(question="Who climbed the stairs?", context=TEXT)
    if task == "fill-mask":
        return pipe(f"The keeper climbed the {pipe.tokenizer.mask_token}.")
    if task == "text-generation":
        return pipe(TEXT, max_new_tokens=8, do_sample=False)
    return pipe(TEXT)


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float):
        return found == pytest.approx(expected, abs=1e-4)
    if isinstance(expected, dict):
        return list(found) == list(expected) and same([*found.values()], [*expected.values()])
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return found == expected


# ── the folder ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("dtype", ["fp32", "q8", "q4"])
def test_a_folder_answers_as_its_report_says(
    run: Export, name: str, dtype: str, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    code, out, _ = run(MODELS / name, "--dtype", dtype, "--output", target, "--json")
    report = json.loads(out)
    assert code == 0
    graph = f"onnx/model{SUFFIXES[dtype]}.onnx"
    assert (report["task"], report["dtype"], report["graph"]) == (TASKS[name], dtype, graph)
    assert (report["output"], report["texts"]) == (str(target), len(_measured.TEXTS))
    assert report["bytes"] == (target / graph).stat().st_size
    store.verify(target)
    gaps, cosine = report["difference"], report["cosine"]
    assert 0 <= gaps["mean"] <= gaps["max"]
    assert (-1.01 if dtype == "q4" else 0.5) < cosine["min"] <= cosine["mean"] < 1 + 1e-9
    assert report["speed_ratio"] > 0
    is_told = TASKS[name] != "feature-extraction" and name != "bert-sequence-regression"
    assert (report["agreement"] is not None) == is_told

    full = silmu.pipeline(TASKS[name], MODELS / name)
    found = answers(silmu.pipeline(TASKS[name], target), name)
    if dtype == "fp32":
        assert gaps["max"] < 1e-4
        assert report["agreement"] in (None, 1)
        assert same(found, answers(full, name))
    else:
        assert gaps["max"] > 1e-4
        assert same(found, answers(silmu.pipeline(TASKS[name], target, dtype=dtype), name))


def test_what_lies_in_the_folder(run: Export, tmp_path: Path) -> None:
    run(MODELS / "bert-sequence", "--dtype", "q8", "--output", tmp_path / "out")
    names = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("out/**/*.*")}
    assert names == {
        "MANIFEST.json",
        "config.json",
        "onnx/model_quantized.onnx",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    }
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config.pop("transformers.js_config") == {"dtype": "q8"}
    assert config == json.loads((MODELS / "bert-sequence" / "config.json").read_text())


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        (
            "bert-sequence",
            ["input_ids", "attention_mask", "token_type_ids"],
            {"logits": ["rows", 3]},
        ),
        ("bert-qa", ["input_ids", "attention_mask", "token_type_ids"], None),
        ("distilbert-sequence", ["input_ids", "attention_mask"], None),
        ("roberta-sequence", ["input_ids", "attention_mask"], None),
        ("bert-base", ["input_ids", "attention_mask", "token_type_ids"], None),
        (
            "gpt2-lm",
            [
                *("input_ids", "attention_mask", "position_ids"),
                *(f"past_key_values.{i}.{part}" for i in range(2) for part in ("key", "value")),
            ],
            {
                "logits": ["rows", "tokens", 400],
                **{
                    f"present.{i}.{part}": ["rows", 4, "seen", 8]
                    for i in range(2)
                    for part in ("key", "value")
                },
            },
        ),
    ],
)
def test_names_of_what_goes_in_and_comes_out(
    run: Export, name: str, inputs: list[str], outputs: dict[str, list[Any]] | None, tmp_path: Path
) -> None:
    run(MODELS / name, "--dtype", "q8", "--output", tmp_path / "out")
    model = session(tmp_path / "out" / "onnx" / "model_quantized.onnx")
    given = {port.name: port.type for port in model.get_inputs()}
    assert sorted(given) == sorted(inputs)
    assert {kind for port, kind in given.items() if "past" not in port} == {"tensor(int64)"}
    found = {port.name: port.shape for port in model.get_outputs()}
    if outputs is None:
        outputs = {port: found[port] for port in TENSORS[TASKS[name]]}
    config = json.loads((MODELS / name / "config.json").read_text())
    if "logits" in outputs and name == "gpt2-lm":
        outputs["logits"][-1] = config["vocab_size"]
    assert found == outputs


TENSORS = {
    "feature-extraction": ["last_hidden_state"],
    "question-answering": ["start_logits", "end_logits"],
    "text-classification": ["logits"],
}


def test_in_8_bits_a_row_is_the_same_in_other_engines_too(run: Export, tmp_path: Path) -> None:
    """Without silmu's batching: rows of any lengths at once, started with all optimisations."""
    run(MODELS / "bert-sequence", "--dtype", "q8", "--output", tmp_path / "out")
    model = session(tmp_path / "out" / "onnx" / "model_quantized.onnx")
    rng = np.random.default_rng(0)
    texts = [rng.integers(5, 300, length) for length in (2, 3, 7, 16, 30)]

    def logits(rows: list[NDArray[np.int64]]) -> NDArray[np.float32]:
        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = row, 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return np.asarray(model.run(None, feeds)[0])

    alone = np.concatenate([logits([text]) for text in texts])
    np.testing.assert_array_equal(logits(texts), alone)


@pytest.mark.parametrize("dtype", ["q8", "q4"])
def test_8_bits_are_7_in_a_file_for_any_machine(run: Export, dtype: str, tmp_path: Path) -> None:
    run(MODELS / "bert-sequence", "--dtype", dtype, "--output", tmp_path / "out")
    graph = onnx.load(tmp_path / "out" / "onnx" / f"model{SUFFIXES[dtype]}.onnx").graph
    largest = {
        one.name: int(np.abs(onnx.numpy_helper.to_array(one).astype(np.int32)).max())
        for one in graph.initializer
        if one.name.endswith(":columns")
    }
    assert set(largest.values()) == ({63} if dtype == "q8" else set())
    kinds = {node.op_type for node in graph.node}
    assert ("MatMulNBits" in kinds) == (dtype == "q4")


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("dtype", ["fp32", "q8"])
def test_decoders_go_on_from_their_cache(name: str, dtype: str, tmp_path: Path) -> None:
    """Rows padded on the left, and one token at a time, give what each row gives alone."""
    folder = Folder(MODELS / name, name)
    with store.new_folder(tmp_path / "out") as writer:
        graphs.write(folder, "text-generation", writer, "model.onnx", dtype=dtype)
    model = session(tmp_path / "out" / "model.onnx")
    rng = np.random.default_rng(2)
    texts = [rng.integers(3, folder.config["vocab_size"], length) for length in (3, 9, 6)]
    outputs = [port.name for port in model.get_outputs()]

    def step(
        ids: NDArray[np.int64], mask: NDArray[np.int64], past: dict[str, NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        places = np.where(mask == 1, mask.cumsum(axis=1) - 1, 1)[:, -ids.shape[1] :]
        feeds = {"input_ids": ids, "attention_mask": mask, "position_ids": places, **past}
        found = dict(zip(outputs, model.run(None, feeds), strict=True))
        kept = {name: found[name.replace("past_key_values", "present")] for name in past}
        return np.asarray(found["logits"]), kept

    def empty(rows: int) -> dict[str, NDArray[np.float32]]:
        ports = [port for port in model.get_inputs() if port.name.startswith("past")]
        return {
            port.name: np.zeros((rows, port.shape[1], 0, port.shape[3]), np.float32)
            for port in ports
        }

    width = max(map(len, texts))
    whole = [step(text[None], np.ones((1, len(text)), np.int64), empty(1))[0][0] for text in texts]
    ids = np.array([np.pad(text, (width - len(text), 0)) for text in texts])
    mask = np.array([np.pad(np.ones_like(text), (width - len(text), 0)) for text in texts])
    cut = width - 2
    found, past = step(ids[:, :cut], mask[:, :cut], empty(3))
    parts = [found]
    for i in range(cut, width):
        found, past = step(ids[:, i : i + 1], mask[:, : i + 1], past)
        parts.append(found)
    together = np.concatenate(parts, axis=1)
    for row, (text, expected) in enumerate(zip(texts, whole, strict=True)):
        np.testing.assert_allclose(together[row, -len(text) :], expected, rtol=0, atol=1e-4)


def test_every_family_that_generates_is_tested() -> None:
    families = {
        json.loads((MODELS / name / "config.json").read_text())["model_type"] for name in DECODERS
    }
    modules = {registry.graph_module(kind) for kind in registry.model_types()}
    generating = {m for m in modules if m is not None and "text-generation" in m.HEADS}
    tested = {registry.graph_module(kind) for kind in families}
    names = {module.__name__.rpartition(".")[2] for module in generating - tested if module}
    assert names <= {"gemma3"}  # whose layers are those of gemma2


# ── the report ─────────────────────────────────────────────────────────────────────────────────


def test_the_report_for_a_person(run: Export, tmp_path: Path) -> None:
    code, out, err = run(MODELS / "bert-sequence", "--dtype", "q8", "--output", tmp_path / "out")
    place, size, gaps, agreement, speed = out.splitlines()
    assert (code, err, place) == (0, "", str(tmp_path / "out"))
    assert size.startswith("onnx/model_quantized.onnx: 0.1 MB, fp32 would be 0.1")
    assert gaps.startswith("differs from fp32 by ")
    assert agreement.startswith("comes to the same in ")
    assert speed.endswith(" times as fast as fp32, on 12 texts alone")


def test_measured_on_data_that_is_given(run: Export, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("id,text\n1,fine\n2,\n3,not so fine\n")
    options = ("--dtype", "q8", "--data", data, "--input", "text", "--json")
    _, out, _ = run(MODELS / "bert-sequence", *options, "--output", tmp_path / "out")
    assert json.loads(out)["texts"] == 2


def test_a_graph_that_computes_something_else_is_measured_so(
    run: Export, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from silmu.graphs import _precision

    by_columns = _precision.by_columns

    def wrong(matrix: Any, bits: int) -> Any:
        numbers, scale = by_columns(matrix, bits)
        return -numbers, scale

    options = (MODELS / "bert-sequence", "--dtype", "q8", "--json", "--output")
    _, right, _ = run(*options, tmp_path / "right")
    monkeypatch.setattr(_precision, "by_columns", wrong)
    _, out, _ = run(*options, tmp_path / "wrong")
    one, other = json.loads(right), json.loads(out)
    assert other["difference"]["mean"] > 5 * one["difference"]["mean"]
    assert other["cosine"]["mean"] < one["cosine"]["mean"]
    assert other["agreement"] < one["agreement"]


# ── what is refused ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--output is missing"),
        (("--output", "OUT", "--dtype", "int8"), "--dtype is int8; it may be fp32, q8, q4"),
        (("--output", "OUT", "--dtype", "auto"), "--dtype is auto; it may be fp32, q8, q4"),
        (
            ("--output", "OUT", "--dtype", "auto"),
            "`silmu use --dtype auto -v` measures this machine",
        ),
        (("--output", "OUT", "--dtype", "q9"), "dtype is 'q9'"),
        (("--output", "OUT", "--task", "text-generation"), "text-classification"),
        (("--output", "OUT", "--data", "nothing.csv"), "nothing.csv"),
    ],
)
def test_what_cannot_be_exported(
    run: Export, options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    given = [str(tmp_path / "out") if option == "OUT" else option for option in options]
    code, out, err = run(MODELS / "bert-sequence", *given)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_stays(run: Export, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    code, _, err = run(MODELS / "bert-sequence", "--output", tmp_path / "out")
    assert code == 2
    assert "already there" in err
    assert not list((tmp_path / "out").iterdir())


def test_a_graph_is_not_exported_again(run: Export, tmp_path: Path) -> None:
    run(MODELS / "bert-sequence", "--output", tmp_path / "once")
    code, _, err = run(tmp_path / "once", "--output", tmp_path / "twice")
    assert code == 2
    assert "is an ONNX graph already" in err


def test_data_without_texts(run: Export, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("text\n\n")
    code, _, err = run(MODELS / "bert-sequence", "--output", tmp_path / "out", "--data", data)
    assert code == 2
    assert "no texts" in err
