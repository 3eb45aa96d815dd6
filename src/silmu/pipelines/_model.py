"""What a pipeline shows of its model: config.json by attribute, and sessions by head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu import graphs
from silmu.errors import InvalidModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder
    from silmu.runtime.session import Session


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
    """A model folder that computes: one session for each head that is asked of it."""

    def __init__(self, folder: Folder, *, device: str = "cpu") -> None:
        self.folder = folder
        self.config = ModelConfig(folder.config, folder.name)
        self.name_or_path = folder.name
        self.device = device
        self.dtype = np.dtype(np.float32)
        self._sessions: dict[str, Session] = {}

    def session(self, head: str) -> Session:
        """The session of a head, made when it is first asked for."""
        if head not in self._sessions:
            self._sessions[head] = graphs.open_session(self.folder, head)
        return self._sessions[head]

    def __call__(self, head: str, feeds: dict[str, NDArray[Any]]) -> ModelOutput:
        """Runs a head on arrays by name."""
        return ModelOutput(self.session(head).run(feeds))
