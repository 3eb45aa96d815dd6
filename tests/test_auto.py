"""`dtype="auto"`: measured once, within the bound, and never without being asked for.

The second engine is a stand-in here, and so is the clock: how fast a machine is, no test may say.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import silmu
import stand_in
from silmu import extras, graphs
from silmu.cli import main
from silmu.errors import MissingExtraError, UsageError
from silmu.pipelines import Model, _auto, _measured
from silmu.runtime import rows, session
from silmu.runtime.folder import Folder
from stand_in import ORT, OV

MODELS = Path(__file__).parent / "models"
SEQUENCE = MODELS / "bert-sequence"
TEXTS = ["The sea is cold.", "Where does the keeper live?"]


@pytest.fixture(autouse=True)
def nothing_measured() -> None:
    stand_in.forget()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], float]:
    return stand_in.clock(monkeypatch)


@pytest.fixture
def only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An install without OpenVINO, whatever is installed."""
    version = extras.version
    monkeypatch.setattr(extras, "version", lambda name: None if name == OV else version(name))


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.openvino(monkeypatch)


def auto(model: Any = SEQUENCE, task: str = "text-classification", **kwargs: Any) -> Any:
    return silmu.pipeline(task, model, dtype="auto", model_kwargs=kwargs)


def chosen(pipe: Any) -> tuple[str, str]:
    return pipe.model.engine, pipe.model.precision


def ids_of_measured(model: Path) -> list[str]:
    return sorted(path.name for path in graphs.cache_folder().glob(f"{model.name}-*-measured-*"))


# ── what is taken ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("two", "clock")
def test_the_quickest_within_the_bound_is_taken() -> None:
    assert chosen(auto()) == (OV, "bf16")
    assert chosen(auto(max_drift=1)) == (OV, "q8")
    assert chosen(auto(max_drift=1e-4)) == (OV, "fp32")
    assert chosen(auto(max_drift=0)) == (ORT, "fp32")
    assert chosen(auto(max_drift=1, engine=ORT)) == (ORT, "q8")
    with pytest.raises(UsageError, match=r"nothing that was measured .* is within max_drift 0"):
        auto(max_drift=0, engine=OV)


@pytest.mark.usefixtures("two")
def test_it_is_the_time_that_decides(clock: dict[tuple[str, str], float]) -> None:
    clock[ORT, "fp32"] = 1.0
    assert chosen(auto(max_drift=1)) == (ORT, "fp32")


@pytest.mark.usefixtures("only_one", "clock")
def test_without_a_second_engine_there_are_two() -> None:
    pipe = auto(max_drift=1)
    assert chosen(pipe) == (ORT, "q8")
    measured = _measured.measure(pipe.model, pipe.tokenizer)
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
    assert chosen(auto(MODELS / name, task, max_drift=bound)) == (OV, "bf16")
    assert chosen(auto(MODELS / name, task, max_drift=1e-9))[1] == "fp32"


@pytest.mark.usefixtures("two", "clock")
def test_what_an_engine_cannot_do_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="silmu"):
        pipe = auto(MODELS / "gpt2-lm", "text-generation", max_drift=1)
    assert chosen(pipe) == (ORT, "q8")
    assert "openvino fp32 is left out: encoders only" in caplog.text
    named = silmu.pipeline("text-generation", MODELS / "gpt2-lm", dtype="q8")
    settings = {"max_new_tokens": 5, "do_sample": False}
    assert pipe("The sea", **settings) == named("The sea", **settings)


@pytest.mark.usefixtures("two", "clock")
def test_what_computes_no_number_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(stand_in.DRIFT, "bf16", np.nan)
    pipe = auto(max_drift=0.005)
    assert chosen(pipe) == (OV, "fp32")
    assert "numbers that are none" in pipe.model.measured.left_out["openvino bf16"]
    assert len(pipe.model.measured) == 4


