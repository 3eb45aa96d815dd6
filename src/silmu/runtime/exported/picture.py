"""A graph that reads pictures, by the names and shapes that `graphs/` gives its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import UnsupportedModelError
from silmu.runtime.session import Port

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.session import ForeignSession

PICTURES = "pixel_values"
_MASK = "pixel_mask"
_TEXTS = ("input_ids", "attention_mask")

# What each head gives, and how many axes it has; the first must be there.
_OUTPUTS: dict[str, dict[str, tuple[int, ...]]] = {
    "image-classification": {"logits": (2,)},
    "image-feature-extraction": {"last_hidden_state": (3, 4), "pooler_output": (2,)},
    "zero-shot-image-classification": {"logits_per_image": (2,)},
}
HEADS = tuple(_OUTPUTS)


class ExportedPictures:
    """A graph of a network that reads pictures, or pictures and texts together.

    Args:
        head: what it must end in, one of HEADS.
        one_by_one: whether pictures of a batch would change each other.

    Raises:
        UnsupportedModelError: it ends in something else, or asks for other inputs.
    """

    def __init__(self, session: ForeignSession, head: str, *, one_by_one: bool) -> None:
        self._session = session
        self._one_by_one = one_by_one
        self.inputs = session.inputs
        self.options: set[str] = set()
        name = session.graph.name
        texts = _TEXTS if head == "zero-shot-image-classification" else ()
        known = (PICTURES, _MASK, *texts)
        if PICTURES not in self.inputs or {*self.inputs} - {*known}:
            raise UnsupportedModelError(
                f"{name} asks for the inputs {', '.join([*self.inputs][:8])}; {head} gives "
                f"{', '.join((PICTURES, *texts))}",
                hint="where pictures and texts have graphs of their own, name that of pictures: "
                'model_kwargs={"subfolder": "onnx", "file_name": "vision_model.onnx"}',
            )
        self.outputs = {
            output: Port(np.float32, session.outputs[output].shape)
            for output, axes in _OUTPUTS[head].items()
            if output in session.outputs and len(session.outputs[output].shape) in axes
        }
        first = next(iter(_OUTPUTS[head]))
        if first not in self.outputs:
            has = ", ".join(f"{k} {list(port.shape)}" for k, port in [*session.outputs.items()][:4])
            raise UnsupportedModelError(
                f"{name} was not exported for {head}, which needs {first}: it gives {has}",
                hint="take an export that was made for this task",
            )

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Runs the graph; feeds that it does not ask for are left out."""
        names = list(outputs or self.outputs)
        pixels = feeds[PICTURES]
        if not self._one_by_one or len(pixels) == 1:
            return self._run(feeds, pixels, names)
        parts = [self._run(feeds, pixels[i : i + 1], names) for i in range(len(pixels))]
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    def _run(
        self, feeds: Mapping[str, NDArray[Any]], pixels: NDArray[Any], names: list[str]
    ) -> dict[str, NDArray[Any]]:
        known = {**feeds, PICTURES: pixels}
        if _MASK in self.inputs:
            known[_MASK] = np.ones((len(pixels), *pixels.shape[2:]), np.int64)
        asked = {
            name: np.ascontiguousarray(known[name], port.dtype)
            for name, port in self.inputs.items()
        }
        found = self._session.run(asked, names)
        return {name: found[name].astype(np.float32, copy=False) for name in names}
