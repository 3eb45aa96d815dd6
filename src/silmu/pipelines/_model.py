"""What a pipeline shows of its model: config.json by attribute, and a session that computes."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu import graphs, registry
from silmu.errors import InvalidModelError, UsageError
from silmu.runtime import exported, weights
from silmu.runtime.decoder import CachedDecoder, StatefulDecoder
from silmu.runtime.exported import Wanted
from silmu.runtime.session import ENGINE, PROVIDERS, Device, choose_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from silmu.pipelines._measured import Measured
    from silmu.runtime.exported.encoder import ExportedEncoder
    from silmu.runtime.exported.picture import ExportedPictures
    from silmu.runtime.folder import Folder
    from silmu.runtime.generate import Decoder
    from silmu.runtime.openvino import OpenVinoSession
    from silmu.runtime.session import Session
    from silmu.runtime.text import Tokenizer


logger = logging.getLogger("silmu")

PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
MAX_LABELS = 1 << 20
UNSAID = ("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id", "decoder_start_token_id")
"""What config.json need not say, and programs ask for; transformers then says None."""

_INSTEAD = {
    "generate": "ask the pipeline: pipe(prompt, max_new_tokens=20)",
    "generation_config": "give settings to pipeline() or to the call, such as pad_token_id=0",
    "save_pretrained": "the pipeline saves model and tokenizer: pipe.save_pretrained(folder)",
    "parameters": "silmu has no layers of torch; train with `silmu train`",
    "state_dict": "silmu has no layers of torch; the weights are in model.safetensors",
    "cuda": "name the device when it is made: pipeline(task, model=..., device=0)",
    "half": 'name the precision when it is made: pipeline(task, model=..., dtype="q8")',
    "resize_token_embeddings": "a model answers with the tokens that it was trained with",
}
"""What programs ask of a model of transformers, and what to write in its place."""


class ModelConfig:
    """config.json, its keys as attributes; labels with the defaults that transformers gives them.

    >>> ModelConfig({"model_type": "bert", "id2label": {"0": "no", "1": "yes"}}, "x").id2label
    {0: 'no', 1: 'yes'}
    """

    def __init__(self, values: dict[str, Any], name: str) -> None:
        self._values = dict(values)
        self._name = name
        self.id2label = _labels(values, name)
        self.label2id = {label: i for i, label in self.id2label.items()}
        self.num_labels = len(self.id2label)
        self.problem_type: str | None = values.get("problem_type")
        if self.problem_type not in (None, *PROBLEM_TYPES):
            raise InvalidModelError(
                f"config.json of `{name}` has problem_type {self.problem_type!r}; "
                f"it may be {', '.join(PROBLEM_TYPES)}"
            )
        parameters = values.get("task_specific_params")
        if not isinstance(parameters, dict | None):
            raise InvalidModelError(
                f"config.json of `{name}` has task_specific_params {parameters!r}; "
                "it must be an object"
            )
        self.task_specific_params = cast("dict[str, Any] | None", parameters)

    def __getattr__(self, name: str) -> Any:
        values: dict[str, Any] = self.__dict__.get("_values", {})
        if name in values or name in UNSAID:
            return values.get(name)
        if name in ("name_or_path", "_name_or_path"):
            return self.__dict__.get("_name")
        raise AttributeError(f"config.json has no {name!r}")

    def to_dict(self) -> dict[str, Any]:
        """A copy of what config.json holds."""
        return dict(self._values)


class Array(np.ndarray[Any, Any]):
    """An array for programs that expect a tensor, and turn that into an array themselves."""

    def numpy(self) -> NDArray[Any]:
        """The array."""
        return np.asarray(self)

    def detach(self) -> Array:
        """The same: there is nothing to be detached from."""
        return self

    def cpu(self) -> Array:
        """The same: it is there already."""
        return self


class ModelOutput(dict[str, Any]):
    """What a model gave, by name; also as attributes, as programs for transformers read it."""

    def __getattr__(self, name: str) -> Any:
        try:
            value = self[name]
        except KeyError:
            raise AttributeError(f"the model gave {', '.join(self)}, and no {name!r}") from None
        return value.view(Array) if isinstance(value, np.ndarray) else value


class Model:
    """A model folder that computes, with the head of one task.

    Args:
        folder: of the model.
        head: what its graph ends in.
        dtype: as `runtime.dtypes` names it; as `wanted` has it, if None.
        device: as `runtime.session.choose_device` gives it.
        wanted: which ONNX graph to take, where the folder has any; by default it decides.
        engine: what computes, one of `graphs.ENGINES`.

    Attributes:
        precision: the precision that was asked for, or that was measured to be the quickest; else
            fp32, or what the folder says.
        engine: likewise.
        measured: what was measured for `dtype="auto"`, which `print` shows as a table; else None.
    """

    def __init__(
        self,
        folder: Folder,
        head: str,
        *,
        dtype: str | None = None,
        device: str = "cpu",
        wanted: Wanted | None = None,
        engine: str = graphs.ONNXRUNTIME,
    ) -> None:
        self.wanted = wanted or Wanted()
        if dtype is not None:
            self.wanted = replace(self.wanted, dtype=dtype)
        if device != "cpu" and head == "text-generation":
            logger.warning("device %s: text is generated on the CPU by this version", device)
            device = "cpu"
        self.exported = exported.find(folder, self.wanted, head, device)
        if self.exported is not None:
            folder = self.exported.folder
            self.exported.warn_of_few_bits(self.wanted)
        self.folder = folder
        self.head = head
        self.config = ModelConfig(folder.config, folder.name)
        self.name_or_path = folder.name
        self.device = Device(device)
        if engine == graphs.ONNXRUNTIME:
            logger.info("device %s: %s of %s", device, PROVIDERS[self.device.type], ENGINE)
        self.precision = self._precision()
        self.engine = engine
        self.measured: Measured | None = None
        self.dtype = np.dtype(np.float32)
        if self.exported is not None and engine != graphs.ONNXRUNTIME:
            raise UsageError(
                f"`{folder.name}` is an ONNX graph of another program, and engine is {engine!r}",
                hint="leave the engine out: ONNX Runtime computes it",
            )
        if self.exported is None:
            weights.files(folder)  # says at once where there are none that can be read

    def _precision(self) -> str:
        if isinstance(self.wanted.dtype, str):
            return self.wanted.dtype
        return (self.exported and self.exported.layout.dtype) or "fp32"

    @cached_property
    def session(self) -> Session | ExportedEncoder | ExportedPictures | OpenVinoSession:
        """What computes; started when it is first asked for."""
        if self.exported is not None:
            return self.exported.session(self.head)
        return graphs.open_session(
            self.folder,
            self.head,
            dtype=self.precision,
            device=self.device,
            engine=self.engine,
        )

    def __getstate__(self) -> dict[str, Any]:
        # What computes is of this process, and a copy starts its own.
        return {name: value for name, value in self.__dict__.items() if name != "session"}

    def decoder(self) -> Decoder:
        """What generates text, with a cache of its own."""
        if self.exported is not None:
            return self.exported.decoder(self.max_tokens)
        if self.engine == graphs.OPENVINO:
            return StatefulDecoder(cast("OpenVinoSession", self.session), self.max_tokens)
        return CachedDecoder(cast("Session", self.session), self.max_tokens)

    @cached_property
    def max_tokens(self) -> int:
        """How many tokens the model can tell apart by their place."""
        values = self.config.to_dict()
        given = (values.get(name) for name in ("max_position_embeddings", "n_positions"))
        size = min((size for size in given if isinstance(size, int)), default=sys.maxsize)
        size = max(size, _stretched(values, size))
        # A DeBERTa without embeddings of positions knows distances only, and reads on. Its memory
        # grows by the square of the tokens, so somewhere it must end.
        if values.get("position_biased_input") is False:
            size *= 4
        return size - registry.first_position(values)

    def __getattr__(self, name: str) -> Any:
        instead = f"; {_INSTEAD[name]}" if name in _INSTEAD else ""
        raise AttributeError(f"a model of silmu has no {name!r}{instead}")

    def eval(self) -> Model:
        """The same: a model of silmu answers, and never trains."""
        return self

    def to(self, device: Any) -> Model:
        """The same, if it computes there already.

        Raises:
            UsageError: it computes elsewhere.
        """
        if (wanted := choose_device(device)) != self.device:
            raise UsageError(
                f"a model on {self.device} stays there, and cannot go to {wanted}",
                hint=f"pipeline(task, model=..., device={str(wanted)!r})",
            )
        return self

    def check_vocabulary(self, tokenizer: Tokenizer) -> None:
        """Refuses a tokenizer with more tokens than the model has embeddings.

        Raises:
            InvalidModelError: tokenizer and model do not belong together.
        """
        self.check_ids([len(tokenizer) - 1])

    def check_ids(self, ids: Sequence[int]) -> None:
        """Refuses token ids that the model has no embedding for.

        Raises:
            InvalidModelError: as `check_vocabulary`; the ids of a tokenizer may have gaps.
        """
        values = self.config.to_dict()
        texts: Any = values.get("text_config")
        rows = values.get("vocab_size")
        if rows is None and isinstance(texts, dict):  # of a model that reads pictures too
            rows = cast("dict[str, Any]", texts).get("vocab_size")
        if isinstance(rows, int) and ids and max(ids) >= rows:
            raise InvalidModelError(
                f"the tokenizer gives ids up to {max(ids):,}, and `{self.name_or_path}` has "
                f"embeddings for {rows:,}",
                hint="a tokenizer and a model of different trainings were put together",
            )

    def __call__(self, **feeds: NDArray[Any]) -> ModelOutput:
        """Runs the model on arrays by name, (rows, tokens); what it does not read is left out."""
        if "attention_mask" not in feeds and "input_ids" in feeds:
            feeds["attention_mask"] = np.ones_like(feeds["input_ids"])
        if "token_type_ids" not in feeds and "input_ids" in feeds:
            feeds["token_type_ids"] = np.zeros_like(feeds["input_ids"])
        found = self.session.run(feeds)
        for name, value in found.items():
            # Weights may be finite, and yet too large to compute with.
            if not np.isfinite(value).all():
                raise InvalidModelError(
                    f"`{self.name_or_path}` computes numbers that are none: "
                    f"its {name} hold NaN or infinity"
                )
        return ModelOutput(found)


def _stretched(values: dict[str, Any], size: int) -> int:
    """How many tokens rotary positions tell apart that were stretched after training; else 0."""
    given: Any = values.get("rope_parameters") or values.get("rope_scaling")
    if not isinstance(given, dict):
        return 0
    scaling = cast("dict[str, Any]", given)
    # Llama 3 and Gemma 3, whose settings are for each kind of layer, count it in already.
    if scaling.get("type", scaling.get("rope_type")) not in ("linear", "yarn"):
        return 0
    length: Any = scaling.get("original_max_position_embeddings") or size
    factor: Any = scaling.get("factor")
    is_known = isinstance(length, int) and isinstance(factor, int | float)
    return int(min(sys.maxsize, length * factor)) if is_known else 0


def _labels(values: dict[str, Any], name: str) -> dict[int, str]:
    """The label of each output, by its number; transformers' default is two."""
    given = values.get("id2label")
    count = values.get("num_labels")
    if count is not None and (
        not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_LABELS
    ):
        raise InvalidModelError(
            f"config.json of `{name}` has num_labels = {count!r}; "
            f"it must be a whole number from 1 to {MAX_LABELS:,}"
        )
    if given is None:
        return {i: f"LABEL_{i}" for i in range(count or 2)}
    try:
        pairs = cast("dict[str, Any]", given).items()
        labels = {
            int(key): str(label) for key, label in pairs if not isinstance(label, list | dict)
        }
    except (AttributeError, ValueError) as error:
        raise InvalidModelError(
            f"config.json of `{name}` has id2label {given!r}; "
            'it must be an object such as {"0": "NEGATIVE", "1": "POSITIVE"}'
        ) from error
    if len(labels) != len(given) or sorted(labels) != list(range(len(labels))) or not labels:
        raise InvalidModelError(
            f"config.json of `{name}` has the labels {given}; "
            "they must be texts, numbered from 0 without a gap"
        )
    if count not in (None, len(labels)):
        raise InvalidModelError(
            f"config.json of `{name}` has num_labels = {count}, and "
            f"{len(labels)} labels in id2label"
        )
    return labels
