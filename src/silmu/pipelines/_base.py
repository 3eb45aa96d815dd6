"""What every pipeline is: preprocess, forward, postprocess, over anything that can be iterated.

A task's file overrides the three (and says which parameters are whose in `_sanitize_parameters`),
as pipelines of transformers 4.57 do. Batching is not its affair: what is asked is read ahead,
sorted by length, cut into batches by the number of tokens, and answered in the order in which it
came.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from silmu import store
from silmu.errors import InputError, UsageError, WrongTypeError
from silmu.pipelines._model import Model, ModelOutput
from silmu.runtime import hub

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.text import Encoded, Tokenizer

logger = logging.getLogger("silmu")

READ_AHEAD = 256
"""How many inputs of a stream are held at most."""

GROWTH = 4
"""How many times more inputs of a stream are read ahead than the time before."""

SLOW_SOURCE_SECONDS = 0.005
"""A source that takes longer than this for an item is not waited for: what is there is answered."""

NOTHING = object()
"""What stands for the inputs of a call that has none: a task may have other names for them."""

_PADDING = {"p_mask": 1, "special_tokens_mask": 1}
_TOKENIZER_OPTIONS = ("add_special_tokens", "truncation", "max_length", "stride")
_ROW_OPTIONS = (
    "padding",
    "pad_to_multiple_of",
    "return_token_type_ids",
    "return_attention_mask",
    "text_pair",
)


class Pipeline(ABC):
    """Answers inputs of one task with one model.

    Called with one input it gives one answer, with a list a list, with a generator or a data set
    an iterator that reads ahead no further than it must.
    """

    head: ClassVar[str]
    """What the graph ends in; the task's own id for most."""

    rows: ClassVar[str] = "text"
    """What it answers, as `collect` calls it."""

    reads_text: ClassVar[bool] = False
    """Whether it needs a tokenizer, though what it answers are no texts."""

    read_ahead: ClassVar[int] = READ_AHEAD
    """How many inputs are held at most."""

    token_budget: ClassVar[int] = 512
    """How many tokens, padding included, are computed at once."""

    gives_lists: ClassVar[bool] = False
    """Whether an answer is a list of things found, however many: a table holds it as one."""

    shorten: ClassVar[str] = "give truncation=True to read its beginning only"
    """What to do about a text that is too long."""

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer | None = None,
        *,
        task: str = "",
        batch_size: int | None = None,
        num_workers: int | None = None,
        framework: str | None = None,
        binary_output: bool = False,
        image_processor: Any = None,
        processor: Any = None,
        **parameters: Any,
    ) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self.feature_extractor = None
        self.image_processor: Any = image_processor
        self.processor: Any = processor
        self.task = task
        self.framework = framework or "onnx"
        self.batch_size = check_batch_size(batch_size)
        self._parameters = self._sanitize_parameters(**parameters)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the model."""
        if self._tokenizer is None:
            raise UsageError(f"a pipeline for {self.task} was made without a tokenizer")
        return self._tokenizer

    @property
    def device(self) -> str:
        """Where the model computes."""
        return self.model.device

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its weights."""
        return self.model.dtype

    def __repr__(self) -> str:
        return f"{type(self).__name__}(task={self.task!r}, model={self.model.name_or_path!r})"

    # What a task's file says.

    @abstractmethod
    def _sanitize_parameters(
        self, **parameters: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Which parameters go to preprocess, to _forward and to postprocess."""

    @abstractmethod
    def preprocess(
        self, inputs: Any, *args: Any, **parameters: Any
    ) -> dict[str, Any] | Iterable[dict[str, Any]]:
        """One input as what the model reads: (1, tokens) arrays by name, and anything else that
        postprocess needs. An input that takes several passes gives several.
        """

    def _forward(self, model_inputs: dict[str, Any], **parameters: Any) -> Mapping[str, Any]:
        """Arrays of several rows through the model; the first axis of what comes out is rows."""
        return self.model(**model_inputs)

    def forward(self, model_inputs: dict[str, Any], **parameters: Any) -> Mapping[str, Any]:
        """What preprocess gave through the model, for programs that take the three by hand."""
        return self._forward(model_inputs, **parameters)

    @abstractmethod
    def postprocess(self, model_outputs: Any, *args: Any, **parameters: Any) -> Any:
        """What one input's pass gave (a list, if preprocess gave several) as the answer."""

    # The call.

    def __call__(
        self,
        inputs: Any = NOTHING,
        *args: Any,
        num_workers: int | None = None,
        batch_size: int | None = None,
        **parameters: Any,
    ) -> Any:
        """Answers one input, a list, or anything that yields inputs.

        `batch_size` is how many rows are computed at once at most. It changes no answer, and
        without it the pipeline chooses by length. `num_workers` is accepted and not needed.
        """
        if inputs is NOTHING:
            raise WrongTypeError("nothing was given to answer", hint="give an input, or a list")
        if args:
            logger.warning("ignoring the positional arguments %r", args)
        size = check_batch_size(batch_size) or self.batch_size
        given = self._merged(parameters)
        if isinstance(inputs, list):
            return list(self._answers(cast("list[Any]", inputs), given, size))
        if is_stream(inputs):
            return Answers(self._answers(_each(inputs), given, size), inputs)
        return next(self._answers([inputs], given, size))

    def predict(self, inputs: Any) -> Any:
        """The same as a call, by the name that scikit-learn gives it."""
        return self(inputs)

    transform = predict

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Copies the model folder: config, weights, tokenizer.

        Raises:
            StoreError: there is something at that place that is no empty folder.
        """
        target = Path(save_directory)
        if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
            store.remove(target)  # one that was made for this
        names = [name for name in self.model.folder.listing() if name != store.MANIFEST]
        with store.new_folder(target, meta={"model": self.model.name_or_path}) as writer:
            if (graphs := self.model.exported) is not None:
                # Configs may lie beside the graphs, in a folder of their own.
                names += [*filter(self.model.folder.has, hub.FILES), *graphs.files]
            for name in dict.fromkeys(names):
                if self.model.folder.place(name).is_file():
                    writer.copy(self.model.folder.file(name), name)

    def _tokenize(self, text: Any, pair: Any, **options: Any) -> dict[str, Any]:
        """A text, or a pair, as the (1, tokens) arrays that the model reads."""
        options.pop("return_tensors", None)
        # An empty second text is no pair to transformers' tokenizers.
        pair = options.pop("text_pair", pair)
        pair = None if isinstance(pair, str) and not pair else pair
        if not isinstance(text, str) or not isinstance(pair, str | None):
            wrong = pair if isinstance(text, str) else text
            raise InputError(
                f"a text must be a string, and this is a {type(wrong).__name__}",
                hint="several texts go in a list, each as a string",
            )
        padding, multiple = options.pop("padding", False), options.pop("pad_to_multiple_of", None)
        with_types = options.pop("return_token_type_ids", None)
        with_mask = options.pop("return_attention_mask", True)
        known = {k: options.pop(k) for k in _TOKENIZER_OPTIONS if k in options}
        if options:
            raise WrongTypeError(
                f"unexpected keyword {', '.join(options)}; the tokenizer takes "
                f"{', '.join((*_TOKENIZER_OPTIONS, *_ROW_OPTIONS))}"
            )
        encoded = self.tokenizer.encode(text, pair, **known)
        arrays = self._arrays(
            encoded,
            self.tokenizer.padded_length(
                len(encoded), padding or False, known.get("max_length"), multiple
            ),
        )
        # What a model of transformers takes where it is given none: one segment, all of it read.
        if with_types is False:
            arrays["token_type_ids"][:] = 0
        elif with_types:
            arrays["token_type_ids"][0, : len(encoded)] = encoded.type_ids
        if with_mask is False:
            arrays["attention_mask"][:] = 1
        return arrays

    def _arrays(self, encoded: Encoded, width: int | None = None) -> dict[str, NDArray[np.int64]]:
        """A row as arrays, refused before it reaches the engine where the model cannot read it."""
        limit = self.model.max_tokens
        if len(encoded) > limit:
            raise InputError(
                f"a text has {len(encoded):,} tokens, and this model reads at most {limit:,}",
                hint=self.shorten,
            )
        if width is not None and width > limit:
            raise UsageError(
                f"a text would be padded to {width:,} tokens; this model reads at most {limit:,}",
                hint="leave padding out, or give a smaller max_length",
            )
        if not len(encoded):
            raise InputError(
                "a text has no tokens", hint="leave empty texts out, or give a space at least"
            )
        self.model.check_ids(encoded.ids)
        arrays = self.tokenizer.pad([encoded], width or len(encoded))
        # Segments that the tokenizer knows of and does not name are not given to the model.
        if "token_type_ids" not in self.tokenizer.model_input_names:
            arrays["token_type_ids"][:] = 0
        return arrays

    def _merged(self, parameters: dict[str, Any]) -> _Parameters:
        """Parameters of a call over those of the constructor, which stay as they are."""
        pairs = zip(self._parameters, self._sanitize_parameters(**parameters), strict=True)
        pre, forward, post = ({**kept, **new} for kept, new in pairs)
        return pre, forward, post

    def _answers(
        self, items: Iterable[Any], parameters: _Parameters, batch_size: int | None
    ) -> Iterator[Any]:
        pre, forward, post = parameters
        streams = not isinstance(items, list)
        answered = 0
        for window in windows(items, batch_size, self.read_ahead):
            rows, parts, failure = self._prepared(window, pre)
            if failure is not None and (streams or len(window) > 1):
                failure.add_note(f"input {answered + len(parts)}, counted from 0")
            if failure is not None and not streams:
                raise failure
            outputs: list[ModelOutput] = [ModelOutput()] * len(rows)
            weights = [self._weight(row) for row in rows]
            for batch in _batches(weights, self.token_budget, batch_size):
                found = self._run([rows[i] for i in batch], forward)
                for i, output in zip(batch, found, strict=True):
                    outputs[i] = output
            for part in parts:
                yield self.postprocess(outputs[part], **post)
            if failure is not None:  # of a stream, what came before it is answered
                raise failure
            answered += len(window)

    def _prepared(
        self, items: list[Any], parameters: dict[str, Any]
    ) -> tuple[list[dict[str, Any]], list[int | slice], Exception | None]:
        """The rows of items, and for each item which are its own, up to the first that fails."""
        rows: list[dict[str, Any]] = []
        parts: list[int | slice] = []
        for item in items:
            try:
                prepared = self.preprocess(item, **parameters)
                several = None if isinstance(prepared, Mapping) else list(prepared)
            except Exception as error:
                return rows, parts, error
            if several is None:
                parts.append(len(rows))
                rows.append(cast("dict[str, Any]", prepared))
            else:
                parts.append(slice(len(rows), len(rows) + len(several)))
                rows.extend(several)
        return rows, parts, None

    def _weight(self, row: Mapping[str, Any]) -> int:
        """What a row counts towards the token budget."""
        return _length(row)

    def _run(self, rows: list[dict[str, Any]], parameters: dict[str, Any]) -> list[ModelOutput]:
        """Rows of different lengths, padded on the right, in one pass."""
        lengths = [_length(row) for row in rows]
        width = max(lengths)
        names = [k for k, v in rows[0].items() if isinstance(v, np.ndarray) and v.ndim > 1]
        batch = {name: self._stack(name, [row[name] for row in rows], width) for name in names}
        outputs = self._forward(batch, **parameters)
        ports = self.model.session.outputs
        per_token = {name for name, port in ports.items() if "tokens" in port.shape}
        result: list[ModelOutput] = []
        for i, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            own = ModelOutput()
            for name, value in outputs.items():
                is_array = isinstance(value, np.ndarray)
                share = cast("Any", value[i : i + 1] if is_array else value[i])
                own[name] = share[:, :length] if name in per_token else share
            result.append(ModelOutput({**own, **{k: v for k, v in row.items() if k not in own}}))
        return result

    def _stack(self, name: str, arrays: list[NDArray[Any]], width: int) -> NDArray[Any]:
        if arrays[0].ndim < 2 or all(array.shape[1] == width for array in arrays):
            return np.concatenate(arrays)
        fill = _PADDING.get(name, 0)
        if name == "input_ids" and self._tokenizer is not None:
            fill = self._tokenizer.special_id("pad") or 0
        padded = np.full((len(arrays), width, *arrays[0].shape[2:]), fill, arrays[0].dtype)
        for i, array in enumerate(arrays):
            padded[i, : array.shape[1]] = array[0]
        return padded


class Answers:
    """Answers that come as they are asked for; has a length where its source has one."""

    def __init__(self, answers: Iterator[Any], source: Any) -> None:
        self._answers = answers
        self._source = source

    def __iter__(self) -> Iterator[Any]:
        return self._answers

    def __next__(self) -> Any:
        return next(self._answers)

    def __len__(self) -> int:
        return len(self._source)


_Parameters = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


def check_batch_size(batch_size: Any) -> int | None:
    """A number of rows, or None.

    Raises:
        UsageError: it is neither.
    """
    if batch_size is None:
        return None
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
        raise UsageError(f"batch_size is {batch_size!r}; it must be a whole number from 1 on")
    return batch_size


def is_stream(inputs: Any) -> bool:
    """Whether inputs come one by one: an iterator, or a data set with numbered items."""
    if isinstance(inputs, str | bytes | Mapping | tuple | type):
        return False
    is_dataset = hasattr(inputs, "__getitem__") and hasattr(inputs, "__len__")
    return isinstance(inputs, Iterator) or (is_dataset and not isinstance(inputs, np.ndarray))


def _each(source: Any) -> Iterator[Any]:
    if hasattr(source, "__iter__"):
        yield from source
    else:  # a torch Dataset has numbers only
        for i in range(len(source)):
            yield source[i]


def windows(
    items: Iterable[Any], batch_size: int | None, ahead: int = READ_AHEAD
) -> Iterator[list[Any]]:
    """Items in groups that are worth sorting.

    A stream begins with a group of one, so that its first answer comes at once; while its items
    come quickly the groups grow. One that is slow is answered with what is there already.
    """
    streams = not isinstance(items, list)
    most = batch_size or ahead if streams else ahead
    size = 1 if streams else most
    window: list[Any] = []
    iterator = iter(items)
    while True:
        asked = time.perf_counter()
        try:
            window.append(next(iterator))
        except StopIteration:
            break
        except Exception:
            # The source failed: those that it gave before are answered first.
            yield window
            raise
        slow = streams and time.perf_counter() - asked > SLOW_SOURCE_SECONDS
        if len(window) >= size or slow:
            yield window
            window = []
            size = 1 if slow else min(size * GROWTH, most)
    if window:
        yield window


def _batches(weights: list[int], budget: int, most: int | None) -> Iterator[list[int]]:
    """Places of rows, the lightest first, in groups whose padded size keeps to the budget."""
    batch: list[int] = []
    for i in sorted(range(len(weights)), key=weights.__getitem__):
        if batch and ((len(batch) + 1) * weights[i] > budget or len(batch) == most):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _length(row: Mapping[str, Any]) -> int:
    shape = np.shape(row.get("input_ids", ()))
    return shape[1] if len(shape) > 1 else 1
