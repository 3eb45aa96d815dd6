"""What a pipeline shows of its model: config.json by attribute, and a session that computes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu import graphs
from silmu.errors import InvalidModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder


class ModelConfig:
    """config.json, its keys as attributes; labels with the defaults that transformers gives them.

    >>> ModelConfig({"model_type": "bert", "id2label": {"0": "no", "1": "yes"}}, "x").id2label
    {0: 'no', 1: 'yes'}
    """

    def __init__(self, values: dict[str, Any], name: str) -> None:
        self._values = dict(values)
        labels = values.get("id2label")
        if labels is None:
            labels = {i: f"LABEL_{i}" for i in range(values.get("num_labels") or 2)}
        try:
            pairs = cast("dict[str, Any]", labels).items()
            self.id2label = {int(key): str(label) for key, label in pairs}
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidModelError(
                f"config.json of `{name}` has id2label {labels!r}; "
                'it must be an object such as {"0": "NEGATIVE", "1": "POSITIVE"}'
            ) from error
        if sorted(self.id2label) != list(range(len(self.id2label))):
            raise InvalidModelError(
                f"config.json of `{name}` has labels {sorted(self.id2label)}; "
                f"they must be numbered from 0 without a gap"
            )
        self.label2id = {label: i for i, label in self.id2label.items()}
        self.num_labels = len(self.id2label)
        self.problem_type: str | None = values.get("problem_type")
        self.task_specific_params: dict[str, Any] | None = values.get("task_specific_params")

    def __getattr__(self, name: str) -> Any:
        values: dict[str, Any] = self.__dict__.get("_values", {})
        if name in values:
            return values[name]
        raise AttributeError(f"config.json has no {name!r}")

    def to_dict(self) -> dict[str, Any]:
        """A copy of what config.json holds."""
        return dict(self._values)


class ModelOutput(dict[str, Any]):
    """What a model gave, by name; also as attributes, as programs for transformers read it."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                f"the model gave {', '.join(self)}, and no {name!r}"
            ) from None


class Model:
    """A model folder that computes, with the head of one task."""

    def __init__(self, folder: Folder, head: str, *, device: str = "cpu") -> None:
        self.folder = folder
        self.head = head
        self.config = ModelConfig(folder.config, folder.name)
        self.name_or_path = folder.name
        self.device = device
        self.dtype = np.dtype(np.float32)
        self.session = graphs.open_session(folder, head)

    @property
    def max_tokens(self) -> int:
        """How many tokens the model can tell apart by their place."""
        for name in ("max_position_embeddings", "n_positions"):
            if isinstance(size := self.config.to_dict().get(name), int):
                return size
        return sys.maxsize

    def __call__(self, **feeds: NDArray[Any]) -> ModelOutput:
        """Runs the model on arrays by name, (rows, tokens); what it has no input for is left out."""
        if "attention_mask" not in feeds and "input_ids" in feeds:
            feeds["attention_mask"] = np.ones_like(feeds["input_ids"])
        if "token_type_ids" not in feeds and "input_ids" in feeds:
            feeds["token_type_ids"] = np.zeros_like(feeds["input_ids"])
        return ModelOutput(self.session.run(feeds))
