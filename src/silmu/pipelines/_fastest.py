"""`dtype="fastest"`: what this machine does quickest, of what stays near fp32.

Between engines and precisions speed differs several times over, and from machine to machine. So
each that is installed answers a few texts, one at a time, and is compared with fp32 of ONNX
Runtime. What was measured is kept beside the graphs, by model and machine; a later start reads it.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu import extras, graphs, store
from silmu.errors import SilmuError, UsageError
from silmu.pipelines._model import Model
from silmu.runtime import session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from silmu.runtime.text import Tokenizer

    Measured = dict[str, Any]

logger = logging.getLogger("silmu")

MAX_DRIFT = 0.02
"""By how much a score may differ from that of fp32, where the caller does not say."""

CANDIDATES = {graphs.ONNXRUNTIME: ("fp32", "q8"), graphs.OPENVINO: ("fp32", "bf16", "q8")}
"""What is measured, the measure of all first. 4 bits are too coarse to be taken unasked."""

RECORD = "measured.json"
ROUNDS = 5
"""How often each text is asked; the quickest counts. The first two runs take the weights over."""

MOST_TOKENS, NUM_STEPS = 512, 8
TEXTS = (
    "Good.",
    "I would not buy it again.",
    "The sea is cold in March.",
    "배송이 빠르고 마음에 들어요.",
    "서울에서 부산까지 기차로 두 시간 반이 걸린다.",
    "Nobody answered, so we wrote a second letter to the office in Lyon.",
    "처음에는 좋았는데 한 달을 쓰니 소리가 나기 시작했습니다. 다시 사지는 않겠어요.",
    "Das Zimmer war sauber, aber laut; das Frühstück begann erst um neun Uhr.",
    "The committee met on 14 May 1998 and approved 3.5 million for the new library.",
    "She said that the film was far too long, and yet nobody in the room had left before its end.",
    "Ana Torres, who runs the bakery on Pine Street, has hired two people from the town of Vik.",
    "A lighthouse keeper climbs a narrow stair every evening, trims the lamp, writes down the wind "
    "and the height of the waves, and waits for the first ship to pass the northern rocks.",
)
"""What is measured on: short and long, in several languages."""


def choose(
    model: Model,
    tokenizer: Tokenizer,
    max_drift: float | None = None,
    *,
    engine: str | None = None,
) -> Model:
    """The same model, by the engine and in the precision that are the quickest here.

    Args:
        model: of a folder with safetensors; a graph of another program is taken as it is.
        tokenizer: of the model.
        max_drift: how far the scores that are read off it may be from those of fp32: probabilities,
            numbers of a regression, or 1 less the cosine of a text's vector. 0.02, if None.
        engine: the only one to choose from.

    Raises:
        UsageError: the bound is no number from 0 on, nothing stays within it, there is no such
            engine, or it shall not compute on the CPU.
    """
    bound: Any = MAX_DRIFT if max_drift is None else max_drift
    if not isinstance(bound, int | float) or isinstance(bound, bool) or not bound >= 0:
        raise UsageError(f"max_drift is {max_drift!r}; it must be a number from 0 on")
    if engine not in (None, *CANDIDATES):
        raise UsageError(f"engine is {engine!r}; it may be {', '.join(CANDIDATES)}")
    if engine is not None:
        extras.require(engine)
    if model.device != "cpu":
        raise UsageError(
            f"dtype fastest with device {model.device}: what is measured computes on the CPU",
            hint="leave one of the two out",
        )
    if model.exported is not None:
        logger.warning(
            "dtype fastest: `%s` is an ONNX graph of another program, and taken as it is",
            model.name_or_path,
        )
        return model
    measured = measure(model, tokenizer)
    fitting = [one for one in measured if one["drift"] <= bound and engine in (None, one["engine"])]
    for one in measured:
        logger.info(
            "%s %s: %.2f ms a text, differs from fp32 by %.2g%s",
            *(one["engine"], one["dtype"], 1000 * one["seconds"], one["drift"]),
            "" if one["drift"] <= bound else f", which is more than {bound:g}",
        )
    if not fitting:
        raise UsageError(
            f"nothing that was measured for `{model.name_or_path}` is within max_drift {bound:g}",
            hint="allow more, or name dtype and engine",
        )
    best = min(fitting, key=lambda one: one["seconds"])
    logger.info("fastest: dtype %s by engine %s", best["dtype"], best["engine"])
    return Model(
        model.folder, model.head, dtype=best["dtype"], wanted=model.wanted, engine=best["engine"]
    )


def measure(model: Model, tokenizer: Tokenizer) -> list[Measured]:
    """What each engine and precision takes a text, and how far from fp32 it is; measured once."""
    versions = " ".join(str(extras.version(engine)) for engine in CANDIDATES)
    machine = f"{session.machine()} {session.num_cores()} cores, {versions}"
    cached = graphs.place(model.folder, model.head, "measured", machine)
    if graphs.is_there(cached):
        return json.loads((cached / RECORD).read_text(encoding="utf-8"))
    models = _models(model)
    rows = _rows(model, tokenizer)
    logger.info(
        "measuring %d engines and precisions on %d texts, once: %s",
        *(len(models), len(rows)),
        ", ".join(f"{one.engine} {one.precision}" for one in models),
    )
    seconds, drift = np.full((len(models), len(rows)), np.inf), np.zeros(len(models))
    for i, row in enumerate(rows):
        for _ in range(ROUNDS):
            expected: NDArray[np.float64] | None = None
            for j, one in enumerate(models):
                start = time.perf_counter()
                outputs = _outputs(one, row)
                seconds[j, i] = min(seconds[j, i], time.perf_counter() - start)
                scores = _scores(one, outputs)
                expected = scores if expected is None else expected
                drift[j] = max(drift[j], _distance(one.head, scores, expected))
    found = [
        {
            "engine": one.engine,
            "dtype": one.precision,
            "seconds": float(seconds[j].mean()),
            "drift": float(drift[j]),
        }
        for j, one in enumerate(models)
    ]
    meta = {"model": str(model.folder.path.resolve()), "machine": machine}
    with store.new_folder(cached, meta=meta, exist_ok=True) as writer:
        writer.write(RECORD, json.dumps(found).encode())
    graphs.remove_older(cached, meta)
    return found


def _models(model: Model) -> list[Model]:
    """All that computes the model here, fp32 of ONNX Runtime first."""
    found: list[Model] = []
    for engine, dtypes in CANDIDATES.items():
        if extras.version(engine) is None:
            continue
        for dtype in dtypes:
            try:
                if graphs.choose_dtype(model.folder, dtype, engine) != dtype:
                    continue
                one = Model(model.folder, model.head, dtype=dtype, engine=engine)
                _ = one.session
            except SilmuError as error:
                if not found:  # nothing can be measured without fp32
                    raise
                logger.info("%s %s is left out: %s", engine, dtype, error.message)
            else:
                found.append(one)
    return found


def _rows(model: Model, tokenizer: Tokenizer) -> list[list[int]]:
    """The texts as token ids; one long one for questions, which are asked of long texts."""
    texts: Sequence[str] = (" ".join(TEXTS),) if model.head == "question-answering" else TEXTS
    most = max(1, min(model.max_tokens - NUM_STEPS, MOST_TOKENS))
    rows = [tokenizer.encode(text, truncation=True, max_length=most).ids for text in texts]
    return [row for row in rows if row]


def _outputs(model: Model, ids: list[int]) -> list[NDArray[Any]]:
    if model.head == "text-generation":
        decoder = model.decoder()
        found = [decoder.start([ids], len(ids) + NUM_STEPS).copy()]
        for i in range(NUM_STEPS):
            token = np.array([ids[i % len(ids)]], np.int64)
            found.append(decoder.step(token).copy())
        return found
    feeds = {"input_ids": np.array([ids], np.int64)}
    if "places" in model.session.options:
        feeds["places"] = np.array([len(ids) // 2], np.int64)
    return list(model(**feeds).values())


def _scores(model: Model, outputs: list[NDArray[Any]]) -> NDArray[np.float64]:
    """What a task reads off the outputs."""
    found = np.concatenate(outputs).astype(np.float64)
    if model.head == "feature-extraction":
        return found[0].mean(axis=0)
    kind = model.config.problem_type
    if model.head == "text-classification":
        if kind == "regression":
            return found
        if kind == "multi_label_classification" or found.shape[-1] == 1:
            return 1 / (1 + np.exp(-found))
    powers = np.exp(found - found.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _distance(head: str, one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if head != "feature-extraction":
        return float(np.abs(one - other).max())
    if one is other:
        return 0.0
    return float(1 - one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-30))
