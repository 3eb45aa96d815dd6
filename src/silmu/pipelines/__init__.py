"""Tasks answered without torch, by the contract of transformers 4.57: one file a task."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from silmu import graphs, registry
from silmu.errors import (
    ModelNotFoundError,
    NothingGivenError,
    UnsupportedModelError,
    UsageError,
    WrongTypeError,
)
from silmu.pipelines._base import Pipeline
from silmu.pipelines._model import Model
from silmu.runtime import dtypes, exported, hub
from silmu.runtime.image_processor import FILE as PICTURES
from silmu.runtime.image_processor import WHOLE_FILE, ImageProcessor
from silmu.runtime.session import choose_device

if TYPE_CHECKING:
    from collections.abc import Callable

    from silmu.pipelines._auto import Bound
    from silmu.runtime.folder import Folder
    from silmu.runtime.text import Tokenizer

__all__ = ["PIPELINE_REGISTRY", "Model", "Pipeline", "pipeline"]

logger = logging.getLogger("silmu")


def pipeline(
    task: str | None = None,
    model: str | Path | Model | None = None,
    config: Any = None,
    tokenizer: str | Path | Tokenizer | None = None,
    feature_extractor: Any = None,
    image_processor: str | Path | ImageProcessor | None = None,
    processor: Any = None,
    framework: str | None = None,
    revision: str | None = None,
    use_fast: bool = True,
    token: str | bool | None = None,
    device: Any = None,
    device_map: Any = None,
    dtype: Any = None,
    trust_remote_code: bool | None = None,
    model_kwargs: dict[str, Any] | None = None,
    pipeline_class: type[Pipeline] | None = None,
    **parameters: Any,
) -> Pipeline:
    """A callable that answers a task with a model.

    >>> classify = pipeline("sentiment-analysis")                        # doctest: +SKIP
    >>> classify("I love this product!")                                 # doctest: +SKIP
    [{'label': 'POSITIVE', 'score': 0.9998...}]

    Args:
        task: a Hub id such as `question-answering`, or an alias; told from config.json if only a
            model is given.
        model: a folder, a hub id, or the `model` of another pipeline; the task's default, if only
            a task is given.
        tokenizer: a folder or hub id to take the tokenizer from, or the `tokenizer` of another
            pipeline; the model's own, if not given.
        revision: a branch, tag or commit of the hub.
        token: for private models; `True` takes the one that `hf auth login` stored.
        device: -1 or `cpu`; an accelerator's index, `cuda:1` or a `torch.device` where the engine
            has one.
        dtype: `fp32`; `q8`, 8 bits, for most of the speed and a quarter of the size; `q4`, smaller
            and coarser. None is fp32, or what an ONNX folder says of itself. `auto` measures once
            what this machine can do, and takes the quickest that stays near fp32;
            `print(pipe.model.measured)` shows what was measured, `pipe.model.precision` and
            `pipe.model.engine` what was taken, and given by name they keep it. In `torch_dtype`,
            as programs for older transformers write it, "auto" is what None is here: nothing is
            measured.
        model_kwargs: `cache_dir` and `local_files_only`, for the hub; `file_name` and `subfolder`,
            to name an ONNX graph of the model; `engine`, `onnxruntime` or `openvino`, which has
            `bf16` too. How near fp32 `auto` stays: `max_drift`, how far from it a score may be,
            0.02 by default; or `labelled`, a file of texts with the truth beside them (.csv, .tsv,
            .jsonl) or its rows as dicts, of which 1,000 are asked at most, with `metric`
            (`accuracy`, `f1_macro`; of numbers `mean_absolute_error`; of question-answering `f1`,
            `exact_match`) and `max_loss`, by how much it may be worse than in fp32, 0.005 by
            default. `input` and `target` name the columns of such a file.
        parameters: of the task, or `batch_size`; they hold until a call says otherwise.

    `config`, `framework`, `use_fast` and `device_map` are taken and change nothing. No code that
    comes with a model is ever run.

    Raises:
        UnknownTaskError: no such task.
        NothingGivenError: neither task nor model.
        ModelNotFoundError: no such model, here or on the hub.
        UnsupportedModelError: the model is of another architecture, or for another task.
    """
    del config, use_fast
    if task is None and model is None:
        raise NothingGivenError("neither a task nor a model was given", hint="give at least one")
    if model is None and (tokenizer is not None or feature_extractor is not None):
        raise NothingGivenError(
            "a tokenizer was given without a model", hint="name the model that it belongs to"
        )
    if trust_remote_code:
        raise UsageError(
            "trust_remote_code is set; silmu never runs code that comes with a model",
            hint="leave it out: the architectures of `silmu tasks` need no code of their own",
        )
    if not isinstance(cast("object", task), str | None):
        raise WrongTypeError(f"task is a {type(task).__name__}; it must be a name such as `ner`")
    loading = dict(model_kwargs or {})
    precision = _precision(dtype, parameters, loading)
    if device_map is not None:
        logger.warning("device_map=%r changes nothing: there is one device", device_map)
    # Where nobody says where, what only the CPU computes is computed there.
    on_cpu = loading.get("engine") == graphs.OPENVINO or precision in ("q8", "q4", dtypes.AUTO)
    chosen = choose_device("cpu" if device is None and on_cpu else device)
    source: dict[str, Any] = {
        "token": token,
        **{k: loading.pop(k) for k in ("cache_dir", "local_files_only") if k in loading},
    }
    graph = {k: loading.pop(k) for k in ("file_name", "subfolder") if k in loading}
    named_engine = loading.pop("engine", None)
    bound = _bound({k: loading.pop(k) for k in dtypes.BOUNDS if k in loading}, precision)
    _check_loading(loading)
    if bound is not None:  # what is measured is computed from the full weights
        precision = None
    wanted = exported.Wanted(dtype=precision, **graph)

    # The task is settled before anything is fetched: a misspelt one should cost nothing.
    registered = PIPELINE_REGISTRY.find(task)
    name = (
        None if task is None else registered.task if registered else registry.canonical_task(task)
    )
    is_own = registered is not None or pipeline_class is not None
    if bound is not None and name is not None:
        bound.check(name, own=is_own)
    if model is None:
        model, revision = _default_model(cast("str", name), revision)
    folder = model.folder if isinstance(model, Model) else None
    if folder is None:
        if not isinstance(model, str | Path):
            raise WrongTypeError(
                f"model is a {type(model).__name__}; silmu takes a folder or a hub id",
                hint="model.save_pretrained(folder), then give the folder",
            )
        folder = exported.view(
            hub.open_model(model, revision=revision, wanted=wanted, **source), wanted
        )
    if name is None:
        name = _task_of(folder)
        if bound is not None:
            bound.check(name, own=is_own)
    kind = pipeline_class or (registered.pipeline_class if registered else class_of(name))
    if not isinstance(model, Model):
        engine = named_engine or graphs.ONNXRUNTIME
        model = Model(folder, kind.head, device=chosen, wanted=wanted, engine=engine)
    elif (
        model.head != kind.head
        or precision not in (None, model.precision)
        or named_engine not in (None, model.engine)
    ):
        engine = named_engine or model.engine
        model = Model(
            folder, kind.head, dtype=precision, device=chosen, wanted=model.wanted, engine=engine
        )

    def of(given: str | Path | None) -> Folder:
        return folder if given is None else hub.open_model(given, with_weights=False, **source)

    if bound is not None and kind.rows != "text":
        logger.warning("dtype auto: it is measured on texts, so this computes in fp32")
    try:
        if kind.rows == "image" and not isinstance(image_processor, ImageProcessor):
            image_processor = ImageProcessor.open(of(image_processor))
        reads_text = kind.rows == "text" or kind.reads_text
        if reads_text:
            tokenizer = _tokenizer(tokenizer, of)
    except ModelNotFoundError:
        if model.exported is None:  # of a model for another task that is what should be said
            graphs.check(folder, kind.head)
        raise
    if kind.rows == "image":
        parameters["image_processor"] = image_processor
    if reads_text:
        tokenizer = cast("Tokenizer", tokenizer)
        model.check_vocabulary(tokenizer)
        parameters["tokenizer"] = tokenizer

    def of_model(one: Model) -> Pipeline:
        return kind(one, task=name, framework=framework, **parameters)

    if bound is not None and kind.rows == "text":
        from silmu.pipelines import _auto

        settings = {name: given for name, given in parameters.items() if name != "tokenizer"}
        tokenizer = cast("Tokenizer", tokenizer)
        model = _auto.choose(
            model, tokenizer, bound, engine=named_engine, ask=of_model, settings=settings
        )
    # Started last: its threads, idle for a moment, would slow down the reading of the tokenizer.
    _ = model.session
    return of_model(model)


def _precision(dtype: Any, parameters: dict[str, Any], loading: dict[str, Any]) -> str | None:
    """What is asked for, taken out of parameters and model_kwargs; None where nobody says."""
    # Programs for older transformers say torch_dtype, and mean it where they say both. Its "auto"
    # is the precision of the weights there, which is no request to measure.
    named = (parameters.pop("torch_dtype", None), loading.pop("torch_dtype", None))
    beside = loading.pop("dtype", None)
    older = next((one for one in named if one), None)
    if older is None:
        return dtypes.canonical(beside or dtype)
    return None if str(older) == dtypes.AUTO else dtypes.canonical(older)


def _bound(given: dict[str, Any], precision: str | None) -> Bound | None:
    """How far from fp32 what is measured may be; None where nothing is to be measured."""
    if precision == dtypes.AUTO:
        from silmu.pipelines._auto import Bound  # not above: few programs measure

        return Bound(**given)
    if named := [name for name, value in given.items() if value is not None]:
        raise UsageError(f"{named[0]} is for dtype='auto'", hint="leave it out, or ask for that")
    return None


def _tokenizer(
    given: str | Path | Tokenizer | None, of: Callable[[str | Path | None], Folder]
) -> Tokenizer:
    """The tokenizer that was given, or that of a folder; pictures and tables import none."""
    from silmu.runtime.text import Tokenizer

    if isinstance(given, Tokenizer):
        return given
    if not isinstance(cast("object", given), str | Path | None):
        raise WrongTypeError(
            f"tokenizer is a {type(given).__name__}; silmu takes a folder, a hub id, or the "
            "tokenizer of another pipeline",
            hint="leave it out where it is the model's own, or give its folder",
        )
    return Tokenizer.open(of(given))


class _Registered:
    """A pipeline class that a program registered under a task name of its own."""

    def __init__(self, task: str, pipeline_class: type[Pipeline], default: str | None) -> None:
        self.task = task
        self.pipeline_class = pipeline_class
        self.default = default


class PipelineRegistry:
    """Tasks that a program adds for itself, as `transformers.pipelines.PIPELINE_REGISTRY`."""

    def __init__(self) -> None:
        self._added: dict[str, _Registered] = {}

    def register_pipeline(
        self,
        task: str,
        pipeline_class: type[Pipeline],
        pt_model: Any = None,
        tf_model: Any = None,
        default: dict[str, Any] | None = None,
        type: str | None = None,
    ) -> None:
        """Makes `pipeline(task)` build `pipeline_class`; its `head` says what graph it needs."""
        del pt_model, tf_model, type
        named: Any = (default or {}).get("model", (default or {}).get("pt"))
        first = cast("Any", named[0] if isinstance(named, tuple) else named)
        self._added[task] = _Registered(task, pipeline_class, first)

    def find(self, task: str | None) -> _Registered | None:
        """What was registered under a name."""
        return None if task is None else self._added.get(task)

    def get_supported_tasks(self) -> list[str]:
        """Every name that `pipeline` takes."""
        return sorted([*registry.pipelines(), *registry.aliases(), *self._added])


PIPELINE_REGISTRY = PipelineRegistry()


def _check_loading(others: dict[str, Any]) -> None:
    """Says what becomes of model_kwargs that are for torch."""
    for bits, dtype in (("load_in_8bit", "q8"), ("load_in_4bit", "q4")):
        if others.get(bits):
            raise UsageError(
                f"{bits} asks for a library of torch; silmu has {dtype[1:]} bits of its own",
                hint=f'leave it out, and write dtype="{dtype}"',
            )
    if others.get("quantization_config") is not None:
        raise UsageError(
            "quantization_config asks for a library of torch; silmu has 8 and 4 bits of its own",
            hint='leave it out, and write dtype="q8" or dtype="q4"',
        )
    if others:
        logger.warning("of model_kwargs, silmu ignores %s", ", ".join(others))


def class_of(task: str) -> type[Pipeline]:
    """The class that answers a task, given by its Hub id."""
    name = "".join(word.capitalize() for word in task.split("-")) + "Pipeline"
    return cast("type[Pipeline]", getattr(registry.pipeline_module(task), name))


def _default_model(task: str, revision: str | None) -> tuple[str, str | None]:
    added = PIPELINE_REGISTRY.find(task)
    default: Any = (
        (added.default, None) if added else registry.pipelines()[task].constants["DEFAULT_MODEL"]
    )
    if default[0] is None:
        raise NothingGivenError(f"the task `{task}` has no default model", hint="name a model")
    logger.warning(
        "no model was given, so %s answers; name one in programs that should not change",
        default[0],
    )
    return default[0], revision or default[1]


def _task_of(folder: Folder) -> str:
    architectures: list[str] = folder.config.get("architectures") or []
    for architecture in architectures:
        tasks = registry.tasks_of_architecture(str(architecture))
        if len(tasks) > 1:  # a body without a head, of texts or of pictures
            rows = "image" if folder.has(PICTURES) or folder.has(WHOLE_FILE) else "text"
            tasks = [task for task in tasks if class_of(task).rows == rows]
        if tasks:
            return tasks[0]
    raise UnsupportedModelError(
        f"`{folder.name}` does not tell its task: its architectures are {architectures}",
        hint="name the task: pipeline(task, model=...)",
    )
