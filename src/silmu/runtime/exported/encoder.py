"""A graph that answers in one pass, by the names and shapes that `graphs/` gives its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import UnsupportedModelError
from silmu.runtime import rows
from silmu.runtime.exported import inputs
from silmu.runtime.exported.caches import empty_caches, is_cache
from silmu.runtime.session import Port

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.session import ForeignSession

# What each head gives: names in the graph, the first of which is ours, and the axes.
_OUTPUTS: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "feature-extraction": {
        "last_hidden_state": (
            ("last_hidden_state", "token_embeddings"),
            ("rows", "tokens", "hidden"),
        )
    },
    "question-answering": {
        name: ((name,), ("rows", "tokens")) for name in ("start_logits", "end_logits")
    },
    "text-classification": {"logits": (("logits",), ("rows", "labels"))},
    "token-classification": {"logits": (("logits",), ("rows", "tokens", "labels"))},
    "fill-mask": {"logits": (("logits",), ("rows", "tokens", "vocabulary"))},
}


class ExportedEncoder:
    """A graph of an encoder, or of a decoder that answers without generating.

    Args:
        head: what it must end in, such as `question-answering`.
        config: config.json.
        one_by_one: whether rows of a batch would change each other.

    Raises:
        UnsupportedModelError: it ends in something else, or asks for unknown inputs.
    """

    def __init__(
        self, session: ForeignSession, head: str, config: Mapping[str, Any], *, one_by_one: bool
    ) -> None:
        self._session = session
        self._config = config
        self._one_by_one = one_by_one
        self._caches = {name: p for name, p in session.inputs.items() if is_cache(name)}
        self._asked = {name: p for name, p in session.inputs.items() if not is_cache(name)}
        inputs.check_known(self._asked, session.graph.name)
        self.inputs = self._asked
        self.options: set[str] = set()
        self._names: dict[str, str] = {}
        self.outputs: dict[str, Port] = {}
        for name, (spellings, axes) in _OUTPUTS.get(head, {}).items():
            self._names[name] = self._find(head, spellings, axes)
            last = session.outputs[self._names[name]].shape[-1]
            shape = (*axes[:-1], last if isinstance(last, int) else axes[-1])
            self.outputs[name] = Port(np.float32, axes if axes[-1] == "tokens" else shape)
        if not self.outputs:
            raise UnsupportedModelError(f"graphs for {head} cannot be read from ONNX files")

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Runs the graph; feeds that it does not ask for are left out."""
        ids, mask = feeds["input_ids"], feeds["attention_mask"]
        types = feeds.get("token_type_ids")
        names = list(outputs or self.outputs)
        if not self._one_by_one:
            return self._run(ids, mask, types, names)
        asked = {"input_ids": ids, "attention_mask": mask}
        if types is not None:
            asked["token_type_ids"] = types

        def run(own: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            types = own.get("token_type_ids")
            return self._run(own["input_ids"], own["attention_mask"], types, names)

        return rows.apart(run, asked, {n for n in names if "tokens" in self.outputs[n].shape})

    def _run(
        self,
        ids: NDArray[np.int64],
        mask: NDArray[np.int64],
        types: NDArray[np.int64] | None,
        names: list[str],
    ) -> dict[str, NDArray[Any]]:
        feeds = inputs.fill(self._asked, ids, mask, types=types)
        feeds |= empty_caches(self._caches, len(ids), self._config)
        found = self._session.run(feeds, [self._names[name] for name in names])
        return {name: found[self._names[name]].astype(np.float32, copy=False) for name in names}

    def _find(self, head: str, spellings: Sequence[str], axes: Sequence[str]) -> str:
        outputs = self._session.outputs
        for name in spellings:
            if name in outputs and self._fits(outputs[name], axes):
                return name
        has = ", ".join(f"{name} {list(port.shape)}" for name, port in [*outputs.items()][:4])
        raise UnsupportedModelError(
            f"{self._session.graph.name} was not exported for {head}, which needs "
            f"{' or '.join(spellings)} by {', '.join(axes)}: it gives {has}",
            hint="take an export that was made for this task",
        )

    def _fits(self, port: Port, axes: Sequence[str]) -> bool:
        if len(port.shape) != len(axes):
            return False
        size, vocabulary = port.shape[-1], self._config.get("vocab_size")
        # Labels of tokens and words of a vocabulary have the same axes, and one name.
        if isinstance(size, int) and isinstance(vocabulary, int) and axes[1] == "tokens":
            if axes[-1] == "vocabulary":
                return size >= vocabulary
            if axes[-1] == "labels":
                return size < vocabulary
        return True
