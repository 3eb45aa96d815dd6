"""`dtype="auto"`: what this machine does quickest, of what stays near fp32.

Between engines and precisions speed differs several times over, and from machine to machine. So
each that is installed is measured, once, and the quickest within a bound is taken.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from silmu import extras
from silmu.errors import UsageError
from silmu.pipelines import _labelled, _truth
from silmu.pipelines._measured import CANDIDATES, Measured, measure
from silmu.pipelines._model import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from silmu.pipelines._base import Pipeline
    from silmu.pipelines._labelled import Labelled
    from silmu.runtime.text import Tokenizer

logger = logging.getLogger("silmu")

MAX_DRIFT = 0.02
"""By how much a score may differ from that of fp32, where the caller does not say."""

MAX_LOSS = 0.005
"""By how much a metric between 0 and 1 may be worse than that of fp32, likewise."""

ROUNDING = 1e-9
CHOSEN = "chosen"


@final
@dataclass(frozen=True, kw_only=True)
class Bound:
    """How far what is taken may be from fp32: by its scores, or by a metric on labelled rows.

    Attributes:
        max_drift: how far the scores that are read off it may be from those of fp32: probabilities,
            numbers of a regression, or 1 less the cosine of a text's vector. 0.02, if None.
        labelled, metric, input, target: as `_truth.read` takes them.
        max_loss: how much worse the metric may be. 0.005, if None.

    Raises:
        UsageError: a bound is no number from 0 on, or two do not go together.
    """

    max_drift: float | None = None
    labelled: Any = None
    metric: str | None = None
    max_loss: float | None = None
    input: str | Sequence[str] | None = None
    target: str | None = None

    def __post_init__(self) -> None:
        given = [one.name for one in fields(self) if getattr(self, one.name) is not None]
        if self.labelled is None and (left := [one for one in given if one != "max_drift"]):
            raise UsageError(
                f"{left[0]} is given without labelled, the rows that it is about",
                hint='such as model_kwargs={"labelled": "dev.csv"}',
            )
        if self.labelled is not None and self.max_drift is not None:
            raise UsageError("max_drift and labelled are given; give one of the two")
        if isinstance(self.labelled, str | Path) and not Path(self.labelled).is_file():
            raise UsageError(f"labelled is `{self.labelled}`, and there is no such file")
        for name in ("max_drift", "max_loss"):
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (is_number and value >= 0):
                raise UsageError(f"{name} is {value!r}; it must be a number from 0 on")

    def check(self, task: str, *, own: bool) -> None:
        """Refuses a task that is not judged on labelled rows, and a metric that is not for it.

        Args:
            task: by its Hub id.
            own: whether a class of the program's own answers it.

        Raises:
            UsageError: as said.
        """
        if self.labelled is not None:
            _labelled.check(task, self.metric)
            if own:
                raise UsageError(
                    "labelled rows judge silmu's own pipelines, and a class was given",
                    hint="leave labelled out: max_drift bounds how far scores may be",
                )

    def most(self, metric: str) -> float:
        """The bound, by which a metric may be worse.

        Raises:
            UsageError: it is of the unit of what is told, and nobody said it.
        """
        if self.max_loss is None and metric in _labelled.LOWER_IS_BETTER:
            raise UsageError(
                f"max_loss is missing: by how much {metric} may be larger than in fp32, in the "
                "unit of what is told"
            )
        return MAX_LOSS if self.max_loss is None else self.max_loss


def choose(
    model: Model,
    tokenizer: Tokenizer,
    bound: Bound,
    *,
    engine: str | None = None,
    ask: Callable[[Model], Pipeline] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Model:
    """The same model, by the engine and in the precision that are the quickest here.

    Args:
        model: of a folder with safetensors; a graph of another program is taken as it is.
        tokenizer: of the model.
        bound: how far from fp32 it may be.
        engine: the only one to choose from.
        ask: the pipeline of a model, which answers the labelled rows.
        settings: what its answers hang on beside the model.

    Raises:
        UsageError: nothing stays within the bound, there is no such engine, it shall not compute on
            the CPU, or the labelled rows are not for the model.
        InputError: the labelled rows hold what the model cannot tell.
    """
    if engine not in (None, *CANDIDATES):
        raise UsageError(f"engine is {engine!r}; it may be {', '.join(CANDIDATES)}")
    if engine is not None:
        extras.require(engine)
    if model.device != "cpu":
        raise UsageError(
            f"dtype auto with device {model.device}: what is measured computes on the CPU",
            hint="leave one of the two out",
        )
    if model.exported is not None:
        logger.warning(
            "dtype auto: `%s` is an ONNX graph of another program, and taken as it is",
            model.name_or_path,
        )
        return model
    labelled: Labelled | None = None
    if bound.labelled is not None and ask is not None:
        labelled = _truth.read(
            bound.labelled,
            ask(model),
            metric=bound.metric,
            input=bound.input,
            target=bound.target,
        )
        labelled = replace(labelled, settings=repr(sorted((settings or {}).items())))
        bound.most(labelled.metric)
    measured = _judged(measure(model, tokenizer, labelled, ask), bound, engine)
    for line in str(measured).splitlines():
        logger.info("%s", line)
    best = next((one for one in measured if one["verdict"] == CHOSEN), None)
    if best is None:
        raise UsageError(
            f"nothing that was measured for `{model.name_or_path}` is within {_told(bound)}",
            hint="allow more, or name dtype and engine",
        )
    logger.info("dtype auto is %s by engine %s", best["dtype"], best["engine"])
    chosen = Model(
        model.folder, model.head, dtype=best["dtype"], wanted=model.wanted, engine=best["engine"]
    )
    chosen.measured = measured
    return chosen


def _judged(measured: Measured, bound: Bound, engine: str | None) -> Measured:
    """The same with verdicts: the quickest of those within the bound is chosen."""
    reference = measured[0]
    found: list[dict[str, Any]] = []
    for one in measured:
        verdict = ""
        if engine not in (None, one["engine"]):
            verdict = f"not by engine {engine}"
        elif measured.metric is not None:
            worse = reference["score"] - one["score"]
            worse = -worse if measured.metric in _labelled.LOWER_IS_BETTER else worse
            if worse > (most := bound.most(measured.metric)) + ROUNDING:
                verdict = f"worse by {worse:.2g}, which is more than {most:g}"
        elif one["drift"] > (most := MAX_DRIFT if bound.max_drift is None else bound.max_drift):
            verdict = f"differs by more than {most:g}"
        found.append({**one, "verdict": verdict})
    fitting = [one for one in found if not one["verdict"]]
    for one in fitting:
        one["verdict"] = "slower"
    if fitting:
        min(fitting, key=lambda one: one["seconds"])["verdict"] = CHOSEN
    return Measured(found, measured.left_out, measured.metric, measured.rows)


def _told(bound: Bound) -> str:
    if bound.labelled is not None:
        return f"max_loss {MAX_LOSS if bound.max_loss is None else bound.max_loss:g}"
    return f"max_drift {MAX_DRIFT if bound.max_drift is None else bound.max_drift:g}"
