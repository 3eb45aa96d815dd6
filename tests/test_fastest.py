"""`dtype="fastest"`: measured once, within the bound, and never without being asked for.

The second engine is a stand-in here, and so is the clock: how fast a machine is, no test may say.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import silmu
from silmu import extras, graphs
from silmu.cli import main
from silmu.errors import MissingExtraError, UnsupportedModelError, UsageError
from silmu.pipelines import Model, _fastest
from silmu.runtime import rows, session
from silmu.runtime.folder import Folder

MODELS = Path(__file__).parent / "models"
SEQUENCE = MODELS / "bert-sequence"
TEXTS = ["The sea is cold.", "Where does the keeper live?"]
ORT, OV = "onnxruntime", "openvino"
SECONDS = {(ORT, "fp32"): 9.0, (ORT, "q8"): 7.0, (OV, "fp32"): 8.0, (OV, "bf16"): 3.0}
SECONDS |= {(OV, "q8"): 2.0}
DRIFT = {"fp32": 1e-6, "bf16": 0.002, "q8": 3.0}
"""By what part of itself the stand-in raises every second number that it gives."""


@pytest.fixture(autouse=True)
def nothing_measured() -> None:
    for path in graphs.cache_folder().glob("*-measured-*"):
        shutil.rmtree(path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], float]:
    """A clock that stands still but while a model answers; how long each takes can be set."""
    seconds, now = dict(SECONDS), [0.0]
    outputs = _fastest._outputs

    def timed(model: Model, ids: list[int]) -> Any:
        now[0] += seconds[model.engine, model.precision]
        return outputs(model, ids)

    monkeypatch.setattr(_fastest, "_outputs", timed)
    monkeypatch.setattr(_fastest.time, "perf_counter", lambda: now[0])
    return seconds


@pytest.fixture
def only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An install without OpenVINO, whatever is installed."""
    version = extras.version
    monkeypatch.setattr(extras, "version", lambda name: None if name == OV else version(name))


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """An install with OpenVINO, in whose place ONNX Runtime computes, a little off."""
    version = extras.version
    monkeypatch.setattr(extras, "version", lambda name: "1.0" if name == OV else version(name))

    def open_openvino(folder: Folder, head: str, dtype: str, device: str) -> Any:
        if "text-generation" in graphs.check(folder, head).HEADS:
            raise UnsupportedModelError("encoders only")
        inner = graphs.open_session(folder, head)
        run = inner.run

        def off(feeds: Any, outputs: Any = None) -> dict[str, NDArray[Any]]:
            found = run(feeds, outputs)
            for value in found.values():
                value[..., ::2] *= np.float32(1 + DRIFT[dtype])
            return found

        monkeypatch.setattr(inner, "run", off)
        return inner

    monkeypatch.setattr(graphs, "_open_openvino", open_openvino)


def fastest(model: Any = SEQUENCE, task: str = "text-classification", **kwargs: Any) -> Any:
    return silmu.pipeline(task, model, dtype="fastest", model_kwargs=kwargs)


def chosen(pipe: Any) -> tuple[str, str]:
    return pipe.model.engine, pipe.model.precision


def ids_of_measured(model: Path) -> list[str]:
    return sorted(path.name for path in graphs.cache_folder().glob(f"{model.name}-*-measured-*"))


# ── what is taken ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("two", "clock")
def test_the_quickest_within_the_bound_is_taken() -> None:
    assert chosen(fastest()) == (OV, "bf16")
    assert chosen(fastest(max_drift=1)) == (OV, "q8")
    assert chosen(fastest(max_drift=1e-4)) == (OV, "fp32")
    assert chosen(fastest(max_drift=0)) == (ORT, "fp32")
    assert chosen(fastest(max_drift=1, engine=ORT)) == (ORT, "q8")
    with pytest.raises(UsageError, match=r"nothing that was measured .* is within max_drift 0"):
        fastest(max_drift=0, engine=OV)


@pytest.mark.usefixtures("two")
def test_it_is_the_time_that_decides(clock: dict[tuple[str, str], float]) -> None:
    clock[ORT, "fp32"] = 1.0
    assert chosen(fastest(max_drift=1)) == (ORT, "fp32")


@pytest.mark.usefixtures("only_one", "clock")
def test_without_a_second_engine_there_are_two() -> None:
    pipe = fastest(max_drift=1)
    assert chosen(pipe) == (ORT, "q8")
    measured = _fastest.measure(pipe.model, pipe.tokenizer)
    assert [(one["engine"], one["dtype"]) for one in measured] == [(ORT, "fp32"), (ORT, "q8")]
    assert measured[0]["drift"] == 0 < measured[1]["drift"] < 1
    assert [one["seconds"] for one in measured] == [9, 7]