@pytest.mark.usefixtures("only_one", "clock")
def test_of_a_decoder_too(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = _measured._outputs

    def broken(model: Model, ids: list[int]) -> list[NDArray[Any]]:
        found = outputs(model, ids)
        if model.precision == "q8":
            found[-1][0, 0] = np.inf
        return found

    monkeypatch.setattr(_measured, "_outputs", broken)
    pipe = auto(MODELS / "gpt2-lm", "text-generation", max_drift=1)
    assert chosen(pipe) == (ORT, "fp32")
    assert [*pipe.model.measured.left_out] == ["onnxruntime q8"]


@pytest.mark.usefixtures("two", "clock")
def test_it_can_be_read_and_pinned() -> None:
    pipe = auto(max_drift=1)
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
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"dtype": None},
        {"dtype": "fp32"},
        {"torch_dtype": "auto"},
        {"torch_dtype": "auto", "dtype": "auto"},
        {"model_kwargs": {"torch_dtype": "auto"}},
        {"model_kwargs": {"dtype": "fp32"}},
    ],
)
def test_nothing_is_measured_unasked(
    said: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("measured")

    monkeypatch.setattr(_auto, "choose", refused)
    pipe = silmu.pipeline("text-classification", SEQUENCE, **said)
    assert (chosen(pipe), pipe.model.measured) == ((ORT, "fp32"), None)
    assert pipe(TEXTS) == silmu.pipeline("text-classification", SEQUENCE, dtype="fp32")(TEXTS)
    assert not caplog.records
    for asked in ({"dtype": "auto"}, {"model_kwargs": {"dtype": "auto"}}):
        with pytest.raises(AssertionError, match="measured"):
            silmu.pipeline("text-classification", SEQUENCE, **asked)


# ── what is kept of it ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def measurings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return stand_in.measurings(monkeypatch)


@pytest.mark.usefixtures("two", "clock")
def test_it_is_measured_once(
    measurings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    shutil.copytree(SEQUENCE, model)
    assert [chosen(auto(model)) for _ in range(3)] == [(OV, "bf16")] * 3
    assert len(measurings) == 1
    (first,) = ids_of_measured(model)

    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes())
    auto(model)
    assert len(measurings) == 2
    (second,) = ids_of_measured(model)  # it took the place of the older one
    assert second != first

    for name, value in (("machine", lambda: "another"), ("num_cores", lambda: 77)):
        monkeypatch.setattr(session, name, value)
        count = len(measurings)
        auto(model)
        auto(model)
        assert len(measurings) == count + 1


@pytest.mark.usefixtures("two", "clock")
def test_another_engine_is_measured_when_it_comes(
    measurings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = extras.version
    with monkeypatch.context() as patch:
        patch.setattr(extras, "version", lambda name: None if name == OV else version(name))
        assert chosen(auto(max_drift=1)) == (ORT, "q8")
    assert chosen(auto(max_drift=1)) == (OV, "q8")
    assert len(measurings) == 2


@pytest.mark.usefixtures("two", "clock")
def test_a_damaged_record_is_measured_again(measurings: list[str]) -> None:
    auto()
    (name,) = ids_of_measured(SEQUENCE)
    record = graphs.cache_folder() / name / _measured.RECORD
    record.chmod(0o644)
    record.write_bytes(b"[")
    assert chosen(auto()) == (OV, "bf16")
    assert len(measurings) == 2


@pytest.mark.usefixtures("two", "clock")
def test_it_is_told_on_request(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="silmu"):
            auto()
        assert re.search(r"openvino +q8 +2000\.00 .*differs by more than 0\.02", caplog.text)
        assert re.search(r"openvino +bf16 +3000\.00 .*chosen", caplog.text)
        assert "dtype auto is bf16 by engine openvino" in caplog.text
    for verbose in ([], ["-v"]):
        assert main(["use", str(SEQUENCE), "fine", "--dtype", "auto", *verbose]) == 0
        told = capsys.readouterr().err
        assert ("dtype auto is bf16 by engine openvino" in told) is bool(verbose)


# ── what is refused ────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("two", "clock")
@pytest.mark.parametrize("bound", [-0.1, float("nan"), "0.1", True])
def test_bounds_that_are_none(bound: Any) -> None:
    with pytest.raises(UsageError, match="must be a number from 0 on"):
        auto(max_drift=bound)


def test_a_bound_is_for_what_is_measured() -> None:
    with pytest.raises(UsageError, match="max_drift is for dtype='auto'"):
        silmu.pipeline("text-classification", SEQUENCE, model_kwargs={"max_drift": 0.1})


@pytest.mark.parametrize("dtype", ["fp32", "auto"])
def test_engines_that_are_none(dtype: str) -> None:
    with pytest.raises(UsageError, match="it may be onnxruntime, openvino"):
        silmu.pipeline("text-classification", SEQUENCE, dtype=dtype, model_kwargs={"engine": "tvm"})


@pytest.mark.usefixtures("only_one")
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "q8", "auto"])
def test_an_engine_that_is_not_installed(dtype: str) -> None:
    with pytest.raises(MissingExtraError, match="this needs openvino") as caught:
        silmu.pipeline("text-classification", SEQUENCE, dtype=dtype, model_kwargs={"engine": OV})
    assert caught.value.hint == "pip install 'silmu[openvino]'"


def test_an_accelerator_is_not_measured() -> None:
    model = Model(Folder(SEQUENCE, "m"), "text-classification", device="cuda:0")
    with pytest.raises(UsageError, match="dtype auto with device cuda:0"):
        _auto.choose(model, None, _auto.Bound())  # pyright: ignore[reportArgumentType]


# ── what a drift is ────────────────────────────────────────────────────────────────────────────


def scores(name: str, head: str, *outputs: list[Any]) -> NDArray[np.float64]:
    model = Model(Folder(MODELS / name, name), head)
    return _measured._scores(model, [np.array(one, np.float32) for one in outputs])


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
    assert _measured._distance("feature-extraction", 5 * one, one) == 0
    assert _measured._distance("feature-extraction", one, other) == 1
    assert _measured._distance("text-classification", one, other) == 3


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
