"""What each engine and precision that is installed takes, here, for a model, and how exact it is.

Each answers a few texts, one at a time, and is compared with fp32 of ONNX Runtime: by its scores,
and by a metric where there are labelled rows. What was measured is kept beside the graphs, by
model, machine, metric and rows; a later start reads it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, final, overload

import numpy as np

from silmu import extras, graphs, store
from silmu.errors import InvalidModelError, SilmuError
from silmu.pipelines._model import Model
from silmu.runtime import session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from silmu.pipelines._base import Pipeline
    from silmu.pipelines._labelled import Labelled
    from silmu.runtime.text import Tokenizer

logger = logging.getLogger("silmu")

CANDIDATES = {graphs.ONNXRUNTIME: ("fp32", "q8"), graphs.OPENVINO: ("fp32", "bf16", "q8")}
"""What is measured, the measure of all first. 4 bits are too coarse to be taken unasked."""

FORMAT = 2
"""Of the record; raised when it changes."""
RECORD = "measured.json"
WIDE = 8
"""Characters of a metric's column in the table, at least."""
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


@final
class Measured(Sequence[dict[str, Any]]):
    """What each engine and precision takes a text, and how far from fp32 it is.

    Each is a dict of `engine`, `dtype`, `seconds` (a text), `drift` (of scores), with labelled rows
    `score` (the metric), and, once a choice was made, `verdict`. `print` shows them as a table.

    Attributes:
        metric: the metric; None without labelled rows.
        rows: how many rows it was measured on.
        left_out: of what cannot compute the model here, such as `openvino bf16`, the reason.
    """

    def __init__(
        self,
        found: Sequence[dict[str, Any]],
        left_out: Mapping[str, str],
        metric: str | None = None,
        rows: int = 0,
    ) -> None:
        self._found = [*found]
        self.left_out = dict(left_out)
        self.metric = metric
        self.rows = rows

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    def __str__(self) -> str:
        by = f"  {self.metric:>{WIDE}}" if self.metric else ""
        lines = [f"{'engine':<11}  {'dtype':<5}  {'ms a text':>9}  {'drift':>7}{by}"]
        for one in self:
            score = f"  {one['score']:>{max(WIDE, len(self.metric))}.4g}" if self.metric else ""
            lines.append(
                f"{one['engine']:<11}  {one['dtype']:<5}  {1000 * one['seconds']:>9.2f}  "
                f"{one['drift']:>7.2g}{score}  {one.get('verdict', '')}".rstrip()
            )
        lines += [f"{name} is left out: {why}" for name, why in self.left_out.items()]
        if self.metric:
            lines.append(f"{self.metric} on {self.rows:,} labelled rows")
        return "\n".join(lines)


def measure(
    model: Model,
    tokenizer: Tokenizer,
    labelled: Labelled | None = None,
    ask: Callable[[Model], Pipeline] | None = None,
) -> Measured:
    """What each engine and precision takes a text, and how far from fp32 it is; measured once.

    Args:
        model: of a folder with safetensors.
        tokenizer: of the model.
        labelled: rows to judge by, of which a few are what is timed; else TEXTS are.
        ask: the pipeline of a model, for labelled rows.
    """
    versions = " ".join(str(extras.version(engine)) for engine in CANDIDATES)
    machine = f"{session.machine()} {session.num_cores()} cores, {versions}"
    pairs: list[tuple[str, str | None]] = [(text, None) for text in TEXTS]
    if model.head == "question-answering":  # which is asked of long texts
        pairs = [(" ".join(TEXTS), None)]
    meta = {"model": str(model.folder.path.resolve()), "machine": machine}
    if labelled is not None:
        pairs = labelled.texts(len(TEXTS))
        meta["labelled"] = labelled.digest()
    rows = _rows(model, tokenizer, pairs)
    key = f"{FORMAT} {machine} {meta.get('labelled', '')} {rows}"
    cached = graphs.place(model.folder, model.head, "measured", key)
    if graphs.is_there(cached):
        return Measured(**json.loads((cached / RECORD).read_text(encoding="utf-8")))
    models, left_out = _models(model)
    logger.log(
        logging.INFO if labelled is None else logging.WARNING,  # it may take minutes
        "measuring %d engines and precisions on %d texts%s, once: %s",
        *(len(models), len(rows)),
        f" and {len(labelled.inputs):,} labelled rows" if labelled else "",
        ", ".join(f"{one.engine} {one.precision}" for one in models),
    )
    record: dict[str, Any] = {"found": [], "left_out": left_out}
    for one, took, off in zip(models, *_compared(models, rows), strict=True):
        told = {"engine": one.engine, "dtype": one.precision, "seconds": took, "drift": off}
        try:
            if off is None:
                raise InvalidModelError("it computes numbers that are none")
            if labelled is not None and ask is not None:
                told["score"] = labelled.score(ask(one))
        except InvalidModelError as error:
            if one is models[0]:
                raise
            left_out[f"{one.engine} {one.precision}"] = error.message
        else:
            record["found"].append(told)
    if labelled is not None:
        record |= {"metric": labelled.metric, "rows": len(labelled.inputs)}
    with store.new_folder(cached, meta=meta, exist_ok=True) as writer:
        writer.write(RECORD, json.dumps(record).encode())
    graphs.remove_older(cached, meta)
    return Measured(**record)


def _compared(models: list[Model], rows: list[list[int]]) -> tuple[list[float], list[float | None]]:
    """How long each takes a row, and how far it is from the first; None where it gives no number.

    Raises:
        InvalidModelError: the first gives none.
    """
    seconds = np.full((len(models), len(rows)), np.inf)
    drift: list[float | None] = [0.0 for _ in models]
    for i, row in enumerate(rows):
        for _ in range(ROUNDS):
            expected: NDArray[np.float64] | None = None
            for j, one in enumerate(models):
                if (most := drift[j]) is None:
                    continue
                start = time.perf_counter()
                try:
                    outputs = _outputs(one, row)
                except InvalidModelError:
                    if not j:
                        raise
                    drift[j] = None
                    continue
                seconds[j, i] = min(seconds[j, i], time.perf_counter() - start)
                with np.errstate(invalid="ignore"):  # of what is no number
                    scores = _scores(one, outputs)
                    expected = scores if expected is None else expected
                    off = 0.0 if scores is expected else _distance(one.head, scores, expected)
                drift[j] = max(most, off) if np.isfinite(off) else None
    return seconds.mean(axis=1).tolist(), drift


def _models(model: Model) -> tuple[list[Model], dict[str, str]]:
    """All that computes the model here, fp32 of ONNX Runtime first; and why others do not."""
    found: list[Model] = []
    left_out: dict[str, str] = {}
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
                left_out[f"{engine} {dtype}"] = error.message
            else:
                found.append(one)
    return found, left_out


def _rows(
    model: Model, tokenizer: Tokenizer, pairs: Sequence[tuple[str, str | None]]
) -> list[list[int]]:
    """Texts, or pairs of them, as token ids."""
    most = max(1, min(model.max_tokens - NUM_STEPS, MOST_TOKENS))
    rows = [tokenizer.encode(*pair, truncation=True, max_length=most).ids for pair in pairs]
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
    return float(1 - one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-30))