@pytest.mark.usefixtures("two", "clock")
@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("bert-qa", "question-answering"),
        ("bert-mask", "fill-mask"),
        ("bert-ner", "token-classification"),
        ("bert-base", "feature-extraction"),
        ("bert-sequence-regression", "text-classification"),
        ("bert-sequence-one-label", "text-classification"),
        ("bert-nli", "zero-shot-classification"),
    ],
)
def test_every_head_is_measured(name: str, task: str) -> None:
    bound = 0.1 if name.endswith("regression") else 0.01  # its numbers are not below 1
    assert chosen(fastest(MODELS / name, task, max_drift=bound)) == (OV, "bf16")
    assert chosen(fastest(MODELS / name, task, max_drift=1e-9))[1] == "fp32"


@pytest.mark.usefixtures("two", "clock")
def test_what_an_engine_cannot_do_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="silmu"):
        pipe = fastest(MODELS / "gpt2-lm", "text-generation", max_drift=1)
    assert chosen(pipe) == (ORT, "q8")
    assert "openvino fp32 is left out: encoders only" in caplog.text
    named = silmu.pipeline("text-generation", MODELS / "gpt2-lm", dtype="q8")
    settings = {"max_new_tokens": 5, "do_sample": False}
    assert pipe("The sea", **settings) == named("The sea", **settings)


@pytest.mark.usefixtures("two", "clock")
def test_it_can_be_read_and_pinned() -> None:
    pipe = fastest(max_drift=1)
    engine, dtype = chosen(pipe)
    named = silmu.pipeline(
        "text-classification", SEQUENCE, dtype=dtype, model_kwargs={"engine": engine}
    )
    assert named(TEXTS) == pipe(TEXTS)
    assert silmu.pipeline(model=pipe.model, tokenizer=pipe.tokenizer).model is pipe.model
    other = silmu.pipeline(
        model=pipe.model, tokenizer=pipe.tokenizer, dtype="fp32", model_kwargs={"engine": ORT}
    )
    assert chosen(other) == (ORT, "fp32")
    assert other(TEXTS) == silmu.pipeline("text-classification", SEQUENCE)(TEXTS) != pipe(TEXTS)


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("dtype", ["auto", None, "fp32"])
def test_nothing_is_measured_unasked(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("measured")

    monkeypatch.setattr(_fastest, "choose", refused)
    pipe = silmu.pipeline("text-classification", SEQUENCE, dtype=dtype)
    assert pipe.model.engine == ORT
    assert pipe(TEXTS) == silmu.pipeline("text-classification", SEQUENCE)(TEXTS)
    with pytest.raises(AssertionError, match="measured"):
        fastest()


# ── what is kept of it ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def measurings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The model of each measuring."""
    found: list[str] = []
    models = _fastest._models

    def noted(model: Model) -> list[Model]:
        found.append(model.name_or_path)
        return models(model)

    monkeypatch.setattr(_fastest, "_models", noted)
    return found


@pytest.mark.usefixtures("two", "clock")
def test_it_is_measured_once(
    measurings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    shutil.copytree(SEQUENCE, model)
    assert [chosen(fastest(model)) for _ in range(3)] == [(OV, "bf16")] * 3
    assert len(measurings) == 1
    (first,) = ids_of_measured(model)

    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes())
    fastest(model)
    assert len(measurings) == 2
    (second,) = ids_of_measured(model)  # it took the place of the older one
    assert second != first

    for name, value in (("machine", lambda: "another"), ("num_cores", lambda: 77)):
        monkeypatch.setattr(session, name, value)
        count = len(measurings)
        fastest(model)
        fastest(model)
        assert len(measurings) == count + 1


@pytest.mark.usefixtures("two", "clock")
def test_another_engine_is_measured_when_it_comes(
    measurings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = extras.version
    with monkeypatch.context() as patch:
        patch.setattr(extras, "version", lambda name: None if name == OV else version(name))
        assert chosen(fastest(max_drift=1)) == (ORT, "q8")
    assert chosen(fastest(max_drift=1)) == (OV, "q8")
    assert len(measurings) == 2


@pytest.mark.usefixtures("two", "clock")
def test_a_damaged_record_is_measured_again(measurings: list[str]) -> None:
    fastest()
    (name,) = ids_of_measured(SEQUENCE)
    record = graphs.cache_folder() / name / _fastest.RECORD
    record.chmod(0o644)
    record.write_bytes(b"[")
    assert chosen(fastest()) == (OV, "bf16")
    assert len(measurings) == 2


@pytest.mark.usefixtures("two", "clock")
def test_it_is_told_on_request(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="silmu"):
            fastest()
        assert "openvino q8: 2000.00 ms a text, differs from fp32 by" in caplog.text
        assert "which is more than 0.02" in caplog.text
        assert "fastest: dtype bf16 by engine openvino" in caplog.text
    for verbose in ([], ["-v"]):
        assert main(["use", str(SEQUENCE), "fine", "--dtype", "fastest", *verbose]) == 0
        told = capsys.readouterr().err
        assert ("fastest: dtype bf16 by engine openvino" in told) is bool(verbose)


# ── what is refused ────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("two", "clock")
@pytest.mark.parametrize("bound", [-0.1, float("nan"), "0.1", True])
def test_bounds_that_are_none(bound: Any) -> None:
    with pytest.raises(UsageError, match="must be a number from 0 on"):
        fastest(max_drift=bound)


def test_a_bound_is_for_what_is_measured() -> None:
    with pytest.raises(UsageError, match="max_drift is for dtype='fastest'"):
        silmu.pipeline("text-classification", SEQUENCE, model_kwargs={"max_drift": 0.1})


@pytest.mark.parametrize("dtype", ["fp32", "fastest"])
def test_engines_that_are_none(dtype: str) -> None:
    with pytest.raises(UsageError, match="it may be onnxruntime, openvino"):
        silmu.pipeline("text-classification", SEQUENCE, dtype=dtype, model_kwargs={"engine": "tvm"})


@pytest.mark.usefixtures("only_one")
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "q8", "fastest"])
def test_an_engine_that_is_not_installed(dtype: str) -> None:
    with pytest.raises(MissingExtraError, match="this needs openvino") as caught:
        silmu.pipeline("text-classification", SEQUENCE, dtype=dtype, model_kwargs={"engine": OV})
    assert caught.value.hint == "pip install 'silmu[openvino]'"


def test_an_accelerator_is_not_measured() -> None:
    model = Model(Folder(SEQUENCE, "m"), "text-classification", device="cuda:0")
    with pytest.raises(UsageError, match="dtype fastest with device cuda:0"):
        _fastest.choose(model, None)  # pyright: ignore[reportArgumentType]


# ── what a drift is ────────────────────────────────────────────────────────────────────────────


def scores(name: str, head: str, *outputs: list[Any]) -> NDArray[np.float64]:
    model = Model(Folder(MODELS / name, name), head)
    return _fastest._scores(model, [np.array(one, np.float32) for one in outputs])


def test_scores_are_what_the_task_reads() -> None:
    text = "text-classification"
    thirds = [[0.25, 0.75]]
    logits = np.log(thirds).tolist()
    np.testing.assert_allclose(scores("bert-sequence", text, logits), thirds)
    np.testing.assert_allclose(scores("bert-sequence-multilabel", text, [[0, 50]]), [[0.5, 1]])
    np.testing.assert_allclose(scores("bert-sequence-one-label", text, [[0]]), [[0.5]])
    np.testing.assert_allclose(scores("bert-sequence-regression", text, [[3.5]]), [[3.5]])
    found = scores("bert-qa", "question-answering", logits, [[0, 0]])
    np.testing.assert_allclose(found, [[0.25, 0.75], [0.5, 0.5]])
    np.testing.assert_allclose(
        scores("bert-base", "feature-extraction", [[[1, 0], [3, 4]]]), [2, 2]
    )


def test_a_vector_drifts_by_its_direction() -> None:
    one, other = np.array([3.0, 0.0]), np.array([0.0, 2.0])
    assert _fastest._distance("feature-extraction", 5 * one, one) == 0
    assert _fastest._distance("feature-extraction", one, other) == 1
    assert _fastest._distance("text-classification", one, other) == 3


# ── rows one by one ────────────────────────────────────────────────────────────────────────────

Arrays = dict[str, NDArray[Any]]


def mixing(feeds: Any) -> Arrays:
    """An engine in which a row gives what the largest number of its batch makes of it."""
    ids = feeds["input_ids"].astype(np.float32)
    scaled = ids / ids.max()
    if "places" in feeds:
        return {"logits": scaled.ravel()[feeds["places"]][None, :, None]}
    return {"tokens": scaled[..., None], "row": scaled.sum(axis=1, keepdims=True)}


def feeds(places: list[int] | None = None) -> Arrays:
    ids = np.array([[1, 2, 4, 0], [1, 5, 10, 20], [3, 0, 0, 0]])
    found = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}
    return found if places is None else {**found, "places": np.array(places, np.int64)}


def test_rows_apart_do_not_change_each_other() -> None:
    assert mixing(feeds())["row"].max() == 1.8  # as it would be
    found = rows.apart(mixing, feeds(), {"tokens"})
    assert found["row"].tolist() == [[1.75], [np.float32(1.8)], [1]]
    expected = [[0.25, 0.5, 1, 0], [0.05, 0.25, 0.5, 1], [1, 0, 0, 0]]
    np.testing.assert_allclose(found["tokens"][..., 0], expected)


@pytest.mark.parametrize(
    ("places", "expected"),
    [([2, 5], [1, 0.25]), ([5, 8, 1, 6], [0.25, 1, 0.5, 0.5]), ([7], [1])],
)
def test_places_are_counted_in_each_row(places: list[int], expected: list[float]) -> None:
    found = rows.apart(mixing, feeds(places), ())
    assert list(found) == ["logits"]
    np.testing.assert_allclose(found["logits"], np.reshape(expected, (1, -1, 1)))


def test_no_places_are_all_tokens() -> None:
    def run(own: Any) -> Arrays:
        assert "places" not in own
        return mixing(own)

    assert rows.apart(run, feeds([]), {"tokens"})["tokens"].shape == (3, 4, 1)
